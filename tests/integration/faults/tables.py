"""The latency table is filled through kills of the daemon and of the board; each entry is measured once."""
import json
import sqlite3
import time
from datetime import datetime

import bed
from board import Board, graph_us
from stack import Stack
from suite import at_end, check, equal, test, wait_for


class SlowBoard(Board):
    """Takes a while for each item, so that there is time to be killed in."""

    def send(self, message):
        time.sleep(0.04)
        return super().send(message)


class MoodyBoard(Board):
    """Some entries are noisy: widths[n] of the n-th unit that it meets are those of its intervals, one for each time."""

    def __init__(self, port, name, widths=()):
        super().__init__(port, name)
        self.widths = widths
        self.met = []  # units, in the order in which they were measured first
        self.times = {}  # unit -> how often it was measured
        self.speed = {}  # unit -> factor of its time

    def result_of(self, lease, item, **changes):
        unit = json.dumps(item["graph"], sort_keys=True)
        if unit not in self.times:
            self.met.append(unit)
        self.times[unit] = self.times.get(unit, 0) + 1
        place = self.met.index(unit)
        widths = self.widths[place] if place < len(self.widths) else [0.01]
        half = widths[min(self.times[unit], len(widths)) - 1]
        us = graph_us(item["graph"]) * self.speed.get(unit, 1)
        return super().result_of(lease, item, median_us=us, low_us=us * (1 - half), high_us=us * (1 + half), mean_us=us, samples_us=[us * f for f in (1 - half, 1, 1.001, 1 + half)], n=4, **changes)

    def fill(self, stack, **body):
        """A table, measured as far as there is work; the answer and how many items that took."""
        made = stack.client.post("/tables", {"profile": self.profile_id, "space": "tiny", "method": "brief", **body}, 202)
        n = 0
        while done := self.work_once():
            n += done
        stack.wait_job(made["job"]["id"])
        return stack.client.get(f"/tables/{made['table']['id']}"), n


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


def rows(stack, query, *values):
    db = sqlite3.connect(f"file:{stack.database()}?mode=ro", uri=True)
    try:
        return db.execute(query, values).fetchall()
    finally:
        db.close()


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
    row, progress = stack.client.get(f"/tables/{table}"), stack.job(job)["progress"]
    equal((row["failed"], row["state"], progress["done"], progress["total"], round(progress["fraction"], 9)), (0, "incomplete", done, made["table"]["needed"], round(done / made["table"]["needed"], 9)), "what nobody measured is neither measured nor failed")
    device = stack.client.get(f"/profiles/{board.profile_id}")["device"]
    equal(next((each["measured"], each["failed"]) for each in stack.client.get(f"/devices/{device}/history")["tables"] if each["id"] == table), (done, 0), "nor by its board's history")
    entries = "FROM table_entries e JOIN measurements m ON m.id = e.measurement WHERE e.table_id = ?"
    rest = [signature for (signature,) in rows(stack, f"SELECT e.signature {entries} AND m.state = 'canceled' ORDER BY m.id", table)]
    equal(board.lease(), None, "a canceled table leaves no work")
    stack.cli("job", "retry", job)
    wait_for("the rest of the table", lambda: board.work_once(max_items=8) == 0 and stack.job(job)["state"] == "done", 30)
    signatures = dict(rows(stack, f"SELECT m.id, e.signature {entries}", table))
    equal([signatures[one] for one in board.measured[done:]], rest, "the rest, in the order of what matters")
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


