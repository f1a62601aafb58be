"""Data sets, spaces, archs, supernets, tokens, exports: sound requests and bad ones."""
import gzip
import os
import shutil

import bed
import data
from board import Board
from client import problem
from suite import check, equal, test, wait_for


def refuse_space(pointer, **changes):
    problem(bed.client().request("POST", "/spaces", data.space(**{"name": "bad", **changes})), (400, 422), pointer=pointer)


def stages(**changes):
    """The stages of a space, the second one changed."""
    return [data.TINY["stages"][0], {**data.TINY["stages"][1], **changes}]


@test("a space with even kernel sizes or no stages is refused, and the error points there")
def bad_spaces():
    refuse_space("/stages/1/kernel_sizes/1", stages=stages(kernel_sizes=[3, 4]))
    refuse_space("/stages", stages=[])
    refuse_space("/stages/1/kernel_sizes", stages=stages(kernel_sizes=[]))
    refuse_space("/stages/1/kernel_sizes/1", stages=stages(kernel_sizes=[5, 3]))
    refuse_space("/stages/1/depths/0", stages=stages(depths=[0, 1]))
    refuse_space("/stages/1/channels/0", stages=stages(channels=[23]))
    refuse_space("/stages/1/act", stages=stages(act="gelu"))
    refuse_space("/stages/1/colour", stages=stages(colour="green"))
    refuse_space("/resolutions", resolutions=[])
    refuse_space("/n_classes", n_classes=1)
    refuse_space("/name", name="Not a name")
    problem(bed.client().request("POST", "/spaces", {key: value for key, value in data.TINY.items() if key != "head"}), (400, 422))
    check("bad" not in [row["name"] for row in bed.client().items("/spaces")], "a bad space was kept")


@test("a space is tried without being kept: what it would be, or what is wrong with it")
def try_a_space():
    client, document = bed.client(), data.space(name="tried")
    tried = client.expect(200, "POST", "/spaces?dry_run=true", document).doc
    check(tried["cardinality"] and tried["fingerprint"], "what it would be", tried)
    problem(client.request("GET", "/spaces/tried"), 404)
    problem(client.request("POST", "/spaces?dry_run=true", {**document, "stages": []}), 422, pointer="/stages")
    problem(client.request("POST", "/spaces?dry_run=true", document, {"Idempotency-Key": "try"}), 400)
    for wrong in ("dry_run=perhaps", "dry_run=", "dry_run"):
        problem(client.request("POST", f"/spaces?{wrong}", document), 400, "malformed", "?dry_run")
    made = client.expect(201, "POST", "/spaces?dry_run=false", document).doc
    equal(made["fingerprint"], tried["fingerprint"], "what it is")
    problem(client.request("POST", "/spaces?dry_run=true", document), 409, pointer="/name")
    problem(client.request("POST", "/spaces?dry_run=true", {**document, "name": "fashion_small"}), 409, pointer="/name")
    client.expect(204, "DELETE", "/spaces/tried")


@test("spaces: built-in ones are there and stay, a name is given once, one in use cannot be removed")
def spaces():
    client = bed.client()
    names = [row["name"] for row in client.items("/spaces")]
    for name in ("fashion_small", "peer_28", "peer_32", "ofa_mbv3"):
        check(name in names, name, names)
    one = client.get("/spaces/fashion_small")
    for member in ("fingerprint", "cardinality", "largest", "smallest", "table_entries", "definition"):
        check(member in one, member, one)
    problem(client.request("DELETE", "/spaces/fashion_small"), (403, 409))
    bed.supernet()
    problem(client.request("POST", "/spaces", data.TINY), 409)
    users = problem(client.request("DELETE", "/spaces/tiny"), 409, "conflict")
    check("net" in str(users), "who depends on it is listed", users)
    client.post("/spaces", data.space(name="short-lived"), 201)
    client.expect((200, 204), "DELETE", "/spaces/short-lived")
    problem(client.request("GET", "/spaces/short-lived"), 404)


@test("spaces: a list goes on where it was when the space that ended a page was deleted")
def spaces_by_pages():
    client = bed.client()
    for name in ("page-a", "page-b"):
        client.post("/spaces", data.space(name=name), 201)
    names = [row["name"] for row in client.items("/spaces")]
    builtin = client.get("/spaces?page_size=1")
    equal([row["name"] for row in client.get(f"/spaces?after={builtin['next']}")["items"]], names[1:], "behind a built-in one")
    cursor = client.get(f"/spaces?page_size={names.index('page-a') + 1}")["next"]
    client.expect(204, "DELETE", "/spaces/page-a")
    equal([row["name"] for row in client.get(f"/spaces?after={cursor}")["items"]], names[names.index("page-b"):], "behind one that is gone")
    for garbage in ("page-b", "fashion_small", "name", "x"):
        problem(client.request("GET", f"/spaces?after={garbage}"), 400, "malformed", "?after")
    client.expect(204, "DELETE", "/spaces/page-b")


