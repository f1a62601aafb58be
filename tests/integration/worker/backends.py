"""Back ends of the worker: real workers whose boards are simulated, or whose networks a command runs."""
import json
import os
import subprocess
import time
from pathlib import Path

import bed
from suite import ROOT, Skipped, check, equal, once, test, wait_for

FLAT = bed.FLAT


def worker(name, config, backend="sim", *options):
    """A worker with a back end, and its profile."""
    process = bed.daemon().start_worker(name, "--backend", backend, "--backend-config", config, *options)
    profile = bed.daemon().enrolled(name)
    return process, profile


RUNTIME = Path(__file__).resolve().parent / "runtime.py"
ADAPTER = ROOT / "devices/adapters/onnxruntime/espalier-onnxruntime.mjs"


def exec_config(name, **members):
    """A configuration for exec; its command is the test's own runtime unless members say otherwise."""
    path = bed.daemon().root / f"exec-{name}.json"
    path.write_text(json.dumps({"command": [str(RUNTIME), name], "runtime": "made-up", "check_outputs": False, "timeout_s": 20, **members}))
    return str(path)


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
    wait_for("its noise floor", lambda: device(profile)["noise"])
    process.stop()
    bed.daemon().start_worker("revised", "--backend", "sim", "--backend-config", FLAT + ",noise=0.02")
    wait_for("another revision", lambda: bed.client().get(f"/profiles/{profile['id']}")["revision"]["id"] != profile["revision"]["id"])
    history = lambda: bed.client().get(f"/devices/{profile['device']}/history")["revisions"]
    wait_for("its noise floor, by the reference network", lambda: history()[0]["noise"] is not None)
    new, old = history()
    equal((new["current"], old["current"], old["revision"]), (True, False, profile["revision"]["id"]), "the newest comes first")
    check(new["noise"] > old["noise"] > 0 and new["reference_us"] > 0, "each has its own", new, old)


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
        _, profile = worker(text, f"{FLAT},{option}")
        (name,) = bed.ask(profile["id"])
        doc = failed(name, text)
        equal(doc["attempt"], 1, "attempts")


@test("a board that tells impossible times or none is refused; nothing of it counts")
def lies():
    for lie in ("impossible", "garbage"):
        _, profile = worker(f"lie-{lie}", f"{FLAT},lie={lie}")
        (name,) = bed.ask(profile["id"])
        failed(name, "invalid")
        equal(bed.measurement(name)["median_us"], None, "its median")


ROOF = "gmacs=5,gbps=4,op_us=0.1,launch_us=5"  # bound by what it computes and fetches


few_archs = once(lambda: [bed.fresh_arch() for _ in range(5)])  # each board may be asked for the same


def lying(name, config, networks=2):
    """The profile of a board that lies until it is quarantined, and its measurements."""
    process, profile = worker(name, config)
    names = bed.ask(profile["id"], archs=few_archs()[:networks])
    wait_for("its quarantine", lambda: device(profile)["health"] == "quarantined", 60)
    process.stop()
    return profile, names


@test("boards that lie plausibly are found out: nothing of it counts, the reason is told, the board is quarantined", 180)
def plausible_lies():
    stack = bed.daemon()
    for lie, kind in (("fast", "below_roofline"), ("constant", "no_variance"), ("outputs", "wrong_outputs"), ("fingerprint", "other_fingerprint")):
        profile, names = lying(f"liar-{lie}", f"{ROOF},lie={lie}")
        told = device(profile)["doubt"]
        check(told["kind"] == kind and told["results"] >= 3, f"it is told that {kind}:", told)
        check(len(told["why"]) > 20, "a sentence", told)
        equal(bed.rows("SELECT count(*), sum(counted), count(DISTINCT doubt) FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ?", profile["id"]), [(told["results"], 0, 1)], "its results, those that count, kinds of doubt")
        equal({bed.measurement(name)["median_us"] for name in names}, {None}, "its medians")
        for words in (("device", "show", f"liar-{lie}"), ("device", "ls")):
            check(kind in stack.cli(*words), f"espalier {' '.join(words)} shows it")
        check(device(profile)["noise"] is None, "no noise floor was taken from it")


