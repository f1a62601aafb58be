"""A training that is killed, canceled or robbed of a checkpoint ends with the same weights as one that is left alone."""
import contextlib
import os
import signal
import time
from pathlib import Path

import bed
import data
from client import problem
from stack import checkpoint_steps, processor_s
from suite import Failed, check, equal, test, wait_for


def begin(name, **changes):
    answer = bed.daemon().client.post("/supernets", {"name": name, "space": "tiny", "dataset": "bars", "train": {key: value for key, value in {**bed.TRAIN, **changes}.items() if value is not None}}, 202)
    return answer["job"]["id"]


def step_of(name, job):
    """The step that a running training has reached."""
    doc = bed.daemon().job(job)
    if doc["state"] in ("done", "failed"):
        raise Failed(f"the training has ended before it could be disturbed: {doc['state']}")
    return max(bed.daemon().client.get(f"/supernets/{name}")["step"], (doc["progress"] or {}).get("done", 0) if doc["state"] == "running" else 0)


def wait_step(name, job, step):
    return wait_for(f"step {step} of {name}", lambda: (now := step_of(name, job)) >= step and now, 40, 0.02)


def compare(name, calm=None):
    """The training must be the calm one's, bit for bit."""
    calm, storm = calm or bed.calm(), bed.Trained(bed.daemon(), name)
    equal(storm.last, calm.last, "last step")
    equal(storm.hashes[storm.last], calm.hashes[calm.last], "content of the last checkpoint")
    equal({step: value for step, value in storm.hashes.items() if step in calm.hashes}, {step: value for step, value in calm.hashes.items() if step in storm.hashes}, "content of checkpoints")
    equal(storm.curves, calm.curves, "curves")
    equal((storm.net["top1_largest"], storm.net["top1_smallest"], storm.net["images"]), (calm.net["top1_largest"], calm.net["top1_smallest"], calm.net["images"]), "accuracies and images")


def evaluate(name):
    stack = bed.daemon()
    job = stack.client.post("/evaluations", {"supernet": name, "archs": [data.SMALL_ARCH, data.LARGE_ARCH]}, 202)["job"]
    stack.wait_job(job["id"])
    rows = stack.client.items(f"/evaluations?supernet={name}&split=validation")
    return sorted((row["arch"], row["top1"], row["loss"], row["checkpoint"]) for row in rows)


@test("an undisturbed training, to compare with", 120)
def undisturbed():
    calm = bed.calm()
    check(len(calm.hashes) >= 2 and calm.net["state"] == "ready", "checkpoints", calm.hashes)
    check(len(calm.curves["loss"]) >= 2, "curves", calm.curves)


@test("a checkpoint that newer ones have replaced is listed as gone, and refused where one is named", 120)
def replaced():
    bed.calm()
    client = bed.daemon().client
    rows = sorted(client.items("/supernets/calm/checkpoints"), key=lambda row: row["step"])
    check(rows[-1]["kept"] and not rows[0]["kept"], "which are kept", [(row["step"], row["kept"]) for row in rows])
    problem(client.request("POST", "/evaluations", {"supernet": "calm", "archs": [data.SMALL_ARCH], "checkpoint": rows[0]["id"]}), (404, 422), "not_found", "/checkpoint")
    job = client.post("/evaluations", {"supernet": "calm", "archs": [data.SMALL_ARCH], "checkpoint": rows[-1]["id"]}, 202)["job"]
    bed.daemon().wait_job(job["id"])


@test("kill -9 of the daemon during training: it goes on from its checkpoint and ends with the same bits", 120)
def daemon_killed():
    bed.calm()
    stack, job = bed.daemon(), begin("daemon-killed")
    reached = 0
    for share in (0.25, 0.6):
        wait_step("daemon-killed", job, int(share * bed.calm().last))
        stored = stack.client.get("/supernets/daemon-killed")["step"]
        check(stored >= reached, "steps only grow", reached, stored)
        reached = stored
        children = stack.job_pids()
        stack.kill()
        wait_for("the end of the job's process", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 10)
        stack.start()
        check(stack.client.get("/supernets/daemon-killed")["step"] >= reached, "steps only grow")
    doc = stack.wait_job(job, 60)
    equal(doc["attempt"], 3, "attempts")
    compare("daemon-killed")


