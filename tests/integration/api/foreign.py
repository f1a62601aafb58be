"""What once-for-all knows of its spaces: its latency tables and its accuracy predictor, imported and searched with."""
import csv
import json
import re
import shutil
import struct
import zlib
from urllib.parse import quote

import numpy

import bed
import data
from client import problem
from suite import ROOT, check, equal, once, test

SPACE = json.loads((ROOT / "space/builtin/ofa_mbv3_w12.json").read_text())
RESOLUTIONS = (160, 176)
TOP1 = {"metric": "top1", "direction": "maximise"}


def divisible(value):
    """make_divisible of MobileNetV3."""
    near = max(8, int(value + 4) // 8 * 8)
    return near + 8 if near < 0.9 * value else near


def block_key(stage, c_in, c_out, side, first, kernel, ratio):
    stride = stage["stride"] if first else 1
    out, mid = (side - 1) // stride + 1, divisible(round(c_in * ratio))
    return (f"expanded_conv-input:{side}x{side}x{c_in}-output:{out}x{out}x{c_out}-expand:{mid}-kernel:{kernel}-stride:{stride}-"
            f"idskip:{int(stride == 1 and c_in == c_out)}-se:{int(stage['se'])}-hs:{int(stage['act'] == 'h_swish')}")


def stages(space, resolution):
    """(stage, channels that come in, channels, side that comes in, side behind the first block) of each stage."""
    side, channels = (resolution + 1) // 2, space["stem"]["channels"]
    for stage in space["stages"]:
        out = (side - 1) // stage["stride"] + 1
        yield stage, channels, stage["channels"][0], side, out
        side, channels = out, stage["channels"][0]


def end_keys(space, resolution):
    """Keys of the stem and the head."""
    last = list(stages(space, resolution))[-1]
    head, side, channels = space["head"], last[4], last[2]
    half, stem = (resolution + 1) // 2, space["stem"]["channels"]
    keys = [f"Conv-input:{resolution}x{resolution}x{space['input_channels']}-output:{half}x{half}x{stem}"]
    if head["expand_channels"]:
        keys.append(f"Conv_1-input:{side}x{side}x{channels}-output:{side}x{side}x{head['expand_channels']}")
        channels = head["expand_channels"]
    keys.append(f"AvgPool2D-input:{side}x{side}x{channels}-output:1x1x{channels}")
    if head["mix_channels"]:
        keys.append(f"Conv_2-input:1x1x{channels}-output:1x1x{head['mix_channels']}")
        channels = head["mix_channels"]
    return keys + [f"Logits-input:1x1x{channels}-output:{space['n_classes']}"]


def block_keys(space, resolution):
    """For each stage: keys of its first block, and of those behind it, by kernel size and ratio."""
    for stage, c_in, c_out, side, out in stages(space, resolution):
        choices = [(k, e) for k in stage["kernel_sizes"] for e in stage["expand_ratios"]]
        first = {c: block_key(stage, c_in, c_out, side, True, *c) for c in choices}
        yield stage, first, {c: block_key(stage, c_out, c_out, out, False, *c) for c in choices} if max(stage["depths"]) > 1 else {}


def time_ms(key, resolution):
    """Another in each resolution's table, also of a key that both have."""
    return 0.1 + zlib.crc32(f"{resolution} {key}".encode()) % 100000 / 50000


def table(space, resolution):
    keys = end_keys(space, resolution)
    for _, first, rest in block_keys(space, resolution):
        keys += [*first.values(), *rest.values()]
    return "".join(f"{key}:\n  count: 50\n  mean: {time_ms(key, resolution):.17g}\n  std: 0.01\n" for key in dict.fromkeys(keys))


def least_ms(space, resolution):
    """Of all subnets: blocks are chosen one by one."""
    total = sum(time_ms(key, resolution) for key in end_keys(space, resolution))
    for stage, first, rest in block_keys(space, resolution):
        more = min((time_ms(key, resolution) for key in rest.values()), default=0)
        total += min(time_ms(key, resolution) for key in first.values()) + (min(stage["depths"]) - 1) * more
    return total


def choices(arch):
    """Resolution and for each stage the (kernel size, ratio) of its blocks, of an arch's text."""
    resolution, *groups = arch.split(" | ")
    return int(resolution[1:]), [[(int(k), int(e)) for k, e in re.findall(r"k(\d)e(\d)", group)] for group in groups]


def latency_ms(space, arch):
    resolution, blocks = choices(arch)
    keys = end_keys(space, resolution)
    for (_, first, rest), chosen in zip(block_keys(space, resolution), blocks):
        keys += [first[chosen[0]], *(rest[choice] for choice in chosen[1:])]
    return sum(time_ms(key, resolution) for key in keys)


@once
def weights():
    """Of a predictor, layer by layer."""
    random = numpy.random.default_rng(5)
    sizes = [128, 400, 400, 400, 1]
    return [((random.standard_normal((n, m)) * (2 / m) ** 0.5 * 0.4).astype(numpy.float32), (random.standard_normal(n) * 0.05).astype(numpy.float32))
            for m, n in zip(sizes, sizes[1:])]


def top1(arch):
    """As once-for-all's tutorial: kernel sizes, ratios, resolution, each one-hot; three hidden layers with ReLU."""
    resolution, blocks = choices(arch)
    x = numpy.zeros(128)
    for stage, chosen in enumerate(blocks[1:]):  # its first stage is fixed and no input
        for depth, (kernel, ratio) in enumerate(chosen):
            x[3 * (4 * stage + depth) + (3, 5, 7).index(kernel)] = 1
            x[60 + 3 * (4 * stage + depth) + (3, 4, 6).index(ratio)] = 1
    x[120 + (resolution - 112) // 16] = 1
    for layer, (weight, bias) in enumerate(weights()):
        x = weight.astype(float) @ x + bias
        x = x if layer == 3 else numpy.maximum(x, 0)
    return x[0]


def safetensors(tensors):
    header, blob = {}, b""
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(blob), len(blob) + values.nbytes]}
        blob += values.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + blob


