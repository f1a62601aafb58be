"""Searches that end early, go on, begin with what others found, or are made once more."""
import os

import bed
import data
from client import problem
from search_bed import MACS, TOP1, refuse, remove, whole
from suite import check, equal, test, wait_for


@test("a search ends when its front has not grown for as long as its patience", 120)
def patient():
    stack, client = bed.daemon(), bed.client()
    body = bed.search_body("patient", measure_front=0, calibration_nets=0, evaluations=20000, population=16, patience=150)
    made = client.post("/searches", body, 202)
    stack.wait_job(made["job"]["id"], 90)
    result = client.get("/searches/patient")["result"]
    check(result["stagnated"] and result["evaluations"] < 20000, "it ended early", result)
    words = f"stopped after {result['evaluations']} of 20000 evaluations: the hypervolume no longer grew (patience 150)"
    equal(result["ending"], words, "why it ended")
    check(f"ended early: {words}" in stack.cli("search", "show", "patient"), "the client says so", "")
    check(f"espalier: {words}" in stack.cli_run("job", "wait", made["job"]["id"]).stderr, "and at the end of a wait", "")
    series = {row["strategy"]: row for row in client.get("/searches/patient/hypervolume")["series"]}
    main = series["nsga2"]
    latest = max(e for e, v, before in zip(main["evaluations"], main["hypervolume"], [0, *main["hypervolume"]]) if v > 1.001 * before)
    check(main["evaluations"][-1] - latest >= 150 - 16, "evaluations without growth", main)
    equal(series["random"]["evaluations"][-1], main["evaluations"][-1], "the baseline has had as many")
    four = [TOP1, MACS, *({"metric": metric, "direction": "minimise"} for metric in ("params", "peak_simple_bytes"))]
    many = client.post("/searches", bed.search_body("many", objectives=four, measure_front=0, calibration_nets=0, evaluations=20000, population=16, patience=150), 202)
    stack.wait_job(many["job"]["id"], 90)
    result = client.get("/searches/many")["result"]
    check(result["stagnated"] and result["hypervolume"] > 0, "one with four objectives ended early", result)
    refuse("/patience", (422,), patience=0)
    whole = client.post("/searches", bed.search_body("whole", measure_front=0, calibration_nets=0, evaluations=64, population=16, patience=1000), 202)
    stack.wait_job(whole["job"]["id"], 60)
    result = client.get("/searches/whole")["result"]
    equal((result["stagnated"], result["evaluations"], result["ending"]), (False, 64, None), "one with more patience than budget")
    check("ended early" not in stack.cli("search", "show", "whole"), "nothing to say of it", "")
    for name in ("patient", "many", "whole"):
        client.expect(204, "DELETE", f"/searches/{name}")


@test("a search that is extended becomes what it would have been with so many evaluations from the beginning, killed or not", 300)
def extended():
    stack, client = bed.daemon(), bed.client()
    # "rounds": what is known better between two rounds enters a longer search elsewhere.
    for strategy in ("nsga2", "rounds", "linas", "aging", "evolution") if os.environ.get("ESP_LONG", "0").strip("0") else ("nsga2", "rounds"):
        changes = {"rounds": 2, "strategy": "aging"} if strategy == "rounds" else {"strategy": strategy}
        # Both begin with the same calibration: they are asked for at once. 40 is no whole number of generations.
        long, short = (client.post("/searches", bed.search_body(f"{name}-{strategy}", **changes, evaluations=n, population=16), 202) for name, n in (("long", 96), ("short", 40)))
        problem(client.request("POST", f"/searches/short-{strategy}/extend", {"evaluations": 96}), 409)
        for made in (long, short):
            stack.wait_job(made["job"]["id"], 120)
        before = client.get(f"/searches/short-{strategy}/front")
        key = {"Idempotency-Key": f"extend-{strategy}"}
        answer = client.expect(202, "POST", f"/searches/short-{strategy}/extend", {"evaluations": 96}, key).doc
        equal(client.expect(202, "POST", f"/searches/short-{strategy}/extend", {"evaluations": 96}, key).doc, answer, "the answer to a repeat, though the search waits by now")
        equal((answer["search"]["id"], answer["search"]["evaluations"], answer["search"]["result"]), (short["search"]["id"], 96, None), "the same search")
        check(answer["job"]["id"] != short["job"]["id"] and answer["search"]["job"] == answer["job"]["id"], "another job", answer["job"])
        if strategy == "nsga2":
            wait_for("progress", lambda: client.get(f"/searches/short-{strategy}")["state"] == "running", 30)
            stack.kill_job()
            stack.restart()
        stack.wait_job(answer["job"]["id"], 120)
        equal(whole(f"short-{strategy}"), whole(f"long-{strategy}"), f"by {strategy}")
        check(client.get(f"/searches/short-{strategy}/front")["version"] > before["version"], "a later front", before["version"])
        rows = [client.get(f"/calibrations/{row['id']}") for row in client.get(f"/searches/short-{strategy}")["calibrations"]]
        versions = [row["version"] for row in rows]
        equal(len(set(versions)), len(versions), "each calibration has a version of its own")
        check(all(one["points"] != other["points"] for at, one in enumerate(rows) for other in rows[:at]), "none was stored again", versions)
    stack.cli("search", "extend", "short-nsga2", "-n", "128", "--wait", timeout=100)
    equal(client.get("/searches/short-nsga2")["result"]["evaluations"], 128, "and again, by the client")
    remove(*(row["name"] for row in client.items("/searches") if row["name"].startswith(("long-", "short-"))))


