"""Tokens by their scopes, and sessions of browsers. Named by another than a loopback name, a client counts as one beyond this machine."""
import re
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse

from client import problem
from stack import Stack
from suite import check, equal, once, test

NAME = "board.example"
SCOPES = ("read", "submit", "admin")
FAR = {"Host": NAME}


@once
def daemon():
    stack = Stack("signing-in").start("--allow-host", NAME)
    stack.add_space()
    return stack


@once
def tokens():
    return {scope: daemon().client.post("/tokens", {"kind": "api", "scope": scope, "label": f"a {scope}"}, 201) for scope in SCOPES}


def bearer(scope):
    return {**FAR, "Authorization": "Bearer " + tokens()[scope]["token"]}


def cookie_of(answer):
    """Name and value of the cookie that an answer sets, and its attributes."""
    pair, *attributes = answer.headers["set-cookie"].split("; ")
    return pair, attributes


def sign_in(scope, client=None):
    answer = (client or daemon().client).expect(201, "POST", "/session", {"token": tokens()[scope]["token"]}, FAR)
    return answer, {**FAR, "Cookie": cookie_of(answer)[0]}


# What stands for its kind, from the least scope that may: (scope, method, path, body). None of it changes anything for long.
ASKED = [
    ("read", "GET", "/jobs", None), ("read", "GET", "/metrics", None), ("read", "GET", "/session", None), ("read", "POST", "/spaces/tiny/sample", {"n": 1}),
    ("submit", "POST", "/uploads", {}), ("submit", "POST", "/jobs/none/cancel", {}), ("submit", "POST", "/searches", {}), ("submit", "POST", "/devices/none/check", {}), ("submit", "DELETE", "/uploads/none", None),
    ("admin", "DELETE", "/searches/none", None), ("admin", "DELETE", "/supernets/none", None), ("admin", "DELETE", "/datasets/none", None), ("admin", "DELETE", "/spaces/none", None), ("admin", "DELETE", "/devices/none", None), ("admin", "DELETE", "/profiles/none", None),
    ("admin", "POST", "/prune", {"kinds": ["all"]}), ("admin", "PATCH", "/devices/none", {"note": "x"}), ("admin", "POST", "/devices/none/revoke", {}), ("admin", "POST", "/devices/none/allow", {}), ("admin", "POST", "/devices/none/rotate", {}),
    ("admin", "GET", "/tokens", None), ("admin", "POST", "/tokens", {"kind": "enrolment"}), ("admin", "DELETE", "/tokens/none", None), ("admin", "GET", "/tokens/none", None),
]


@test("a token of a scope does what the scope says, and what is below it; the refusal names both scopes")
def scopes():
    client = daemon().client
    for headers_of in (bearer, lambda scope: sign_in(scope)[1]):
        for has in SCOPES:
            headers = headers_of(has)
            for needed, method, path, body in ASKED:
                answer = client.request(method, path, body, headers)
                if SCOPES.index(has) >= SCOPES.index(needed):
                    check(answer.status not in (401, 403), f"{has} asks {method} {path}", answer)
                else:
                    detail = problem(answer, 403, "forbidden")["detail"]
                    check(f'"{needed}"' in detail and f'"{has}"' in detail, f"{has} asks {method} {path}", detail)


@test("without a scope a token may submit; a wrong one is refused; enrolment tokens have none")
def default_scope():
    client = daemon().client
    equal(client.post("/tokens", {"kind": "api"}, 201)["scope"], "submit", "scope of a token that did not say")
    problem(client.request("POST", "/tokens", {"kind": "api", "scope": "root"}), 422, pointer="/scope")
    problem(client.request("POST", "/tokens", {"kind": "api", "scope": "worker"}), 422, pointer="/scope")
    problem(client.request("POST", "/tokens", {"kind": "enrolment", "scope": "admin"}), 422, pointer="/scope")
    equal(client.post("/tokens", {"kind": "enrolment"}, 201)["scope"], None, "scope of an enrolment token")
    equal(client.get(f"/tokens/{tokens()['read']['id']}")["scope"], "read", "scope as it is shown")
    made = daemon().cli("token", "add", "--scope", "read", "--label", "by hand").strip()
    equal(client.request("GET", "/session", headers={**FAR, "Authorization": "Bearer " + made}).doc["scope"], "read", "scope of a token of the command line")


