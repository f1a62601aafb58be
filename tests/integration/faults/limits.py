"""What one job may take of the machine."""
import bed
from stack import Stack
from suite import check, equal, test


@test("a job that needs more memory than it may take fails once, with the figures; others go on", 120)
def memory():
    stack = Stack("limits", bed.daemon().root).start("--job-memory", "96MiB")
    equal(stack.client.get("/system")["job_memory_bytes"], 96 << 20, "what the daemon says")
    stack.add_data("bars", bed.daemon().root / "bars")
    stack.add_space()
    job = stack.client.post("/supernets", {"name": "large", "space": "tiny", "dataset": "bars", "train": {**bed.TRAIN, "batch": 1000}}, 202)["job"]["id"]
    doc = stack.wait_job(job, 60, state="failed")
    equal(doc["error"]["code"], "out_of_memory", "the error's code")
    equal(doc["error"]["pointer"], "/train/batch", "the error's pointer")
    check("96 MiB" in doc["error"]["message"] and "--job-memory" in doc["error"]["message"], "the error's text", doc["error"])
    equal(len(doc["attempts"]), 1, "attempts")
    stack.train("modest", {**bed.TRAIN, "epochs": 1, "batch": 20}, seconds=60)
    stack.stop()
