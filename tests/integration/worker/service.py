"""Boards in service: drained, paused, under maintenance, in quarantine and retested there."""
import sqlite3
import time

import bed
from backends import FLAT, RUNTIME, device, exec_config, failed, few_archs, worker
from client import problem
from stack import WORKER
from suite import check, equal, test, wait_for


@test("drain ends what is measured, pause breaks it off, maintenance takes a board out of service; release brings it back")
def in_service():
    stack = bed.daemon()
    process, profile = worker("served", FLAT + ",pace=1")
    bed.wait_state(bed.client().items(f"/measurements?profile={profile['id']}&kind=reference")[0]["id"], "accepted")
    first, second = bed.ask(profile["id"], method="full", archs=few_archs()[:2])
    bed.wait_state(first, "running")
    check("draining" in stack.cli("device", "drain", "served"), "it is drained")
    stack.cli("device", "drain", "served", "--wait", "--timeout", "40s")
    equal((device(profile)["state"], device(profile)["lease"]), ("paused", None), "state and lease when it is drained")
    equal([bed.measurement(name)["state"] for name in (first, second)], ["accepted", "accepted"], "what it held")
    (third,) = bed.ask(profile["id"], method="full", archs=few_archs()[2:3])
    time.sleep(1)
    equal(bed.measurement(third)["state"], "queued", "what came later")
    stack.cli("device", "release", "served")
    bed.wait_state(third, "running")
    stack.cli("device", "pause", "served")
    equal((bed.measurement(third)["state"], device(profile)["lease"]), ("queued", None), "what it measured, its lease")
    check("maintenance" in stack.cli("device", "maintain", "served"), "it is out of service")
    equal(device(profile)["health"], "maintenance", "health")
    equal(stack.cli("device", "release", "served"), "served: active, health probation", "what release says")
    equal(bed.wait_state(third, "accepted", 40)["error"], None, "its error")
    equal(bed.counted(third), 1, "results of it that count")
    stack.cli("device", "quarantine", "served")
    equal((device(profile)["health"], device(profile)["retest_at"]), ("quarantined", None), "health, and when it is retested")
    stack.cli("device", "release", "served")
    process.stop()


PASSED = "SELECT count(*) FROM measurements WHERE profile = ? AND kind = 'reference' AND state = 'accepted'"


@test("a board that crashed is retested in quarantine: it comes out when it is well, and not before", 120)
def retests():
    stack = bed.daemon()
    mood = stack.root / "mood"
    mood.write_text("well")
    process = stack.start_worker("retested", "--backend", "exec", "--backend-config", exec_config("told"), program=("env", f"RUNTIME_MOOD={mood}", WORKER))
    profile = stack.enrolled("retested")
    wait_for("its noise floor", lambda: device(profile)["noise"])
    mood.write_text("crash")
    names = bed.ask(profile["id"], archs=few_archs()[:2])
    wait_for("its quarantine", lambda: device(profile)["health"] == "quarantined", 60)  # a busy machine is waited out before each attempt
    check(device(profile)["retest_at"] is not None, "it is to be retested")
    for name in names:
        failed(name, "crashed")
    more = bed.ask(profile["id"], archs=few_archs()[2:3])

    def due():
        """The time of the next retest, which is stored, has come."""
        stack.stop()
        with sqlite3.connect(stack.database()) as db:
            db.execute("UPDATE devices SET retest_us = 1 WHERE name = 'retested'")
        stack.start()
    due()
    wait_for("a retest that failed", lambda: bed.rows("SELECT count(*) FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ? AND m.kind = 'reference' AND r.status = 'crashed'", profile["id"])[0][0] > 0, 30)
    equal(device(profile)["health"], "quarantined", "its health")
    mood.write_text("well")
    equal(bed.measurement(more[0])["state"], "queued", "what waits for it")
    for left in (2, 1, 0):
        passed = bed.rows(PASSED, profile["id"])[0][0]
        due()
        wait_for("a retest that passes", lambda: bed.rows(PASSED, profile["id"])[0][0] > passed, 40)
        equal(device(profile)["health"] == "quarantined", left > 0, f"in quarantine, with {left} to come")
    doc = bed.wait_state(more[0], "accepted", 40)
    equal(doc["attempt"], 1, "attempts at what waited for it")
    process.stop()


