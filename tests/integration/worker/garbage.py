"""Messages of workers that make no sense: each is a problem document, none changes a measurement."""
import bed
from client import problem
from suite import check, equal, test

VALUES = [None, True, -1, 1.5, 1e308, "", "x", "\u0001", "a" * 3000, [], [[]], [None], {}, {"a": {}}]
MEMBERS = {
    "connect": ["protocol", "machine_id", "name", "profiles", "fingerprint", "worker_version"],
    "lease": ["epoch", "wait_s", "max_items"],
    "leases/{lease}/ack": ["epoch", "estimate_s"],
    "leases/{lease}/heartbeat": ["epoch"],
    "leases/{lease}/release": ["epoch"],
    "results": ["lease_id", "measurement_id", "attempt", "idempotency_key", "status", "median_us", "low_us", "high_us", "mean_us", "sd_us", "n"],
    "noise": ["profile_id", "reference_us", "epoch"],
    "goodbye": ["epoch"],
}


def sound_message(board, lease, path):
    epoch = {"epoch": board.epoch}
    return {
        "connect": board.introduction(), "lease": {**epoch, "wait_s": 0, "max_items": 1}, "results": board.result_of(lease, lease["items"][0]),
        "noise": {**epoch, "profile_id": board.profile_id, "reference_us": [100.0, 101.0, 99.0]},
    }.get(path, {**epoch, "phase": "x", "done": 0, "total": 1, "estimate_s": 1, "reason": "x"})


def is_sound(member, value):
    """Values that mean something for this member; null stands for a member that is left out."""
    if value is None and member in ("wait_s", "max_items", "estimate_s", "epoch"):
        return member != "epoch"
    return (member in ("wait_s", "max_items", "estimate_s", "n") and isinstance(value, (int, float)) and not isinstance(value, bool)) or (member == "name" and value in ("x", "\u0001")) or (
        member == "worker_version" and isinstance(value, str)) or (member == "fingerprint" and isinstance(value, dict)) or (member in ("sd_us", "mean_us", "low_us") and value == 1.5)


@test("wrong types and values in every message of a worker are refused")
def wrong_values():
    board = bed.board("garbage")
    (name,) = bed.ask(board.profile_id)
    lease = board.lease()
    equal(board.ack(lease).status, 200, "the acknowledgement")
    wrong = []
    for path, members in MEMBERS.items():
        for member in members:
            for value in VALUES:
                if is_sound(member, value):
                    continue
                answer = board.post(path.format(lease=lease["lease_id"]), {**sound_message(board, lease, path), member: value})
                if not 400 <= answer.status < 500 or "problem" not in answer.headers.get("content-type", ""):
                    wrong.append(f"{path} {member}={str(value)[:40]!r}: {answer}")
                    if path in ("connect", "lease") or "release" in path:
                        return equal(wrong, [], "answers that are no problem documents")
    equal(wrong[:8], [], f"{len(wrong)} answers that are no problem documents")
    equal((bed.measurement(name)["state"], bed.counted(name)), ("running", 0), "the measurement")
    equal(board.send(board.result_of(lease, lease["items"][0])).status, 201, "the sound result")


@test("samples that are no times, too many of them, or results that contradict themselves are refused")
def bad_samples():
    board = bed.board("samples")
    (name,) = bed.ask(board.profile_id)
    lease = board.lease()
    board.ack(lease)
    sound = board.result_of(lease, lease["items"][0])
    for change in ({"samples_us": [1.0, -1.0]}, {"samples_us": [0]}, {"samples_us": ["1"]}, {"samples_us": "many"}, {"samples_us": {"a": 1}}, {"samples_us": [1] * 250_000}, {"samples_us": [1e300]},
                   {"median_us": sound["high_us"] * 2}, {"low_us": sound["high_us"] + 1}, {"median_us": -1}, {"n": 0}, {"status": "splendid"}):
        answer = board.send({**sound, **change})
        check(400 <= answer.status < 500, f"{str(change)[:60]} answers", answer)
    equal(bed.measurement(name)["state"], "running", "the measurement")
    equal(board.send({**sound, "a_later_member": [1, 2, 3]}).status, 201, "a sound one, with a member of a later version")


@test("bodies that are no JSON objects are refused on every route of workers")
def no_objects():
    board = bed.board("no-json")
    for path in [*MEMBERS, "enrol"]:
        for body in (b"", b"[]", b"null", b"{", b"\xff", b'{"epoch": 1, "epoch": 1}', b'{"epoch": ' + b"[" * 10_000):
            answer = board.client.request("POST", "/worker/" + path.format(lease="ls_x"), body)
            check(answer.status in (400, 413, 422), f"{path} {body[:20]!r} answers", answer)
            problem(answer, (400, 413, 422))
    equal(board.lease(), None, "the board is well")


@test("the noise of another board's profile cannot be set")
def foreign_noise():
    mine, other = bed.board("noise-a"), bed.board("noise-b")
    problem(mine.post("noise", {"epoch": mine.epoch, "profile_id": other.profile_id, "reference_us": [1.0, 2.0, 3.0]}), (403, 404, 410, 422))