def predictor_tensors():
    return {f"{2 * i}.{part}": values for i, layer in enumerate(weights()) for part, values in zip(("weight", "bias"), layer)}


def start_import(name, kind, path, space="ofa_mbv3_w12"):
    return bed.client().post("/models", {"name": name, "kind": kind, "space": space, "path": str(path)}, 202)


@once
def folder():
    """Tables of two resolutions, and a predictor."""
    path = bed.daemon().root / "foreign"
    path.mkdir()
    for resolution in RESOLUTIONS:
        (path / f"{resolution}_lookup_table.yaml").write_text(table(SPACE, resolution))
    (path / "predictor.safetensors").write_bytes(safetensors(predictor_tensors()))
    return path


@once
def latency_model():
    made = start_import("phone", "latency", folder())
    bed.daemon().wait_job(made["job"]["id"])
    return made["model"]["id"]


@once
def accuracy_model():
    made = start_import("oracle", "accuracy", folder() / "predictor.safetensors")
    bed.daemon().wait_job(made["job"]["id"])
    return made["model"]["id"]


@test("latency tables of once-for-all become a model with a section for each resolution", 60)
def tables():
    client, model = bed.client(), latency_model()
    doc = client.get(f"/models/{model}")
    equal((doc["name"], doc["kind"], doc["space"], doc["state"]), ("phone", "latency", "ofa_mbv3_w12", "ready"), "the model")
    summary = doc["summary"]
    equal((summary["resolutions"], summary["missing"], summary["foreign"]), (list(RESOLUTIONS), 0, 0), "what was found")
    for row in summary["files"]:
        resolution = row["resolution"]
        smallest = f"r{resolution} | d1 c24 k3e1 | " + " | ".join(f"d2 c{c} k3e3 k3e3" for c in (32, 48, 96, 136, 192))
        largest = f"r{resolution} | d1 c24 k3e1 | " + " | ".join(f"d4 c{c} k7e6 k7e6 k7e6 k7e6" for c in (32, 48, 96, 136, 192))
        for got, arch in ((row["smallest_us"], smallest), (row["largest_us"], largest)):
            check(abs(got - 1000 * latency_ms(SPACE, arch)) < 1e-6 * got, f"latency of {arch}", got, latency_ms(SPACE, arch))
    rows = [{e["signature"]: e["median_us"] for e in client.get(f"/models/phone/entries?resolution={r}")["items"]} for r in RESOLUTIONS]
    both = set(rows[0]) & set(rows[1])
    check(all(len(r) == summary["files"][0]["entries"] for r in rows) and len(both) < len(rows[0]), "entries", len(rows[0]), len(both))
    problem(client.request("GET", "/models/phone/entries?resolution=192"), 404)
    arch = client.get(f"/archs?space=ofa_mbv3_w12&profile=phone&arch={quote(largest)}")
    check(abs(arch["latency"]["us"] - 1000 * latency_ms(SPACE, largest)) < 1e-6 * arch["latency"]["us"], "latency of a network", arch["latency"])
    check(all(unit["latency_us"] > 0 for unit in arch["units"]), "its units' latencies", arch["units"])
    problem(client.request("GET", f"/archs?space=ofa_mbv3&profile=phone&arch={quote(largest.replace('c32', 'c24'))}"), (400, 422))
    check("phone" in bed.daemon().cli("model", "ls"), "the client's list", "")
    check("176_lookup_table.yaml" in bed.daemon().cli("model", "show", "phone"), "the client's page", "")
    equal([m["name"] for m in client.items("/models?kind=latency")], ["phone"], "latency models")


def search(name, **changes):
    body = {
        "name": name, "accuracy": {"predictor": "oracle"}, "objectives": [TOP1, {"metric": "latency_us", "profile": "phone", "direction": "minimise"}],
        "strategy": "evolution", "evaluations": 400, "population": 20, "seed": 3,
    }
    body.update(changes)
    return {key: value for key, value in body.items() if value is not None}


def refuse(pointer, status, code=None, **changes):
    return problem(bed.client().request("POST", "/searches", search("refused", **changes)), status, code, pointer)