@test("spaces: one that differs from another in its names alone keeps its own, in its page, in the list")
def twins():
    client = bed.client()
    bed.supernet()
    twin = data.space(name="twin", description="the same under other names", stages=[{**stage, "name": f"part-{i}"} for i, stage in enumerate(data.TINY["stages"])])
    made = client.expect(201, "POST", "/spaces", twin).doc
    equal(made["fingerprint"], client.get("/spaces/tiny")["fingerprint"], "the fingerprint of both")
    shown = client.get("/spaces/twin")
    equal((shown["name"], shown["definition"]), ("twin", made["definition"]), "what was posted")
    check("part-1" in str(shown["definition"]), "the names of stages", shown["definition"])
    names = [row["name"] for row in client.items("/spaces")]
    equal((names.count("twin"), names.count("tiny")), (1, 1), "in the list")
    client.expect(204, "DELETE", "/spaces/twin")


@test("samples and archs are described; a malformed arch is refused with its pointer")
def archs():
    client = bed.client()
    bed.supernet()
    one = client.post("/spaces/tiny/sample", {"n": 500, "seed": 3})
    equal(one["n"], 500, "n")
    equal(client.post("/spaces/tiny/sample", {"n": 500, "seed": 3}), one, "the same seed")
    check(client.post("/spaces/tiny/sample", {"n": 500, "seed": 4}) != one, "another seed gives the same sample")
    quantiles = one["quantiles"]["macs"]
    check(quantiles["min"] <= quantiles["p25"] <= quantiles["median"] <= quantiles["max"], "quantiles", quantiles)
    problem(client.request("POST", "/spaces/tiny/sample", {"n": 0}), (400, 422), pointer="/n")
    problem(client.request("POST", "/spaces/tiny/sample", {"n": 10001}), (400, 422), pointer="/n")
    answer = client.get("/archs?space=tiny&arch=" + data.SMALL_ARCH.replace(" ", "%20").replace("|", "%7C"))
    equal(answer["arch"], data.SMALL_ARCH, "arch")
    equal(sum(unit["macs"] for unit in answer["units"]), answer["cost"]["macs"], "MACs of the units")
    for text in ("", "r28", "r28|d1c16k3e1", "r32 | d1 c16 k3e1 | d1 c24 k3e2", "r28 | d9 c16 k3e1 | d1 c24 k3e2", "r28 | d1 c16 k4e1 | d1 c24 k3e2", "%00", "x" * 5000):
        answer = client.request("GET", "/archs?space=tiny&arch=" + text.replace(" ", "%20").replace("|", "%7C"))
        if text == "r28|d1c16k3e1":
            check(answer.status in (400, 422), "too few stages", answer)
        problem(answer, (400, 404, 414, 422))
    problem(client.request("GET", "/archs?arch=r28"), (400, 422))


@test("a data set's path must lie below a data root, whatever links and dots say")
def data_paths():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    outside = stack.root.parent / f"{stack.root.name}-outside"
    outside.mkdir()
    try:
        data.write_images(outside, "train", 10, 1)
        (stack.root / "link").symlink_to(outside)
        (stack.root / "deep").mkdir()
        (stack.root / "deep/link").symlink_to("../link")
        bad = ["/etc", "/", "", "bars", "./bars", f"{stack.root}/../", f"{stack.root}/bars/../../", f"{stack.root}/../{outside.name}", str(outside), f"{stack.root}/link", f"{stack.root}/deep/link",
               f"{stack.root}-outside", "/proc/self/cwd", f"{stack.root}/bars\u0000/etc", f"{stack.root}/nothing", "/" + "x/" * 3000]
        for path in bad:
            answer = client.request("POST", "/datasets", {"name": "outside", "path": path})
            doc = problem(answer, (400, 403, 404, 422))
            if "\u0000" not in path:
                equal([row["pointer"] for row in doc["errors"]], ["/path"], f"pointer for {path[:80]!r}")
        check("outside" not in [row["name"] for row in client.items("/datasets")], "a data set outside was kept")
        answer = client.post("/datasets", {"name": "dots-within", "path": f"{stack.root}/deep/../bars", "validation": 100}, 202)
        stack.wait_job(answer["job"]["id"])
    finally:
        shutil.rmtree(outside)


