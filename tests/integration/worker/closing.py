"""The closed loop of a search, with real workers: a front that is predicted, measured, predicted anew, and measured again."""
import sqlite3

from stack import Stack
from suite import check, equal, test, wait_for

TRAIN = {"epochs": 1, "batch": 50, "learning_rate": 0.05, "seed": 7, "recalibration_images": 100, "validation_images": 100}


def board(stack, name, config):
    """A worker with a table of the space, its profile."""
    process = stack.start_worker(name, "--backend", "sim", "--backend-config", config)
    profile = stack.enrolled(name)
    job = stack.client.post("/tables", {"profile": profile["id"], "space": "tiny", "method": "brief"}, 202)["job"]
    stack.wait_job(job["id"], 60)
    return process, profile


def takes(stack, profile, arch):
    db = sqlite3.connect(f"file:{stack.database()}?mode=ro", uri=True, timeout=5)
    try:
        return sorted(row[0] for row in db.execute("SELECT take FROM measurements WHERE profile = ? AND arch = ? AND kind = 'network' AND state = 'accepted' AND method LIKE 'full%'", (profile, arch)))
    finally:
        db.close()


@test("a search in rounds on two boards: one is lost, the other measures on, and what is called measured was measured twice", 150)
def closed_loop():
    stack = Stack("loop").start("--board-patience", "2s")
    client = stack.client
    stack.add_data()
    stack.add_space()
    stack.train("looped", TRAIN)
    _, stays = board(stack, "stays", "gmacs=2,gbps=8,op_us=5,launch_us=200,noise=0.01,seed=3")
    going, goes = board(stack, "goes", "gmacs=1,gbps=4,op_us=9,launch_us=90,noise=0.01,seed=4,pace=0.02")
    on = lambda profile: {"metric": "latency_us", "profile": profile["id"], "direction": "minimise"}
    body = {
        "name": "loop", "supernet": "looped", "objectives": [{"metric": "top1", "direction": "maximise"}, on(stays), on(goes)], "accuracy": "evaluated",
        "rounds": 2, "evaluations": 64, "population": 16, "measure_front": 6, "calibration_nets": 5, "seed": 2, "strategy": "nsga2",
    }
    job = client.post("/searches", body, 202)["job"]["id"]
    again = lambda: [row for row in client.items(f"/measurements?profile={goes['id']}&kind=network&state=accepted") if row["take"] == 2]
    wait_for("second measurements of the board that is to go", again, 60, 0.02)
    going.kill()
    result = stack.wait_job(job, 90)["result"]
    front = client.get("/searches/loop/front")
    equal((result["gone_profiles"], result["no_board"], front["no_board"]), ([goes["id"]], True, True), "what the search says of the board that is gone")
    check(front["items"] and front["stage"] == "final", "the front", front)
    for point in front["items"]:
        equal(point["metrics"][f"latency_us:{stays['id']}"]["source"], "measured", "by the board that stays")
    columns = client.get("/searches/loop/candidates?page_size=20000")["columns"]
    measured = 0
    for profile in (stays, goes):
        sources = columns["metrics"][f"latency_us:{profile['id']}"]["source"]
        for arch, source in zip(columns["arch"], sources):
            if source == "measured":
                equal(takes(stack, profile["id"], arch), [1, 2], "measurements of a network that is called measured")
                measured += 1
    check(measured > len(front["items"]), "candidates that are called measured", measured)
    # The second round was asked for by what the first one taught.
    versions = [row["version"] for row in client.get("/searches/loop")["calibrations"] if row["profile_id"] == stays["id"]]
    check(len(versions) >= 3, "calibrations: before the search, after each round", versions)
    equal(client.get("/searches/loop")["rounds"], 2, "rounds")
    curves = {row["strategy"]: row["evaluations"][-1] for row in client.get("/searches/loop/hypervolume")["series"]}
    equal(curves, {"nsga2": 64, "random": 64}, "the baseline has had as many evaluations")
    stack.stop()
