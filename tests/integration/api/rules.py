"""Rules that hold for every request: who may ask, in which form, how lists and repeats work."""
import http.client
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import bed
import data
from client import problem, raw
from stack import DAEMON
from suite import check, equal, once, test, wait_for

TOKEN = {"kind": "api", "label": "rules"}


@test("Content-Type must be application/json")
def content_type():
    client = bed.client()
    for kind in (None, "application/json; charset=latin1", 'application/json; charset="utf-16"', "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data; boundary=x"):
        problem(client.request("POST", "/tokens", TOKEN, {"Content-Type": kind}), 415, "unsupported_media_type")
    for kind in ("application/json", "Application/JSON; charset=utf-8"):
        client.expect(201, "POST", "/tokens", TOKEN, {"Content-Type": kind})


@test("a path that is none is 404, with a slash behind one that is too; only the dashboard's own files are served beside the API")
def no_such_path():
    client, port = bed.client(), bed.daemon().port

    def get(path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer = (answer.status, answer.read())
        connection.close()
        return answer
    for path in ("/healthz/", "/metrics/", "/nosuch", "/searches", "/index", "/index.html/", "//"):
        status, text = get(path)
        equal((status, json.loads(text)["code"]), (404, "not_found"), path)
    for path in ("/", "/index.html", "/healthz", "/metrics"):
        equal(get(path)[0], 200, path)
    said = problem(client.request("GET", "/events", headers={"Last-Event-ID": "abc"}), 400, "malformed")["detail"]
    equal(said, 'the header Last-Event-ID must be the id of an event, from 0 on, not "abc"', "what is wrong with a header")


@test("Host must be a name of this daemon (DNS rebinding)")
def host():
    client, port = bed.client(), bed.daemon().port
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "127.0.0.1:8x", "0x7f.1", "10.0.0.1"):
        for method, path, body in (("GET", "/jobs", None), ("POST", "/tokens", TOKEN), ("GET", "/api/v1/events", None), ("GET", "/", None)):
            answer = client.request(method, path, body, {"Host": name})
            check(answer.status in (400, 403), f"{method} {path} with Host {name!r}", answer)
    for name in ("localhost", f"localhost:{port}", "127.0.0.1", "[::1]", f"[::1]:{port}"):
        client.expect(200, "GET", "/jobs", headers={"Host": name})
    answer = raw(port, b"GET /api/v1/jobs HTTP/1.1\r\nConnection: close\r\n\r\n")
    check(answer.split()[1] in (b"400", b"403"), "without Host", answer[:200])


@test("pages of another origin can neither write nor read answers")
def origin():
    client, port = bed.client(), bed.daemon().port
    for value in ("http://evil.example", "null", f"http://localhost.evil.example:{port}", f"http://127.0.0.1:{port + 1}", "file://", ""):
        problem(client.request("POST", "/tokens", TOKEN, {"Origin": value}), 403, "forbidden")
        problem(client.request("DELETE", "/tokens/tok_x", None, {"Origin": value}), 403, "forbidden")
    problem(client.request("POST", "/tokens", TOKEN, {"Sec-Fetch-Site": "cross-site"}), 403, "forbidden")
    client.expect(201, "POST", "/tokens", TOKEN, {"Origin": f"http://127.0.0.1:{port}", "Host": f"127.0.0.1:{port}"})
    answer = client.expect(200, "GET", "/jobs", headers={"Origin": "http://evil.example"})
    check("access-control-allow-origin" not in answer.headers, "no CORS header", answer.headers)
    equal(answer.headers.get("cross-origin-resource-policy"), "same-origin", "resource policy")


