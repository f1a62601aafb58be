"""Searches from their beginning to their front: what they find, keep and tell."""
import json
from urllib.parse import quote

import bed
import data
from client import problem
from search_bed import MACS, TOP1, latency, refuse, remove
from suite import check, equal, test, wait_for


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
    fifth = int(client.get(f"/searches/{search}/candidates?page_size=5")["next"])
    equal(client.get(f"/searches/{search}/candidates?page_size=20000&after={fifth - 1}")["columns"]["id"], columns["id"][4:], "behind a number, whosever it is")
    for word in ("where=strategy%3D", "strategy="):
        detail = problem(client.request("GET", f"/searches/{search}/candidates?{word}nsga"), 400, "malformed", "?" + word.split("=")[0])["detail"]
        check('no strategy "nsga"; did you mean "nsga2"? It has nsga2' in detail, "a strategy that is near", detail)
        problem(client.request("GET", f"/searches/{search}/candidates?sort=top1&{word}nope"), 400)
    front = client.get(f"/searches/{search}/front?objectives=top1,macs&where={quote(f'latency_us@{bed.profile()}>=0')}")
    among = [i for i in rows if columns["feasible"][i] and value[key][i] is not None]
    best = {columns["arch_id"][i] for i in among if not any(value["top1"][j] >= value["top1"][i] and value["macs"][j] <= value["macs"][i] and (value["top1"][j], value["macs"][j]) != (value["top1"][i], value["macs"][i]) for j in among)}
    equal({item["arch_id"] for item in front["items"]}, best, "the front of top-1 and MACs")
    equal(front["objectives"], [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}], "its objectives")
    curve = client.get(f"/searches/{search}/hypervolume?objectives=top1,macs")
    check(abs(max(row["hypervolume"][-1] for row in curve["series"]) - curve["hypervolume"]) <= curve["hypervolume"] and curve["hypervolume"] > 0, "hypervolume of other metrics", curve)
    for row in curve["series"]:
        equal(row["hypervolume"], sorted(row["hypervolume"]), "it never falls")
    point = curve["reference_point"]
    same = client.get(f"/searches/{search}/hypervolume?objectives=top1,macs&reference={point['top1']:.17g},{point['macs']:.17g}")
    equal((same["hypervolume"], same["series"]), (curve["hypervolume"], curve["series"]), "below its own reference point")
    wider = client.get(f"/searches/{search}/hypervolume?objectives=top1,macs&reference={point['top1']:.17g},{2 * point['macs']:.17g}")
    equal(wider["reference_point"], {"top1": point["top1"], "macs": 2 * point["macs"]}, "another one")
    check(wider["hypervolume"] > curve["hypervolume"], "is larger below a worse one", (wider, curve))
    problem(client.request("GET", f"/searches/{search}/front?objectives=top1,macs&reference=0,1"), 400)
    for path, part in (("hypervolume?reference=0,1", "objectives"), ("hypervolume?objectives=top1,macs&reference=0", "2, not 1"), ("front?objectives=top1,macz", 'did you mean "macs"'), ("front?where=feasable%3Dtrue", 'did you mean "feasible"'), ("hypervolume?objectives=top1,latency_us@nothing", "nothing"), ("candidates?sort=beauty", "beauty")):
        check(part in problem(client.request("GET", f"/searches/{search}/{path}"), 400)["detail"], part, path)
    many = client.get(f"/searches/{search}/hypervolume?objectives=top1,macs,params,peak_activation_bytes,peak_simple_bytes,model_bytes")
    check(many["hypervolume"] > 0, "hypervolume of six metrics", many)
    equal(max(row["hypervolume"][-1] for row in many["series"]) <= many["hypervolume"], True, "no strategy's is more than that of all")
    archs = stack.cli("search", "front", search, "--objective", "top1", "--objective", "macs", "--limit", f"{key}>=0", "--archs").split("\n")
    equal(len([line for line in archs if line]), len(best), "the front by client")
    for words, begins in ((("front", search, "--objective", "top1"), "--objective names two"), (("front", search, "--limit", "macz<=1"), '--limit: the search has no metric "macz"; did you mean "macs"? It has'), (("candidates", search, "--sort", "hope"), "the parameter sort: the search has no metric")):
        done = stack.cli_run("search", *words)
        check(done.returncode == 1 and done.stderr.startswith("espalier: " + begins), "a refusal names the option, or the parameter that is called like it", done.stderr)
    done = stack.cli_run("search", "candidates", search, "--where", f"macs<={bound:.17g}", "--where", "on_front=true", "--sort=-top1", "-n", "3")
    check("ARCH" in done.stdout and "top1" in done.stdout, "candidates by client", done.stdout)
    check(" of " in done.stderr and " of " not in done.stdout, "how many there are is a remark", done.stderr)