@test("a search goes by an imported predictor and imported tables, without supernet and board", 90)
def searched():
    client, stack = bed.client(), bed.daemon()
    latency_model(), accuracy_model()
    limit = 1.3 * min(least_ms(SPACE, r) for r in RESOLUTIONS)
    made = client.post("/searches", search("foreign", constraints=[{"metric": "latency_us", "profile": "phone", "max": 1000 * limit}]), 202)
    result = stack.wait_job(made["job"]["id"], 60)["result"]
    doc = client.get("/searches/foreign")
    equal((doc["supernet"], doc["space"], doc["accuracy"], doc["state"]), (None, "ofa_mbv3_w12", {"predictor": accuracy_model()}, "done"), "the search")
    equal(sorted(m["name"] for m in doc["models"]), ["oracle", "phone"], "its models")
    front, key = client.get("/searches/foreign/front"), f"latency_us:{latency_model()}"
    equal(front["stage"], "final", "stage")
    check(len(front["items"]) >= 3, "points of the front", front["items"])
    for point in front["items"]:
        latency, accuracy = point["metrics"][key], point["metrics"]["top1"]
        equal((latency["source"], accuracy["source"]), ("predicted", "predicted"), "sources")
        wanted = 1000 * latency_ms(SPACE, point["arch"])
        check(abs(latency["value"] - wanted) < 1e-6 * wanted and latency["value"] <= 1000 * limit, "latency", point["arch"], latency, wanted)
        check(abs(accuracy["value"] - top1(point["arch"])) < 1e-5, "top-1", point["arch"], accuracy, top1(point["arch"]))
        check(choices(point["arch"])[0] in RESOLUTIONS, "a resolution that the tables know", point["arch"])
    point = front["items"][0]
    equal(point["arch_id"], client.get(f"/archs?space=ofa_mbv3_w12&arch={quote(point['arch'])}")["arch_id"], "a network is the same outside of the search")
    check(result["unmeasured"] == 0 and not result["no_board"], "nothing was to be measured", result)
    page = stack.cli("report", "foreign")
    asked = page[page.index("What was asked"):page.index("</dl>", page.index("What was asked"))]
    check("by the imported predictor oracle" in asked and accuracy_model() not in asked, "the predictor by its name", asked)
    for untrue in ("to fit its predictor", "to calibrate", "of the front", "measurements at most", "method of measurement"):
        check(untrue not in asked, f"the report says \"{untrue}\"", asked)
    check("measured on a board" not in page, "nothing was measured")
    columns = client.get("/searches/foreign/candidates?page_size=20000")["columns"]
    check(len(set(columns["arch_id"])) >= 400, "candidates for the scatter", len(columns["arch_id"]))
    stack.cli("search", "create", "best", "--predictor", "oracle", "--profile", "phone", "--max-latency", f"{limit}", "--objectives", "top1",
              "--strategy", "evolution", "--option", "mutation=0.25", "--option", "mutants=1", "-n", "400", "--population", "20", "--wait")
    equal(client.get("/searches/best")["strategy_options"], {"parents": 0.25, "mutants": 1, "mutation": 0.25}, "options: given ones, and defaults")
    equal(doc["strategy_options"], {"parents": 0.25, "mutants": 0.5, "mutation": 0.1}, "defaults")
    asked = [set(client.get(f"/searches/{name}/candidates?page_size=20000&strategy=evolution")["columns"]["arch_id"]) for name in ("best", "foreign")]
    check(len(asked[0] - asked[1]) > 100, "the options have an effect", len(asked[0] - asked[1]))
    best = client.get("/searches/best/front")["items"]
    equal(len(best), 1, "networks on the front of one objective")
    stack.cli("search", "front", "best")


@test("energy and memory traffic are objectives and limits, unit by unit in an arch", 60)
def energy():
    client = bed.client()
    latency_model(), accuracy_model()
    smallest = min((client.get(f"/archs?space=ofa_mbv3_w12&arch={quote(a)}") for a in (
        f"r{r} | d1 c24 k3e1 | " + " | ".join(f"d2 c{c} k3e3 k3e3" for c in (32, 48, 96, 136, 192)) for r in RESOLUTIONS)), key=lambda doc: doc["cost"]["energy_uj"])
    cost = smallest["cost"]
    wanted = 1e-6 * (4.6 * cost["macs"] + 160 * cost["traffic_bytes"])
    check(abs(cost["energy_uj"] - wanted) < 1e-9 * wanted, "energy", cost, wanted)
    for key in ("macs", "params", "model_bytes", "traffic_bytes", "energy_uj"):
        total = sum(unit[key] for unit in smallest["units"])
        check(abs(total - cost[key]) < 1e-9 * total, f"units' {key}", total, cost[key])
        for unit in smallest["units"]:
            parts = sum(layer[key] for layer in unit["layers"])
            check(abs(parts - unit[key]) < 1e-9 * parts, f"layers' {key}", unit)
    equal([layer["layer"] for layer in smallest["units"][2]["layers"]], ["expand", "depthwise", "project"], "layers of a block")
    shown = bed.daemon().cli("arch", "show", "ofa_mbv3_w12", smallest["arch"], "--layers")
    check("feature_mix" in shown and "LIVE" in shown, "layers by client", shown)
    shown = bed.daemon().cli_run("arch", "show", "ofa_mbv3_w12", smallest["arch"], "--layers")
    check("may be more than the peak" in shown.stdout + shown.stderr, "what LIVE is", shown)
    equal(max(unit["peak_activation_bytes"] for unit in smallest["units"]), cost["peak_activation_bytes"], "the largest unit's peak")
    doc = refuse("/constraints/0/max", 422, "infeasible", constraints=[{"metric": "energy_uj", "max": 1}])
    check(abs(doc["attainable"] - cost["energy_uj"]) < 1e-9 * cost["energy_uj"], "the least energy", doc, cost)
    made = client.post("/searches", search("thrifty", strategy="evolution", evaluations=200, constraints=[{"metric": "energy_uj", "max": 2 * cost["energy_uj"]}],
                                           objectives=[TOP1, {"metric": "traffic_bytes", "direction": "minimise"}]), 202)
    bed.daemon().wait_job(made["job"]["id"], 30)
    front = client.get("/searches/thrifty/front")["items"]
    check(len(front) > 0, "a front", front)
    for point in front:
        real = client.get(f"/archs?space=ofa_mbv3_w12&arch={quote(point['arch'])}")["cost"]
        metrics = point["metrics"]
        check(abs(metrics["energy_uj"]["value"] - real["energy_uj"]) < 1e-9 * real["energy_uj"] <= 2 * cost["energy_uj"], "energy", metrics, real)
        equal((metrics["traffic_bytes"]["value"], metrics["traffic_bytes"]["source"]), (real["traffic_bytes"], "counted"), "traffic")


