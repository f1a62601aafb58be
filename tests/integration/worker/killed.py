"""Real workers that measure, and are killed, or lose the daemon, in the middle of it."""
import json
import os
import random
import signal
import sqlite3
import time

import bed
from client import problem
from proxy import Proxy
from stack import WORKER, Process
from suite import check, equal, test, wait_for


def worker(name, *options):
    """A real worker, and its profile."""
    process = bed.daemon().start_worker(name, *options)
    profile = bed.daemon().enrolled(name)
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


def enrol_through(name, proxy, token):
    """A worker that enrols by way of a proxy; its folder stays for the next."""
    folder = bed.daemon().root / f"worker-{name}"
    command = [WORKER, "--daemon", proxy.url if proxy else bed.daemon().url, "--enrol", token, "--state-dir", folder, "--name", name, "--salt", name, *bed.SIMULATED]
    process = bed.daemon().workers[name] = Process(command, bed.daemon().root / f"worker-{name}.log")
    return process, folder


def enrolled_once(name, folder):
    """The worker of this folder becomes one board and measures."""
    wait_for(f"the identity of {name}", (folder / "worker.json").exists, 20)
    state = json.loads((folder / "worker.json").read_text())
    equal(bed.rows("SELECT count(*) FROM devices WHERE name LIKE ? || '%'", name), [(1,)], f"boards called {name}")
    equal(bed.rows("SELECT id FROM devices WHERE name = ?", name), [(state["device_id"],)], "whose identity it is")
    equal(bed.rows("SELECT count(*) FROM tokens WHERE device = ? AND kind = 'worker'", state["device_id"]), [(1,)], "tokens of the board")
    (measured,) = bed.ask(bed.daemon().profile_of(name)["id"])
    bed.wait_state(measured, "accepted", 40)
    check(not (folder / "enrolment.json").exists(), "nothing is pending any more")


@test("a worker killed with -9 at each point of its enrolment is enrolled by its next start, as one board", 150)
def killed_enrolling():
    held = []

    def hold(data):
        held.append(data)

    def loses_request(port):
        return Proxy(port, request=hold)

    def loses_answer(port):
        return Proxy(port, answer=hold)
    for name, made in (("unasked", loses_request), ("unanswered", loses_answer)):
        token, proxy = bed.daemon().enrolment_token(uses=1), made(bed.daemon().port)
        process, folder = enrol_through(name, proxy, token)
        wait_for("the enrolment to be on its way", lambda: held, 20, 0.01)
        held.clear()
        process.kill()
        pending = json.loads((folder / "enrolment.json").read_text())
        secret = pending["worker_token"]
        check(not (folder / "worker.json").exists(), "it does not know its board")
        proxy.close()
        # The secret is this daemon's, whose address was the proxy's.
        (folder / "enrolment.json").write_text(json.dumps({**pending, "daemon": bed.daemon().url}))
        enrol_through(name, None, token)
        enrolled_once(name, folder)
        equal(json.loads((folder / "worker.json").read_text())["worker_token"], secret, "the secret that it made at first")
    moments = random.Random(3)
    token = bed.daemon().enrolment_token(uses=1)
    for number in range(12):  # wherever that is: before its first write, after its last
        process, folder = enrol_through("anywhere", None, token)
        time.sleep(moments.uniform(0, 0.06))
        process.kill()
    enrol_through("anywhere", None, token)
    enrolled_once("anywhere", folder)


@test("a worker whose enrolment was heard, but not its answer, needs no enrolment token any more", 60)
def enrolled_unknowing():
    held = []
    proxy = Proxy(bed.daemon().port, answer=lambda data: held.append(data))
    process, folder = enrol_through("unknowing", proxy, bed.daemon().enrolment_token(uses=1))
    wait_for("the answer", lambda: held, 20, 0.01)
    process.kill()
    proxy.answer = lambda data: data
    bed.daemon().workers["unknowing"] = Process([WORKER, "--state-dir", folder, "--name", "unknowing", "--salt", "unknowing", *bed.SIMULATED], process.log)
    enrolled_once("unknowing", folder)
    bed.daemon().workers["unknowing"].stop()
    proxy.close()