def broken_copy(name, spoil):
    """A copy of the data set's folder in which one file was spoiled; the job's error on it."""
    stack = bed.daemon()
    folder = stack.root / name
    shutil.copytree(stack.root / "bars", folder)
    spoil(folder)
    answer = stack.add_data(name, folder, wait=False)
    job = stack.wait_job(answer["job"]["id"], state="failed")
    state = bed.client().get(f"/datasets/{name}")
    equal(state["state"], "failed", f"state of {name}")
    check(state["error"], "the data set tells the error", state)
    return job["error"]["message"]


@test("truncated, corrupt, empty or missing data files fail with the file's name")
def truncated_data():
    bed.supernet()
    images, labels = "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"

    def truncate(name, share):
        return lambda folder: os.truncate(folder / name, int((folder / name).stat().st_size * share))

    def rewrite(name, change):
        def spoil(folder):
            plain = bytearray(gzip.decompress((folder / name).read_bytes()))
            (folder / name).write_bytes(gzip.compress(bytes(change(plain)), 1))
        return spoil

    def with_size(plain):
        plain[4:8] = b"\x7f\xff\xff\xff"
        return plain

    def with_label(plain):
        plain[20] = 200
        return plain

    cases = {
        "truncated-images": (truncate(images, 0.5), images),
        "truncated-labels": (truncate(labels, 0.7), labels),
        "empty-file": (truncate(images, 0), images),
        "short-images": (rewrite(images, lambda plain: plain[:-1000]), images),
        "long-labels": (rewrite(labels, lambda plain: plain + b"\x01\x02"), labels),
        "huge-count": (rewrite(images, with_size), images),
        "no-idx": (rewrite(images, lambda plain: b"GIF89a" + plain), images),
        "no-gzip": (lambda folder: (folder / images).write_bytes(b"plain text, not gzip" * 100), images),
        "missing-file": (lambda folder: (folder / labels).unlink(), labels.removesuffix(".gz")),
    }
    for name, (spoil, file) in cases.items():
        message = broken_copy(name, spoil)
        check(file.removesuffix(".gz") in message, f"{name}: the file is named in", message)
    broken_copy("huge-label", rewrite(labels, with_label))


@test("a supernet with an unknown space or data set, a bad training or a name in use is refused")
def bad_supernets():
    client = bed.client()
    bed.supernet()
    sound = {"name": "other", "space": "tiny", "dataset": "bars", "train": bed.TRAIN}
    problem(client.request("POST", "/supernets", {**sound, "space": "no-such-space"}), (404, 422), pointer="/space")
    problem(client.request("POST", "/supernets", {**sound, "dataset": "no-such-set"}), (404, 422), pointer="/dataset")
    problem(client.request("POST", "/supernets", {**sound, "name": "net"}), 409)
    problem(client.request("POST", "/supernets", {**sound, "train": {}}), (400, 422))
    problem(client.request("POST", "/supernets", {**sound, "train": {"epochs": 1, "time_budget_s": 5}}), (400, 422))
    problem(client.request("POST", "/supernets", {**sound, "train": {"epochs": -1}}), (400, 422), pointer="/train/epochs")
    problem(client.request("POST", "/supernets", {**sound, "train": {"epochs": 1, "batch": 0}}), (400, 422), pointer="/train/batch")
    problem(client.request("POST", "/supernets", {**sound, "dataset": "truncated-images"}), (409, 422))
    problem(client.request("POST", "/supernets", {**sound, "train": {**bed.TRAIN, "regime": "none"}}), (400, 422), pointer="/train/regime")
    problem(client.request("POST", "/supernets", {**sound, "train": {**bed.TRAIN, "arch": "r28 | nonsense"}}), (400, 422), pointer="/train/arch")
    problem(client.request("POST", "/supernets", {**sound, "train": {**bed.TRAIN, "regime": "coupled", "arch": data.SMALL_ARCH}}), (400, 422), pointer="/train/arch")
    problem(client.request("POST", "/supernets", {**sound, "init_from": {"supernet": "no-such-net"}}), (404, 422), pointer="/init_from/supernet")
    problem(client.request("POST", "/supernets", {**sound, "init_from": {"supernet": "net", "checkpoint": "ck_none"}}), (404, 422), pointer="/init_from/checkpoint")
    problem(client.request("POST", "/supernets", {**sound, "init_from": {"supernet": "net", "other": 1}}), (400, 422), pointer="/init_from/other")
    problem(client.request("POST", "/supernets", {**sound, "space": "fashion_small", "init_from": {"supernet": "net"}}), (409, 422), pointer="/init_from")
    equal([row["name"] for row in client.items("/supernets")], ["net"], "supernets")


