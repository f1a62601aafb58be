"""Leases and results: each measurement is counted once, whatever is late, repeated, foreign or fenced."""
import sqlite3
import threading
import time

import bed
from client import problem
from suite import check, equal, once, test, wait_for

left = {}  # a lease that nobody acknowledges; its end is looked at last


def running_lease(board):
    """A measurement of this board that runs, and its lease."""
    (name,) = bed.ask(board.profile_id, method="full")
    lease = board.lease()
    board.ack(lease)
    return name, lease


@once
def lapsed_leases():
    """Two boards whose leases end soon: expiry is stored, so it is set back while the daemon is down. The daemon gives
    boards a heartbeat's time after a start to be heard again, so what follows is looked at last."""
    stack = bed.daemon()
    found = [(board, *running_lease(board)) for board in (bed.board("late"), bed.board("too-late"))]
    stack.stop()
    db = sqlite3.connect(stack.database())
    db.executemany("UPDATE leases SET expires_us = 1 WHERE id = ?", [(lease["lease_id"],) for _, _, lease in found])
    db.commit()
    db.close()
    stack.start()
    return found


def expired_lease(number):
    """One of these boards, its measurement and its lease, when that has ended."""
    board, name, lease = lapsed_leases()[number]
    bed.wait_state(name, "queued")
    problem(board.heartbeat(lease), 410, "gone")
    return board, name, lease


@test("a lease that nobody acknowledges is granted, two others run out (their ends are looked at last)")
def leave():
    lapsed_leases()
    board = bed.board("silent")
    (name,) = bed.ask(board.profile_id)
    left.update(board=board, name=name, lease=board.lease(), since=time.monotonic())
    check(left["lease"]["expires_in_s"] <= 60, "seconds to acknowledge", left["lease"]["expires_in_s"])


@test("lease, acknowledgement, heartbeat, result: the states that people see")
def ordinary():
    board = bed.board("ordinary")
    (name,) = bed.ask(board.profile_id)
    equal(bed.measurement(name)["state"], "queued", "before")
    lease = board.lease()
    equal([item["measurement_id"] for item in lease["items"]], [name], "the lease's items")
    equal(bed.measurement(name)["state"], "leased", "leased")
    equal(board.ack(lease).status, 200, "the acknowledgement")
    equal(bed.measurement(name)["state"], "running", "acknowledged")
    beat = board.heartbeat(lease).doc
    equal(beat["action"], "continue", "heartbeat")
    check(beat["expires_in_s"] > 0, "expiry", beat)
    message = board.result_of(lease, lease["items"][0])
    equal(board.send(message).status, 201, "the result")
    doc = bed.measurement(name)
    equal((doc["state"], doc["median_us"], doc["n"], doc["attempt"]), ("accepted", message["median_us"], message["n"], 1), "the measurement")
    equal(doc["samples_us"], message["samples_us"], "its samples")
    equal(doc["reference"], message["reference"], "its reference")
    problem(board.heartbeat(lease), 410, "gone")
    equal(board.lease(), None, "there is no more")


@test("the same result again is 200, another under its key 409, and neither counts")
def repeats():
    board = bed.board("repeats")
    (name,) = bed.ask(board.profile_id)
    lease = board.lease()
    board.ack(lease)
    message = board.result_of(lease, lease["items"][0])
    equal(board.send(message).status, 201, "the result")
    for _ in range(3):
        equal(board.send(message).status, 200, "the same again")
    problem(board.send({**message, "median_us": message["median_us"] * 1.001}), 409, "conflict")
    problem(board.send({**message, "status": "crashed"}), 409, "conflict")
    equal((bed.results(name), bed.counted(name)), (1, 1), "results stored and counted")
    equal(bed.measurement(name)["median_us"], message["median_us"], "the median")