@test("a search that has told no front yet has the best so far of its own strategy, without its baseline's", 120)
def so_far():
    client = bed.client()
    made = client.post("/searches", {**bed.search_body("so-far"), "objectives": [TOP1, MACS], "accuracy": "evaluated", "evaluations": 4000, "population": 12, "baseline": "random", "measure_front": 0}, 202)
    search, job = made["search"]["id"], made["job"]["id"]
    wait_for("some generations", lambda: client.get(f"/searches/{search}")["evaluations_done"] >= 36, 60)
    client.post(f"/searches/{search}/pause", {})
    wait_for("its pause", lambda: client.get(f"/jobs/{job}")["state"] == "paused", 30)
    front, columns = client.get(f"/searches/{search}/front"), client.get(f"/searches/{search}/candidates?page_size=20000")["columns"]
    equal([front[key] for key in ("stage", "version", "hypervolume", "reference_point")], [None] * 4, "no front is told yet")
    rows = [(columns["arch_id"][i], -columns["metrics"]["top1"]["value"][i], columns["metrics"]["macs"]["value"][i], columns["strategy"][i]) for i in range(len(columns["id"]))]
    own = [row for row in rows if row[3] == "nsga2"]
    best = lambda among: {(x, y) for _, x, y, _ in among if not any(u <= x and v <= y and (u, v) != (x, y) for _, u, v, _ in among)}
    told = lambda items: [(-item["metrics"]["top1"]["value"], item["metrics"]["macs"]["value"]) for item in items]
    check(len(own) < len(rows) and len(best(own)) > 1, "both strategies have asked for some", rows)
    equal(sorted(told(front["items"])), sorted(best(own)), "the best so far, of equal ones one")
    check(all(item["metrics"]["top1"]["source"] == "evaluated" for item in front["items"]), "with their values", front["items"])
    client.post(f"/searches/{search}/cancel", {})
    wait_for("its end", lambda: client.get(f"/searches/{search}")["state"] == "canceled", 30)
    equal(sorted(told(client.get(f"/searches/{search}/front")["items"])), sorted(best(own)), "of one that was stopped, too")
    one = client.post("/searches", {**bed.search_body("one"), "objectives": [TOP1], "accuracy": "evaluated", "evaluations": 4000, "baseline": None, "measure_front": 0}, 202)["search"]["id"]
    wait_for("some of it", lambda: client.get(f"/searches/{one}")["evaluations_done"] >= 24, 60)
    client.post(f"/searches/{one}/cancel", {})
    wait_for("its end", lambda: client.get(f"/searches/{one}")["state"] == "canceled", 30)
    columns = client.get(f"/searches/{one}/candidates?page_size=20000")["columns"]
    most = max(columns["metrics"]["top1"]["value"])
    [best_one] = client.get(f"/searches/{one}/front")["items"]
    equal(best_one["metrics"]["top1"]["value"], most, "of a single objective the best")
    check(best_one["arch_id"] in columns["arch_id"], "which it has asked for", best_one)
    made = client.post("/searches", {**bed.search_body("equals"), "objectives": [{"metric": "peak_activation_bytes", "direction": "minimise"}], "accuracy": "evaluated", "evaluations": 4000, "baseline": None, "measure_front": 0}, 202)["search"]["id"]
    wait_for("some of it", lambda: client.get(f"/searches/{made}")["evaluations_done"] >= 24, 60)
    client.post(f"/searches/{made}/cancel", {})
    wait_for("its end", lambda: client.get(f"/searches/{made}")["state"] == "canceled", 30)
    peaks = client.get(f"/searches/{made}/candidates?page_size=20000")["columns"]["metrics"]["peak_activation_bytes"]["value"]
    check(peaks.count(min(peaks)) > 1, "equal ones", peaks)
    equal([item["metrics"]["peak_activation_bytes"]["value"] for item in client.get(f"/searches/{made}/front")["items"]], [min(peaks)], "of equal ones one")
    remove(made)
    equal(client.request("GET", f"/searches/{one}/front?where=generation%3E%3D0").status, 400, "a front within conditions has two objectives or more")
    remove(search, one)


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
    equal(problem(client.request("POST", f"/searches/{search['id']}/resume", {}), 409, "conflict")["detail"], "the job is done: it cannot be resumed", "the words")
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
    body = {key: value for key, value in bed.search_body("default", measure_front=0, calibration_nets=0, known_networks=0).items() if key != "strategy"}
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


@test("the client's table of a front has each objective and each limited metric of the search, in this order, with units", 60)
def told_in_full():
    stack, client = bed.daemon(), bed.client()
    stack.cli("search", "create", "frugal", "--supernet", bed.supernet(), "--strategy", "random", "--accuracy", "evaluated", "--objectives", "energy_uj,traffic_bytes,top1",
              "--limit", "model_bytes=1e9", "--limit", "peak_simple_bytes=1e9", "-n", "8", "--population", "8", "--baseline", "none", "--measure-front", "0", "--calibration-nets", "0", "--wait")
    head, *rows = [line.split("\t") for line in stack.cli("search", "front", "frugal").splitlines()]
    equal(head, ["ENERGY UJ, ESTIMATED", "TRAFFIC", "TOP-1 (VALIDATION)", "TEST", "MODEL SIZE", "PEAK MEMORY, UNFUSED", "MACS", "PARAMS", "PEAK MEMORY", "ARCH"], "the columns")
    points = {point["arch"]: point["metrics"] for point in client.get("/searches/frugal/front")["items"]}
    equal(sorted(row[-1] for row in rows), sorted(points), "the rows")
    for energy, traffic, top1, _, model, simple, *_, arch in rows:
        has = {key: metric["value"] for key, metric in points[arch].items()}
        check(abs(float(energy) / has["energy_uj"] - 1) < 1e-3, "its energy", energy, has)
        for text, key in ((traffic, "traffic_bytes"), (model, "model_bytes"), (simple, "peak_simple_bytes")):
            number, unit = text.split()
            check(abs(float(number) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit] / has[key] - 1) < 0.01, key, text, has[key])
        equal(top1, f"{100 * has['top1']:.2f} % evaluated", "its top-1")
    anew = stack.cli("search", "front", "frugal", "--objective", "macs", "--objective", "model_bytes").splitlines()[0].split("\t")
    equal(anew[:5], ["MACS", "MODEL SIZE", "ENERGY UJ, ESTIMATED", "TRAFFIC", "TOP-1 (VALIDATION)"], "what it is asked for comes first")
    remove("frugal")