@test("more evaluations are refused where they mean nothing, and patience can be lifted", 120)
def not_extended():
    stack, client = bed.daemon(), bed.client()
    quick = {"measure_front": 0, "calibration_nets": 0, "population": 16}
    made = client.post("/searches", bed.search_body("impatient", **quick, evaluations=5000, patience=100), 202)
    stack.wait_job(made["job"]["id"], 90)
    had = client.get("/searches/impatient")["result"]["evaluations"]

    def refused(status, pointer, body, search="impatient"):
        return problem(client.request("POST", f"/searches/{search}/extend", body), status, pointer=pointer)

    refused(422, "/evaluations", {})
    refused(422, "/evaluations", {"evaluations": had})
    refused(422, "/evaluations", {"evaluations": 10**7})
    refused(422, "/evaluations", {"evaluations": "more"})
    refused(422, "/seed", {"evaluations": 6000, "seed": 1})
    refused(422, "/patience", {"evaluations": 6000, "patience": 0})
    refused(409, "/patience", {"evaluations": 6000})
    refused(409, "/patience", {"evaluations": 6000, "patience": 100})
    problem(client.request("POST", "/searches/none/extend", {"evaluations": 6000}), 404)
    check("more patience" in stack.cli_run("search", "extend", "impatient", "-n", "6000").stderr, "the client says so")
    stack.cli("search", "extend", "impatient", "-n", str(had + 160), "--patience", "0", "--wait", timeout=100)
    result = client.get("/searches/impatient")["result"]
    equal((result["evaluations"], result["stagnated"]), (had + 160, False), "without patience")
    remove("impatient")