@test("a subnet is fine-tuned from inherited weights, and its curves are served")
def fine_tune():
    stack, client, net = bed.daemon(), bed.client(), bed.supernet()
    made = client.post("/supernets", {"name": "tuned", "init_from": {"supernet": "net"}, "train": {**bed.TRAIN, "epochs": 1, "arch": data.SMALL_ARCH}}, 202)
    tuned = made["supernet"]
    equal((tuned["space"], tuned["dataset_name"]), ("tiny", "bars"), "space and data set of the source")
    equal((tuned["train"]["regime"], tuned["train"]["arch"], tuned["train"]["init_from"]["supernet"]), ("single", data.SMALL_ARCH, net), "what is noted")
    stack.wait_job(made["job"]["id"])
    names = {row["name"] for row in client.get(f"/supernets/{net}/metrics")["series"]}
    check(names >= {"loss", "loss/distillation", "distillation_gap", "gradient_norm/stem", "gradient_norm/stage_1", "gradient_norm/head", "top1/smallest/raw"}, "series of the supernet", names)
    alone = {row["name"] for row in client.get(f"/supernets/{tuned['id']}/metrics")["series"]}
    check("loss" in alone and "distillation_gap" not in alone, "series of the one subnet", alone)
    problem(client.request("POST", "/searches", bed.search_body("of one", supernet=tuned["id"])), 409, pointer="/supernet")
    scored_alone(tuned["id"])
    client.expect((200, 204), "DELETE", f"/supernets/{tuned['id']}")


def scored_alone(tuned):
    """Of a supernet that was trained for one network alone, that one is scored; others only by a checkpoint that may be from before."""
    stack, client = bed.daemon(), bed.client()
    ask = {"supernet": tuned, "archs": [data.SMALL_ARCH, data.LARGE_ARCH]}
    check(data.SMALL_ARCH in problem(client.request("POST", "/evaluations", ask), 409, "conflict", "/archs/1")["detail"], "the one that can be scored is named")
    problem(client.request("POST", "/evaluations", {"supernet": tuned, "report": True}), 409, "conflict", "/report")
    problem(client.request("POST", "/evaluations", {"supernet": tuned, "split": "test"}), 409, "conflict", "/archs/0")
    told = stack.cli("supernet", "evaluate", "tuned", "--wait", "--no-headers").splitlines()
    equal([line.split("\t")[-1] for line in told], [data.SMALL_ARCH], "without a name, the one")
    equal([row["arch"] for row in client.items(f"/evaluations?supernet={tuned}")], [data.SMALL_ARCH], "what was scored")
    newest = client.get(f"/supernets/{tuned}")["checkpoint"]
    problem(client.request("POST", "/evaluations", {**ask, "checkpoint": newest}), 409, "conflict", "/archs/1")
    older = next(row["id"] for row in client.items(f"/supernets/{tuned}/checkpoints") if row["kept"] and row["id"] != newest)
    stack.wait_job(client.post("/evaluations", {**ask, "checkpoint": older}, 202)["job"]["id"])
    made = client.post("/supernets", {"name": "alone", "init_from": {"supernet": tuned}, "train": {**bed.TRAIN, "epochs": 0.2, "regime": "single"}}, 202)
    stack.wait_job(made["job"]["id"])
    largest = client.post("/evaluations", {"supernet": "alone"}, 202)
    equal(largest["archs"], [data.LARGE_ARCH], "a training that names none is of the largest")
    stack.wait_job(largest["job"]["id"])
    client.expect((200, 204), "DELETE", "/supernets/alone")
    problem(client.request("POST", "/evaluations", {"supernet": "net"}), 422, pointer="/archs")
    check("name archs to evaluate" in stack.cli_run("supernet", "evaluate", "net").stderr, "the client says so")


