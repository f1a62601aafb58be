"""The table "Bad input" of docs/API.md: each of its rows is tried, and gets the status that stands there."""
import json
import re
import select
import socket
import time
from pathlib import Path

import bed
from client import problem, raw, read_all
from stack import Stack
from suite import ROOT, check, equal, once, test

HTML = '<img src=x onerror="document.title=1"><script>alert(1)</script>'[:64]
TOKEN = {"kind": "enrolment", "uses": 1, "label": "bad-input"}


@once
def documented():
    """Row -> its statuses, as docs/API.md has them; 0: closed without an answer."""
    text = Path(ROOT / "docs/API.md").read_text().split("## Bad input", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (?!what \|)(.*?) \| (.*?) \|", text, re.M)
    return {what: {0 if word == "closed" else int(word) for word in re.findall(r"\b[1-5]\d\d\b|closed", status)} for what, status in rows if not what.startswith("--")}


def status_of(answer):
    """Of raw bytes: 0 when the connection was closed without an answer."""
    return int(answer.split()[1]) if answer else 0


def request(head, body=b"", method="POST", path="/api/v1/tokens", length=None):
    text = f"{method} {path} HTTP/1.1\r\nHost: localhost:{bed.daemon().port}\r\n{head}Content-Length: {len(body) if length is None else length}\r\nConnection: close\r\n\r\n"
    return text.encode() + body


JSON = "Content-Type: application/json\r\n"


def post(body, headers=None, path="/tokens"):
    answer = bed.client().request("POST", path, body, headers)
    if answer.status >= 400:
        problem(answer, answer.status)
    return answer.status


def unknown_member():
    answer = bed.client().request("POST", "/tokens", {**TOKEN, "lable": "x"})
    check('did you mean "label"?' in problem(answer, answer.status, pointer="/lable")["detail"], "a word that is near", answer)
    return answer.status


def other_body_under_a_key():
    key = {"Idempotency-Key": "bad-input"}
    equal(post(TOKEN, key), 201, "the first")
    return post({**TOKEN, "label": "other"}, key)


def stale_etag():
    client = bed.client()
    made = client.post("/tokens", TOKEN, 201)
    answer = client.request("DELETE", f"/tokens/{made['id']}", headers={"If-Match": '"stale"'})
    problem(answer, answer.status, "precondition_failed")
    return answer.status


def half_closed(data, seconds=10):
    """What comes when the client sends this and then closes its sending half."""
    with socket.create_connection(("127.0.0.1", bed.daemon().port), timeout=seconds) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        return status_of(read_all(link))


def name_with_html():
    """It is kept as text, and what answers it can be taken for nothing but JSON."""
    client = bed.client()
    made = client.expect(201, "POST", "/tokens", {**TOKEN, "label": HTML})
    answer = client.expect(200, "GET", f"/tokens/{made.doc['id']}")
    equal(answer.doc["label"], HTML, "the label")
    equal((answer.headers["content-type"], answer.headers["x-content-type-options"]), ("application/json", "nosniff"), "what it is")
    answer = client.request("GET", f"/tokens/{HTML.replace(' ', '%20').replace('/', '%2F').replace('<', '%3C').replace('>', '%3E')}")
    equal((answer.headers["content-type"], answer.headers["x-content-type-options"]), ("application/problem+json", "nosniff"), "a refusal that names it")
    return made.status


def cursor_of_other_list():
    answer = bed.client().request("GET", "/datasets?after=" + bed.client().items("/jobs")[0]["id"])
    problem(answer, answer.status)
    return answer.status


def cursor_of_other_filter():
    """A cursor is a place in the order of the list, whatever the filter: what follows is what the new one lets through."""
    client = bed.client()
    jobs = client.items("/jobs")
    place = next(job["id"] for job in jobs if job["kind"] == "train")
    answer = client.expect(200, "GET", f"/jobs?kind=dataset&after={place}")
    equal([row["id"] for row in answer.doc["items"]], [job["id"] for job in jobs if job["kind"] == "dataset" and job["id"] < place], "what follows")
    return answer.status


def unknown_parameter():
    statuses = {problem(bed.client().request("GET", f"/tokens?{query}"), 400, "malformed", f"?{name}")["status"] for query, name in (("no_such=1", "no_such"), ("after=1&after=2", "after"), ("page_size=0", "page_size"), ("after=x", "after"), ("after", "after"), ("page_size=5&after", "after"))}
    return statuses.pop()


def beyond_doubles():
    answer = bed.client().request("POST", "/tokens", b'{"kind": "enrolment", "uses": 9007199254740993}')
    problem(answer, answer.status, "malformed", "/uses")
    return answer.status


def no_object():
    statuses = {post(body) for body in (b"", b" ", b"[]", b"1", b"null", b'{"kind": "api", "kind": "api"}')}
    equal(len(statuses), 1, "one status")
    return statuses.pop()


def too_much():
    statuses = {post(body) for body in (b'{"a":' * 33 + b"1" + b"}" * 33, b'{"a": [' + b"1," * 200_000 + b"1]}")}
    equal(len(statuses), 1, "one status")
    return statuses.pop()


def unknown_series():
    client, path = bed.client(), f"/supernets/{bed.supernet()}/metrics?series="
    for known in ("loss", "loss,top1/largest/raw", "gradient_norm/stem,gradient_norm/stage_7,gradient_norm/head"):
        client.expect(200, "GET", path + known)
    for wrong in ("", "loss,", "phase/train", "gradient_norm/stage_0", "gradient_norm/stage_1x", "x" * 100):
        problem(client.request("GET", path + wrong), 400, "malformed")
    answer = client.request("GET", path + "loss,lss")
    check('no series "lss"; did you mean "loss"?' in problem(answer, answer.status)["detail"], "a word that is near", answer)
    return answer.status


def other_types():
    statuses = {post(TOKEN, {"Content-Type": kind}) for kind in ("text/plain", "application/json; charset=latin1")}
    equal(len(statuses), 1, "statuses")
    return statuses.pop()


CASES = {
    "an unknown member of a body": unknown_member,
    "an unknown or repeated parameter of the query, or one without `=` and a value": unknown_parameter,
    "a value of the wrong type, or beyond its range": lambda: post({**TOKEN, "uses": "1"}),
    "an integer beyond 2^53": beyond_doubles,
    "a body that is empty or no JSON object, or has repeated members": no_object,
    "a body that is nested deeper than 32, or has more than 200,000 values": too_much,
    "a body that is no UTF-8": lambda: post(b'{"kind": "api", "label": "\xff"}'),
    "another Content-Type, or a charset other than UTF-8": other_types,
    "two different Content-Length in one request": lambda: status_of(raw(bed.daemon().port, request(JSON + "Content-Length: 9\r\n", json.dumps(TOKEN).encode()))),
    "a body that is too large for its path": lambda: post(b'{"label": "' + b"x" * (1 << 20) + b'"}'),
    "a head (request line and headers) of more than about 40 KiB": lambda: status_of(raw(bed.daemon().port, request(f"X: {'a' * 60_000}\r\n", method="GET", path="/healthz"))),
    "a connection that was closed half way: its request was whole": lambda: half_closed(request(JSON, json.dumps(TOKEN).encode())),
    "a connection that was closed half way: its request was not whole": lambda: half_closed(request(JSON, b'{"kind": "api", "label": "half', length=100)),
    "an ETag in If-Match that is stale": stale_etag,
    "an Idempotency-Key that came with another body or query": other_body_under_a_key,
    "a cursor of another list, or garbage": cursor_of_other_list,
    "a cursor of the same list with another filter": cursor_of_other_filter,
    "a POST, PATCH or DELETE from a page of another origin": lambda: post(TOKEN, {"Origin": "http://evil.example"}),
    "a Host that is no name of the daemon": lambda: bed.client().request("GET", "/jobs", headers={"Host": "evil.example"}).status,
    "a series of metrics that no training has": unknown_series,
    "HTML in a name or label": name_with_html,
}
MAKE_ONE_FIRST = {other_body_under_a_key, stale_etag}
# Tried in tests of their own, as they take long or need a daemon of their own: the file and the title of the test.
OF_CANDIDATES = ("api/searches.py", "a search runs to its front: predicted, evaluated and measured values, events and cursors")
ELSEWHERE = {
    "a number as the cursor of all candidates of another search, or of another supernet's pins": OF_CANDIDATES,
    "a cursor of candidates with other conditions or another order": OF_CANDIDATES,
    "a metric, condition or strategy of a query that the search does not have": OF_CANDIDATES,
    "a head that takes longer than 15 s, or a body longer than 60 s": ("faults/slow_clients.py", "a client that sends its head or body too slowly is cut off when the table says"),
    "more connections than one address may hold": ("faults/slow_clients.py", "connections of one address are capped, and the others are served again afterwards"),
    "bodies of all requests together beyond 64 MiB": ("api/bad_input.py", "bad input: bodies of all requests together beyond 64 MiB"),
}


@test("each row of the table of bad input in docs/API.md is tried")
def whole():
    equal(set(documented()), set(CASES) | set(ELSEWHERE), "rows of docs/API.md")
    for row, (file, title) in ELSEWHERE.items():
        check(f'@test("{title}"' in Path(ROOT / "tests/integration" / file).read_text(), "the row has its test", row, file, title)


for name, case in CASES.items():
    @test(f"bad input: {name}")
    def run(what=name, try_it=case):
        bed.supernet()
        before = len(bed.client().items("/tokens"))
        status = try_it()
        check(status in documented()[what], f"{what}: the status", status, "not", documented()[what])
        if status >= 400 or status == 0:
            equal(len(bed.client().items("/tokens")) - before, 1 if try_it in MAKE_ONE_FIRST else 0, "tokens made")
        bed.client().get("/healthz")


@test("bad input: requests that end before they are whole are let go of within a second or so")
def half_open():
    for what, data in (("nothing", b""), ("half a head", b"GET /healthz HTTP/1.1\r\nHo"), ("no body", request(JSON, length=10)), ("half a chunk", request(JSON).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"10\r\n{")):
        begun = time.monotonic()
        equal(half_closed(data), 0, what)
        check(time.monotonic() - begun < 9, f"{what}: after", time.monotonic() - begun)


def memory_kb(stack):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{stack.daemon.pid}/status").read_text()).group(1))


def answers(links, enough, seconds):
    """The first bytes of each link that has answered by then, or when enough have."""
    got, until = {}, time.monotonic() + seconds
    while len(got) < enough and time.monotonic() < until:
        for link in select.select([link for link in links if link not in got], [], [], 0.2)[0]:
            try:
                got[link] = link.recv(4096)
            except OSError:
                got[link] = b""
    return got


@test("bad input: bodies of all requests together beyond 64 MiB")
def many_bodies():
    stack = Stack("bodies").start()
    before = memory_kb(stack)
    piece, links = b'{"label": "' + b"x" * 1_000_000, []
    head = f"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost:{stack.port}\r\nContent-Type: application/json\r\nContent-Length: 1048000\r\n\r\n".encode()
    for _ in range(160):
        link = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
        links.append(link)
        try:
            link.sendall(head + piece)
        except OSError:
            pass
    got = answers(links, 80, 20)
    refused = [text for text in got.values() if text.startswith(b"HTTP/1.1 503")]
    check(len(refused) >= 80 and len(refused) == len([text for text in got.values() if text]), "refused, of 160 MB", len(refused), list(got.values())[:2])
    check(503 in documented()["bodies of all requests together beyond 64 MiB"], "the documented status")
    check(b"\r\nRetry-After: 1\r\n" in refused[0] and b'"code":"busy"' in refused[0], "the refusal", refused[0])
    check(memory_kb(stack) - before < 160 << 10, "memory that it cost (kB)", memory_kb(stack) - before)
    stack.client.get("/healthz")
    for link in links:
        link.close()
    stack.client.expect(201, "POST", "/tokens", {**TOKEN, "label": "afterwards"})
    stack.stop()


@test("heads that are never whole cost bounded memory")
def many_heads():
    stack = Stack("heads").start()
    before = memory_kb(stack)
    links = []
    for _ in range(250):
        link = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
        link.sendall(f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {'a' * 30_000}".encode())
        links.append(link)
    time.sleep(0.5)
    check(memory_kb(stack) - before < 250 * 64, "memory that 250 of them cost (kB)", memory_kb(stack) - before)
    stack.client.get("/healthz")
    for link in links:
        link.close()
    stack.stop()
