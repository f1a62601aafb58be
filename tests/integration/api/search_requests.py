"""What is asked of a search: refused with its place and a range, or with the best that there is."""
import bed
from search_bed import MACS, TOP1, latency, refuse
from suite import check, equal, test


@test("a search with an unknown supernet, board, objective or strategy is refused with its pointer", 120)
def unknown():
    refuse("/supernet", supernet="no-such-net")
    refuse("/checkpoint", checkpoint="ck_none")
    refuse("/objectives/1/profile", objectives=[TOP1, latency("pf_none", direction="minimise")])
    refuse("/objectives/1/profile", objectives=[TOP1, {"metric": "latency_us", "direction": "minimise"}])
    refuse("/objectives/1/metric", objectives=[TOP1, {"metric": "happiness", "direction": "maximise"}])
    refuse("/objectives/0/direction", objectives=[{"metric": "top1", "direction": "sideways"}, MACS])
    refuse("/objectives/0/direction", objectives=[{"metric": "top1", "direction": "minimise"}, MACS])
    refuse("/objectives/1", objectives=[TOP1, TOP1])
    refuse("/objectives", objectives=[])
    refuse("/constraints/0/profile", constraints=[latency("pf_none", max=100)])
    refuse("/constraints/0/metric", constraints=[{"metric": "happiness", "max": 1}])
    refuse("/constraints/0", constraints=[{"metric": "macs"}])
    refuse("/strategy", strategy="divination")
    refuse("/baseline", baseline="divination")
    refuse("/baseline", strategy="random", baseline="random")
    refuse("/baseline", baseline="nsga2")
    refuse("/accuracy", accuracy="guessed")
    equal(bed.client().items("/searches"), [], "searches kept")


@test("an option of a strategy that it does not have, or out of its range, is refused with its pointer and the range")
def strategy_options():
    def detail(pointer, **changes):
        return refuse(pointer, (422,), **changes)["detail"]

    for strategy in bed.client().items("/strategies"):
        check(strategy["when"] and strategy["help"], "words of a strategy", strategy)
        for option in strategy["options"]:
            at = f"/strategy_options/{option['name']}"
            check(option["min"] <= option["default"] <= option["max"], "its default is in its range", option)
            beside = {"baseline": None, "strategy": strategy["name"]}
            for wrong in (option["max"] + 1, option["min"] - 1):
                text = detail(at, strategy_options={option["name"]: wrong}, **beside)
                check(f"{option['min']:g}" in text and f"{option['max']:g}" in text, "the range is named", text)
            for wrong in ("much", [], True):
                detail(at, strategy_options={option["name"]: wrong}, **beside)
            if option["kind"] == "int":
                detail(at, strategy_options={option["name"]: option["default"] + 0.5}, **beside)
    check("did you mean \"mutation\"" in detail("/strategy_options/mutatoin", strategy_options={"mutatoin": 0.2}), "what was meant", "")
    check("has no options" in detail("/strategy_options/mutation", strategy="random", strategy_options={"mutation": 0.2}), "none", "")
    detail("/strategy_options", strategy_options=[0.2])
    for option, words in (("mutation=2", "0 to 1"), ("mutation=much", "/strategy_options/mutation"), ("mutation", "NAME=NUMBER")):
        done = bed.daemon().cli_run("search", "create", "wild", "--supernet", bed.supernet(), "--option", option)
        check(done.returncode != 0 and words in done.stderr, "the client's words", done.stderr)
    text = bed.daemon().cli("search", "strategies")
    check(all(word in text for word in ("nsga2", "crossover=0.9", "take it when", "(0 to 1)")), "the client lists them", text)
    equal(bed.client().items("/searches"), [], "searches kept")


