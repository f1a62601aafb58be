"""A checkpoint of another program answers as PyTorch does: by its own BN statistics, on any images, without a data set of its own."""
import gzip
import json
import os
import random
import shutil
import struct
import subprocess
import sys

import cv2
import numpy

import bed
import data
from client import problem
from conversions import GOLDEN, tensors
from suite import Skipped, check, equal, once, test

ARCH = "r8 | d1 c8 k3e1 | d1 c8 k5e2"
SMALL = "r8 | d1 c8 k3e1 | d1 c8 k3e1"
TOLERANCE = 1e-5  # of the largest logit; the design's is 1e-4


def wanted():
    return {arch: numpy.array(rows) for arch, rows in json.loads((GOLDEN / "exact_logits.json").read_text()).items()}


def array(path, name):
    kind, shape, raw = tensors(path)[name]
    return numpy.frombuffer(raw, {"F32": "<f4", "I64": "<i8"}[kind]).reshape(shape)


def note(path):
    raw = path.read_bytes()
    return json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]])["__metadata__"]


def close(have, want, what):
    error = abs(have.astype(numpy.float64) - want).max() / abs(want).max()
    check(error <= TOLERANCE, f"{what}: the largest difference", error)


def write_thirds(folder):
    """8 x 8 noise in three classes, told by their brightness."""
    folder.mkdir()
    generator = random.Random(3)
    for prefix, n in (("train", 240), ("t10k", 60)):
        labels = bytes(i % 3 for i in range(n))
        pixels = b"".join(bytes(generator.randrange(40 + 70 * label, 110 + 70 * label) for _ in range(64)) for label in labels)
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(struct.pack(">IIII", 0x803, n, 8, 8) + pixels, 1, mtime=0))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">II", 0x801, n) + labels, 1, mtime=0))
    return folder


@once
def imported():
    """The committed checkpoint, without a data set; the data sets "thirds", which fits it, and "bars", which does not."""
    stack = bed.daemon()
    bed.supernet()
    if bed.client().request("GET", "/spaces/import").status == 404:
        bed.client().post("/spaces", json.loads((GOLDEN / "import.json").read_text()), 201)
    for name in ("exact.pth", "exact_input.pth"):
        shutil.copy(GOLDEN / name, stack.root / name)
    stack.add_data("thirds", write_thirds(stack.root / "thirds"), validation=120)
    stack.cli("supernet", "import", "exact", "--space", "import", "--file", stack.root / "exact.pth", "--wait")
    return "exact"


def run(path, body, state="done"):
    """The job of a request, when it has ended."""
    answer = bed.client().post(path, {"supernet": imported(), **body}, 202)
    return bed.daemon().wait_job(answer["job"]["id"], 30, state)


def row(**wanted_members):
    """The one evaluation of the imported supernet that has these members."""
    found = [item for item in bed.client().items(f"/evaluations?supernet={imported()}") if all(item[key] == value for key, value in wanted_members.items())]
    equal(len(found), 1, f"evaluations with {wanted_members}")
    return found[0]


@test("logits of an imported checkpoint are PyTorch's, by its own BN statistics and for images of a file, and it needs no data set")
def logits_of_input():
    stack = bed.daemon()
    imported()
    for number, (arch, want) in enumerate(wanted().items()):
        path = stack.root / f"logits{number}.safetensors"
        stack.cli("supernet", "logits", "exact", arch, "--input", stack.root / "exact_input.pth", "--raw", "--file", path)
        close(array(path, "logits"), want, arch)
        notes = note(path)
        equal((notes["espalier.arch"], notes["espalier.bn_statistics"], sorted(tensors(path))), (arch, "running", ["logits"]), "what the file says of itself")
    equal(notes["espalier.checkpoint"], bed.client().items("/supernets/exact/checkpoints")[0]["hash"], "the checkpoint in the file")
    first = array(stack.root / "logits0.safetensors", "logits")
    check(abs(first - wanted()[ARCH]).max() > 0.1, "archs that answer differently", first)


