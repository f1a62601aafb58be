"""Who a board is: copied identities, machines that enrol twice, tokens that are rotated and revoked, tokens from files."""
import json
import shutil
import subprocess

import bed
from board import Board
from client import problem
from proxy import Proxy
from stack import WORKER, Process
from suite import check, equal, test, wait_for

SECRET = "esp_w_" + "r" * 42


def device(name):
    return bed.client().get(f"/devices/{name}")


def act(name, action, status=200):
    return bed.client().expect(status, "POST", f"/devices/{name}/{action}", {})


def word(number):
    return f"in_{number:08d}"


def start(board, number, last=None):
    """The board's worker starts anew, with this word for the start and that of the one before."""
    body = board.introduction(instance=word(number), **({"last_instance": word(last)} if last is not None else {}))
    return board.post("connect", body)


@test("starts of a board follow each other by their words; one that knows an older word only is refused, and noted")
def words():
    board = Board(bed.daemon().port, "words")
    answer = board.post("enrol", board.introduction(enrolment_token=bed.daemon().enrolment_token(), instance=word(0)))
    equal(answer.status, 201, "enrolment")
    board._welcome(answer)
    for number, last in ((1, 0), (1, 0), (2, 1), (2, 1), (3, 2)):  # twice: the answer was lost
        equal(start(board, number, last).status, 200, f"start {number} behind {last}")
    epoch = device("words")["epoch"]
    equal(device("words")["refused"], None, "nobody was refused")
    for number, last in ((4, 1), (5, None), (6, 9), (2, 1)):
        doc = problem(start(board, number, last), 409, "conflict", "/instance")
        check("espalier device allow" in doc["detail"], "what to do", doc)
    now = device("words")
    equal(now["epoch"], epoch, "the epoch of the one that is in")
    check("copy" in now["refused"]["why"] and now["refused"]["at"], "the note", now["refused"])
    equal(start(board, 4, 3).status, 200, "the board itself goes on")
    act("words", "allow")
    equal(device("words")["allowed"], True, "allowed")
    equal(start(board, 5, 4).status, 200, "the board itself, which needs no leave")
    equal(device("words")["allowed"], True, "still allowed")
    equal(start(board, 9, 8).status, 200, "the other is let in")
    now = device("words")
    equal((now["allowed"], now["refused"]), (False, None), "once")
    problem(start(board, 6, 5), 409, "conflict", "/instance")
    equal(board.post("connect", board.introduction()).status, 200, "a worker of before, which has no words")
    for bad in ("", "short", "x" * 65, 7, ["in_00000000"]):
        problem(board.post("connect", board.introduction(instance=bad)), (400, 422), pointer="/instance")
    board.client.token = "esp_w_" + "0" * 43
    problem(start(board, 7, 6), 401)


@test("two workers of one copied state folder: one measures, the other waits until it is allowed", 90)
def copied():
    stack = bed.daemon()
    first = stack.start_worker("original", *bed.SIMULATED)
    profile = stack.identified("original", 10)["id"]
    shutil.copytree(stack.root / "worker-original", stack.root / "worker-copy")
    command = [WORKER, "--state-dir", stack.root / "worker-copy", "--salt", "original", *bed.SIMULATED]
    stack.workers["copy"] = copy = Process(command, stack.root / "worker-copy.log")

    def refused(process):
        return "device allow" in process.log.read_text()
    wait_for("one of them refused", lambda: refused(first) or refused(copy), 30)
    equal(refused(first), True, "it is the one that connected earlier, as the copy cannot be told from it")
    (name,) = asked = bed.ask(profile)
    bed.wait_state(name, "accepted", 40)
    check(not refused(copy), "the other works undisturbed", copy.log.read_text())
    check(first.running(), "the refused one waits", first.log.read_text())
    check(device("original")["refused"], "the refusal is shown")
    check("copy of its identity" in stack.cli("device", "show", "original"), "in the client too")
    copy.stop()
    stack.cli("device", "allow", "original")
    wait_for("the original let in", lambda: device("original")["online"] and not device("original")["allowed"], 70)
    asked += bed.ask(profile)
    bed.wait_state(asked[1], "accepted", 40)
    for name in asked:
        equal(bed.rows("SELECT count(*) FROM results WHERE measurement = ? AND counted = 1", name), [(1,)], "results that count")
    first.stop()