@test("random search without a baseline, said so in so many words, runs", 60)
def random_alone():
    latency_model(), accuracy_model()
    made = bed.client().post("/searches", search("alone", strategy="random", baseline=None, evaluations=40) | {"baseline": None}, 202)
    bed.daemon().wait_job(made["job"]["id"], 30)
    equal(bed.client().get("/searches/alone")["baseline"], None, "baseline")


@test("a limit that imported tables do not allow is refused with the least that they do", 30)
def infeasible():
    latency_model(), accuracy_model()
    doc = refuse("/constraints/0/max", 422, "infeasible", constraints=[{"metric": "latency_us", "profile": "phone", "max": 1}])
    wanted = 1000 * min(least_ms(SPACE, r) for r in RESOLUTIONS)
    check(abs(doc["attainable"] - wanted) < 1e-6 * wanted, "the least latency of all resolutions", doc, wanted)
    check('by the imported model "phone"' in doc["detail"], "whose latency it is", doc["detail"])


@test("models are refused on other spaces, as models of another kind, and while they are used", 60)
def misused():
    client = bed.client()
    latency_model(), accuracy_model()
    refuse("/accuracy/predictor", 422, "mismatch", space="ofa_mbv3")
    refuse("/accuracy/predictor", 404, "not_found", accuracy={"predictor": "nobody"})
    refuse("/accuracy/predictor", 422, "invalid_value", accuracy={"predictor": "phone"})
    refuse("/accuracy/predictor", 422, "invalid_value", accuracy={})
    refuse("/accuracy/more", (400, 422), accuracy={"predictor": "oracle", "more": 1})
    refuse("/objectives/1/profile", 422, "invalid_value", objectives=[TOP1, {"metric": "latency_us", "profile": "oracle", "direction": "minimise"}])
    refuse("/supernet", 422, accuracy=None)
    check("nothing becomes known between rounds" in refuse("/rounds", 422, "invalid_value", rounds=3)["detail"], "why there are no rounds")
    check("measure_front 0" in refuse("/rounds", 422, "invalid_value", rounds=3, measure_front=0)["detail"], "and where none of the front is measured")
    check("no board measures" in refuse("/measurements", 422, "invalid_value", measurements=10)["detail"], "why there is no budget of measurements")
    check("/objectives/0 again" in refuse("/objectives/1", 422, "invalid_value", objectives=[TOP1, TOP1])["detail"], "which objective stands twice")
    done = bed.daemon().cli_run("search", "create", "both", "--predictor", "oracle", "--accuracy", "evaluated")
    check(done.returncode == 2 and "--accuracy evaluated and --predictor exclude each other" in done.stderr, "the client's words", done.stderr)
    refuse("/space", 422, space="ofa_mbv3_w12", supernet=bed.supernet())
    refuse("/accuracy/predictor", 422, "mismatch", supernet=bed.supernet())
    problem(client.request("POST", "/searches", bed.search_body("alien", objectives=[TOP1, {"metric": "latency_us", "profile": "phone", "direction": "minimise"}])),
            422, "mismatch", "/objectives/1/profile")
    problem(client.request("POST", "/models", {"name": "phone", "kind": "latency", "space": "ofa_mbv3_w12", "path": str(folder())}), 409, pointer="/name")
    problem(client.request("POST", "/models", {"name": "x", "kind": "smell", "space": "ofa_mbv3_w12", "path": str(folder())}), 422, pointer="/kind")
    problem(client.request("POST", "/models", {"name": "x", "kind": "latency", "space": "ofa_mbv3_w12", "path": "/etc/passwd"}), 403, pointer="/path")
    made = client.post("/searches", search("user", evaluations=20), 202)
    bed.daemon().wait_job(made["job"]["id"])
    for name in ("phone", "oracle"):
        check("user" in json.dumps(problem(client.request("DELETE", f"/models/{name}"), 409)), f"who uses {name}", "")
    made = start_import("spare", "accuracy", folder() / "predictor.safetensors")
    bed.daemon().wait_job(made["job"]["id"])
    bed.daemon().cli("model", "rm", "spare")
    problem(client.request("GET", "/models/spare"), 404)


@test("a supernet's search takes its latencies from an imported table, and evaluates its front", 120)
def with_supernet():
    client, stack = bed.client(), bed.daemon()
    bed.supernet()
    space = data.TINY
    (stack.root / "tiny.yaml").write_text(table(space, 28))
    stack.cli("latency", "import", "watch", "--ofa", stack.root / "tiny.yaml", "--space", "tiny", "--wait")
    body = bed.search_body("watched", objectives=[TOP1, {"metric": "latency_us", "profile": "watch", "direction": "minimise"}])
    stack.wait_job(client.post("/searches", body, 202)["job"]["id"], 90)
    front = client.get("/searches/watched/front")
    check(len(front["items"]) > 0, "a front", front)
    for point in front["items"]:
        latency = next(value for key, value in point["metrics"].items() if key.startswith("latency_us:mo_"))
        wanted = 1000 * latency_ms(space, point["arch"])
        check(abs(latency["value"] - wanted) < 1e-6 * wanted, "latency", point["arch"], latency, wanted)
        equal((point["metrics"]["top1"]["source"], latency["source"]), ("evaluated", "predicted"), "sources")


