"""The client in trouble: what it prints cannot be written; daemons that are played answer oddly, late or not at all."""
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stack import CLI
from suite import check, equal, test

NOBODY = "http://127.0.0.1:1"


def run(*words, url=NOBODY, stdout=subprocess.PIPE, timeout=20):
    return subprocess.run([str(CLI), *map(str, words)], env={**os.environ, "ESPALIER_URL": url}, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=timeout)


class Played:
    """A daemon that is played: answer(method, path below /api/v1) is the status (None: it hangs up) and the document (None: nothing; bytes: as they are) of each request."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, doc = answer(self.command, self.path.removeprefix("/api/v1"))
                if status is None:
                    self.close_connection = True
                    return
                body = doc if isinstance(doc, bytes) else b"" if doc is None else json.dumps(doc).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = do_PATCH = serve

            def log_message(self, *_):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that has gone
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def run(self, *words, **options):
        return run(*words, url=self.url, **options)


def by_path(**answers):
    """Of a played daemon: the document for each path's first word; what is not named is not found."""
    def answer(_, path):
        word = path.split("?")[0].strip("/").replace("/", "_")
        return (200, answers[word]) if word in answers else (404, {"title": "no", "status": 404, "code": "not_found", "detail": f"there is no {word}", "errors": []})
    return answer


def candidates(*rows, after=None, **more):
    """A page of rows (strategy, network, value of top1)."""
    strategies, archs, values = [list(column) for column in zip(*rows)] if rows else ([], [], [])
    n = len(rows)
    plain = {"id": [f"cd_{i}" for i in range(n)], "arch_id": archs, "arch": archs, "strategy": strategies, "generation": [1] * n, "feasible": [True] * n, "on_front": [False] * n, "origin": ["drawn"] * n, "first_parent": [None] * n, "second_parent": [None] * n}
    return {"columns": {**plain, "metrics": {"top1": {"value": values, "low": [None] * n, "high": [None] * n, "source": ["predicted"] * n}}}, "total": n, "cursor": after or "end", "next": after, **more}


@test("what cannot be printed is exit code 1 and a sentence")
def full_disk():
    with open("/dev/full", "w") as full:
        for words in (("--help",), ("--version",), ("search", "ls", "--help"), ("manual",)):
            done = run(*words, stdout=full)
            equal((done.returncode, done.stderr), (1, "espalier: not all could be printed: No space left on device\n"), f"{words}")


@test("programs that wait get what was made as it has become, and the job beside it")
def started_and_waited():
    job, search = {"id": "job_1", "kind": "search"}, {"id": "sr_1", "name": "s"}
    for ended, code in (("done", 0), ("failed", 6)):
        def answer(method, path):
            if method == "POST":
                return 202, {"search": {**search, "state": "queued", "front": None}, "job": {**job, "state": "queued"}}
            return 200, {**job, "state": ended} if path == "/jobs/job_1" else {**search, "state": ended, "front": 7}
        with Played(answer) as daemon:
            extend = ("search", "extend", "sr_1", "-n", "9")
            for words, state in ((extend, "queued"), ((*extend, "--wait"), ended)):
                def get(*form):
                    done = daemon.run(*words, *form)
                    equal(done.returncode, code if "--wait" in words else 0, f"exit code of {words} {form}")
                    return done.stdout.strip()
                equal(json.loads(get("--json")), {**search, "state": state, "front": None if state == "queued" else 7}, "JSON")
                equal([get("--get", path) for path in ("id", "state", "search.state", "job.id", "job.state")], ["sr_1", state, state, "job_1", state], "members")
                equal(get("-o", "name"), "sr_1", "name")
            equal(daemon.run(*extend, "--wait").stdout, "search sr_1, job_1\n", "for people")

    def gone(method, path):
        return (202, {"search": {**search, "state": "queued"}, "job": job}) if method == "POST" else (200, {**job, "state": "done"}) if "job" in path else (404, {})
    with Played(gone) as daemon:
        done = daemon.run("search", "extend", "sr_1", "-n", "9", "--wait", "--get", "id")
        equal((done.returncode, done.stdout), (0, "sr_1\n"), "what is gone meanwhile")