@test("an entry whose spread is above a tenth is measured again, twice at most, and the narrowest interval stands", 60)
def noisy():
    stack = bed.daemon()
    widths = ([0.3, 0.05], [0.3, 0.5, 0.2], [0.2, 0.4, 0.3], [0.11, 0.02], [0.09])
    board = MoodyBoard(stack.port, "moody", widths).enrol(stack.enrolment_token())
    table, n = board.fill(stack)
    needed = table["needed"]
    equal([board.times[unit] for unit in board.met], [2, 3, 3, 2, 1] + [1] * (needed - 5), "times that each entry was measured")
    equal(n, needed + 1 + 2 + 2 + 1, "measured in all")
    equal((table["measured"], table["noisy"], table["repeating"], table["state"], table["coverage"]), (needed, 2, 0, "ready", 1), "the table")
    stands = [0.05, 0.2, 0.2, 0.02, 0.09] + [0.01] * (needed - 5)
    check(abs(table["spread"] - sum(stands) / needed) < 1e-6 and abs(table["spread_worst"] - 0.2) < 1e-6, "its spread", table)
    entries = stack.client.items(f"/tables/{table['id']}/entries")
    equal(sorted(round(row["spread"], 6) for row in entries), sorted(stands), "spreads of the entries")
    repeated = [row for row in stack.client.items(f"/measurements?profile={board.profile_id}") if row["repeats"]]
    equal((len(repeated), {row["why"] for row in repeated}), (6, {"noisy"}), "repeats")
    shown = stack.cli("latency", "show", table["id"])
    check(all(word in shown for word in ("coverage", "100.00 %", "noisy", "20.00 %", "oldest")), "the client's page of the table", shown)
    shown = stack.cli("latency", "tables")
    check(all(word in shown for word in ("COVERAGE", "SPREAD", "NOISY", "OLDEST")), "the client's list of tables", shown)
    equal(board.fill(stack)[1], 0, "what was repeated twice is not asked for once more")


@test("a repeat that is under way when the daemon is killed is measured once, and its table's job ends", 60)
def noisy_and_killed():
    stack = bed.daemon()
    board = MoodyBoard(stack.port, "hit", [[0.3, 0.02]] * 6).enrol(stack.enrolment_token())
    made = stack.client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)
    needed = made["table"]["needed"]
    while len(board.measured) < needed + 3:
        check(board.work_once(max_items=1) == 1, "there is work", len(board.measured))
    table = stack.client.get(f"/tables/{made['table']['id']}")
    equal((table["measured"], table["repeating"], table["noisy"]), (needed, 3, 3), "half of the repeats")
    lease = board.lease()
    check(board.ack(lease).status == 200, "a repeat is under way")
    stack.restart()
    board.connect()
    board.send(board.result_of(lease, lease["items"][0]))
    while board.work_once():
        pass
    stack.wait_job(made["job"]["id"])
    table = stack.client.get(f"/tables/{made['table']['id']}")
    equal((table["measured"], table["repeating"], table["noisy"]), (needed, 0, 0), "the table")
    equal(sorted(board.times.values()), [1] * (needed - 6) + [2] * 6, "times that entries were measured")


@test("entries that are too old are measured again when asked; the time of one that has changed is the new one, and said so", 60)
def old():
    stack = bed.daemon()
    board = MoodyBoard(stack.port, "old").enrol(stack.enrolment_token())
    table, n = board.fill(stack)
    equal(board.fill(stack, max_age_s=3600)[1], 0, "nothing is an hour old")
    board.speed = {board.met[0]: 1.5, board.met[1]: 1.02}
    before = {row["signature"]: row for row in stack.client.items(f"/tables/{table['id']}/entries")}
    time.sleep(0.2)
    table, again = board.fill(stack, max_age_s=0.1)
    equal(again, n, "measured again")
    after = {row["signature"]: row for row in stack.client.items(f"/tables/{table['id']}/entries")}
    changed = [s for s in after if "changed" in after[s]["flags"]]
    equal([round(after[s]["median_us"] / before[s]["median_us"], 6) for s in changed], [1.5], "entries that have changed")
    equal(table["changed"], 1, "their number")
    check(all(after[s]["measurement"] != before[s]["measurement"] and after[s]["measured_at"] > before[s]["measured_at"] for s in after), "all stand anew")
    check(min(row["measured_at"] for row in after.values()) == table["oldest_at"] and max(row["measured_at"] for row in after.values()) == table["newest_at"], "the table's ages", table)
    for bad in (-1, "x", 1e12):
        answer = stack.client.request("POST", "/tables", {"profile": board.profile_id, "space": "tiny", "max_age_s": bad})
        check(answer.status in (400, 422) and answer.doc["errors"][0]["pointer"] == "/max_age_s", f"an age of {bad}", answer)


