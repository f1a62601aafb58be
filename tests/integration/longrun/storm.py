"""The stack that is killed again and again, and the quiet ones that it is compared with."""
import json
import os
import random
import sqlite3
import struct
import time

from board import Board
from stack import Stack, checkpoint_steps
from suite import Failed, at_end, check, equal, once, test, wait_for

KILLS = {"training": ["daemon", "job", "daemon", "worker", "daemon", "job", "daemon"], "table": ["daemon", "worker", "daemon", "worker", "daemon", "daemon"],
         "search": ["job", "daemon", "worker", "daemon", "job", "worker", "daemon"]}
BETWEEN = {"training": (0.4, 1.6), "table": (0.4, 1.6), "search": (0.2, 0.8)}  # seconds from one kill to the next
TRAIN = {"epochs": 90, "batch": 50, "learning_rate": 0.05, "seed": 11, "checkpoint_steps": 25, "recalibration_images": 100, "validation_images": 100}
SEARCH = {"name": "hunt", "supernet": "young", "strategy": "nsga2", "baseline": "random", "evaluations": 16000, "population": 48, "seed": 5, "initial_evaluations": 64, "measure_front": 16, "calibration_nets": 8, "method": "brief"}

moments = random.Random(int(os.environ.get("ESP_SEED", "1")))
killed = []


def prepare(name, data_folder=None):
    stack = Stack(name, data_folder and data_folder.parent).start()
    stack.add_data("bars", data_folder)
    stack.add_space()
    return stack


@once
def storm():
    return prepare("storm")


def kill(what):
    """kill -9 of one part of the storm's stack, and its next start where that is not the daemon's work."""
    stack = storm()
    if what == "daemon":
        stack.restart()
    elif what == "job":
        wait_for("a job process", stack.kill_job, 20, 0.02)
    else:
        stack.workers["board"].kill()
        stack.start_worker("board")
    killed.append(what)


def kill_through(phase, job):
    """All kills of a phase at random moments of this job, then its end."""
    stack = storm()
    for what in KILLS[phase]:
        time.sleep(moments.uniform(*BETWEEN[phase]))
        state = stack.job(job)["state"]
        if state in ("done", "failed", "canceled"):
            raise Failed(f"the {phase} was {state} before all kills were done: {stack.job(job)['error']}")
        kill(what)
    stack.wait_job(job, 240)


def rows(stack, query, *arguments):
    db = sqlite3.connect(f"file:{stack.database()}?mode=ro", uri=True, timeout=5)
    try:
        return db.execute(query, arguments).fetchall()
    finally:
        db.close()


class Replayed(Board):
    """Plays a board that has been: the same identity, the same numbers for the same graph, method and take."""

    def __init__(self, stack, device_name):
        super().__init__(stack.port, device_name)
        self.state = json.loads((storm().root / f"worker-{device_name}/worker.json").read_text())
        self.client.token = self.state["worker_token"]
        ((self.machine_id,),) = rows(stack, "SELECT machine_id FROM devices WHERE name = ?", device_name)
        self.profiles = [
            dict(zip(("runtime", "precision", "threads", "cores", "governor", "fingerprint"), row)) for row in rows(
                stack, "SELECT p.runtime, p.precision, p.threads, p.cores, p.governor, r.fingerprint FROM profiles p JOIN profile_revisions r ON r.id = p.revision JOIN devices d ON d.id = p.device WHERE d.name = ?", device_name)
        ]
        self.stack = stack
        self.known = {}
        for graph, method, take, samples, rest in rows(storm(), "SELECT m.graph, m.method, m.take, r.samples, r.data FROM measurements m JOIN results r ON r.measurement = m.id WHERE r.counted AND m.state = 'accepted' AND r.status IN ('ok', 'noisy')"):
            self.known[graph_key(json.loads(graph), method, take)] = {**json.loads(rest), "samples_us": list(struct.unpack(f"<{len(samples) // 8}d", samples))}
        self.unknown = []

    def introduction(self, **changes):
        return super().introduction(profiles=self.profiles, **changes)

    def result_of(self, lease, item, **changes):
        # A board is not told which take it measures.
        ((take,),) = rows(self.stack, "SELECT take FROM measurements WHERE id = ?", item["measurement_id"])
        known = self.known.get(graph_key(item["graph"], item["method"], take))
        if known is None:
            self.unknown.append(item)
            return super().result_of(lease, item, **changes)
        own = {"lease_id": lease["lease_id"], "measurement_id": item["measurement_id"], "attempt": item["attempt"], "idempotency_key": f"{lease['lease_id']}-{item['measurement_id']}"}
        return {**known, **own, **changes}