@test("a network that is exported with the checkpoint's own statistics gives PyTorch's logits in another runtime")
def network_raw():
    stack = bed.daemon()
    imported()
    path, answers = stack.root / "raw.onnx", stack.root / "raw.safetensors"
    stack.cli("arch", "export", "exact", ARCH, "--raw", "--file", path)
    stack.cli("supernet", "logits", "exact", ARCH, "--dataset", "thirds", "--images", "3", "--raw", "--file", answers)
    net = cv2.dnn.readNetFromONNX(path.read_bytes())
    for image, want in zip(array(answers, "images"), array(answers, "logits")):
        net.setInput(numpy.ascontiguousarray(image[None]), "image")
        close(net.forward().reshape(-1), want.astype(numpy.float64), "logits of an image")
    problem(bed.client().request("POST", "/exports", {"supernet": "exact", "arch": ARCH, "format": "onnx"}), 409, "conflict", "/supernet")
    compiled(stack, answers)
    stack.cli("arch", "export", "exact", ARCH, "--dataset", "thirds", "--file", path)


MAIN = """#include <stdio.h>
#include <stdlib.h>
#include "net.h"
int main(void) {
    static float image[ESPALIER_NET_CHANNELS * ESPALIER_NET_HEIGHT * ESPALIER_NET_WIDTH], logits[ESPALIER_NET_OUTPUTS];
    float *scratch = malloc(ESPALIER_NET_SCRATCH * sizeof(float));
    while (scratch && fread(image, sizeof image, 1, stdin) == 1) {
        espalier_net_run(image, scratch, logits);
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return !scratch;
}
"""


def compiled(stack, answers):
    """The same network as C, compiled, answers the same; its weights are those of the ONNX file."""
    folder = stack.root / "c-export"
    folder.mkdir()
    stack.cli("arch", "export", "exact", ARCH, "--raw", "--dataset", "thirds", "--format", "c", "--file", folder / "net.h")
    (folder / "main.c").write_text(MAIN)
    subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "main.c", "-o", "main"], cwd=folder, check=True, timeout=60)
    images, want = array(answers, "images"), array(answers, "logits")
    done = subprocess.run([folder / "main"], input=images.astype("<f4").tobytes(), capture_output=True, check=True, timeout=60)
    close(numpy.frombuffer(done.stdout, "<f4").reshape(want.shape), want.astype(numpy.float64), "logits of the compiled network")
    text = (folder / "net.h").read_text()
    check(f"espalier.arch: {ARCH}" in text and "espalier.image_mean: " in text, "what the file says of itself", text[:600])
    first = text.split("_op0_weight[", 1)[1].split("{ /*", 1)[1].split("*/", 1)[1].split("};", 1)[0]
    first = numpy.array([float(number.rstrip("f")) for number in first.replace("\n", "").split(",") if number.strip()])
    stack.cli("arch", "export", "exact", ARCH, "--raw", "--dataset", "thirds", "--file", folder / "net.onnx")
    check(first.astype("<f4").tobytes() in (folder / "net.onnx").read_bytes(), "weights of the first op are in the ONNX file, bit for bit")


@test("evaluations on a data set that is named: by the checkpoint's own statistics they are what the logits say, recalibrated they are others")
def evaluations():
    stack, client = bed.daemon(), bed.client()
    imported()
    said = stack.cli("supernet", "evaluate", "exact", ARCH, SMALL, "--dataset", "thirds", "--raw", "--wait")
    equal(len(said.splitlines()), 3, f"rows\n{said}")
    revision = client.get("/datasets/thirds")["revision"]
    raw = row(arch=ARCH, recalibration_images=0)
    equal((raw["dataset_revision"], raw["top1_raw"], raw["split"]), (revision, raw["top1"], "validation"), "what it is a score of")
    path = stack.root / "all.safetensors"
    stack.cli("supernet", "logits", "exact", ARCH, "--dataset", "thirds", "--images", "1000", "--raw", "--file", path)
    logits, labels = array(path, "logits").astype(numpy.float64), array(path, "labels")
    equal((len(labels), list(tensors(path))), (raw["images"], ["labels", "images", "logits"]), "images")
    chances = numpy.exp(logits - logits.max(1, keepdims=True))
    loss = -numpy.log(chances[numpy.arange(len(labels)), labels] / chances.sum(1)).mean()
    equal(round(raw["top1"] * len(labels)), int((logits.argmax(1) == labels).sum()), "images that are told rightly")
    check(abs(loss - raw["loss"]) <= 1e-5 * loss, "the loss", loss, raw["loss"])
    again = stack.root / "again.safetensors"
    stack.cli("supernet", "logits", "exact", ARCH, "--input", path, "--raw", "--file", again)
    check(tensors(again)["logits"] == tensors(path)["logits"], "the same bits when its images come back as an input")
    stack.cli("supernet", "evaluate", "exact", ARCH, "--dataset", "thirds", "--wait")
    recalibrated = next(item for item in client.items("/evaluations?supernet=exact") if item["arch"] == ARCH and item["recalibration_images"] > 0)
    check(abs(recalibrated["loss"] - raw["loss"]) > 0.01, "another loss", recalibrated["loss"], raw["loss"])
    stack.cli("supernet", "logits", "exact", ARCH, "--dataset", "thirds", "--images", "1000", "--file", again)
    check(abs(array(again, "logits") - array(path, "logits")).max() > 0.01, "other logits")
    equal(note(again)["espalier.bn_statistics"], "recalibrated", "what the file says")