@test("kill -9 of the job process during training: another attempt goes on and ends with the same bits", 120)
def job_killed():
    bed.calm()
    stack, job = bed.daemon(), begin("job-killed")
    for share in (0.3, 0.7):
        wait_step("job-killed", job, int(share * bed.calm().last))
        check(stack.kill_job(), "a job process runs")
    doc = stack.wait_job(job, 60)
    equal(doc["attempt"], 3, "attempts")
    reasons = [row["reason"] for row in doc["attempts"]]
    check(all(reasons[:2]), "why attempts ended", doc["attempts"])
    compare("job-killed")
    equal(evaluate("job-killed"), evaluate("calm"), "evaluations, to the bit")


@test("kills of a progressive shrinking, of job and daemon, while it goes on with one thread or with two: it ends with the same bits", 150)
def shrinking_killed():
    stack = bed.daemon()
    bed.calm()
    stack.wait_job(begin("shrunk-calm", regime="progressive"), 90)
    calm = bed.Trained(stack, "shrunk-calm")
    job = begin("shrunk", regime="progressive")
    try:
        for share, threads in ((0.2, 1), (0.45, 2), (0.7, 1)):
            wait_step("shrunk", job, int(share * calm.last))
            processes = stack.job_pids()
            check(processes, "a job process runs")
            if share < 0.5:  # the daemon first: of a third crash that it saw the job would end
                stack.kill()
            for pid in processes:
                with contextlib.suppress(ProcessLookupError):  # it ends by itself without its daemon
                    os.kill(pid, signal.SIGKILL)
            if share < 0.5:
                stack.start("--threads", str(threads))
        stack.wait_job(job, 60)
    finally:
        stack.kill()
        stack.start("--threads", "0")
    compare("shrunk", calm)


def tensors_of(name):
    """The exported weights as bytes, without the header, which names the checkpoint."""
    path = bed.daemon().root / f"{name}.safetensors"
    bed.daemon().cli("supernet", "export", name, "--file", path)
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little"):]


@test("kill -9 of a training that was asked for by time: it keeps its number of steps, takes what is left of the time, and ends as it would have", 120)
def timed_killed():
    budget = 10
    bed.calm()
    stack, job = bed.daemon(), begin("timed", epochs=None, time_budget_s=budget)
    wait_step("timed", job, 20)
    total = wait_for("the number of steps", lambda: (doc := stack.job(job)["progress"] or {}).get("unit") == "steps" and doc["total"], 20)
    wait_step("timed", job, int(0.6 * total))
    kept = max(checkpoint_steps(stack, "timed"))
    check(kept >= 0.3 * total, "a checkpoint before the kill", kept, total)
    first, second = max(map(processor_s, stack.job_pids())), 0
    check(stack.kill_job(), "a job process runs")
    begun = time.monotonic()

    def goes_on():  # what the first attempt said last is told until then, without a pace
        doc = stack.job(job)
        progress = doc["progress"] or {}
        return doc["attempt"] == 2 and doc["state"] == "running" and "images_per_s" in progress and progress
    again = wait_for("the second attempt", goes_on, 20, 0.02)
    equal(again["total"], total, "number of steps")
    check(again["done"] >= kept, "where it goes on", again["done"], kept)
    while stack.job(job)["state"] == "running":
        second = max([second, *map(processor_s, stack.job_pids())])
        time.sleep(0.05)
    stack.wait_job(job, 60)
    print(f"# killed at about 60 % of {total} steps for {budget} s: {time.monotonic() - begun:.1f} s from the kill to the end, {first:.1f} and {second:.1f} s of processor")
    check(0 < second < 1.4 * first, "what is left is less than the whole, which would be 1.7 times what was done", first, second)
    timed = bed.Trained(stack, "timed")
    equal(timed.last, total, "last step")
    per_epoch = 1200 // bed.TRAIN["batch"]
    stack.wait_job(begin("by-steps", epochs=total / per_epoch), 90)
    equal(bed.Trained(stack, "by-steps").last, total, "steps of a training of as many epochs")
    check(tensors_of("timed") == tensors_of("by-steps"), "the weights of an undisturbed training of as many steps, to the bit")