@test("a second result under another key does not count again")
def second_key():
    board = bed.board("second-key")
    (name,) = bed.ask(board.profile_id)
    lease = board.lease()
    board.ack(lease)
    message = board.result_of(lease, lease["items"][0])
    equal(board.send(message).status, 201, "the result")
    answer = board.send({**message, "idempotency_key": "another-key", "median_us": message["high_us"]})
    check(answer.status in (200, 201, 409, 410), "the second answers", answer)
    equal(bed.counted(name), 1, "counted")
    equal(bed.measurement(name)["median_us"], message["median_us"], "the median")


@test("a result for a lease of another board, or that never was, is 410")
def foreign():
    owner, thief = bed.board("owner"), bed.board("thief")
    (name,) = bed.ask(owner.profile_id)
    lease = owner.lease()
    owner.ack(lease)
    message = owner.result_of(lease, lease["items"][0])
    problem(thief.send(message), 410, "gone")
    problem(owner.send({**message, "lease_id": "ls_never", "idempotency_key": "key-never"}), 410, "gone")
    problem(owner.send({**message, "measurement_id": left["name"], "idempotency_key": "key-other"}), 410, "gone")
    problem(owner.send({**message, "attempt": 7, "idempotency_key": "key-attempt"}), 410, "gone")
    for call in (thief.ack, thief.heartbeat, thief.release):
        problem(call(lease), 410, "gone")
    equal((bed.measurement(name)["state"], bed.results(name)), ("running", 0), "the measurement")
    equal(owner.send(message).status, 201, "its own result")


@test("a worker that starts anew fences its older leases: their work goes to another attempt")
def fenced():
    board = bed.board("fenced")
    (name,) = bed.ask(board.profile_id)
    old = board.lease()
    board.ack(old)
    old_epoch = board.epoch
    board.connect()
    check(board.epoch > old_epoch, "the epoch grows", old_epoch, board.epoch)
    problem(board.post("lease", {"epoch": old_epoch, "wait_s": 0, "max_items": 1}), 409)
    problem(board.heartbeat(old), 410, "gone")
    new = board.lease()
    equal((new["items"][0]["measurement_id"], new["items"][0]["attempt"]), (name, old["items"][0]["attempt"] + 1), "the next attempt")
    board.ack(new)
    equal(board.send(board.result_of(new, new["items"][0])).status, 201, "the result of the new lease")
    answer = board.send(board.result_of(old, old["items"][0]))
    equal((answer.status, answer.doc), (200, {"counted": False, "late": True}), "the late result of the old one")
    equal((bed.counted(name), bed.late(name)), (1, 1), "counted, late")


@test("a lease outlives the daemon: ended in order or killed, it takes the result afterwards")
def restart():
    board = bed.board("restart")
    for end in (bed.daemon().stop, bed.daemon().kill):
        (name,) = bed.ask(board.profile_id)
        lease = board.lease()
        board.ack(lease)
        end()
        bed.daemon().start()
        equal(board.heartbeat(lease).status, 200, "the heartbeat after the restart")
        equal(board.send(board.result_of(lease, lease["items"][0])).status, 201, "the result after the restart")
        equal((bed.measurement(name)["state"], bed.counted(name)), ("accepted", 1), "the measurement")


@test("work that is given back or crashes goes to another attempt; three failures end it")
def attempts():
    board = bed.board("attempts")
    (name,) = bed.ask(board.profile_id)
    lease = board.lease()
    board.ack(lease)
    equal(board.release(lease).status, 200, "given back")
    equal(bed.measurement(name)["state"], "queued", "given back")
    for number in range(3):
        lease = board.lease()
        check(lease, "another attempt after failures:", number)
        board.ack(lease)
        equal(board.send(board.result_of(lease, lease["items"][0], status="crashed", message="signal 11")).status, 201, "the crash is told")
    doc = bed.measurement(name)
    equal(doc["state"], "failed", "after three crashes")
    check("signal 11" in str(doc["error"]), "the error", doc["error"])
    equal(board.lease(), None, "there is no fourth")
    (refused,) = bed.ask(board.profile_id)
    lease = board.lease()
    board.ack(lease)
    board.send(board.result_of(lease, lease["items"][0], status="unsupported", message="no such kernel"))
    equal(bed.measurement(refused)["state"], "failed", "what a board cannot do is not tried again")


