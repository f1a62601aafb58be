"""Folders of images as data sets: registered, decoded into a cache, trained on, refused."""
import os
import shutil
import subprocess
import time

import cv2
import numpy

import bed
import data
from client import problem
from png import png, write_pictures
from stack import CLI
from suite import check, equal, test, wait_for


def added(name, folder, state="done", **fields):
    """The data set after its check, and its job."""
    stack, client = bed.daemon(), bed.client()
    answer = client.post("/datasets", {"name": name, "path": str(folder), **fields}, 202)
    job = stack.wait_job(answer["job"]["id"], state=state)
    return client.get(f"/datasets/{name}"), job


@test("a folder of images becomes a data set with names of classes, and is trained on")
def folder_of_images():
    stack, client = bed.daemon(), bed.client()
    folder = write_pictures(stack.root / "pictures")
    (folder / "train/red/broken.png").write_bytes(png(20, 20, bytes(1200))[:60])
    doc, _ = added("pictures", folder)
    equal(doc["format"], "folder", "format")
    equal(doc["classes"], ["blue", "green", "red"], "classes")
    equal((doc["channels"], doc["height"], doc["width"], doc["n_classes"]), (3, 20, 20, 3), "shape")
    equal((doc["n_train"], doc["n_validation"], doc["n_test"]), (108, 12, 30), "splits")
    equal((doc["n_files"], doc["n_skipped"]), (151, 1), "files")
    equal(doc["skipped"], [{"name": "train/red/broken.png", "reason": "it ends early"}], "skipped")
    cache = stack.data_dir / "datasets" / doc["id"] / "images.cache"
    made = cache.stat()
    space = data.space(name="colours", input_channels=3, n_classes=3, resolutions=[16, 20])
    client.post("/spaces", space, 201)
    answer = client.post("/supernets", {"name": "colours", "space": "colours", "dataset": "pictures", "train": {**bed.TRAIN, "epochs": 8, "batch": 32}}, 202)
    stack.wait_job(answer["job"]["id"])
    net = client.get("/supernets/colours")
    check(net["top1_largest"] > 0.8, "three colours are told apart", net["top1_largest"])
    equal((cache.stat().st_ino, cache.stat().st_mtime_ns), (made.st_ino, made.st_mtime_ns), "the cache is the one that was made first")
    check("not the one that was checked" not in client.get(f"/jobs/{answer['job']['id']}/log")["text"], "no word of changes")
    (folder / "train/red/003.png").unlink()
    job = stack.wait_job(client.post("/supernets", {"name": "fewer", "space": "colours", "dataset": "pictures", "train": {**bed.TRAIN, "epochs": 1, "batch": 32}}, 202)["job"]["id"])
    log = client.get(f"/jobs/{job['id']}/log")["text"]
    check(f"not the one that was checked (revision {doc['revision']})" in log and "now it has 108 training, 11 validation and 30 test images" in log, "the change is told", log)


@test("images smaller than the resolution: enlarged with a warning up to twice, refused beyond at once")
def small_images():
    stack, client = bed.daemon(), bed.client()
    added("small", write_pictures(stack.root / "small-pictures", side=8))
    for name, resolution in (("half", 16), ("larger", 20)):
        client.post("/spaces", data.space(name=name, input_channels=3, n_classes=3, resolutions=[8, resolution]), 201)
    body = {"name": "small", "space": "larger", "dataset": "small", "train": {**bed.TRAIN, "epochs": 1, "batch": 32}}
    doc = problem(client.request("POST", "/supernets", body), 422, pointer="/dataset")
    check("8x8 pixels and the space's largest resolution is 20: they would be enlarged 2.5 times" in doc["detail"], "the figure", doc)
    job = stack.wait_job(client.post("/supernets", {**body, "space": "half"}, 202)["job"]["id"])
    log = client.get(f"/jobs/{job['id']}/log")["text"]
    check("8x8 pixels and are enlarged 2.00 times to the space's largest resolution, 16" in log, "the warning", log)
    check("enlarged" not in "".join(client.get(f"/jobs/{row['id']}/log")["text"] for row in client.items("/jobs") if row["id"] != job["id"]), "no warning of others")