@test("a job whose process dies at once three times fails and says so; a retry goes on", 120)
def three_crashes():
    stack, job = bed.daemon(), begin("crashes")
    kills = 0

    def hunt():
        nonlocal kills
        kills += stack.kill_job()
        return stack.job(job)["state"] == "failed"
    wait_for("the job to be given up", hunt, 60, 0.05)
    doc = stack.job(job)
    equal(doc["attempt"], 3, "attempts")
    check(doc["error"] and "9" in doc["error"]["message"], "the error names the signal", doc["error"])
    stack.client.post(f"/jobs/{job}/retry", {})
    stack.wait_job(job, 60)
    compare("crashes")


@test("a cancel reaches a training, its calibration, an evaluation and an export inside of slow steps: over in two seconds, the last whole step kept", 150)
def slow_steps():
    stack = bed.daemon()
    client = stack.client

    def cancel_in(job, phase, seconds):
        wait_for(f"{phase}", lambda: stack.job(job)["state"] == "running" and phase in str(stack.job(job)["progress"]), 60, 0.05)
        time.sleep(seconds)
        begun = time.monotonic()
        client.post(f"/jobs/{job}/cancel", {})
        stack.wait_job(job, 15, state="canceled")
        took = time.monotonic() - begun
        print(f"# from cancel to the end of {stack.job(job)['kind']}: {took:.1f} s")
        check(took < 4, "seconds from cancel to its end", took, stack.job(job))
        return stack.job(job)
    data.write_bars(stack.root / "large-bars", zoom=4)
    stack.add_data("large-bars", stack.root / "large-bars")
    wide, narrow = data.TINY["stages"]
    stages = [{**wide, "depths": [2, 4], "channels": [48], "expand_ratios": [4, 6]}, {**narrow, "channels": [64]}]
    client.post("/spaces", data.space(name="heavy", resolutions=[224], stages=stages), 201)
    settings = {"batch": 96, "recalibration_images": 100, "validation_images": 100}
    body = {"name": "slow", "space": "heavy", "dataset": "large-bars", "train": {**settings, "epochs": 100, "checkpoint_steps": 1000}}
    job = client.post("/supernets", body, 202)["job"]["id"]
    cancel_in(job, "'unit': 'steps'", 2)
    first = max(row["step"] for row in client.items("/supernets/slow/checkpoints"))
    client.post(f"/jobs/{job}/retry", {})
    cancel_in(job, "'unit': 'steps'", 1)
    second = max(row["step"] for row in client.items("/supernets/slow/checkpoints"))
    check(first <= second <= first + 2, "steps of the checkpoints: none is lost, and they take seconds", first, second)
    timed = client.post("/supernets", {**body, "name": "slow-timed", "train": {**settings, "time_budget_s": 3600}}, 202)["job"]["id"]
    cancel_in(timed, "measuring", 2)
    evaluation = client.post("/evaluations", {"supernet": "slow", "report": True}, 202)["job"]["id"]
    cancel_in(evaluation, "", 3)
    export = client.post("/exports", {"supernet": "slow", "arch": client.get("/spaces/heavy")["largest"]["arch"], "format": "onnx"}, 202)
    cancel_in(export["job"]["id"], "", 2)
    equal(client.get(f"/exports/{export['export']['id']}")["state"], "canceled", "state of the export")
    problem(client.request("GET", f"/exports/{export['export']['id']}/file"), 409, "conflict")
    equal(list((stack.data_dir / "exports").glob(f"*{export['export']['id']}*")), [], "what it left")
    client.expect((200, 204), "DELETE", "/supernets/slow-timed")


