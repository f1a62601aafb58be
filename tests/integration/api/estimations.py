"""Inherited, fine-tuned and independently trained subnets side by side: what a job finds, and that it is never lost."""
import itertools
import re
import time

import bed
import data
from client import problem
from suite import check, equal, once, test

MIDDLE_ARCH = "r28 | d2 c16 k3e2 k5e1 | d2 c24 k5e2 k3e4"
ARCHS = [data.SMALL_ARCH, MIDDLE_ARCH, data.LARGE_ARCH]
WAYS = ("inherited", "fine_tuned", "scratch")
SCRATCH = {"epochs": 2, "batch": 50, "learning_rate": 0.05, "checkpoint_steps": 5}
FINE_TUNE = {"epochs": 1, "batch": 50, "learning_rate": 0.01, "checkpoint_steps": 5}


def start(**changes):
    return bed.client().post("/estimations", {"supernet": bed.supernet(), "archs": ARCHS, "scratch": SCRATCH, "fine_tune": FINE_TUNE, **changes}, 202)


def tau(pairs):
    """Kendall's tau-b, pair by pair."""
    agree, ties_a, ties_b, n = 0, 0, 0, 0
    for (a, b), (c, d) in itertools.combinations(pairs, 2):
        n += 1
        agree += (a > c) - (a < c) if b > d else (c > a) - (c < a) if b < d else 0
        ties_a += a == c
        ties_b += b == d
    scale = ((n - ties_a) * (n - ties_b)) ** 0.5
    return agree / scale if scale else 0


@once
def found():
    started = start()
    equal(started["archs"], ARCHS, "networks")
    return bed.daemon().wait_job(started["job"]["id"], 120)


@test("an estimation: three networks are scored by inherited weights, after fine-tuning and after training from scratch, on all validation images", 200)
def side_by_side():
    client, result = bed.client(), found()["result"]
    equal([row["arch"] for row in result["networks"]], ARCHS, "networks")
    images = client.get("/datasets/bars")["n_validation"]
    for row in result["networks"]:
        for way in WAYS:
            hits = row[way] * images
            check(abs(hits - round(hits)) < 1e-6 and 0 < row[way] <= 1, f"{way} is a share of all {images} validation images", row)
    check(len({row[way] for row in result["networks"] for way in WAYS}) > 3, "accuracies that differ", result)
    job = client.post("/evaluations", {"supernet": bed.supernet(), "archs": ARCHS}, 202)["job"]["id"]
    bed.daemon().wait_job(job, 90)
    scored = {row["arch"]: row["top1"] for row in client.items(f"/evaluations?supernet={bed.supernet()}&split=validation")}
    equal([row["inherited"] for row in result["networks"]], [scored[arch] for arch in ARCHS], "inherited accuracies are those of an evaluation")
    for key, value in result["kendall_tau"].items():
        a, b = next((a, b) for a in WAYS for b in WAYS if key == f"{a}_{b}")
        wanted = tau([(row[a], row[b]) for row in result["networks"]])
        check(abs(value - wanted) < 1e-9, f"tau of {key}", value, wanted)
        low, high = result["kendall_tau_interval"][key]
        check(-1 <= low <= value + 1e-9 and value <= high + 1e-9 <= 1 + 2e-9 and high - low > 0.5, f"three networks tell little of the tau of {key}", low, value, high)
    trained = client.get("/datasets/bars")["n_train"] // 50 * 50
    equal((result["spent"]["scratch"]["images"], result["spent"]["fine_tuned"]["images"], result["spent"]["inherited"]["images"]), (3 * 2 * trained, 3 * trained, 0), "images")
    listed = client.get("/estimations?supernet=net")["items"]
    equal([(row["job"], row["networks"]) for row in listed if row["job"] == found()["id"]], [(found()["id"], result["networks"])], "the list of comparisons")