@test("phases of a training are told with their first steps, of each round anew", 90)
def phases():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    train = {**bed.TRAIN, "regime": "progressive", "epochs": 1}
    stack.train("phased", train)
    first = client.get("/supernets/phased/metrics")
    check(not any("phase" in row["name"] for row in first["series"]), "phases are no curves", [row["name"] for row in first["series"]])
    shares = {"full": 180, "kernel": 125, "depth_1": 25, "depth_2": 125, "expand_1": 25, "expand_2": 125}
    names = [row["name"] for row in first["phases"]]
    check(names[:2] == ["full", "kernel"] and names == [name for name in shares if name in names], "in the order of the regime", names)
    steps, of_all = client.get("/supernets/phased")["step"], sum(shares[name] for name in names)
    begins = [int(steps * sum(shares[name] for name in names[:i]) / of_all + 0.5) for i in range(len(names))]
    equal([row["step"] for row in first["phases"]], begins, "first steps, by the shares of once-for-all's epochs")
    check(all(abs(row["epoch"] - row["step"] / steps) < 1e-9 for row in first["phases"]), "epochs", first["phases"])
    stack.wait_job(client.post("/supernets/phased/train", {"train": {**train, "seed": 8}}, 202)["job"]["id"])
    both = client.get("/supernets/phased/metrics?series=loss&after=1000000")
    equal(([(row["name"], row["step"]) for row in both["phases"]], both["series"]), ([(name, begin) for name, begin in zip(names, begins)] + [(name, steps + begin) for name, begin in zip(names, begins)], []), "of both rounds")
    equal([(row["name"], row["step"]) for row in client.get("/supernets/net/metrics")["phases"]], [("train", 0)], "a regime of one")
    client.expect((200, 204), "DELETE", "/supernets/phased")


@test("evaluations and exports of unknown things are refused with their pointer")
def bad_evaluations():
    client, net = bed.client(), bed.supernet()
    problem(client.request("POST", "/evaluations", {"supernet": "no-such-net", "archs": [data.SMALL_ARCH]}), (404, 422), pointer="/supernet")
    problem(client.request("POST", "/evaluations", {"supernet": net, "archs": [data.SMALL_ARCH, "r28 | nonsense"]}), (400, 422), pointer="/archs/1")
    problem(client.request("POST", "/evaluations", {"supernet": net, "checkpoint": "ck_none", "archs": [data.SMALL_ARCH]}), (404, 422), pointer="/checkpoint")
    problem(client.request("POST", "/evaluations", {"supernet": net, "archs": [data.SMALL_ARCH], "split": "train"}), (400, 422), pointer="/split")
    problem(client.request("POST", "/evaluations", {"supernet": net}), (400, 422))
    problem(client.request("POST", "/exports", {"supernet": net, "arch": "x", "format": "onnx"}), (400, 422), pointer="/arch")
    problem(client.request("POST", "/exports", {"supernet": net, "arch": data.SMALL_ARCH, "format": "pickle"}), (400, 422), pointer="/format")


@test("an evaluation and an export run as jobs, and what they made can be read")
def evaluate_and_export():
    stack, client, net = bed.daemon(), bed.client(), bed.supernet()
    job = client.post("/evaluations", {"supernet": net, "archs": [data.SMALL_ARCH, data.LARGE_ARCH]}, 202)["job"]
    stack.wait_job(job["id"])
    rows = client.items(f"/evaluations?supernet={net}&split=validation")
    check({row["arch"] for row in rows} >= {data.SMALL_ARCH, data.LARGE_ARCH}, "evaluated archs", rows)
    check(all(0 <= row["top1"] <= 1 for row in rows), "top-1", rows)
    made = client.post("/exports", {"supernet": net, "arch": data.SMALL_ARCH, "format": "onnx"}, 202)
    stack.wait_job(made["job"]["id"])
    export = client.get(f"/exports/{made['export']['id']}")
    equal(export["state"], "ready", "state of the export")
    file = client.expect(200, "GET", f"/exports/{export['id']}/file")
    equal(len(file.body), export["bytes"], "bytes of the file")
    check("attachment" in file.headers.get("content-disposition", ""), "a download", file.headers)
    client.expect((200, 204), "DELETE", f"/exports/{export['id']}")
    problem(client.request("GET", f"/exports/{export['id']}/file"), 404, "not_found")


