"""espalier apply, --jsonl and -o name of every listing, espalier search watch and supernet watch."""
import csv
import io
import json
import os
import re
import socket
import subprocess
from contextlib import contextmanager
from datetime import datetime, timezone

import bed
import data
from client import problem
from proxy import Proxy
from stack import CLI
from suite import at_end, check, equal, test, wait_for
from terminal import Terminal


def applied(documents, *options, status=0):
    """What apply prints as JSON of a file with these documents."""
    path = bed.daemon().root / "apply.json"
    path.write_text("\n".join(json.dumps(document) for document in documents))
    done = bed.daemon().cli_run("apply", "-f", path, "--json", *options)
    equal(done.returncode, status, f"exit code ({done.stderr})")
    return (json.loads(done.stdout) if done.stdout else []), done.stderr


def actions(rows):
    return [(row["kind"], row["name"], row["action"]) for row in rows]


@test("apply makes what a file describes once, and says how what is there differs", 240)
def apply():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    space = {"kind": "space", **data.space(name="applied")}
    folder = {"kind": "dataset", "name": "applied-bars", "path": str(stack.root / "bars"), "validation": 300}
    net = {"kind": "supernet", "name": "applied-net", "space": "applied", "dataset": "applied-bars", "train": {**bed.TRAIN, "epochs": 1}}
    search = {"kind": "search", "name": "applied-search", "supernet": "applied-net", "objectives": [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}], "evaluations": 60, "population": 16, "initial_evaluations": 16, "measure_front": 0, "calibration_nets": 0}
    things = [[space, folder], net, search]
    names = [("space", "applied"), ("dataset", "applied-bars"), ("supernet", "applied-net"), ("search", "applied-search")]
    rows, _ = applied(things, "--dry-run")
    equal(actions(rows), [(*name, "would be created") for name in names], "a trial")
    equal(client.request("GET", "/spaces/applied").status, 404, "the space after a trial")
    rows, _ = applied(things, "--wait")
    equal(actions(rows), [(*name, "created") for name in names], "the first time")
    equal(client.get("/searches/applied-search")["state"], "done", "the search, waited for")
    for options in ((), ("--dry-run",), ("--wait",)):
        equal(actions(applied(things, *options)[0]), [(*name, "unchanged") for name in names], f"again {options}")
    changed = {**search, "evaluations": 90, "constraints": [{"metric": "macs", "max": 1e7}]}
    rows, told = applied([{**space, "resolutions": [24, 28]}, {**folder, "validation": 200}, {**net, "train": {**net["train"], "seed": 8}}, changed], status=4)
    equal([[row["pointer"] for row in one["differences"]] for one in rows], [["/resolutions/0", "/resolutions/1"], ["/validation"], ["/train/seed"], ["/constraints", "/evaluations"]], "what differs")
    check("/evaluations: 60 there, 90 in the file" in told and 'espalier supernet rm "applied-net"' in told, "the words", told)
    rows, told = applied([{**search, "evaluations": 90}], status=4)
    check('espalier search extend "applied-search" -n 90' in told, "what can be done about it", told)
    equal(client.get("/searches/applied-search")["evaluations"], 60, "the search, as it was")
    whole = json.loads(stack.cli("search", "show", "applied-search", "--json"))
    equal(actions(applied([{**client.get("/searches/applied-search/request"), "checkpoint": whole["checkpoint"]}])[0]), [("search", "applied-search", "unchanged")], "the request itself, without a kind, by the checkpoint that it went by")


@test("what is wrong with a file is said with its place, and nothing behind it is made", 60)
def apply_refused():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    sound = {"kind": "search", **bed.search_body("after", supernet="net")}

    def refused(text, status, *words):
        done = subprocess.run([str(CLI), "apply", "-f", "-"], input=text, env={**os.environ, "ESPALIER_URL": stack.url}, capture_output=True, text=True, timeout=30)
        equal((done.returncode, done.stdout), (status, ""), f"of {text[:60]} ({done.stderr})")
        check(all(word in done.stderr for word in words), "the words", words, done.stderr)
    refused(json.dumps([{**sound, "name": "one", "population": 1}, sound]), 1, "/0, search \"one\"", "(/0/population)")
    refused(json.dumps([{**sound, "kind": "serach"}, sound]), 1, "did you mean \"search\"", "(/0/kind)")
    refused(json.dumps([sound, {"kind": "space"}]), 1, "/1", "(/1/name)")
    refused(json.dumps({**sound, "colour": 1}), 1, "(/colour)")
    refused(json.dumps(sound) + "\n{\"name\": \"x\",}", 1, "document 2")
    refused("", 1, "nothing in it")
    refused("[1]", 1, "/0", "no object")
    equal(client.request("GET", "/searches/after").status, 404, "what stood behind")
    equal(stack.cli_run("apply").returncode, 2, "no file named")
    equal(stack.cli_run("apply", "-f", "/no/such/file").returncode, 3, "no such file")


