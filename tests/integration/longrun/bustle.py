"""One small table after the other on a real board, while jobs start and end all the time: none stands still."""
import os
import random
import threading
import time

import data
from stack import Stack
from suite import Failed, check, equal, test, wait_for

SECONDS = 120
STILL_S = 50  # a job's turn and its way to a pause take 30 s and a little; more is a standstill
TRAIN = {"epochs": 1, "batch": 50, "checkpoint_steps": 25, "recalibration_images": 100, "validation_images": 100}

moments = random.Random(int(os.environ.get("ESP_SEED", "1")))


class Jobs:
    """Data sets that are checked and supernets that are trained, one behind the other or with a gap."""

    def __init__(self, stack):
        self.stack = stack
        self.done = 0
        self.error = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _begin(self):
        if moments.random() < 0.5:
            return self.stack.client.post("/supernets", {"name": f"net-{self.done}", "space": "tiny", "dataset": "bars", "train": TRAIN}, 202)
        return self.stack.client.post("/datasets", {"name": f"bars-{self.done}", "path": str(self.stack.root / "bars"), "validation": 300}, 202)

    def _run(self):
        try:
            while not self.stop.is_set():
                job = self._begin()["job"]["id"]
                if moments.random() < 0.2:
                    time.sleep(moments.uniform(0, 0.5))
                    self.stack.client.expect((202, 409), "POST", f"/jobs/{job}/cancel", {})
                wait_for(f"the end of {job}", lambda: self.stack.job(job)["state"] in ("done", "failed", "canceled"), 120, 0.1)
                self.done += 1
                self.stop.wait(moments.choice([0, 0, 0.1, 0.5, 2]))
        except Exception as error:
            self.error = error

    def end(self):
        self.stop.set()
        self.thread.join(150)
        if self.error:
            raise self.error


def another_space(number):
    space = data.space(name=f"space-{number}")
    space["stem"]["channels"] = moments.randrange(8, 64, 8)
    for stage in space["stages"]:
        stage["channels"] = [moments.randrange(8, 200, 8)]
    space["head"]["expand_channels"] = moments.randrange(64, 400, 8)
    return space


def what_is(stack, table):
    """For a failure: where everything stands."""
    entries = [row["state"] for row in stack.client.items(f"/tables/{table}/entries")]
    jobs = [(row["kind"], row["state"], row["waits_for"]) for row in stack.client.items("/jobs") if row["state"] not in ("done", "failed", "canceled")]
    devices = [{key: row[key] for key in ("state", "health", "online", "lease", "queue", "waits_for")} for row in stack.client.items("/devices")]
    return {state: entries.count(state) for state in set(entries)}, jobs, devices


def fill(stack, profile, number):
    """Seconds of the longest standstill of one table, and its entries."""
    space = another_space(number)
    stack.client.post("/spaces", space, 201)
    table = stack.client.post("/tables", {"profile": profile, "space": space["name"], "method": "brief"}, 202)["table"]
    measured, since, longest = -1, time.monotonic(), 0
    while table["state"] == "measuring":
        table = stack.client.get(f"/tables/{table['id']}")
        now = time.monotonic()
        if table["measured"] != measured:
            measured, since = table["measured"], now
        longest = max(longest, now - since)
        if longest > STILL_S:
            raise Failed(f"the table stands still at {measured} of {table['needed']}: {what_is(stack, table['id'])}")
        time.sleep(0.03)
    equal((table["state"], table["measured"]), ("ready", table["needed"]), "the table")
    return longest, table["needed"]


def register():
    @test(f"tables are filled for {SECONDS} s while jobs start and end, and none stands still", SECONDS + 220)
    def bustle():
        stack = Stack("bustle").start()
        stack.add_data()
        stack.add_space()
        stack.start_worker("board")
        profile = stack.enrolled("board", 30)["id"]
        jobs = Jobs(stack)
        until, tables, entries, longest = time.monotonic() + SECONDS, 0, 0, 0.0
        while time.monotonic() < until and not jobs.error:
            still, n = fill(stack, profile, tables)
            tables, entries, longest = tables + 1, entries + n, max(longest, still)
            if moments.random() < 0.3:
                time.sleep(moments.uniform(0, 2))
        jobs.end()
        print(f"# {tables} tables, {entries} entries beside {jobs.done} jobs; the longest standstill {longest:.1f} s", flush=True)
        check(tables >= 5 and jobs.done >= 5, "tables and jobs", tables, jobs.done)
        stack.stop()