@test("what others depend on cannot be deleted, and they are listed by kind, id and name, in words too")
def dependants():
    client, net, stack = bed.client(), bed.supernet(), bed.daemon()

    def users(path):
        doc = problem(client.request("DELETE", path), 409, "conflict")
        for user in doc["users"]:
            equal(set(user), {"kind", "id", "name"}, "a user's members")
        return {(user["kind"], user["name"]) for user in doc["users"]}, doc

    found, doc = users("/datasets/bars")
    check(("supernet", "net") in found and 'supernet "net"' in doc["detail"], "the supernet is listed", doc)
    check(net in {user["id"] for user in doc["users"]}, "by its id", doc)
    done = stack.cli_run("dataset", "rm", "bars")
    check(done.returncode == 4 and 'supernet "net"' in done.stderr, "the command line says it", done.stderr)
    long = client.post("/supernets", {"name": "depends", "init_from": {"supernet": net}, "train": {**bed.TRAIN, "epochs": 200}}, 202)
    made = client.post("/datasets", {"name": "waits", "path": client.get("/datasets/bars")["path"]}, 202)
    found, doc = users(f"/supernets/{net}")
    check(("job", "train") in found, "a training that begins with it is listed", doc)
    found, doc = users("/datasets/waits")
    equal(found, {("job", "dataset")}, "the job that checks a data set is listed")
    equal(doc["users"][0]["id"], made["job"]["id"], "its id")
    client.post(f"/jobs/{long['job']['id']}/cancel", {}, 202)
    stack.wait_job(made["job"]["id"])
    client.expect(204, "DELETE", "/datasets/waits")
    stack.wait_job(long["job"]["id"], state="canceled")
    client.expect(204, "DELETE", "/supernets/depends")
    client.get(f"/supernets/{net}")


@test("tokens: kinds, uses and times out of range are refused")
def bad_tokens():
    client = bed.client()
    for body, pointer in (({"kind": "root"}, "/kind"), ({}, None), ({"kind": "enrolment", "uses": 0}, "/uses"), ({"kind": "enrolment", "expires_in_s": -5}, "/expires_in_s"), ({"kind": "enrolment", "uses": "many"}, "/uses"), ({"kind": "worker"}, "/kind")):
        problem(client.request("POST", "/tokens", body), (400, 422), pointer=pointer)
    made = client.post("/tokens", {"kind": "enrolment", "uses": 2, "label": "two boards"}, 201)
    check(made["token"] in made["command"] and ("espalier-worker" in made["command"] or "/worker-builds/install.sh" in made["command"]), "the command", made)
    equal(made["uses_left"], 2, "uses")
    for body, pointer in (({"kind": "api", "name": "pi4"}, "/name"), ({"kind": "api", "service": True}, "/service"), ({"kind": "enrolment", "name": "a/b"}, "/name"),
                          *(({"kind": "enrolment", "address": text}, "/address") for text in ("", "board", "ftp://a", "http://", "http://a b", "http://a/b", "http://a';reboot;'", "http://$(reboot)", "http://a`b`", "http://a\nb", "http://é", "http://u@a", "http://" + "a" * 300))):
        problem(client.request("POST", "/tokens", body), (400, 422), pointer=pointer)
    asked = client.post("/tokens", {"kind": "enrolment", "name": "pi4", "address": "https://[fd00::1]:8443"}, 201)
    check("https://[fd00::1]:8443" in asked["command"] and "INSECURE" not in asked["command"].upper(), "the address", asked)
    plain = client.post("/tokens", {"kind": "enrolment", "address": "http://10.0.0.5:8080"}, 201)["command"]
    check("ESPALIER_INSECURE_LAN=1" in plain, "plain http is asked for by name", plain)
    equal(client.get(f"/tokens/{asked['id']}"), {key: asked[key] for key in ("id", "kind", "scope", "label", "name", "device", "expires_at", "uses_left", "created_at")}, "the token, without its secret")


@test("a repeated request for a token is told which it was, without its secret, which is nowhere stored")
def repeated_token():
    client = bed.client()
    for kind in ("api", "enrolment"):
        first, again = [client.expect(201, "POST", "/tokens", {"kind": kind}, {"Idempotency-Key": f"repeated-{kind}"}).doc for _ in range(2)]
        equal((again["id"], again["token"]), (first["id"], None), "the repeat")
        check(first["token"] not in str(again), "the secret in the repeat", again)
        data = bed.daemon().data_dir
        check(all(first["token"].encode() not in path.read_bytes() for path in data.glob("espalier.db*")), "the secret in the database")