@test("an ETag names what was answered: 304 while it holds")
def etags():
    client = bed.client()
    supernet, profile = bed.supernet(), bed.profile()
    for path in (f"/supernets/{supernet}", "/spaces/tiny", "/datasets/bars", f"/profiles/{profile}", "/jobs", "/searches", f"/supernets/{supernet}/checkpoints"):
        first = client.expect(200, "GET", path)
        etag = first.headers["etag"]
        equal(first.headers["cache-control"], "private, no-cache", f"{path}: it may be kept, and is asked for again")
        check(etag.startswith('"') and etag.endswith('"') and len(etag) >= 34, f"{path}: a strong ETag", etag)
        for header in (etag, "W/" + etag, f'"other", {etag}', etag[:-1] + '-gzip"', "*"):
            answer = client.expect(304, "GET", path, headers={"If-None-Match": header})
            equal((answer.body, answer.headers["etag"].replace("-gzip", ""), answer.headers["cache-control"]), (b"", etag, "private, no-cache"), f"{path}, {header}")
        for header in ('"other"', etag[1:-1], etag[:-2] + '"', f"'{etag[1:-1]}'", '"', "W/", ""):
            equal(client.expect(200, "GET", path, headers={"If-None-Match": header}).body, first.body, f"{path}, {header}")
    listed = client.expect(200, "GET", "/tokens").headers["etag"]
    made = client.expect(201, "POST", "/tokens", TOKEN)
    equal((made.headers["cache-control"], made.headers.get("etag")), ("no-store", None), "what tells a secret is not kept")
    equal(client.expect(404, "GET", "/tokens/tok_none").headers["cache-control"], "no-store", "nor is a refusal")
    check(client.expect(200, "GET", "/tokens", headers={"If-None-Match": listed}).headers["etag"] != listed, "a longer list has another ETag")
    page = client.expect(200, "GET", "/", headers={"Accept-Encoding": "gzip"})
    plain = client.expect(200, "GET", "/")
    check(page.headers["etag"] != plain.headers["etag"], "compressed bytes have an ETag of their own", page.headers["etag"])
    for answer in (page, plain):
        equal(client.expect(304, "GET", "/", headers={"If-None-Match": answer.headers["etag"]}).body, b"", "the page")


@test("If-Match: of two who change a board the later is told; stale ETags delete nothing")
def if_match():
    client = bed.client()
    board = client.get(f"/profiles/{bed.profile()}")["device"]
    path = f"/devices/{board}"
    first = client.expect(200, "GET", path).headers["etag"]
    changed = client.expect(200, "PATCH", path, {"note": "mine"}, {"If-Match": first})
    second = changed.headers["etag"]
    check(second.split(".")[0] != first.split(".")[0], "the note is part of the state", first, second)
    for stale in (first, '"other"', "W/" + second, second.split(".")[0], "", second[:20] + '"'):
        problem(client.request("PATCH", path, {"note": "theirs"}, {"If-Match": stale}), 412, "precondition_failed")
        problem(client.request("DELETE", path, None, {"If-Match": stale}), 412, "precondition_failed")
    equal(client.get(path)["note"], "mine", "the note")
    problem(client.request("PATCH", path, {"note": "theirs"}, {"If-Match": '"' + "x" * 3000 + '"'}), 400)
    for good in ("*", f'"other", {second}'):
        client.expect(200, "PATCH", path, {"note": "mine"}, {"If-Match": good})
    client.expect(200, "PATCH", path, {"note": ""}, {"If-Match": second})
    problem(client.request("DELETE", "/tokens/tok_none", None, {"If-Match": "*"}), 404)
    made = client.post("/tokens", TOKEN, 201)
    etag = client.expect(200, "GET", f"/tokens/{made['id']}").headers["etag"]
    problem(client.request("DELETE", f"/tokens/{made['id']}", None, {"If-Match": first}), 412)
    client.expect(204, "DELETE", f"/tokens/{made['id']}", None, {"If-Match": etag})


