"""What the command line client asks for, and what it prints of the answers."""
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import tempfile
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import bed
import data
from completions import commands_of_overview, help_of, options_of
from client import problem
from board import Board
from stack import CLI, DAEMON, WORKER, Stack
from suite import check, equal, test
from terminal import Terminal


@test("settings of a training that have no option of their own are given as JSON", 120)
def settings():
    bed.supernet()
    train = ("supernet", "train", "set", "--space", "tiny", "--dataset", "bars")
    for wrong in ("[1]", "{", "7"):
        done = bed.daemon().cli_run(*train, "--set", wrong)
        equal(done.returncode, 2, f"--set {wrong}")
    bed.daemon().cli(*train, "--epochs", "1", "--wait", "--set", '{"weight_decay": 3e-4, "random_subnets": 1, "epochs": 9}')
    config = bed.client().get("/supernets/set")["train"]
    equal((config["weight_decay"], config["random_subnets"], config["epochs"]), (3e-4, 1, 1), "the settings")


@test("a training by time and by epochs at once is wrong use", 120)
def time_and_epochs():
    bed.supernet()
    done = bed.daemon().cli_run("supernet", "train", "both", "--space", "tiny", "--dataset", "bars", "--time", "4m", "--epochs", "3")
    equal(done.returncode, 2, "exit code")
    check("--time and --epochs" in done.stderr, "the reason", done.stderr)
    problem(bed.client().request("GET", "/supernets/both"), 404)


@test("drop-connect reaches the training, within its range", 60)
def drop_connect():
    bed.supernet()
    stack = bed.daemon()
    stack.cli("supernet", "train", "dropped", "--space", "tiny", "--dataset", "bars", "--epochs", "1", "--drop-connect", "0.3", "--wait")
    made = stack.client.get("/supernets/dropped")
    equal((made["state"], made["train"]["drop_connect"]), ("ready", 0.3), "the training")
    body = {"name": "worse", "space": "tiny", "dataset": "bars", "train": {"epochs": 1, "drop_connect": 0.95}}
    problem(stack.client.request("POST", "/supernets", body), 422, pointer="/train/drop_connect")


def seconds_between(first, last):
    return (datetime.fromisoformat(last.rstrip("Z")) - datetime.fromisoformat(first.rstrip("Z"))).total_seconds()


@test("a token for people is good until it is revoked, one for boards for a quarter of an hour and one board")
def tokens():
    stack, client = bed.daemon(), bed.client()

    def newest():
        return client.items("/tokens")[0]
    secret = stack.cli("token", "add", "--label", "for me", "-o", "name")
    equal(len(secret.split()), 1, "words of the secret")
    made = newest()
    equal((made["kind"], made["label"], made["expires_at"], made["uses_left"]), ("api", "for me", None, None), "the token")
    stack.cli("token", "add", "--expires", "2h")
    check(newest()["expires_at"] is not None, "it expires when asked to", newest())
    stack.cli("token", "add", "--uses", "2", status=2)
    stack.cli("device", "add", "--uses", "3")
    made = newest()
    equal((made["kind"], made["uses_left"]), ("enrolment", 3), "the token of boards")
    equal(round(seconds_between(made["created_at"], made["expires_at"])), 900, "seconds that it is good for")
    problem(client.request("POST", "/tokens", {"kind": "api", "uses": 2}), 422, pointer="/uses")


@test("a limit of 0 is a limit: refused with the least that can be reached", 60)
def limits_of_zero():
    stack = bed.daemon()
    create = ("search", "create", "zero", "--supernet", "net", "--profile", bed.profile())
    for option, least in (("--max-macs", "least that can be reached is"), ("--max-params", "least that can be reached is"), ("--max-memory", "least that can be reached is"), ("--max-latency", "board \"bench\"")):
        done = stack.cli_run(*create, option, "0")
        equal((done.returncode, done.stdout), (1, ""), f"{option} 0")
        check("no subnet has" in done.stderr and least in done.stderr, "the words", done.stderr)
    problem(bed.client().request("GET", "/searches/zero"), 404)


@test("ranges are the daemon's: the client sends what was given, messages name no sentinels", 60)
def ranges():
    stack = bed.daemon()
    bed.supernet()
    search, train = ("search", "create", "r", "--supernet", "net"), ("supernet", "train", "r", "--space", "tiny", "--dataset", "bars")
    refused = [
        (search + ("--evaluations", "5000000"), "evaluations must be from 1 to 1000000, not 5000000 (/evaluations)"),
        (search + ("-n", "0"), "evaluations must be from 1 to 1000000, not 0 (/evaluations)"),
        (search + ("--population", "3"), "population must be from 4 to 10000, not 3 (/population)"),
        (search + ("--initial-evaluations", "50000"), "initial_evaluations must be from 16 to 10000, not 50000 (/initial_evaluations)"),
        (search + ("--measure-front", "-1"), "measure_front must be from 0 to 1000, not -1 (/measure_front)"),
        (search + ("--seed", "-1"), "seed must be at least 0, not -1 (/seed)"),
        (train + ("--time", "0"), "time_budget_s must be from 1 to 10000000, not 0 (/train/time_budget_s)"),
        (train + ("--time", "10ms"), "time_budget_s must be from 1 to 10000000, not 0.01 (/train/time_budget_s)"),
        (train + ("--epochs", "0"), "epochs must be from 0.001 to 100000, not 0 (/train/epochs)"),
        (train + ("--batch", "0"), "batch must be from 2 to 4096, not 0 (/train/batch)"),
        (train + ("--learning-rate", "50"), "learning_rate must be from 1e-06 to 10, not 50 (/train/learning_rate)"),
        (train + ("--drop-connect", "0.95"), "drop_connect must be from 0 to 0.9, not 0.95 (/train/drop_connect)"),
        (train + ("--seed", "-1"), "seed must be at least 0, not -1 (/train/seed)"),
        (("space", "sample", "tiny", "-n", "0"), "n must be from 1 to 10000, not 0 (/n)"),
        (("dataset", "add", "r", str(stack.root / "bars"), "--validation", "-1"), "validation must be from 0 to 10000000, not -1 (/validation)"),
        (("dataset", "add", "r", str(stack.root / "bars"), "--max-skipped", "1.5"), "max_skipped must be from 0 to 1, not 1.5 (/max_skipped)"),
        (("device", "add", "--uses", "0"), "uses must be from 1 to 10000, not 0 (/uses)"),
        (("token", "add", "--expires", "0"), "expires_in_s must be from 1 to 315360000, not 0 (/expires_in_s)"),
    ]
    wrong = []
    for words, told in refused:
        done = stack.cli_run(*words)
        if (done.returncode, done.stderr.strip()) != (1, "espalier: " + told):
            wrong.append((words[-2:], done.returncode, done.stderr.strip()))
    equal(wrong, [], "refusals")
    stack.cli("supernet", "train", "half", "--space", "tiny", "--dataset", "bars", "--epochs", "0.5", "--wait")
    equal(stack.client.get("/supernets/half")["train"]["epochs"], 0.5, "half an epoch")