@test("a training canceled and resumed through the command line ends with the same bits", 120)
def canceled():
    bed.calm()
    stack, job = bed.daemon(), begin("canceled")
    wait_step("canceled", job, bed.calm().last // 3)
    stack.cli("job", "cancel", job)
    stack.cli("job", "wait", job, status=6)
    equal(stack.job(job)["state"], "canceled", "state")
    equal(stack.client.get("/supernets/canceled")["state"], "canceled", "state of the supernet")
    step = stack.client.get("/supernets/canceled")["step"]
    check(0 < step < bed.calm().last, "the step where it stopped", step)
    newest = max(checkpoint_steps(stack, stack.client.get("/supernets/canceled")["id"]))
    equal(stack.client.get("/supernets/canceled")["images"], newest * bed.TRAIN["batch"], "images that it was trained on")
    stack.cli("job", "retry", job)
    stack.cli("job", "wait", job)
    compare("canceled")


@test("a job that waits in the queue can be canceled, and never runs")
def canceled_in_queue():
    bed.calm()
    stack, running = bed.daemon(), begin("front-runner", epochs=100)
    waiting = begin("in-queue")
    wait_for("the first to run", lambda: stack.job(running)["state"] == "running")
    equal(stack.job(waiting)["state"], "queued", "the second waits")
    stack.cli("job", "cancel", waiting)
    stack.cli("job", "cancel", running)
    wait_for("the end of both", lambda: {stack.job(running)["state"], stack.job(waiting)["state"]} == {"canceled"})
    equal(stack.job(waiting)["attempt"], 0, "attempts of the second")
    problem(stack.client.request("POST", f"/jobs/{waiting}/cancel", {}), 409, "conflict")


@test("exports and data sets that are canceled while they wait are made when they are retried")
def waiting_canceled():
    bed.calm()
    stack, running = bed.daemon(), begin("before-them", epochs=100)
    client = stack.client
    wait_for("the training to run", lambda: stack.job(running)["state"] == "running")
    export = client.post("/exports", {"supernet": "calm", "arch": data.SMALL_ARCH, "format": "onnx"}, 202)
    dataset = client.post("/datasets", {"name": "bars again", "path": str(stack.root / "bars"), "validation": 300}, 202)
    for made in (export, dataset):
        equal(stack.job(made["job"]["id"])["state"], "queued", "it waits")
        stack.cli("job", "cancel", made["job"]["id"])
        stack.wait_job(made["job"]["id"], state="canceled")
    equal(client.get(f"/exports/{export['export']['id']}")["state"], "canceled", "state of the export")
    equal(client.get("/datasets/bars%20again")["state"], "failed", "state of the data set")
    problem(client.request("POST", "/supernets", {"name": "none", "space": "tiny", "dataset": "bars again", "train": bed.TRAIN}), 409, "conflict", "/dataset")
    stack.cli("job", "cancel", running)
    for made in (export, dataset):
        client.post(f"/jobs/{made['job']['id']}/retry", {})
        stack.wait_job(made["job"]["id"])
    export, dataset = client.get(f"/exports/{export['export']['id']}"), client.get("/datasets/bars%20again")
    equal((export["state"], dataset["state"]), ("ready", "ready"), "states behind a retry")
    equal(dataset["revision"], client.get("/datasets/bars")["revision"], "the same data")
    equal(len(client.expect(200, "GET", f"/exports/{export['id']}/file").body), export["bytes"], "bytes of the network")


def checkpoint_files(name):
    net = bed.daemon().client.get(f"/supernets/{name}")
    return sorted((bed.daemon().data_dir / "supernets" / net["id"] / "checkpoints").glob("step-*.ckpt"))


def interrupted(name):
    """A training canceled half way, with at least two checkpoints."""
    stack, job = bed.daemon(), begin(name)
    wait_step(name, job, bed.calm().last // 2)
    wait_for("two checkpoints", lambda: len(checkpoint_files(name)) >= 2, 20)
    stack.client.post(f"/jobs/{job}/cancel", {})
    stack.wait_job(job, state="canceled")
    return job


@test("a truncated checkpoint is passed over, named, and the training goes on from the one before", 120)
def truncated():
    bed.calm()
    job = interrupted("truncated")
    newest = checkpoint_files("truncated")[-1]
    os.truncate(newest, newest.stat().st_size // 2)
    bed.daemon().client.post(f"/jobs/{job}/retry", {})
    bed.daemon().wait_job(job, 60)
    log = bed.daemon().client.get(f"/jobs/{job}/log")["text"]
    check(newest.name in log, "the log names the damaged file", log[-800:])
    compare("truncated")


@test("when every checkpoint is damaged the training fails with the cause, and nothing is overwritten", 120)
def all_damaged():
    bed.calm()
    job = interrupted("damaged")
    files = {path.stat().st_ino: path for path in checkpoint_files("damaged")[0].parent.glob("*.ckpt")}
    damaged = {}
    for path in files.values():  # one file may have two names
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x40
        path.write_bytes(content)
        damaged[path] = bytes(content)
    bed.daemon().client.post(f"/jobs/{job}/retry", {})
    doc = bed.daemon().wait_job(job, 60, state="failed")
    check(doc["error"]["code"] == "corrupt" and ".ckpt" in doc["error"]["message"], "the error", doc["error"])
    equal({path: path.read_bytes() for path in damaged}, damaged, "the files")
    answer = bed.daemon().client.request("POST", "/evaluations", {"supernet": "damaged", "archs": [data.SMALL_ARCH]})
    if answer.status == 202:
        failed = bed.daemon().wait_job(answer.doc["job"]["id"], state="failed")
        equal(failed["error"]["code"], "corrupt", "an evaluation on it")


def use_weights(name):
    """What reads a supernet's weights and does not name a checkpoint: the jobs of an evaluation, an export and a search."""
    post = bed.daemon().client.post
    objectives = [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}]
    search = {"supernet": name, "name": f"{name} {len(bed.daemon().client.items('/searches'))}", "objectives": objectives, "accuracy": "evaluated", "evaluations": 30, "population": 8, "measure_front": 0, "calibration_nets": 0}
    return {
        "evaluation": post("/evaluations", {"supernet": name, "archs": [data.SMALL_ARCH]}, 202)["job"]["id"],
        "export": post("/exports", {"supernet": name, "arch": data.SMALL_ARCH, "format": "onnx"}, 202)["job"]["id"],
        "search": post("/searches", search, 202)["job"]["id"],
    }


def expect_failed(jobs, code, path):
    for what, job in jobs.items():
        error = bed.daemon().wait_job(job, 60, state="failed")["error"]
        check(error["code"] == code and path in error["message"], f"the error of the {what}", error)


@test("what uses the newest checkpoint fails with its path when it is damaged or gone, and takes no older weights", 120)
def newest_damaged():
    bed.calm()
    interrupted("weights")
    newest = checkpoint_files("weights")[-1]
    aside = newest.with_suffix(".aside")
    aside.write_bytes(newest.read_bytes())
    os.truncate(newest, newest.stat().st_size // 2)
    expect_failed(use_weights("weights"), "corrupt", str(newest))
    newest.unlink()
    expect_failed(use_weights("weights"), "not_found", str(newest))
    older = checkpoint_files("weights")[-1]
    newest.write_bytes(older.read_bytes())
    expect_failed(use_weights("weights"), "corrupt", str(newest))
    os.replace(aside, newest)
    for job in use_weights("weights").values():
        bed.daemon().wait_job(job, 60)
    hashes = {row["checkpoint"] for row in bed.daemon().client.items("/evaluations?supernet=weights")}
    equal(hashes, {bed.daemon().client.items("/supernets/weights/checkpoints")[0]["hash"]}, "checkpoints that were evaluated")


@test("data that was truncated after it had been registered fails the next training with the file's name", 60)
def data_truncated():
    stack = bed.daemon()
    bed.calm()
    folder = data.write_bars(stack.root / "shrinking", 600, 100)
    stack.add_data("shrinking", folder)
    images = folder / "train-images-idx3-ubyte.gz"
    os.truncate(images, images.stat().st_size // 2)
    answer = stack.client.post("/supernets", {"name": "starved", "space": "tiny", "dataset": "shrinking", "train": bed.TRAIN}, 202)
    doc = stack.wait_job(answer["job"]["id"], state="failed")
    check("train-images-idx3-ubyte" in doc["error"]["message"], "the error", doc["error"])
    equal(stack.client.get("/supernets/starved")["state"], "failed", "state of the supernet")
    check(not checkpoint_steps(stack, "starved"), "it has no checkpoints")
