"""How clients come in beside loopback: the daemon's socket in the file system; and how often they may ask."""
import http.client
import json
import os
import socket
import stat
import time

from client import Answer, Client, problem
from stack import Process, Stack, WORKER
from starting import FromBeyond, own_address, refused
from suite import Skipped, check, equal, test, wait_for


class OverFile(Client):
    """A client of the socket at a path."""

    def __init__(self, path, token=None):
        super().__init__(0, token)
        self.path = path

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(self.path))
        heads = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            heads["Content-Type"] = "application/json"
        connection.request(method, "/api/v1" + path, body, {**heads, **(headers or {})})
        answer = connection.getresponse()
        try:
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()


@test("--socket: its owner is an administrator there, and with --tokens-on-loopback only there")
def by_file():
    stack = Stack("socket")
    path = stack.root / "espalier.sock"
    stack.start("--socket", path, "--tokens-on-loopback")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "the mode of the socket")
    inside = OverFile(path)
    equal(problem(stack.client.request("GET", "/jobs"), 401, "unauthorized")["detail"], "every request needs a token (--tokens-on-loopback)", "the words")
    problem(stack.client.request("POST", "/tokens", {"kind": "api"}), 401, "unauthorized")
    equal(inside.request("GET", "/session").doc["scope"], "admin", "the scope over the socket")
    problem(inside.request("GET", "/jobs", headers={"Host": "evil.example"}), 403)
    problem(inside.request("POST", "/tokens", '{"kind": "api"}', {"Origin": "http://evil.example"}), 403)
    problem(OverFile(path, "wrong").request("GET", "/jobs"), 401)
    made = stack.cli("token", "add", "--json", "--scope", "read", "--url", f"unix:{path}")
    token = json.loads(made)["token"]
    equal(Client(stack.port, token).request("GET", "/jobs").status, 200, "with a token on loopback")
    equal(stack.cli("job", "ls", "--no-headers", "--url", f"unix:{path}"), "", "the command line over the socket")
    stack.cli("job", "ls", "--url", f"unix:{stack.root}/none", status=5)
    stack.cli("job", "ls", "--url", "unix:", status=2)
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(10)
    stream.connect(str(path))
    stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    check(stream.recv(200).startswith(b"HTTP/1.1 200"), "events over the socket")
    stack.kill()
    check(path.exists(), "a killed daemon leaves its socket")
    stack.start()
    equal(inside.request("GET", "/jobs").status, 200, "after kill -9 and a start")
    stack.stop()
    check(not path.exists(), "a daemon that is stopped takes its socket away")


@test("without --socket there is one in the data folder, unless its path is too long or --socket none is said")
def by_default():
    stack = Stack("doors")
    stack.start()
    path = stack.data_dir / "socket"
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "the mode of the socket")
    equal(OverFile(path).request("GET", "/session").doc["scope"], "admin", "the scope over the socket")
    stack.stop()
    check(not path.exists(), "a daemon that is stopped takes its socket away")
    stack.start("--socket", "none")
    check(not path.exists(), "no socket is made")
    stack.stop()
    deep = Stack("d" * 100)
    deep.start()
    equal(deep.client.request("GET", "/jobs").status, 200, "a daemon whose folder has too long a path for a socket")
    check(not (deep.data_dir / "socket").exists(), "no socket is made there")
    deep.stop()


@test("--socket refuses a path that is too long, taken, or something else; and takes nothing of it away")
def bad_files():
    stack = Stack("sockets")
    other = stack.root / "file"
    other.write_text("mine")
    check("something else" in refused(stack, "--socket", other), "a file")
    equal(other.read_text(), "mine", "the file")
    check("characters" in refused(stack, "--socket", stack.root / ("x" * 120), expected=2), "a long path")
    taken = stack.root / "taken"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(taken))
        listener.listen()
        check("another program" in refused(stack, "--socket", taken), "a socket in use")
        check(taken.exists(), "the other's socket")


@test("--rate-limit: 429 with Retry-After for each token and address; workers and others are not held up")
def rates():
    address = own_address()
    if address is None or address.startswith("127."):
        raise Skipped("this machine has no address beyond loopback")
    stack = Stack("rates").start("--listen", "0.0.0.0", "--insecure-lan", "--rate-limit", "2", "--rate-limit-loopback", "0")
    tokens = [stack.client.post("/tokens", {"kind": "api"}, 201)["token"] for _ in range(2)]
    greedy, other, nobody = (FromBeyond(address, stack.port, token) for token in (*tokens, None))
    statuses = [greedy.request("GET", "/jobs") for _ in range(5)]
    equal([answer.status for answer in statuses], [200] * 4 + [429], "a burst of two seconds, then no more")
    equal([answer.headers["ratelimit-remaining"] for answer in statuses], ["3", "2", "1", "0", "0"], "RateLimit-Remaining")
    equal(statuses[0].headers["ratelimit-limit"], "4", "RateLimit-Limit")
    doc = problem(statuses[4], 429, "too_many_requests")
    equal(statuses[4].headers["retry-after"], "1", f"Retry-After of {doc}")
    equal(other.request("GET", "/jobs").status, 200, "another token")
    equal([nobody.request("GET", "/jobs").status for _ in range(5)], [401] * 4 + [429], "without a token")
    equal(nobody.request("GET", "/healthz").status, 429, "one address")
    equal(FromBeyond(address, stack.port, "wrong").request("GET", "/jobs").status, 429, "wrong tokens count for the address")
    time.sleep(1.05)
    equal(greedy.request("GET", "/jobs").status, 200, "after the time of Retry-After")
    for _ in range(20):
        check("ratelimit-limit" not in stack.client.expect(200, "GET", "/jobs").headers, "no limit on loopback")
    worker = stack.enrolment_token()
    process = Process([WORKER, "--daemon", f"http://{address}:{stack.port}", "--insecure-lan", "--state-dir", stack.root / "w", "--name", "w", "--enrol", worker], stack.root / "w.log")
    try:
        wait_for("the board", lambda: any(row["online"] for row in stack.client.items("/devices")), 20)
    finally:
        process.stop()


@test("--rate-limit-loopback: the same on this machine")
def local_rates():
    stack = Stack("local-rates").start("--rate-limit-loopback", "5")
    statuses = [stack.client.request("GET", "/jobs").status for _ in range(30)]
    check(200 in statuses and 429 in statuses, "some are refused", statuses)
    page = [stack.client.request("GET", "/").status for _ in range(30)]
    equal(set(page), {200}, "the page itself is not counted")