@test("a search with a budget of zero, or an absurd one, is refused")
def budget():
    refuse("/evaluations", evaluations=0)
    refuse("/evaluations", evaluations=-1)
    refuse("/evaluations", evaluations=1e18)
    refuse("/population", population=0)
    refuse("/seed", seed=-1)
    refuse("/initial_evaluations", initial_evaluations=-1)
    refuse("/initial_evaluations", initial_evaluations=15)  # too few to fit a predictor on
    refuse("/measure_front", measure_front=-1)
    refuse("/measure_front", measure_front=1001)
    for rounds in (0, 6, 1.5, "two"):
        refuse("/rounds", rounds=rounds)
    refuse("/name", name="")
    refuse("/name", name="a/b")


@test("a constraint that no subnet can meet is refused at once with the best value there is")
def infeasible():
    bed.profile()
    least = bed.client().get("/spaces/tiny")["smallest"]["cost"]["macs"]
    doc = refuse("/constraints/0/max", 422, "infeasible", constraints=[{"metric": "macs", "max": 10}])
    equal(doc["attainable"], least, "the least MACs")
    doc = refuse("/constraints/1/max", 422, "infeasible", constraints=[{"metric": "macs", "max": 1e9}, latency(bed.profile(), max=0.5)])
    check(doc["attainable"] > 0.5, "the least latency", doc)
    bound = doc["attainable"]
    row = bed.client().get(f"/profiles/{bed.profile()}")
    for part in (row["name"], f'"{row["device_name"]}"', " at most 0.0005 ms: ", " random subnet", "one random subnet in a hundred has at most ", f" {bound / 1000:.4g} ms"):
        check(part in doc["detail"], f"{part!r} in the words", doc["detail"])
    check(bed.profile() not in doc["detail"] and " us" not in doc["detail"], "no id in the words, and one unit", doc["detail"])
    for metric in ("macs", "params", "peak_activation_bytes"):
        check(refuse("/constraints/0/max", 422, "infeasible", constraints=[{"metric": metric, "max": 0}])["attainable"] > 0, metric)
    check(refuse("/constraints/0/max", 422, "infeasible", constraints=[latency(bed.profile(), max=0)])["attainable"] > 0, "latency")
    refuse("/constraints/0/max", 422, "infeasible", constraints=[latency(bed.profile(), max=bound * 0.99)])
    check("macs is never below 0" in refuse("/constraints/0/max", 422, "invalid_value", constraints=[{"metric": "macs", "max": -1}])["detail"], "of a negative limit")
    doc = refuse("/constraints/1/max", 422, "invalid_value", constraints=[{"metric": "macs", "max": 1e9}, latency(bed.profile(), max=-3000)])
    check("is never below 0: -3 ms is no limit of it" in doc["detail"] and row["name"] in doc["detail"], "of a negative latency", doc["detail"])
    refuse("/constraints/0/min", 422, constraints=[{"metric": "top1", "min": 2}])
    refuse("/constraints/1/max", 422, constraints=[{"metric": "macs", "max": 1e9}, {"metric": "top1", "max": -0.1}])
    equal(bed.client().items("/searches"), [], "searches kept")


