"""The cross-built aarch64 worker under qemu-user."""
import subprocess

import bed
from suite import check, equal, once, test, wait_for

CPU_NEON = 8  # base/cpu.h


def start():
    return bed.daemon().start_worker("board", program=bed.emulated())


@once
def profile():
    """Of one board: an emulated one takes long for its noise floor."""
    start()
    return bed.daemon().enrolled("board", 30)


@test("an aarch64 worker says what it is without a daemon")
def speaks():
    done = subprocess.run([*bed.emulated(), "--version"], capture_output=True, text=True, timeout=30)
    check(done.returncode == 0 and done.stdout.startswith("espalier-worker "), "its version", done.stdout, done.stderr)


@test("an aarch64 worker enrols with a token, takes the NEON row, measures networks and reports them", 150)
def measures():
    device = bed.device_of(profile())
    equal((device["fingerprint"]["machine"], device["fingerprint"]["cpu_flags"]), ("aarch64", CPU_NEON), "machine and instruction sets")
    check(device["online"], "the board is there", device)
    docs = bed.measured(profile(), bed.NETWORKS, 120)
    equal([doc["state"] for doc in docs], ["accepted", "accepted"], "states")
    small, large = [doc["median_us"] for doc in docs]
    check(0 < small < large, "the larger network takes longer", small, large)
    check(bed.daemon().workers["board"].running(), "it waits for more")


@test("an aarch64 worker that is told to stop in a measurement says goodbye, and measures it when it comes again", 150)
def comes_again():
    (name,) = bed.ask(profile(), ["r28 | d2 c16 k3e4 k3e2 | d2 c24 k5e4 k3e2"])
    wait_for("its start", lambda: bed.state(name) == "running", 60, 0.02)
    bed.daemon().workers["board"].stop(20)
    equal(bed.state(name), "queued", "the measurement that it gave back")
    check(not bed.device_of(profile())["online"], "it said goodbye")
    process = start()
    wait_for("its end", lambda: bed.state(name) == "accepted", 100, 0.2)
    process.stop()