# --- listings ---

def listings():
    """Every command that lists, with its words."""
    bed.profile()
    client = bed.client()
    table, calibrations = client.items("/tables")[0]["id"], client.items("/calibrations")
    yield from (words.split() for words in ("dataset ls", "space ls", "supernet ls", "supernet checkpoints net", "device ls", "latency profiles", "latency tables", "latency calibrations", "model ls", "search ls", "search strategies", "arch ls net", "export ls", "job ls", "token ls", "webhook ls", "energy ls", "measurement ls --state accepted --kind unit"))
    yield ["latency", "entries", table]
    if calibrations:
        yield ["latency", "residuals", calibrations[0]["id"]]


def rounded(value):
    """--json prints numbers with fifteen digits, --jsonl with all of them. Boards are seen between one answer and the next."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items() if key != "last_seen_at"}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.12g}") if isinstance(value, (int, float)) and not isinstance(value, bool) else value


@test("every listing has --jsonl and -o name, and both have each of its items", 120)
def lists():
    stack = bed.daemon()
    stack.cli("search", "create", "listed", "--supernet", bed.supernet(), "-n", "60", "--measure-front", "0", "--wait")
    known = re.findall(r"^  ([a-z]+) (ls|list|profiles|tables|calibrations|strategies|checkpoints|entries|residuals)\b", stack.cli_run("--help").stdout, re.MULTILINE)
    tried = list(listings())
    equal(sorted({tuple(words[:2]) for words in tried} | {("latency", "residuals")}), sorted(set(known)), "commands that list")
    for words in tried:
        whole = json.loads(stack.cli(*words, "--json"))
        lines = stack.cli(*words, "--jsonl").splitlines()
        names = stack.cli(*words, "-o", "name").splitlines()
        equal([rounded(json.loads(line)) for line in lines], rounded(whole), f"lines of {' '.join(words)}")
        check(len(names) == len(whole) and "-" not in names and "" not in names, "names", words, names)
    front = bed.client().get("/searches/listed/front")["items"]
    equal([json.loads(line) for line in stack.cli("search", "front", "listed", "--jsonl").splitlines()], front, "the front")
    total = bed.client().get("/searches/listed/candidates?page_size=1")["total"]
    equal(len([json.loads(line) for line in stack.cli("search", "export", "listed", "--jsonl").splitlines()]), total, "all candidates")
    equal(stack.cli_run("search", "ls", "-o", "wide").returncode, 2, "another output")


@test("a listing of more than a page is never cut short", 120)
def long_list():
    stack, client = bed.daemon(), bed.client()
    for n in range(1100):
        client.post("/tokens", {"kind": "api", "scope": "read", "label": f"many {n}"}, 201)
    labels = [json.loads(line)["label"] for line in stack.cli("token", "ls", "--jsonl").splitlines()]
    equal(len([label for label in labels if str(label).startswith("many ")]), 1100, "labels")
    check(len(stack.cli("token", "ls", "-o", "name").splitlines()) == len(labels), "ids")


# --- waiting ---

@test("a command with --wait lets go on Ctrl-C: the job goes on, and the words bring one back to it", 90)
def detach():
    client = bed.client()
    bed.supernet()
    terminal = Terminal("supernet", "train", "let-go", "--space", "tiny", "--dataset", "bars", "--epochs", "400", "--wait", url=bed.daemon().url)
    terminal.wait_for("progress", r"\d+ ?%")
    job = client.get("/supernets/let-go")["job"]
    terminal.interrupt()
    equal(terminal.ended(), 130, "exit code of Ctrl-C")
    check(f"{job} goes on; come back to it with: espalier job wait {job}" in terminal.text, "the words", terminal.text[-300:])
    step = client.get("/supernets/let-go")["step"]
    wait_for("steps after the client has gone", lambda: client.get("/supernets/let-go")["step"] > step, 40)
    equal(client.get(f"/jobs/{job}")["state"], "running", "the job")
    client.post(f"/jobs/{job}/cancel", {})
    back = Terminal("job", "wait", job, url=bed.daemon().url)
    equal(back.ended(), 6, "exit code of the job that was come back to, and cancelled")


@test("a paused training keeps the progress it had reached; steps, epochs and images of a supernet are of one moment", 90)
def progress_kept():
    client = bed.client()
    bed.supernet()
    job = client.post("/supernets", {"name": "midway", "space": "tiny", "dataset": "bars", "train": {**bed.TRAIN, "epochs": 400}}, 202)["job"]["id"]

    def facts():
        doc = client.get("/supernets/midway")
        return doc["step"], doc["epoch"], doc["images"]

    def moves_from(step):
        wait_for("progress", lambda: facts()[0] > step and (client.get(f"/jobs/{job}")["progress"] or {}).get("done", 0) > step, 40)
    moves_from(0)
    moves_from(facts()[0])
    step, epoch, images = facts()
    equal(images, step * bed.TRAIN["batch"], "images, while it trains")
    told = client.get(f"/jobs/{job}")["progress"]
    check("eta_s" in told and "images_per_s" in told, "its pace, while it trains", told)
    client.post("/supernets/midway/pause", {})
    wait_for("the end of its process", lambda: client.get(f"/jobs/{job}")["attempts"][-1]["ended_at"], 30)
    kept = client.get(f"/jobs/{job}")
    equal((kept["state"], kept["progress"]["total"]), ("paused", told["total"]), "the paused job")
    check(kept["progress"]["done"] >= told["done"] and kept["progress"]["fraction"] >= told["fraction"], "what it had reached", kept["progress"], told)
    check("eta_s" not in kept["progress"] and "images_per_s" not in kept["progress"], "no pace", kept["progress"])
    row = next(line for line in bed.daemon().cli("job", "ls", "--state", "paused").splitlines() if job in line)
    check(" %" in row, "the list", row)
    per_epoch = step / epoch
    step, epoch, images = facts()
    equal((images, round(step / epoch)), (step * bed.TRAIN["batch"], round(per_epoch)), "the paused supernet")
    client.post("/supernets/midway/resume", {})
    moves_from(step)
    equal(facts()[2] % bed.TRAIN["batch"], 0, "images, after it goes on")
    client.post(f"/jobs/{job}/cancel", {})
    ended = bed.daemon().wait_job(job, state="canceled")
    equal(ended["progress"], None, "once it is over")
    bed.daemon().cli("supernet", "rm", "midway")


# --- watching ---

def plain(text):
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).replace("\r", "")


def endless(name):
    """A search that goes on until it is cancelled: each subnet is really evaluated."""
    body = bed.search_body(name, accuracy="evaluated", evaluations=20000, measure_front=0, calibration_nets=0)
    return bed.client().post("/searches", body, 202)["search"]["id"]


@test("a search is watched as it grows: Ctrl-C leaves it running, its end is the end, through connections that break", 180)
def watch():
    client = bed.client()
    name = endless("growing")
    proxy = Proxy(bed.daemon().port)
    at_end(proxy.close)
    terminal = Terminal("search", "watch", "growing", url=proxy.url, columns=70, rows=20)
    terminal.wait_for("a picture", r"[1-9]\d* on the front(.|\n)*[\u25cb\u25cf](.|\n)*looked at")
    counts = lambda: {int(n) for n in re.findall(r"(\d+) of 20000 evaluations", plain(terminal.read()))}
    wait_for("a second picture", lambda: len(counts()) > 2, 40, 0)
    check("\x1b[1;33m" in terminal.text or "\x1b[34m" in terminal.text, "colours")
    check(all(len(line) < 70 for line in plain(terminal.text).split("\n")), "the width", max(plain(terminal.text).split("\n"), key=len))
    before = max(counts())
    for link in list(proxy.links):
        try:
            link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # one that had ended
    wait_for("pictures after the connection broke", lambda: max(counts()) > before, 40, 0)
    terminal.interrupt()
    equal(terminal.ended(), 130, "exit code of Ctrl-C")
    check("goes on" in terminal.text and f"espalier search watch {name}" in terminal.text, "the words", terminal.text[-300:])
    equal(client.get("/searches/growing")["state"], "running", "the search")
    last = Terminal("search", "watch", "growing", url=bed.daemon().url, LC_ALL="C", NO_COLOR="1")
    last.wait_for("a picture of ASCII", r"looked at")
    client.post(f"/searches/{name}/cancel", {})
    equal(last.ended(), 6, "exit code of a search that was cancelled")
    check(last.text.isascii() and "\x1b[1;33m" not in last.text and "\x1b[2m" not in last.text, "ASCII without colours")
    check("was cancelled" in last.text, "the end", last.text[-300:])


@test("a search that is cancelled is being stopped until its job has ended, and so it is said", 120)
def stopping():
    client, stack = bed.client(), bed.daemon()
    name = endless("stopped")
    wait_for("evaluations", lambda: client.get(f"/searches/{name}")["evaluations_done"] > 0, 60)
    answer = client.post(f"/searches/{name}/cancel", {}, 202)
    equal(answer["search"]["state"], "canceling", "what the answer says")
    wait_for("its end", lambda: client.get(f"/searches/{name}")["state"] == "canceled", 30)
    stack.cli("search", "resume", "stopped")
    client.post(f"/searches/{name}/pause", {}, 202)
    wait_for("its pause", lambda: client.get(f"/searches/{name}")["state"] == "paused", 60)
    check("is paused: cancel it first" in problem(client.request("DELETE", f"/searches/{name}"), 409)["detail"], "why it stays")
    check("is paused: one that is done" in problem(client.request("POST", f"/searches/{name}/extend", {"evaluations": 200000}), 409)["detail"], "why it is not extended")
    client.post(f"/searches/{name}/resume", {}, 202)
    wait_for("that it runs", lambda: client.get(f"/searches/{name}")["state"] == "running", 60)
    equal(stack.cli("search", "cancel", "stopped", "--wait"), "stopped: cancelled", "the client's words")
    equal(client.get(f"/searches/{name}")["state"], "canceled", "it has stopped")
    stack.cli("search", "rm", "stopped")


@test("without a terminal a watched search is told in lines, and its end is the exit code", 120)
def watch_lines():
    stack = bed.daemon()
    job = stack.client.post("/searches", bed.search_body("lines", evaluations=60, measure_front=0, calibration_nets=0), 202)["job"]["id"]
    lines = stack.cli("search", "watch", "lines", timeout=100).splitlines()
    late = datetime.now(timezone.utc) - datetime.fromisoformat(stack.job(job)["ended_at"])
    check(late.total_seconds() < 8, "its end is told when it comes, not with the stream's next sign of life", late)
    check(lines and lines[-1].startswith("lines: done, final, 60 of 60 evaluations, ") and "\x1b" not in "".join(lines) and len(lines) < 12, "lines", lines)
    equal(stack.cli_run("search", "watch", "no-such").returncode, 3, "no search")


# --- curves of a training ---

@contextmanager
def training(name, epochs, **settings):
    """Id of a training that has begun, and does not outlast its test."""
    bed.supernet()
    stack = bed.daemon()
    stack.cli("supernet", "train", name, "--space", "tiny", "--dataset", "bars", "--epochs", str(epochs), "--batch", "50", "--set", json.dumps({"recalibration_images": 50, "validation_images": 50, **settings}))
    supernet = stack.client.get(f"/supernets/{name}")
    try:
        yield supernet["id"]
    finally:
        stack.cli_run("job", "cancel", supernet["job"])


@test("a training is watched as it goes: curves, Ctrl-C leaves it running, its end is the end, through connections that break", 180)
def watch_training():
    with training("curving", 1000) as name:
        watch(name)


def watch(name):
    client = bed.client()
    proxy = Proxy(bed.daemon().port)
    at_end(proxy.close)
    terminal = Terminal("supernet", "watch", "curving", url=proxy.url, columns=70, rows=24)
    terminal.wait_for("the speed and how it went", r"\d images/s [\u2581-\u2588]", 60)
    terminal.wait_for("a curve", r"loss by step: (.|\n)*[\u2801-\u28ff]")
    check(re.search(r"curving: training, [^\n]* steps, epoch \d[^\n]*\nloss \d", plain(terminal.text)), "the words", plain(terminal.text)[-2000:])
    steps = lambda: {int(n) for n in re.findall(r" (\d+) of \d+ steps", plain(terminal.read()))}
    wait_for("more pictures", lambda: len(steps()) > 2, 40, 0)
    pictures = terminal.text.split("\x1b[J")
    check(all(picture.count("\n") <= 23 for picture in pictures), "the height", [picture.count("\n") for picture in pictures])
    check(all(len(line) < 70 for line in plain(terminal.text).split("\n")), "the width", max(plain(terminal.text).split("\n"), key=len))
    check("\x1b[36m" in terminal.text, "the curve's colour")
    before = max(steps())
    for link in list(proxy.links):
        try:
            link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # one that had ended
    wait_for("pictures after the connection broke", lambda: max(steps()) > before, 40, 0)
    terminal.interrupt()
    equal(terminal.ended(), 130, "exit code of Ctrl-C")
    check("the training goes on" in terminal.text and f"espalier supernet watch {name}" in terminal.text, "the words", terminal.text[-300:])
    equal(client.get("/supernets/curving")["state"], "training", "the training")
    last = Terminal("supernet", "watch", "curving", url=bed.daemon().url, LC_ALL="C", NO_COLOR="1", rows=36)
    last.wait_for("a picture of ASCII", r"loss by step: \* by labels(.|\n)*\*\*", 60)
    client.post(f"/jobs/{client.get('/supernets/curving')['job']}/cancel", {})
    equal(last.ended(), 6, "exit code of a training that was cancelled")
    check(last.text.isascii() and "\x1b[36m" not in last.text and "\x1b[2m" not in last.text, "ASCII without colours")
    check("the training was cancelled" in last.text, "the end", last.text[-300:])
    ended = Terminal("supernet", "watch", "net", url=bed.daemon().url, LC_ALL="C", rows=36)
    equal(ended.ended(), 0, "exit code of a training that had ended")
    check(re.search(r"top-1 \(%\) of subnets by step: \S*@\S* largest  \S*\+\S* random  \S*o\S* smallest", ended.text) and "loss by step" in ended.text, "both charts", ended.text)


@test("without a terminal a watched training is told in lines, or point by point as JSON, and its points are a table, JSON and CSV", 120)
def told_training():
    stack, client = bed.daemon(), bed.client()
    environment = {**os.environ, "ESPALIER_URL": stack.url}
    with training("pointed", 3):
        streams = [subprocess.Popen([str(CLI), "supernet", "watch", "pointed", *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for words in ((), ("--jsonl",), ("--get", "state"))]
        told = [stream.communicate(timeout=100)[0] for stream in streams]
    equal([stream.returncode for stream in streams], [0, 0, 0], "exit codes")
    lines = told[0].splitlines()
    check(re.match(r"pointed: ready, step \d+, epoch 3\.00, loss [\d.]+, (by the teacher [\d.]+, )?largest [\d.]+ %, random [\d.]+ %, smallest [\d.]+ %, learning rate [\d.e-]+, \d+ images/s$", lines[-1]), "the last line", lines)
    check(len(lines) < 12 and "\x1b" not in told[0], "lines", lines)
    equal(told[2], "ready\n", "what it has become")
    doc = client.get("/supernets/pointed/metrics?max_points=100000")
    points = {(one["name"], step, rounded(value)) for one in doc["series"] for step, value in zip(one["step"], one["value"])}
    rows = [json.loads(line) for line in told[1].splitlines()]
    equal(({(row["series"], row["step"], rounded(row["value"])) for row in rows}, len(rows)), (points, len(points)), "every point, once")
    words = ("supernet", "metrics", "pointed")
    equal(rounded(json.loads(stack.cli(*words, "--json", "-n", "100000"))), rounded(doc), "the daemon's answer")
    equal(stack.cli(*words, "-o", "name").split(), [one["name"] for one in doc["series"]], "names of series")
    by_step = {}
    for name, step, value in points:
        by_step.setdefault(step, {})[name] = value
    objects = [json.loads(line) for line in stack.cli(*words, "--jsonl", "-n", "100000").splitlines()]
    equal([{key: rounded(value) for key, value in row.items() if key not in ("step", "epoch")} for row in objects], [by_step[step] for step in sorted(by_step)], "an object a step")
    table = list(csv.DictReader(io.StringIO(stack.cli(*words, "--format", "csv", "-n", "100000"))))
    equal([{name: rounded(float(text)) for name, text in row.items() if text and name not in ("step", "epoch")} for row in table], [by_step[step] for step in sorted(by_step)], "CSV")
    shown = [line.split("\t") for line in stack.cli(*words, "--series", "top1/largest,loss").splitlines()]
    equal(shown[0], ["STEP", "EPOCH", "LOSS", "TOP1/LARGEST"], "the head of a table")
    last = max(step for step in by_step if "top1/largest" in by_step[step])
    equal([row[3] for row in shown if row[0] == str(last)], [f"{100 * by_step[last]['top1/largest']:.2f} %"], "the last accuracy")
    equal(stack.cli(*words, "--after", str(last), "-o", "name"), "", "nothing behind the end")
    done = stack.cli_run(*words, "--series", "lss")
    check(done.returncode == 1 and '--series: there is no series "lss"; did you mean "loss"' in done.stderr, "a series that nobody knows", done.stderr)
    for wrong in (("metrics", "no-such"), ("watch", "no-such")):
        equal(stack.cli_run("supernet", *wrong).returncode, 3, f"{wrong}")