@test("an imported supernet is searched on a data set that is named, and the data set is kept as long as the search", 90)
def searched():
    client = bed.client()
    objectives = [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}]
    body = {"name": "of exact", "objectives": objectives, "accuracy": "evaluated", "strategy": "random", "evaluations": 16, "population": 4, "measure_front": 0, "calibration_nets": 0}
    problem(client.request("POST", "/searches", {**body, "supernet": imported()}), 409, "conflict", "/supernet")
    run("/searches", {**body, "dataset": "thirds"})
    check(client.get("/searches/of%20exact")["dataset"] == client.get("/datasets/thirds")["id"], "the search's data set")
    check(len(client.get("/searches/of%20exact/front")["items"]) >= 1, "a front")
    doc = problem(client.request("DELETE", "/datasets/thirds"), 409, "conflict")
    check("of exact" in str(doc), "the search is listed", doc)


if os.environ.get("ESP_LONG", "0").strip("0"):

    @test("a checkpoint of once-for-all's own shape, saved by PyTorch, answers at several resolutions as PyTorch does", 120)
    def whole_network():
        sys.path.append(str(GOLDEN))
        try:
            import generate_ofa
        except ImportError as error:
            raise Skipped(f"needs PyTorch: {error}")
        torch = generate_ofa.torch
        stack = bed.daemon()
        space = generate_ofa.Space("ofa_mbv3", 1.0)
        net = generate_ofa.settled(space)
        torch.save({"state_dict": {name: tensor.detach().float() for name, tensor in net.p.items()}}, stack.root / "whole.pth")
        single = generate_ofa.Net(space, torch.float64)
        single.p = {name: tensor.detach().float().double() for name, tensor in net.p.items()}
        stack.cli("supernet", "import", "whole", "--space", "ofa_mbv3", "--file", stack.root / "whole.pth", "--wait")
        generator = random.Random(5)
        for subnet in [space.corner(True, 224), space.corner(False, 128)] + [space.random(generator) for _ in range(4)]:
            images = generate_ofa.images("eval", 2, subnet[0])
            torch.save({"images": images.float()}, stack.root / "whole-input.pth")
            path = stack.root / "whole.safetensors"
            stack.cli("supernet", "logits", "whole", space.text(subnet), "--input", stack.root / "whole-input.pth", "--raw", "--file", path)
            with torch.no_grad():
                want = single.forward(subnet, images, "eval").numpy()
            error = abs(array(path, "logits") - want).max() / abs(want).max()
            print(f"# {space.text(subnet)[:24]}…: largest difference {error:.1e} of the largest logit")
            check(error <= 1e-4, "the largest difference", error)


