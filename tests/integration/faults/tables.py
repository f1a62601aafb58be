"""The latency table is filled through kills of the daemon and of the board; each entry is measured once."""
import sqlite3
import time

import bed
from board import Board
from suite import at_end, check, equal, test, wait_for


class SlowBoard(Board):
    """Takes a while for each item, so that there is time to be killed in."""

    def send(self, message):
        time.sleep(0.04)
        return super().send(message)


@test("kill -9 of the daemon during table filling: it goes on, and each entry is measured once", 90)
def daemon_killed():
    stack = bed.daemon()
    board = SlowBoard(stack.port, "filler").enrol(stack.enrolment_token())
    made = stack.client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)
    table, job = made["table"]["id"], made["job"]["id"]
    needed = made["table"]["needed"]
    board.serve()
    at_end(board.rest)

    def measured():
        return stack.client.get(f"/tables/{table}")["measured"]
    for share in (0.25, 0.5, 0.75):
        before = wait_for(f"{share} of the table", lambda: (n := measured()) >= share * needed and n, 30, 0.02)
        stack.kill()
        stack.start()
        check(measured() >= before, "entries measured only grow", before)
    stack.wait_job(job, 60)
    board.rest()
    equal(measured(), needed, "entries measured")
    db = sqlite3.connect(f"file:{stack.database()}?mode=ro", uri=True)
    rows = db.execute(
        "SELECT e.signature, m.state, (SELECT count(*) FROM results r WHERE r.measurement = m.id AND r.counted) FROM table_entries e JOIN measurements m ON m.id = e.measurement WHERE e.table_id = ?", (table,)).fetchall()
    networks = db.execute("SELECT count(*) FROM (SELECT graph_id FROM measurements WHERE profile = ? AND state = 'accepted' GROUP BY graph_id HAVING count(*) > 1)", (board.profile_id,)).fetchone()
    db.close()
    equal(len(rows), needed, "entries")
    equal({row[1:] for row in rows}, {("accepted", 1)}, "state and results counted of every entry")
    equal(networks, (0,), "graphs measured twice")


@test("a table canceled half way keeps what was measured and is completed by a retry", 60)
def canceled():
    stack = bed.daemon()
    board = SlowBoard(stack.port, "half").enrol(stack.enrolment_token())
    made = stack.client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)
    table, job = made["table"]["id"], made["job"]["id"]
    half = made["table"]["needed"] // 2
    done = 0
    while done < half:
        done += board.work_once(max_items=4)
    stack.cli("job", "cancel", job)
    stack.wait_job(job, state="canceled")
    kept = stack.client.get(f"/tables/{table}")["measured"]
    equal(kept, done, "entries kept")
    equal(board.lease(), None, "a canceled table leaves no work")
    stack.cli("job", "retry", job)
    wait_for("the rest of the table", lambda: board.work_once(max_items=8) == 0 and stack.job(job)["state"] == "done", 30)
    equal(len(board.measured), len(set(board.measured)), "nothing measured twice")
    equal(len(board.measured), made["table"]["needed"], "measured in all")


@test("what matters is asked for first: a table serves all subnets when three quarters of it are measured", 60)
def in_order():
    stack = bed.daemon()
    board = Board(stack.port, "orderly").enrol(stack.enrolment_token())
    made = stack.client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)
    needed = made["table"]["needed"]
    while len(board.measured) < 3 * needed // 4:
        check(board.work_once(max_items=1) == 1, "the table has work", len(board.measured))
    sample = stack.client.post("/spaces/tiny/sample", {"n": 200, "profile": board.profile_id}, 200)
    equal(sample["missing_entries"], needed - len(board.measured), "missing entries")
    check("latency_us" in sample["quantiles"], "every subnet's latency is known or interpolated", sample)
    kinds = {row["signature"].split()[0] for row in stack.client.items(f"/tables/{made['table']['id']}/entries") if row["state"] == "queued"}
    equal(len(kinds), 1, "kinds of units that wait")
    while board.work_once():
        pass
    stack.wait_job(made["job"]["id"])
