"""One worker that offers several profiles of its board, and several workers on one machine."""
import bed
from suite import check, equal, test, wait_for
from backends import FLAT, exec_config


ARCHS = [f"r28 | d1 c16 k{k}e{e} | d2 c24 k3e2 k{j}e2" for k in (3, 5) for e in (1, 2, 4) for j in (3, 5)]  # on profiles of its own each


def device_of(name):
    return bed.client().get(f"/devices/{bed.daemon().enrolled(name)['device']}")


def offered(name, n):
    """The board's profiles that its worker offers, in its order, once there are n."""
    device_of(name)

    def look():
        found = [p for p in bed.client().get(f"/devices/{name}")["profiles"] if p["offered"]]
        return found if len(found) == n else None
    return wait_for(f"{n} profiles of {name}", look, 15)


def build(ref, space="tiny", seconds=60):
    """A table of the space, measured; the table when it is ready."""
    answer = bed.client().post("/tables", {"profile": ref, "space": space, "method": "brief"}, 202)
    bed.daemon().wait_job(answer["job"]["id"], seconds)
    return bed.client().get(f"/tables/{answer['table']['id']}")


@test("one worker offers native with one and two threads beside a command: all are measured, one at a time, each with a noise floor and tables of its own", 240)
def several():
    stack = bed.daemon()
    config = exec_config("beside")
    process = stack.start_worker("several", "--threads", "1,2", "--profile", "backend=native", "--profile", f"threads=1 backend=exec backend-config={config}")
    profiles = offered("several", 3)
    equal([(p["runtime"], p["threads"]) for p in profiles], [("native", 1), ("native", 2), ("made-up", 1)], "the profiles")
    equal(len({p["revision"] for p in profiles}), 3, "revisions")
    for p in profiles:
        wait_for(f"the noise floor of {p['name']}", lambda p=p: bed.client().get(f"/profiles/{p['id']}")["noise"], 60)
    names = {"several": 0, "several/native-fp32-t2": 1, "several/t2": 1, "several/made-up": 2}
    for ref, i in names.items():
        equal(bed.client().post("/tables", {"profile": ref, "space": bed.narrow(), "method": "brief"}, 202)["table"]["profile"], profiles[i]["id"], f"the profile that {ref} names")
    tables = [build(p["id"], bed.narrow(), 100) for p in profiles]
    equal(len({t["id"] for t in tables}), 3, "tables")
    equal({t["state"] for t in tables}, {"ready"}, "their state")
    asked = [bed.ask(p["name"], archs=ARCHS[:1])[0] for p in profiles]
    equal(len(set(asked)), 3, "the same network on three profiles is three measurements")
    for name in asked:
        bed.wait_state(name, "accepted", 30)
    overlap = bed.rows("SELECT count(*) FROM leases a JOIN leases b ON a.device = b.device AND a.id < b.id AND a.created_us < b.closed_us AND b.created_us < a.closed_us")
    equal(overlap[0][0], 0, "leases of one board that overlap")
    shown = stack.cli("device", "show", "several")
    check(all(p["name"] in shown for p in profiles), "espalier device show lists them", shown)
    check("several/native-fp32-t2" in stack.cli("latency", "profiles"), "espalier latency profiles does")
    stack.cli("latency", "build", "several/t2", bed.narrow(), "--method", "brief", "--wait")
    check("fits several" in stack.cli_run("latency", "build", "several/native", "tiny").stderr, "what is not unique is refused with both names")
    process.stop()


