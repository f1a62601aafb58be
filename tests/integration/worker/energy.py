"""Energy of a run: by played sensors of the board, by a command's own figure, by a simulated board's power."""
import json
import re
from urllib.parse import urlencode

import bed
from board import Board, graph_us
from backends import FLAT, RUNTIME, exec_config, worker
from client import problem
from profiles import ARCHS, offered
from suite import check, equal, once, test


def play(name, files):
    """A root in place of /sys."""
    root = bed.daemon().root / f"sysfs-{name}"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return str(root)


CHIP = {"class/hwmon/hwmon0/name": "ina219\n", "class/hwmon/hwmon0/power1_input": "3000000\n", "class/thermal/thermal_zone0/temp": "41500\n", "class/thermal/thermal_zone1/temp": "52000\n",
        "devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n", "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n"}


@test("a board whose sensor says three watts reports three microjoules for each microsecond; its temperature and governor come from there too")
def sensor():
    process = bed.daemon().start_worker("metered", "--sysfs-root", play("metered", CHIP))
    (profile,) = offered("metered", 1)
    equal(profile["governor"], "performance", "the governor")
    doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[-1:])[0], "accepted", 60)
    mean_w = doc["energy_uj"] / doc["mean_us"]
    check(2.9 < mean_w < 4.5, "about three watts", doc["energy_uj"], doc["mean_us"])
    equal(doc["energy_source"], "ina219", "where it comes from")
    equal((doc["environment"]["before"]["temperature_c"], doc["environment"]["before"]["frequency_khz"]), (52, 1500000), "the hottest zone, and the frequency")
    row = next(r for r in bed.client().items(f"/measurements?profile={profile['id']}&kind=network"))
    equal(row["energy_uj"], doc["energy_uj"], "the list has it too")
    process.stop()
    process = bed.daemon().start_worker("metered", "--sysfs-root", play("metered", CHIP), "--energy-sensor", "none")
    doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[-2:-1])[0], "accepted", 60)
    equal((doc["energy_uj"], doc["energy_source"]), (None, None), "none, when the owner says so")
    process.stop()


@test("a command's own energy is what is reported, unless it runs on the board's processor; a simulated board has its watts")
def told():
    root = play("told", CHIP)
    for name, members, energy in (("joule", {}, (820.5, "exec")), ("good", {}, (None, None)), ("good", {"board_energy": True}, "ina219")):
        board = f"told-{name}-{len(members)}"
        process, profile = worker(board, exec_config(board, command=[str(RUNTIME), name], **members), "exec", "--sysfs-root", root)
        doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[:1])[0], "accepted", 60)
        if energy == "ina219":
            equal(doc["energy_source"], energy, "the board's sensor")
            check(doc["energy_uj"] > 0, "its figure", doc["energy_uj"])
        else:
            told = doc["energy_uj"] and round(doc["energy_uj"], 6)  # it was summed over the runs
            equal((told, doc["energy_source"]), energy, f"energy of {board}")
        process.stop()
    _, profile = worker("watts", FLAT + ",noise=0.01,watts=2.5", "sim", "--sysfs-root", root)
    doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[:1])[0], "accepted")
    check(abs(doc["energy_uj"] / doc["mean_us"] - 2.5) < 0.01, "2.5 W", doc["energy_uj"], doc["mean_us"])
    equal(doc["energy_source"], "sim", "its source")


MAC_PJ, BYTE_PJ, RUN_UJ = 30.0, 90.0, 20.0
CUT = 6  # networks before it are measured, those behind it are predicted


def energy_of(cost):
    return (MAC_PJ * cost["macs"] + BYTE_PJ * cost["traffic_bytes"]) * 1e-6 + RUN_UJ


def arch(text, profile=None):
    return bed.client().get("/archs?" + urlencode({"space": "tiny", "arch": text, **({"profile": profile["id"]} if profile else {})}))


@once
def supernet():
    """Of the space that the boards measure; barely trained."""
    bed.data_set()
    return bed.daemon().train("barely", {"epochs": 1, "batch": 50, "seed": 7, "recalibration_images": 100, "validation_images": 100})["supernet"]["id"]


@once
def priced():
    """A board whose command tells energies at known prices: its profile, and the networks of the space as /archs has them."""
    networks = [arch(text) for text in ARCHS]
    prices = bed.daemon().root / f"prices.json"
    prices.write_text(json.dumps({doc["graph_id"]: energy_of(doc["cost"]) for doc in networks}))
    bed.shared.add("priced")
    _, profile = worker("priced", exec_config("priced", command=[str(RUNTIME), "priced", str(prices)]), "exec")
    return profile, networks


