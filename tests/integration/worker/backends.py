"""Back ends of the worker: real workers whose boards are simulated, or whose networks a command runs."""
import os
import time

import bed
from suite import check, equal, test, wait_for

FLAT = "gmacs=1e6,gbps=1e6,op_us=0,launch_us=1000"  # every network takes a millisecond


def worker(name, config, backend="sim", *options):
    """A worker with a back end, and its profile."""
    process = bed.daemon().start_worker(name, "--backend", backend, "--backend-config", config, *options)
    profile = wait_for(f"the enrolment of {name}", lambda: bed.daemon().profile_of(name), 15)
    return process, profile


def device(profile):
    return bed.client().get(f"/devices/{profile['device']}")


def failed(name, text, seconds=30):
    """The measurement fails, once and for all, and says why."""
    doc = bed.wait_state(name, ("failed", "accepted"), seconds)
    check(doc["state"] == "failed" and text in str(doc["error"]), f"fails with {text}:", doc["state"], doc["error"])
    return doc


@test("a simulated board measures what its model says, and says that it is simulated")
def simulated():
    process, profile = worker("simulated", FLAT + ",noise=0.01")
    equal((profile["runtime"], profile["precision"]), ("simulated", "fp32"), "the profile")
    check("simulated" in profile["name"], "its name says so", profile["name"])
    board = device(profile)
    equal(board["fingerprint"]["simulated"]["launch_us"], 1000, "the model in the fingerprint")
    check(board["fingerprint"]["cpu_model"].startswith("simulated"), "the processor", board["fingerprint"]["cpu_model"])
    equal(board["local"], False, "it needs no quiet machine")
    check("simulated" in bed.daemon().cli("device", "ls"), "device ls says so")
    for name in bed.ask(profile["id"], 2, "full"):
        doc = bed.wait_state(name, "accepted")
        check(990 < doc["median_us"] < 1010 and doc["low_us"] < 1000 < doc["high_us"], "a millisecond", doc["low_us"], doc["median_us"], doc["high_us"])
        check(doc["n"] >= 100, "samples", doc["n"])
    noise = wait_for("the noise floor", lambda: device(profile)["noise"])
    check(0.02 < noise < 0.035, "90 % − 10 % quantile of 1 % noise", noise)
    check(process.running(), "the worker runs on")


@test("another model is another revision of the profile")
def revisions():
    process, profile = worker("revised", FLAT)
    process.stop()
    bed.daemon().start_worker("revised", "--backend", "sim", "--backend-config", FLAT + ",noise=0.02")
    wait_for("another revision", lambda: bed.client().get(f"/profiles/{profile['id']}")["revision"]["id"] != profile["revision"]["id"])


@test("a board that crashes now and then measures in the end; one that only hangs is quarantined")
def crashes():
    _, profile = worker("crashing", FLAT + ",crash=0.2,seed=4")
    names = bed.ask(profile["id"], 6)
    states = [bed.wait_state(name, ("accepted", "failed")) for name in names]
    equal({doc["state"] for doc in states}, {"accepted"}, "all are measured")
    check(any(doc["attempt"] > 1 for doc in states), "some at a later attempt", [doc["attempt"] for doc in states])
    _, profile = worker("hanging", FLAT + ",hang=1,patience_s=0.2")
    bed.ask(profile["id"], 2)
    wait_for("its quarantine", lambda: device(profile)["health"] == "quarantined", 30)
    messages = [row[0] for row in bed.rows("SELECT r.data FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ?", profile["id"])]
    check(messages and all("hung" in text for text in messages), "each says that it hung", messages)


@test("lack of memory and networks that a board cannot run are no reason to try again")
def refusals():
    for option, text in (("oom=1", "oom"), ("unsupported=1", "unsupported")):
        _, profile = worker(option[:5], f"{FLAT},{option}")
        (name,) = bed.ask(profile["id"])
        doc = failed(name, text)
        equal(doc["attempt"], 1, "attempts")


@test("a board that tells impossible times or none is refused; nothing of it counts")
def lies():
    for lie in ("impossible", "garbage"):
        _, profile = worker(lie, f"{FLAT},lie={lie}")
        (name,) = bed.ask(profile["id"])
        failed(name, "invalid")
        equal(bed.measurement(name)["median_us"], None, "its median")


@test("a board that throttles in the middle of measurements becomes suspect")
def throttling():
    _, profile = worker("throttling", FLAT + ",throttle_every_s=3.1,throttle_s=1.3")
    names = bed.ask(profile["id"], 14, "full")
    for name in names:
        bed.wait_state(name, "accepted")
    equal(device(profile)["health"], "suspect", "its health")


@test("a simulated board killed with -9 in a measurement measures it anew")
def killed():
    process, profile = worker("sim-killed", FLAT + ",pace=1")
    (name,) = bed.ask(profile["id"], 1, "full")
    bed.wait_state(name, "running")
    children = wait_for("the measuring process", process.children, 10)
    process.kill()
    wait_for("its end", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 5)
    bed.daemon().start_worker("sim-killed", "--backend", "sim", "--backend-config", FLAT + ",pace=1")
    doc = bed.wait_state(name, "accepted", 40)
    equal((doc["attempt"], bed.counted(name)), (2, 1), "attempt, results counted")


@test("a back end that is not there, or is configured wrongly, ends the worker with a sentence")
def wrong_options():
    for options, text in (
        (["--backend", "tpu"], "native"), (["--backend", "native", "--backend-config", "x=1"], "no configuration"),
        (["--backend", "sim", "--backend-config", "speed=1"], "speed"), (["--backend", "sim", "--backend-config", "noise=-1"], "noise"),
    ):
        process = bed.daemon().start_worker("wrong", *options)
        wait_for("its end", lambda: not process.running(), 10)
        log = (bed.daemon().root / "worker-wrong.log").read_text()
        check(text in log, f"the log says {text}", log)