@test("jobs can be listed by state and kind, and their logs read in pieces")
def jobs():
    client = bed.client()
    bed.supernet()
    done = client.items("/jobs?state=done")
    check(done and all(row["state"] == "done" for row in done), "done jobs", done)
    trainings = client.items("/jobs?kind=train")
    check(trainings and all(row["kind"] == "train" for row in trainings), "trainings", trainings)
    job = next(row for row in trainings if row["state"] == "done")
    whole = client.get(f"/jobs/{job['id']}/log")["text"]
    text, offset = "", 0
    while True:
        piece = client.get(f"/jobs/{job['id']}/log?offset={offset}&limit=64")
        text += piece["text"]
        offset = piece["next_offset"]
        if piece["end"]:
            break
    equal(text, whole, "the log in pieces")
    path, lines = bed.daemon().data_dir / "jobs" / job["id"] / "log", ["first", "größer", "x" * 9000, "last"]
    path.write_text("".join(f"{line}\n" for line in lines))
    size = path.stat().st_size
    tail = lambda n: client.get(f"/jobs/{job['id']}/log?tail={n}")
    equal((tail(1 << 20)["text"], tail(1 << 20)["offset"]), (path.read_text(), 0), "all of a short log")
    equal((tail(5), tail(9004)["text"]), ({"text": "last\n", "offset": size - 5, "next_offset": size, "end": True}, "last\n"), "whole lines")
    equal((tail(9006)["text"], tail(9007)["text"]), (f"{'x' * 9000}\nlast\n", f"{'x' * 9000}\nlast\n"), "a line that begins there, or a character later")
    equal(tail(9015)["text"], f"größer\n{'x' * 9000}\nlast\n", "by bytes")
    equal(tail(3)["text"], "st\n", "the end of a longer line")
    path.write_text("ä" * 100)
    equal(tail(3)["text"], "ä", "of whole characters")
    path.write_text("".join(f"{line}\n" for line in lines))
    equal(bed.daemon().cli("job", "logs", job["id"], "--tail", "1"), "last", "by the command line")
    equal(bed.daemon().cli("job", "logs", job["id"], "-n", "3").split("\n")[0], "größer", "three lines")
    equal(bed.daemon().cli("job", "logs", job["id"], "-n", "99"), path.read_text().strip(), "more than there are")
    path.write_text(whole)
    for query in ("tail=0", "tail=1048577", "tail=5&offset=0", "tail=5&limit=64", "tail=x"):
        check(client.request("GET", f"/jobs/{job['id']}/log?{query}").status in (400, 422), query)
    problem(client.request("POST", f"/jobs/{job['id']}/cancel", {}), 409, "conflict")
    problem(client.request("POST", f"/jobs/{job['id']}/retry", {}), 409, "conflict")


@test("a profile is removed with what was measured on it once no worker offers it and nothing uses it, by the command line too")
def removed_profile():
    client, stack = bed.client(), bed.daemon()
    bed.supernet()  # with it the space
    board = Board(stack.port, "leaves").enrol(stack.enrolment_token())
    profile = f"/profiles/{board.profile_id}"
    asked = client.post("/measurements", {"profile": board.profile_id, "space": "tiny", "archs": [bed.LARGE_ARCH]}, 202)["items"][0]["id"]
    made = client.post("/tables", {"profile": board.profile_id, "space": "tiny", "method": "brief"}, 202)
    wait_for("the board's work", lambda: (board.work_once(wait_s=1), client.get(f"/tables/{made['table']['id']}")["state"] == "ready" and asked in board.measured)[1], 60)
    equal((client.get(profile)["offered"], client.get(profile)["removed"]), (True, False), "while its board is there")
    equal([(u["kind"], u["name"]) for u in problem(client.request("DELETE", profile), 409, "conflict")["users"]], [("device", "leaves")], "who offers it")
    client.expect(204, "DELETE", f"/devices/{board.device_id}")
    equal((client.get(profile)["offered"], client.get(profile)["removed"]), (False, True), "once its board is gone")
    refused = problem(client.request("DELETE", profile), 409, "conflict")
    equal([(u["kind"], u["id"]) for u in refused["users"]], [("table", made["table"]["id"])], "its tables")
    check("the profile is used by others (table \"tiny\")" in refused["detail"], "which are named", refused["detail"])
    check(board.profile_id not in [p["id"] for p in client.items("/profiles")], "it is not listed with the others")
    equal([p["removed"] for p in client.items("/profiles?removed=true") if p["id"] == board.profile_id], [True], "unless asked for")
    problem(client.request("GET", "/profiles?removed=yes"), 400)
    stack.cli("latency", "rm", made["table"]["id"])
    check(board.profile_id in stack.cli("latency", "profiles", "--all"), "latency profiles --all")
    check(board.profile_id not in stack.cli("latency", "profiles"), "latency profiles")
    equal(stack.cli("profile", "rm", board.profile_id).strip(), f"{board.profile_id}: removed", "profile rm")
    problem(client.request("GET", profile), 404)
    problem(client.request("GET", f"/measurements/{asked}"), 404)
    problem(client.request("DELETE", profile), 404)
    idle = Board(stack.port, "never asked").enrol(stack.enrolment_token())
    client.expect(204, "DELETE", f"/devices/{idle.device_id}")
    client.expect(204, "DELETE", f"/profiles/{idle.profile_id}")