def graph_key(graph, method, take):
    return json.dumps([graph, method, take], sort_keys=True)


def search_outcome(stack, name):
    front = stack.client.get(f"/searches/{name}/front")
    return {
        "generations": rows(stack, "SELECT strategy, generation, evaluations, hypervolume, front_size, feasible FROM generations ORDER BY 1, 2"),
        "candidates": rows(stack, "SELECT strategy, generation, arch_id, arch, feasible, on_front, metrics FROM candidates ORDER BY 1, 2, 3"),
        "front": front["items"], "hypervolume": front["hypervolume"], "reference point": front["reference_point"],
    }


def register():
    """The tests, in the order in which they need each other."""
    @test("training through seven kills ends with the bits of an undisturbed training", 300)
    def training():
        quiet = prepare("quiet", storm().root / "bars")
        quiet.train("net", TRAIN, seconds=120)
        calm = checkpoint_steps(quiet, "net")
        quiet.stop()
        storm().start_worker("board")
        storm().train("young", {**TRAIN, "seed": 7, "epochs": 3})  # its subnets still differ: for the search
        job = storm().train("net", TRAIN, wait=False)["job"]["id"]
        wait_for("the training to run", lambda: storm().job(job)["state"] == "running")
        kill_through("training", job)
        hashes = checkpoint_steps(storm(), "net")
        equal((max(hashes), hashes[max(hashes)]), (max(calm), calm[max(calm)]), "the last checkpoint")

    @test("the table through six kills has each entry, measured once", 300)
    def table():
        stack = storm()
        profile = stack.enrolled("board", 30)
        made = stack.client.post("/tables", {"profile": profile["id"], "space": "tiny", "method": "full"}, 202)
        kill_through("table", made["job"]["id"])
        state = stack.client.get(f"/tables/{made['table']['id']}")
        equal((state["measured"], state["failed"]), (state["needed"], 0), "entries measured and failed")
        entries = rows(stack, "SELECT m.state, (SELECT count(*) FROM results r WHERE r.measurement = m.id AND r.counted AND r.status IN ('ok', 'noisy')) FROM table_entries e JOIN measurements m ON m.id = e.measurement WHERE e.table_id = ?", made["table"]["id"])
        equal((len(entries), set(entries)), (state["needed"], {("accepted", 1)}), "entries and their results")

    @test("the search through seven kills finds the front of an undisturbed one, given the same measurements", 420)
    def search():
        stack = storm()
        profile = stack.profile_of("board")["id"]
        body = {**SEARCH, "objectives": [{"metric": "top1", "direction": "maximise"}, {"metric": "latency_us", "profile": profile, "direction": "minimise"}]}
        stack.workers["board"].stop()
        stack.stop()
        twin = stack.copy("replay")
        stack.start()
        stack.start_worker("board")
        job = stack.client.post("/searches", body, 202)["job"]["id"]
        wait_for("the search to run", lambda: stack.job(job)["state"] in ("running", "paused"))
        kill_through("search", job)
        twin.start()
        board = Replayed(twin, "board")
        board.connect().serve()
        at_end(board.rest)
        job = twin.client.post("/searches", body, 202)["job"]["id"]
        twin.wait_job(job, 240)
        board.rest()
        equal(board.unknown, [], "measurements that only the undisturbed search asked for")
        stormy, calm = search_outcome(stack, "hunt"), search_outcome(twin, "hunt")
        for what, value in calm.items():
            equal(stormy[what], value, what)
        check(any(metric["source"] == "measured" for point in calm["front"] for metric in point["metrics"].values()), "the front holds measured points")
        twin.stop()

    @test("twenty kills were done, and the database is whole")
    def whole():
        equal(len(killed), 20, "kills")
        stack = storm()
        equal(rows(stack, "PRAGMA integrity_check"), [("ok",)], "integrity")
        equal(rows(stack, "PRAGMA foreign_key_check"), [], "broken references")
        doubled = rows(stack, "SELECT count(*) FROM (SELECT profile_revision, graph_id, method, take FROM measurements WHERE state = 'accepted' AND kind <> 'reference' AND repeats IS NULL GROUP BY 1, 2, 3, 4 HAVING count(*) > 1)")
        equal(doubled, [(0,)], "measurements accepted twice, but for entries of tables that were taken again")
