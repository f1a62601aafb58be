"""Enrolment tokens and the tokens that workers get for them."""
import subprocess
import time

import bed
from board import Board
from client import problem
from stack import WORKER, Process
from suite import check, equal, test


def try_enrol(token, name="nobody"):
    board = Board(bed.daemon().port, name)
    return board.post("enrol", board.introduction(enrolment_token=token))


@test("an enrolment token is good for as many boards as it says, then no more")
def used():
    token = bed.daemon().enrolment_token(uses=2)
    equal([try_enrol(token, f"shares-{number}").status for number in range(2)], [201, 201], "the first two")
    doc = problem(try_enrol(token, "shares-2"), (401, 403, 410))
    check("used" in doc["detail"] or "unknown" in doc["detail"] or "no longer" in doc["detail"], "the cause", doc)
    check("shares-2" not in [row["name"] for row in bed.client().items("/devices")], "a board came in with a used token")


@test("expired, revoked and invented enrolment tokens are refused with the cause")
def expired():
    client = bed.client()
    short = client.post("/tokens", {"kind": "enrolment", "expires_in_s": 1}, 201)
    revoked = client.post("/tokens", {"kind": "enrolment"}, 201)
    client.expect((200, 204), "DELETE", f"/tokens/{revoked['id']}")
    api = client.post("/tokens", {"kind": "api"}, 201)
    time.sleep(1.3)
    check("expired" in problem(try_enrol(short["token"]), (401, 403, 410))["detail"], "an expired one")
    for token in (revoked["token"], api["token"], "", "esp_e_" + "A" * 43, "x" * 10000, "\u0001"):
        problem(try_enrol(token), (400, 401, 403, 410, 422))
    check("nobody" not in [row["name"] for row in client.items("/devices")], "a board came in without a token")


@test("what a worker tells of itself is checked, unknown members are ignored")
def introductions():
    token = bed.daemon().enrolment_token(uses=1)
    board = Board(bed.daemon().port, "introduced")
    sound = board.introduction(enrolment_token=token)
    for change in ({"protocol": [99]}, {"protocol": []}, {"machine_id": ""}, {"profiles": []}, {"profiles": [{}]}, {"name": 5}, {"fingerprint": "x"}, {"profiles": sound["profiles"] * 300}):
        problem(board.post("enrol", {**sound, **change}), (400, 422))
    answer = board.post("enrol", {**sound, "a_later_member": {"x": 1}})
    equal(answer.status, 201, "the token still has its use")
    device = bed.client().get(f"/devices/{answer.doc['device_id']}")
    equal((device["name"], device["machine_id"], device["online"]), ("introduced", board.machine_id, True), "the board")


SECRET = "esp_w_" + "s" * 42


def boards_of(machine):
    return bed.rows("SELECT count(*) FROM devices WHERE machine_id = ?", machine)[0][0]


@test("an enrolment repeated with the worker's own secret gives the same board, also after its token is used up")
def repeated():
    token = bed.daemon().enrolment_token(uses=1)
    board = Board(bed.daemon().port, "repeated")
    asked = board.introduction(enrolment_token=token, worker_token=SECRET + "1", a_later_member=[1])
    first = board.post("enrol", asked)
    equal((first.status, first.doc.get("worker_token")), (201, None), "the first answer, without the secret")
    again = board.post("enrol", asked)
    equal(again.status, 200, "the same again")
    equal([(doc["device_id"], doc["profiles"]) for doc in (first.doc, again.doc)], [(first.doc["device_id"], first.doc["profiles"])] * 2, "who it is")
    check(again.doc["epoch"] > first.doc["epoch"], "it is a start of its own", again.doc)
    problem(board.post("enrol", {**asked, "worker_token": SECRET + "2"}), 401)
    fresh = bed.daemon().enrolment_token(uses=1)
    problem(board.post("enrol", {**asked, "enrolment_token": fresh, "worker_token": SECRET + "2"}), 409, pointer="/machine_id")
    other = Board(bed.daemon().port, "repeated-elsewhere")
    problem(other.post("enrol", other.introduction(enrolment_token=fresh, worker_token=SECRET + "1")), 403, pointer="/machine_id")
    equal((boards_of(board.machine_id), boards_of(other.machine_id)), (1, 0), "boards")
    board.client.token = SECRET + "1"
    equal(board.connect().device_id, first.doc["device_id"], "its secret is its token")
    equal(bed.rows("SELECT count(*) FROM tokens WHERE hash LIKE '%sss%'"), [(0,)], "secrets stored as they are")
    bed.client().expect((200, 204), "DELETE", f"/devices/{board.device_id}")
    equal(board.post("enrol", {**asked, "enrolment_token": fresh}).status, 201, "a removed board's machine may enrol again")


@test("a worker's own secret must be one, and not somebody else's token")
def bad_secrets():
    token = bed.daemon().enrolment_token(uses=1)
    board = Board(bed.daemon().port, "bad-secret")
    api = bed.client().post("/tokens", {"kind": "api"}, 201)["token"]
    for secret in ("", "x", "esp_w_short", "esp_w_" + "s" * 44, "esp_w_" + "s" * 42 + "=", "esp_a_" + "s" * 43, api, token, "s" * 10000, 5, [SECRET + "1"]):
        problem(board.post("enrol", board.introduction(enrolment_token=token, worker_token=secret)), (400, 409, 422), pointer="/worker_token")
    equal(boards_of(board.machine_id), 0, "boards")
    equal(board.post("enrol", board.introduction(enrolment_token=token)).status, 201, "the token still has its use")


