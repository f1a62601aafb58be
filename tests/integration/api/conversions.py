"""Weights that leave as a file and come back, and weights of another program, by client and API."""
import gzip
import json
import os
import shutil
import struct

import cv2
import numpy
import onnx

import bed
import data
from client import problem
from suite import ROOT, check, equal, once, test

GOLDEN = ROOT / "tests/golden"
MIDDLE_ARCH = "r28 | d2 c16 k3e2 k5e1 | d2 c24 k5e2 k3e4"


def tensors(path):
    """Name -> (kind of number, shape, bytes) of a safetensors file, read here by its specification."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    return {name: (row["dtype"], row["shape"], raw[8 + length + row["data_offsets"][0]:8 + length + row["data_offsets"][1]]) for name, row in header.items()}


def scores(supernet, archs):
    """What an evaluation job finds of these subnets, in this order."""
    stack = bed.daemon()
    job = stack.client.post("/evaluations", {"supernet": supernet, "archs": archs}, 202)["job"]["id"]
    stack.wait_job(job, 90)
    rows = {row["arch"]: row for row in stack.client.items(f"/evaluations?supernet={supernet}")}
    return [(rows[arch]["top1"], rows[arch]["loss"], rows[arch]["images"]) for arch in archs]


@test("weights that are exported and imported again are the same bits, and score the same", 150)
def there_and_back():
    stack = bed.daemon()
    bed.supernet()
    stack.train("there", {**bed.TRAIN, "augment": {"pad": 2, "flip": True}})  # what recalibration takes for imported weights
    archs = [data.SMALL_ARCH, MIDDLE_ARCH, data.LARGE_ARCH]
    first, second = stack.root / "first.safetensors", stack.root / "second.safetensors"
    stack.cli("supernet", "export", "there", "--file", first)
    told = stack.cli("supernet", "import", "back", "--space", "tiny", "--file", first, "--dataset", "bars", "--wait")
    back = stack.client.get("/supernets/back")
    equal((back["state"], back["dataset_name"], back["step"]), ("ready", "bars", 0), f"the imported supernet\n{told}")
    stack.cli("supernet", "export", "back", "--file", second)
    before, after = tensors(first), tensors(second)
    equal(sorted(after), sorted(before), "names of tensors")
    different = [name for name in before if before[name] != after[name]]
    equal(different, [], "tensors with other bits")
    check(any(any(bits) for _, _, bits in before.values()), "weights that are not all zero")
    wanted, found = scores("there", archs), scores("back", archs)
    check(len(set(wanted)) == 3, "networks that can be told apart", wanted)
    equal(found, wanted, "top-1, loss and images of three subnets")


@once
def foreign_space():
    """The space of the files in tests/golden."""
    bed.client().post("/spaces", json.loads((GOLDEN / "import.json").read_text()), 201)
    for name in ("import_legacy.pth", "import_zip.pth", "import_evil.pth"):
        shutil.copy(GOLDEN / name, bed.daemon().root / name)


@test("weights of PyTorch become a supernet that can be exported and begun with", 90)
def foreign():
    stack, client = bed.daemon(), bed.client()
    foreign_space()
    for number, name in enumerate(("import_legacy.pth", "import_zip.pth")):
        made = client.post("/imports", {"name": f"torch{number}", "space": "import", "path": str(stack.root / name)}, 202)
        result = stack.wait_job(made["job"]["id"])["result"]
        equal((result["tensors"], result["n_classes"], result["transforms_missing"]), (42, 3, 0), f"what was read of {name}")
        equal(client.get(f"/supernets/torch{number}")["state"], "ready", "state")
        stack.cli("supernet", "export", f"torch{number}", "--file", stack.root / f"torch{number}.safetensors")
    files = [tensors(stack.root / f"torch{number}.safetensors") for number in range(2)]
    equal(len([name for name in files[1] if not name.endswith("num_batches_tracked")]), 42, "tensors of the export")
    equal(sorted(files[0]), sorted(files[1]), "names, whatever they were called in the file")


@test("what is no file of weights, or none of the space, fails with the reason, and a path outside is refused", 90)
def refused():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    foreign_space()
    made = client.post("/imports", {"name": "evil", "space": "import", "path": str(stack.root / "import_evil.pth")}, 202)
    error = stack.wait_job(made["job"]["id"], state="failed")["error"]
    equal((error["code"], error["pointer"]), ("malformed", "/path"), "of an object that would run a command")
    made = client.post("/imports", {"name": "alien", "space": "tiny", "path": str(stack.root / "import_zip.pth")}, 202)
    error = stack.wait_job(made["job"]["id"], state="failed")["error"]
    equal((error["code"], error["pointer"]), ("mismatch", "/space"), "of a file of another space")
    os.mkfifo(stack.root / "pipe.pth")
    made = client.post("/imports", {"name": "piped", "space": "import", "path": str(stack.root / "pipe.pth")}, 202)
    error = stack.wait_job(made["job"]["id"], 20, state="failed")["error"]
    check((error["code"], error["pointer"]) == ("invalid_value", "/path") and "pipe.pth is no regular file" in error["message"], "of a pipe that nobody writes to", error)
    cut = stack.root / "cut.safetensors"
    cut.write_bytes((GOLDEN / "import.safetensors").read_bytes()[:5000])
    done = stack.cli_run("supernet", "import", "cut", "--space", "import", "--file", cut, "--wait")
    check(done.returncode != 0 and " failed: " in done.stderr, "a truncated file", done.stdout + done.stderr)
    problem(client.request("POST", "/imports", {"name": "x", "space": "tiny", "path": "/etc/passwd"}), 403, pointer="/path")
    problem(client.request("POST", "/imports", {"name": "x", "space": "none", "path": str(cut)}), (404, 422), pointer="/space")


@test("a space of mixed kinds of blocks is trained, searched and exported", 150)
def mixed_blocks():
    stack = bed.daemon()
    bed.supernet()
    space = json.loads((ROOT / "tests/integration/common/mixed_28.json").read_text())
    stack.add_space({**space, "name": "mixed"})
    stack.cli("supernet", "train", "mixed", "--space", "mixed", "--dataset", "bars", "--set", json.dumps({**bed.TRAIN, "epochs": 2}), "--wait", timeout=100)
    stack.cli("search", "create", "mixed", "--supernet", "mixed", "--accuracy", "evaluated", "--strategy", "linas", "-n", "40", "--population", "20", "--baseline", "none", "--measure-front", "0", "--wait", timeout=100)
    front = stack.client.get("/searches/mixed/front")["items"]
    check(len(front) >= 3, "points of the front", front)
    for point in front:
        equal(point["metrics"]["top1"]["source"], "evaluated", "accuracy of a point")
    best = stack.cli("search", "front", "mixed", "--best", "--get", "arch")
    chosen = stack.root / "mixed.onnx"
    stack.cli("arch", "export", "mixed", best, "--file", chosen)
    model = onnx.load(chosen)
    onnx.checker.check_model(model)
    check(sum(node.op_type == "Conv" for node in model.graph.node) > 5, "convolutions of the exported network", best)


def test_images(folder):
    """Pixels [N, 28, 28] in [0, 1] and labels of the test split of the data set "bars"."""
    pixels = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    return numpy.frombuffer(pixels, numpy.uint8).reshape(-1, 28, 28).astype(numpy.float32) / 255, numpy.frombuffer(labels, numpy.uint8)


def numbers(text):
    return numpy.array([float(word) for word in text.split(",")], numpy.float32)


def answer(net, image):
    net.setInput(image[None], "image")
    return net.forward().reshape(-1)


@test("an exported network answers test images in another runtime as it was scored", 150)
def exported_answers():
    stack = bed.daemon()
    bed.supernet()
    for arch in (data.SMALL_ARCH, data.LARGE_ARCH):
        stack.cli("arch", "pin", "net", arch)
        stack.cli("supernet", "evaluate", "net", arch, "--test", "--wait")
        scored = next(row for row in stack.client.items(f"/evaluations?supernet={bed.supernet()}") if row["arch"] == arch and row["split"] == "test")
        path = stack.root / "answers.onnx"
        stack.cli("arch", "export", "net", arch, "--file", path)
        model = onnx.load(path)
        onnx.checker.check_model(model)
        notes = {note.key: note.value for note in model.metadata_props}
        equal(notes["espalier.arch"], arch, "the arch in the file")
        pixels, labels = test_images(stack.root / "bars")
        images = (pixels[:, None] - numbers(notes["espalier.image_mean"])) / numbers(notes["espalier.image_deviation"])
        net = cv2.dnn.readNetFromONNX(path.read_bytes())
        logits = numpy.array([answer(net, image) for image in images.astype(numpy.float32)], numpy.float64)
        chances = numpy.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        loss = -numpy.log(chances[numpy.arange(len(labels)), labels]).mean()
        equal(scored["images"], len(labels), "images")
        equal(round(scored["top1"] * len(labels)), int((logits.argmax(1) == labels).sum()), f"images that {arch} tells rightly")
        check(abs(loss - scored["loss"]) <= 1e-4 * loss, "the loss", (loss, scored["loss"]))
