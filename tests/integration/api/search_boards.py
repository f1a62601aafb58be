"""What searches make of boards: measurements, tables, calibrations, and a board that refuses."""
import json
import zlib
from urllib.parse import quote

import bed
import data
from board import Board
from client import Events, problem
from search_bed import TOP1, latency, refuse, remove
from suite import at_end, check, equal, test, wait_for


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


@test("the client shows a measurement with quantiles and a histogram of its samples, and lists and cancels them", 60)
def measurement_shown():
    client, stack = bed.client(), bed.daemon()
    asked, = client.post("/measurements", {"profile": bed.profile(), "space": "tiny", "archs": [data.SMALL_ARCH]}, 202)["items"]
    done = wait_for("the measurement", lambda: (doc := client.get(f"/measurements/{asked['id']}")) and doc["state"] == "accepted" and doc)
    samples, us = done["samples_us"], done["median_us"]
    equal(len(samples), 6, "samples of the played board: 0.99, 0.995, 1, 1, 1.005 and 1.01 of its median")
    told = json.loads(stack.cli("measurement", "show", done["id"], "--json"))["samples_us"]
    check(len(told) == 6 and all(abs(a - b) < 1e-9 for a, b in zip(told, samples)), "all of them", told)
    fields, quantiles, bins = [[line.split("\t") for line in part.splitlines()] for part in stack.cli("measurement", "show", done["id"]).split("\n\n")]
    check(["arch", data.SMALL_ARCH] in fields, "the fields", fields)
    unit = 1000 if us >= 1000 else 1
    told = {row[0]: float(row[1].split()[0]) * unit / us for row in quantiles[1:]}
    for name, share in (("fastest", 0.99), ("5 %", 0.99125), ("25 %", 0.99625), ("50 %", 1), ("95 %", 1.00875), ("slowest", 1.01)):
        check(abs(told[name] - share) < 1e-3, name, told)
    equal([(row[2], row[3].replace("\u2588", "#")) for row in bins[1:]], [("1", "#" * 20), ("1", "#" * 20), ("2", "#" * 40), ("1", "#" * 20), ("1", "#" * 20)], "the histogram")
    listed = stack.cli("measurement", "ls", "--kind", "network", "--graph", done["graph_id"], "-o", "name").split()
    equal(listed, [row["id"] for row in client.items(f"/measurements?graph_id={done['graph_id']}&kind=network")], "the list")
    equal(stack.cli_run("measurement", "show", "ms_none").returncode, 3, "none")
    equal(stack.cli_run("measurement", "ls", "--state", "odd").returncode, 1, "a state that nobody knows")
    equal(stack.cli_run("measurement", "cancel", done["id"]).returncode, 4, "exit code of one that has ended")


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
            columns = client.get(f"/searches/{name}/candidates?page_size=1000")["columns"]
            sources = dict(zip(columns["arch"], columns["metrics"][key]["source"]))
            equal(set(sources.values()), {"predicted", "interpolated"}, "sources of latencies")
            for arch, source in sorted(sources.items())[::9]:
                state = client.get(f"/archs?space=denser&profile={board}&arch={quote(arch)}")["latency"]["state"]
                equal(source, {"covered": "predicted"}.get(state, state), f"what the latency of {arch} rests on")
            asked = {word: set(client.get(f"/searches/{name}/candidates?page_size=1000&where={key}={word}")["columns"]["arch"]) for word in ("predicted", "interpolated")}
            equal(asked, {"predicted": set(sources), "interpolated": {arch for arch, source in sources.items() if source == "interpolated"}}, "candidates by source: interpolated ones are predicted too")
            shown = stack.cli_run("search", "front", name)
            rests = {point["arch"] for point in front if point["metrics"][key]["source"] == "interpolated"}
            check(rests, "some of the front are interpolated", front)
            equal({row.split("\t")[-1] for row in shown.stdout.splitlines() if "\t~" in row and row.split("\t~")[1].split("\t")[0].endswith("] interpolated")}, rests, "what the client marks")
            check("~: interpolated" in shown.stderr, "and how it says what that means", shown.stderr)
        else:
            check("cannot be interpolated" in problem(answer, 409, pointer="/objectives/1/profile")["detail"], "the refusal says so")
    equal(client.request("DELETE", "/searches/denser").status // 100, 2, "its removal")


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
    # Four networks' own error is chance; what more of them bring is that they can be relied on.
    check(begun["after"]["mape"] < 1.5 * alone["after"]["mape"] and begun["interval"] < alone["interval"], "errors and intervals of first calibrations", (alone["after"], alone["interval"]), (begun["after"], begun["interval"]))
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
    search, own, known = run("knows none", known_networks=0)
    equal((known, own, client.get(f"/searches/{search['id']}/request")["known_networks"]), ([], None, 0), "a search that is to begin with none, and keeps the calibration that it came with")
    equal([("the calibration that the search began with" in note, '"skewed"' in note) for note in search["notes"]], [(True, True)], "which it says")
    quick_arch = next(arch for arch in ("r28 | d1 c16 k5e1 | d1 c24 k5e2", "r28 | d1 c16 k3e1 | d1 c24 k5e2", "r28 | d1 c16 k5e1 | d1 c24 k3e2") if arch not in measured("full"))
    quick = client.post("/measurements", {"profile": profile, "space": "tiny", "archs": [quick_arch], "method": "brief"}, 202)["items"][0]["id"]
    wait_for("a brief measurement", lambda: client.get(f"/measurements/{quick}")["state"] == "accepted", 20)
    check(quick_arch not in run("thorough")[2], "a brief measurement is none for a thorough search")
    check({quick_arch, by_hand} <= set(run("brief", method="brief")[2]), "a brief search takes both")
    client.post("/spaces", data.space(name="tiny_other", resolutions=[20]), 201)
    stack.wait_job(client.post("/tables", {"profile": profile, "space": "tiny_other", "method": "brief"}, 202)["job"]["id"])
    here, there = (client.get(f"/archs?space={space}&profile={profile}&arch={quote(bed.SMALL_ARCH.replace('r28', side))}")["latency"] for space, side in (("tiny", "r28"), ("tiny_other", "r20")))
    equal((here["state"], here["calibrated"], there["state"], there["calibrated"]), ("covered", True, "covered", False), "a calibration is one of the space that it was learnt on")


@test("a search whose board takes no work says which one it waits for and why, as long as that is so, and tells no time left", 120)
def waits_in_vain():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    board = Board(stack.port, "napping").enrol(stack.enrolment_token()).serve()
    at_end(board.rest)
    stack.wait_job(client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)["job"]["id"], 60)
    board.rest()
    client.expect(200, "PATCH", f"/devices/{board.device_id}", {"state": "paused"})
    quick = {"accuracy": "evaluated", "evaluations": 24, "population": 8, "objectives": [TOP1, latency(board.profile_id, direction="minimise")]}
    job = client.post("/searches", bed.search_body("naps", **quick), 202)["job"]["id"]

    def waits(why):
        wanted = {"device": board.device_id, "device_name": "napping", "why": why} if why else None
        return wait_for(f"the job to wait for a board that is {why}", lambda: (doc := client.get(f"/jobs/{job}"))["waits_for"] == wanted and doc, 60)

    with Events(stack.port, "job") as events:
        doc = waits("paused")
        equal((doc["state"], "eta_s" in doc["progress"], "phase" in doc["progress"]), ("running", False, True), "what is told of its progress")
        equal(next(row for row in client.items("/jobs?state=running") if row["id"] == job)["waits_for"], doc["waits_for"], "in the list")
        shown = stack.cli("job", "show", job)
        check("waits for board\tnapping\nwhich is\tpaused\n" in shown and "ETA" not in shown, "what the client shows", shown)
        check("waits for napping, which is paused" in stack.cli_run("job", "wait", job, "--timeout", "1s").stderr, "what the client says while it waits", "")
        client.expect(200, "PATCH", f"/devices/{board.device_id}", {"state": "active"})
        check(board.post("goodbye", {"epoch": board.epoch}).status // 100 == 2, "the goodbye is taken")
        waits("offline")
        number, _, told = events.until(lambda topic, data: (data.get("waits_for") or {}).get("why") == "offline")[-1]
        equal((number, told["id"], told["state"], "eta_s" in told["progress"]), (None, job, "running", False), "the event, which no log keeps")
        board.connect()
        board.serve()
        stack.wait_job(job, 60)
        seen = [data for _, _, data in events.until(lambda topic, data: data.get("id") == job and data["state"] == "done", 60)]
        check(not any(data.get("waits_for") for data in seen[-2:]), "the last that is told of it", seen)
    equal(client.get(f"/jobs/{job}")["waits_for"], None, "what a job that is done waits for")
    front = client.get("/searches/naps/front")["items"]
    key = f"latency_us:{board.profile_id}"
    check("measured" in {point["metrics"][key]["source"] for point in front}, "the board has measured after all", front)
    board.rest()
    client.expect(204, "DELETE", f"/devices/{board.device_id}")
    name, = (row["name"] for row in client.items("/profiles?removed=true") if row["id"] == board.profile_id)
    check(name.startswith("napping/"), "the name of a removed board's profile", name)
    head = stack.cli("search", "export", "naps", "--names").splitlines()[0]
    check(f"latency_us@{name}" in head and board.profile_id not in head, "what a file of candidates calls it", head)
    remove("naps")


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