@test("limits that exclude each other are refused at once, at the last of them, and named")
def excluding():
    bed.profile()
    ends = bed.client().get("/spaces/tiny")
    few, many = (ends[end]["cost"] for end in ("smallest", "largest"))
    middle = (few["macs"] + many["macs"]) / 2
    crossed = [{"metric": "params", "max": 1e9}, {"metric": "macs", "max": 0.9 * middle}, {"metric": "macs", "min": 1.1 * middle}]
    doc = refuse("/constraints/2/min", 422, "infeasible", constraints=crossed)
    check("macs" in doc["detail"] and "/constraints/1/max" in doc["detail"] and "attainable" not in doc, "the other one is named", doc)
    refuse("/constraints/1/max", 422, "infeasible", constraints=[{"metric": "top1", "min": 0.9}, {"metric": "top1", "max": 0.8}])
    slow = refuse("/constraints/0/max", 422, "infeasible", constraints=[latency(bed.profile(), max=0.5)])["attainable"] * 1.5
    refuse("/constraints/1/min", 422, "infeasible", constraints=[latency(bed.profile(), max=slow), latency(bed.profile(), min=slow * 1.01)])
    apart = [{"metric": "macs", "min": many["macs"]}, {"metric": "top1", "min": 0.1}, {"metric": "params", "max": few["params"]}]
    doc = refuse("/constraints/2/max", 422, "infeasible", constraints=apart)
    for part in ("macs of at least", "/constraints/0/min", "params of at most", "with the others it is at least"):
        check(part in doc["detail"], f"{part!r} in the words", doc["detail"])
    check("top1" not in doc["detail"], "only what excludes each other is named", doc["detail"])
    check("the others are kept by " in doc["detail"], "how many keep the others", doc["detail"])
    check(" is from " in doc["detail"] or "it is from" in refuse("/constraints/2/min", 422, "infeasible", constraints=crossed)["detail"], "what there is")
    doc = refuse("/constraints/1/min", 422, "infeasible", constraints=[latency(bed.profile(), max=slow), {"metric": "macs", "min": many["macs"]}])
    row = bed.client().get(f"/profiles/{bed.profile()}")
    check(f'a latency on the board "{row["device_name"]}" (profile {row["name"]}) of at most ' in doc["detail"] and bed.profile() not in doc["detail"], "a latency by its board's name", doc["detail"])
    equal(bed.client().items("/searches"), [], "searches kept")


@test("limits that no random subnet keeps, and that may be kept all the same, are noted")
def rare():
    bed.profile()
    most = bed.client().get("/spaces/tiny")["largest"]["cost"]
    limits = [{"metric": "macs", "min": most["macs"]}, {"metric": "params", "min": most["params"]}]
    body = bed.search_body("rare", objectives=[TOP1, MACS], constraints=limits, evaluations=100000, measure_front=0, calibration_nets=0)
    tried = bed.client().expect(200, "POST", "/searches?dry_run=true", body).doc
    check("notes" not in tried["request"] and tried["limits_share"] == 0, "no note in what would be kept of it", tried)
    job = bed.client().post("/searches", body, 202)["job"]["id"]
    notes = bed.client().get("/searches/rare")["notes"]
    equal(tried["notes"], notes, "what the dry run told")
    check(len(notes) == 1 and "no random subnet of 1000 keeps all limits" in notes[0] and "the nearest has " in notes[0], "the note", notes)
    bed.client().post("/searches/rare/cancel", {}, 202)
    check("notes" not in bed.client().get("/searches/rare/request"), "no note in what would repeat it")
    bed.daemon().wait_job(job, 60, state="canceled")
    equal(bed.client().request("DELETE", "/searches/rare").status // 100, 2, "its removal")


@test("constraints that can be met one by one but not together end as infeasible, with the nearest values", 60)
def together():
    bed.profile()
    few = bed.client().get("/spaces/tiny")["smallest"]["cost"]
    limits = [{"metric": "top1", "min": 1}, {"metric": "macs", "max": few["macs"]}]
    body = bed.search_body("apart", objectives=[TOP1, MACS], constraints=limits, evaluations=60, measure_front=0, calibration_nets=0)
    job = bed.client().post("/searches", body, 202)["job"]["id"]
    error = bed.daemon().wait_job(job, 60, state="failed")["error"]
    equal((error["code"], error["pointer"]), ("infeasible", "/constraints"), "the error")
    for part in ("no network met the limits", "macs", "top1", "at least 1)", f"at most {few['macs']:.6g}", "of random subnets keep what is known beforehand"):
        check(part in error["message"], f"the message says {part!r}", error)
    equal((bed.client().get("/searches/apart")["state"], bed.client().get("/searches/apart/front")["items"]), ("failed", []), "the search and its front")
    said = bed.daemon().cli_run("search", "front", "apart").stderr
    check("The search failed before it had a front: " in said and error["message"] in said, "the words of the client", said)
    equal(bed.client().request("DELETE", "/searches/apart").status // 100, 2, "its removal")
