"""What the tests of faults share: a data set, an undisturbed training, and a stopped daemon's folder to copy for searches."""
import sqlite3

from board import Board
from stack import Stack, checkpoint_steps
from suite import at_end, once, wait_for

# About five seconds of training on two cores, a checkpoint every half second.
TRAIN = {"epochs": 8, "batch": 50, "learning_rate": 0.05, "seed": 7, "checkpoint_steps": 20, "recalibration_images": 100, "validation_images": 100}
SEARCH = {
    "supernet": "calm", "constraints": [{"metric": "macs", "max": 1e9}], "strategy": "nsga2", "baseline": "random", "evaluations": 600, "population": 24, "seed": 6, "initial_evaluations": 64,
    "measure_front": 8, "calibration_nets": 6,
}


@once
def daemon():
    """A daemon with the data set and the space."""
    stack = Stack("faults").start()
    stack.add_data()
    stack.add_space()
    return stack


def rows(stack, query, *arguments):
    """Rows of a daemon's database, read beside it."""
    db = sqlite3.connect(f"file:{stack.database()}?mode=ro", uri=True, timeout=5)
    try:
        return db.execute(query, arguments).fetchall()
    finally:
        db.close()


class Trained:
    """What a training has left behind, without anything that depends on time."""

    def __init__(self, stack, name):
        self.net = stack.client.get(f"/supernets/{name}")
        self.hashes = checkpoint_steps(stack, name)
        self.last = max(self.hashes)
        metrics = stack.client.get(f"/supernets/{name}/metrics?series=loss,top1/largest,top1/smallest,top1/random,learning_rate,gradient_norm")
        self.curves = {row["name"]: dict(zip(row["step"], row["value"])) for row in metrics["series"]}
        self.curves["phases"] = [(row["name"], row["step"]) for row in metrics["phases"]]


@once
def calm():
    """An undisturbed training."""
    daemon().train("calm", TRAIN, seconds=90)
    return Trained(daemon(), "calm")


@once
def template():
    """A stopped daemon with a trained supernet and a measured board, to be copied; and the board's token."""
    stack = Stack("template", daemon().root).start()
    stack.add_data("bars", daemon().root / "bars")
    stack.add_space()
    stack.train("calm", {**TRAIN, "epochs": 3})
    board = Board(stack.port, "played").enrol(stack.enrolment_token())
    job = stack.client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)["job"]
    wait_for("the table", lambda: board.work_once(max_items=64) == 0, 30)
    stack.wait_job(job["id"])
    stack.stop()
    return stack, board


class SearchRun:
    """A search on a copy of the template, with a board of its own that measures the same as every other."""

    def __init__(self, name, board_works=True):
        source, board = template()
        self.stack = source.copy(name).start()
        self.board = Board(self.stack.port, "played")
        self.board.client.token = board.client.token
        self.board.connect()
        if board_works:
            self.board.serve()
        at_end(self.board.rest)
        objectives = [{"metric": "top1", "direction": "maximise"}, {"metric": "latency_us", "profile": self.board.profile_id, "direction": "minimise"}]
        self.job = self.stack.client.post("/searches", {**SEARCH, "name": "hunt", "objectives": objectives}, 202)["job"]["id"]

    def finish(self, seconds=90):
        self.stack.wait_job(self.job, seconds)
        outcome = self.outcome()
        self.board.rest()
        return outcome

    def outcome(self):
        """All that a search has found, without what depends on time."""
        search = self.stack.client.get("/searches/hunt")
        db = sqlite3.connect(f"file:{self.stack.database()}?mode=ro", uri=True)
        found = {
            "generations": db.execute("SELECT strategy, generation, evaluations, hypervolume, front_size, feasible FROM generations ORDER BY 1, 2").fetchall(),
            "candidates": db.execute("SELECT strategy, generation, arch_id, arch, feasible, on_front, metrics FROM candidates ORDER BY 1, 2, 3").fetchall(),
            "front": self.stack.client.get("/searches/hunt/front"),
            "measured": db.execute("SELECT m.graph_id, m.method, count(r.id), m.median_us FROM measurements m JOIN results r ON r.measurement = m.id AND r.counted GROUP BY m.id ORDER BY 1, 2").fetchall(),
        }
        db.close()
        found["hypervolume"], found["predictor"] = search["hypervolume"], search["predictor"]
        return found


@once
def calm_search():
    """What an undisturbed search finds."""
    run = SearchRun("calm")
    outcome = run.finish()
    run.stack.stop()
    return outcome
