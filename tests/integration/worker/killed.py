"""Real workers that measure, and are killed, or lose the daemon, in the middle of it."""
import os
import signal
import sqlite3
import time

import bed
from stack import WORKER, Process
from suite import check, equal, test, wait_for


def worker(name, *options):
    """A real worker, and its profile."""
    process = bed.daemon().start_worker(name, *options)
    profile = wait_for(f"the enrolment of {name}", lambda: bed.daemon().profile_of(name), 15)
    return process, profile["id"]


@test("a worker killed with -9 in a measurement and started again measures it anew, counted once", 90)
def worker_killed():
    process, profile = worker("killed")
    (name,) = bed.ask(profile, method="full")
    bed.wait_state(name, "running")
    time.sleep(0.4)
    process.kill()
    check(bed.measurement(name)["state"] in ("running", "leased"), "nothing has come", bed.measurement(name))
    bed.daemon().start_worker("killed")
    doc = bed.wait_state(name, "accepted", 40)
    equal((doc["attempt"], bed.counted(name), bed.results(name)), (2, 1, 1), "attempt, results counted, results")
    check(not [pid for pid in process.children() if os.path.exists(f"/proc/{pid}")], "nothing of it is left")


@test("a daemon killed with -9 while a worker measures gets the result after its restart, once", 90)
def daemon_killed():
    stack = bed.daemon()
    _, profile = worker("patient")
    (name,) = bed.ask(profile, method="full")
    bed.wait_state(name, "running")
    stack.kill()
    spool = stack.root / "worker-patient/spool"
    wait_for("a result in the worker's spool", lambda: list(spool.iterdir()), 30)
    stack.start()
    doc = bed.wait_state(name, "accepted", 60)
    equal((doc["attempt"], bed.counted(name), bed.results(name)), (1, 1, 1), "attempt, results counted, results")
    wait_for("an empty spool", lambda: not list(spool.iterdir()), 10)
    (after,) = bed.ask(profile)
    bed.wait_state(after, "accepted", 30)


@test("a worker killed while a result waits in its spool delivers it at its next start", 90)
def spooled():
    stack = bed.daemon()
    process, profile = worker("spooling")
    (name,) = bed.ask(profile, method="full")
    bed.wait_state(name, "running")
    stack.kill()
    spool = stack.root / "worker-spooling/spool"
    wait_for("a result in the worker's spool", lambda: list(spool.iterdir()), 30)
    process.kill()
    stack.start()
    check(bed.measurement(name)["state"] != "accepted", "it was not delivered yet")
    stack.start_worker("spooling")
    bed.wait_state(name, "accepted", 30)
    equal((bed.counted(name), bed.results(name)), (1, 1), "results")


@test("a worker whose measuring process is killed reports a crash and goes on", 90)
def child_killed():
    process, profile = worker("child")
    (name,) = bed.ask(profile, method="full")
    bed.wait_state(name, "running")
    for pid in wait_for("the measuring process", process.children, 10):
        os.kill(pid, signal.SIGKILL)
    doc = bed.wait_state(name, "accepted", 60)
    check(doc["attempt"] == 2 and process.running(), "a second attempt of the same worker", doc)
    equal(bed.counted(name), 2, "a crash and a result")


@test("a spooled result that is damaged is set aside, and the worker goes on")
def damaged_spool():
    stack = bed.daemon()
    process, profile = worker("damaged")
    process.stop()
    spool = stack.root / "worker-damaged/spool"
    (spool / "000-broken.json").write_bytes(b'{"lease_id": "ls_')
    stack.start_worker("damaged")
    (name,) = bed.ask(profile)
    bed.wait_state(name, "accepted", 30)


@test("two workers on one machine are two boards, each measures its own", 90)
def two_boards():
    _, first = worker("twin-a")
    _, second = worker("twin-b")
    check(first != second, "two profiles", first)
    devices = {row["name"]: row for row in bed.client().items("/devices")}
    check(devices["twin-a"]["machine_id"] != devices["twin-b"]["machine_id"], "machine ids")
    arch = bed.fresh_arch()
    names = bed.ask(first, archs=[arch]) + bed.ask(second, archs=[arch])
    check(names[0] != names[1], "two measurements of one graph")
    for name in names:
        bed.wait_state(name, "accepted", 40)
    overlap = bed.rows("SELECT count(*) FROM results a JOIN results b ON a.measurement < b.measurement WHERE a.idempotency_key = b.idempotency_key")
    equal(overlap, [(0,)], "keys that two results share")


@test("a second worker of the same state folder, or of the same machine, is refused")
def same_folder():
    stack = bed.daemon()
    worker("single")
    again = Process([WORKER, "--state-dir", stack.root / "worker-single"], stack.root / "again.log")
    equal(again.popen.wait(10), 1, "exit status")
    check("another espalier-worker" in (stack.root / "again.log").read_text(), "the message")
    twin = Process([WORKER, "--daemon", stack.url, "--enrol", stack.enrolment_token(), "--salt", "single", "--state-dir", stack.root / "clone"], stack.root / "clone.log")
    try:
        wait_for("the refusal of a clone", lambda: "machine" in (stack.root / "clone.log").read_text(), 10)
    finally:
        twin.stop()
    equal(len([row for row in bed.client().items("/devices") if row["name"] == "single"]), 1, "boards of that name")


@test("a worker whose board was removed ends by itself and says why", 90)
def removed():
    stack = bed.daemon()
    process, _ = worker("unwanted")
    stack.cli("device", "rm", "unwanted")
    check(process.popen.wait(45) != 0, "exit status")
    text = process.log.read_text()
    check("removed" in text or "token" in text or "revoked" in text, "its log", text[-400:])


@test("a lease stored by the database alone shows the same to everybody after all of this")
def consistent():
    for query, what in (
        ("SELECT count(*) FROM measurements m WHERE m.state = 'accepted' AND (SELECT count(*) FROM results r WHERE r.measurement = m.id AND r.counted = 1 AND r.status IN ('ok', 'noisy')) <> 1", "accepted measurements without exactly one good result"),
        ("SELECT count(*) FROM (SELECT profile_revision, graph_id, method FROM measurements WHERE state = 'accepted' GROUP BY 1, 2, 3 HAVING count(*) > 1)", "networks that were accepted twice"),
        ("SELECT count(*) FROM leases WHERE state IN ('granted', 'acked') AND device IN (SELECT device FROM leases WHERE state IN ('granted', 'acked') GROUP BY device HAVING count(*) > 1)", "boards with two open leases"),
    ):
        equal(bed.rows(query), [(0,)], what)
    db = sqlite3.connect(f"file:{bed.daemon().database()}?mode=ro", uri=True)
    equal(db.execute("PRAGMA integrity_check").fetchone(), ("ok",), "integrity of the database")
    equal(db.execute("PRAGMA foreign_key_check").fetchall(), [], "broken references")
    db.close()