@test("a budget in seconds becomes a number of evaluations, which rules from then on", 120)
def timed():
    stack, client = bed.daemon(), bed.client()
    quick = {"measure_front": 0, "calibration_nets": 0, "accuracy": "evaluated"}
    body = {key: value for key, value in bed.search_body("timed", **quick, time_budget_s=3).items() if key != "evaluations"}
    for wrong in (0, -1, 0.5, 1e8, "soon"):
        problem(client.request("POST", "/searches", {**body, "time_budget_s": wrong}), 422, pointer="/time_budget_s")
    problem(client.request("POST", "/searches", {**body, "evaluations": 100}), 422, pointer="/time_budget_s")
    made = client.post("/searches", body, 202)
    equal((made["search"]["evaluations"], made["search"]["time_budget_s"]), (None, 3), "before it is known")
    stack.wait_job(made["job"]["id"], 90)
    doc = client.get("/searches/timed")
    number = doc["evaluations"]
    equal((number % 16, doc["result"]["evaluations"], doc["evaluations_done"], doc["time_budget_s"]), (0, number, number, 3), "what it was turned into")
    curves = {row["strategy"]: row["evaluations"][-1] for row in client.get("/searches/timed/hypervolume")["series"]}
    equal(curves, {"nsga2": number, "random": number}, "the baseline has as many")
    by_number = client.post("/searches/timed/clone", {"name": "by-number", "evaluations": number}, 202)
    equal((by_number["search"]["evaluations"], by_number["search"]["time_budget_s"]), (number, None), "the newer budget counts")
    stack.wait_job(by_number["job"]["id"], 90)
    equal(whole("by-number"), whole("timed"), "the same search by its number")
    asked = client.get("/searches/timed/request")
    equal((asked.get("evaluations"), asked["time_budget_s"]), (None, 3), "what would repeat it: the seconds, not what they became")
    again = client.post("/searches/timed/clone", {"name": "again"}, 202)["search"]
    equal((again["evaluations"], again["time_budget_s"]), (None, 3), "seconds are turned anew")
    client.post("/searches/again/cancel", {}, 202)
    stack.cli("search", "extend", "timed", "-n", str(number + 16), "--wait", timeout=100)
    doc = client.get("/searches/timed")
    equal((doc["evaluations"], doc["result"]["evaluations"], doc["time_budget_s"]), (number + 16, number + 16, None), "it goes on by number")
    check("exclude" in stack.cli_run("search", "create", "x", "--supernet", "none", "--time", "3s", "-n", "5").stderr, "the client says so")
    stack.cli("search", "clone", "timed", "by-client", "--time", "2s")
    equal(client.get("/searches/by-client")["time_budget_s"], 2, "by the client")
    client.post("/searches/by-client/cancel", {}, 202)
    wait_for("the end of what was cancelled", lambda: all(client.get(f"/searches/{name}")["state"] == "canceled" for name in ("again", "by-client")), 30)
    remove("timed", "by-number", "again", "by-client")


@test("a search is tried without being kept, and tells the request that would repeat it", 120)
def tried():
    client = bed.client()
    body = bed.search_body("tried", supernet="net", evaluations=60, measure_front=0, calibration_nets=0)
    tried = client.expect(200, "POST", "/searches?dry_run=true", body).doc
    filled = tried["request"]
    equal(([note for note in tried["notes"] if "limit" in note], tried["limits_share"]), ([], 1), "what is known beforehand of a search without limits")
    equal((filled["supernet"], filled["rounds"], filled["method"]), (bed.supernet(), 1, "full"), "ids in place of names, defaults filled in")
    problem(client.request("GET", "/searches/tried"), 404)
    equal(client.expect(200, "POST", "/searches?dry_run=true", {**body, "measurements": None, "patience": None}).doc["request"], filled, "what is null is as if it were not there")
    problem(client.request("POST", "/searches?dry_run=true", {**body, "population": 1}), 422, pointer="/population")
    problem(client.request("POST", "/searches?dry_run=true", body, {"Idempotency-Key": "try"}), 400)
    for wrong in ("dry_run=perhaps", "dry_run"):
        problem(client.request("POST", f"/searches?{wrong}", body), 400, "malformed", "?dry_run")
    bed.daemon().wait_job(client.post("/searches", body, 202)["job"]["id"])
    equal(client.get("/searches/tried/request"), filled, "what it was begun with")
    problem(client.request("POST", "/searches?dry_run=true", filled), 409, pointer="/name")
    equal(client.expect(200, "POST", "/searches?dry_run=true", {**filled, "name": "once-more"}).doc["request"], {**filled, "name": "once-more"}, "the request again")
    problem(client.request("GET", "/searches/none/request"), 404)
    client.expect(204, "DELETE", "/searches/tried")