@test("an import tells how much of a table fits the space", 60)
def how_it_fits():
    client, stack = bed.client(), bed.daemon()
    bed.supernet()
    entries = re.findall(r"^\S.*\n(?: .*\n)+", table(data.TINY, 28), re.M)
    lacking, foreign = entries[-1].split(":\n")[0], ["Conv-input:9x9x3-output:5x5x16", "Conv-input:9x9x3-output:5x5x24"]
    (stack.root / "odd.yaml").write_text("".join(entries[:-1] + [entries[0].replace(entries[0].split(":\n")[0], key) for key in foreign]))
    words = ("--ofa", stack.root / "odd.yaml", "--space", "tiny", "--wait")
    done = stack.cli_run("latency", "import", "odd", *words)
    row, = client.get("/models/odd")["summary"]["files"]
    check(row["missing"] > 0, "what is missing", row)
    equal(row["foreign"], 2, "foreign keys")
    said = done.stdout + done.stderr
    for wanted in (f"odd.yaml: {row['entries']} units of the space known; {row['missing']} missing, the first for want of \"{lacking}\"",
                   f"2 of {row['keys']} keys are of no unit of the space, the first \"{foreign[0]}\""):
        check(wanted in said, wanted, said)
    done = stack.cli_run("latency", "import", "odd-too", *words, "--json")
    equal(json.loads(done.stdout)["name"], "odd-too", "JSON alone on stdout")
    check("2 of" in done.stderr, "told on stderr", done.stderr)
    for name in ("odd", "odd-too"):
        stack.cli("model", "rm", name)


@test("uploaded tables and predictors are imported too", 60)
def uploaded():
    stack = bed.daemon()
    only = stack.root / "outside"
    shutil.copytree(folder(), only)
    (only / "predictor.safetensors").unlink()
    stack.cli("latency", "import", "carried", "--ofa", only, "--space", "ofa_mbv3_w12", "--upload", "--wait")
    equal(bed.client().get("/models/carried")["summary"]["resolutions"], list(RESOLUTIONS), "resolutions")
    stack.cli("predictor", "import", "carried-too", "--file", folder() / "predictor.safetensors", "--space", "ofa_mbv3_w12", "--upload", "--wait")
    equal(bed.client().get("/models/carried-too")["summary"]["hash"], bed.client().get(f"/models/{accuracy_model()}")["summary"]["hash"], "hash")


def failed(name, kind, path, space="ofa_mbv3_w12"):
    made = start_import(name, kind, path, space)
    error = bed.daemon().wait_job(made["job"]["id"], state="failed")["error"]
    equal(bed.client().get(f"/models/{made['model']['id']}")["state"], "failed", "state of the model")
    bed.client().expect((200, 204), "DELETE", f"/models/{made['model']['id']}")
    return error


@test("bad tables fail with a typed error that names file and line or key", 120)
def bad_tables():
    good, root = table(SPACE, 160), bed.daemon().root
    line = good.splitlines()
    cases = {
        "nan": (good.replace("mean: ", "mean: .nan #", 1), "malformed", "line 3: key \"Conv-input:160x160x3-output:80x80x24\": a value that is no positive number"),
        "twice": (good + "\n".join(line[:4]), "malformed", f"line {len(line) + 1}: key \"Conv-input:160x160x3-output:80x80x24\", which was there before"),
        "alias": (good + "x: &a {count: 1, mean: 1}\ny: *a\n", "malformed", f"line {len(line) + 2}: "),
        "bomb": ("a: " + "[" * 5000 + "\n", "malformed", "line 1: "),
        "deep": ("a: " + "{b: " * 5000 + "\n", "malformed", "line 1: "),
        "cut": (good[:good.rindex("  mean")], "malformed", "without a positive mean and count"),
        "binary": ("\x00\x01\x02", "malformed", "line 1"),
        "empty": ("", "malformed", "an empty table"),
        "nothing": ("Conv-input:160x160x3-output:80x80x24: {count: 1, mean: 1}\n", "mismatch", "it knows 1 of the 94 units"),
        "size": (table(SPACE, 160).replace("160x160", "150x150"), "invalid_value", "a table for inputs of 150 pixels"),
    }
    for name, (text, code, words) in cases.items():
        path = root / f"bad_{name}.yaml"
        path.write_text(text)
        error = failed(f"bad {name}", "latency", path)
        check(error["code"] == code and error["pointer"] in ("/path", "/space"), f"code of {name}", error)
        check(words in error["message"] and path.name in error["message"], f"{words!r} in the words", error)
    error = failed("other width", "latency", folder(), "ofa_mbv3")
    check((error["code"], error["pointer"]) == ("mismatch", "/space") and "160_lookup_table.yaml" in error["message"], "of another width", error)
    (root / "large.yaml").write_text("#" * (17 << 20))
    check(failed("large", "latency", root / "large.yaml")["code"] == "limit_exceeded", "of a large file", "")


