"""What the tests of the API share: one daemon with a data set, a space, a trained supernet and a measured board."""

import data
from board import Board
from stack import Stack
from suite import at_end, once

TRAIN = {"epochs": 3, "batch": 50, "seed": 7, "learning_rate": 0.05, "recalibration_images": 100, "validation_images": 100}


@once
def daemon():
    return Stack("api").start()


def client():
    return daemon().client


@once
def supernet():
    """Id of a trained supernet on the space "tiny" and the data set "bars"."""
    stack = daemon()
    stack.add_data()
    stack.add_space()
    return stack.train("net", TRAIN)["supernet"]["id"]


@once
def profile():
    """Id of a profile whose table covers the space."""
    supernet()
    stack = daemon()
    board = Board(stack.port, "bench").enrol(stack.enrolment_token())
    board.serve()
    at_end(board.rest)
    job = stack.client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)["job"]
    stack.wait_job(job["id"])
    return board.profile_id


def search_body(name="unnamed", **changes):
    """A search that is sound, but for the changes."""
    body = {
        "name": name, "supernet": supernet(),
        "objectives": [{"metric": "top1", "direction": "maximise"}, {"metric": "latency_us", "profile": profile(), "direction": "minimise"}],
        "constraints": [], "strategy": "nsga2", "evaluations": 200, "population": 16, "initial_evaluations": 24, "measure_front": 4, "calibration_nets": 4, "seed": 1,
    }
    body.update(changes)
    return body


LARGE_ARCH, SMALL_ARCH = data.LARGE_ARCH, data.SMALL_ARCH