@test("a board that begins to lie after honest results is held against what it has shown; they stay", 120)
def later_lies():
    profile, (first, *_) = lying("turned", f"{FLAT},noise=0.01,lie=fast,honest=2", 5)
    doc = bed.wait_state(first, "accepted")
    check(900 < doc["median_us"] < 1100, "the honest result", doc["median_us"])
    told = device(profile)["doubt"]
    equal(told["kind"], "below_reference", f"what is told of {told}")
    good = bed.rows("SELECT count(*) FROM measurements WHERE profile = ? AND state = 'accepted'", profile["id"])[0][0]
    equal(good, 2, "accepted: the noise floor and the first network")
    # A person who knows better lets it go on; it lies no more.
    stack = bed.daemon()
    stack.cli("device", "set", "turned", "--state", "active")
    equal((device(profile)["health"], device(profile)["doubt"]), ("probation", None), "believed again")
    stack.start_worker("turned", "--backend", "sim", "--backend-config", f"{FLAT},noise=0.01")
    wait_for("its other model", lambda: bed.client().get(f"/profiles/{profile['id']}")["revision"]["id"] != profile["revision"]["id"])
    (name,) = bed.ask(profile["id"], archs=few_archs()[:1])
    bed.wait_state(name, "accepted")


@test("an honest board is believed however fast, steady or coarse it is")
def honest():
    for name, config in (("gpu-like", "gmacs=1e6,gbps=1e6,op_us=0.002,launch_us=0.5,noise=0.02"), ("steady", f"{FLAT},noise=0")):
        process, profile = worker(name, config)
        for row in bed.ask(profile["id"], archs=few_archs()[:2]):
            bed.wait_state(row, "accepted")
        equal(device(profile)["doubt"], None, "doubt")
        process.stop()


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


@test("a cancel reaches a measurement that runs within seconds, and the rest of its lease is measured", 120)
def canceled_in_the_middle():
    process, profile = worker("sim-canceled", FLAT + ",pace=1,noise=0.8")
    first, second = bed.ask(profile["id"], 2, "full")
    bed.wait_state(first, "running")
    wait_for("the measuring process", process.children, 10)
    bed.client().expect((200, 202), "POST", f"/measurements/{first}/cancel", {})
    begun = time.monotonic()
    wait_for("the worker to hear of it", lambda: f"{first} is not wanted any more" in process.log.read_text(), 10)
    check(time.monotonic() - begun < 4, "seconds until it heard", time.monotonic() - begun)
    bed.wait_state(second, ("accepted", "failed"), 60)
    equal((bed.measurement(first)["state"], bed.counted(first)), ("canceled", 0), "the one that was canceled")
    equal(bed.measurement(second)["attempt"], 1, "attempts of the other")
    process.stop()


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


@test("a command runs the networks: it keeps running, or gets arguments and is started each time", 120)
def command():
    stack = bed.daemon()
    once_command = [str(RUNTIME), "once", "{model}", "{threads}", "{runs}", "{samples}"]
    for name, members in (("good", {"version_command": ["/bin/echo", "made-up 7"]}), ("once", {"command": once_command})):
        _, profile = worker(f"exec-{name}", exec_config(name, **members), "exec")
        equal((profile["runtime"], profile["precision"]), ("made-up", "fp32"), "the profile")
        if name == "good":
            equal(device(profile)["fingerprint"]["exec"]["version"], "made-up 7", "the version in the fingerprint")
            check(str(RUNTIME) in device(profile)["fingerprint"]["exec"]["programs"], "the program in the fingerprint")
        (measured,) = bed.ask(profile["id"])
        doc = bed.wait_state(measured, "accepted", 60)
        equal((doc["median_us"], set(doc["samples_us"])), (5010, {5000, 5010, 5020}), "what the command said")
        equal(doc["reference"]["before_us"], 5010, "the reference network")
        stack.workers[f"exec-{name}"].stop()


def units_of(profile, state="accepted"):
    """The median and energy of each unit of the profile's table that got so far."""
    return bed.rows("SELECT median_us, energy_uj FROM measurements WHERE profile = ? AND kind = 'unit' AND state = ?", profile["id"], state)


