"""A search that is killed or canceled ends with the front of one that is left alone, given the same measurements."""
import bed
from client import problem
from suite import Failed, check, equal, test, wait_for


def compare(outcome):
    calm = bed.calm_search()
    for what in ("generations", "candidates", "predictor", "hypervolume", "measured"):
        equal(outcome[what], calm[what], what)
    equal(outcome["front"]["items"], calm["front"]["items"], "the front")
    equal((outcome["front"]["stage"], outcome["front"]["reference_point"]), ("final", calm["front"]["reference_point"]), "the front's stage and reference point")
    equal({row[2] for row in outcome["measured"]}, {1}, "results that counted for each measurement")


def disturb(run, disturbance, times):
    """Calls disturbance() at the first sight of every new phase of the job, at most so often; returns the phases."""
    seen = []

    def step():
        doc = run.stack.job(run.job)
        if doc["state"] in ("failed", "canceled"):
            raise Failed(f"the search is {doc['state']}: {doc['error']}")
        if doc["state"] == "done":
            return True
        phase = (doc["progress"] or {}).get("phase")
        if doc["state"] in ("running", "paused") and phase and phase not in seen and len(seen) < times and run.stack.job_pids():
            seen.append(phase)
            disturbance()
        return False
    wait_for("the end of the search", step, 90, 0.01)
    return seen


@test("an undisturbed search, to compare with", 120)
def undisturbed():
    calm = bed.calm_search()
    check(len(calm["generations"]) >= 10 and calm["front"]["items"], "generations", len(calm["generations"]))
    sources = {metric["source"] for point in calm["front"]["items"] for metric in point["metrics"].values()}
    check({"evaluated", "measured"} <= sources, "sources of the front's values", sources)


@test("the same search again is the same search: its seed and its measurements decide", 120)
def again():
    run = bed.SearchRun("again")
    compare(run.finish())
    run.stack.stop()


@test("kill -9 of the daemon in every phase of a search changes nothing in its result", 150)
def daemon_killed():
    bed.calm_search()
    run = bed.SearchRun("daemon-killed")
    phases = disturb(run, run.stack.restart, 6)
    check(len(phases) >= 2, "phases in which it was killed", phases)
    compare(run.finish())
    run.stack.stop()


@test("kill -9 of the job process in a search changes nothing in its result", 150)
def job_killed():
    bed.calm_search()
    run = bed.SearchRun("job-killed")
    phases = disturb(run, run.stack.kill_job, 2)
    check(len(phases) == 2, "phases in which it was killed", phases)
    outcome = run.finish()
    equal(run.stack.job(run.job)["attempt"], 3, "attempts")
    compare(outcome)
    run.stack.stop()


@test("a search canceled while the board still measures asks again when it is resumed", 150)
def canceled_while_measuring():
    bed.calm_search()
    run = bed.SearchRun("measuring", board_works=False)
    client = run.stack.client
    for half in ("the networks to calibrate on", "the front"):
        wait_for(f"requests for {half}", lambda: client.items("/measurements?kind=network&state=queued") and (run.stack.job(run.job)["progress"] or {}).get("phase") == "measure", 60)
        run.stack.cli("search", "cancel", "hunt")
        run.stack.wait_job(run.job, state="canceled")
        equal(client.items("/measurements?kind=network&state=queued"), [], "measurements that nobody waits for")
        run.stack.cli("search", "resume", "hunt")
        asked = wait_for("the same to be asked for again", lambda: client.items("/measurements?kind=network&state=queued"), 20)
        check(len(asked) <= 2 * bed.SEARCH["measure_front"], "measurements asked for", len(asked))
        if half == "the front":
            run.board.serve()
        else:
            while run.board.work_once():
                pass
    compare(run.finish())
    run.stack.stop()


@test("a search canceled and resumed through the command line changes nothing in its result", 150)
def canceled():
    bed.calm_search()
    run = bed.SearchRun("canceled")
    wait_for("some generations", lambda: run.stack.client.get("/searches/hunt")["evaluations_done"] > 100 or run.stack.job(run.job)["state"] == "done", 60, 0.01)
    run.stack.cli("search", "cancel", "hunt")
    run.stack.wait_job(run.job, state="canceled")
    equal(run.stack.client.get("/searches/hunt")["state"], "canceled", "state of the search")
    run.stack.cli("search", "resume", "hunt")
    run.stack.cli("job", "wait", run.job)
    compare(run.finish())
    run.stack.stop()