@test("a machine that enrols again with another secret is refused until it is allowed, then takes its board over")
def enrolled_again():
    token = bed.daemon().enrolment_token(uses=1)
    board = bed.board("again")
    old = board.client.token
    other = Board(bed.daemon().port, "again")
    asked = other.introduction(enrolment_token=token, worker_token=SECRET + "1", instance=word(1))
    doc = problem(other.post("enrol", asked), 409, "conflict", "/machine_id")
    check("device allow" in doc["detail"], "what to do", doc)
    check("another identity" in device("again")["refused"]["why"], "the note", device("again"))
    problem(other.post("enrol", {**asked, "enrolment_token": "esp_e_" + "0" * 43}), 401)
    act("again", "allow")
    answer = other.post("enrol", asked)
    equal((answer.status, answer.doc["device_id"]), (201, board.device_id), "the refused token kept its use; the board is the same")
    problem(board.post("connect", board.introduction()), 401)
    board.client.token = old
    problem(board.post("goodbye", {"epoch": board.epoch}), 401)
    other.client.token = SECRET + "1"
    equal(start(other, 2, 1).status, 200, "the new secret")
    equal((device("again")["allowed"], device("again")["refused"]), (False, None), "once")


def token_of_worker(name):
    return json.loads((bed.daemon().root / f"worker-{name}/worker.json").read_text())["worker_token"]


def good(token):
    """Whether a worker's token opens anything; the board's epoch stays."""
    return bed.client().request("POST", "/worker/noise", {"profile_id": "x", "reference_us": [1, 1, 1], "epoch": 0}, {"Authorization": "Bearer " + token}).status != 401


@test("a worker makes itself a new token when it is told to; the old one is worth nothing from then on", 60)
def rotated():
    stack = bed.daemon()
    process = stack.start_worker("rotates", *bed.SIMULATED)
    profile = stack.identified("rotates", 10)["id"]
    old, since = token_of_worker("rotates"), device("rotates")["token_created_at"]
    stack.cli("device", "rotate", "rotates")
    wait_for("another token", lambda: token_of_worker("rotates") != old, 40)
    new = token_of_worker("rotates")
    equal((good(old), good(new)), (False, True), "the tokens")
    check(device("rotates")["token_created_at"] > since and not device("rotates")["rotating"], "the device", device("rotates"))
    check(new not in process.log.read_text() and "new token" in process.log.read_text(), "the log", process.log.read_text())
    (name,) = bed.ask(profile)
    bed.wait_state(name, "accepted", 40)
    equal(bed.rows("SELECT count(*) FROM tokens WHERE hash LIKE ?", f"%{new[6:20]}%"), [(0,)], "the token stored as it is")
    process.stop()


@test("a worker that is killed before it hears that its new token is taken, comes back with it", 60)
def rotated_unheard():
    stack, silent = bed.daemon(), [False]

    def request(data):
        silent[0] |= b"/worker/rotate" in data
        return data
    proxy = Proxy(stack.port, request=request, answer=lambda data: None if silent[0] else data)
    folder = stack.root / "worker-unheard"
    options = ["--state-dir", folder, "--name", "unheard", "--salt", "unheard"]
    process = stack.workers["unheard"] = Process([WORKER, "--daemon", proxy.url, "--enrol", stack.enrolment_token(), *options], stack.root / "worker-unheard.log")
    stack.identified("unheard", 10)
    old = token_of_worker("unheard")
    act("unheard", "rotate")
    wait_for("the new token taken", lambda: silent[0] and not good(old), 40)
    process.kill()
    state = json.loads((folder / "worker.json").read_text())
    equal((state["worker_token"], len(state["next_worker_token"])), (old, 49), "what it knows")
    proxy.close()
    process = stack.workers["unheard"] = Process([WORKER, "--daemon", stack.url, *options], stack.root / "worker-unheard.log")
    wait_for("its new token", lambda: token_of_worker("unheard") == state["next_worker_token"], 20)
    wait_for("the board", lambda: device("unheard")["online"], 20)
    equal(json.loads((folder / "worker.json").read_text()).get("next_worker_token"), None, "nothing is pending")
    process.stop()