@test("a worker whose board was removed enrols anew with a new token", 60)
def enrolled_anew():
    stack = bed.daemon()
    process, folder = enrol_through("renewed", None, stack.enrolment_token(uses=1))
    wait_for("the enrolment", (folder / "worker.json").exists, 20)
    before = json.loads((folder / "worker.json").read_text())["device_id"]
    process.stop()
    stack.cli("device", "rm", "renewed")
    enrol_through("renewed", None, stack.enrolment_token(uses=1))
    wait_for("another board", lambda: json.loads((folder / "worker.json").read_text())["device_id"] != before, 20)
    (measured,) = bed.ask(stack.enrolled("renewed", 30)["id"])
    bed.wait_state(measured, "accepted", 40)


@test("a result that the daemon does not take ends its measurement, and is not measured for ever", 60)
def refused_result():
    def spoil(data):  # zero samples: nothing that can be measured
        return data.replace(b'"n":', b'"N":') if b"/worker/results" in data or b'"samples_us"' in data else data
    proxy = Proxy(bed.daemon().port, request=spoil)
    process, folder = enrol_through("spoiled", proxy, bed.daemon().enrolment_token(uses=1))
    profile = bed.daemon().enrolled("spoiled", 20)
    names = bed.ask(profile["id"], 2)
    for name in names:
        doc = bed.wait_state(name, ("failed", "accepted"), 40)
        equal((doc["state"], doc["attempt"]), ("failed", 1), f"the measurement {doc}")
        check("invalid" in doc["error"]["message"], "the cause", doc["error"])
    process.stop()
    proxy.close()


@test("the noise floor is a measurement that the daemon asks for, before all others", 60)
def noise_floor():
    process, profile = worker("floor")
    (name,) = bed.ask(profile)
    bed.wait_state(name, "accepted", 40)
    (floor,) = bed.client().items(f"/measurements?profile={profile}&kind=reference")
    equal((floor["state"], floor["method"]), ("accepted", "noise/1"), "the measurement of the reference network")
    device = bed.client().get("/devices/floor")
    check(device["noise"] is not None and abs(device["profiles"][0]["noise"] / device["noise"] - 1) < 1e-9, "the board's noise", device)
    samples = sorted(bed.measurement(floor["id"])["samples_us"])
    check(len(samples) >= 100, "samples", len(samples))

    def quantile(share):
        at = share * (len(samples) - 1)
        low = int(at)
        return samples[low] + (at - low) * (samples[min(low + 1, len(samples) - 1)] - samples[low])
    want = (quantile(0.9) - quantile(0.1)) / quantile(0.5)
    check(abs(device["noise"] - want) <= 0.02 * want + 1e-9, "the spread of its samples", device["noise"], want)
    process.stop()
    bed.daemon().start_worker("floor")
    (name,) = bed.ask(profile)
    bed.wait_state(name, "accepted", 40)
    equal(len(bed.client().items(f"/measurements?profile={profile}&kind=reference")), 1, "it is not asked for again in the same environment")
    problem(bed.client().request("POST", "/measurements", {"profile": profile, "space": "tiny", "archs": [bed.fresh_arch()], "method": "noise"}), (400, 422), pointer="/method")