@test("what a board has done: who holds it, its tables, temperature, its reference network over time, failures by kind; device show and logs tell it", 120)
def history():
    stack = bed.daemon()
    sensors = stack.root / "sensors"
    (sensors / "class/thermal/thermal_zone0").mkdir(parents=True)
    (sensors / "class/thermal/thermal_zone0/temp").write_text("48500\n")
    process = stack.start_worker("told-of", "--backend", "exec", "--backend-config", exec_config("steady"), "--sysfs-root", str(sensors))
    profile = stack.enrolled("told-of")

    def told():
        return bed.client().get(f"/devices/{profile['device']}/history")
    for name in bed.ask(profile["id"], archs=few_archs()[:3]):
        bed.wait_state(name, "accepted")
    doc = told()
    equal(doc["environment"]["temperature_c"], 48.5, "temperature")
    check(len(doc["references"]) >= 4 and all(4900 < row["us"] < 5100 for row in doc["references"]), "the reference network", doc["references"])
    check(all(abs(row["drift"]) < 0.01 for row in doc["references"]), "drifts", doc["references"])
    check([row["at"] for row in doc["references"]] == sorted((row["at"] for row in doc["references"]), reverse=True), "the newest first")
    equal((doc["failures"], doc["holder"]), ([], None), "failures, and who holds it")
    table = bed.client().post("/tables", {"profile": profile["id"], "space": bed.narrow(), "method": "brief"}, 202)["table"]
    wait_for("its table", lambda: told()["tables"] and told()["tables"][0]["measured"] > 0, 40)
    held = wait_for("somebody who holds it", lambda: told()["holder"], 40)
    check(held["kind"] == "unit" and held["job"] == table["job"], "it is held for the table", held, table)
    wait_for("the whole table", lambda: told()["tables"][0]["measured"] == told()["tables"][0]["needed"], 90)
    process.stop()
    shown = stack.cli("device", "show", "told-of")
    for word in ("48.5", bed.narrow(), "reference", "drift", "5.010 ms"):
        check(word.lower() in shown.lower(), f"device show says {word}", shown)
    _, sick = worker("hung-up", FLAT + ",hang=1,patience_s=0.2")
    bed.ask(sick["id"], archs=few_archs()[:1])
    wait_for("three failures", lambda: len(bed.client().get(f"/devices/{sick['device']}/history")["failures"]) >= 3, 30)
    row = bed.client().get(f"/devices/{sick['device']}/history")["failures"][0]
    equal((row["kind"], "hung" in row["message"]), ("timeout", True), "kind and message of a hang")
    logged = stack.cli("device", "logs", "hung-up")
    check("timeout" in logged and "hung" in logged, "device logs says so", logged)
    problem(bed.client().request("GET", "/devices/nobody/history"), 404)


@test("each kind of failure has its name", 90)
def kinds():
    for mode, kind in (("crash", "crashed"), ("oom", "oom"), ("unsupported", "unsupported"), ("hang", "timeout")):
        command = [str(RUNTIME), mode] + ([str(bed.daemon().root / "pids")] if mode == "hang" else [])
        process, profile = worker(f"kind-{mode}", exec_config(f"kind-{mode}", command=command, timeout_s=0.5 if mode == "hang" else 20), "exec")
        (name,) = bed.ask(profile["id"], archs=few_archs()[:1])
        wait_for(f"a failure called {kind}", lambda: [row for row in bed.client().get(f"/devices/{profile['device']}/history")["failures"] if row["measurement"] == name], 30)
        wait_for("what is told of it", lambda: bed.measurement(name)["error"])
        check(bed.measurement(name)["error"]["message"].startswith(kind + ":"), "its error", bed.measurement(name)["error"])
        equal({row["kind"] for row in bed.client().get(f"/devices/{profile['device']}/history")["failures"]}, {kind}, "kinds of failure")
        process.stop()
    board = bed.board("losing")
    (name,) = bed.ask(board.profile_id, archs=few_archs()[:1])
    board.ack(board.lease())
    equal(board.post("connect", board.introduction()).status, 200, "a new start, which loses the lease")
    rows = bed.client().get(f"/devices/{board.device_id}/history")["failures"]
    equal([(row["kind"], row["measurement"]) for row in rows], [("lost", name)], "failures of a board that lost a lease")


@test("a worker refuses networks above its owner's limits, and measures what is within them")
def limits():
    small, large = "r28 | d1 c16 k3e1 | d1 c24 k3e2", "r28 | d1 c16 k5e4 | d2 c24 k5e4 k5e4"
    for option, kind, word in (("--macs-limit=100000", "unsupported", "multiply-adds"), ("--memory-limit=10000", "oom", "bytes")):
        process, profile = worker(f"strict{option[:4]}", FLAT, "sim", option)
        for name in bed.ask(profile["id"], archs=[large]):
            doc = failed(name, kind)
            check(word in doc["error"]["message"] and doc["attempt"] == 1, "it says why, once", doc["error"], doc["attempt"])
        process.stop()
    process, profile = worker("lenient", FLAT, "sim", "--macs-limit=0")
    for name in bed.ask(profile["id"], archs=[small, large]):
        bed.wait_state(name, "accepted")
    process.stop()