def small_backup(folder):
    """A backup of one file."""
    content = b"a database"
    lines = [{"format": 1, "id": "bk_1", "created_at": "2026-01-02T03:04:05Z", "version": "1", "schema": 1, "data_dir": "/old"},
             {"path": "espalier.db", "bytes": len(content), "hash": hashlib.blake2b(content, digest_size=32).hexdigest()}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    end = {"files": 1, "bytes": len(content), "hash": hashlib.blake2b(text.encode(), digest_size=32).hexdigest()}
    (folder / "espalier.db").write_bytes(content)
    (folder / "manifest").write_text(text + json.dumps(end) + "\n")


@test("the options of how answers are printed are heeded, or refused with exit code 2")
def printed_as_asked():
    job = {"id": "job_1", "kind": "train", "state": "done", "result": {"seconds": 0.5}}
    failed = {**job, "id": "job_2", "state": "failed", "error": {"message": "no luck"}}
    search = {"id": "s", "state": "done", "objectives": [{"metric": "top1"}, {"metric": "macs"}]}
    estimations = {"items": [{"id": "es_1"}, {"id": "es_2"}], "next": None}
    with Played(by_path(jobs_job_1=job, jobs_job_2=failed, searches_s_candidates=candidates(("nsga2", "a", 0.5)), searches_s=search, searches_s_front={"items": []}, spaces_x=None, estimations=estimations)) as daemon:
        equal([row["arch_id"] for row in json.loads(daemon.run("search", "export", "s", "--json").stdout)], ["a"], "an export as JSON")
        equal(json.loads(daemon.run("search", "export", "s", "--jsonl").stdout)["metrics"]["top1"]["value"], 0.5, "an object a line")
        done = daemon.run("job", "wait", "job_1", "--json")
        equal((done.returncode, json.loads(done.stdout)), (0, job), "a job that has ended")
        done = daemon.run("job", "wait", "job_2", "--get", "error.message")
        equal((done.returncode, done.stdout), (6, "no luck\n"), "one that failed")
        equal(json.loads(daemon.run("search", "watch", "s", "--json").stdout), search, "a search that has ended")
        equal(daemon.run("job", "wait", "job_1").stdout, "", "for people it was in view")
        equal([json.loads(daemon.run("space", "rm", "x", "--json").stdout), daemon.run("space", "rm", "x", "-o", "name").stdout], [{"name": "x", "action": "removed"}, "x\n"], "a removal")
        equal(daemon.run("supernet", "estimates", "net", "-o", "name").stdout, "es_1\nes_2\n", "ids of comparisons")
        for words in (("job", "logs", "job_1"), ("search", "export", "s", "-o", "name"), ("search", "export", "s", "--get", "x"), ("completion", "bash"), ("manual",), ("report", "s")):
            done = daemon.run(*words, *(() if "export" in words else ("--json",)))
            equal((done.returncode, done.stdout), (2, ""), f"{words}")
            check("export" in words or "--json" not in run(*words, "--help").stdout, "its help", words)
    with tempfile.TemporaryDirectory() as name:
        backup = pathlib.Path(name) / "backup"
        backup.mkdir()
        small_backup(backup)
        doc = json.loads(run("restore", backup, "--data-dir", f"{name}/data", "--json").stdout)
        equal((doc["id"], doc["path"], doc["files"], doc["bytes"]), ("bk_1", f"{name}/data", 1, 10), "what was put back")


@test("--file takes the place of what was there when all of it has come, and nothing of it is lost before")
def files():
    page, calls = candidates(("nsga2", "a", 0.5)), []

    def answer(method, path):
        calls.append(path)
        if path.startswith("/searches/broken") and len(calls) == 2:
            return 500, {"title": "no", "status": 500, "code": "internal", "detail": "no more", "errors": []}
        docs = {"/exports": {"export": {"id": "ex_1"}, "job": {"id": "job_1"}}, "/exports/ex_1": {"id": "ex_1"}, "/exports/ex_1/file": b"a network", "/jobs/job_1": {"id": "job_1", "state": "done"}}
        return 200, docs.get(path, page)
    with Played(answer) as daemon, tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        file, link, dead = folder / "night.csv", folder / "link.csv", folder / "full"
        file.write_text("before")
        file.chmod(0o640)
        link.symlink_to(file)
        dead.symlink_to("/dev/full")

        def export(search, path, **options):
            calls.clear()
            return daemon.run("search", "export", search, "--file", path, **options)
        done = export("broken", file)
        equal((done.returncode, done.stderr), (1, "espalier: no more\n"), "an error on the way")
        equal((file.read_text(), sorted(entry.name for entry in folder.iterdir())), ("before", ["full", "link.csv", "night.csv"]), "what is there then")
        equal(export("whole", link).returncode, 0, "exit code")
        check(link.is_symlink() and "nsga2" in file.read_text(), "the link leads to the new one", file.read_text())
        equal(file.stat().st_mode & 0o777, 0o640, "its mode")
        whole = file.read_text()
        done = export("whole", dead)
        equal((done.returncode, done.stderr), (1, f"espalier: {dead} cannot be written: No space left on device\n"), "a device that is full")
        check(dead.is_symlink(), "the link to it")
        equal(export("whole", "/dev/stdout").stdout, whole.replace("\r\n", "\n"), "to standard output, a pipe")
        with open(folder / "shell", "w") as out:
            equal(export("whole", "/dev/stdout", stdout=out).returncode, 0, "exit code")
        equal((folder / "shell").read_bytes(), file.read_bytes(), "to standard output, a file")
        done = export("whole", folder / "none" / "x.csv")
        check(done.returncode == 1 and "x.csv cannot be written: " in done.stderr, "no folder", done.stderr)
        mask = os.umask(0o027)
        try:
            network = folder / "best.onnx"
            done = daemon.run("arch", "export", "net", "a", "--file", network)
            equal((done.returncode, network.read_bytes(), network.stat().st_mode & 0o777), (0, b"a network", 0o640), "an export, its mode")
        finally:
            os.umask(mask)


@test("an export of a search that runs has each candidate once, also one that changes while it is read")
def changed_meanwhile():
    pages = {"": candidates(("nsga2", "a", 0.5), ("nsga2", "b", 0.6), after="c1"), "c1": candidates(("nsga2", "a", 0.7), ("random", "a", 0.5), ("nsga2", "c", 0.8))}
    with Played(lambda _, path: (200, pages[path.partition("&after=")[2]])) as daemon:
        lines = daemon.run("search", "export", "s").stdout.splitlines()[1:]
        equal([line.split(",")[0:3:2] + line.split(",")[9:10] for line in lines], [["a", "nsga2", "0.5"], ["b", "nsga2", "0.6"], ["a", "random", "0.5"], ["c", "nsga2", "0.8"]], "as CSV")
        rows = json.loads(daemon.run("search", "export", "s", "--json").stdout)
        equal([(row["strategy"], row["arch_id"]) for row in rows], [("nsga2", "a"), ("nsga2", "b"), ("random", "a"), ("nsga2", "c")], "as JSON")


@test("waiting for a board ends with its token, and for a test delivery when it cannot come any more")
def ends_of_waits():
    token = {"id": "tk_1", "token": "secret", "command": "run this", "expires_at": "2026-01-02T03:04:05Z", "device": None}
    with Played(by_path(tokens=token, tokens_tk_1=token)) as daemon:
        done = daemon.run("device", "add", "--expires", "1s", "--wait")
        equal((done.returncode, done.stderr), (1, "espalier: no board has registered, and the token has expired\n"), "an expired token")
    pending = {"items": [{"id": "dl_1", "state": "pending"}], "next": None}
    for state, deliveries, options, code, said in (
        ("disabled", pending, (), 1, "the webhook was disabled before the delivery was sent"),
        ("enabled", {"items": [], "next": None}, (), 1, "the delivery dl_1 is no longer among the newest 1000"),
        ("enabled", pending, ("--timeout", "10ms"), 124, "the delivery was not sent in the time given"),
    ):
        with Played(by_path(webhooks_w={"id": "w", "state": state}, webhooks_w_test={"id": "dl_1"}, webhooks_w_deliveries=deliveries)) as daemon:
            done = daemon.run("webhook", "test", "w", *options)
            equal((done.returncode, done.stdout, done.stderr), (code, "", f"espalier: {said}\n"), f"a webhook that is {state}")


@test("what others have named shows no control characters, also apart from tables")
def no_controls():
    bad = "a\x1b[31mb\x07\u009b1m\nc"
    search = {"id": "s", "name": bad, "state": "failed", "job": "job_1", "stage": "", "notes": [bad], "result": {"ending": bad}, "objectives": [{"metric": "top1"}, {"metric": "macs"}]}
    answers = {
        "datasets_d": {"id": "d", "classes": [bad, bad], "skipped": [{"name": bad, "reason": bad}], "n_skipped": 1},
        "searches_s": search, "searches_s_front": {"items": []}, "jobs_job_1": {"id": "job_1", "state": "failed", "error": {"message": bad}},
        "webhooks_w": {"id": "w", "state": "enabled", "url": bad}, "webhooks_w_test": {"id": "dl_1"}, "webhooks_w_deliveries": {"items": [{"id": "dl_1", "state": "failed", "error": bad}], "next": None},
        "devices_b": {"name": bad, "state": "active", "health": "good", "note": bad},
    }
    with Played(by_path(**answers)) as daemon:
        for words, times in ((("dataset", "show", "d"), 4), (("search", "show", "s"), 4), (("search", "watch", "s"), 2), (("webhook", "test", "w"), 1), (("webhook", "disable", "w"), 1), (("device", "set", "b", "--note", "x"), 2)):
            done = daemon.run(*words)
            text = done.stdout + done.stderr
            equal((re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), text.count("a [31mb   1m c")), ([], times), f"{words}: {text!r}")