@test("a clone is the same search but for what is changed", 120)
def cloned():
    stack, client = bed.daemon(), bed.client()
    body = bed.search_body("origin", measure_front=0, calibration_nets=0, evaluations=48, population=16, accuracy="evaluated", strategy="evolution", strategy_options={"mutation": 0.3}, patience=4000, constraints=[{"metric": "macs", "max": 1e9}])
    stack.wait_job(client.post("/searches", body, 202)["job"]["id"], 90)

    def clone(name, **changes):
        answer = client.post("/searches/origin/clone", {"name": name, **changes}, 202)
        if name == "twin":
            stack.wait_job(answer["job"]["id"], 90)
        else:
            client.post(f"/searches/{name}/cancel", {}, 202)
        return client.get(f"/searches/{name}")

    twin = clone("twin")
    for member in ("supernet", "dataset", "objectives", "constraints", "strategy", "strategy_options", "baseline", "seed", "population", "evaluations"):
        equal(twin[member], client.get("/searches/origin")[member], member)
    equal(whole("twin"), whole("origin"), "an equal search finds the same")
    other = clone("other", seed=9, constraints=None, patience=None)
    equal((other["seed"], other["constraints"], other["strategy_options"]["mutation"]), (9, [], 0.3), "what was changed, and what was not")
    random = clone("random-one", strategy="random")
    equal((random["strategy"], random["baseline"], random["strategy_options"]), ("random", None, {}), "what belongs to the other strategy is left out")
    stack.cli("search", "clone", "origin", "by-client", "--seed", "3", "--strategy", "nsga2", "--objectives", "top1,macs", "--baseline", "none")
    client.post("/searches/by-client/cancel", {}, 202)
    made = client.get("/searches/by-client")
    equal((made["seed"], made["strategy"], made["baseline"], made["evaluations"], [row["metric"] for row in made["objectives"]]), (3, "nsga2", None, 48, ["top1", "macs"]), "by the client")
    refused = [(409, "/name", {"name": "twin"}), (422, "/name", {}), (422, "/seed", {"name": "x", "seed": -1}), (422, "/sed", {"name": "x", "sed": 1}), (422, "/baseline", {"name": "x", "baseline": "evolution"})]
    for status, pointer, changes in refused:
        problem(client.request("POST", "/searches/origin/clone", changes), status, pointer=pointer)
    problem(client.request("POST", "/searches/none/clone", {"name": "x"}), 404)
    wait_for("the end of what was cancelled", lambda: all(client.get(f"/searches/{name}")["state"] == "canceled" for name in ("other", "random-one", "by-client")), 30)
    remove("origin", "twin", "other", "random-one", "by-client")


@test("a search begins with the front of an earlier one and with subnets of a file; its baseline does not", 120)
def warm_started():
    stack, client = bed.daemon(), bed.client()
    quick = {"accuracy": "evaluated", "initial_evaluations": None, "measure_front": 0, "calibration_nets": 0, "evaluations": 24, "population": 8, "strategy": "nsga2"}
    cold = client.post("/searches", bed.search_body("cold", **{**quick, "evaluations": 60}), 202)
    stack.wait_job(cold["job"]["id"], 90)
    front = {point["arch"] for point in client.get("/searches/cold/front")["items"]}
    check(len(front) >= 3, "subnets on the front", front)
    answer = client.request("POST", "/searches", bed.search_body("warm", **quick, seed=5, warm_start={"searches": ["cold"], "archs": [data.SMALL_ARCH, data.SMALL_ARCH]}))
    equal(answer.status, 202, f"answer {answer}")
    stack.wait_job(answer.doc["job"]["id"], 90)

    def candidates(name, strategy):
        page = client.get(f"/searches/{name}/candidates?page_size=1000&strategy={strategy}")["columns"]
        return dict(zip(page["arch"], page["generation"]))

    first = {arch for arch, generation in candidates("warm", "nsga2").items() if generation == 0}
    check(front | {data.SMALL_ARCH} <= first, "the front is where it begins", front - first)
    check(all(generation > 0 for generation in candidates("warm", "random").values()), "the baseline begins from nothing")
    equal(client.get("/searches/warm")["result"]["evaluations"], 24, "the budget is not touched")
    lines = stack.root / "archs.txt"
    lines.write_text("\n".join(sorted(front)) + "\n\n")
    stack.cli("search", "create", "by-file", "--supernet", "net", "--profile", bed.profile(), "-n", "24", "--population", "8", "--accuracy", "evaluated", "--strategy", "nsga2", "--measure-front", "0", "--warm-start-file", lines, "--warm-start", "cold", "--wait", timeout=100)
    check(front <= {arch for arch, generation in candidates("by-file", "nsga2").items() if generation == 0}, "by client")
    refuse("/warm_start/searches/0", (404,), warm_start={"searches": ["none"]})
    refuse("/warm_start/archs/1", (422,), warm_start={"archs": [data.SMALL_ARCH, "r1 | x"]})
    for wrong in ({}, {"searches": []}, {"searches": [1]}, {"archs": [None]}, [], "cold"):
        check(client.request("POST", "/searches", bed.search_body("wrong", warm_start=wrong)).status in (400, 422), f"{wrong} is refused")
    for name in ("cold", "warm", "by-file"):
        client.expect(204, "DELETE", f"/searches/{name}")