@test("the routes of workers want a worker's token")
def worker_tokens():
    board = bed.board("tokens")
    lease = {"epoch": board.epoch, "wait_s": 0, "max_items": 1}
    good = board.client.token
    api = bed.client().post("/tokens", {"kind": "api"}, 201)["token"]
    for token, statuses in ((None, 401), ("wrong", 401), (api, (401, 403)), (bed.daemon().enrolment_token(), (401, 403))):
        board.client.token = token
        for path in ("lease", "connect", "results", "noise", "goodbye", "leases/ls_x/ack"):
            problem(board.post(path, lease), statuses)
    board.client.token = good
    equal(board.post("lease", lease).status, 204, "with its own token")
    answer = board.client.request("GET", "/jobs")
    problem(answer, (401, 403))


@test("a removed board's token is worth nothing, what it measured stays")
def removed():
    board = bed.board("removed")
    (name,) = bed.ask(board.profile_id)
    equal(board.work_once(), 1, "measured")
    (waiting,) = bed.ask(board.profile_id)
    bed.client().expect((200, 204), "DELETE", f"/devices/{board.device_id}")
    problem(board.post("lease", {"epoch": board.epoch, "wait_s": 0, "max_items": 1}), (401, 403, 410))
    problem(board.post("connect", board.introduction()), (401, 403, 410))
    equal(bed.measurement(name)["state"], "accepted", "what it measured")
    check(bed.measurement(waiting)["state"] in ("canceled", "failed"), "what waited for it", bed.measurement(waiting))
    check(board.device_id not in [row["id"] for row in bed.client().items("/devices")], "it is listed no more")


@test("a paused board gets nothing, and goes on when it is active again")
def paused():
    board = bed.board("paused")
    bed.ask(board.profile_id)
    bed.client().expect(200, "PATCH", f"/devices/{board.device_id}", {"state": "paused", "note": "on holiday"})
    equal(board.lease(), None, "a lease while paused")
    bed.client().expect(200, "PATCH", f"/devices/{board.device_id}", {"state": "active"})
    equal(board.work_once(), 1, "measured afterwards")
    problem(bed.client().request("PATCH", f"/devices/{board.device_id}", {"state": "dancing"}), (400, 422), pointer="/state")


def who_is(name, *options, status=0):
    """What espalier-worker --enrol-only prints: the board's id and the profile's; with another status what it says."""
    stack = bed.daemon()
    command = [str(WORKER), "--daemon", stack.url, "--state-dir", str(stack.root / f"worker-{name}"), "--salt", name, "--name", name, "--enrol-only", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    equal(done.returncode, status, f"the worker's status, which says {done.stderr!r}")
    return done.stdout.split() if status == 0 else done.stderr


@test("--enrol-only tells who a board is: enrolled, known, renamed, removed, its token revoked, on another machine")
def who():
    client, stack = bed.client(), bed.daemon()
    check("not enrolled" in who_is("who", status=3), "nobody yet")
    device, profile = who_is("who", "--enrol", stack.enrolment_token())
    equal(client.get(f"/devices/{device}")["online"], False, "it has said goodbye")
    equal([row["id"] for row in client.items("/profiles") if row["device"] == device], [profile], "its profile")
    client.expect(200, "PATCH", f"/devices/{device}", {"name": "who-else"})
    equal(who_is("who"), [device, profile], "renamed")
    bed.ask(profile)
    equal(who_is("who"), [device, profile], "it takes no work")
    equal(client.get(f"/devices/{device}")["queue"], 2, "what waits for it: the network and the noise floor")

    client.post(f"/devices/{device}/revoke", {})
    check("revoked" in who_is("who", status=3), "its token was revoked")
    check("device allow" in who_is("who", "--enrol", stack.enrolment_token(), status=1), "its machine is let in by a person only")
    client.post(f"/devices/{device}/allow", {})
    equal(who_is("who", "--enrol", stack.enrolment_token()), [device, profile], "the machine takes its board over")
    equal(client.get(f"/devices/{device}")["name"], "who-else", "its name")

    other = stack.root / "worker-who"
    check("another machine" in who_is("who", "--salt", "moved", status=3), "the state folder of another machine")
    client.expect((200, 204), "DELETE", f"/devices/{device}")
    check("removed" in who_is("who", status=3) or "revoked" in who_is("who", status=3), "it was removed")
    anew = who_is("who", "--enrol", stack.enrolment_token())
    check(device not in anew and profile not in anew, "a new board and profile", anew)
    (other / "worker.json").write_text('{"daemon": "http://127.0.0.1:1", "device_id": "dev_strange", "worker_token": "esp_w_strange"}')
    check("unknown" in who_is("who", status=3), "an identity that the daemon has never heard of")


@test("a real worker with a bad token ends and says why; one without a token says how to get one")
def real_worker():
    stack = bed.daemon()
    worker = stack.start_worker("badtoken", token="esp_e_wrong")
    equal(worker.popen.wait(10), 3, "exit status")
    text = worker.log.read_text()
    check("token" in text, "the log", text)
    alone = Process([WORKER, "--daemon", stack.url, "--state-dir", stack.root / "alone"], stack.root / "alone.log")
    check(alone.popen.wait(10) != 0, "it ends")
    check("espalier device add" in (stack.root / "alone.log").read_text(), "it says how")