@test("numbers are printed as they read, and answers of tens of MiB are taken")
def numbers_and_sizes():
    with Played(by_path(jobs_j={"id": "j", "a": 0.1, "b": 0.1 + 0.2, "c": 12345678901234, "d": 1e-7}, searches_s_candidates=candidates(("nsga2", "a", 0.5), pad="x" * (17 << 20)))) as daemon:
        equal([daemon.run("job", "show", "j", "--get", key).stdout for key in "abcd"], ["0.1\n", "0.30000000000000004\n", "12345678901234\n", "1e-07\n"], "numbers")
        equal(daemon.run("search", "candidates", "s", "-n", "20000", "--get", "total").stdout, "1\n", "a large answer")


@test("however many curves a training has and units a network, all are shown, with every digit")
def none_left_out():
    curves = [{"name": f"gradient_norm/{i}", "step": [1, 10], "epoch": [0.1, 1 / 3], "value": [0.1 + i, None if i == 7 else i / 3]} for i in range(50)]
    units = {side: [{"stage": stage, "block": 0, "signature": f"{side} {stage}"} for stage in range(700)] for side in "ab"}

    def answer(_, path):
        if path.startswith("/archs"):
            side = path[-1]
            return 200, {"arch": side, "arch_id": side, "units": units[side]}
        return 200, {"series": curves}
    with Played(answer) as daemon:
        lines = daemon.run("supernet", "metrics", "net", "--format", "csv").stdout.splitlines()
        equal(lines[0].split(","), ["step", "epoch", *(curve["name"] for curve in curves)], "heads")
        equal(lines[1].split(","), ["1", "0.1", *(repr(0.1 + i) for i in range(50))], "numbers as they read")
        equal([text and float(text) for text in lines[2].split(",")], [10, 1 / 3, *("" if i == 7 else i / 3 for i in range(50))], "numbers of all digits")
        equal(len(daemon.run("supernet", "metrics", "net").stdout.splitlines()[0].split("\t")), 52, "columns of a table")
        diff = json.loads(daemon.run("arch", "diff", "a", "b", "--space", "x", "--json").stdout)
        equal(sum(row["where"].startswith("block") for row in diff["places"]), 700, "places")