@test("folders of images that cannot be used are refused with the reason")
def refused_folders():
    stack = bed.daemon()
    root = stack.root / "bad-pictures"
    write_pictures(root / "many", n=8)
    for i in range(3):
        (root / "many/train/red" / f"{i:03}.png").write_bytes(b"nothing")
    doc, job = added("bad-many", root / "many", "failed")
    check("3 of 30 images cannot be used (10.0 %, at most 5.0 % may be)" in job["error"]["message"], "the share", job["error"])
    check("train/red/000.png" in job["error"]["message"], "the first name", job["error"])
    equal(doc["state"], "failed", "state")
    doc, _ = added("good-many", root / "many", max_skipped=0.2)
    equal(doc["n_skipped"], 3, "n_skipped")
    write_pictures(root / "single", classes=("only",), n=4)
    check("one class cannot be learnt" in added("bad-single", root / "single", "failed")[1]["error"]["message"], "one class")
    write_pictures(root / "other", n=4)
    shutil.move(root / "other/test/red", root / "other/test/purple")
    check("purple" in added("bad-other", root / "other", "failed")[1]["error"]["message"], "an unknown test class")
    for field, value in (("side", 0), ("side", 1025), ("max_skipped", 1.5), ("validation", -1)):
        problem(bed.client().request("POST", "/datasets", {"name": "x", "path": str(root / "many"), field: value}), 422, pointer=f"/{field}")


OCTETS = {"Content-Type": "application/octet-stream"}