@test("boards that have nothing to do measure their oldest entries again, a few at a time", 60)
def ageing():
    stack = Stack("ageing").start()
    stack.add_space()
    board = MoodyBoard(stack.port, "ageing").enrol(stack.enrolment_token())
    table, n = board.fill(stack)
    first = [row["id"] for row in sorted(stack.client.items(f"/measurements?profile={board.profile_id}&kind=unit"), key=lambda row: (row["finished_at"], row["id"]))][:4]
    time.sleep(1)
    stack.stop()
    stack.start("--table-age", "1s")
    board.serve()
    at_end(board.rest)

    def repeats():
        return [row for row in stack.client.items(f"/measurements?profile={board.profile_id}") if row["repeats"] and row["state"] == "accepted"]
    done = wait_for("repeats of old entries", lambda: (rows := repeats()) and len(rows) >= 4 and rows, 20, 0.2)
    time.sleep(1.5)
    equal(len(repeats()), 4, "repeats of one round")
    equal(({row["why"] for row in done}, {row["repeats"] for row in done}), ({"old"}, set(first)), "the oldest entries")
    board.rest()
    entries = stack.client.items(f"/tables/{table['id']}/entries")
    equal({row["measurement"] for row in entries} & set(first), set(), "the new measurements stand")
    equal(len(entries), n, "entries")
    stack.stop()


@test("the time that a resumed table needs is told by the pace of its own job", 60)
def resumed():
    stack = bed.daemon()
    board = Board(stack.port, "paced").enrol(stack.enrolment_token())
    made = stack.client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)
    job, needed = made["job"]["id"], made["table"]["needed"]
    while len(board.measured) < needed // 2:
        board.work_once(max_items=1)
    stack.cli("job", "cancel", job)
    stack.wait_job(job, state="canceled")
    time.sleep(2)
    stack.cli("job", "retry", job)
    equal(stack.job(job)["progress"]["eta_s"], None, "nothing was measured yet")
    begun = datetime.fromisoformat(stack.job(job)["attempts"][-1]["started_at"]).timestamp()
    for _ in range(4):
        time.sleep(0.25)
        board.work_once(max_items=1)
    took, progress = time.time() - begun, stack.job(job)["progress"]
    rest = needed - needed // 2 - 4
    equal((progress["done"], progress["total"]), (needed - rest, needed), "progress")
    check(0.9 * rest * took / 4 <= progress["eta_s"] <= 1.1 * rest * took / 4, "time to the end", progress, rest, took)
    time.sleep(12 * took / 4)
    check(abs(stack.job(job)["progress"]["eta_s"] - progress["eta_s"]) < 1e-6, "a board that is away leaves the time as it was", stack.job(job)["progress"], progress)
    board.work_once(max_items=1)
    rest -= 1
    progress = stack.job(job)["progress"]
    check(progress["eta_s"] <= 1.1 * rest * took / 4, "a pause is no pace", progress, rest, took)
    told = stack.client.get(f"/tables/{made['table']['id']}")["eta_s"]
    check(abs(told - progress["eta_s"]) < 0.5 * progress["eta_s"] + 1, "the table's own word", told, progress)
    while board.work_once():
        pass
    equal(stack.wait_job(job)["progress"]["eta_s"], 0, "at the end")
    equal(stack.client.get(f"/tables/{made['table']['id']}")["eta_s"], None, "of a table that nothing is asked for")