@test("bad predictors fail with a typed error, and none of them runs code", 90)
def bad_predictors():
    good, root = (folder() / "predictor.safetensors").read_bytes(), bed.daemon().root
    shutil.copy(ROOT / "tests/golden/import_evil.pth", root / "evil_predictor.pth")
    error = failed("evil", "accuracy", root / "evil_predictor.pth")
    equal((error["code"], error["pointer"]), ("malformed", "/path"), "of an object that would run a command")
    shutil.copy(ROOT / "tests/golden/import_zip.pth", root / "network.pth")
    error = failed("network", "accuracy", root / "network.pth")
    check(error["code"] == "mismatch" and "no tensor \"0.weight\"" in error["message"], "of another network's weights", error)
    (root / "cut_predictor.safetensors").write_bytes(good[:100000])
    error = failed("cut", "accuracy", root / "cut_predictor.safetensors")
    equal((error["code"], error["pointer"]), ("malformed", "/path"), "of a truncated file")
    for name, changes, words in (
            ("shape", {"4.bias": numpy.zeros(401, numpy.float32)}, "tensor \"4.bias\" has shape [401] in place of [400]"),
            ("nan", {"6.bias": numpy.array([numpy.nan], numpy.float32)}, "tensor \"6.bias\": value 0 is not a finite number"),
            ("more", {"8.bias": numpy.zeros(1, numpy.float32)}, "the tensor \"8.bias\"")):
        (root / f"{name}.safetensors").write_bytes(safetensors({**predictor_tensors(), **changes}))
        error = failed(name, "accuracy", root / f"{name}.safetensors")
        check(words in error["message"], f"{words!r} in the words", error)
    error = failed("tiny space", "accuracy", folder() / "predictor.safetensors", "fashion_small")
    equal((error["code"], error["pointer"]), ("mismatch", "/space"), "for a space that it does not know")


def library_tensors(order):
    """The same predictor as once-for-all's library saves it: resolutions first, the last bias as base_acc. order: of the resolutions, as columns."""
    (first, bias), *rest = weights()
    tensors = {"base_acc": rest[-1][1], "layers.0.0.weight": numpy.concatenate([first[:, 120:][:, order], first[:, :120]], 1), "layers.0.0.bias": bias,
               "layers.3.weight": rest[-1][0]}
    for i, layer in enumerate(rest[:-1], 1):
        tensors.update({f"layers.{i}.0.{part}": values for part, values in zip(("weight", "bias"), layer)})
    return tensors


@test("predictors that once-for-all's library saved are imported, and asked for their resolutions", 60)
def library_predictors():
    client, stack, root = bed.client(), bed.daemon(), bed.daemon().root
    wanted = client.get(f"/models/{accuracy_model()}")["summary"]
    ends = ("smallest_top1", "largest_top1")
    (root / "library.safetensors").write_bytes(safetensors(library_tensors(range(8))))
    stack.cli("predictor", "import", "library", "--file", root / "library.safetensors", "--space", "ofa_mbv3_w12", "--wait")
    summary = client.get("/models/library")["summary"]
    check(summary["resolutions_assumed"] and not wanted["resolutions_assumed"], "whose resolutions are assumed", summary, wanted)
    equal([summary[key] for key in ("resolutions", *ends)], [wanted[key] for key in ("resolutions", *ends)], "what it predicts")
    order = [7, 3, 1]
    (root / "three.safetensors").write_bytes(safetensors(library_tensors(order)))
    error = failed("three", "accuracy", root / "three.safetensors")
    equal((error["code"], error["pointer"]), ("invalid_value", "/resolutions"), "of three resolutions without a word")
    pixels = ",".join(str(112 + 16 * i) for i in order)
    stack.cli("predictor", "import", "named", "--file", root / "three.safetensors", "--space", "ofa_mbv3_w12", "--resolutions", pixels, "--wait")
    summary = client.get("/models/named")["summary"]
    equal((summary["resolutions"], summary["resolutions_assumed"]), ([128, 160, 224], False), "resolutions that were named")
    check(abs(summary["largest_top1"] - wanted["largest_top1"]) < 1e-6, "what it predicts at 224 pixels", summary, wanted)
    body = {"name": "x", "kind": "accuracy", "space": "ofa_mbv3_w12", "path": str(root / "three.safetensors")}
    for resolutions in ([], [0], [128.5], ["128"], 128):
        problem(client.request("POST", "/models", {**body, "resolutions": resolutions}), (400, 422), None)
    problem(client.request("POST", "/models", {**body, "kind": "latency", "path": str(folder()), "resolutions": [160]}), 422, "invalid_value", "/resolutions")
    for name in ("library", "named"):
        client.expect((200, 204), "DELETE", f"/models/{name}")


CHANNELS = (24, 40, 80, 112, 160)


def subnet_text(resolution, depths, kernels, ratios):
    groups = [" ".join([f"d{d} c{c}"] + [f"k{kernels[4 * s + b]}e{ratios[4 * s + b]}" for b in range(d)]) for s, (d, c) in enumerate(zip(depths, CHANNELS))]
    return " | ".join([f"r{resolution}", "d1 c16 k3e1", *groups])


def dynast_row(number, resolution, depths, kernels, ratios, macs, top1):
    net = {"wid": None, "ks": kernels, "e": ratios, "d": depths, "r": [resolution]}
    return f'"{net}",2022-11-01 05:{number:02}:00.5,1234567,0,{macs},{top1}\n'


