"""Searches, tables and measurements: bad ones are refused with their cause, a sound one runs."""
import json
import os
import zlib
from urllib.parse import quote

import bed
import data
from board import Board
from client import problem
from suite import at_end, check, equal, test, wait_for


def refuse(pointer, statuses=(400, 404, 422), code=None, **changes):
    return problem(bed.client().request("POST", "/searches", bed.search_body(**{"name": "refused", **changes})), statuses, code, pointer)


def latency(profile, **rest):
    return {"metric": "latency_us", "profile": profile, **rest}


TOP1 = {"metric": "top1", "direction": "maximise"}
MACS = {"metric": "macs", "direction": "minimise"}


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
    check("notes" not in bed.client().expect(200, "POST", "/searches?dry_run=true", body).doc, "no note in what would be kept of it")
    job = bed.client().post("/searches", body, 202)["job"]["id"]
    notes = bed.client().get("/searches/rare")["notes"]
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
    check("No network met the limits" in bed.daemon().cli_run("search", "front", "apart").stderr, "the words of the client")
    equal(bed.client().request("DELETE", "/searches/apart").status // 100, 2, "its removal")


@test("tables and measurements of unknown boards, spaces and methods are refused")
def bad_measurements():
    client = bed.client()
    bed.profile()
    problem(client.request("POST", "/tables", {"profile": "pf_none", "space": "tiny"}), (404, 422), pointer="/profile")
    problem(client.request("POST", "/tables", {"profile": bed.profile(), "space": "nowhere"}), (404, 422), pointer="/space")
    problem(client.request("POST", "/tables", {"profile": bed.profile(), "space": "tiny", "method": "by eye"}), (400, 422), pointer="/method")
    sound = {"profile": bed.profile(), "space": "tiny", "archs": [data.SMALL_ARCH]}
    problem(client.request("POST", "/measurements", {**sound, "profile": "pf_none"}), (404, 422), pointer="/profile")
    problem(client.request("POST", "/measurements", {**sound, "archs": []}), (400, 422), pointer="/archs")
    problem(client.request("POST", "/measurements", {**sound, "archs": [data.SMALL_ARCH, "x"]}), (400, 422), pointer="/archs/1")
    problem(client.request("POST", "/measurements", {**sound, "method": "by eye"}), (400, 422), pointer="/method")


@test("an equal measurement is returned, not repeated; the table tells each entry")
def measurements():
    client, stack = bed.client(), bed.daemon()
    body = {"profile": bed.profile(), "space": "tiny", "archs": [data.SMALL_ARCH, data.SMALL_ARCH]}
    first = client.post("/measurements", body, 202)["items"]
    equal(len({row["id"] for row in first}), 1, "measurements of one graph")
    done = wait_for("the measurement", lambda: (doc := client.get(f"/measurements/{first[0]['id']}")) and doc["state"] == "accepted" and doc)
    check(done["low_us"] <= done["median_us"] <= done["high_us"] and len(done["samples_us"]) == done["n"], "the measurement", done)
    equal(client.post("/measurements", body, 202)["items"][0]["id"], first[0]["id"], "asked for again")
    known = client.items(f"/measurements?graph_id={done['graph_id']}")
    check(first[0]["id"] in [row["id"] for row in known] and all(row["graph_id"] == done["graph_id"] for row in known), "measurements of one graph", known)
    equal(client.items(f"/measurements?graph_id={done['graph_id']}&state=failed"), [], "of another state")
    equal(client.items("/measurements?graph_id=none"), [], "measurements of no graph")
    table = client.items("/tables")[0]
    entries = client.items(f"/tables/{table['id']}/entries")
    equal(len(entries), table["needed"], "entries")
    equal((table["measured"], table["failed"]), (table["needed"], 0), "measured and failed")
    equal(len({row["signature"] for row in entries}), len(entries), "signatures are distinct")
    again = client.post("/tables", {"profile": bed.profile(), "space": "tiny", "method": "brief"}, 202)
    stack.wait_job(again["job"]["id"])
    equal(again["table"]["id"], table["id"], "the same table")
    sound = {row["measurement"] for row in entries if row["spread"] <= 0.1}  # a busy machine may leave others
    check(sound <= {row["measurement"] for row in client.items(f"/tables/{table['id']}/entries")}, "nothing measured again that is known well", sound)


@test("a space that the table covers in part is interpolated where units are alike, and refused where they are not", 120)
def interpolated():
    client, stack, board = bed.client(), bed.daemon(), bed.profile()
    denser, foreign = data.space(name="denser"), data.space(name="foreign")
    denser["stages"][1]["expand_ratios"] = [2, 3, 4]
    foreign["stem"]["channels"] = 16
    for space in (denser, foreign):
        client.post("/spaces", space, 201)
    sample = client.post("/spaces/denser/sample", {"n": 200, "profile": board}, 200)
    missing = client.get("/spaces/denser")["table_entries"] - client.get("/spaces/tiny")["table_entries"]
    check(missing > 0, "the space has more units")
    equal(sample["missing_entries"], missing, "missing entries")
    check(sample["quantiles"]["latency_us"]["median"] > 0, "latency of random subnets", sample)
    between = "r28 | d1 c16 k3e1 | d1 c24 k3e3"
    ends = [client.get(f"/archs?space=denser&profile={board}&arch={quote(arch)}")["latency"] for arch in (between, data.SMALL_ARCH)]
    equal([end["state"] for end in ends], ["interpolated", "covered"], "states")
    equal([len(end["missing"]) for end in ends], [1, 0], "units without an entry")
    check(ends[0]["low_us"] < ends[0]["us"] < ends[0]["high_us"], "the interval", ends[0])
    widths = [end["high_us"] / end["low_us"] for end in ends]
    check(widths[0] > widths[1], "the interpolated interval is wider", widths)
    check("latency_us" not in client.post("/spaces/foreign/sample", {"n": 50, "profile": board}, 200)["quantiles"], "no latency where a stem is unknown")
    for name, statuses in (("denser", 202), ("foreign", 409)):
        train = client.post("/supernets", {"name": name, "space": name, "dataset": "bars", "train": {**bed.TRAIN, "epochs": 1}}, 202)
        stack.wait_job(train["job"]["id"])
        body = bed.search_body(name, supernet=name, measure_front=0, calibration_nets=0)
        answer = client.request("POST", "/searches", body)
        equal(answer.status, statuses, f"a search in {name}")
        if answer.status == 202:
            stack.wait_job(answer.doc["job"]["id"])
            key, front = f"latency_us:{board}", client.get(f"/searches/{name}/front")["items"]
            check(front and all(point["metrics"][key]["value"] > 0 for point in front), "the front has latencies", front)
        else:
            check("cannot be interpolated" in problem(answer, 409, pointer="/objectives/1/profile")["detail"], "the refusal says so")
    equal(client.request("DELETE", "/searches/denser").status // 100, 2, "its removal")


def check_test_images(search, points):
    """No search looks at the test images; a network of its front that was scored on them says so."""
    client, stack = bed.client(), bed.daemon()
    for point in points:
        equal(point.get("test_top1"), None, "top-1 on the test images before anybody asked")
    kept = points[0]
    body = {"supernet": search["supernet"], "archs": [kept["arch"]], "split": "test"}
    refusal = problem(client.request("POST", "/evaluations", body), 409, "conflict", "/archs/0")
    check("pin" in str(refusal), "the refusal says what to do", refusal)
    pins = f"/supernets/{search['supernet']}/pins"
    once = client.post(pins, {"archs": [kept["arch"]]})["items"]
    equal(client.post(pins, {"archs": [kept["arch"], kept["arch"]]})["items"], once, "pinned again")
    equal([(row["arch_id"], row["test_top1"]) for row in client.items(pins)], [(kept["arch_id"], None)], "what is pinned")
    job = client.post("/evaluations", body, 202)["job"]["id"]
    stack.wait_job(job, 60)
    for point in client.get(f"/searches/{search['id']}/front")["items"]:
        equal(point.get("test_top1") is not None, point["arch_id"] == kept["arch_id"], f"{point['arch']} has a top-1 on the test images")
        equal(point["pinned"], point["arch_id"] == kept["arch_id"], f"{point['arch']} is pinned")
    check(0 <= client.items(pins)[0]["test_top1"] <= 1, "the pin's top-1", client.items(pins))
    unpin = f"/supernets/{search['supernet']}/unpin"
    for _ in range(2):
        equal(client.post(unpin, {"archs": [kept["arch"]]})["items"], [], "what is pinned")
    problem(client.request("POST", "/evaluations", body), 409, "conflict", "/archs/0")
    for point in client.get(f"/searches/{search['id']}/front")["items"]:
        equal((point["pinned"], point.get("test_top1")), (False, None), "nothing is shown of a network that is not kept")
    problem(client.request("POST", pins, {"archs": ["nonsense"]}), 400, pointer="/archs/0")
    problem(client.request("POST", pins, {"archs": []}), 422, pointer="/archs")
    problem(client.request("POST", "/supernets/none/pins", {"archs": [kept["arch"]]}), 404)
    stack.cli("arch", "pin", search["supernet"], kept["arch"])
    check(kept["arch"] in stack.cli("arch", "ls", search["supernet"]), "arch ls lists it")
    stack.cli("arch", "unpin", search["supernet"], kept["arch"])
    client.post("/exports", {"supernet": search["supernet"], "arch": kept["arch"], "format": "onnx"}, 202)
    stack.wait_job(client.post("/evaluations", body, 202)["job"]["id"], 60)


@test("a front keeps its checkpoint when the supernet is trained on: scores and exports are those of before", 150)
def trained_on():
    client, stack = bed.client(), bed.daemon()
    bed.profile()
    stack.train("further", bed.TRAIN)
    before = client.get("/supernets/further")["checkpoint"]
    body = {**bed.search_body("of-before"), "supernet": "further", "objectives": [TOP1, MACS], "evaluations": 100, "measure_front": 0}
    stack.wait_job(client.post("/searches", body, 202)["job"]["id"], 60)
    search = client.get("/searches/of-before")
    equal(search["checkpoint"], before, "the search's checkpoint")
    equal(stack.cli("search", "show", "of-before", "--get", "checkpoint"), before, "the same by the client")
    points = [point["arch"] for point in client.get("/searches/of-before/front")["items"]]
    best = stack.cli("search", "front", "of-before", "--best", "--get", "arch")
    exported = stack.root / "before.onnx"
    stack.cli("arch", "export", "further", best, "--file", exported)
    stack.wait_job(client.post("/supernets/further/train", {"train": {**bed.TRAIN, "checkpoint_steps": 10}}, 202)["job"]["id"], 60)
    rows = {row["id"]: row for row in client.items(f"/supernets/{search['supernet']}/checkpoints")}
    check(client.get("/supernets/further")["checkpoint"] != before, "there is a newer checkpoint")
    check(not (stack.data_dir / "supernets" / search["supernet"] / rows[before]["path"]).exists(), "training has removed the search's checkpoint from the supernet's folder")
    equal(rows[before]["kept"], True, "the search keeps it")
    equal(client.get("/searches/of-before")["checkpoint"], before, "the search's checkpoint afterwards")
    stack.cli("arch", "pin", "further", *points)
    stack.cli("supernet", "evaluate", "further", *points, "--test", "--wait")
    for point in client.get("/searches/of-before/front")["items"]:
        equal(point.get("test_top1"), None, "a score by newer weights is none of this front")
    stack.cli("supernet", "evaluate", "further", *points, "--test", "--checkpoint", before, "--wait")
    for point in client.get("/searches/of-before/front")["items"]:
        check(0 <= point["test_top1"] <= 1, "the score by the weights of the front", point)
    again, newest = stack.root / "again.onnx", stack.root / "newest.onnx"
    stack.cli("arch", "export", "further", best, "--file", again, "--checkpoint", before)
    stack.cli("arch", "export", "further", best, "--file", newest)
    check(again.read_bytes() == exported.read_bytes(), "the export by the front's checkpoint is the one of before, bit for bit")
    check(newest.read_bytes() != exported.read_bytes(), "the export by the newest checkpoint is another")
    equal(client.request("DELETE", "/searches/of-before").status // 100, 2, "the search's removal")
    refusal = problem(client.request("POST", "/exports", {"supernet": "further", "arch": best, "format": "onnx", "checkpoint": before}), 404, pointer="/checkpoint")
    check("removed" in refusal["detail"], "without the search it is gone", refusal)


@test("calibrations say what they rest on and how good they are; tables of other boards are at hand", 120)
def calibrated():
    client, stack, profile = bed.client(), bed.daemon(), bed.profile()
    other = Board(stack.port, "beside").enrol(stack.enrolment_token())
    other.serve()
    at_end(other.rest)
    stack.wait_job(client.post("/tables", {"profile": other.profile_id, "space": "tiny", "method": "brief"}, 202)["job"]["id"])
    job = client.post("/searches", bed.search_body("calibrated", calibration_nets=9), 202)["job"]["id"]
    stack.wait_job(job, 90)
    spec = json.loads((stack.data_dir / "jobs" / job / "search_spec.json").read_text())
    equal([row["profile_id"] for row in spec["fleet"]], [other.profile_id], "the fleet")
    equal(spec["search"]["calibration_choice"], "useful", "the choice of networks, unless another is asked for")
    rows = client.get("/searches/calibrated")["calibrations"]
    check(rows, "there are calibrations", rows)
    for row in rows:
        check(row["rung"] in ("sum", "line", "kinds", "fleet", "entries"), "the rung", row)
        check(set(row["errors"]) >= {"sum", "line", "kinds", "fleet", "entries"}, "errors of all rungs", row)
        for side in ("before", "after"):
            quality = row[side]
            check(quality["mape"] >= 0 and 0 <= quality["within_5"] <= quality["within_10"] <= 1 and -1 <= quality["kendall_tau"] <= 1, side, row)
        check(0 <= row["after"]["coverage"] <= 1 and row["interval"] > 0, "the interval", row)
    check(rows[-1]["after"]["mape"] <= rows[-1]["before"]["mape"], "it helps", rows[-1])
    shown = stack.cli("latency", "calibrations")
    for word in ("RUNG", "TAU", "INTERVAL", "INSIDE", rows[-1]["rung"]):
        check(word in shown, f"{word} in the client's list", shown)
    check("points" not in rows[-1], "no points in lists", rows[-1])
    points = client.get(f"/calibrations/{rows[-1]['id']}")["points"]
    equal(len(points), rows[-1]["n"], "points of the newest calibration")
    errors = [abs(p["predicted_us"] / p["measured_us"] - 1) for p in points]
    check(abs(sum(errors) / len(errors) - rows[-1]["after"]["mape"]) < 1e-6, "its mean error is the points'", errors, rows[-1])
    inside = [p["low_us"] <= p["measured_us"] <= p["high_us"] for p in points]
    check(abs(sum(inside) / len(inside) - rows[-1]["after"]["coverage"]) < 1e-6, "its coverage is the points'", inside, rows[-1])
    for p in points:
        measured = [m for m in client.items(f"/measurements?profile={profile}&kind=network") if m["arch"] == p["arch"]]
        check(measured and min(m["median_us"] for m in measured) <= p["measured_us"] <= max(m["median_us"] for m in measured), "what the board measured, once or twice", (p, measured))
    shown = stack.cli("latency", "residuals", rows[-1]["id"])
    check(all(p["arch"] in shown for p in points) and "ERROR" in shown, "residuals in the client", shown)
    problem(client.request("GET", "/calibrations/cal_0"), 404)
    prediction = client.get(f"/archs?space=tiny&profile={profile}&arch={quote(data.SMALL_ARCH)}")["latency"]
    check(prediction["low_us"] < prediction["us"] < prediction["high_us"], "the interval of a prediction", prediction)


class Skewed(Board):
    """A board on which whole networks take longer than the sum of their units, each by a little more or less than the others."""

    def result_of(self, lease, item, **changes):
        result = super().result_of(lease, item, **changes)
        factor = 1.3 + (zlib.crc32(json.dumps(item["graph"], sort_keys=True).encode()) % 1000 - 500) / 5000 if len(item["graph"]["units"]) > 2 else 1
        times = [key for key in result if key.endswith("_us")]
        return {**result, **{key: [us * factor for us in result[key]] if key == "samples_us" else result[key] * factor for key in times}}


@test("a search begins with the networks that its board has measured before: calibrated better from the first front on, and on these however long it goes on", 150)
def begins_with_known():
    client, stack = bed.client(), bed.daemon()
    supernet = bed.supernet()
    board = Skewed(stack.port, "skewed").enrol(stack.enrolment_token())
    board.serve()
    at_end(board.rest)
    profile = board.profile_id
    stack.wait_job(client.post("/tables", {"profile": profile, "space": "tiny", "method": "brief"}, 202)["job"]["id"])
    body = bed.search_body("first here", supernet=supernet, objectives=[TOP1, latency(profile, direction="minimise")], accuracy="evaluated", evaluations=24, population=8, measure_front=8, calibration_nets=4)

    def run(name, path="/searches", **changes):
        """The search, its first calibration (None: that which came with it stayed), and the networks that its job began with."""
        made = client.post(path, {**(body if path == "/searches" else {}), "name": name, **changes}, 202)
        stack.wait_job(made["job"]["id"], 60)
        search = client.get(f"/searches/{made['search']['id']}")
        return search, next(iter(search["calibrations"]), None), began_with(made["job"]["id"])

    def began_with(job):
        spec = json.loads((stack.data_dir / "jobs" / job / "search_spec.json").read_text())
        return [row["arch"] for row in spec["profiles"][0].get("known_networks", [])]

    def measured(method):
        rows = client.items(f"/measurements?profile={profile}&kind=network&state=accepted")
        return sorted({row["arch"] for row in rows if row["method"].startswith(method)})

    refuse("/known_networks", known_networks=129)
    refuse("/known_networks", known_networks=-1)
    first, alone, known = run("first here")
    equal((known, alone["n"], alone["n_known"], first["notes"]), ([], 4, 0, []), "what the first search began with")
    by_hand = next(arch for arch in (bed.SMALL_ARCH, bed.LARGE_ARCH) if arch not in measured("full"))
    client.post("/measurements", {"profile": profile, "space": "tiny", "archs": [by_hand], "method": "full"}, 202)
    before = wait_for("the network that was asked for by hand", lambda: (lambda archs: archs if by_hand in archs else None)(measured("full")), 20)
    second, begun, known = run("second here")
    equal(sorted(known), before, "networks that the second search began with")
    check(any(f"{len(before)} networks measured earlier" in note and "skewed" in note for note in second["notes"]), "what it says of them", second["notes"])
    check(begun["n_known"] >= len(before) - 4 and begun["n"] == begun["n_known"] + 4, "what it calibrates on", begun)
    check(begun["after"]["mape"] < alone["after"]["mape"] and begun["interval"] < alone["interval"], "errors of first calibrations", (alone["after"], alone["interval"]), (begun["after"], begun["interval"]))
    points = client.get(f"/calibrations/{begun['id']}")["points"]
    equal(sorted(p["arch"] for p in points if p["known"]), sorted(set(before) & {p["arch"] for p in points if p["session"] < 0}), "which are known")
    stand_for = lambda rows: {p["arch"] for p in rows if p["representative"]}
    check(stand_for(client.get(f"/calibrations/{alone['id']}")["points"]) <= stand_for(points), "those that stood for the space still do", points)
    check("KNOWN" in stack.cli("latency", "calibrations"), "the client shows it")
    for point in client.get("/searches/second here/front".replace(" ", "%20"))["items"]:
        takes = [row for row in client.items(f"/measurements?profile={profile}&kind=network&state=accepted") if row["arch"] == point["arch"]]
        check(point["metrics"][f"latency_us:{profile}"]["source"] != "measured" or len(takes) >= 2, "what is called measured was measured twice", point)
    longer = client.post(f"/searches/{second['id']}/extend", {"evaluations": 32}, 202)["job"]["id"]
    stack.wait_job(longer, 60)
    equal(began_with(longer), known, "networks of the longer search: those that it had begun with")
    more = measured("full")
    check(len(more) > len(before), "more are known by now", len(more))
    equal(sorted(run("third here", f"/searches/{second['id']}/clone")[2]), more, "networks that a clone begins with")
    equal(len(run("a few", known_networks=3)[2]), 3, "no more than are wanted")
    search, _, known = run("none", known_networks=0)
    equal((known, search["notes"], client.get(f"/searches/{search['id']}/request")["known_networks"]), ([], [], 0), "a search that is to begin with none")
    quick_arch = next(arch for arch in ("r28 | d1 c16 k5e1 | d1 c24 k5e2", "r28 | d1 c16 k3e1 | d1 c24 k5e2", "r28 | d1 c16 k5e1 | d1 c24 k3e2") if arch not in measured("full"))
    quick = client.post("/measurements", {"profile": profile, "space": "tiny", "archs": [quick_arch], "method": "brief"}, 202)["items"][0]["id"]
    wait_for("a brief measurement", lambda: client.get(f"/measurements/{quick}")["state"] == "accepted", 20)
    check(quick_arch not in run("thorough")[2], "a brief measurement is none for a thorough search")
    check({quick_arch, by_hand} <= set(run("brief", method="brief")[2]), "a brief search takes both")
    client.post("/spaces", data.space(name="tiny_other", resolutions=[20]), 201)
    stack.wait_job(client.post("/tables", {"profile": profile, "space": "tiny_other", "method": "brief"}, 202)["job"]["id"])
    here, there = (client.get(f"/archs?space={space}&profile={profile}&arch={quote(bed.SMALL_ARCH.replace('r28', side))}")["latency"] for space, side in (("tiny", "r28"), ("tiny_other", "r20")))
    equal((here["state"], here["calibrated"], there["state"], there["calibrated"]), ("covered", True, "covered", False), "a calibration is one of the space that it was learnt on")


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


@test("a search has more objectives than there is a hypervolume for: it runs, goes on, and says that there is none", 120)
def many_objectives():
    stack, client = bed.daemon(), bed.client()
    counted = ("macs", "params", "peak_activation_bytes", "peak_simple_bytes", "model_bytes", "traffic_bytes", "energy_uj")
    nine = [TOP1, latency(bed.profile(), direction="minimise"), *({"metric": metric, "direction": "minimise"} for metric in counted)]
    quick = {"objectives": nine, "measure_front": 0, "calibration_nets": 0, "evaluations": 96, "strategy": "nsga3"}
    refuse("/patience", (422,), **quick, patience=50)
    refuse("/objectives", (422,), objectives=nine + nine)
    search = client.post("/searches", bed.search_body("nine", **quick), 202)
    stack.wait_job(search["job"]["id"], 60)
    doc, front = client.get("/searches/nine"), client.get("/searches/nine/front")
    equal((doc["result"]["evaluations"], doc["result"]["hypervolume"], front["hypervolume"]), (96, None, None), "its end, without a hypervolume")
    check(len(front["items"]) > 1 and all(len(item["metrics"]) >= 9 for item in front["items"]), "the front of nine objectives", front["items"][:1])
    equal(client.get("/searches/nine/front?where=macs>=0")["hypervolume"], None, "of a front worked out anew")
    problem(client.request("POST", "/searches/nine/extend", {"evaluations": 160, "patience": 50}), 422, pointer="/patience")
    stack.cli("search", "extend", "nine", "-n", "160", "--wait", timeout=60)
    equal(client.get("/searches/nine")["result"]["evaluations"], 160, "extended")
    client.expect(204, "DELETE", "/searches/nine")


def remove(*names):
    for name in names:
        equal(bed.client().request("DELETE", f"/searches/{name}").status, 204, f"removal of {name}")


def whole(search):
    """All that a search has found, without what counts its changes."""
    client = bed.client()
    columns = client.get(f"/searches/{search}/candidates?page_size=20000")["columns"]
    metrics = {key: list(zip(row["value"], row["low"], row["high"], row["source"])) for key, row in columns["metrics"].items()}
    plain = [columns[key] for key in ("strategy", "arch", "generation", "feasible", "on_front")]
    rows = sorted((*row, *({key: values[at] for key, values in metrics.items()}.items())) for at, row in enumerate(zip(*plain)))
    front = client.get(f"/searches/{search}/front")
    result = client.get(f"/searches/{search}")["result"]
    return rows, front["hypervolume"], sorted(point["arch_id"] for point in front["items"]), client.get(f"/searches/{search}/hypervolume"), result


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
        versions = [row["version"] for row in client.get(f"/searches/short-{strategy}")["calibrations"]]
        equal(len(set(versions)), len(versions), "each calibration has a version of its own")
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
    filled = client.expect(200, "POST", "/searches?dry_run=true", body).doc
    equal((filled["supernet"], filled["rounds"], filled["method"]), (bed.supernet(), 1, "full"), "ids in place of names, defaults filled in")
    problem(client.request("GET", "/searches/tried"), 404)
    problem(client.request("POST", "/searches?dry_run=true", {**body, "population": 1}), 422, pointer="/population")
    problem(client.request("POST", "/searches?dry_run=true", body, {"Idempotency-Key": "try"}), 400)
    problem(client.request("POST", "/searches?dry_run=perhaps", body), 400)
    bed.daemon().wait_job(client.post("/searches", body, 202)["job"]["id"])
    equal(client.get("/searches/tried/request"), filled, "what it was begun with")
    problem(client.request("POST", "/searches?dry_run=true", filled), 409, pointer="/name")
    equal(client.expect(200, "POST", "/searches?dry_run=true", {**filled, "name": "once-more"}).doc, {**filled, "name": "once-more"}, "the request again")
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


def check_asked(search, key):
    """Candidates by conditions, fronts of other metrics and their hypervolume, against what the list of all says."""
    client, stack = bed.client(), bed.daemon()
    columns = client.get(f"/searches/{search}/candidates?page_size=20000")["columns"]
    value = {name: metric["value"] for name, metric in columns["metrics"].items()}
    rows = range(len(columns["id"]))
    bound = sorted(value["macs"])[len(rows) // 2]
    where = f"macs<={bound:.17g},feasible=true,strategy=nsga2"
    wanted = {columns["id"][i] for i in rows if value["macs"][i] <= bound and columns["feasible"][i] and columns["strategy"][i] == "nsga2"}
    got, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/searches/{search}/candidates?where={quote(where)}&sort=-top1&page_size=9" + (f"&after={cursor}" if cursor else ""))
        got += zip(page["columns"]["id"], page["columns"]["metrics"]["top1"]["value"])
        first, cursor = cursor or page["next"], page["next"]
    equal({name for name, _ in got}, wanted, "candidates by conditions")
    equal([top1 for _, top1 in got], sorted((top1 for _, top1 in got), reverse=True), "in the order of top-1")
    for other in (f"?where=macs%3C%3D1&after={first}", f"?sort=top1&after={first}", f"?after={first}", f"?where={quote(where)}&sort=-top1&after=7"):
        problem(client.request("GET", f"/searches/{search}/candidates{other}"), 400)
    front = client.get(f"/searches/{search}/front?objectives=top1,macs&where={quote(f'latency_us@{bed.profile()}>=0')}")
    among = [i for i in rows if columns["feasible"][i] and value[key][i] is not None]
    best = {columns["arch_id"][i] for i in among if not any(value["top1"][j] >= value["top1"][i] and value["macs"][j] <= value["macs"][i] and (value["top1"][j], value["macs"][j]) != (value["top1"][i], value["macs"][i]) for j in among)}
    equal({item["arch_id"] for item in front["items"]}, best, "the front of top-1 and MACs")
    equal(front["objectives"], [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}], "its objectives")
    curve = client.get(f"/searches/{search}/hypervolume?objectives=top1,macs")
    check(abs(max(row["hypervolume"][-1] for row in curve["series"]) - curve["hypervolume"]) <= curve["hypervolume"] and curve["hypervolume"] > 0, "hypervolume of other metrics", curve)
    for row in curve["series"]:
        equal(row["hypervolume"], sorted(row["hypervolume"]), "it never falls")
    for path, part in (("front?objectives=top1,macz", 'did you mean "macs"'), ("front?where=feasable%3Dtrue", 'did you mean "feasible"'), ("hypervolume?objectives=top1,latency_us@nothing", "nothing"), ("candidates?sort=beauty", "beauty")):
        check(part in problem(client.request("GET", f"/searches/{search}/{path}"), 400)["detail"], part, path)
    many = client.get(f"/searches/{search}/hypervolume?objectives=top1,macs,params,peak_activation_bytes,peak_simple_bytes,model_bytes")
    check(many["hypervolume"] > 0, "hypervolume of six metrics", many)
    equal(max(row["hypervolume"][-1] for row in many["series"]) <= many["hypervolume"], True, "no strategy's is more than that of all")
    archs = stack.cli("search", "front", search, "--objective", "top1", "--objective", "macs", "--limit", f"{key}>=0", "--archs").split("\n")
    equal(len([line for line in archs if line]), len(best), "the front by client")
    done = stack.cli_run("search", "candidates", search, "--where", f"macs<={bound:.17g}", "--where", "on_front=true", "--sort=-top1", "-n", "3")
    check("ARCH" in done.stdout and "top1" in done.stdout, "candidates by client", done.stdout)
    check(" of " in done.stderr and " of " not in done.stdout, "how many there are is a remark", done.stderr)


@test("a search runs to its front: predicted, evaluated and measured values, events and cursors", 120)
def sound():
    client, stack = bed.client(), bed.daemon()
    bound = client.post("/spaces/tiny/sample", {"n": 1000, "profile": bed.profile()})["quantiles"]["latency_us"]["median"]
    made = client.post("/searches", bed.search_body("first", constraints=[latency(bed.profile(), max=bound)]), 202)
    stack.wait_job(made["job"]["id"], 90)
    search = client.get("/searches/first")
    equal((search["state"], search["evaluations_done"]), ("done", 200), "state and evaluations")
    check(0.3 < search["result"]["feasible_share"] < 0.7, "half of all random subnets keep the median", search["result"])
    front = client.get(f"/searches/{search['id']}/front")
    equal(front["stage"], "final", "stage")
    check(front["items"], "the front has points", front)
    key = f"latency_us:{bed.profile()}"
    for point in front["items"]:
        equal(point["metrics"]["top1"]["source"], "evaluated", "source of top-1")
        check(point["metrics"][key]["value"] <= bound, "the constraint holds", point)
        check(point["metrics"][key]["source"] in ("measured", "predicted"), "source of the latency", point)
    check(any(point["metrics"][key]["source"] == "measured" for point in front["items"]), "some point is measured", front)
    check_test_images(search, front["items"])
    check_asked(search["id"], key)
    seen, after = {}, ""
    while True:
        page = client.get(f"/searches/{search['id']}/candidates?page_size=50{after}")
        columns = page["columns"]
        for at, name in enumerate(columns["id"]):
            seen[name] = columns["arch_id"][at]
        if page["next"] is None or not columns["id"]:
            break
        after = f"&after={page['next']}"
    equal(len(seen), page["total"], "candidates by cursor")
    check({point["arch_id"] for point in front["items"]} <= set(seen.values()), "the front is made of candidates")
    measured = client.items(f"/measurements?profile={bed.profile()}&kind=network&state=accepted")
    check({row["arch"] for row in front["items"]} & {row["arch"] for row in measured if row["method"] == "full/2"}, "the front is measured by the method of searches", {row["method"] for row in measured})
    for point in front["items"]:
        if point["metrics"][key]["source"] == "measured":
            takes = [row["take"] for row in measured if row["arch"] == point["arch"] and row["method"] == "full/2"]
            equal(sorted(takes), [1, 2], "what is called measured was measured twice")
    curves = client.get(f"/searches/{search['id']}/hypervolume")["series"]
    check({row["strategy"] for row in curves} >= {"nsga2"}, "hypervolume", curves)
    for row in curves:
        values = [value for value in row["hypervolume"] if value is not None]
        equal(values, sorted(values), f"the hypervolume of {row['strategy']} never falls")
    problem(client.request("POST", f"/searches/{search['id']}/resume", {}), 409, "conflict")
    problem(client.request("POST", "/searches", bed.search_body("first")), 409)


def named_genes(text):
    """An arch's text as {gene: value}."""
    head, *stages = text.split(" | ")
    genes = {"resolution": head[1:]}
    for number, stage in enumerate(stages, 1):
        depth, channels, *blocks = stage.split(" ")
        genes |= {f"stage {number} depth": depth[1:], f"stage {number} channels": channels[1:]}
        genes |= {f"block {number}.{at}": block for at, block in enumerate(blocks, 1)}
    return genes


def changes_between(parent, child):
    before, after = named_genes(parent), named_genes(child)
    return {gene: (before.get(gene), after.get(gene)) for gene in before | after if before.get(gene) != after.get(gene)}


PARENTS = {"seeded": 0, "sampled": 0, "mutated": 1, "crossed": 2, "neighbour": 1}


def check_lineage(doc, arch, rows):
    """All that is said of where arch came from; rows: (strategy, arch) → generation. Returns how many networks there are."""
    items = {item["arch_id"]: item for item in doc["items"]}
    equal((doc["items"][0]["arch"], doc["more"], len(items)), (arch, False, len(doc["items"])), "the network first, all of them, each once")
    reached = {doc["items"][0]["arch_id"]}
    for item in doc["items"]:
        equal(rows[item["strategy"], item["arch"]], item["generation"], "as the candidates have it")
        equal(len(item["parents"]), PARENTS[item["origin"]], f"parents of what is {item['origin']}")
        for parent in item["parents"]:
            of = items[parent["arch_id"]]
            reached.add(of["arch_id"])
            check(of["generation"] < item["generation"], "parents are older", of, item)
            told = {change["gene"]: (change["from"], change["to"]) for change in parent["changes"]}
            equal((told, parent["distance"], parent["relation"]), (changes_between(of["arch"], item["arch"]), len(told), "parent"), "what changed")
            check(item["origin"] != "neighbour" or len([gene for gene, values in told.items() if None not in values]) == 1, "a neighbour differs in one choice", told)
    equal(reached, set(items), "each is the parent of one that is there")
    return len(items)


@test("the lineage of a network is what its strategy made it of, back to the beginning, in the API and by client", 150)
def lineage():
    client, stack = bed.client(), bed.daemon()
    quick = {"accuracy": "evaluated", "evaluations": 64, "population": 8, "measure_front": 0, "calibration_nets": 0}
    most, made_by = {}, {}
    for name, strategy, baseline in (("kin", "nsga2", "random"), ("near kin", "local_search", None)):
        made = client.post("/searches", bed.search_body(name, strategy=strategy, baseline=baseline, **quick), 202)
        stack.wait_job(made["job"]["id"], 100)
        columns = client.get(f"/searches/{quote(name)}/candidates?page_size=20000")["columns"]
        rows = dict(zip(zip(columns["strategy"], columns["arch"]), columns["generation"]))
        for by, arch in rows:
            doc = client.get(f"/searches/{quote(name)}/lineage?arch={quote(arch)}&strategy={by}&steps=256&networks=256")
            most[by] = max(most.get(by, (0, "")), (check_lineage(doc, arch, rows), arch))
            made_by.setdefault(by, set()).add(doc["items"][0]["origin"])
    equal((made_by["random"], most["random"][0]), ({"sampled"}, 1), "what is drawn comes from nowhere")
    check("crossed" in made_by["nsga2"] and "neighbour" in made_by["local_search"] and most["nsga2"][0] > 8 and most["local_search"][0] > 4, "networks of the largest families", most)
    _, arch = most["nsga2"]
    whole = client.get(f"/searches/kin/lineage?arch={quote(arch)}&strategy=nsga2&steps=256&networks=256")
    short = client.get(f"/searches/kin/lineage?arch={whole['items'][0]['arch_id']}&strategy=nsga2&steps=1")
    equal(([item["arch_id"] for item in short["items"]][1:], short["more"]), ([parent["arch_id"] for parent in sorted(whole["items"][0]["parents"], key=lambda parent: parent["distance"])], True), "by id, one step")
    equal(len(client.get(f"/searches/kin/lineage?arch={quote(arch)}&networks=3")["items"]), 3, "no more than asked for")
    columns = client.get("/searches/kin/candidates?page_size=20000&origins=true&strategy=nsga2")["columns"]
    place = columns["arch"].index(arch)
    equal((columns["origin"][place], {columns["first_parent"][place], columns["second_parent"][place]} - {None}), (whole["items"][0]["origin"], {parent["arch_id"] for parent in whole["items"][0]["parents"]}), "as columns")
    check("origin" not in client.get("/searches/kin/candidates?page_size=1")["columns"], "columns that were not asked for", columns.keys())
    problem(client.request("GET", "/searches/kin/candidates?origins=yes"), 400)
    header, *lines = stack.cli("search", "export", "kin").splitlines()
    row = dict(zip(header.split(","), next(line for line in lines if line.startswith(columns["arch_id"][place]) and ",nsga2," in line).split(",")))
    equal((row["origin"], row["first_parent"]), (columns["origin"][place], columns["first_parent"][place]), "as a file")
    told = json.loads(stack.cli("search", "lineage", "kin", arch, "--strategy", "nsga2", "--steps", "256", "--networks", "256", "--json"))
    family = lambda doc: [(item["arch_id"], item["origin"], item["parents"]) for item in doc["items"]]
    equal((family(told), told["more"]), (family(whole), False), "by client")
    done = stack.cli_run("search", "lineage", "kin", arch, "--strategy", "nsga2", "--steps", "1")
    check(arch in done.stdout and "ORIGIN" in done.stdout and "top1" in done.stdout and "--networks" in done.stderr, "for people", done)
    for query, status in (("", 422), ("?arch=r28", 404), (f"?arch={quote(arch)}&steps=0", 400), (f"?arch={quote(arch)}&steps=257", 400), (f"?arch={quote(arch)}&networks=257", 400), (f"?arch={quote(arch)}&strategy=none", 404)):
        problem(client.request("GET", f"/searches/kin/lineage{query}"), status)
    problem(client.request("GET", f"/searches/none/lineage?arch={quote(arch)}"), 404)
    for name in ("kin", "near%20kin"):
        client.expect(204, "DELETE", f"/searches/{name}")


@test("a part of a space is searched whole, and its subnets are those of the supernet", 120)
def subspaces():
    stack, client = bed.daemon(), bed.client()
    part = {"kernel_sizes": [3], "stages": {"stage1": {"depths": [1]}, "stage2": {"depths": [1, 2], "kernel_sizes": [3, 5], "expand_ratios": [4]}}}
    quick = {"measure_front": 0, "calibration_nets": 0, "accuracy": "evaluated", "strategy": "exhaustive", "baseline": None, "evaluations": 100, "population": 8,
             "objectives": [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}]}
    firsts = data.TINY["stages"][0]["expand_ratios"]
    wanted = {f"r{r} | d1 c16 k3e{e} | d{len(tail.split())} c24 {tail}" for r in data.TINY["resolutions"] for e in firsts
              for tail in ["k3e4", "k5e4"] + [f"k{a}e4 k{b}e4" for a in (3, 5) for b in (3, 5)]}
    body = bed.search_body("part", **quick, subspace=part)
    for pointer, changes in (("/subspace/kernel_sizes/0", {"subspace": {"kernel_sizes": [4]}}), ("/subspace/stages/head", {"subspace": {"stages": {"head": {}}}}),
                             ("/subspace/more", {"subspace": {"more": []}}), ("/subspace", {"subspace": [1]}), ("/evaluations", {"evaluations": len(wanted) - 1}),
                             ("/evaluations", {"subspace": {}})):
        problem(client.request("POST", "/searches", {**body, **changes}), 422, pointer=pointer)
    made = client.post("/searches", body, 202)
    stack.wait_job(made["job"]["id"], 90)
    doc = client.get("/searches/part")
    equal((doc["subspace"], doc["result"]["evaluations"], doc["notes"]), (part, len(wanted), []), "what was searched")
    equal(doc["result"]["ending"], f"all {len(wanted)} networks of the space were tried", "why it ended")
    columns = client.get("/searches/part/candidates?page_size=1000")["columns"]
    equal(set(columns["arch"]), wanted, "every subnet of the part, and no other")
    for arch, arch_id, top1 in list(zip(columns["arch"], columns["arch_id"], columns["metrics"]["top1"]["value"]))[:4]:
        equal(client.get(f"/archs?space={doc['space']}&arch={quote(arch)}")["arch_id"], arch_id, f"the id of {arch} in the whole space")
        known = [e for e in client.items("/evaluations") if e["arch_id"] == arch_id and e["supernet"] == bed.supernet()]
        check(known and all(abs(e["top1"] - top1) < 1e-12 for e in known if e["split"] == "validation"), "its evaluation", arch, known)
    job = client.post("/evaluations", {"supernet": bed.supernet(), "archs": [columns["arch"][0]]}, 202)["job"]["id"]
    stack.wait_job(job, 60)
    again = [e["top1"] for e in client.items("/evaluations") if e["arch"] == columns["arch"][0] and e["split"] == "validation"]
    check(max(again) - min(again) < 1e-12, "a job of the whole space scores it the same", again)
    predicted = {**quick, "accuracy": "predicted", "strategy": "nsga2", "evaluations": 40, "initial_evaluations": 16}
    made = client.post("/searches", bed.search_body("narrow", **predicted, subspace={"stages": {"stage1": {"depths": [1]}}}, warm_start={"searches": ["part"]}), 202)
    stack.wait_job(made["job"]["id"], 90)
    archs = client.get("/searches/narrow/candidates?page_size=1000")["columns"]["arch"]
    check(archs and all(" | d1 c16 " in arch for arch in archs), "within its part", archs[:3])
    problem(client.request("POST", "/searches", {**body, "name": "x", "warm_start": {"archs": [data.LARGE_ARCH]}}), 422, pointer="/warm_start/archs/0")
    stack.cli("search", "create", "by-client", "--supernet", bed.supernet(), "--objectives", "top1,macs", "--accuracy", "evaluated", "--strategy", "exhaustive", "-n", "100",
              "--measure-front", "0", "--calibration-nets", "0", "--subspace", "kernel_sizes=3", "--subspace", "stage1.depths=1", "--subspace", "stage2.depths=1,2",
              "--subspace", "stage2.kernel_sizes=3,5", "--subspace", "stage2.expand_ratios=4", "--wait")
    equal(client.get("/searches/by-client")["subspace"], part, "by the client")
    said = stack.cli_run("search", "create", "x", "--supernet", bed.supernet(), "--subspace", "kernel_sizes=3,x").stderr
    check("/subspace/kernel_sizes/1" in said, "a value that is no number", said)
    remove("narrow", "part", "by-client")


@test("a board that refuses every network is asked for others, is not called gone, and its reason is told", 120)
def refusals():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    board = Board(stack.port, "picky").enrol(stack.enrolment_token()).serve()
    job = client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)["job"]
    stack.wait_job(job["id"], 60)
    sound = board.result_of
    board.result_of = lambda lease, item: {key: value for key, value in sound(lease, item, status="oom", message="its owner lends 1 MiB").items() if not key.endswith("_us") and key != "n"}
    quick = {"accuracy": "evaluated", "evaluations": 24, "population": 8, "objectives": [TOP1, latency(board.profile_id, direction="minimise")]}
    stack.wait_job(client.post("/searches", bed.search_body("picky", **quick), 202)["job"]["id"], 90)
    doc, front = client.get("/searches/picky"), client.get("/searches/picky/front")
    refused = doc["result"]["refused_profiles"]
    equal([row["profile_id"] for row in refused], [board.profile_id], "who refused")
    check(refused[0]["networks"] > 4 and "its owner lends 1 MiB" in refused[0]["reason"], "beside the networks of the calibration those of the front, and why", refused)
    equal((doc["result"]["no_board"], doc["result"]["gone_profiles"], front["no_board"], front["refused"]), (False, [], False, True), "the board is there")
    said = f"the board refused all {refused[0]['networks']} networks: {refused[0]['reason']}"
    check(any(said in note and '"picky"' in note for note in doc["notes"]), "its notes", doc["notes"])
    check(said in stack.cli("search", "show", "picky"), "what the client shows", "")
    check("refused every network" in stack.cli_run("search", "front", "picky").stderr, "the words of the client", "")
    equal({point["metrics"][f"latency_us:{board.profile_id}"]["source"] for point in front["items"]}, {"predicted"}, "what it would have measured")
    remove("picky")
    board.rest()
    equal(client.request("DELETE", f"/devices/{client.get(f'/profiles/{board.profile_id}')['device']}").status // 100, 2, "the removal")


@test("validation losses are searched by where accuracy is evaluated, and refused where it is predicted", 60)
def losses():
    stack, client = bed.daemon(), bed.client()
    loss = {"metric": "loss", "direction": "minimise"}
    evaluated = {"accuracy": "evaluated", "strategy": "gradient"}
    said = refuse("/objectives/1/metric", (422,), objectives=[MACS, loss])["detail"]
    check('accuracy "evaluated"' in said, "what it needs", said)
    refuse("/constraints/0/metric", (422,), constraints=[{"metric": "loss", "max": 2}])
    refuse("/objectives/0/direction", (422,), objectives=[{**loss, "direction": "maximise"}, MACS], **evaluated)
    refuse("/objectives/0/profile", (422,), objectives=[{**loss, "profile": bed.profile()}, MACS], **evaluated)
    refuse("/constraints/0/max", (422,), constraints=[{"metric": "loss", "max": -1}], **evaluated)
    check('did you mean "loss"' in refuse("/objectives/0/metric", (422,), objectives=[{**loss, "metric": "los"}, MACS], **evaluated)["detail"], "a word that is near", "")
    stack.cli("search", "create", "by-loss", "--supernet", bed.supernet(), "--strategy", "gradient", "--accuracy", "evaluated", "--objectives", "loss,macs", "--limit", "loss=50",
              "-n", "24", "--population", "8", "--measure-front", "0", "--calibration-nets", "0", "--wait")
    doc, columns = client.get("/searches/by-loss"), client.get("/searches/by-loss/candidates?page_size=1000")["columns"]
    equal(doc["objectives"], [loss, MACS], "objectives")
    equal(doc["constraints"], [{"metric": "loss", "max": 50}], "a limit")
    told = {e["arch_id"]: e["loss"] for e in client.items("/evaluations") if e["supernet"] == bed.supernet() and e["split"] == "validation"}
    equal(columns["metrics"]["loss"]["value"], [told[arch] for arch in columns["arch_id"]], "losses of the evaluations")
    equal((set(columns["metrics"]["loss"]["source"]), set(columns["strategy"])), ({"evaluated"}, {"gradient", "random"}), "sources and strategies")
    mine = [(l, m) for l, m, s in zip(columns["metrics"]["loss"]["value"], columns["metrics"]["macs"]["value"], columns["strategy"]) if s == "gradient"]
    best = sorted({p for p in mine if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in mine)})
    front = client.get("/searches/by-loss/front")
    equal(sorted((i["metrics"]["loss"]["value"], i["metrics"]["macs"]["value"]) for i in front["items"]), best, "the front")
    equal(list(front["reference_point"]), ["loss", "macs"], "what the hypervolume is measured from")
    anew = client.get("/searches/by-loss/front?objectives=loss,top1&where=strategy=gradient")
    equal(anew["objectives"], [loss, TOP1], "directions of a front worked out anew")
    table = stack.cli("search", "front", "by-loss")
    check("LOSS" in table and f"{front['items'][0]['metrics']['loss']['value']:.4g}" in table, "the client's table", table)
    page = stack.root / "by-loss.html"
    stack.cli("report", "by-loss", "-o", str(page))
    check("minimise validation loss" in page.read_text(), "the report", "")
    header = stack.cli("search", "export", "by-loss").splitlines()[0]
    check("loss" in header, "the export", header)
    problem(client.request("POST", "/searches/by-loss/clone", {"name": "x", "accuracy": "predicted"}), 422, pointer="/objectives/0/metric")
    remove("by-loss")


@test("a predictor in the loop is the default, and a model of a model is called so", 60)
def loops():
    stack, client = bed.daemon(), bed.client()
    body = {key: value for key, value in bed.search_body("default", measure_front=0, calibration_nets=0).items() if key != "strategy"}
    for accuracy, strategy, given, noted in (("predicted", "nsga2", None, 0), ("evaluated", "linas", None, 0), ("predicted", "linas", "linas", 1), ("evaluated", "linas", "linas", 0)):
        made = client.post("/searches", {**body, "accuracy": accuracy, **({"strategy": given} if given else {})}, 202)["search"]
        equal((made["strategy"], len(made["notes"])), (strategy, noted), f"{given} with accuracy {accuracy}")
        client.post("/searches/default/cancel", {}, 202)
        wait_for("its end", lambda: client.get("/searches/default")["state"] in ("canceled", "done"), 30)
        remove("default")
    run = stack.cli_run("search", "create", "default", "--supernet", bed.supernet(), "--strategy", "linas", "-n", "20", "--population", "10", "--measure-front", "0")
    check("models of a model" in run.stderr, "the client says so", run.stderr)
    check("models of a model" in stack.cli("search", "show", "default"), "and shows it", "")
    client.post("/searches/default/cancel", {}, 202)
    wait_for("its end", lambda: client.get("/searches/default")["state"] in ("canceled", "done"), 30)
    remove("default")
