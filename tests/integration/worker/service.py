"""Boards in service: drained, paused, under maintenance, in quarantine and retested there."""
import sqlite3
import time

import bed
from backends import FLAT, device, exec_config, failed, few_archs, worker
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
    profile = wait_for("its enrolment", lambda: stack.profile_of("retested"), 15)
    wait_for("its noise floor", lambda: device(profile)["noise"])
    mood.write_text("crash")
    names = bed.ask(profile["id"], archs=few_archs()[:2])
    wait_for("its quarantine", lambda: device(profile)["health"] == "quarantined", 30)
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
