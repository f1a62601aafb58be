"""What is old and not used goes when it is asked for; kill -9 in between leaves nothing that refers to nothing."""
import json
import os
import threading
import time

import bed
from client import Events
from stack import checkpoint_steps
from suite import check, equal, test, wait_for


def counts(doc):
    return {row["kind"]: row["count"] for row in doc["kinds"]}


def folders(stack, name):
    path = stack.data_dir / name
    return {entry.name for entry in path.iterdir()} if path.exists() else set()


def check_whole(stack):
    """Every row has its files and every file its row."""
    wait_for("the sweep", lambda: folders(stack, "jobs") <= {row[0] for row in bed.rows(stack, "SELECT id FROM jobs")}, 15)
    files = {row[0].split("/")[-1] for row in bed.rows(stack, "SELECT path FROM exports WHERE path IS NOT NULL")}
    wait_for("the sweep of exports", lambda: folders(stack, "exports") == files, 15)
    equal(bed.rows(stack, "PRAGMA foreign_key_check"), [], "references to nothing")


@test("prune shows what is old and not used, removes only that, and a daemon killed in the middle leaves nothing dangling", 120)
def prune():
    source, _ = bed.template()
    stack = source.copy("prune").start()
    client = stack.client
    for _ in range(3):
        made = client.post("/exports", {"supernet": "calm", "arch": client.get("/spaces/tiny")["smallest"]["arch"], "format": "onnx"}, 202)
        stack.wait_job(made["job"]["id"])
        stack.wait_job(client.post("/evaluations", {"supernet": "calm", "report": True}, 202)["job"]["id"])
    steps, table = checkpoint_steps(stack, "calm"), client.items("/tables")
    old = time.time() - 7200
    for file in stack.data_dir.glob("supernets/*/checkpoints/*"):
        os.utime(file, (old, old))

    found = json.loads(stack.cli("prune", "--dry-run", "--older-than", "0s", "--json"))
    kinds = counts(found)
    check(kinds["jobs"] == 4 and kinds["exports"] == 3 and kinds["checkpoints"] >= 1 and "searches" not in kinds, "what would go", found)
    check(next(row for row in found["kinds"] if row["kind"] == "exports")["bytes"] > 1000, "the size of exports", found)
    equal(counts(client.post("/prune", {"dry_run": True}, 200)), {kind: 0 for kind in kinds}, "nothing is 30 days old")
    refused = stack.cli_run("prune", "--older-than", "0s")
    check(refused.returncode == 2 and "--yes" in refused.stderr and "exports" in refused.stdout, "without --yes", refused)
    blind = stack.cli_run("prune", "--older-than", "0s", "--json")
    check(blind.returncode == 2 and "--json" in blind.stderr and not blind.stdout, "--json without --yes", blind)
    equal(counts(client.post("/prune", {"dry_run": True, "older_than_s": 0}, 200)), kinds, "nothing has gone")
    for body, pointer in (({"kinds": ["all"]}, "/kinds/0"), ({"kinds": []}, "/kinds"), ({"older_than_s": -1}, "/older_than_s"), ({"force": True}, "/force"), ({"dry_run": None}, "/dry_run")):
        answer = client.expect(422, "POST", "/prune", body).doc
        equal(answer["errors"][0]["pointer"], pointer, f"what is wrong with {body}")

    job = client.post("/searches", {**bed.SEARCH, "name": "dropped", "measure_front": 0, "calibration_nets": 0, "objectives": [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}]}, 202)["job"]["id"]
    wait_for("its folder", lambda: job in folders(stack, "jobs") and stack.job(job)["state"] == "running", 30)
    client.request("POST", "/searches/dropped/cancel", {})
    wait_for("the search to end", lambda: client.get("/searches/dropped")["state"] == "canceled", 30)
    named = json.loads(stack.cli("prune", "--dry-run", "--older-than", "0s", "--kind", "searches", "--json"))["kinds"]
    check(len(named) == 1 and named[0]["count"] == 1 and named[0]["bytes"] > 100, "a search's folder counts", named)
    dropped = client.get("/searches/dropped")["id"]
    with Events(stack.port, topics="search,job") as stream:
        removed = json.loads(stack.cli("prune", "--older-than", "0s", "--kind", "searches", "--json", "--yes"))["kinds"]
        told = stream.until(lambda topic, doc: topic == "search" and doc == {"id": dropped, "removed": True}, 10)
        check(("job", {"id": job, "removed": True}) in [row[1:] for row in told], "word of its job", told)
    equal(removed, named, "what went is what was shown")
    wait_for("its folder to go", lambda: job not in folders(stack, "jobs"), 15)

    jobs = {row["id"] for row in client.items("/jobs") if row["kind"] == "evaluate"}
    with Events(stack.port) as stream:
        newest = stream.begun()

    def ask():
        try:
            client.request("POST", "/prune", {"older_than_s": 0})
        except OSError:
            pass  # it is killed

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.02)
    stack.kill()
    asking.join()
    stack.start()
    check_whole(stack)
    removed = stack.cli("prune", "--older-than", "0s", "--yes")
    check("exports" in removed, "what was removed", removed)
    check_whole(stack)
    equal(set(counts(stack.client.post("/prune", {"dry_run": True, "older_than_s": 0}, 200)).values()), {0}, "nothing is left to prune")
    equal(stack.client.items("/exports"), [], "exports")
    with Events(stack.port, topics="job,supernet", after=newest) as stream:  # also of a removal whose answer nobody heard
        told = stream.until(lambda topic, doc: topic == "supernet" and doc["name"] == "calm", 10)
    gone = {doc["id"] for _, topic, doc in told if topic == "job" and doc.get("removed")}
    check(len(jobs) == 3 and jobs <= gone, "word of jobs that went", jobs, gone)
    kept = checkpoint_steps(stack, "calm")
    check(max(kept) == max(steps) and len(kept) < len(steps), "checkpoints", kept)
    wait_for("older files to go", lambda: len(list(stack.data_dir.glob("supernets/*/checkpoints/step-*"))) <= len(kept), 15)
    equal(stack.client.items("/tables"), table, "the table")
    stack.wait_job(stack.client.post("/evaluations", {"supernet": "calm", "report": True}, 202)["job"]["id"])
    used = stack.client.get("/system")["disk"]
    check(used["bytes"] > 0 and sum(row["bytes"] for row in used["kinds"]) == used["bytes"], "use of the disk", used)
    check("checkpoints" in stack.cli("doctor") and "uploads" in stack.cli("status"), "doctor and status tell it")
    stack.stop()