@test("a command that chains is given units several times in a file, and its start is in no entry; whole networks stay as they are", 240)
def chains():
    once_command = [str(RUNTIME), "once-links", "{model}", "{threads}", "{runs}", "{samples}"]
    fingerprints = []
    for name, members, us in (("links", {}, 12000), ("links", {"chain": True}, 2000), ("once-links", {"chain": True, "command": once_command}, 2000)):
        label = f"chain-{len(fingerprints)}"
        _, profile = worker(label, exec_config(name, **members), "exec")
        fingerprints.append((device(profile)["fingerprint"].get("chain"), profile["revision"]["fingerprint"]))
        table = bed.client().post("/tables", {"profile": profile["id"], "space": "tiny", "method": "brief"}, 202)["table"]
        wait_for("some units", lambda: len(units_of(profile)) >= 3, 60)
        for median, energy in units_of(profile):
            check(abs(median - us) < 0.2, f"a unit's time, {label}:", median)
            if not members.get("command"):  # whose energy is that of its stock
                check(abs(energy - (7 if us == 2000 else 1007)) < 0.01, f"a unit's energy, {label}:", energy)
        bed.client().post(f"/jobs/{table['job']}/cancel", {})
        (network,) = bed.ask(profile["id"])
        check(abs(bed.wait_state(network, "accepted", 60)["median_us"] - 12000.1) < 0.2, "a whole network is run by itself")
        bed.daemon().workers[label].stop()
    equal([chain for chain, _ in fingerprints], [None, 8, 8], "how units are measured, in the fingerprint")
    equal(len({text for _, text in fingerprints}), 3, "revisions, so that times of one method are not mixed with another's")


@test("a command that is started for a chain and for its unit, and becomes slower from start to start, has that in no entry", 120)
def drifting_chains():
    """The one that comes second would be 0.2 ms longer each time, a seventh of which is 1.4 % of the unit."""
    command = [str(RUNTIME), "once-slower", "{model}", "{threads}", "{runs}", "{samples}", str(bed.daemon().root / "starts")]
    _, profile = worker("slower", exec_config("slower", chain=True, command=command), "exec")
    table = bed.client().post("/tables", {"profile": profile["id"], "space": "tiny", "method": "brief"}, 202)["table"]
    wait_for("a unit", lambda: len(units_of(profile)) >= 1, 90)
    bed.client().post(f"/jobs/{table['job']}/cancel", {})
    for median, _ in units_of(profile):
        check(abs(median - 2000) < 8, "a unit's time", median)
    bed.daemon().workers["slower"].stop()


@test("a runtime that leaves out what is there several times is found out", 60)
def folded_chains():
    _, profile = worker("folded", exec_config("good", chain=True), "exec")
    bed.client().post("/tables", {"profile": profile["id"], "space": "tiny", "method": "brief"}, 202)
    told = wait_for("a result", lambda: bed.rows(
        "SELECT r.status, r.data FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ? AND m.kind = 'unit'", profile["id"]), 50)
    check(told[0][0] == "crashed" and "no longer than the unit alone" in told[0][1], "the failure", told[0])
    bed.daemon().workers["folded"].stop()


@test("what a command does wrong is a failure that says what, and of its kind", 240)
def wrong_commands():
    rows = (
        ("crash", "crashed", "signal 11"), ("status", "crashed", "status 9: no such delegate"), ("garbage", "crashed", "makes no sense"), ("silent", "crashed", "without an answer"),
        ("negative", "crashed", "makes no sense"), ("fewer", "crashed", "makes no sense"), ("endless", "crashed", "more than"), ("oom", "oom", "SRAM"), ("unsupported", "unsupported", "HardSwish"),
        ("zeros", "invalid", "outputs differ"), ("nan", "invalid", "not finite"), ("good", "invalid", "no 40 bytes of outputs"),
    )
    for mode, status, text in rows:
        _, profile = worker(f"wrong-{mode}", exec_config(mode, check_outputs=mode in ("zeros", "nan", "good")), "exec")
        bed.ask(profile["id"])
        told = wait_for(f"a result of {mode}", lambda: bed.rows(
            "SELECT r.status, r.data FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ?", profile["id"]), 60)
        check(told[0][0] == status and text in told[0][1], f"{mode} is {status} with {text}:", told[0])
        bed.daemon().workers[f"wrong-{mode}"].stop()


