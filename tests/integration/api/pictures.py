"""Folders of images as data sets: registered, decoded into a cache, trained on, refused."""
import shutil

import bed
import data
from client import problem
from png import png, write_pictures
from suite import check, equal, test


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