@test("a noise floor in doubt is flagged, and measured again by a command; kill -9 of the daemon in between loses nothing", 90)
def doubtful_floor():
    steady = ("--backend", "sim", "--backend-config", "gmacs=5,gbps=4,noise=0.01")  # this machine may be a busy one indeed
    process, profile = worker("doubtful", *steady)
    stack, client = bed.daemon(), bed.client()
    before = wait_for("its floor", lambda: client.get("/devices/doubtful")["noise"], 40)
    equal(client.get("/devices/doubtful")["noise_note"], None, "no doubt")
    stack.kill()
    with sqlite3.connect(stack.database()) as db:
        db.execute("UPDATE profile_revisions SET noise = 9.99, noise_doubt = 'implausible', noise_next_us = 9e18 WHERE profile = ?", (profile,))
        db.execute("UPDATE profiles SET noise = 9.99 WHERE id = ?", (profile,))
        db.execute("UPDATE devices SET noise = 9.99 WHERE name = 'doubtful'")
    stack.start()
    shown = client.get("/devices/doubtful")
    equal((shown["noise"], shown["noise_doubt"], shown["profiles"][0]["noise_doubt"]), (9.99, "implausible", "implausible"), "the flag")
    for words in (("device", "ls"), ("device", "show", "doubtful")):
        check("busy machine: measure again with: espalier device check doubtful" in stack.cli(*words), "what to do", stack.cli(*words))
    client.expect(200, "PATCH", "/devices/doubtful", {"name": "odd;reboot"})
    check(client.get(f"/devices/{shown['id']}")["noise_note"].endswith(f": espalier device check {shown['id']}"), "a name that a shell would take apart")
    client.expect(200, "PATCH", f"/devices/{shown['id']}", {"name": "doubtful"})
    equal(stack.cli("device", "check", "doubtful", "no-such-profile", status=3), "", "another profile")
    process.stop()
    stack.cli("device", "check", "doubtful", profile)
    asked = client.items(f"/measurements?profile={profile}&kind=reference&state=queued")
    equal(len(asked), 1, "asked for")
    stack.restart()
    stack.start_worker("doubtful", *steady)
    told = stack.cli("device", "check", "doubtful", "--wait", "--no-headers")
    check(told.count("\n") == 0 and "implausible" not in told, "the floor now", told)
    rows = client.items(f"/measurements?profile={profile}&kind=reference")
    equal([row["state"] for row in rows], ["accepted"] * len(rows), "both joined one")
    now = client.get("/devices/doubtful")
    check(now["noise"] < 9 and now["noise_doubt"] is None and now["noise_note"] is None, "the floor", before, now)
    # The same by itself, when it is due.
    stack.kill()
    with sqlite3.connect(stack.database()) as db:
        db.execute("UPDATE profile_revisions SET noise = 9.99, noise_doubt = 'implausible', noise_next_us = 1 WHERE profile = ?", (profile,))
    stack.start()
    wait_for("the floor to be measured again", lambda: client.get("/devices/doubtful")["noise_doubt"] is None, 40)
    stack.workers["doubtful"].stop()


@test("SIGTERM ends an idle worker at once, and its board is away")
def ended_in_order():
    process, _ = worker("leaving")
    wait_for("nothing to be left to measure", lambda: (doc := bed.client().get("/devices/leaving"))["noise"] is not None and not doc["lease"], 30)
    time.sleep(0.5)  # it waits for a lease now
    begun = time.monotonic()
    process.kill(signal.SIGTERM)
    equal(process.popen.wait(10), 0, "exit status")
    check(time.monotonic() - begun < 9, "seconds to its end", time.monotonic() - begun)
    check(not bed.client().get("/devices/leaving")["online"], "it has said goodbye")


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
    wait_for("nothing to be left to measure", lambda: (doc := bed.client().get("/devices/unwanted"))["noise"] is not None and not doc["lease"], 30)
    time.sleep(0.5)  # it waits for a lease, for up to 20 seconds
    begun = time.monotonic()
    stack.cli("device", "rm", "unwanted")
    check(process.popen.wait(45) != 0, "exit status")
    check(time.monotonic() - begun < 12, "seconds until it has ended", time.monotonic() - begun)
    text = process.log.read_text()
    check("this board was removed from the daemon: `espalier device add`" in text and "trying again" not in text, "its log", text[-400:])


@test("a lease stored by the database alone shows the same to everybody after all of this")
def consistent():
    for query, what in (
        ("SELECT count(*) FROM measurements m WHERE m.state = 'accepted' AND (SELECT count(*) FROM results r WHERE r.measurement = m.id AND r.counted = 1 AND r.status IN ('ok', 'noisy')) <> 1", "accepted measurements without exactly one good result"),
        ("SELECT count(*) FROM (SELECT profile_revision, graph_id, method, take FROM measurements WHERE state = 'accepted' AND kind <> 'reference' AND repeats IS NULL GROUP BY 1, 2, 3, 4 HAVING count(*) > 1)", "networks that were accepted twice"),
        ("SELECT count(*) FROM leases WHERE state IN ('granted', 'acked') AND device IN (SELECT device FROM leases WHERE state IN ('granted', 'acked') GROUP BY device HAVING count(*) > 1)", "boards with two open leases"),
    ):
        equal(bed.rows(query), [(0,)], what)
    db = sqlite3.connect(f"file:{bed.daemon().database()}?mode=ro", uri=True)
    equal(db.execute("PRAGMA integrity_check").fetchone(), ("ok",), "integrity of the database")
    equal(db.execute("PRAGMA foreign_key_check").fetchall(), [], "broken references")
    db.close()