PROGRAMS = [(CLI,), (DAEMON,), (WORKER,)]


def help_texts():
    """Words -> what they print with --help: all programs, nouns and commands."""
    overview = subprocess.run([CLI, "--help"], capture_output=True, text=True, timeout=10, check=True).stdout
    commands = [match for line in overview.splitlines() if (match := re.match(r"  ([a-z]+)(?: ([a-z]+)\b)?", line))]
    words = {(CLI, match.group(1)) for match in commands} | {(CLI, *filter(None, match.groups())) for match in commands} | set(PROGRAMS)
    check(len(words) > 55, "commands", sorted(map(str, words)))
    return {row: subprocess.run([*row, "--help"], capture_output=True, text=True, timeout=10, check=True).stdout for row in sorted(words, key=str)}


@test("help of every program and command: 100 columns, what it says begins in one column", 120)
def help_is_aligned():
    wrong = []
    for words, text in help_texts().items():
        block = set()
        for line in text.splitlines() + [""]:
            if len(line) > 100:
                wrong.append((words, "long", line))
            row = re.match(r"  +\S+(?: \S+)*  +(?=\S)|  +(?=\S)", line)  # a left column, or the rest of what the line before says
            if row:
                block.add(row.end())
            elif not line.startswith("  "):
                if len(block) > 1:
                    wrong.append((words, "columns", sorted(block)))
                block = set()
    equal(wrong, [], "help texts")


@test("a slip of the finger is answered with what was meant, anything else with what there is; exit code 2")
def slips():
    def said(*words):
        done = bed.daemon().cli_run(*words)
        equal((done.returncode, done.stdout), (2, ""), f"{words}")
        return done.stderr
    for words, meant in ((("serach", "ls"), '"search"'), (("search", "craete", "x"), '"search create"'), (("job", "log", "x"), '"job logs"'), (("devcie",), '"device"'), (("search", "ls", "--jsn"), "--json"), (("supernet", "train", "x", "--epoch", "3"), "--epochs")):
        check(f"did you mean {meant}" in said(*words), "what was meant", words, said(*words))
    for words, meant in ((("search", "stop", "x"), '"search cancel" or "search pause"?'), (("search", "list"), '"search ls"?'), (("search", "delete", "x"), '"search rm"?'), (("device", "get", "x"), '"device show"?'),
                         (("job", "kill", "x"), '"job cancel"?'), (("latency", "list"), '"latency tables" or "latency profiles"?'), (("board", "ls"), '"device"?'), (("supernet", "create", "x"), '"supernet train"?')):
        check(f"did you mean {meant}" in said(*words), "what goes by another name here", words, said(*words))
    for words, meant in ((("arch", "measure", "x"), '"latency measure"?'), (("device", "calibrate", "x"), '"latency calibrate"?'), (("serve",), '"espalierd"?'), (("version",), '"--version"?')):
        check(f"did you mean {meant}" in said(*words), "what another noun or program does", words, said(*words))
    for words in (("arch", "rm", "x"), ("profile", "ls")):  # verbs of many nouns
        check("did you mean" not in said(*words), "none of them is meant more than the others", words, said(*words))
    text = said("zzz")
    check("did you mean" not in text and "dataset, space, supernet" in text and "espalier --help" in text, "nouns", text)
    text = said("search", "zzz")
    check("did you mean" not in text and "create, import, ls, show, front" in text and "espalier search --help" in text, "verbs", text)
    check("espalier search create NAME" in said("search"), "commands of a noun", said("search"))


@test("help names every kind and state of jobs that the API knows")
def kinds_in_help():
    job = bed.daemon().client.get("/openapi.json")["components"]["schemas"]["Job"]["properties"]
    words = bed.daemon().cli_run("job", "ls", "--help").stdout.split()
    told = {word.strip(",;:") for word in words}
    equal([word for word in job["kind"]["enum"] + job["state"]["enum"] if word not in told], [], "words that help leaves out")


@test("a member that is not there is exit code 3 and a sentence, and nothing on stdout")
def missing_member():
    bed.supernet()
    for words in (("supernet", "show", "net", "--get", "no.such"), ("supernet", "ls", "--get", "99.id")):
        done = bed.daemon().cli_run(*words)
        equal((done.returncode, done.stdout), (3, ""), "exit code and output")
        check(words[-1] in done.stderr, "the sentence names it", done.stderr)
    equal(bed.daemon().cli("supernet", "show", "net", "--get", "dataset_name"), "bars", "a member that is there")


