"""Backups of a daemon that works: whole or not there, and what is put back goes on as if nothing had happened."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import bed
from stack import CLI, Stack, checkpoint_steps
from suite import check, equal, once, test, wait_for


def lines_of(folder):
    return [json.loads(line) for line in (folder / "manifest").read_text().splitlines()]


def listed(folder):
    """Path -> hash of each file of a backup, which must be there just so, and no other."""
    files = {row["path"]: row["hash"] for row in lines_of(folder)[1:-1]}
    for path, want in files.items():
        equal(hashlib.blake2b((folder / path).read_bytes(), digest_size=32).hexdigest(), want, f"the hash of {path}")
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    equal(sorted(there - {"manifest"}), sorted(files), "files of the backup")
    return files


def write_manifest(folder, rows):
    """The list with its last line made anew."""
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows[:-1])
    end = {**rows[-1], "hash": hashlib.blake2b(text.encode(), digest_size=32).hexdigest()}
    (folder / "manifest").write_text(text + json.dumps(end, separators=(",", ":")) + "\n")


def killed(seconds, *words, url=""):
    """Runs the client and kills it after so long; whether it had ended before."""
    process = subprocess.Popen([CLI, *map(str, words)], env={**os.environ, "ESPALIER_URL": url}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False


@once
def backed_up():
    """A daemon, and a backup that was made while it trained: (stack, folder)."""
    calm = bed.calm()
    stack = Stack("backed-up", bed.daemon().root).start()
    stack.add_data("bars", bed.daemon().root / "bars")
    stack.add_space()
    job = stack.client.post("/supernets", {"name": "calm", "space": "tiny", "dataset": "bars", "train": bed.TRAIN}, 202)["job"]["id"]
    wait_for("a checkpoint", lambda: len(checkpoint_steps(stack, "calm")) >= 1, 40)
    folder = stack.root / "night"
    told = json.loads(stack.cli("backup", folder, "--json"))
    equal(stack.job(job)["state"], "running", "the training, after the backup")
    equal((told["files"], told["path"]), (len(listed(folder)), str(folder)), "what is said of it")
    stack.wait_job(job, 60)
    again = bed.Trained(stack, "calm")
    equal((again.hashes[again.last], again.curves), (calm.hashes[calm.last], calm.curves), "the training that was backed up in its middle: last checkpoint and curves")
    equal(stack.client.get("/backups"), {"items": [], "next": None}, "backups that are left at the daemon")
    equal(list((stack.data_dir / "backups").iterdir()), [], "folders of backups at the daemon")
    return stack, folder


@test("a backup of a daemon that trains, put back elsewhere: the training goes on and ends with the same bits", 150)
def restored():
    calm = bed.calm()
    stack, folder = backed_up()
    twin = Stack("put-back", bed.daemon().root)
    equal(twin.cli_run("restore", folder).returncode, 2, "without the data folder's name")
    files = lambda: {path: path.stat().st_mtime_ns for path in stack.data_dir.glob("supernets/*/checkpoints/*")}
    before = (files(), stack.client.get("/supernets/calm"), len(stack.client.items("/jobs")))
    check(stack.daemon.running() and before[0], "the daemon that was backed up works meanwhile")
    twin.cli("restore", folder, "--data-dir", twin.data_dir)
    equal(sorted(path.name for path in twin.data_dir.iterdir() if path.name != "espalierd.lock"), ["espalier.db", "jobs", "restored.json", "supernets"], "what lies there")
    twin.start()
    check(not (twin.data_dir / "restored.json").exists(), "paths were changed")
    check(stack.daemon.running() and twin.daemon.running() and stack.port != twin.port, "both daemons run, side by side")
    jobs = {row["kind"]: row["id"] for row in twin.client.items("/jobs")}
    twin.wait_job(jobs["train"], 60)
    again = bed.Trained(twin, "calm")
    equal((again.hashes[again.last], again.curves), (calm.hashes[calm.last], calm.curves), "last checkpoint and curves")
    equal((files(), stack.client.get("/supernets/calm"), len(stack.client.items("/jobs"))), before, "the daemon beside it is as it was")
    elsewhere = twin.cli("restore", folder, "--data-dir", twin.data_dir, status=4)
    equal(elsewhere, "", "nothing is put where a daemon runs")
    twin.stop()
    check("is not empty" in twin.cli_run("restore", folder, "--data-dir", twin.data_dir).stderr, "nor into a folder that is not empty")


@test("paths of the data folder are those of the new one: an upload is found, a search goes on after its end", 90)
def moved():
    stack, folder = backed_up()
    source = stack.root / "bars"
    if not source.exists():
        shutil.copytree(bed.daemon().root / "bars", source)
    stack.cli("dataset", "add", "sent", source, "--upload", "--validation", "300", "--wait")
    search = {"name": "small", "supernet": "calm", "objectives": [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}], "constraints": [],
              "strategy": "nsga2", "baseline": None, "accuracy": "evaluated", "evaluations": 16, "population": 8, "measure_front": 2}
    stack.wait_job(stack.client.post("/searches", search, 202)["job"]["id"])
    second = stack.root / "second"
    stack.cli("backup", second)
    equal(stack.cli_run("backup", second).returncode, 4, "a backup where one is")
    shutil.rmtree(source)
    twin = Stack("moved", bed.daemon().root)
    twin.cli("restore", second, "--data-dir", twin.data_dir)
    twin.start()
    path = twin.client.get("/datasets/sent")["path"]
    check(path.startswith(str(twin.data_dir) + "/uploads/"), "where the data set lies", path)
    twin.train("more", {**bed.TRAIN, "epochs": 1})
    stack.stop()
    away = stack.data_dir.rename(stack.root / "away")
    twin.wait_job(twin.client.post("/searches/small/extend", {"evaluations": 24}, 202)["job"]["id"])
    equal(twin.client.get("/searches/small")["evaluations"], 24, "evaluations of the search that went on")
    away.rename(stack.data_dir)
    twin.stop()


@test("kill -9 of a backup at any moment leaves none, or a whole one, and the next goes on", 60)
def killed_backup():
    stack, _ = backed_up()
    if not stack.daemon.running():
        stack.start()
    target = stack.root / "cut"
    for hundredths in (1, 4, 15, 21, 23, 25, 27):
        killed(hundredths / 100, "backup", target, url=stack.url)
        if target.exists():
            listed(target)
            shutil.rmtree(target)
    wait_for("the daemon's end of the last one", lambda: all(row["state"] == "ready" for row in stack.client.items("/backups")), 30)
    stack.cli("backup", target)
    listed(target)
    check(not target.with_name("cut.partial").exists(), "nothing else is left")
    for row in stack.client.items("/backups"):  # of those that were cut off before they knew of it
        stack.client.expect(204, "DELETE", f"/backups/{row['id']}")


@test("kill -9 of a restore at any moment: the daemon does not start on half of it, and the next run ends it", 60)
def killed_restore():
    _, folder = backed_up()
    twin = Stack("cut-restore", bed.daemon().root)
    for thousandths in (1, 3, 5, 8, 12, 18):
        ended = killed(thousandths / 1000, "restore", folder, "--data-dir", twin.data_dir)
        if (twin.data_dir / "restore.partial").exists() or not (twin.data_dir / "espalier.db").exists():
            continue
        check(ended or (twin.data_dir / "restored.json").exists(), "a restore that has ended")
        shutil.rmtree(twin.data_dir)
    shutil.rmtree(twin.data_dir, ignore_errors=True)
    twin.cli("restore", folder, "--data-dir", twin.data_dir)
    # Killed while it moved: half is in its place, half is not.
    partial = twin.data_dir / "restore.partial"
    (partial / "files").mkdir(parents=True)
    for name in ("jobs", "espalier.db"):
        (twin.data_dir / name).rename(partial / "files" / name)
    (partial / "moving").write_text(lines_of(folder)[0]["id"])
    done = subprocess.run([str(word) for word in twin.daemon_command()], capture_output=True, text=True, timeout=10)
    check(done.returncode == 2 and "broken off" in done.stderr, "a daemon on half a restore", done)
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    rows = lines_of(other)
    write_manifest(other, [{**rows[0], "id": "bk_" + "0" * 26}, *rows[1:]])
    check("another backup" in twin.cli_run("restore", other, "--data-dir", twin.data_dir).stderr, "another backup is not mixed in")
    twin.cli("restore", folder, "--data-dir", twin.data_dir)
    check(not partial.exists(), "it has ended")
    twin.start()
    equal(twin.client.get("/supernets/calm")["name"], "calm", "what was put back")
    twin.stop()


@test("a backup that is damaged, changed, of a newer version or leads elsewhere is refused, and nothing is put back", 60)
def refused():
    _, folder = backed_up()
    state = folder.with_name("empty")

    def attempt(change, code, what):
        broken = folder.with_name("broken")
        shutil.copytree(folder, broken)
        change(broken)
        done = bed.daemon().cli_run("restore", broken, "--data-dir", state)
        check(done.returncode == code and what in done.stderr, "the refusal", done)
        shutil.rmtree(broken)
        check(not (state / "espalier.db").exists(), "nothing is put back")
        shutil.rmtree(state, ignore_errors=True)

    def flip(broken):
        path = broken / "espalier.db"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def rows_with(at, **members):
        def change(broken):
            rows = lines_of(broken)
            rows[at].update(members)
            write_manifest(broken, rows)
        return change
    attempt(flip, 1, "damaged")
    attempt(rows_with(0, schema=999), 1, "newer version")
    attempt(rows_with(0, format=2), 1, "form 2")
    attempt(rows_with(1, path="../outside"), 1, "leads elsewhere")
    attempt(rows_with(1, path="/etc/passwd"), 1, "leads elsewhere")
    attempt(lambda broken: (broken / "manifest").write_text((broken / "manifest").read_text().replace('"bytes":', '"bytes": ', 1)), 1, "were changed")
    attempt(lambda broken: (broken / "manifest").write_text("\n".join((broken / "manifest").read_text().splitlines()[:-1]) + "\n"), 1, "end is missing")
    attempt(lambda broken: (broken / "espalier.db").unlink(), 3, "espalier.db")
    attempt(lambda broken: (broken / "manifest").unlink(), 3, "no list")
    check(not (folder.parent / "outside").exists(), "nothing leaves the folder")