@test("what does not fit is refused with its field: classes, shapes, places, members of other formats", 90)
def refused():
    stack, client = bed.daemon(), bed.client()
    imported()
    logits = {"supernet": "exact", "arch": ARCH, "format": "logits", "recalibrate": False}
    evaluation = {"supernet": "exact", "archs": [ARCH]}
    for path, body, status, pointer in (
            ("/evaluations", evaluation, 409, "/supernet"),
            ("/evaluations", {**evaluation, "dataset": "bars"}, 422, "/dataset"),
            ("/evaluations", {**evaluation, "dataset": "none"}, 404, "/dataset"),
            ("/evaluations", {**evaluation, "dataset": "thirds", "recalibrate": 1}, 422, "/recalibrate"),
            ("/evaluations", {**evaluation, "dataset": "thirds", "recalibrate": False, "report": True}, 422, "/recalibrate"),
            ("/exports", logits, 409, "/supernet"),
            ("/exports", {**logits, "dataset": "bars"}, 422, "/dataset"),
            ("/exports", {**logits, "dataset": "thirds", "images": 0}, 422, "/images"),
            ("/exports", {**logits, "dataset": "thirds", "images": 1001}, 422, "/images"),
            ("/exports", {**logits, "input": "/etc/passwd"}, 403, "/input"),
            ("/exports", {**logits, "input": str(stack.root / "none.pth")}, 404, "/input"),
            ("/exports", {**logits, "input": str(stack.root / "exact_input.pth"), "images": 2}, 422, "/images"),
            ("/exports", {"supernet": "exact", "format": "safetensors", "recalibrate": False}, 422, "/recalibrate"),
            ("/exports", {"supernet": "exact", "format": "onnx", "arch": ARCH, "recalibrate": False, "input": str(stack.root / "exact_input.pth")}, 422, "/input")):
        answer = client.request("POST", path, body)
        problem(answer, (status, 400) if status == 422 else status, pointer=pointer)
    error = run("/exports", {**logits, "input": str(stack.root / "exact.pth")}, "failed")["error"]
    equal((error["code"], error["pointer"]), ("invalid_value", "/input"), "a file of many tensors without images")
    wide = stack.root / "wide.safetensors"
    header = json.dumps({"x": {"dtype": "F32", "shape": [1, 1, 16, 16], "data_offsets": [0, 1024]}}).encode()
    wide.write_bytes(struct.pack("<Q", len(header)) + header + bytes(1024))
    error = run("/exports", {**logits, "input": str(wide)}, "failed")["error"]
    check((error["code"], error["pointer"]) == ("invalid_value", "/input") and "[1, 1, 16, 16]" in error["message"], "images of another size", error)
    wide.write_bytes(wide.read_bytes()[:500])
    error = run("/exports", {**logits, "input": str(wide)}, "failed")["error"]
    equal((error["code"], error["pointer"]), ("malformed", "/input"), "a truncated file")


@test("scores of other data sets and of running statistics are listed, and are not taken for the score of a pin")
def pins():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    stack.add_data("few bars", data.write_bars(stack.root / "few-bars", 200, 60), validation=100)
    stack.cli("arch", "pin", "net", data.LARGE_ARCH)
    stack.cli("supernet", "evaluate", "net", data.LARGE_ARCH, "--wait")
    score = client.items("/supernets/net/pins")[0]["top1"]
    stack.cli("supernet", "evaluate", "net", data.LARGE_ARCH, "--dataset", "few bars", "--wait")
    stack.cli("supernet", "evaluate", "net", data.LARGE_ARCH, "--raw", "--wait")
    rows = [item for item in client.items("/evaluations?supernet=net&split=validation") if item["arch"] == data.LARGE_ARCH]
    check(len({(item["dataset_revision"], item["recalibration_images"]) for item in rows}) >= 3, "three kinds of scores", rows)
    check(len({item["top1"] for item in rows}) >= 2, "scores that differ", rows)
    equal(client.items("/supernets/net/pins")[0]["top1"], score, "the pin's score")


@test("an export is removed, with its file by and by; logits give no right to the test images")
def removed():
    stack, client = bed.daemon(), bed.client()
    made = client.post("/exports", {"supernet": bed.supernet(), "arch": data.SMALL_ARCH.replace("k3e2", "k5e2"), "format": "logits", "images": 1}, 202)
    stack.wait_job(made["job"]["id"])
    test_images = {"supernet": bed.supernet(), "archs": [made["export"]["arch"]], "split": "test"}
    problem(client.request("POST", "/evaluations", test_images), 409, "conflict", "/archs/0")
    check(f"{made['export']['id']}\tlogits\tready" in stack.cli("export", "ls"), "the list", stack.cli("export", "ls"))
    equal(stack.cli("export", "show", made["export"]["id"], "--get", "arch"), made["export"]["arch"], "its arch")
    job = stack.cli("arch", "export", bed.supernet(), data.SMALL_ARCH, "--wait", "--get", "job.id")
    equal((stack.job(job)["kind"], stack.job(job)["state"]), ("export", "done"), "what a program is told of an export that it waited for")
    stack.cli("export", "rm", made["export"]["id"])
    problem(client.request("GET", f"/exports/{made['export']['id']}"), 404, "not_found")
    check(made["export"]["id"] not in [item["id"] for item in client.items("/exports")], "the list")
