"""Every route that docs/API.md names is there, and no other."""
import re
import subprocess

import bed
from client import problem
from stack import DAEMON
from suite import ROOT, check, equal, test, wait_for

ROUTE = re.compile(r"`((?:GET|POST|PATCH|DELETE)(?:\|(?:GET|POST|PATCH|DELETE))*) ([/…][^` ]*)")
LISTS = "datasets models spaces supernets searches exports jobs tokens devices profiles tables calibrations energy_prices measurements strategies".split()


def documented():
    """Path with {id} or {name} -> set of methods, from the text of docs/API.md."""
    found, base = {}, ""
    for methods, path in ROUTE.findall((ROOT / "docs/API.md").read_text()):
        path = re.split(r"[?\[]", path)[0]
        if path.startswith("…"):
            path = base + path[len("…"):]
        else:
            base = path.split("/{")[0]
        found.setdefault(path, set()).update(methods.split("|"))
    return found


def filled(path):
    return re.sub(r"\{\w+\}", "no-such-thing", path)


@test("docs/API.md names the routes that the tests rely on")
def routes_found():
    routes = documented()
    check(len(routes) > 55, "number of documented paths", len(routes), sorted(routes))
    for path in ("/healthz", "/api/v1/jobs/{id}/log", "/api/v1/searches/{id}/resume", "/api/v1/worker/leases/{id}/heartbeat"):
        check(path in routes, path, sorted(routes))


@test("each documented path knows exactly its documented methods")
def methods():
    wrong = []
    for path, wanted in documented().items():
        answer = bed.client().request("PUT", filled(path), {})
        allowed = {word.strip() for word in answer.headers.get("allow", "").split(",")} - {"", "HEAD"}
        if answer.status != 405 or allowed != wanted:
            wrong.append(f"{path}: {answer.status}, {sorted(allowed)} instead of {sorted(wanted)}")
    equal(wrong, [], "paths whose methods differ")
    problem(bed.client().request("PUT", "/jobs", {}), 405, "method_not_allowed")


@test("the daemon's own list of routes is the documented one")
def nothing_undocumented():
    done = subprocess.run([DAEMON, "--routes"], capture_output=True, text=True, timeout=10)
    have = {re.sub(r"\{\w+\}", "{}", line.split(" ?")[0]) for line in done.stdout.splitlines()}
    want = {f"{method} {re.sub(r'{.*?}', '{}', path)}" for path, methods in documented().items() for method in methods}
    equal((sorted(have - want), sorted(want - have)), ([], []), "routes that only the daemon or only docs/API.md names")


@test("what is not documented is not there")
def unknown_paths():
    for path in ("/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/jobs", "/api/v1/jobs/", "/api/v1/jobs/a/b/c", "/api/v1//jobs", "/api/v1/JOBS", "/api/v1/datasets/../jobs", "/api/v1/jobs/%2e%2e/log/x"):
        problem(bed.client().request("GET", path), 404, "not_found")
        problem(bed.client().request("POST", path, {}), 404, "not_found")


@test("every list answers a page")
def lists():
    for name in LISTS:
        doc = bed.client().get(f"/{name}")
        check(isinstance(doc["items"], list), name, doc)
        check("next" in doc or name == "strategies", f"{name} has a cursor", doc)
    check(isinstance(bed.client().get("/evaluations")["items"], list), "evaluations")


@test("what does not exist is 404 with a problem document")
def unknown_things():
    wrong = []
    for path, methods_ in documented().items():
        if "{" not in path or "/worker/" in path:
            continue
        for method in sorted(methods_ - {"PATCH"}):
            answer = bed.client().request(method, filled(path), {"train": bed.TRAIN} if path.endswith("/train") else {} if method == "POST" else None)
            if path.endswith("/sample"):
                answer = bed.client().request(method, filled(path), {"n": 10})
            if path.endswith("/pieces"):
                answer = bed.client().request(method, filled(path) + "?path=a&offset=0", b"x", {"Content-Type": "application/octet-stream"})
            if answer.status != 404:
                wrong.append(f"{method} {path}: {answer}")
            else:
                problem(answer, 404, "not_found")
    answer = bed.client().request("PATCH", "/devices/no-such-thing", {"note": "x"})
    problem(answer, 404, "not_found")
    equal(wrong, [], "answers for unknown things")


@test("the daemon tells its version, health, state and metrics")
def system():
    client = bed.client()
    equal(client.get("/healthz"), {"status": "ok"}, "healthz")
    client.get("/readyz")
    version = client.get("/version")
    for member in ("version", "api", "sqlite", "runtime_revision"):
        check(member in version, member, version)
    state = client.get("/system")
    for member in ("cores", "memory_bytes", "data_dir", "disk_free_bytes", "database_bytes", "started_at", "jobs_running", "cpu_model", "workers_online", "job_memory_bytes", "job_file_bytes", "retention", "checks"):
        check(member in state, member, state)
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", state["started_at"]), "RFC 3339", state["started_at"])
    for row in state["checks"]:
        check(isinstance(row["name"], str) and isinstance(row["ok"], bool), "checks", row)
    database = lambda query="": client.get(f"/system{query}")["checks"][0]
    wait_for("the check at the start", lambda: database()["checked_at"])
    before = database()
    equal((before["ok"], before["detail"]), (True, "ok"), "the database")
    equal(database()["checked_at"], before["checked_at"], "a look does not check again")
    asked = database("?check=true")
    check(asked["ok"] and asked["checked_at"] > before["checked_at"], "one that asks does", asked, before)
    equal(database("?check=false"), asked, "what was found last")
    problem(client.request("GET", "/system?check=yes"), 400, "malformed", "?check")
    for row in state["retention"]:
        check(isinstance(row["kind"], str) and isinstance(row["rows"], int) and row["rule"], "retention", row)
    answer = client.expect(200, "GET", "/metrics")
    check(answer.headers["content-type"].startswith("text/plain"), "type of /metrics", answer.headers)
    for line in answer.body.decode().splitlines():
        check(re.fullmatch(r"#.*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? [-+0-9.eE]+(Inf|NaN)?|", line), "a line of /metrics", line)
    for name in ("espalier_loop_turn_seconds_count", "espalier_loop_longest_turn_seconds"):
        values = re.findall(rf"^{name} (\S+)$", answer.body.decode(), re.M)
        check(len(values) == 1 and float(values[0]) > 0, name, values)


@test("HEAD answers like GET, without a body")
def head():
    for path in ("/healthz", "/api/v1/jobs", "/api/v1/system"):
        answer = bed.client().request("HEAD", path)
        equal((answer.status, answer.body), (200, b""), f"HEAD {path}")


@test("the dashboard is served with a strict content security policy, its pages by one document")
def dashboard():
    client = bed.client()
    start = client.expect(200, "GET", "/")
    policy = [directive.strip() for directive in start.headers.get("content-security-policy", "").split(";")]
    equal(sorted(policy), ["base-uri 'none'", "default-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "img-src 'self' data: blob:", "object-src 'none'", "style-src 'self'"], "policy")
    equal(start.headers.get("x-content-type-options"), "nosniff", "nosniff")