@test("a training that is watched as JSON asks for points from the newest step on and prints each once, and for the end says why")
def points_asked_for():
    supernet, asked = {"id": "sn_1", "name": "net", "job": "job_1"}, []
    told = [("loss", 10), ("top1/largest", 10), ("loss", 20), ("loss", 30), ("top1/largest", 30)]

    def answer(_, path):
        if path.startswith("/events"):
            return 200, b""
        if path.startswith("/jobs"):
            return 200, {"id": "job_1", "state": "failed", "error": {"message": "no luck"}}
        if "/metrics" not in path:
            return 200, {**supernet, "state": "training" if len(asked) < len(told) else "failed"}
        asked.append(int(re.search(r"after=(-?\d+)", path)[1]))
        rows = {}
        for name, step in told[:len(asked)]:
            if step > asked[-1]:
                rows.setdefault(name, []).append(step)
        return 200, {"series": [{"name": name, "step": steps, "epoch": [0.5] * len(steps), "value": [0.1] * len(steps)} for name, steps in rows.items()]}
    with Played(answer) as daemon:
        done = daemon.run("supernet", "watch", "net", "--jsonl")
        equal([(row["series"], row["step"]) for row in map(json.loads, done.stdout.splitlines())], told, "points")
        equal(asked, [-1, 9, 9, 19, 29, 29], "behind which step it asks")
        equal((done.returncode, done.stderr), (6, "espalier: the training failed: no luck\n"), "the end")