@test("prices of energy are those by which a command tells its energies; they predict networks that it has not run", 120)
def prices():
    client = bed.client()
    profile, networks = priced()
    refused = client.request("POST", "/energy_prices", {"profile": profile["id"]})
    problem(refused, 409, pointer="/profile")
    check("latency measure" in refused.doc["detail"], "how they would be known", refused.doc)
    equal("energy" in arch(ARCHS[0], profile), False, "the literature's prices are not shown as the profile's")
    for name in bed.ask(profile["id"], archs=ARCHS[:CUT]):
        bed.wait_state(name, "accepted", 60)
    made = client.expect(200, "POST", "/energy_prices", {"profile": "priced"}).doc
    equal((made["n"], made["version"], made["profile"]), (CUT, 1, profile["id"]), "what they were fitted on")
    check(made["after"]["mape"] < 0.01 < made["before"]["mape"], "error out of sample", made["before"], made["after"])
    for doc in networks[CUT:]:
        told = energy_of(doc["cost"])
        shown = arch(doc["arch"], profile)
        check(abs(shown["energy"]["uj"] / told - 1) < 0.02, "a network that was not measured", shown["energy"], told)
        equal((shown["cost"]["energy_uj"], shown["energy"]["prices"]), (shown["energy"]["uj"], made["id"]), "one figure")
        check(abs(sum(u["energy_uj"] for u in shown["units"]) + shown["energy"]["run_uj"] - shown["energy"]["uj"]) < 1e-6, "its units add up")
        check(shown["energy"]["low_uj"] <= shown["energy"]["uj"] <= shown["energy"]["high_uj"], "its interval", shown["energy"])
    equal(client.expect(200, "POST", "/energy_prices", {"profile": profile["id"]}).doc["id"], made["id"], "nothing has changed, nothing is added")
    equal([row["id"] for row in client.items(f"/energy_prices?profile={profile['id']}")], [made["id"]], "the list")
    equal(client.get(f"/energy_prices/{made['id']}"), made, "one of them")
    shown = bed.daemon().cli("energy", "fit", "priced")
    check("pJ" in shown and made["id"] in shown and made["id"] in bed.daemon().cli("energy", "ls"), "the command line", shown)


@test("prices of energy that cannot be are refused where they are wrong")
def refused():
    client = bed.client()
    problem(client.request("POST", "/energy_prices", {"profile": "nobody"}), 404, pointer="/profile")
    problem(client.request("POST", "/energy_prices", {}), 422, pointer="/profile")
    problem(client.request("POST", "/energy_prices", {"profile": "x", "n": 3}), 422, pointer="/n")
    problem(client.request("GET", "/energy_prices/ep_0"), 404)
    problem(client.request("GET", "/energy_prices?after=cal_0"), 400)


@test("a search finds networks within a limit of a board's energy, at the prices that it began with", 120)
def searched():
    client, net = bed.client(), supernet()
    profile, networks = priced()
    for name in bed.ask(profile["id"], archs=ARCHS[:CUT]):
        bed.wait_state(name, "accepted", 60)
    client.expect(200, "POST", "/energy_prices", {"profile": "priced"})
    uj = sorted(energy_of(doc["cost"]) for doc in networks)
    energy = {"metric": "energy_uj", "profile": "priced"}
    body = {"name": "frugal", "supernet": net, "objectives": [{"metric": "top1", "direction": "maximise"}, {**energy, "direction": "minimise"}],
            "constraints": [{**energy, "max": uj[-1]}], "evaluations": 24, "population": 8, "accuracy": "evaluated", "strategy": "nsga2", "baseline": None, "measure_front": 0, "calibration_nets": 0}
    other = client.post("/searches", {**body, "name": "plain", "objectives": [body["objectives"][0], {"metric": "energy_uj", "direction": "minimise"}], "constraints": []}, 202)
    bed.daemon().wait_job(other["job"]["id"], 60)
    _, none = worker("priceless", FLAT, "sim")
    for pointer, change in (("/objectives/1/profile", {"objectives": [body["objectives"][0], {**energy, "profile": none["id"], "direction": "minimise"}]}),
                            ("/constraints/0/profile", {"objectives": other["search"]["objectives"], "constraints": [{**energy, "profile": none["id"], "max": 1}]})):
        answer = client.request("POST", "/searches", {**body, **change})
        problem(answer, 409, pointer=pointer)
        check("energy fit" in answer.doc["detail"], "how to get prices", answer.doc)
    problem(client.request("POST", "/searches", {**body, "constraints": [{**energy, "max": 1}]}), 422, "infeasible", "/constraints/0/max")
    made = client.post("/searches", body, 202)
    bed.daemon().wait_job(made["job"]["id"], 60)
    key = f"energy_uj:{profile['id']}"
    columns = client.get(f"/searches/{made['search']['id']}/candidates")["columns"]
    check(len(columns["arch"]) >= 10, "candidates", len(columns["arch"]))
    metric = columns["metrics"][key]
    for text, feasible, value, low, high, source in zip(columns["arch"], columns["feasible"], *(metric[part] for part in ("value", "low", "high", "source"))):
        told = energy_of(arch(text)["cost"])
        check(abs(value / told - 1) < 0.02 and low <= value <= high, "at the board's prices", value, told)
        equal((feasible, source), (value <= uj[-1], "predicted"), "the limit, and where it comes from")
    front = client.get(f"/searches/{made['search']['id']}/front")
    check(front["items"] and all(row["metrics"][key]["value"] <= uj[-1] for row in front["items"]), "the front keeps the limit", front)
    spec = json.loads((bed.daemon().data_dir / "jobs" / made["job"]["id"] / "search_spec.json").read_text())
    equal([(row["profile_id"], row["prices_id"]) for row in spec["energy_prices"]], [(profile["id"], client.items(f"/energy_prices?profile={profile['id']}")[0]["id"])], "frozen in the spec")
    plain = client.get(f"/searches/{other['search']['id']}/candidates")["columns"]
    check(abs(plain["metrics"]["energy_uj"]["value"][0] / arch(plain["arch"][0])["cost"]["energy_uj"] - 1) < 1e-9, "without a profile: the literature's", plain["metrics"])