@test("a worker that offers fewer profiles keeps the others' measurements, and measures what is left")
def fewer():
    stack = bed.daemon()
    stack.start_worker("fewer", "--backend", "sim", "--backend-config", FLAT, "--threads", "2,1").running()
    first, second = offered("fewer", 2)
    equal((first["threads"], second["threads"]), (2, 1), "in the order of the option")
    names = bed.ask("fewer/t1", archs=ARCHS[:1]) + bed.ask("fewer", archs=ARCHS[:1])
    for name in names:
        bed.wait_state(name, "accepted")
    stack.workers["fewer"].stop()
    stack.start_worker("fewer", "--backend", "sim", "--backend-config", FLAT)
    (left,) = offered("fewer", 1)
    equal(left["id"], second["id"], "the profile that is left")
    equal(bed.measurement(names[1])["state"], "accepted", "what was measured on the other")
    name = bed.ask("fewer", archs=ARCHS[1:2])[0]
    equal(bed.wait_state(name, "accepted")["profile"], second["id"], "the default is what is left")
    all_of = {p["id"]: p["offered"] for p in bed.client().get("/devices/fewer")["profiles"]}
    equal(all_of, {first["id"]: False, second["id"]: True}, "the device shows both")


@test("a search minimises latency on two profiles of one board at once, measures on both and calibrates each", 240)
def search():
    stack = bed.daemon()
    # Two threads are worth more where there is more to compute: the two latencies rank networks differently.
    slow, fast = "gmacs=0.05,gbps=10,op_us=5,launch_us=5,noise=0.01", "gmacs=0.1,gbps=10,op_us=9,launch_us=40,noise=0.01,seed=2"
    stack.start_worker("twofold", "--profile", f"threads=1 backend=sim backend-config={slow}; threads=2 backend=sim backend-config={fast}")
    profiles = offered("twofold", 2)
    for p in profiles:
        build(p["id"])
    bed.data_set()
    supernet = stack.train("for-two", {"epochs": 1, "batch": 50, "seed": 7, "learning_rate": 0.05, "recalibration_images": 100, "validation_images": 100})["supernet"]["id"]
    stack.cli("search", "create", "twofold", "--supernet", supernet, "--objectives", "top1,latency@twofold,latency@twofold/t2", "--limit", "latency@twofold/t2=100", "--evaluations", 200, "--population", 16,
              "--initial-evaluations", 24, "--measure-front", 8, "--method", "brief", "--baseline", "none", "--wait", timeout=150)
    doc = bed.client().get("/searches/twofold")
    keys = [f"latency_us:{p['id']}" for p in profiles]
    equal([o.get("profile") for o in doc["objectives"]], [None, profiles[0]["id"], profiles[1]["id"]], "the objectives' profiles")
    front = bed.client().get("/searches/twofold/front")["items"]
    check(len(front) > 0, "a front", front)
    for item in front:
        values = [item["metrics"][key] for key in keys]
        equal({v["source"] for v in values}, {"measured"}, "both latencies are measured")
        check(values[0]["value"] != values[1]["value"], "and differ", values)
    for p in profiles:
        calibrations = bed.client().items(f"/calibrations?profile={p['id']}")
        check(calibrations and all(c["profile_id"] == p["id"] for c in calibrations), "a calibration of its own", calibrations)
    table = stack.cli("search", "front", "twofold").splitlines()[0]
    check(all(p["name"].upper() in table.upper() for p in profiles), "the table has a column for each", table)


@test("two workers on one machine take turns: their leases do not overlap, and both get on", 120)
def neighbours():
    stack = bed.daemon()
    asked = []
    for name in ("idle", "left", "right"):  # one has nothing to measure, and must not be in the others' way
        stack.start_worker(name)
        device_of(name)
    wait_for("the idle one's noise floor", lambda: device_of("idle")["noise"], 30)
    for name in ("left", "right"):
        asked += bed.ask(name, archs=ARCHS)
    for name in asked:
        bed.wait_state(name, "accepted", 60)
    ids = [device_of(name)["id"] for name in ("left", "right")]
    overlap = bed.rows("SELECT count(*) FROM leases a JOIN leases b ON a.device = ? AND b.device = ? AND a.created_us < b.closed_us AND b.created_us < a.closed_us", *ids)
    equal(overlap[0][0], 0, "leases that overlap")
    turns = [row[0] for row in bed.rows("SELECT device FROM leases WHERE device IN (?, ?) ORDER BY created_us", *ids)]
    changes = sum(a != b for a, b in zip(turns, turns[1:]))
    check(changes >= 2, "they change more than once", turns)
    for name in ("idle", "left", "right"):
        stack.workers[name].stop()
