"""Webhooks: signed deliveries to a real receiver, what goes wrong there, and what a kill -9 may not lose."""
import base64
import contextlib
import hashlib
import hmac
import json
import sqlite3
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client import problem
from stack import Stack
from suite import at_end, check, equal, once, test, wait_for

QUICK = ("--webhook-timeout", "3s", "--webhook-retry", "50ms", "--webhook-attempts", "4")
EVERYTHING = {"url", "id", "label", "events", "kinds", "state", "disabled_reason", "pending", "last_success_at", "last_failure_at", "last_error", "created_at"}


class Receiver:
    """Takes deliveries on loopback; answer(path, n) gives the status of the n-th to a path, and may add headers or take its time."""

    def __init__(self):
        self.got = []  # (path, headers, body)
        self.answers = {}  # path -> function of n: status, or (status, headers, body)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, self.headers, body))
                answer = receiver.answers.get(self.path, lambda n: 204)(len(receiver.at(self.path)))
                status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, b"")
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass  # the daemon had heard enough

            do_GET = do_POST

            def log_message(self, *_words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        at_end(self.server.shutdown)

    def at(self, path):
        return [row for row in list(self.got) if row[0] == path]

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"


@once
def receiver():
    return Receiver()


@once
def stack():
    made = Stack("webhooks").start("--webhook-allow", "127.0.0.0/8", *QUICK)
    made.add_data()
    return made


def add(path, **body):
    return stack().client.post("/webhooks", {"url": receiver().url(path), **body}, 201)


def end_a_job(name):
    """A job that ends well, within a second."""
    made = stack().client.post("/datasets", {"name": name, "path": str(stack().root / "bars"), "validation": 100}, 202)
    return stack().wait_job(made["job"]["id"])


def delivery(hook, state, seconds=10):
    """The newest delivery of a webhook, as soon as it is in this state."""
    def found():
        rows = stack().client.items(f"/webhooks/{hook['id']}/deliveries")
        return rows and rows[0]["state"] == state and rows[0]
    return wait_for(f"a delivery that is {state}", found, seconds)


def remove(hook):
    stack().client.expect(204, "DELETE", f"/webhooks/{hook['id']}")


def verify(secret, headers, body):
    """As docs/API.md shows it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(expected, headers["webhook-signature"]) and abs(time.time() - int(headers["webhook-timestamp"])) < 300


@test("webhook: the end of a job is told once, signed, to those who asked for it")
def signed():
    hook, deaf, picky = add("/signed", label="mine"), add("/deaf", events=["job.failed"]), add("/picky", kinds=["search", "train"])
    equal(set(hook), EVERYTHING | {"secret"}, "a new webhook")
    job = end_a_job("told")
    row = delivery(hook, "delivered")
    path, headers, body = receiver().at("/signed")[0]
    check(verify(hook["secret"], headers, body), "the signature", headers)
    check(not verify(deaf["secret"], headers, body), "another secret's signature")
    check(not verify(hook["secret"], headers, body + b" "), "another body's signature")
    told = json.loads(body)
    equal((told["type"], told["id"], told["data"]["job"]["id"], told["data"]["job"]["state"]), ("job.done", row["event"], job["id"], "done"), "what is told")
    equal({key: told["data"]["job"][key] for key in ("kind", "subject", "result", "ended_at")}, {key: job[key] for key in ("kind", "subject", "result", "ended_at")}, "the job's facts")
    equal((headers["content-type"], headers["webhook-id"], row["job"], row["status"], row["attempts"]), ("application/json", row["id"], job["id"], 204, 1), "the delivery")
    equal(stack().client.get(f"/webhooks/{hook['id']}")["last_error"], None, "error of what went well")
    for other in (deaf, picky):
        equal(stack().client.items(f"/webhooks/{other['id']}/deliveries"), [], "deliveries of what was not asked for")
    check("secret" not in json.dumps(stack().client.get("/webhooks")), "secrets are shown once")
    for made in (hook, deaf, picky):
        remove(made)


@test("webhook: a redirect is not followed, a long answer is not read, an answer of 500 is tried again")
def answers():
    client, got = stack().client, receiver()
    got.answers["/moved"] = lambda n: (302, {"Location": got.url("/elsewhere")}, b"")
    got.answers["/flaky"] = lambda n: 500 if n < 3 else 200
    got.answers["/long"] = lambda n: (200, {"Content-Length": str(1 << 30)}, b"x" * (1 << 20))
    moved, flaky, long = add("/moved"), add("/flaky"), add("/long")
    client.post(f"/webhooks/{moved['id']}/test", {}, 202)
    check("redirects are not followed" in delivery(moved, "failed")["error"], "what is said of a redirect")
    end_a_job("answers")
    row = delivery(flaky, "delivered")
    equal((row["attempts"], len({headers["webhook-id"] for _, headers, _ in got.at("/flaky")})), (3, 1), "attempts, under one id")
    equal(delivery(long, "delivered")["status"], 200, "an answer that is too long counts by its status")
    row = delivery(moved, "failed")
    equal((row["status"], row["attempts"]), (302, 4), "the redirect")
    equal(got.at("/elsewhere"), [], "requests to where the redirect leads")
    for made in (moved, flaky, long):
        remove(made)


@test("webhook: one whose receiver takes nothing is disabled with the reason, and can be enabled again")
def disabled():
    client, got = stack().client, receiver()
    got.answers["/broken"] = lambda n: 503 if n <= 4 else 200
    hook = add("/broken")
    end_a_job("broken")
    wait_for("the end of its patience", lambda: client.get(f"/webhooks/{hook['id']}")["state"] == "disabled", 15)
    shown = client.get(f"/webhooks/{hook['id']}")
    check("503" in shown["disabled_reason"] and "4 attempts" in shown["disabled_reason"], "the reason", shown)
    check("503" in stack().cli("webhook", "show", hook["id"]), "the reason on the command line")
    problem(client.request("POST", f"/webhooks/{hook['id']}/test", {}), 409)
    end_a_job("unheard")
    equal(len(client.items(f"/webhooks/{hook['id']}/deliveries")), 1, "deliveries while it is disabled")
    equal(client.expect(200, "POST", f"/webhooks/{hook['id']}/enable", {}).doc["state"], "enabled", "state")
    equal(stack().cli("webhook", "test", hook["id"]).split(":")[0], "delivered", "the test")
    remove(hook)


@test("webhook: a receiver that does not answer holds up neither the daemon nor the other webhooks")
def slow():
    client, got = stack().client, receiver()
    released = threading.Event()
    got.answers["/slow"] = lambda n: released.wait(20) and 200 or 200
    slow_hook, quick_hook = add("/slow"), add("/quick")
    begun = time.monotonic()
    client.post(f"/webhooks/{slow_hook['id']}/test", {}, 202)
    wait_for("its request", lambda: got.at("/slow"))
    client.post(f"/webhooks/{quick_hook['id']}/test", {}, 202)
    delivery(quick_hook, "delivered", 2)
    longest = 0
    while time.monotonic() - begun < 2.7:
        asked = time.monotonic()
        client.get("/version")
        longest = max(longest, time.monotonic() - asked)
    check(longest < 1.5, "the API answers meanwhile", longest)
    row = delivery(slow_hook, "failed", 15)
    check("did not answer within 3 s" in row["error"] and row["duration_us"] < 9e6, "what is said of it", row)
    released.set()
    for made in (slow_hook, quick_hook):
        remove(made)


@test("webhook: a delivery whose outcome cannot be stored is not sent again, and is stored as soon as it can be")
def unstored():
    client, got = stack().client, receiver()
    hook, other = add("/unstored"), add("/awake")
    with contextlib.closing(sqlite3.connect(stack().database(), timeout=10, isolation_level=None)) as database:
        database.execute(f"CREATE TRIGGER full BEFORE UPDATE ON webhook_deliveries WHEN old.webhook = '{hook['id']}' BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
        try:
            client.post(f"/webhooks/{hook['id']}/test", {}, 202)
            wait_for("its request", lambda: got.at("/unstored"))
            time.sleep(0.5)
            for _ in range(3):  # each makes the daemon look for what is due
                client.post(f"/webhooks/{other['id']}/test", {}, 202)
                delivery(other, "delivered")
            equal(delivery(hook, "pending")["attempts"], 0, "attempts that are stored")
        finally:
            database.execute("DROP TRIGGER full")
    client.post(f"/webhooks/{other['id']}/test", {}, 202)
    row = delivery(hook, "delivered")
    equal((row["attempts"], row["status"], len(got.at("/unstored"))), (1, 204, 1), "the delivery, and how often it came")
    for made in (hook, other):
        remove(made)


@test("webhook: kill -9 between attempts and within one loses no delivery", 90)
def killed():
    got = receiver()
    down, held = threading.Event(), threading.Event()
    got.answers["/down"] = lambda n: 200 if down.is_set() else 500
    got.answers["/held"] = lambda n: 200 if n > 1 else (held.wait(5) and 200 or 200)
    slow_again = Stack("webhooks-killed").start("--webhook-allow", "127.0.0.1", "--webhook-timeout", "20s", "--webhook-retry", "1s", "--webhook-attempts", "9")
    client = slow_again.client
    hooks = [client.post("/webhooks", {"url": got.url(path)}, 201) for path in ("/down", "/held")]
    job = slow_again.add_data()["job"]
    wait_for("both first attempts", lambda: got.at("/down") and got.at("/held"))
    slow_again.kill()
    down.set()
    held.set()
    slow_again.start()
    for hook, path in zip(hooks, ("/down", "/held")):
        wait_for(f"the delivery to {path}", lambda: [row["state"] for row in slow_again.client.items(f"/webhooks/{hook['id']}/deliveries")] == ["delivered"], 20)
        rows = got.at(path)
        check(len(rows) >= 2, "it was sent again", len(rows))
        equal({headers["webhook-id"] for _, headers, _ in rows}, {slow_again.client.items(f"/webhooks/{hook['id']}/deliveries")[0]["id"]}, "ids that the receiver saw")
        check(all(verify(hook["secret"], headers, body) and json.loads(body)["data"]["job"]["id"] == job["id"] for _, headers, body in rows), "what it was sent")
    equal(slow_again.stop(10), 0, "the daemon's end")


@test("webhook: addresses that are not public are refused, by number and by name, unless they are listed")
def addresses():
    got = receiver()
    shut = Stack("webhooks-shut").start(*QUICK)
    client = shut.client
    for host in ("127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]", "224.0.0.1", "0x7f.1", "2130706433", "017700000001", "127.1"):
        detail = problem(client.request("POST", "/webhooks", {"url": f"http://{host}:{got.port}/shut"}), 422, pointer="/url")["detail"]
        check("--webhook-allow" in detail, f"what is said of {host}", detail)
    hook = client.post("/webhooks", {"url": got.url("/shut", "localhost")}, 201)
    done = shut.cli_run("webhook", "test", hook["id"])
    equal(done.returncode, 1, "exit code of a test that fails")
    check("is a loopback address" in done.stderr and "--webhook-allow" in done.stderr, "what a name leads to", done.stderr)
    equal(got.at("/shut"), [], "requests that came through")
    equal(shut.stop(10), 0, "the daemon's end")
    for wrong in ("10.0.0.1/8", "everything"):
        ended = subprocess.run([str(word) for word in shut.daemon_command("--webhook-allow", wrong)], capture_output=True, text=True, timeout=20)
        check(ended.returncode == 2 and "--webhook-allow" in ended.stderr, f"--webhook-allow {wrong}", ended)


@test("webhook: is changed, disabled, enabled and given a new secret")
def changed():
    client, got = stack().client, receiver()
    hook = add("/before", events=["job.done"], kinds=["dataset"])
    path = f"/webhooks/{hook['id']}"
    etag = client.expect(200, "GET", path).headers["etag"]
    stack().cli("webhook", "test", hook["id"])
    equal(client.expect(200, "GET", path).headers["etag"].split(".")[0], etag.split(".")[0], "a delivery is no change")
    shown = client.expect(200, "PATCH", path, {"url": got.url("/after"), "label": "moved", "events": ["job.failed", "device.offline"], "kinds": None}, {"If-Match": etag}).doc
    equal((shown["url"], shown["label"], shown["events"], shown["kinds"]), (got.url("/after"), "moved", ["job.failed", "device.offline"], None), "what was changed")
    problem(client.request("PATCH", path, {"label": "late"}, {"If-Match": etag}), 412)
    equal(client.expect(200, "PATCH", path, {"events": None}).doc["label"], "moved", "what was not named stays")
    for body, pointer in (({"url": "ftp://example.org/"}, "/url"), ({"url": "http://10.0.0.1/"}, "/url"), ({"url": None}, "/url"), ({"label": None, "events": []}, "/label"), ({"events": []}, "/events"), ({"state": None}, "/state"), ({"kinds": ["lunch"]}, "/kinds/0"), ({"state": "gone"}, "/state"), ({"secret": "mine"}, "/secret")):
        problem(client.request("PATCH", path, body), (400, 422), pointer=pointer)
    equal(client.get(path)["url"], got.url("/after"), "what a refused change leaves")
    problem(client.request("PATCH", "/webhooks/wh_none", {"label": "x"}), 404)
    problem(client.request("POST", "/webhooks/wh_none/rotate", {}), 404)
    secret = client.expect(200, "POST", path + "/rotate", {}).doc["secret"]
    stack().cli("webhook", "test", hook["id"])
    _, headers, body = got.at("/after")[-1]
    check(verify(secret, headers, body) and not verify(hook["secret"], headers, body), "the new secret signs alone")
    stack().cli("webhook", "disable", hook["id"])
    equal(client.get(path)["disabled_reason"], "somebody disabled it", "why it is disabled")
    problem(client.request("POST", path + "/test", {}), 409)
    stack().cli("webhook", "enable", hook["id"])
    stack().cli("webhook", "set", hook["id"], "--label", "again", "--kinds", "search", "--events", "all")
    shown = client.get(path)
    equal((shown["label"], shown["kinds"], shown["events"], shown["state"]), ("again", ["search"], None, "enabled"), "what the command line set")
    check("whsec_" in stack().cli("webhook", "rotate", hook["id"]), "the secret is printed")
    equal(stack().cli_run("webhook", "set", hook["id"]).returncode, 2, "nothing to change")
    remove(hook)


@test("webhook: bodies are strict, urls http or https, only an administrator may")
def strict():
    client = stack().client
    good = "https://example.org/hook"
    for body, pointer in (({}, "/url"), ({"url": 7}, "/url"), ({"url": ""}, "/url"), ({"url": "example.org/no scheme"}, "/url"), ({"url": "ftp://example.org/"}, "/url"), ({"url": "file:///etc/passwd"}, "/url"),
                          ({"url": "https://me:secret@example.org/"}, "/url"), ({"url": "https://example.org/#x"}, "/url"), ({"url": "https://" + "x" * 2000}, "/url"), ({"url": "https://example.org/\r\nX: y"}, "/url"),
                          ({"url": good, "events": []}, "/events"), ({"url": good, "events": ["job.started"]}, "/events/0"), ({"url": good, "events": ["job.done", "job.done"]}, "/events/1"), ({"url": good, "events": [7]}, "/events/0"),
                          ({"url": good, "kinds": ["search", "lunch"]}, "/kinds/1"), ({"url": good, "kinds": "search"}, "/kinds"), ({"url": good, "label": "x" * 65}, "/label"), ({"url": good, "secret": "mine"}, "/secret")):
        problem(client.request("POST", "/webhooks", body), (400, 422), pointer=pointer)
    first = client.expect(201, "POST", "/webhooks", {"url": good}, {"Idempotency-Key": "a-webhook"}).doc
    again = client.expect(201, "POST", "/webhooks", {"url": good}, {"Idempotency-Key": "a-webhook"}).doc
    equal((again["id"], again["secret"]), (first["id"], None), "the repeated request")
    for path in ("/webhooks/wh_none", "/webhooks/wh_none/deliveries"):
        problem(client.request("GET", path), 404)
    for word in ("test", "enable"):
        problem(client.request("POST", f"/webhooks/wh_none/{word}", {}), 404)
        problem(client.request("POST", f"/webhooks/{first['id']}/{word}", {"x": 1}), (400, 422), pointer="/x")
    problem(client.request("GET", f"/webhooks/{first['id']}/deliveries?state=lost"), (400, 422))
    token = client.post("/tokens", {"kind": "api", "scope": "submit"}, 201)["token"]
    for method, path, body in (("GET", "/webhooks", None), ("POST", "/webhooks", {"url": good}), ("GET", f"/webhooks/{first['id']}", None), ("POST", f"/webhooks/{first['id']}/test", {}), ("GET", f"/webhooks/{first['id']}/deliveries", None)):
        problem(client.request(method, path, body, {"Authorization": "Bearer " + token, "Host": f"localhost:{stack().port}"}), (401, 403))
    remove(first)
    problem(client.request("DELETE", f"/webhooks/{first['id']}"), 404)


@test("webhook: the command line adds, lists, tests and removes")
def by_hand():
    made = json.loads(stack().cli("webhook", "add", receiver().url("/hand"), "--label", "hand", "--events", "job.done,job.failed", "--kinds", "dataset", "--json"))
    check(made["secret"].startswith("whsec_"), "the secret", made)
    check("hand" in stack().cli("webhook", "ls"), "the list")
    check(stack().cli("webhook", "test", made["id"]).startswith("delivered: the receiver answered 204"), "the test")
    equal(json.loads(receiver().at("/hand")[0][2])["type"], "webhook.test", "type of a test")
    check("webhook.test" in stack().cli("webhook", "deliveries", made["id"]), "the deliveries")
    stack().cli("webhook", "enable", made["id"])
    stack().cli("webhook", "rm", made["id"])
    stack().cli("webhook", "show", made["id"], status=3)
    done = stack().cli_run("webhook", "add", receiver().url("/hand"), "--events", "job.over")
    check(done.returncode != 0 and "events" in done.stderr, "a type that there is not", done.stderr)