TITLES = "Sub-network,Date,Model Parameters,Latency (ms),MACs,Top-1 Acc (%)\n"


@once
def results():
    """Rows of (arch, MACs, top-1 in per cent), of which two are one network, and the file that says so."""
    random = numpy.random.default_rng(9)
    nets = [(224, [2] * 5, [3] * 20, [3] * 20), (224, [4] * 5, [7] * 20, [6] * 20)]
    nets += [(224, random.choice([2, 3, 4], 5).tolist(), random.choice([3, 5, 7], 20).tolist(), random.choice([3, 4, 6], 20).tolist()) for _ in range(58)]
    nets.append((224, [2] * 5, [3, 3, 7, 7] * 5, [3, 3, 6, 6] * 5))  # the first once more, but for what lies beyond its depths
    rows, text = [], TITLES
    for number, net in enumerate(nets):
        arch = subnet_text(*net[:2], net[2], net[3])
        macs = bed.client().get(f"/archs?space=ofa_mbv3&arch={quote(arch)}")["cost"]["macs"]
        top1 = round(70 + 9 * float(random.random()), 3)
        rows.append((arch, macs, top1))
        text += dynast_row(number, *net, macs, top1)
    path = bed.daemon().root / "dynast.csv"
    path.write_text(text)
    return rows, path


def volume(points, reference):
    """Area that points (cost, gain) dominate, of two objectives."""
    area, best = 0.0, reference[1]
    for cost, gain in sorted(points, key=lambda p: (p[0], -p[1])):
        if cost < reference[0] and gain > best:
            area += (reference[0] - cost) * (gain - best)
            best = gain
    return area


@test("results of DyNAS-T become a finished search with front, scatter and curve", 90)
def dynast():
    client, stack = bed.client(), bed.daemon()
    rows, path = results()
    equal((rows[0][1], rows[1][1]), (121278672, 566170656), "MACs of the smallest and the largest network")
    stack.cli("search", "import", "old", "--dynast", path, "--space", "ofa_mbv3", "--wait")
    problem(bed.client().request("POST", "/searches", bed.search_body("elsewhere", warm_start={"searches": ["old"]})), 422, code="mismatch", pointer="/warm_start/searches/0")
    for action, body in (("extend", {"evaluations": 100}), ("clone", {"name": "older"})):
        check("warm_start" in problem(client.request("POST", f"/searches/old/{action}", body), 409)["detail"], f"{action} of results that were taken over")
    doc = client.get("/searches/old")
    equal((doc["state"], doc["supernet"], doc["strategy"], doc["evaluations"], doc["evaluations_done"]), ("done", None, "imported", 61, 61), "the search")
    equal((doc["result"]["duplicates"], doc["stage"]), (1, "final"), "its result")
    first = {arch: (macs, top1 / 100) for arch, macs, top1 in reversed(rows)}
    wanted = {arch for arch, (m, t) in first.items() if not any(o != arch and a <= m and b >= t and (a, b) != (m, t) for o, (a, b) in first.items())}
    front = client.get("/searches/old/front")
    equal({point["arch"] for point in front["items"]}, wanted, "its front")
    for point in front["items"]:
        metrics = point["metrics"]
        equal((metrics["macs"]["value"], metrics["macs"]["source"], metrics["top1"]["source"]), (first[point["arch"]][0], "counted", "evaluated"), "metrics")
        check(abs(metrics["top1"]["value"] - first[point["arch"]][1]) < 1e-9 and metrics["params"]["value"] > 3e6, "metrics", metrics)
    reference = front["reference_point"]
    area = volume(first.values(), (reference["macs"], reference["top1"]))
    check(abs(front["hypervolume"] - area) < 1e-9 * area, "hypervolume", front["hypervolume"], area)
    equal(len(client.get("/searches/old/candidates?page_size=20000")["columns"]["arch_id"]), 60, "candidates for the scatter")
    series = client.get("/searches/old/hypervolume")["series"]
    equal([(s["strategy"], s["evaluations"]) for s in series], [("imported", [50, 61])], "the curve")
    stack.cli("search", "import", "carried", "--dynast", path, "--space", "ofa_mbv3", "--upload", "--wait")
    stack.cli("search", "front", "old")
    stack.cli("search", "rm", "carried")
    uncounted = stack.root / "uncounted.csv"
    uncounted.write_text("".join(re.sub(r",0,\d+,", ",0,0,", line) for line in path.read_text().splitlines(keepends=True)))
    stack.cli("search", "import", "uncounted", "--dynast", uncounted, "--space", "ofa_mbv3", "--wait")
    equal({point["arch"] for point in client.get("/searches/uncounted/front")["items"]}, wanted, "the front of a run that did not count MACs")
    stack.cli("search", "rm", "uncounted")
    exported(client.get("/searches/old/candidates?page_size=20000")["columns"])