@test("the best point of a front that has none is exit code 3 and a sentence", 120)
def empty_front():
    stack = bed.daemon()
    job = stack.client.post("/searches", bed.search_body("barren", evaluations=100000), 202)["job"]["id"]
    stack.cli("search", "cancel", "barren")
    stack.wait_job(job, state="canceled")
    equal(stack.client.get("/searches/barren/front")["items"], [], "the front")
    done = stack.cli_run("search", "front", "barren", "--best", "--get", "arch")
    equal((done.returncode, done.stdout), (3, ""), "exit code and output")
    check("no point" in done.stderr and "barren" in done.stderr, "the sentence", done.stderr)


@test("a training tells its first steps at once", 90)
def first_progress():
    bed.supernet()
    stack = bed.daemon()
    command = [str(CLI), "supernet", "train", "told", "--space", "tiny", "--dataset", "bars", "--time", "8s", "--wait"]
    begun, lines = time.monotonic(), []
    with subprocess.Popen(command, env={**os.environ, "ESPALIER_URL": stack.url}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            lines.append((time.monotonic() - begun, line))
            if len(lines) == 1:
                job = stack.client.get("/jobs?kind=train&page_size=1")["items"][0]["id"]
                late = stack.cli_run("job", "wait", job, "--timeout", "100ms")
                equal(late.returncode, 124, "a wait that ends before the job")
                check("it goes on: espalier job wait " + job in late.stderr, "what to do then", late.stderr)
    whole = time.monotonic() - begun
    equal(running.returncode, 0, "exit code")
    steps = [at for at, line in lines if "images/s" in line]
    check(steps and steps[0] < whole / 2, "the first line with steps", whole, lines)
    check(lines[0][0] < 1.5, "a line at once", lines)
    check(len(lines) < 9, "no more than the usual pace", lines)


@test("a search's hypervolume is shown beside that of its baseline, the final front's apart", 150)
def search_shown():
    stack = bed.daemon()
    job = stack.client.post("/searches", bed.search_body("shown"), 202)["job"]["id"]
    stack.wait_job(job, 120)
    doc = stack.client.get("/searches/shown")
    result = doc["result"]
    equal(result["hypervolume_stage"], "predicted", "the stage of both")
    front = stack.client.get("/searches/shown/front")["items"]
    latencies = [value["value"] for point in front for key, value in point["metrics"].items() if key.startswith("latency_us")]
    degenerate = len(front) < 8 or max(latencies) < 1.5 * min(latencies)
    equal((result["front_size"], result["degenerate"]), (len(front), degenerate), "what the search says of its front")
    equal("The space is degenerate" in stack.cli_run("search", "front", "shown").stderr, degenerate, "what the client says of it")
    shown = stack.cli("search", "show", "shown")
    for name, value in (("hypervolume of the newest front", doc["hypervolume"]), ("hypervolume at the end of the search", result["hypervolume"]), ("of the baseline, at equal budget", result["hypervolume_random"])):
        check(re.search(rf"{name}\t{re.escape(format(value, '.4g'))}$", shown, re.M), name, shown)


@test("latencies are shown with four significant digits in one fitting unit", 60)
def latencies():
    stack = bed.daemon()
    front = stack.client.get("/searches/shown/front")["items"]
    values = [metric["value"] for item in front for key, metric in item["metrics"].items() if key.startswith("latency_us")]
    unit, scale = ("ms", 1000) if max(values) >= 1000 else ("us", 1)
    lines = stack.cli("search", "front", "shown").splitlines()
    check(f"LATENCY {unit.upper()}:" in lines[0], "the head", lines[0])
    cells = [line.split("\t")[2] for line in lines[1:1 + len(front)]]
    told = [re.search(r"(?:-> |^)([\d.]+) \[", cell).group(1) for cell in cells]
    equal([len(text.replace(".", "").lstrip("0")) for text in told], [4] * len(front), "significant digits")
    for text, value in zip(told, sorted(values)):
        check(abs(float(text) * scale - value) <= 1e-3 * value, "the value", (text, value))
    head, *rows = stack.cli("arch", "show", "tiny", data.LARGE_ARCH, "--profile", bed.profile(), "--no-headers").split("\n\n")
    check(re.search(r"^latency\t[\d.]+ (us|ms)$", head, re.M), "the latency of the whole", head)
    equal(len({line.split("\t")[-1].split()[1] for line in rows[0].splitlines() if not line.endswith("-")}), 1, "units in a column")


@test("an evaluation prints the networks that were asked for, by the checkpoint that was asked for", 60)
def evaluation():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    checkpoints = sorted(client.items("/supernets/net/checkpoints"), key=lambda row: row["step"])
    check(len(checkpoints) >= 2, "checkpoints to choose from", checkpoints)

    def rows(*words):
        lines = stack.cli("supernet", "evaluate", "net", *words, "--wait", "--no-headers").splitlines()
        return [line.split("\t") for line in lines]
    for arch in (data.SMALL_ARCH, data.LARGE_ARCH):
        told = rows(arch)
        equal([row[-1] for row in told], [arch], "the networks told")
    first = checkpoints[0]
    told = rows(data.SMALL_ARCH, "--checkpoint", first["id"])
    equal([row[-1] for row in told], [data.SMALL_ARCH], "the networks told of a checkpoint")
    wanted = [row for row in client.items("/evaluations?supernet=net") if row["checkpoint"] == first["hash"] and row["arch"] == data.SMALL_ARCH]
    equal([f"{100 * row['top1']:.2f} %" for row in wanted], [told[0][0]], "its top-1")
    report = rows("--report")
    check(len(report) > 2 and all(row[1] != "-" for row in report), "a report tells both values", report)


@test("what uses a supernet is named, and what cannot be done to a job is said in words")
def refusals():
    stack = bed.daemon()
    done = stack.cli_run("supernet", "rm", "net")
    equal(done.returncode, 4, "exit code")
    check('is used by others (search "' in done.stderr, "the users are named", done.stderr)
    job = stack.client.get("/searches/shown")["job"]
    check("it cannot be cancelled" in stack.cli_run("job", "cancel", job).stderr, "the words", stack.cli_run("job", "cancel", job).stderr)


def board_of_others(folder):
    """CSV files of a board whose networks take 1.5 times the sum of their ops and 100 more."""
    rng = random.Random(2)
    ops, networks = ["model,operation,feature,phone"], ["model,size,phone|mean,phone|std"]
    for i in range(30):
        sizes = [rng.randrange(1, 12) for _ in range(8)]
        ops += [f"net{i},CONV,\"{{'size': {size}}}\",{20 + 3 * size}" for size in sizes]
        networks.append(f"net{i},7,{100 + 1.5 * sum(20 + 3 * size for size in sizes)},1")
    for name, lines in (("ops", ops), ("networks", networks)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def gaps_are_told(stack, folder, words):
    """An op without a time is told by other networks, and that is said; a time that is none is refused where it stands."""
    lines = (folder / "ops.csv").read_text().splitlines()

    def put(*first):
        (folder / "ops.csv").write_text("\n".join([lines[0], *first, *lines[1 + len(first):], "other,CONV,{},5", "other,CONV,{},6"]) + "\n")

    def without_time(i, text=""):
        return lines[i].rsplit(",", 1)[0] + "," + text
    put(without_time(1), without_time(2), without_time(3, "0.000"))
    profile, = json.loads(stack.cli(*words, "--json"))["profiles"]
    equal((profile["networks"], profile["ops"], profile["unpredicted_ops"]), (30, 240, 0), "with the network that has a gap")
    equal(profile["left_out"], {"networks_not_measured": 0, "networks_without_ops": 0, "networks_not_drawn": 0, "unknown_networks": 1, "ops_of_unknown_networks": 2,
                                "unmeasured_ops": 2, "networks_of_table": 1, "ops_of_table": 2}, "what is left out")
    shown = stack.cli_run(*words)
    equal(shown.returncode, 0, "exit code")
    for said in ("without a time, told by ops of other networks: 2 ops", "not judged: 1 network that the networks' file lacks, with 2 ops", "in the table alone: ops (2) of 1 network",
                 "phone: 30 networks, 240 ops", "Calibrated on"):
        check(said in shown.stderr and said not in shown.stdout, said, shown.stdout + shown.stderr)
    refused = stack.cli_run(*words, "--known", "30")
    check(refused.returncode == 1 and "fewer than the 30" in refused.stderr and "told by ops of other networks: 2 ops" in refused.stderr, "an error tells it too", refused.stderr)
    for text in ("nan", "-1", "0x10"):
        put(without_time(1, text))
        done = stack.cli_run(*words)
        equal(done.returncode, 1, f"exit code of {text}")
        check(f'ops.csv line 2, column "phone": "{text}" is no time' in done.stderr, "the place", done.stderr)


def strangers_files_are_read(stack, folder):
    """What pandas writes, with columns that are no times; sizes that do not fit and a choice without a pool are told."""
    words = ("latency", "evaluate", str(folder / "foreign.csv"), "--splits", "5")
    rows = [f"{i},n{i},{1 + i},mobile,{70 + i},{30 + 3 * i}" for i in range(12)]
    (folder / "foreign.csv").write_text("\n".join([",model, GFLOPs,family,top1_acc,phone", *rows]) + "\n")
    result = json.loads(stack.cli(*words, "--json"))
    equal((result["columns"]["boards"], result["columns"]["costs"]), (["phone"], ["GFLOPs"]), "columns")
    equal([row["number"] for row in result["columns"]["passed_over"]], [1, 4, 5], "columns passed over")
    profile, = result["profiles"]
    equal((profile["skipped_sizes"], [size["networks"] for size in profile["calibrations"]], profile["pool"]), ([20], [5, 10], 0), "sizes")
    chosen = stack.cli_run(*words, "--choice", "spread")
    for said in ("columns of boards: phone", "columns of costs: GFLOPs", "columns passed over (no title): the 1.", "columns passed over (no field is a number): family",
                 "left out: calibrations on 10 networks", "chosen of pools of 6 networks, half of them"):
        check(said in chosen.stderr, said, chosen.stderr)
    for mode in ((), ("--json",)):
        equal(stack.cli_run(*words, "--known", "20", *mode).returncode, 1, f"exit code where no size fits {mode}")
    for rest, status, said in ((("--times", "GFLOPs, top1_acc"), 0, "columns of boards: GFLOPs, top1_acc"), (("--times", "phone,watch"), 1, 'no column "watch"'),
                               (("--profile", "watch"), 3, 'no profile "watch" has times: foreign.csv has "phone"'), (("--pool", "5000"), 2, "4096")):
        done = stack.cli_run(*words, *rest)
        equal(done.returncode, status, f"exit code of {rest}")
        check(said in done.stderr, f"what is said of {rest}", done.stderr)
    titles = [f"{i} is {'long ' * 220}" for i in range(4090)]
    rows = [f"n{i},{1 + i},{30 + 3 * i}" + ",x" * len(titles) for i in range(12)]
    (folder / "foreign.csv").write_text("\n".join([",".join(["model,macs,phone", *titles]), *rows]) + "\n")
    result = json.loads(stack.cli(*words, "--splits", "1", "--json"))
    equal(len(result["columns"]["passed_over"]), len(titles), "an answer of over 4 MiB")
    (folder / "foreign.csv").write_text("model;macs;phone\nx;1,5;2,5\n")
    check("separated by commas, not semicolons" in stack.cli_run(*words).stderr, "decimal commas")


@test("predictions are judged on measurements of others, without a daemon", 60)
def judged_on_others():
    stack = bed.daemon()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        board_of_others(folder)
        words = ("latency", "evaluate", str(folder / "networks.csv"), "--ops", str(folder / "ops.csv"), "--known", "5,10", "--splits", "20")
        profile, = json.loads(stack.cli(*words, "--json"))["profiles"]
        equal((profile["profile"], profile["networks"], profile["ops"], profile["fleet"]), ("phone", 30, 240, 0), "what was read")
        check(profile["sum"]["mape"] > 0.3, "the plain sum is wrong", profile["sum"])
        for size in profile["calibrations"]:
            figures = {rung["name"]: rung for rung in size["rungs"]}
            equal(sorted(figures), ["entries", "kinds", "ladder", "line", "sum"], "rungs")
            check(figures["line"]["mape"] < 0.002 and figures["ladder"]["within_10"] > 0.99, "the line", figures)
        shown = stack.cli(*words)
        check(re.search(r"^phone\t10\tladder\t0\.\d\d %", shown, re.M), "the table", shown)
        for rest, status, said in ((("--known", "5,x"), 2, "--known"), (("--known", "2"), 1, "/sizes"), (("--known", "30"), 1, "fewer than the 30"), (("--given", "6"), 1, "6 networks are given"), (("--profile", "tablet"), 3, "tablet")):
            done = stack.cli_run(*words, *rest)
            equal(done.returncode, status, f"exit code of {rest}")
            check(said in done.stderr and not re.search(r"^\d{4}-\d\d-\d\dT", done.stderr, re.M), f"the reason of {rest}, without the line of the job's log", done.stderr)
        gaps_are_told(stack, folder, words)
        strangers_files_are_read(stack, folder)
        (folder / "ops.csv").write_text("model,operation\n1\n")
        done = stack.cli_run(*words)
        check(done.returncode == 1 and "ops.csv: line 2: 1 fields instead of the header's 2" in done.stderr, "a broken file", done.stderr)


@test("no two options of a command share a letter, and -o name is everywhere what it says", 120)
def letters():
    for noun, verb in commands_of_overview():
        letters = re.findall(r"^  (-\w), --", help_of(noun, verb), re.MULTILINE)
        equal(sorted(letters), sorted(set(letters)), f"letters of {noun} {verb}")
    bed.supernet()
    made = bed.daemon().cli("search", "create", "named", "--supernet", "net", "-n", "60", "--measure-front", "0", "-o", "name")
    equal(made, bed.client().get("/searches/named")["id"], "the id of what was made")


@test("options that all commands have may stand in front of one, and doctor's JSON is one document", 60)
def leading():
    stack = bed.daemon()
    bed.supernet()
    wrong = {**os.environ, "ESPALIER_URL": "http://127.0.0.1:1"}

    def ends(*words):
        return subprocess.run([str(CLI), *words], env=wrong, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    equal(json.loads(ends("--url", stack.url, "--json", "supernet", "show", "net").stdout)["name"], "net", "noun and verb")
    equal(ends("-u", stack.url, "-g", "system.cores", "status").stdout, f"{stack.client.get('/system')['cores']}\n", "a noun alone")
    check("search create" in ends("--json", "--help").stdout, "help")
    for words, said in ((("--file", "x", "apply"), "unknown option --file"), (("--json",), "usage: espalier"), (("--json", "serach"), 'did you mean "search"')):
        done = ends(*words)
        equal(done.returncode, 2, f"exit code of {words}")
        check(said in done.stderr, "the reason", done.stderr)
    verbs = ends("search")
    for words in (("--url", stack.url, "search"), ("search", "--url", stack.url), ("--json", "search"), ("--json", "search", "--url", stack.url)):
        done = ends(*words)
        equal((done.returncode, done.stdout, done.stderr), (2, "", verbs.stderr), f"a noun without a verb: {words}")
    check("espalier search create" in verbs.stderr and "espalier space" not in verbs.stderr, "its commands", verbs.stderr)
    done = ends("--url", stack.url, "search", "--help")
    equal((done.returncode, done.stdout, done.stderr), (0, verbs.stderr, ""), "when help is asked for")
    done = stack.cli_run("doctor", "--json")
    checks = json.loads(done.stdout)
    equal(done.returncode, 0 if all(one["ok"] for one in checks) else 1, "exit code")
    equal([one["name"] for one in checks], ["database", "disk", "job program", "boards"], "checks")
    disk = checks[1]["detail"]
    check(re.match(r"[\d.]+ [kMGT]B free, [\d.]+ [kMGT]?B stay free", disk) and not re.search(r"\b0\.0|\b0 GB", disk), "sizes in fitting units", disk)


@test("doctor names the boards that are quarantined, away or noisy, says what to do, and ends with 1", 60)
def doctor_of_boards():
    stack = Stack("doctor").start()

    def look():
        done = stack.cli_run("doctor", "--json")
        row = next(one for one in json.loads(done.stdout) if one["name"] == "boards")
        equal(done.returncode, 0 if row["ok"] else 1, "exit code")
        return row["ok"], row["detail"]
    equal(look(), (True, "0 boards yet: espalier device add"), "without boards")
    boards = {name: Board(stack.port, name).enrol(stack.enrolment_token()) for name in ("bad", "gone", "loud", "sound", "spare")}
    equal(look(), (True, "5 boards"), "when all is well")
    stack.cli("device", "quarantine", "bad")
    for name in ("gone", "spare"):
        check(boards[name].post("goodbye", {"epoch": boards[name].epoch}).status in (200, 204), "goodbye")
    stack.cli("device", "maintain", "spare")
    with sqlite3.connect(stack.database()) as db:
        db.execute("UPDATE profile_revisions SET noise_doubt = 'implausible', noise_next_us = 9e18 WHERE profile = ?", (boards["loud"].profile_id,))
    ok, detail = look()
    equal(detail.split("; ")[0], "5 boards", "how many")
    for said in ("1 quarantined: bad (espalier device logs NAME", "1 offline: gone (start the worker", "1 noisy: loud (when it is idle: espalier device check NAME)"):
        check(said in detail, said, detail)
    check(not ok and not any(name in detail for name in ("sound", "spare")), "those that are well or set aside", detail)
    check("boards" in stack.cli_run("doctor").stdout, "for people")
    for name in ("c", "b", "a", "d"):
        Board(stack.port, f"far-{name}").enrol(stack.enrolment_token())
        stack.cli("device", "quarantine", f"far-{name}")
    check("5 quarantined: bad, far-a, far-b and 2 more (" in look()[1], "many", look())
    for name in ("bad", "far-a", "far-b", "far-c", "far-d", "gone"):
        stack.cli("device", "maintain", name)
    with sqlite3.connect(stack.database()) as db:
        db.execute("UPDATE profile_revisions SET noise_doubt = NULL")
    equal(look(), (True, "9 boards"), "when people have set them aside")
    stack.stop()


@test("jobs are listed by their state and kind, and what was done to a thing is said in words", 120)
def job_lists():
    stack = bed.daemon()
    bed.supernet()
    shown = json.loads(stack.cli("job", "ls", "--state", "done", "--kind", "train", "--json"))
    check(shown and all((job["state"], job["kind"]) == ("done", "train") for job in shown), "jobs", shown)
    equal(stack.cli("job", "ls", "-s", "canceling", "-o", "name"), "", "none")
    done = stack.cli_run("job", "ls", "--state", "runing")
    check(done.returncode == 1 and "running" in done.stderr, "a state that nobody knows", done.stderr)
    stack.cli("supernet", "train", "held", "--space", "tiny", "--dataset", "bars", "--epochs", "400")
    job = stack.client.get("/supernets/held")["job"]
    for words, said in ((("supernet", "pause", "held"), "held: paused"), (("supernet", "resume", "held"), "held: goes on")):
        equal(stack.cli(*words), said, "the words")
    check(stack.cli("job", "cancel", job) in (f"{job}: is being stopped", f"{job}: cancelled"), "the words", "as far as its process has come")
    stack.wait_job(job, state="canceled")
    equal(stack.cli("supernet", "rm", "held"), "held: removed", "the words")


@test("two networks are compared by stage and block, and the changes of their parts sum up to those of the whole", 60)
def compared():
    stack, client = bed.daemon(), bed.client()
    first, second = "r28 | d2 c16 k5e4 k3e2 | d2 c24 k3e2 k5e4", "r28 | d1 c16 k5e4 | d3 c24 k3e2 k5e2 k3e4"
    words = ("arch", "diff", first, second, "--space", "tiny", "--profile", bed.profile())
    doc = json.loads(stack.cli(*words, "--json"))
    whole = [client.get(f"/archs?space=tiny&arch={quote(arch)}&profile={bed.profile()}") for arch in (first, second)]
    equal([(doc[side]["arch"], doc[side]["arch_id"]) for side in "ab"], [(one["arch"], one["arch_id"]) for one in whole], "the networks")
    totals = {row["metric"]: (row["a"], row["b"]) for row in doc["totals"]}
    for path in ("cost.macs", "cost.params", "cost.peak_activation_bytes", "latency.us", "latency.high_us"):
        part, key = path.split(".")
        equal(totals[path], tuple(one[part][key] for one in whole), path)
    places = {row["where"]: row for row in doc["places"]}
    equal(list(places), ["stage 1", "block 1.2", "stage 2", "block 2.2", "block 2.3"], "what differs")
    equal([(places[name]["a"], places[name]["b"]) for name in ("stage 1", "block 1.2", "stage 2", "block 2.2", "block 2.3")],
          [("d2 c16", "d1 c16"), ("k3 e2 c16>16 7x7", "-"), ("d2 c24", "d3 c24"), ("k5 e4 c24>24 4x4", "k5 e2 c24>24 4x4"), ("-", "k3 e4 c24>24 4x4")], "how")
    for key in ("macs", "params"):
        stages = sum(places[name]["change"][key] for name in ("stage 1", "stage 2"))
        blocks = sum(row["change"][key] for name, row in places.items() if name.startswith("block"))
        equal((stages, blocks), (totals[f"cost.{key}"][1] - totals[f"cost.{key}"][0],) * 2, key)
    gone = next(unit for unit in whole[0]["units"] if unit["stage"] == 0 and unit["block"] == 1)
    check(abs(places["block 1.2"]["change"]["latency_us"] + gone["latency_us"]) < 1e-6, "the latency of a block that is gone", places, gone)
    fields, figures, parts = [part.splitlines() for part in stack.cli(*words).split("\n\n")]
    macs = next(line.split("\t") for line in figures if line.startswith("MACs"))
    check(re.fullmatch(r"[+-]\d+\.\d\d %", macs[3]), "the change of the whole", macs)
    equal([line.split("\t")[0] for line in parts], ["WHERE", *places], "the table")
    equal(parts[0].split("\t")[-1], "LATENCY", "its last column")
    check("LATENCY" not in stack.cli(*words[:-2]), "without a profile")
    same = stack.cli_run("arch", "diff", first, first, "--space", "tiny")
    check(same.returncode == 0 and "They are one network." in same.stderr and "WHERE" not in same.stdout, "one network", same)
    equal(stack.cli_run("arch", "diff", first, second).returncode, 2, "without a space")
    done = stack.cli_run("arch", "diff", first, "r28 | d9", "--space", "tiny")
    check(done.returncode == 1 and 'of "r28 | d9"' in done.stderr, "which of them is wrong", done.stderr)


@test("config show tells where each setting comes from, and files stand behind the environment")
def origins():
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        mine, other = home / "espalier/client.env", home / "other.env"
        mine.parent.mkdir()
        mine.write_text("# of this user\n\nESPALIER_URL=http://127.0.0.1:1\n  ESPALIER_TOKEN='secret'  \nESPALIER_TIMEOUT=5s\nESPALIER_NO_HEADERS=yes\n")
        other.write_text("ESPALIER_URL=unix:/other\n")

        def run(*words, **environment):
            clean = {key: value for key, value in os.environ.items() if not key.startswith("ESPALIER_")}
            return subprocess.run([str(CLI), *words], env={**clean, "XDG_CONFIG_HOME": name, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)

        def shown(*words, **environment):
            done = run("config", "show", *words, "--json", **environment)
            equal(done.returncode, 0, "exit code")
            return {row["name"]: (row["value"], row["origin"], row["from"]) for row in json.loads(done.stdout)}
        rows = shown("--ca-file", "x.pem", ESPALIER_URL="unix:/here", ESPALIER_PINNED_KEY="")
        equal(rows["url"], ("unix:/here", "environment", "ESPALIER_URL"), "the environment wins over a file")
        equal(rows["token"], ("(not shown)", "file", str(mine)), "a file")
        equal(rows["ca-file"], ("x.pem", "option", "--ca-file"), "an option")
        equal([rows[name] for name in ("pinned-key", "insecure-lan")], [(None, "default", "default"), ("false", "default", "default")], "defaults")
        equal((rows["timeout"], rows["no-headers"]), (("5s", "file", str(mine)), ("yes", "file", str(mine))), "options of other commands, and flags")
        equal(shown()["url"], ("http://127.0.0.1:1", "file", str(mine)), "a file alone")
        equal(shown("-u", "unix:/hand")["url"], ("unix:/hand", "option", "--url"), "an option wins over all")
        rows = shown(ESPALIER_CONFIG=str(other))
        equal((rows["url"], rows["token"]), (("unix:/other", "file", str(other)), (None, "default", "default")), "another file in place of both")
        check("secret" not in run("config", "show").stdout, "the secret")
        told = run("config", "show", ESPALIER_URI="x").stderr
        check("ESPALIER_URI is set, but no command has an option --uri" in told, "a variable of no option", told)
        equal(run("status").returncode, 5, "the file's address is what a command asks")
        for text, said in (("URL=x\n", "line 1"), ("\nESPALIER_URL\n", "line 2"), ("ESPALIER_url=x", "line 1"), ("ESPALIER_JSON=perhaps", "ESPALIER_JSON")):
            other.write_text(text)
            done = run("status", ESPALIER_CONFIG=str(other))
            equal(done.returncode, 2, f"exit code of {text!r}")
            check(said in done.stderr, "the place", done.stderr)
            helped = run("status", "--help", ESPALIER_CONFIG=str(other))
            check(helped.returncode == 0 and "usage: espalier status" in helped.stdout and said in helped.stderr, "help needs no settings", helped)
            equal(run("status", "--", "--help", ESPALIER_CONFIG=str(other)).returncode, 2, "a word that is no option")
        for words in (("--bogus", "--help"), ("--help", "--bogus"), ("-h", "--timeout", "soon")):
            done = run("status", *words)
            equal((done.returncode, done.stdout), (2, ""), f"help beside options that are wrong: {words}")
            check("--bogus" in done.stderr or "--timeout" in done.stderr, "which one", done.stderr)
        equal(run("--version", ESPALIER_CONFIG=str(other)).returncode, 0, "the version needs none")
        done = run("status", ESPALIER_CONFIG=str(home / "none"))
        check(done.returncode == 2 and "none" in done.stderr, "a file that is named and is not there", done.stderr)


@test("rm asks on a terminal, unless it is told --yes or prints JSON, and does not in a script", 60)
def asked_before_removal():
    stack, client = bed.daemon(), bed.client()

    def there():
        return [row["name"] for row in client.items("/spaces") if row["name"].startswith("doomed")]

    def add(n):
        for i in range(n):
            client.post("/spaces", data.space(name=f"doomed-{i}"), 201)
        return [f"doomed-{i}" for i in range(n)]
    names = add(7)
    for typed in ("n\n", "\n", "\x04", "yellow\n", "Yes please\n", "y n\n", "yesyes\n", "ye\n", "y" + 20 * " " + "not\n"):
        terminal = Terminal("space", "rm", *names, url=stack.url)
        terminal.wait_for("the question", r"Remove doomed-0, doomed-1, doomed-2, doomed-3, doomed-4 and 2 more\? \[y/N\]")
        terminal.type(typed)
        equal(terminal.ended(), 1, f"exit code of {typed!r}")
        check("Nothing was removed." in terminal.text, "the words", terminal.text)
        equal(len(there()), 7, "spaces")
    for typed in ("y\n", "Y\n", "yes\n", " \tYeS  \n"):
        terminal = Terminal("space", "rm", *names, url=stack.url)
        terminal.wait_for("the question", r"\[y/N\]")
        terminal.type(typed)
        equal((terminal.ended(), there()), (0, []), f"when the answer is {typed!r}")
        names = add(2)
    stack.cli("space", "rm", *names)
    for option in ("--yes", "-y", "--json"):
        terminal = Terminal("space", "rm", *add(1), option, url=stack.url)
        equal((terminal.ended(), there(), "[y/N]" in terminal.text), (0, [], False), option)
    equal((stack.cli("space", "rm", *add(1)), there()), ("doomed-0: removed", []), "in a script")
    check("--yes" not in stack.cli("job", "retry", "--help"), "the option is rm's alone")


@test("help and progress keep to a narrow terminal", 120)
def narrow():
    bed.supernet()
    url = bed.daemon().url
    for words in (("--help",), ("search", "create", "--help")):
        shown = Terminal(*words, url=url, columns=80)
        equal(shown.ended(), 0, "exit code")
        check(shown.text.count("\n") > 40 and all(len(line) <= 80 for line in shown.text.splitlines()), "lines", max(shown.text.splitlines(), key=len))
    trained = Terminal("supernet", "train", "narrow", "--space", "tiny", "--dataset", "bars", "--epochs", "3", "--wait", url=url, columns=40)
    equal(trained.ended(), 0, "exit code")
    rows = re.split(r"[\r\n]+", trained.text.replace("\x1b[K", ""))
    check(any(re.match(r"train: \[[#.]+\] +\d+ %", row) for row in rows) and all(len(row) < 40 for row in rows if row.startswith("train: ")), "rows of progress", rows)
    empty = bed.daemon().root / "empty"
    empty.mkdir()
    failing = Terminal("dataset", "add", "empty", str(empty), "--wait", url=url)
    equal(failing.ended(), 6, "exit code")
    check(re.search(r"\r\nespalier: job_\w+ failed: ", failing.text), "the reason is in a line of its own", failing.text)


@test("a table stays a table, whatever is in its texts, and what is said about it is not in the pipe")
def rows_stay_rows():
    stack = bed.daemon()
    bed.supernet()
    label = "two\twords\nand \x1b[31mred \u009b1m"
    made = stack.client.post("/tokens", {"kind": "api", "scope": "read", "label": label}, 201)["id"]
    row, = [line.split("\t") for line in stack.cli("token", "ls").splitlines() if line.startswith(made)]
    head = stack.cli("token", "ls").splitlines()[0].split("\t")
    equal((len(row), row[head.index("LABEL")]), (len(head), "two words and  [31mred   1m"), "the row")
    search = stack.client.post("/searches", bed.search_body("piped", evaluations=60, measure_front=0, calibration_nets=0), 202)
    stack.wait_job(search["job"]["id"])
    for words in (("search", "front", "piped"), ("search", "candidates", "piped", "-n", "5")):
        done = stack.cli_run(*words)
        lines = done.stdout.splitlines()
        check(all(len(line.split("\t")) == len(lines[0].split("\t")) for line in lines), "columns", lines)
        check(re.search(r"\d (points?|of \d+ candidates)", done.stderr), "what is said about it", done.stderr)
    layers = ("arch", "show", "tiny", data.SMALL_ARCH, "--layers")
    equal([("LIVE is" in done.stdout, "LIVE is" in done.stderr) for done in (stack.cli_run(*layers), stack.cli_run(*layers, "--no-headers"))], [(False, True), (False, False)], "what is said about layers")


@test("an error shows no control characters, and a search of more metrics than a dozen shows them all")
def played_answers():
    """By a daemon that is played: no real one has such names, or so many metrics at hand."""
    metrics = {f"latency_us:p{i}": {"value": [i + 0.5], "source": ["measured"]} for i in range(32)}
    columns = {"strategy": ["nsga2"], "generation": [1], "feasible": [True], "on_front": [True], "arch": ["r28"], "metrics": metrics}

    class Played(BaseHTTPRequestHandler):
        def do_GET(self):
            found = "/many/" in self.path
            body = json.dumps({"total": 1, "columns": columns} if found else {"title": "no", "status": 404, "code": "not_found", "detail": "no \x1b[31mred\nthing \u009b1m", "errors": []}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json" if found else "application/problem+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Played)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = ("--url", f"http://127.0.0.1:{server.server_port}")
    try:
        lines = [line.split("\t") for line in bed.daemon().cli("search", "candidates", "many", *url).splitlines()]
        equal(lines, [["STRATEGY", "GENERATION", "FEASIBLE", "ON FRONT", *metrics, "ARCH"], ["nsga2", "1", "yes", "yes", *[f"{i}.5 measured" for i in range(32)], "r28"]], "the table")
        refused = bed.daemon().cli_run("search", "candidates", "none", *url)
        equal((refused.returncode, refused.stderr), (3, "espalier: no  [31mred thing   1m\n"), "the error")
    finally:
        server.shutdown()
        server.server_close()


@test("the manual page names every command and option, and mandoc has nothing to say against it")
def manual():
    page = bed.daemon().cli_run("manual").stdout
    done = subprocess.run(["mandoc", "-T", "lint"], input=page, capture_output=True, text=True, timeout=20)
    equal((done.returncode, done.stdout + done.stderr), (0, ""), "mandoc -T lint")
    text = subprocess.run(["mandoc", "-T", "ascii"], input=page, capture_output=True, text=True, timeout=20, check=True).stdout
    text = re.sub(r".\x08", "", text)
    for noun, verb in commands_of_overview():
        check(re.search(rf"^   {noun}{' ' + verb if verb else ''}\b", text, re.MULTILINE), "a command in the manual", noun, verb)
        for option in options_of(noun, verb):
            check(option in text, "an option in the manual", noun, verb, option)


@test("the daemon and the worker have manual pages with every option, and mandoc has nothing to say against them")
def manuals():
    for program in (DAEMON, WORKER):
        page = subprocess.run([program, "--manual"], capture_output=True, text=True, timeout=20, check=True).stdout
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=page, capture_output=True, text=True, timeout=20)
        equal((done.returncode, done.stdout + done.stderr), (0, ""), f"mandoc -T lint of {program.name}")
        text = subprocess.run(["mandoc", "-T", "ascii"], input=page, capture_output=True, text=True, timeout=20, check=True).stdout
        text = re.sub(r".\x08", "", text)
        told = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20, check=True).stdout
        options = re.findall(r"^  (?:-\w, |    )(--[a-z0-9-]+)", told, re.MULTILINE)
        check(len(options) > 20, "options", options)
        equal([option for option in options if option not in text], [], f"options that the manual of {program.name} leaves out")
