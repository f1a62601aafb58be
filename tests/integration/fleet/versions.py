"""Workers and daemons one version apart, and members that the other side does not know."""
import bed
import sound
from client import problem
from line import Line
from lines import start
from suite import check, equal, test


class Newer:
    """Adds members of a later version to every message of a played board."""

    def __init__(self, board):
        self.board = board
        self.post = board.post
        board.post = lambda path, body: self.post(path, {**body, "newer": {"list": [1, {"deep": None}]}, "power_mw": 3.5, "": "no name"})


@test("a worker of the protocol before, or of one after that speaks no other, is refused; nothing is stored")
def other_protocols():
    stack = bed.daemon()
    board = bed.board("versions")
    before = bed.rows("SELECT count(*), max(epoch) FROM devices"), bed.rows("SELECT count(*), sum(uses_left) FROM tokens")
    token = stack.enrolment_token(uses=1)
    before = bed.rows("SELECT count(*), max(epoch) FROM devices"), bed.rows("SELECT count(*), sum(uses_left) FROM tokens")
    for protocol in ([0], [2], [2, 3], ["1"], [1.5]):
        problem(board.post("connect", board.introduction(protocol=protocol)), 422, "unsupported_version", "/protocol")
        stranger = board.introduction(protocol=protocol, machine_id="machine-of-a-stranger", enrolment_token=token)
        problem(board.client.request("POST", "/worker/enrol", stranger), 422, "unsupported_version", "/protocol")
    equal((bed.rows("SELECT count(*), max(epoch) FROM devices"), bed.rows("SELECT count(*), sum(uses_left) FROM tokens")), before, "boards and tokens")


@test("a worker one version ahead, which says members that nobody knows, is a board like others")
def newer_worker():
    board = bed.board("ahead")
    Newer(board)
    answer = board.post("connect", board.introduction(protocol=[0, 1, 2]))
    equal(answer.status, 200, "connect")
    board._welcome(answer)
    (name,) = bed.ask(board.profile_id)
    lease = board.lease()
    equal((board.ack(lease).status, board.heartbeat(lease).status), (200, 200), "acknowledgement and heartbeat")
    message = board.result_of(lease, lease["items"][0])
    problem(board.send({**message, "status": "throttled"}), 422, "invalid_value", "/status")  # a word of a later version
    equal(board.send(message).status, 201, "the result")
    equal(board.post("goodbye", {"epoch": board.epoch}).status, 200, "goodbye")
    sound.drained([name])


@test("a worker one version behind, which says only what it must, is a board like others")
def older_worker():
    board = bed.board("behind")
    (name,) = bed.ask(board.profile_id)
    answer = board.post("lease", {"epoch": board.epoch})
    lease = answer.doc
    equal(board.post(f"leases/{lease['lease_id']}/ack", {"epoch": board.epoch}).status, 200, "acknowledgement")
    full = board.result_of(lease, lease["items"][0])
    message = {key: full[key] for key in ("lease_id", "measurement_id", "attempt", "idempotency_key", "status", "samples_us", "median_us", "low_us", "high_us", "mean_us", "sd_us", "n")}
    equal(board.send(message).status, 201, "the result")
    sound.drained([name])


@test("a worker at a daemon one version ahead, and at one behind, measures", 90)
def other_daemons():
    stack = bed.daemon()

    def ahead(path, doc):
        doc["newer"] = {"list": [1, {"deep": None}]}
        for item in doc.get("items", []):
            item["newer"] = True

    def behind(path, doc):  # one that knew neither of these
        for key in ("noise_by_lease", "rotate_token"):
            doc.pop(key, None)
        if "intervals" in doc:
            doc["intervals"] = {}
    for name, change in (("at-newer", ahead), ("at-older", behind)):
        line = Line(stack.port)
        line.change = change
        process, profile = start(name, line.url)
        names = bed.ask(profile, 2)
        sound.drained(names)
        check(process.running(), "the worker runs")
        check(bed.client().get(f"/devices/{name}")["noise"] is not None, "its noise floor is known")
        process.stop()
        line.close()