def exported(columns):
    """The whole search as CSV and JSON is what the candidates' columns say."""
    stack = bed.daemon()
    table, listing = stack.root / "old.csv", stack.root / "old.json"
    stack.cli("search", "export", "old", "--file", table)
    stack.cli("search", "export", "old", "--format", "json", "--file", listing)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    items = json.loads(listing.read_text())
    for name in ("arch_id", "arch", "strategy"):
        equal([row[name] for row in rows], columns[name], f"{name} as CSV")
    for name in ("arch_id", "arch", "strategy", "generation", "feasible", "on_front"):
        equal([item[name] for item in items], columns[name], f"{name} as JSON")
    for key, metric in columns["metrics"].items():
        equal([float(row[key]) for row in rows], metric["value"], f"{key} as CSV")
        equal([row[f"{key} source"] for row in rows], metric["source"], f"sources of {key}")
        equal([item["metrics"][key]["value"] for item in items], metric["value"], f"{key} as JSON")
    equal(stack.cli_run("search", "export", "old", "--format", "xml").returncode, 2, "an unknown format")
    equal(stack.cli_run("search", "export", "none", "--file", stack.root / "none.csv").returncode, 3, "an unknown search")
    check(not (stack.root / "none.csv").exists(), "no file of a search that is not there")
    equal(stack.cli_run("search", "export", "old", "--file", "/dev/full").returncode, 1, "a full disk")


@test("a search of more than ten thousand candidates is exported whole, as CSV by RFC 4180 and as JSON, and read whole by pages", 120)
def exported_whole():
    client, stack = bed.client(), bed.daemon()
    latency_model(), accuracy_model()
    stack.wait_job(client.post("/searches", search("whole", strategy="random", baseline=None, evaluations=10500), 202)["job"]["id"], 60)
    rows, after = [], ""
    while after is not None:
        page = client.get(f"/searches/whole/candidates?page_size=997{after and f'&after={after}'}")
        rows += page["columns"]["arch_id"]
        after = page["next"]
    equal((len(rows), len(set(rows)), page["total"]), (10500, 10500, 10500), "candidates by pages")
    table, listing = stack.root / "whole.csv", stack.root / "whole.json"
    stack.cli("search", "export", "whole", "--file", table)
    stack.cli("search", "export", "whole", "--format", "json", "--file", listing)
    text = table.read_bytes().decode()
    equal((text.count("\r\n"), text.count("\n"), text[-2:]), (10501, 10501, "\r\n"), "lines, each ended by CR LF")
    parsed = list(csv.reader(text.splitlines(), strict=True))
    equal({len(row) for row in parsed}, {len(parsed[0])}, "cells of a row")
    equal([row[0] for row in parsed[1:]], rows, "rows as CSV")
    equal([cell for row in parsed for cell in row if cell[:1] in ("=", "+", "@", "\t")], [], "cells that a spreadsheet would take for a formula")
    items = json.loads(listing.read_text())
    equal([item["arch_id"] for item in items], rows, "rows as JSON")
    metric = f"latency_us:{latency_model()}"
    at = parsed[0].index(metric)
    equal([float(row[at]) for row in parsed[1:]], [item["metrics"][metric]["value"] for item in items], "the same numbers")
    head = stack.cli("search", "export", "whole", "--names").splitlines()[0].split(",")
    model = client.get(f"/models/{latency_model()}")["name"]
    equal(head, [title.replace(metric, f"latency_us@{model}") for title in parsed[0]], "the head with names")
    asked = client.get(f"/searches/whole/candidates?page_size=20000&where=generation%3E%3D0&sort={quote(metric)}")["columns"]
    equal(asked["metrics"][metric]["value"], sorted(item["metrics"][metric]["value"] for item in items), "all of them by their latency")


def failed_results(text, space="ofa_mbv3", **more):
    path = bed.daemon().root / "bad.csv"
    path.write_text(text)
    failed_results.count += 1
    made = bed.client().post("/results", {"name": f"bad results {failed_results.count}", "space": space, "path": str(path), **more}, 202)
    return bed.daemon().wait_job(made["job"]["id"], state="failed")["error"]


failed_results.count = 0


@test("bad results of DyNAS-T fail with a typed error that names row or column", 90)
def bad_dynast():
    _, path = results()
    good = path.read_text()
    error = failed_results(good.replace("Top-1 Acc (%)", "Top-5"))
    check((error["code"], error["pointer"]) == ("invalid_value", "/path") and 'column "Top-1 Acc (%)"' in error["message"], "a missing column", error)
    error = failed_results(good, "ofa_mbv3_w12")
    check((error["code"], error["pointer"]) == ("mismatch", "/space") and "row 1: 121278672 MACs" in error["message"], "of another width", error)
    error = failed_results(good, "fashion_small")
    check((error["code"], error["pointer"]) == ("mismatch", "/space") and "row 1: " in error["message"], "of another space", error)
    error = failed_results(good.replace("'ks': [3", "'ks': [__import__('os').system('x'), 3", 1))
    check(error["code"] == "malformed" and "row 1: " in error["message"], "of an expression", error)
    error = failed_results(good[:-20])
    check(error["code"] == "malformed" and "line 62" in error["message"], "of a cut file", error)
    error = failed_results(good.replace(f",{results()[0][0][2]}\n", ",0\n"))
    check((error["code"], error["pointer"]) == ("invalid_value", "/path") and "row 1: no top-1 accuracy" in error["message"], "of what was not evaluated", error)
    error = failed_results(good, cost="latency_us")
    equal((error["code"], error["pointer"]), ("invalid_value", "/cost"), "of latencies that are not there")
    body = {"name": "x", "space": "ofa_mbv3", "path": str(path)}
    problem(bed.client().request("POST", "/results", {**body, "cost": "smell"}), 422, pointer="/cost")
    problem(bed.client().request("POST", "/results", {**body, "space": "none"}), 404, pointer="/space")
    problem(bed.client().request("POST", "/results", {**body, "upload": "up_x"}), 422, pointer="/path")