@test("a table is removed when no job fills it, by the command line too; its job is gone then")
def removed_table():
    client, profile = bed.client(), bed.profile()
    board = f"/devices/{client.get(f'/profiles/{profile}')['device']}"
    client.post("/spaces", data.space(name="removable", resolutions=[20]), 201)  # no table of others is in the way
    client.expect(200, "PATCH", board, {"state": "paused"})  # so that no table is full before it is asked for
    try:
        for by_hand in (False, True):
            made = client.post("/tables", {"profile": profile, "space": "removable", "method": "full"}, 202)
            path, job = f"/tables/{made['table']['id']}", made["job"]["id"]
            check(job in str(problem(client.request("DELETE", path), 409, "conflict")["users"]), "the job that fills it")
            client.request("POST", f"/jobs/{job}/cancel", {})
            wait_for("the end of its job", lambda: bed.daemon().job(job)["state"] == "canceled")
            if by_hand:
                bed.daemon().cli("latency", "rm", made["table"]["id"])
            else:
                client.expect(204, "DELETE", path)
            problem(client.request("GET", path), 404)
            problem(client.request("DELETE", path), 404)
            equal(bed.daemon().job(job)["progress"], None, "progress of a job whose table is gone")
            check(client.request("POST", f"/jobs/{job}/retry", {}).status in (409, 410), "a retry of its job")
    finally:
        client.expect(200, "PATCH", board, {"state": "active"})


@test("a checkpoint is removed when nothing needs it, by the command line too; one that is needed tells by whom", 60)
def removed_checkpoint():
    client, stack = bed.client(), bed.daemon()
    bed.supernet()
    stack.train("thinned", bed.TRAIN)
    rows = sorted(client.items("/supernets/thinned/checkpoints"), key=lambda row: row["step"])
    check(len(rows) >= 2, "checkpoints to choose from", rows)
    refused = problem(client.request("DELETE", f"/checkpoints/{rows[-1]['id']}"), 409, "conflict")
    check(("supernet", "thinned") in [(row["kind"], row["name"]) for row in refused["users"]], "whose newest it is", refused)
    stack.cli("supernet", "evaluate", "thinned", data.SMALL_ARCH, "--checkpoint", rows[0]["id"], "--wait")
    refused = problem(client.request("DELETE", f"/checkpoints/{rows[0]['id']}"), 409, "conflict")
    equal([row["kind"] for row in refused["users"]], ["evaluation"], "what went by it")
    problem(client.request("DELETE", "/checkpoints/ck_none"), 404)
    training = client.post("/supernets/thinned/train", {"train": {**bed.TRAIN, "epochs": 500}}, 202)["job"]["id"]
    wait_for("the training", lambda: stack.job(training)["state"] == "running")
    refused = problem(client.request("DELETE", f"/checkpoints/{rows[0]['id']}"), 409, "conflict")
    equal([row["kind"] for row in refused["users"]], ["supernet", "job", "evaluation"], "while it is trained on")
    check(training in [row["id"] for row in refused["users"]], "the training", refused)
    client.expect((200, 202), "POST", f"/jobs/{training}/cancel", {})
    stack.wait_job(training, state="canceled")
    client.expect(204, "DELETE", "/supernets/thinned")  # with all of them
    problem(client.request("DELETE", f"/checkpoints/{rows[-1]['id']}"), 404)
    for by_hand in (False, True):
        answer = client.post("/supernets", {"name": "thinned", "space": "tiny", "dataset": "bars", "train": bed.TRAIN}, 202)
        stack.wait_job(answer["job"]["id"])
        old = min(client.items("/supernets/thinned/checkpoints"), key=lambda row: row["step"])["id"]
        if by_hand:
            check("removed" in stack.cli("checkpoint", "rm", old), "the words")
        else:
            client.expect(204, "DELETE", f"/checkpoints/{old}")
        check(old not in [row["id"] for row in client.items("/supernets/thinned/checkpoints")], "it is gone")
        client.expect(204, "DELETE", "/supernets/thinned")
