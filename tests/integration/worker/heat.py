"""A board that is hot is waited for, for a while; one that slows itself down says so. Sensors are played."""
import time

import bed
from energy import CHIP, play
from pathlib import Path
from profiles import ARCHS, offered
from suite import check, equal, test

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


def ask(profile, arch):
    return bed.ask(profile, archs=[arch])[0]


@test("a hot board is waited for until it is five degrees below its limit, and the result is called nothing", 120)
def waited():
    process, root, profile = board("warm", "--max-temperature", "60", "--cool-down", "50")
    (root / ZONE).write_text("60100\n")
    measurement = ask(profile, ARCHS[0])
    time.sleep(2)
    state = bed.client().get(f"/measurements/{measurement}")["state"]
    check(state in ("leased", "running"), "it waits", state)
    (root / ZONE).write_text("55100\n")  # not yet
    time.sleep(1)
    check(bed.client().get(f"/measurements/{measurement}")["state"] in ("leased", "running"), "it still waits")
    (root / ZONE).write_text("55000\n")
    doc = bed.wait_state(measurement, "accepted", 30)
    equal((told(doc), doc["attempt"]), ([], 1), "flags and attempts")
    equal(doc["environment"]["before"]["temperature_c"], 55, "temperature")
    (root / ZONE).write_text("70000\n")
    measurement = ask(profile, ARCHS[1])
    time.sleep(1)
    start = time.monotonic()
    process.stop()
    check(time.monotonic() - start < 5, "a worker that waits can be stopped")
    state = bed.client().get(f"/measurements/{measurement}")
    equal(state["state"], "queued", "its measurement is given back")


@test("a board that stays hot is measured all the same and the result called hot; the next one is not waited for", 120)
def hot():
    process, root, profile = board("oven", "--cool-down", "5")
    (root / ZONE).write_text("75000\n")
    start = time.monotonic()
    doc = bed.wait_state(ask(profile, ARCHS[0]), "accepted", 60)
    check(time.monotonic() - start > 5, "it was waited for")
    equal(told(doc), ["hot"], "flags")
    logged = len(bed.client().items(f"/measurements?profile={profile}&kind=network"))
    start = time.monotonic()
    doc = bed.wait_state(ask(profile, ARCHS[1]), "accepted", 60)
    check(time.monotonic() - start < 5, "it is not waited for again", time.monotonic() - start)
    equal(told(doc), ["hot"], "flags")
    row = next(row for row in bed.client().items(f"/measurements?profile={profile}&kind=network") if row["id"] == doc["id"])
    equal((told(row), logged), (["hot"], 1), "the list has them too")
    (root / ZONE).write_text("45000\n")
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