@test("a search that is paused stays so through kill -9 of the daemon, leaves the machine to others and changes nothing in its result", 200)
def paused():
    bed.calm_search()
    run = bed.SearchRun("paused", board_works=False)
    client, stack = run.stack.client, run.stack
    states = lambda: (client.get("/searches/hunt")["state"], stack.job(run.job)["state"], stack.job(run.job)["held"])
    wait_for("requests for the networks to calibrate on", lambda: client.items("/measurements?kind=network&state=queued") and (stack.job(run.job)["progress"] or {}).get("phase") == "measure", 60)
    asked = len(client.items("/measurements?kind=network&state=queued"))
    stack.cli("search", "pause", "hunt")
    equal(client.get("/searches/hunt")["state"], "paused", "state of the search at once")
    wait_for("the pause", lambda: stack.job(run.job)["state"] == "paused" and not stack.job_pids(), 30)
    stack.cli("search", "pause", "hunt")
    stack.restart()
    equal(states(), ("paused", "paused", True), "states after kill -9 of the daemon")
    equal(len(client.items("/measurements?kind=network&state=queued")), asked, "measurements that it waits for")
    run.board.serve()
    wait_for("its measurements", lambda: not client.items("/measurements?kind=network&state=queued"), 60)
    other = client.post("/exports", {"supernet": bed.SEARCH["supernet"], "format": "safetensors"}, 202)["job"]["id"]
    stack.wait_job(other, 60)
    wait_for("the end of its process", lambda: not stack.job_pids(), 10)
    equal((states(), stack.job_pids()), (("paused", "paused", True), []), "states while another job has run")
    stack.cli("search", "resume", "hunt")
    problem(client.request("POST", "/searches/hunt/resume", {}), 409, "conflict")
    wait_for("some more generations", lambda: client.get("/searches/hunt")["evaluations_done"] > 100 or stack.job(run.job)["state"] == "done", 60, 0.01)
    if client.request("POST", "/searches/hunt/pause", {}).status == 202:
        stack.kill_job() if stack.job_pids() else None
        wait_for("the pause", lambda: stack.job(run.job)["state"] in ("paused", "done"), 30)
        stack.restart()
        client.request("POST", "/searches/hunt/resume", {})
    compare(run.finish())
    problem(client.request("POST", "/searches/hunt/pause", {}), 409, "conflict")
    run.stack.stop()


@test("a search whose board was removed meanwhile ends with predicted latencies and says so; another one is refused", 150)
def board_removed():
    bed.calm_search()
    run = bed.SearchRun("boardless", board_works=False)
    client = run.stack.client
    wait_for("requests for the networks to calibrate on", lambda: client.items("/measurements?kind=network&state=queued"), 60)
    run.stack.cli("search", "cancel", "hunt")
    run.stack.wait_job(run.job, state="canceled")
    device = client.items("/devices")[0]["id"]
    equal(client.request("DELETE", f"/devices/{device}").status // 100, 2, "the removal")
    run.stack.cli("search", "resume", "hunt")
    result = run.stack.wait_job(run.job, 90)["result"]
    front = client.get("/searches/hunt/front")
    check(front["items"] and front["stage"] == "final", "the front", front)
    equal((result["no_board"], result["unmeasured"], front["no_board"]), (True, len(front["items"]), True), "what the result says of measurements")
    check("not measured: no board" in run.stack.cli_run("search", "front", "hunt").stderr, "the words of the client")
    body = {**bed.SEARCH, "objectives": [{"metric": "top1", "direction": "maximise"}, {"metric": "latency_us", "profile": run.board.profile_id, "direction": "minimise"}]}
    problem(client.request("POST", "/searches", {**body, "name": "unmeasurable"}), 409, "conflict", "/objectives/1/profile")
    job = client.post("/searches", {**body, "name": "predicted", "measure_front": 0, "calibration_nets": 0}, 202)["job"]["id"]
    run.stack.wait_job(job, 90)
    front = client.get("/searches/predicted/front")
    check(front["items"] and front["no_board"] is False, "a front that was to be predicted only", front)
    run.stack.stop()