@test("a canceled measurement is told to the worker by its heartbeat")
def canceled():
    board = bed.board("canceled")
    names = bed.ask(board.profile_id, 2)
    lease = board.lease(max_items=2)
    board.ack(lease)
    for name in names:
        bed.client().expect((200, 202), "POST", f"/measurements/{name}/cancel", {})
    equal(board.heartbeat(lease).doc["action"], "cancel", "the action")
    equal({bed.measurement(name)["state"] for name in names}, {"canceled"}, "states")
    problem(bed.client().request("POST", f"/measurements/{names[0]}/cancel", {}), 409, "conflict")


@test("a long poll ends when work comes, and without work after the time that was asked for")
def long_poll():
    board = bed.board("poll")
    begun = time.monotonic()
    equal(board.lease(wait_s=2), None, "nothing to do")
    check(1.5 < time.monotonic() - begun < 9, "seconds of the poll", time.monotonic() - begun)
    threading.Timer(0.5, lambda: bed.ask(board.profile_id)).start()
    begun = time.monotonic()
    check(board.lease(wait_s=20), "a lease")
    check(time.monotonic() - begun < 12, "it comes at once", time.monotonic() - begun)


def drifts_of(board):
    """How many results the statistics of the board's noise are made of."""
    return bed.rows("SELECT v.drifts FROM profiles p JOIN profile_revisions v ON v.id = p.revision WHERE p.device = ?", board.device_id)[0][0]


def register_end():
    @test("the late result of an expired lease is taken while nobody else has measured")
    def late():
        board, name, lease = expired_lease(0)
        answer = board.send(board.result_of(lease, lease["items"][0]))
        equal((answer.status, answer.doc), (200, {"counted": True, "late": True}), "the late result")
        equal((bed.measurement(name)["state"], bed.counted(name), bed.late(name)), ("accepted", 1, 1), "the measurement")
        equal(board.lease(), None, "it is not measured again")

    @test("a late result that another attempt has forestalled does not count")
    def too_late():
        board, name, old = expired_lease(1)
        new = board.lease()
        board.ack(new)
        good = board.result_of(new, new["items"][0])
        equal(board.send(good).status, 201, "the result of the second attempt")
        drifts, health = drifts_of(board), bed.client().get(f"/devices/{board.device_id}")["health"]
        answer = board.send(board.result_of(old, old["items"][0], median_us=good["high_us"], reference={"before_us": 100.0, "after_us": 400.0}))
        equal((answer.status, answer.doc), (200, {"counted": False, "late": True}), "the late one")
        equal((bed.measurement(name)["median_us"], bed.counted(name), bed.late(name)), (good["median_us"], 1, 1), "the measurement")
        equal(drifts_of(board), drifts + 1, "its drift counts for the statistics of noise")
        equal(bed.client().get(f"/devices/{board.device_id}")["health"], health, "and not against the board")

    @test("the lease that nobody acknowledged has expired, its work goes to another attempt", 60)
    def expired():
        board, name = left["board"], left["name"]
        time.sleep(max(0, left["since"] + left["lease"]["expires_in_s"] - time.monotonic()))
        wait_for("the expiry", lambda: bed.measurement(name)["state"] == "queued", 15)
        answer = board.ack(left["lease"])
        problem(answer, 410, "gone")
        lease = board.lease()
        equal(lease["items"][0]["attempt"], left["lease"]["items"][0]["attempt"] + 1, "attempt")
        board.ack(lease)
        equal(board.send(board.result_of(lease, lease["items"][0])).status, 201, "the result")
        equal(bed.counted(name), 1, "counted")
