"""Twenty kill -9 of a progressive shrinking at random moments, which goes on with one thread or with two."""
import os
import random
import time

from stack import Stack, checkpoint_steps
from suite import check, equal, test, wait_for

KILLS = 20
TRAIN = {"regime": "progressive", "epochs": 40, "batch": 50, "learning_rate": 0.05, "seed": 11, "checkpoint_steps": 10, "recalibration_images": 100, "validation_images": 100}

moments = random.Random(int(os.environ.get("ESP_SEED", "1")))


def prepare(name, data_folder, *options):
    stack = Stack(name, data_folder and data_folder.parent).start(*options)
    stack.add_data("bars", data_folder)
    stack.add_space()
    return stack


def running(stack, job):
    """Waits for a process of the job; False when the training has ended. A job that was given up after three crashes is retried."""
    def find():
        doc = stack.job(job)
        if doc["state"] == "failed":
            check("9" in doc["error"]["message"], "it was given up for its kills alone", doc["error"])
            stack.client.post(f"/jobs/{job}/retry", {})
        return "ended" if doc["state"] == "done" else stack.job_pids()
    return wait_for("a job process", find, 30, 0.02) != "ended"


class Storm:
    """Trainings that are all the same, one after the other until all kills were done."""

    def __init__(self, calm, seconds):
        self.stack = prepare("stormy-shrinking", calm.root / "bars", "--threads", "1")
        self.longest = 1 + 2 * seconds / KILLS  # a process takes a moment to begin, and loses what was not kept
        self.names, self.kills, self.phases = [], 0, set()

    def one(self):
        stack, name = self.stack, f"net-{len(self.names)}"
        self.names.append(name)
        job = stack.train(name, TRAIN, wait=False)["job"]["id"]
        while self.kills < KILLS and running(stack, job):
            time.sleep(moments.uniform(0, self.longest))
            phase = (stack.job(job)["progress"] or {}).get("phase")
            if not stack.kill_job():
                continue
            self.kills += 1
            self.phases.add(phase)
            if self.kills % 3 == 0:
                stack.kill()
                stack.start("--threads", moments.choice("12"))
        running(stack, job)
        stack.wait_job(job, 240)

    def compare(self, want):
        for name in self.names:
            have = checkpoint_steps(self.stack, name)
            equal((max(have), have[max(have)]), (max(want), want[max(want)]), f"the last checkpoint of {name}")
            equal({step: value for step, value in have.items() if step in want}, {step: value for step, value in want.items() if step in have}, f"content of checkpoints of {name}")


def register():
    @test(f"progressive shrinking through {KILLS} kills ends with the bits of an undisturbed one, with one thread and with two", 600)
    def shrinking():
        calm = prepare("calm-shrinking", None, "--threads", "2")
        begun = time.monotonic()
        calm.train("net", TRAIN, seconds=240)
        storm = Storm(calm, time.monotonic() - begun)
        want = checkpoint_steps(calm, "net")
        calm.stop()
        while storm.kills < KILLS:
            storm.one()
        print(f"# {KILLS} kills in {len(storm.names)} trainings, in the phases {sorted(filter(None, storm.phases))}", flush=True)
        storm.compare(want)
        check(len(storm.phases) >= 4, "phases in which it was killed", storm.phases)
        storm.stack.stop()