@test("If-Match of an action: nothing is done when the resource has changed since")
def if_match_of_actions():
    client = bed.client()
    board = client.get(f"/profiles/{bed.profile()}")["device"]
    etag = client.expect(200, "GET", f"/devices/{board}").headers["etag"]
    equal(client.expect(200, "PATCH", f"/devices/{board}", {"note": "changed"}).headers["cache-control"], "no-store", "a change is not kept")
    problem(client.request("POST", f"/devices/{board}/allow", {}, {"If-Match": etag}), 412, "precondition_failed")
    check(not client.get(f"/devices/{board}")["allowed"], "nobody is let in")
    client.expect(200, "PATCH", f"/devices/{board}", {"note": ""})
    client.expect(200, "POST", f"/devices/{board}/allow", {}, {"If-Match": etag})
    job = client.items("/jobs")[-1]["id"]
    etag = client.expect(200, "GET", f"/jobs/{job}").headers["etag"]
    problem(client.request("POST", f"/jobs/{job}/cancel", {}, {"If-Match": '"other"'}), 412, "precondition_failed")
    problem(client.request("POST", f"/jobs/{job}/cancel", {}, {"If-Match": etag}), 409)
    problem(client.request("POST", "/jobs/job_none/cancel", {}, {"If-Match": "*"}), 404)