@test("a token is exchanged for a cookie that no script reads and no other site sends")
def exchange():
    client = daemon().client
    problem(client.request("GET", "/session", headers=FAR), 401)
    answer, headers = sign_in("submit")
    pair, attributes = cookie_of(answer)
    check(re.fullmatch(rf"espalier-{daemon().port}=esp_s_[\w-]{{43}}", pair), "name and value", pair)
    equal(sorted(attributes), ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Strict"], "attributes")
    check("token" not in answer.doc or answer.doc["token"].startswith("tok_"), "the answer shows no secret", answer)
    who = client.expect(200, "GET", "/session", headers=headers).doc
    equal((who["by"], who["scope"], who["label"]), ("session", "submit", "a submit"), "who")
    equal(client.get("/session"), {"token": None, "label": "", "scope": "admin", "expires_at": None, "by": "loopback"}, "who asks from this machine")
    equal(client.expect(200, "GET", "/session", headers=bearer("read")).doc["by"], "token", "who asks by token")
    problem(client.request("POST", "/uploads", {}, {**headers, "Origin": "http://evil.example"}), 403, "forbidden")
    problem(client.request("POST", "/session", {"token": tokens()["read"]["token"]}, {**FAR, "Origin": "http://evil.example"}), 403, "forbidden")
    problem(client.request("GET", "/jobs", headers={**headers, "Authorization": "Bearer wrong"}), 401)
    problem(client.request("POST", "/worker/lease", {"epoch": 1, "wait_s": 0, "max_items": 1}, headers), 401)
    stored = sqlite3.connect(f"file:{daemon().data_dir}/espalier.db?mode=ro", uri=True).execute("SELECT group_concat(hash) FROM sessions").fetchone()[0]
    check(pair.split("=")[1] not in stored and len(stored) > 32, "hashes alone are stored")


@test("an Idempotency-Key is of the token that sends it: two clients do not share it, sessions of one token do")
def keys_of_tokens():
    client = daemon().client
    one, other = [client.post("/tokens", {"kind": "api", "scope": "admin"}, 201)["token"] for _ in range(2)]

    def post(headers, body=None):
        return client.request("POST", "/webhooks", body or {"url": "https://board.example/x"}, {**headers, "Idempotency-Key": "shared"})

    by_one, by_other = [{**FAR, "Authorization": "Bearer " + token} for token in (one, other)]
    first, second, local = post(by_one), post(by_other), post({})
    equal([first.status, second.status, local.status], [201] * 3, "three clients with the same key")
    equal(len({answer.doc["id"] for answer in (first, second, local)}), 3, "each has its own")
    equal(post(by_one).doc["id"], first.doc["id"], "a repeat of the first")
    problem(post(by_one, {"url": "https://board.example/y"}), 422)
    session = client.expect(201, "POST", "/session", {"token": one}, FAR)
    equal(post({**FAR, "Cookie": cookie_of(session)[0]}).doc["id"], first.doc["id"], "a session of the first's token")


@test("signing in with what is no person's token is refused at its field")
def bad_tokens():
    client = daemon().client
    for secret, status in (("wrong", 401), ("", 422), ("x" * 5000, 422), (7, 422), (None, 422), (client.post("/tokens", {"kind": "enrolment"}, 201)["token"], 403)):
        answer = client.request("POST", "/session", {"token": secret}, FAR)
        problem(answer, status, pointer="/token")
        check("set-cookie" not in answer.headers, "no cookie", answer.headers)
    problem(client.request("POST", "/session", {"token": "x", "remember": True}, FAR), 422, pointer="/remember")
    problem(client.request("POST", "/session", {"token": tokens()["read"]["token"]}, {**FAR, "Idempotency-Key": "a"}), 422)
    for value in ("wrong", "", "esp_s_" + "x" * 43, "x" * 3000):
        problem(client.request("GET", "/jobs", headers={**FAR, "Cookie": f"espalier-{daemon().port}={value}"}), 401)
    stale = {"Cookie": f"espalier-{daemon().port}=wrong"}
    equal(client.request("GET", "/jobs", headers=stale).status, 200, "a stale cookie on loopback")


@test("a session ends by signing out, with its token, with its time; a restart does not end it", 60)
def ends():
    client = daemon().client
    (_, one), (_, two) = sign_in("read"), sign_in("read")
    out = client.expect(204, "DELETE", "/session", headers=one)
    check("Max-Age=0" in out.headers["set-cookie"], "the browser forgets it", out.headers)
    problem(client.request("GET", "/jobs", headers=one), 401)
    client.expect(200, "GET", "/jobs", headers=two)
    made = client.post("/tokens", {"kind": "api", "scope": "read", "expires_in_s": 2}, 201)
    short = {**FAR, "Cookie": cookie_of(client.expect(201, "POST", "/session", {"token": made["token"]}, FAR))[0]}
    equal(client.expect(200, "GET", "/session", headers=short).doc["expires_at"], made["expires_at"], "when the session ends")
    daemon().restart()
    client = daemon().client
    client.expect(200, "GET", "/jobs", headers=two)
    time.sleep(2.1)
    problem(client.request("GET", "/jobs", headers=short), 401)
    gone = client.post("/tokens", {"kind": "api", "scope": "read"}, 201)
    cookie = {**FAR, "Cookie": cookie_of(client.expect(201, "POST", "/session", {"token": gone["token"]}, FAR))[0]}
    client.expect(200, "GET", "/jobs", headers=cookie)
    client.expect((200, 204), "DELETE", f"/tokens/{gone['id']}")
    problem(client.request("GET", "/jobs", headers=cookie), 401)


@test("a token has a bounded number of sessions: the oldest goes")
def bounded():
    client = daemon().client
    made = client.post("/tokens", {"kind": "api", "scope": "read"}, 201)
    sessions = [{**FAR, "Cookie": cookie_of(client.expect(201, "POST", "/session", {"token": made["token"]}, FAR))[0]} for _ in range(66)]
    equal([client.request("GET", "/jobs", headers=h).status for h in sessions[:3] + sessions[-1:]], [401, 401, 200, 200], "the oldest two of 66, the third, the newest")


def outlived():
    """Seconds that an event stream goes on when the session that opened it has ended."""
    _, headers = sign_in("read")
    with socket.create_connection(("127.0.0.1", daemon().port), timeout=30) as link:
        link.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {NAME}\r\nCookie: {headers['Cookie']}\r\n\r\n".encode())
        answer = HTTPResponse(link, method="GET")
        answer.begin()
        equal(answer.status, 200, "status of the stream")
        answer.read1()
        daemon().client.expect(204, "DELETE", "/session", headers=headers)
        begun = time.monotonic()
        while answer.read1():
            pass
    problem(daemon().client.request("GET", "/events", headers=headers), 401)
    return time.monotonic() - begun


@once
def stream():
    return ThreadPoolExecutor(1).submit(outlived)


@test("a session ends while an event stream is open (whose end is looked at last)")
def begin_stream():
    stream()


def register_end():
    @test("an event stream lasts as long as the session that opened it, and no longer than a heartbeat more", 60)
    def end_stream():
        seconds = stream().result(40)
        check(seconds < 25, "seconds until it ended", seconds)