def write_many(folder, n=300):
    """One large picture under many names: seconds of decoding."""
    noise = numpy.random.default_rng(1).integers(0, 256, (1000, 1000, 3), numpy.uint8)
    done, coded = cv2.imencode(".jpg", noise)
    check(done, "a JPEG")
    for name, count in (("train", n), ("val", 4)):
        for label in ("a", "b"):
            (folder / name / label).mkdir(parents=True)
            first = folder / name / label / "0.jpg"
            first.write_bytes(coded.tobytes())
            for i in range(1, count // 2):
                os.link(first, first.with_name(f"{i}.jpg"))
    return folder


@test("a data set that is canceled while its images are decoded ends at once, leaves no cache behind, and is made by a retry", 90)
def canceled_while_decoding():
    stack, client = bed.daemon(), bed.client()
    folder = write_many(stack.root / "many-pictures")
    made = client.post("/datasets", {"name": "many", "path": str(folder), "validation": 10}, 202)
    job = made["job"]["id"]
    wait_for("decoding", lambda: (stack.job(job)["progress"] or {}).get("done", 0) > 0, 30, 0.02)
    begun = time.monotonic()
    client.post(f"/jobs/{job}/cancel", {})
    doc = stack.wait_job(job, 20, state="canceled")
    took = time.monotonic() - begun
    print(f"# from cancel to the end of a data set job: {took:.1f} s at image {doc['progress'] and doc['progress']['done']}")
    check(took < 3, "seconds from cancel to its end", took)
    dataset = client.get("/datasets/many")
    equal((dataset["state"], dataset["error"]["code"]), ("failed", "canceled"), "the data set")
    left = [path.name for path in (stack.data_dir / "datasets" / dataset["id"]).glob("*")]
    equal([name for name in left if name.startswith("images.cache")], [], "what is left of the cache")
    client.post(f"/jobs/{job}/retry", {})
    stack.wait_job(job, 60)
    dataset = client.get("/datasets/many")
    equal((dataset["state"], dataset["error"], dataset["n_files"], dataset["n_skipped"]), ("ready", None, 304, 0), "the data set behind a retry")


def piece(upload, path, offset, content, **headers):
    quoted = "".join(chr(b) if chr(b).isalnum() or chr(b) in "-._" else f"%{b:02X}" for b in path.encode())
    return bed.client().request("POST", f"/uploads/{upload}/pieces?path={quoted}&offset={offset}", content, {**OCTETS, **headers})


@test("a folder of the client's machine is uploaded and becomes a data set")
def upload_by_cli():
    stack, client = bed.daemon(), bed.client()
    outside = stack.root.parent / f"{stack.root.name}-client"
    try:
        write_pictures(outside / "mine", n=8)
        (outside / "mine/.hidden").write_bytes(b"x")
        (outside / "mine/train/red/link.png").symlink_to("/etc/passwd")
        big = bytes(range(256)) * 10240  # 2.5 MiB: three pieces
        (outside / "mine/notes.bin").write_bytes(big)
        text = stack.cli_run("dataset", "add", "mine", outside / "mine")
        check(text.returncode != 0 and "--upload copies" in text.stderr, "the hint", text.stderr)
        stack.cli("dataset", "add", outside / "mine", "--upload", "--wait")
        doc = client.get("/datasets/mine")
        equal((doc["n_files"], doc["n_skipped"], doc["classes"]), (30, 0, ["blue", "green", "red"]), "the data set")
        folder = stack.data_dir / "uploads" / os.path.basename(doc["path"])
        sent = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        have = {str(path.relative_to(outside / "mine")) for path in (outside / "mine").rglob("*") if path.is_file() and not path.is_symlink() and path.name != ".hidden"}
        equal(sent, have, "files")
        for name in have:
            equal((folder / name).read_bytes(), (outside / "mine" / name).read_bytes(), name)
        problem(client.request("DELETE", f"/uploads/{folder.name}"), 409)
        problem(piece(folder.name, "train/red/000.png", 0, b"other"), 409)
        problem(client.request("POST", "/datasets", {"name": "mine-again", "upload": folder.name}), 409)
    finally:
        shutil.rmtree(outside, ignore_errors=True)


@test("an upload goes on after a restart of the daemon, refuses bad paths, and keeps to its limits")
def upload_by_pieces():
    stack, client = bed.daemon(), bed.client()
    upload = client.post("/uploads", {}, 201)["id"]
    for path in ("", "/etc/passwd", "../x", "a/../../x", "a//b", ".ssh", "a/.b", "a/./b", "a/\n", "a/", "x" * 256, "/".join("a" * 9), "a" * 1025):
        problem(piece(upload, path, 0, b"x"), (400, 422))
    equal(list((stack.data_dir / "uploads" / upload).iterdir()), [], "files after bad paths")
    equal(piece(upload, "train/a/1.png", 0, b"hello").doc, {"file_bytes": 5}, "the first piece")
    problem(piece(upload, "train/a/1.png", 4, b"x"), 409)
    problem(piece(upload, "train/a", 0, b"x"), 409)
    problem(piece(upload, "train/a/1.png/x", 0, b"x"), 409)
    problem(piece(upload, "big", 0, bytes((1 << 20) + 1)), 413)
    problem(piece(upload, "json", 0, b"{}", **{"Content-Type": "application/json"}), 415)
    problem(client.request("POST", f"/uploads/{upload}/pieces?path=a", b"x", OCTETS), 422)
    stack.restart()
    equal(piece(upload, "train/a/1.png", 5, b" there").doc, {"file_bytes": 11}, "a piece after the restart")
    state = client.get(f"/uploads/{upload}?path=train/a/1.png")
    equal((state["bytes"], state["files"], state["file_bytes"]), (11, 1, 11), "state")
    equal(piece(upload, "train/a/1.png", 0, b"anew").doc, {"file_bytes": 4}, "from the beginning")
    equal(client.get(f"/uploads/{upload}")["bytes"], 4, "bytes")
    for name in ("up_nothing", "up_../../x", "..", "x"):
        problem(piece(name, "a", 0, b"x"), (404, 405))
    problem(client.request("POST", "/datasets", {"name": "x", "upload": "up_nothing"}), 404, pointer="/upload")
    problem(client.request("POST", "/datasets", {"name": "x", "upload": upload, "path": "/x"}), 422, pointer="/path")
    equal(client.request("DELETE", f"/uploads/{upload}").status, 204, "DELETE")
    check(not (stack.data_dir / "uploads" / upload).exists(), "the folder is gone")
    problem(client.request("GET", f"/uploads/{upload}"), 404)


@test("an upload that was broken off leaves no data set, and goes on by --resume")
def broken_upload():
    stack, client = bed.daemon(), bed.client()
    outside = stack.root.parent / f"{stack.root.name}-broken"
    try:
        write_pictures(outside / "cut", n=60, side=8)
        client.post("/uploads", {}, 201)  # so that there is a folder of uploads
        before = set((stack.data_dir / "uploads").iterdir())
        sender = subprocess.Popen([CLI, "dataset", "add", "cut", outside / "cut", "--upload"], env={**os.environ, "ESPALIER_URL": stack.url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2000):
            new = set((stack.data_dir / "uploads").iterdir()) - before
            if new and sum(1 for path in new.copy().pop().rglob("*.png")) > 5:
                break
            time.sleep(0.002)
        sender.kill()
        sender.wait()
        (folder,) = new
        check(not any(row["name"] == "cut" for row in client.items("/datasets")), "no data set of a broken upload")
        if sender.returncode == -9:
            check(len(list(folder.rglob("*.png"))) < 225, "the upload was broken off")
        stack.cli("dataset", "add", "cut", outside / "cut", "--upload", "--resume", folder.name, "--wait")
        equal(client.get("/datasets/cut")["n_files"], 225, "files")
        stack.kill()
        old = stack.data_dir / "uploads/up_000000000000000000000000aa"
        old.mkdir()
        (old / "left.png").write_bytes(b"x")
        stack.start()
        for _ in range(100):
            if not old.exists():
                break
            time.sleep(0.05)
        check(not old.exists() and folder.exists(), "the old upload is swept, that of a data set stays")
    finally:
        shutil.rmtree(outside, ignore_errors=True)