@test("a token that is sent must be good, also on loopback")
def tokens_checked():
    client = bed.client()
    for value in ("Bearer wrong", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer " + "x" * 5000):
        problem(client.request("GET", "/jobs", headers={"Authorization": value}), 401, "unauthorized")
    made = client.post("/tokens", TOKEN, 201)
    headers = {"Authorization": "Bearer " + made["token"]}
    client.expect(200, "GET", "/jobs", headers=headers)
    enrolment = client.post("/tokens", {"kind": "enrolment"}, 201)
    problem(client.request("GET", "/jobs", headers={"Authorization": "Bearer " + enrolment["token"]}), (401, 403))
    check(all("token" not in row for row in client.items("/tokens")), "tokens are listed without their secrets")
    client.expect((200, 204), "DELETE", f"/tokens/{made['id']}")
    problem(client.request("GET", "/jobs", headers=headers), 401, "unauthorized")


@test("unknown members of a body are refused, with their pointer")
def unknown_members():
    client = bed.client()
    bodies = {
        "/datasets": {"name": "n", "path": str(bed.daemon().root)},
        "/spaces": data.space(name="unknown-member"),
        "/supernets": {"name": "n", "space": "tiny", "dataset": "bars", "train": bed.TRAIN},
        f"/supernets/{bed.supernet()}/train": {"train": bed.TRAIN},
        "/spaces/tiny/sample": {"n": 10},
        "/evaluations": {"supernet": bed.supernet(), "archs": [bed.SMALL_ARCH]},
        "/searches": bed.search_body("n"),
        "/exports": {"supernet": bed.supernet(), "arch": bed.SMALL_ARCH, "format": "onnx"},
        "/tokens": TOKEN,
        "/tables": {"profile": bed.profile(), "space": "tiny"},
        "/measurements": {"profile": bed.profile(), "space": "tiny", "archs": [bed.SMALL_ARCH]},
    }
    for path, body in bodies.items():
        problem(client.request("POST", path, {**body, "no_such_member": 1}), (400, 422), pointer="/no_such_member")
    device = client.items("/devices")[0]["id"]
    problem(client.request("PATCH", f"/devices/{device}", {"no_such_member": 1}), (400, 422), pointer="/no_such_member")
    body = bed.search_body("n", objectives=[{"metric": "top1", "direction": "maximise", "weight": 1}, {"metric": "macs", "direction": "minimise"}])
    problem(client.request("POST", "/searches", body), (400, 422), pointer="/objectives/0/weight")
    body = {"name": "n", "space": "tiny", "dataset": "bars", "train": {"epochs": 1, "rate": 2}}
    problem(client.request("POST", "/supernets", body), (400, 422), pointer="/train/rate")


@test("what the query of a GET names and there is not is refused at its parameter, for there is no body")
def of_the_query():
    bed.supernet()
    paths = [(f"/{noun}?profile=nope", "profile") for noun in ("measurements", "calibrations", "energy_prices")] + [(f"/{noun}?supernet=nope", "supernet") for noun in ("estimations", "evaluations")]
    paths += [("/archs?space=nope&arch=r28", "space"), (f"/archs?space=tiny&arch={quote(data.SMALL_ARCH)}&profile=nope", "profile")]
    for path, name in paths:
        problem(bed.client().request("GET", path), 404, "not_found", f"?{name}")
    problem(bed.client().request("GET", "/archs?space=tiny&arch=r1"), (400, 422), pointer="?arch")


@test("a name that looks like an id, or could not stand in an address, is refused")
def names():
    client = bed.client()
    for name in ("se_0123456789abcdefghjkmnpqrs", "dev_0123456789abcdefghjkmnpqrs", "a/b", "a\nb", " a", "a ", ".", "..", ""):
        for path, body in (("/tokens", {"kind": "enrolment"}), ("/searches", bed.search_body("n"))):
            problem(client.request("POST", path, {**body, "name": name}), 422, "invalid_value" if name else None, "/name")
    client.expect(201, "POST", "/tokens", {"kind": "enrolment", "name": "dev_0123"})


@test("unknown, repeated and malformed query parameters are refused")
def query():
    client = bed.client()
    for path in ("/jobs", "/datasets", "/spaces", "/supernets", "/searches", "/devices", "/profiles", "/tables", "/measurements", "/tokens", "/exports", "/system", "/version"):
        answer = client.request("GET", f"{path}?no_such_parameter=1")
        check("no_such_parameter" in problem(answer, (400, 422))["detail"], "the parameter is named", answer)
    for text in ("page_size=0", "page_size=1001", "page_size=x", "page_size=", "page_size=-1", "page_size=5&page_size=5", "page_size=1e2", "page_size", "state", "after=no-cursor-of-ours%ff"):
        problem(client.request("GET", f"/jobs?{text}"), (400, 422))
    problem(client.request("GET", "/jobs?state=no-such-state"), (400, 422))
    problem(client.request("GET", "/jobs?kind=no-such-kind"), (400, 422))
    problem(client.request("GET", f"/supernets/{bed.supernet()}/metrics?max_points=-1"), (400, 422))


NUMBERS = {"page_size", "limit", "offset", "max_points"}
GARBAGE = ("", "x", "zzz", "-7", "1e2", "0x10", "1.5", "%20", "9999999999999999999999", "job_", "ms_0", "job_00000000000000000000000!", "tok_0123456789abcdefghjkmnpqru", "%00", "a" * 300)


@once
def paged_routes():
    """Path of every GET that takes a number or a cursor -> its parameters, from the daemon's own list of routes; the {id} of a thing that is there."""
    client = bed.client()
    bed.profile()
    search = client.post("/searches", bed.search_body("paged", evaluations=16), 202)
    bed.daemon().wait_job(search["job"]["id"], 120)
    hook = client.post("/webhooks", {"url": "https://example.com/paged"}, 201)
    things = {"webhooks": hook["id"], "supernets": bed.supernet(), "searches": search["search"]["id"], "tables": client.items("/tables")[0]["id"], "jobs": search["job"]["id"]}
    found = {}
    for line in subprocess.run([DAEMON, "--routes"], capture_output=True, text=True, timeout=10, check=True).stdout.splitlines():
        route, _, query = line.partition(" ?")
        method, path = route.split()
        parameters = set(query.split(",")) & (NUMBERS | {"after"})
        if method == "GET" and parameters:
            found[path.replace("{id}", things.get(path.split("/")[3], "?"))] = parameters
    return found


@test("garbage in a paging parameter of any list is 400 and names the parameter", 240)
def garbage_in_pages():
    client, wrong, tried = bed.client(), [], 0
    routes = paged_routes()
    check(len(routes) >= 20 and not any("?" in path for path in routes), "lists", sorted(routes))
    for path, parameters in routes.items():
        for name in sorted(parameters | {"limit", "page_size", "after", "cursor"}):
            values = GARBAGE + (("0", "99999999") if name in ("page_size", "limit") else ())
            for query in [f"{name}={value}" for value in values] + [name]:
                answer = client.request("GET", f"{path}?{query}")
                tried += 1
                if answer.status != 400 or name not in problem(answer, 400)["detail"]:
                    wrong.append((path, query, answer.status))
    equal(wrong, [], f"of {tried} requests")


@test("a cursor is that of its own list; what it named may be gone", 120)
def cursors():
    client, pages = bed.client(), {}
    for path, parameters in paged_routes().items():
        if {"page_size", "after"} <= parameters and not path.endswith("/candidates"):
            page = client.get(f"{path}?page_size=1")
            check(len(page["items"]) <= 1, "one item", page)
            if page["next"] is not None:
                pages[path] = page["next"]
                rest = client.get(f"{path}?after={quote(page['next'])}")["items"]
                check(rest and page["items"][0] not in rest, "the next page", path, rest)
    check({"/api/v1/jobs", "/api/v1/measurements", "/api/v1/spaces", "/api/v1/evaluations"} <= set(pages), "lists of more than one item", sorted(pages))
    problem(client.request("GET", f"/jobs?after={pages['/api/v1/measurements']}"), 400)
    problem(client.request("GET", f"/measurements?after={pages['/api/v1/jobs']}"), 400)
    for text in ("cal_" + 26 * "0", "17-cal_x", "17"):  # the id alone is no place in that list, which goes by the time
        problem(client.request("GET", f"/calibrations?after={text}"), 400, "malformed", "?after")
    equal(client.get(f"/calibrations?after=17-cal_{26 * '0'}")["items"], [], "behind the oldest, whoever it was")
    gone = client.post("/tokens", {"kind": "api", "label": "goes"}, 201)["id"]
    client.expect((200, 204), "DELETE", f"/tokens/{gone}")
    client.get(f"/tokens?after={gone}")
    problem(client.request("GET", "/measurements?state=wrong"), 400)
    problem(client.request("GET", "/measurements?kind=wrong"), 400)
    problem(client.request("GET", "/evaluations?split=wrong"), 400)
    problem(client.request("GET", "/events?topics=wrong"), 400)
    client.expect((200, 204), "DELETE", "/searches/paged")
    for hook in client.items("/webhooks"):
        client.expect(204, "DELETE", f"/webhooks/{hook['id']}")


@test("lists are paged by cursors that hold still while things are added")
def paging():
    client = bed.client()
    for number in range(7):
        client.post("/tokens", {"kind": "api", "label": f"page {number}"}, 201)
    whole = [row["id"] for row in client.items("/tokens")]
    check(len(whole) == len(set(whole)) and len(whole) >= 7, "tokens", whole)
    paged, after = [], ""
    while True:
        page = client.get(f"/tokens?page_size=3{after}")
        check(len(page["items"]) <= 3, "items of a page", page)
        paged += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        equal(len(page["items"]), 3, "items of a page that is not the last")
        if len(paged) == 3:
            client.post("/tokens", {"kind": "api", "label": "in between"}, 201)
        after = f"&after={page['next']}"
    equal(len(paged), len(set(paged)), "an item shows once")
    equal([name for name in paged if name in whole], whole, "the same order, nothing left out")
    exact = client.get(f"/tokens?page_size={len(client.items('/tokens'))}")
    equal(exact["next"], None, "a page that holds all is the last")


@test("a repeated POST with the same Idempotency-Key has one effect, another body is 422")
def idempotency():
    bed.supernet()
    client = bed.client()
    key = {"Idempotency-Key": "key-one"}
    body = {"kind": "enrolment", "label": "once"}
    first = client.expect(201, "POST", "/tokens", body, key)
    again = client.expect(201, "POST", "/tokens", body, key)
    equal(again.doc, {**first.doc, "token": None, "command": None}, "the answer that is played back, without the secret")
    equal(len([row for row in client.items("/tokens") if row["label"] == "once"]), 1, "tokens made")
    problem(client.request("POST", "/tokens", {"kind": "enrolment", "label": "twice"}, key), 422)
    equal([row for row in client.items("/tokens") if row["label"] == "twice"], [], "tokens made by the other body")
    dataset = {"name": "keyed", "path": str(bed.daemon().root / "bars"), "validation": 100}
    other = client.expect(202, "POST", "/datasets", dataset, key)
    equal(client.expect(202, "POST", "/datasets", dataset, key).doc, other.doc, "the key on another path")
    bed.daemon().wait_job(other.doc["job"]["id"])
    bed.daemon().stop()
    bed.daemon().start()
    equal(client.expect(201, "POST", "/tokens", body, key).doc, again.doc, "the answer after a restart")
    problem(client.request("POST", "/tokens", body, {"Idempotency-Key": "k" * 5000}), 400)
    problem(client.request("POST", "/datasets", dataset), 409)


@test("what failed under an Idempotency-Key may be put right under the same key or another")
def idempotency_of_failures():
    client = bed.client()
    problem(client.request("POST", "/tokens", {"kind": "wrong"}, {"Idempotency-Key": "key-bad"}), 422)
    first = client.expect(201, "POST", "/tokens", {"kind": "api", "label": "right"}, {"Idempotency-Key": "key-bad"}).doc
    again = client.expect(201, "POST", "/tokens", {"kind": "api", "label": "right"}, {"Idempotency-Key": "key-bad"}).doc
    equal(again, {**first, "token": None}, "what was put right has the key")
    other = client.expect(201, "POST", "/tokens", {"kind": "api", "label": "right"}, {"Idempotency-Key": "key-new"}).doc
    check(other["id"] != first["id"], "another key, another token", first, other)


@test("a repeated POST of uploads, pieces and backups under one key has one effect", 60)
def idempotency_of_files():
    client = bed.client()

    def twice(status, path, body, headers):
        return [client.expect(status, "POST", path, body, {**headers, "Idempotency-Key": "of-files"}).doc for _ in range(2)]

    folders = lambda: len(list((bed.daemon().data_dir / "uploads").glob("up_*")))
    client.post("/uploads", {}, 201)
    before = folders()
    first, again = twice(201, "/uploads", {}, {})
    equal((again, folders()), (first, before + 1), "uploads begun")

    octets = {"Content-Type": "application/octet-stream"}
    path = f"/uploads/{first['id']}/pieces?path=a.bin&offset="
    client.expect(200, "POST", path + "0", b"hello", octets)
    equal(twice(200, path + "5", b" there", octets), [{"file_bytes": 11}] * 2, "a piece")
    equal(client.get(f"/uploads/{first['id']}?path=a.bin")["file_bytes"], 11, "bytes of the file")
    problem(client.request("POST", path + "11", b" there", {**octets, "Idempotency-Key": "of-files"}), 422)
    problem(client.request("POST", path + "5", b" where", {**octets, "Idempotency-Key": "of-files"}), 422)
    problem(client.request("POST", path + "5", b" there", octets), 409)
    equal(client.get(f"/uploads/{first['id']}?path=a.bin")["file_bytes"], 11, "bytes after the refusals")

    made, repeat = twice(202, "/backups", {}, {})
    equal(repeat, made, "the answer that is played back")
    wait_for("the backup is ready", lambda: client.get(f"/backups/{made['id']}")["state"] == "ready")
    equal(client.expect(202, "POST", "/backups", {}, {"Idempotency-Key": "of-files"}).doc, made, "a repeat after its end")
    equal([row["id"] for row in client.get("/backups")["items"]], [made["id"]], "backups made")
    equal(client.request("DELETE", f"/backups/{made['id']}").status, 204, "DELETE")
    problem(client.request("POST", "/backups", {}, {"Idempotency-Key": "k" * 256}), 400)


@test("a key sent at the same time by many has one effect")
def idempotency_of_many():
    bed.daemon()
    with ThreadPoolExecutor(8) as pool:
        ask = lambda _: bed.client().expect(201, "POST", "/uploads", {}, {"Idempotency-Key": "at-once"}).doc["id"]
        equal(len(set(pool.map(ask, range(16)))), 1, "uploads that 16 requests made")