@test("a command that hangs is ended with its children, at its time-out or with its worker")
def hanging_command():
    stack = bed.daemon()
    pids = stack.root / "pids"
    process, profile = worker("exec-hang", exec_config("hang", command=[str(RUNTIME), "hang", str(pids)], timeout_s=1), "exec")

    def started(times):
        lines = pids.read_text().splitlines() if pids.exists() else []
        return [int(word) for word in lines[times - 1].split()] if len(lines) >= times else None

    def lives(pid):
        try:
            return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return False

    def gone(numbers):
        return not any(map(lives, numbers))

    first = wait_for("the command", lambda: started(1), 20)
    told = wait_for("its failure", lambda: bed.rows(
        "SELECT r.status, r.data FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ?", profile["id"]), 20)
    check(told[0][0] == "crashed" and "in time" in told[0][1], "the failure", told[0])
    wait_for("the end of the command and its child", lambda: gone(first), 5)
    second = wait_for("the next attempt", lambda: started(2), 20)
    process.kill()
    wait_for("the end of both with the worker", lambda: gone(second), 5)
    bed.client().request("DELETE", f"/devices/{profile['device']}")  # else its lease keeps this machine's other boards waiting


@test("a wrong configuration of exec ends the worker with a sentence")
def wrong_exec_options():
    for members, text in (
        ({"runtime": "native"}, "another back end"), ({"command": []}, "/command"), ({"command": "ls"}, "/command"), ({"speed": 1}, "speed"), ({"chain": "yes"}, "/chain"), ({"timeout_s": 0}, "timeout_s"), ({"runtime": "A b"}, "small letters"),
        ({"version_command": ["/bin/false"]}, "version_command"), ({"version_command": ["/no/such"]}, "/no/such"),
    ):
        process = bed.daemon().start_worker("wrong-exec", "--backend", "exec", "--backend-config", exec_config("good", **members))
        wait_for("its end", lambda: not process.running(), 10)
        log = process.log.read_text()
        check(text in log, f"the log says {text}", log)


@once
def onnxruntime():
    """A folder with the npm package, or Skipped."""
    folder = ROOT / "tests/integration/onnxruntime"
    if not (folder / "node_modules/onnxruntime-node").exists():
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, capture_output=True, text=True)
        check(done.returncode == 0, "npm ci:", done.stderr)
    if os.uname().machine not in ("x86_64", "aarch64"):
        raise Skipped("onnxruntime-node has no build for this machine")
    return folder


@test("ONNX Runtime measures networks end to end, and its outputs agree with the reference", 240)
def onnx_runtime():
    command = ["/usr/bin/env", f"ESPALIER_ONNXRUNTIME={onnxruntime()}", "node", str(ADAPTER)]
    config = exec_config("ort", command=command, version_command=[*command, "--version"], runtime="onnxruntime-cpu", check_outputs=True)
    _, profile = worker("ort", config, "exec")
    version = device(profile)["fingerprint"]["exec"]["version"]
    check(version.startswith("onnxruntime ") and "node" in version, "the version", version)
    docs = [bed.wait_state(name, "accepted", 60) for name in bed.ask(profile["id"], 2)]
    for doc in docs:
        check(5 < doc["low_us"] < doc["median_us"] < doc["high_us"] and doc["n"] >= 5, "times", doc["low_us"], doc["median_us"], doc["high_us"], doc["n"])
    strict = exec_config("strict", command=command, runtime="onnxruntime-cpu", check_outputs=True, tolerance=1e-6)
    _, profile = worker("ort-strict", strict, "exec")
    (name,) = bed.ask(profile["id"])
    doc = bed.wait_state(name, ("accepted", "failed"), 60)
    check(doc["state"] == "accepted" or "outputs differ" in str(doc["error"]), "a millionth: equal, or found to differ", doc["error"])


@test("ONNX Runtime measures units of each kind in chains, and the chains' outputs agree with the reference too", 240)
def onnx_runtime_chains():
    command = ["/usr/bin/env", f"ESPALIER_ONNXRUNTIME={onnxruntime()}", "node", str(ADAPTER)]
    _, profile = worker("ort-chain", exec_config("ort", command=command, runtime="onnxruntime-cpu", check_outputs=True, chain=True), "exec")
    table = bed.client().post("/tables", {"profile": profile["id"], "space": "tiny", "method": "brief"}, 202)["table"]

    def measured():
        texts = [row[0] for row in bed.rows("SELECT signature FROM measurements WHERE profile = ? AND kind = 'unit' AND state = 'accepted'", profile["id"])]
        return {text.split()[0] for text in texts} | {"residual" for text in texts if text.endswith("residual")}

    wait_for("a unit of each kind", lambda: measured() >= {"stem", "block", "head_tail"} and len(measured()) >= 4, 200)
    bed.client().post(f"/jobs/{table['job']}/cancel", {})
    wrong = bed.rows("SELECT r.data FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ? AND r.status = 'invalid'", profile["id"])
    equal(wrong, [], "units whose outputs differ")