@test("rotation is asked only of workers that know it, and a new token must be one")
def bad_rotations():
    board = bed.board("too-old")
    problem(act("too-old", "rotate", 422), 422, "unsupported")
    for secret in ("", "x", "esp_w_short", board.client.token[:-1], 5, "s" * 1000):
        problem(board.post("rotate", {"worker_token": secret}), (400, 422), pointer="/worker_token")
    other = bed.board("other-one")
    problem(board.post("rotate", {"worker_token": other.client.token}), 409, "conflict", "/worker_token")
    api = bed.client().post("/tokens", {"kind": "api"}, 201)["token"]
    problem(board.post("rotate", {"worker_token": api}), (400, 409, 422), pointer="/worker_token")
    equal(board.post("rotate", {"worker_token": board.client.token}).status, 200, "its own again")
    equal(board.post("rotate", {"worker_token": SECRET + "2"}).status, 200, "a new one")
    problem(board.post("rotate", {"worker_token": SECRET + "3"}), 401)
    board.client.token = SECRET + "2"
    equal(board.post("rotate", {"worker_token": SECRET + "2"}).status, 200, "the same again, whose answer was lost")
    problem(bed.client().request("POST", "/devices/too-old/rotate", {"x": 1}), (400, 422), pointer="/x")
    for action in ("allow", "rotate", "revoke"):
        problem(bed.client().request("POST", f"/devices/nobody/{action}", {}), 404)


@test("a revoked token ends its worker at once; the board comes back by a new token, once that is allowed", 90)
def revoked():
    stack = bed.daemon()
    process = stack.start_worker("revoked", *bed.SIMULATED)
    profile = stack.enrolled("revoked", 10)
    wait_for("its noise floor", lambda: device("revoked")["noise"] is not None, 30)
    old = token_of_worker("revoked")
    stack.cli("device", "revoke", "revoked")
    equal(process.popen.wait(30), 3, "the worker's exit status")
    check("token" in process.log.read_text(), "its log", process.log.read_text())
    equal((good(old), device("revoked")["online"], device("revoked")["token_created_at"]), (False, False, None), "afterwards")
    (name,) = bed.ask(profile["id"])
    command = [WORKER, "--daemon", stack.url, "--state-dir", stack.root / "worker-revoked", "--salt", "revoked", *bed.SIMULATED]
    fresh = stack.enrolment_token()
    refused = Process([*command, "--enrol", fresh], stack.root / "worker-revoked.log")
    check(refused.popen.wait(20) == 1 and "device allow" in refused.log.read_text(), "it is refused", refused.log.read_text())
    stack.cli("device", "allow", "revoked")
    stack.workers["revoked"] = Process([*command, "--enrol", fresh], stack.root / "worker-revoked.log")
    bed.wait_state(name, "accepted", 40)
    equal(stack.profile_of("revoked")["id"], profile["id"], "its profile")


@test("an enrolment token comes from a file or from standard input, and is seen in no list of processes")
def token_files():
    stack = bed.daemon()
    path = stack.root / "token"
    for number, source in enumerate((path, "-")):
        token = stack.enrolment_token()
        path.write_text(f"  {token}\n")
        path.chmod(0o600)
        command = [WORKER, "--daemon", stack.url, "--state-dir", stack.root / f"file-{number}", "--salt", f"file-{number}", "--name", f"file-{number}", "--enrol-file", source, "--enrol-only"]
        done = subprocess.run([str(part) for part in command], stdin=path.open(), capture_output=True, text=True, timeout=30)
        equal(done.returncode, 0, f"status ({done.stderr})")
        check(device(f"file-{number}")["online"] is False, "it said goodbye", device(f"file-{number}"))
        check(token not in done.stderr, "its log", done.stderr)
    path.write_text(" \n")
    for source in (path, stack.root / "no-such-file", stack.root):
        done = subprocess.run([str(part) for part in [WORKER, "--daemon", stack.url, "--state-dir", stack.root / "file-x", "--enrol-file", source]], capture_output=True, text=True, timeout=30)
        check(done.returncode == 1 and "enrolment token" in done.stderr, "what it says", done)
