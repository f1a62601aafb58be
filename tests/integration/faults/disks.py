"""A disk that fills up, and the floor of it that stays free."""
import os
import subprocess

import bed
import data
from client import Client
from stack import Stack, checkpoint_steps
from suite import Skipped, at_end, check, equal, test, wait_for


def mount(folder, megabytes):
    """A small file system of its own; needs root."""
    if os.geteuid() != 0:
        raise Skipped("a small file system can be mounted by root only")
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], capture_output=True, text=True)
    if done.returncode != 0:
        raise Skipped(f"tmpfs cannot be mounted here: {done.stderr.strip()}")
    at_end(lambda: subprocess.run(["umount", "-l", folder], capture_output=True))


def fill(folder):
    """Leaves almost no room; returns the file to remove."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    return ballast


@test("a full disk while a checkpoint is written: a clear error, the old checkpoint whole, a retry ends with the same bits", 150)
def full():
    calm = bed.calm()
    stack = Stack("full", bed.daemon().root)
    mount(stack.data_dir / "supernets", 16)
    stack.start("--disk-floor", 0)
    stack.add_data("bars", bed.daemon().root / "bars")
    stack.add_space()
    job = stack.client.post("/supernets", {"name": "squeezed", "space": "tiny", "dataset": "bars", "train": bed.TRAIN}, 202)["job"]["id"]
    wait_for("some checkpoints", lambda: len(checkpoint_steps(stack, "squeezed")) >= 3, 40)
    ballast = fill(stack.data_dir / "supernets")
    doc = stack.wait_job(job, 60, state="failed")
    equal(doc["error"]["code"], "no_space", "the error's code")
    check("space" in doc["error"]["message"], "the error", doc["error"])
    log = stack.client.get(f"/jobs/{job}/log")["text"]
    check("no checkpoint at step" in log, "the log tells each failure", log[-800:])
    Client(stack.port).get("/healthz")
    job_evaluate = stack.client.post("/evaluations", {"supernet": "squeezed", "report": True}, 202)["job"]["id"]
    stack.wait_job(job_evaluate)
    ballast.unlink()
    stack.client.post(f"/jobs/{job}/retry", {})
    stack.wait_job(job, 60)
    hashes = checkpoint_steps(stack, "squeezed")
    equal((max(hashes), hashes[max(hashes)]), (calm.last, calm.hashes[calm.last]), "the last checkpoint")
    stack.stop()


@test("a full disk under the database: the job waits for room, nothing it said is lost, and it ends with the same bits", 150)
def full_database():
    calm = bed.calm()
    stack = Stack("full-database", bed.daemon().root)
    mount(stack.data_dir, 6)
    for folder in ("supernets", "jobs"):
        mount(stack.data_dir / folder, 32)
    stack.start("--disk-floor", 0)
    stack.add_data("bars", bed.daemon().root / "bars")
    stack.add_space()
    job = stack.client.post("/supernets", {"name": "squeezed", "space": "tiny", "dataset": "bars", "train": bed.TRAIN}, 202)["job"]["id"]
    wait_for("a checkpoint", lambda: len(checkpoint_steps(stack, "squeezed")) >= 1, 40)
    ballast = fill(stack.data_dir)
    log = stack.root / "daemon.log"
    wait_for("an end that cannot be stored", lambda: "its end was not stored" in log.read_text(), 60)
    check(not stack.job_pids(), "nothing runs while its end is not stored")
    equal(stack.job(job)["state"], "running", "the job's state as stored")
    ballast.unlink()
    stack.wait_job(job, 60)
    again = bed.Trained(stack, "squeezed")
    equal(again.hashes[again.last], calm.hashes[calm.last], "the last checkpoint")
    equal(again.curves, calm.curves, "the curves")
    stack.stop()


def begin(stack, name):
    """A training's job."""
    return stack.client.post("/supernets", {"name": name, "space": "tiny", "dataset": "bars", "train": bed.TRAIN}, 202)["job"]["id"]


