"""A board of the daemon's own machine and a training take turns: neither disturbs the other, and both say whom they wait for."""
import os
import signal
import time

import bed
from board import Board
from client import Events
from suite import at_end, check, equal, test, wait_for


def paused_between(stack, begin, end):
    """Whether a job was paused during all of this time (of the database's clock)."""
    rows = bed.rows(stack, "SELECT at_us, to_state FROM transitions WHERE machine = 'job' AND at_us <= ? ORDER BY id", end)
    before = [state for at, state in rows if at <= begin]
    return before and before[-1] == "paused" and all(at <= begin or state == "paused" for at, state in rows)


@test("a board's noise floor and its measurements wait until a training has paused, and each says whom it waits for", 150)
def turns():
    stack = bed.daemon()
    client = stack.client
    bed.calm()
    job = client.post("/supernets", {"name": "long", "space": "tiny", "dataset": "bars", "train": {**bed.TRAIN, "epochs": 4000}}, 202)["job"]["id"]
    wait_for("the training", lambda: stack.job(job)["state"] == "running" and stack.job_pids(), 30)
    stack.start_worker("beside")
    at_end(stack.workers["beside"].stop)
    profile = stack.enrolled("beside")["id"]
    waits = wait_for("the board to say that it waits", lambda: client.get("/devices/beside")["waits_for"], 10)
    equal((waits["job"], waits["asked"]), (job, False), "it is the training's turn")
    (floor,) = client.items(f"/measurements?profile={profile}&kind=reference")
    (name,) = [row["id"] for row in client.post("/measurements", {"profile": profile, "space": "tiny", "archs": ["r28 | d1 c16 k3e1 | d1 c24 k3e2"], "method": "brief"}, 202)["items"]]
    state = lambda measurement: client.get(f"/measurements/{measurement}")["state"]
    equal(client.get("/devices/beside")["noise"], None, "noise so far")
    (pid,) = stack.job_pids()
    begun = time.monotonic()
    os.kill(pid, signal.SIGSTOP)  # it will come to no boundary: nothing is measured beside it, though it is the boards' turn
    try:
        with Events(stack.port, "device") as events:
            events.until(lambda topic, data: (data.get("waits_for") or {}).get("asked"), 60)
        check(time.monotonic() - begun > 15, "the training has had its turn", time.monotonic() - begun)
        time.sleep(70 if os.environ.get("ESP_LONG") == "1" else 3)
        equal((state(floor["id"]), state(name)), ("queued", "queued"), "nothing is measured while the job may compute")
        waits = client.get("/devices/beside")["waits_for"]
        check(waits["job"] == job and waits["asked"] and waits["seconds"] >= 5, "whom it waits for", waits)
        check("job" in stack.cli("device", "show", "beside") and job in stack.cli("device", "show", "beside"), "espalier device show says so")
    finally:
        os.kill(pid, signal.SIGCONT)
    held = wait_for("the pause", lambda: client.get("/jobs/" + job)["waits_for"] or state(name) == "accepted", 20)
    equal(held, {"device": client.get("/devices/beside")["id"]}, "whom the training waits for")
    for measurement in (floor["id"], name):
        wait_for("the measurement", lambda: state(measurement) == "accepted", 30)
    check(client.get("/devices/beside")["noise"] is not None, "noise")
    wait_for("the training to go on", lambda: stack.job(job)["state"] == "running", 20)
    for measurement in (floor["id"], name):
        ((begin, end),) = bed.rows(stack, "SELECT l.created_us, l.closed_us FROM leases l JOIN lease_items i ON i.lease = l.id WHERE i.measurement = ?", measurement)
        check(paused_between(stack, begin, end), "the training was paused all through the lease of", measurement)
    stack.cli("job", "cancel", job)
    stack.wait_job(job, state="canceled")


@test("work of a board that is not there holds no job back, though another board of the machine asks for work", 120)
def absent():
    stack = bed.daemon()
    gone, idle = (Board(stack.port, name).enrol(stack.enrolment_token()) for name in ("gone", "idle"))
    stack.client.post("/measurements", {"profile": gone.profile_id, "space": "tiny", "archs": ["r28 | d1 c16 k3e1 | d1 c24 k3e2"], "method": "brief"}, 202)
    idle.serve()
    at_end(idle.rest)
    time.sleep(1)  # by now the daemon has looked whose turn it is
    begun = time.monotonic()
    job = stack.client.post("/supernets", {"name": "brief", "space": "tiny", "dataset": "bars", "train": {**bed.TRAIN, "epochs": 1}}, 202)["job"]["id"]
    wait_for("its beginning", lambda: stack.job(job)["state"] in ("running", "done"), 50)
    check(time.monotonic() - begun < 15, "seconds until it began (boards' turn is 30)", time.monotonic() - begun)
    stack.wait_job(job)
    gone.serve()
    at_end(gone.rest)
    wait_for("its measurement, now that it is there", lambda: gone.measured, 20)