@test("Ctrl-C ends a wait at once, also while the daemon does not answer")
def interrupted():
    asked, over = threading.Event(), threading.Event()

    def answer(*_):
        asked.set()
        over.wait(20)
        return 200, {"id": "job_1", "state": "running"}
    with Played(answer) as daemon:
        command = [str(CLI), "job", "wait", "job_1", "--url", daemon.url]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as waiting:
            check(asked.wait(10), "it asks")
            begun = time.monotonic()
            waiting.send_signal(signal.SIGINT)
            said = waiting.communicate(timeout=20)[1]
        over.set()
        equal((waiting.returncode, said), (130, "job_1 goes on; come back to it with: espalier job wait job_1\n"), "how it ends")
        check(time.monotonic() - begun < 10, "at once", time.monotonic() - begun)


@test("Ctrl-C ends the wait for what was begun at once, and programs get what was made")
def interrupted_start():
    asked, over = threading.Event(), threading.Event()
    made = {"search": {"id": "se_1", "state": "queued"}, "job": {"id": "job_1", "state": "queued"}}

    def answer(method, _):
        if method == "POST":
            return 202, made
        asked.set()
        over.wait(20)
        return 200, made["job"]
    with Played(answer) as daemon:
        command = [str(CLI), "search", "extend", "se_1", "-n", "9", "--wait", "--json", "--url", daemon.url]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
            check(asked.wait(10), "it asks for the job")
            begun = time.monotonic()
            waiting.send_signal(signal.SIGINT)
            doc = waiting.communicate(timeout=60)[0]
        took = time.monotonic() - begun
        over.set()
        equal((waiting.returncode, json.loads(doc)), (130, made["search"]), "how it ends, and what was made")
        check(took < 10, "at once", took)


@test("what waits asks again when the daemon was away for a moment")
def away_for_a_moment():
    for words, path, before, ended in (
        (("job", "cancel", "job_1", "--wait", "--get", "state"), "/jobs/job_1", {"id": "job_1", "state": "canceling"}, {"id": "job_1", "state": "canceled"}),
        (("device", "add", "--wait", "--get", "id"), "/tokens/tk_1", {"id": "tk_1"}, {"id": "tk_1", "device": "dev_1"}),
    ):
        gone = []

        def answer(method, asked):
            if method == "GET" and asked == path and len(gone) < 3:
                gone.append(asked)
                return None, None
            return 200, ended if method == "GET" else before
        with Played(answer) as daemon:
            done = daemon.run(*words)
            equal((done.returncode, len(gone)), (0, 3), f"{words}: {done.stderr}")