@test("a network that was trained from scratch by an estimation is as accurate as one that was trained so by itself", 200)
def same_training():
    found()
    alone = bed.daemon().train("by itself", {**SCRATCH, "arch": MIDDLE_ARCH, "validation_images": 0})
    wanted = next(row["scratch"] for row in found()["result"]["networks"] if row["arch"] == MIDDLE_ARCH)
    equal(bed.client().get(f"/supernets/{alone['supernet']['id']}")["top1_largest"], wanted, "top-1")


@test("an estimation whose job is killed again and again ends with the same figures", 300)
def killed():
    stack, wanted = bed.daemon(), found()["result"]
    job = start()["job"]["id"]
    for wait in (0.2, 0.1):
        deadline = time.monotonic() + 60
        before = stack.client.get(f"/jobs/{job}")["attempt"]
        while stack.client.get(f"/jobs/{job}")["state"] != "running" or not stack.job_pids():
            check(time.monotonic() < deadline, "the job runs")
            time.sleep(0.05)
        time.sleep(wait)
        if stack.client.get(f"/jobs/{job}")["state"] != "running":
            break
        stack.kill_job()
        while stack.client.get(f"/jobs/{job}")["attempt"] == before and stack.client.get(f"/jobs/{job}")["state"] not in ("done", "failed"):
            check(time.monotonic() < deadline, "it begins again")
            time.sleep(0.05)
    done = stack.wait_job(job, 120)
    check(len(done["attempts"]) > 1, "it was killed", done["attempts"])
    for key in ("networks", "kendall_tau", "checkpoint"):
        equal(done["result"][key], wanted[key], key)
    equal(done["result"]["spent"]["scratch"]["images"], wanted["spent"]["scratch"]["images"], "images, none counted twice")


@test("the client prints an estimation, and the newest one again later", 120)
def by_client():
    stack = bed.daemon()
    text = stack.cli("supernet", "estimate", "net", "-n", "2", "--scratch", '{"epochs": 0.5, "batch": 50}', "--fine-tune-epochs", "0.2", "--wait", timeout=100)
    again = stack.cli_run("supernet", "estimates", "net")
    equal(again.stdout.strip(), text.strip(), "the newest comparison")
    check(text.startswith("MACS\tINHERITED") and "Kendall tau of 2 networks, 90 % interval" in again.stderr and re.search(r"\(-?\d\.\d\d to -?\d\.\d\d\)", again.stderr), "a table and what it says", text, again.stderr)


@test("an estimation of what cannot be compared is refused where the request is wrong")
def refused():
    client = bed.client()
    base = {"supernet": bed.supernet()}
    for change, pointer in (
        ({"n": 1}, "/n"), ({"n": 101}, "/n"), ({"archs": [data.SMALL_ARCH]}, "/archs"), ({"archs": [data.SMALL_ARCH, data.SMALL_ARCH]}, "/archs/1"), ({"archs": ARCHS, "n": 3}, "/n"),
        ({"archs": [data.SMALL_ARCH, "r1 | none"]}, "/archs/1"), ({"scratch": {"epochs": -1}}, "/scratch/epochs"), ({"scratch": {}}, "/scratch/epochs"), ({"fine_tune": {"epochs": 1, "arch": data.SMALL_ARCH}}, "/fine_tune"),
        ({"fine_tune": {"epochs": 1, "validation_images": 100}}, "/fine_tune"), ({"scratches": {}}, "/scratches"), ({"scratch": []}, "/scratch"),
    ):
        answer = client.request("POST", "/estimations", {**base, **change})
        problem(answer, 422, pointer=pointer)
    for member in ("archs", "n", "seed", "scratch", "fine_tune", "checkpoint"):
        for value in (True, -1, 1e300, "", "é\U0001f333", [], [None], [[]], {"a": 1}):
            check(client.request("POST", "/estimations", {**base, member: value}).status in (400, 404, 422), f"{member} {value!r} is refused")
    problem(client.request("POST", "/estimations", {"supernet": "none"}), 404)
    problem(client.request("GET", "/estimations?supernet=none"), 404)