def leave(folder, megabytes):
    """Fills the disk but for so much; returns the file to remove."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (megabytes << 20))
    return ballast


@test("below the floor of free disk nothing new is begun and says why, what runs goes on, what waits is begun when there is room", 150)
def floor():
    stack = Stack("floor", bed.daemon().root)
    mount(stack.data_dir, 96)
    stack.start("--disk-floor", "48MiB")
    stack.add_data("bars", bed.daemon().root / "bars")
    stack.add_space()
    upload = stack.client.post("/uploads", {}, 201)["id"]
    running, waiting = begin(stack, "runs"), begin(stack, "waits")
    wait_for("the first to run", lambda: stack.job(running)["state"] == "running", 20, 0.05)
    kept = stack.client.request("POST", "/evaluations", {"supernet": "runs", "report": True}, {"Idempotency-Key": "before"})
    ballast = leave(stack.data_dir, 32)
    for path, body in (("/supernets", {"name": "late", "space": "tiny", "dataset": "bars", "train": bed.TRAIN}), ("/datasets", {"name": "late", "path": str(bed.daemon().root / "bars")}), ("/exports", {}), ("/searches", {}), ("/imports", {}), ("/tables", {}), ("/uploads", {}), ("/backups", {})):
        problem = stack.client.expect(507, "POST", path, body).doc
        equal(problem["code"], "no_space", f"the code of POST {path}")
        check("--disk-floor" in problem["detail"] and "prune" in problem["detail"], "what to do", problem)
    stack.client.expect(422, "POST", "/searches?dry_run=true", {})  # a trial begins nothing
    stack.client.expect(507, "POST", f"/uploads/{upload}/pieces?path=a&offset=0", b"x", {"Content-Type": "application/octet-stream"})
    repeat = stack.client.request("POST", "/evaluations", {"supernet": "runs", "report": True}, {"Idempotency-Key": "before"})
    equal((repeat.status, repeat.doc["job"]["id"]) if kept.status == 202 else repeat.status, (202, kept.doc["job"]["id"]) if kept.status == 202 else 507, "a repeat of what was begun before")
    doctor = stack.cli_run("doctor")
    check(doctor.returncode == 1 and "nothing new is begun" in doctor.stdout, "doctor", doctor.stdout)
    wait_for("the second to say what it waits for", lambda: stack.job(waiting)["waits_for"], 10)
    disk = stack.job(waiting)["waits_for"]["disk"]
    check(disk["free_bytes"] < disk["floor_bytes"] == 48 << 20, "the room it waits for", disk)
    stack.wait_job(running)
    equal(stack.job(waiting)["state"], "queued", "the second's state when the first has ended")
    metrics = stack.client.expect(200, "GET", "/metrics").body.decode()
    check(f"espalier_disk_floor_bytes {48 << 20}" in metrics, "the floor among the metrics")
    ballast.unlink()
    stack.wait_job(waiting)
    stack.cli("doctor")
    stack.stop()


@test("a disk that is full below the floor: a job is put off and goes on by itself with the same bits, the daemon answers 507 and loses nothing", 150)
def put_off():
    calm = bed.calm()
    stack = Stack("put-off", bed.daemon().root)
    mount(stack.data_dir, 64)
    stack.start("--disk-floor", "4MiB")
    stack.add_data("bars", bed.daemon().root / "bars")
    stack.add_space()
    job = begin(stack, "squeezed")
    wait_for("a checkpoint", lambda: len(checkpoint_steps(stack, "squeezed")) >= 1, 40)
    ballast = fill(stack.data_dir)
    wait_for("the job to be put off", lambda: stack.client.request("GET", f"/jobs/{job}").doc.get("state") == "queued" or "its end was not stored" in (stack.root / "daemon.log").read_text(), 60)
    check(not stack.job_pids(), "nothing runs on a full disk")
    answers = []
    while len(answers) < 800 and (not answers or answers[-1].status != 507):  # the database's log may have room left that it can use again
        answers.append(stack.client.request("POST", "/spaces", {**data.TINY, "name": f"space-{len(answers)}"}))
    check({answer.status for answer in answers} <= {201, 507}, "answers on a full disk", answers)
    equal(answers[-1].status, 507, "at last")
    made = {answer.doc["name"] for answer in answers if answer.status == 201}
    there = {row["name"] for row in stack.client.items("/spaces")}
    check(made <= there, "what was answered is there", len(answers), len(made), len(there), sorted(made - there)[:10], [a.status for a in answers][-5:])
    stack.client.get("/system")
    ballast.unlink()
    stack.wait_job(job, 60)
    check(stack.job(job)["attempt"] > 1, "it was begun again")
    again = bed.Trained(stack, "squeezed")
    equal(again.hashes[again.last], calm.hashes[calm.last], "the last checkpoint")
    equal(again.curves, calm.curves, "the curves")
    stack.add_space({**data.TINY, "name": "after"})
    stack.stop()