@test("a search on energy alone measures it on the board: what is called measured is the mean of two takes, and prices follow", 120)
def measured_energy():
    client, net = bed.client(), supernet()
    board = bed.board("gauge")
    told = []

    def result_of(lease, item, **changes):  # each figure is its own, so that a mean of two is known again
        told.append(2 * graph_us(item["graph"]) + len(told) / 16)
        return Board.result_of(board, lease, item, energy_uj=told[-1], **changes)
    board.result_of = result_of
    board.serve()
    for name in bed.ask(board.profile_id, archs=ARCHS[:3]):
        bed.wait_state(name, "accepted")
    first = client.expect(200, "POST", "/energy_prices", {"profile": board.profile_id}).doc
    energy, key = {"metric": "energy_uj", "profile": board.profile_id}, f"energy_uj:{board.profile_id}"
    body = {"name": "gauged", "supernet": net, "objectives": [{"metric": "top1", "direction": "maximise"}, {**energy, "direction": "minimise"}], "seed": 2, "rounds": 2,
            "evaluations": 24, "population": 8, "accuracy": "evaluated", "strategy": "nsga2", "baseline": None, "measure_front": 4, "calibration_nets": 4}
    problem(client.request("POST", "/searches", {**body, "measurements": 1}), 422, pointer="/measurements")
    made = client.post("/searches", body, 202)
    bed.daemon().wait_job(made["job"]["id"], 90)
    board.rest()
    result = client.get("/searches/gauged")["result"]
    equal((result["unmeasured"], result["silent_profiles"], result["no_board"]), (0, [], False), "the result")
    front = client.get(f"/searches/{made['search']['id']}/front")["items"]
    check(front, "the front has points", front)
    for point in front:
        metric = point["metrics"][key]
        takes = [uj for take, uj in sorted(bed.rows("SELECT take, energy_uj FROM measurements WHERE profile = ? AND arch = ? AND method LIKE 'full%' AND state = 'accepted'", board.profile_id, point["arch"]))]
        equal((metric["source"], len(takes)), ("measured", 2), "measured twice")
        check(abs(metric["value"] - sum(takes) / 2) < 1e-9 * metric["value"], "the mean of both", metric, takes)
        check(metric["low"] < min(takes) and max(takes) < metric["high"], "an interval around both", metric, takes)
        equal(point["predicted"][key]["source"], "predicted", "what was predicted before")
    head, first_row = [line.split("\t") for line in bed.daemon().cli("search", "front", "gauged").splitlines()[:2]]
    cell = first_row[head.index("ENERGY UJ: PREDICTED -> MEASURED [INTERVAL]")]
    check(re.fullmatch(r"[\d.]+ -> [\d.]+ \[[\d.]+, [\d.]+\]", cell), "the client's table tells what was predicted and what is measured", head, cell)
    newest = client.items(f"/energy_prices?profile={board.profile_id}")[0]
    check(newest["version"] > first["version"] and newest["n"] > first["n"], "prices are fitted anew", newest, first)
    equal((newest["search"], first.get("search")), (made["search"]["id"], None), "who fitted them")
    columns = client.get(f"/searches/{made['search']['id']}/candidates")["columns"]
    predicted = [(text, value) for text, value, source in zip(columns["arch"], columns["metrics"][key]["value"], columns["metrics"][key]["source"]) if source == "predicted"]
    check(predicted, "some stay predicted", columns["metrics"][key]["source"])
    shown = arch(predicted[0][0], {"id": board.profile_id})["energy"]
    check(abs(shown["uj"] / predicted[0][1] - 1) < 1e-9, "by the newest prices", shown, predicted[0])
