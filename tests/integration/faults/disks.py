"""A disk that fills up while a checkpoint is written."""
import os
import subprocess

import bed
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
    stack.start()
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
    stack.start()
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
