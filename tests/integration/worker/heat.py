"""A board that is hot is waited for, for a while; one that slows itself down says so. Sensors are played."""
import threading
import time
from contextlib import contextmanager

import bed
from backends import RUNTIME, exec_config, worker
from energy import CHIP, play
from pathlib import Path
from profiles import ARCHS, offered
from suite import check, equal, test, wait_for

ZONE = "class/thermal/thermal_zone0/temp"
COOL = {**CHIP, ZONE: "41500\n", "class/thermal/thermal_zone1/temp": "42000\n"}


def board(name, *options):
    """A worker whose board is cool and quiet, with its noise floor measured: process, folder of its sensors, profile."""
    root = play(name, COOL)
    process = bed.daemon().start_worker(name, "--sysfs-root", root, *options)
    (profile,) = offered(name, 1)
    deadline = time.monotonic() + 60
    while bed.client().get(f"/profiles/{profile['id']}")["noise"] is None:
        check(time.monotonic() < deadline, "the noise floor is measured")
        time.sleep(0.1)
    return process, Path(root), profile["id"]


def told(doc):
    """Flags, but for what a busy machine brings about."""
    return [flag for flag in doc["flags"] if flag not in ("bimodal", "drift")]


def put(root, path, text):
    """As the kernel's files change: at once, never half of a number."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".draft")
    draft.write_text(text)
    draft.rename(file)


@contextmanager
def counting(root, path, start):
    """A counter of the kernel that goes up a few hundred times a second."""
    end = threading.Event()

    def count():
        n = start
        while not end.wait(0.003):
            n += 1
            put(root, path, f"{n}\n")
    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def lease_end(measurement):
    """When the lease ends that holds a measurement, in microseconds; None: it is in none."""
    found = bed.rows("SELECT l.expires_us FROM leases l JOIN lease_items i ON i.lease = l.id WHERE i.measurement = ? AND l.state = 'acked'", measurement)
    return found[0][0] if found else None


def ask(profile, arch):
    return bed.ask(profile, archs=[arch])[0]


@test("a hot board is waited for until it is five degrees below its limit, and the result is called nothing", 120)
def waited():
    process, root, profile = board("warm", "--max-temperature", "60", "--cool-down", "50")
    put(root, ZONE, "60100\n")
    measurement = ask(profile, ARCHS[0])
    first = wait_for("its lease", lambda: lease_end(measurement), 15)
    time.sleep(2)
    state = bed.client().get(f"/measurements/{measurement}")["state"]
    check(state in ("leased", "running"), "it waits", state)
    check(lease_end(measurement) > first, "heartbeats keep its lease meanwhile", first, lease_end(measurement))
    put(root, ZONE, "55100\n")  # not yet
    time.sleep(1)
    check(bed.client().get(f"/measurements/{measurement}")["state"] in ("leased", "running"), "it still waits")
    put(root, ZONE, "55000\n")
    doc = bed.wait_state(measurement, "accepted", 30)
    equal((told(doc), doc["attempt"]), ([], 1), "flags and attempts")
    equal(doc["environment"]["before"]["temperature_c"], 55, "temperature")
    put(root, ZONE, "70000\n")
    measurement = ask(profile, ARCHS[1])
    time.sleep(1)
    start = time.monotonic()
    process.stop()
    check(time.monotonic() - start < 15, "a worker that waits can be stopped")
    state = bed.client().get(f"/measurements/{measurement}")
    equal(state["state"], "queued", "its measurement is given back")


@test("a board that stays hot is measured all the same and the result called hot; the next one is not waited for", 120)
def hot():
    process, root, profile = board("oven", "--cool-down", "12")
    put(root, ZONE, "75000\n")
    start = time.monotonic()
    doc = bed.wait_state(ask(profile, ARCHS[0]), "accepted", 60)
    check(time.monotonic() - start > 12, "it was waited for")
    equal(told(doc), ["hot"], "flags")
    logged = len(bed.client().items(f"/measurements?profile={profile}&kind=network"))
    start = time.monotonic()
    doc = bed.wait_state(ask(profile, ARCHS[1]), "accepted", 60)
    check(time.monotonic() - start < 12, "it is not waited for again", time.monotonic() - start)
    equal(told(doc), ["hot"], "flags")
    row = next(row for row in bed.client().items(f"/measurements?profile={profile}&kind=network") if row["id"] == doc["id"])
    equal((told(row), logged), (["hot"], 1), "the list has them too")
    table = bed.daemon().cli("latency", "measure", profile, "tiny", ARCHS[1], "--method", "brief").splitlines()
    check("FLAGS" in table[0] and "hot" in table[1], "espalier latency measure shows them", table)
    put(root, ZONE, "45000\n")
    equal(told(bed.wait_state(ask(profile, ARCHS[2]), "accepted", 60)), [], "flags of a cool board")
    process.stop()


@test("a board that slows itself down has batches taken again, and is called throttled when that does not end", 120)
def throttled():
    process, root, profile = board("choked", "--max-temperature", "0")
    firmware = root / "devices/platform/soc/soc:firmware/get_throttled"
    firmware.parent.mkdir(parents=True)
    firmware.write_text("4\n")
    doc = bed.wait_state(ask(profile, ARCHS[0]), "accepted", 60)
    equal(told(doc), ["throttled"], "flags")
    firmware.write_text("40000\n")  # it was so before
    equal(told(bed.wait_state(ask(profile, ARCHS[1]), "accepted", 60)), [], "flags afterwards")
    process.stop()


@test("counters of throttling that go up while it measures, and a processor that is held back, call a result throttled", 120)
def counted():
    process, root, profile = board("counted", "--max-temperature", "0")
    counter = "devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"
    put(root, counter, "17\n")
    equal(told(bed.wait_state(ask(profile, ARCHS[0]), "accepted", 60)), [], "flags of a counter that stands")
    with counting(root, counter, 17):
        doc = bed.wait_state(ask(profile, ARCHS[1]), "accepted", 60)
    equal(told(doc), ["throttled"], "flags of one that goes up")
    equal(told(bed.wait_state(ask(profile, ARCHS[2]), "accepted", 60)), [], "flags when it stands again")
    cooling = "class/thermal/cooling_device1"
    put(root, f"{cooling}/type", "thermal-cpufreq-0\n")
    put(root, f"{cooling}/cur_state", "1\n")
    equal(told(bed.wait_state(ask(profile, ARCHS[3]), "accepted", 60)), ["throttled"], "flags of a processor that is held back")
    process.stop()


@test("a zone at which the kernel acts below the limit is waited for earlier; a radio's or battery's sensor is not waited for", 120)
def trips():
    process, root, profile = board("tripping", "--cool-down", "50")
    put(root, "class/thermal/thermal_zone2/type", "iwlwifi_1\n")
    put(root, "class/thermal/thermal_zone2/temp", "80000\n")
    doc = bed.wait_state(ask(profile, ARCHS[0]), "accepted", 30)
    equal((told(doc), doc["environment"]["before"]["temperature_c"]), ([], 42), "flags, and temperature of the board")
    zone = "class/thermal/thermal_zone1"
    put(root, f"{zone}/trip_point_0_type", "passive\n")
    put(root, f"{zone}/trip_point_0_temp", "45000\n")  # its limit is 40, and 35 to go on
    measurement = ask(profile, ARCHS[1])
    wait_for("its lease", lambda: lease_end(measurement), 15)
    time.sleep(1.5)
    check(bed.measurement(measurement)["state"] in ("leased", "running"), "42 degrees are waited for")
    put(root, f"{zone}/temp", "35000\n")
    equal(told(bed.wait_state(measurement, "accepted", 30)), [], "flags")
    process.stop()


@test("another range of frequencies is another revision of the profile with a noise floor of its own, another governor another profile, while the worker runs", 120)
def governed():
    cpu = "devices/system/cpu/cpu0/cpufreq"
    root = Path(play("governed", {**COOL, f"{cpu}/scaling_min_freq": "600000\n", f"{cpu}/scaling_max_freq": "1800000\n"}))
    process = bed.daemon().start_worker("governed", "--sysfs-root", str(root))
    (profile,) = offered("governed", 1)

    def history():
        return [row for row in bed.client().get("/devices/governed/history")["revisions"] if row["profile"] == profile["name"]]
    wait_for("the noise floor", lambda: history()[0]["noise"], 60)
    kept = bed.wait_state(ask(profile["id"], ARCHS[0]), "accepted", 60)
    put(root, f"{cpu}/scaling_max_freq", "1200000\n")
    stale = ask(profile["id"], ARCHS[1])
    wait_for("another revision, checked by the reference network", lambda: len(history()) == 2 and history()[0]["noise"], 60)
    new, old = history()
    equal((new["current"], old["current"], old["revision"]), (True, False, profile["revision"]), "revisions")
    check(new["reference_us"] > 0, "the reference network's time there", new)
    equal(bed.client().get("/devices/governed")["fingerprint"]["frequency_range_khz"], "600000-1200000", "the board's page has it")
    check(new["revision"] in bed.daemon().cli("device", "show", "governed"), "espalier device show has it")
    equal(bed.wait_state(stale, ("failed", "accepted"), 30)["state"], "failed", "what waited for the old environment")
    doc = bed.wait_state(ask(profile["id"], ARCHS[0]), "accepted", 60)
    equal((doc["profile_revision"], doc["id"] == kept["id"]), (new["revision"], False), "the same network is measured anew")
    put(root, f"{cpu}/scaling_governor", "powersave\n")
    ask(profile["id"], ARCHS[2])
    other = wait_for("the profile of the other governor", lambda: next((p for p in bed.client().get("/devices/governed")["profiles"] if p["offered"] and p["governor"] == "powersave"), None), 30)
    check(other["id"] != profile["id"], "it is another", other)
    wait_for("its noise floor", lambda: bed.client().get(f"/profiles/{other['id']}")["noise"], 60)
    process.stop()


@test("a command on a board that slows itself down is called throttled too, also when its energy is not the board's", 120)
def choked_command():
    root = Path(play("choked-exec", COOL))
    process, profile = worker("choked-exec", exec_config("choked-exec", command=[str(RUNTIME), "good"]), "exec", "--sysfs-root", str(root), "--max-temperature", "0")
    equal(told(bed.wait_state(ask(profile["id"], ARCHS[0]), "accepted", 60)), [], "flags of a board at ease")
    put(root, "class/thermal/cooling_device1/type", "thermal-cpufreq-0\n")
    put(root, "class/thermal/cooling_device1/cur_state", "1\n")
    doc = bed.wait_state(ask(profile["id"], ARCHS[1]), "accepted", 60)
    equal((told(doc), doc["energy_source"]), (["throttled"], None), "flags, and no energy")
    process.stop()


@test("a range of frequencies that changes for a moment is nothing; one that changes all the time is not followed, and results are called unsettled", 180)
def restless():
    cpu = "devices/system/cpu/cpu0/cpufreq"
    root = Path(play("restless", {**COOL, f"{cpu}/scaling_min_freq": "600000\n", f"{cpu}/scaling_max_freq": "1800000\n"}))
    process = bed.daemon().start_worker("restless", "--sysfs-root", str(root))
    (profile,) = offered("restless", 1)

    def revisions():
        return [row for row in bed.client().get("/devices/restless/history")["revisions"] if row["profile"] == profile["name"]]
    wait_for("the noise floor", lambda: revisions()[0]["noise"], 60)
    measurement = ask(profile["id"], ARCHS[0])
    put(root, f"{cpu}/scaling_max_freq", "1700000\n")
    time.sleep(0.3)
    put(root, f"{cpu}/scaling_max_freq", "1800000\n")
    equal((told(bed.wait_state(measurement, "accepted", 60)), len(revisions())), ([], 1), "flags and revisions after a moment of another range")
    for i in range(3):
        put(root, f"{cpu}/scaling_max_freq", f"{1200 + i}000\n")
        ask(profile["id"], ARCHS[1])
        wait_for(f"change {i + 1} with its noise floor", lambda n=i + 2: len(revisions()) == n and revisions()[0]["noise"], 60)
    put(root, f"{cpu}/scaling_max_freq", "1300000\n")
    doc = bed.wait_state(ask(profile["id"], ARCHS[2]), "accepted", 60)
    equal((told(doc), len(revisions())), (["unsettled"], 4), "flags and revisions when it changes once more")
    put(root, f"{cpu}/scaling_max_freq", "1202000\n")
    equal(told(bed.wait_state(ask(profile["id"], ARCHS[3]), "accepted", 60)), [], "flags when the range is the profile's again")
    process.stop()
