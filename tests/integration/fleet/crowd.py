"""A crowd of simulated boards at once, each on a connection of its own: figures, and what must hold. ESP_LONG=1: a thousand boards, 100,000 results."""
import json
import os
import subprocess
import time
from pathlib import Path

import sound
import bed
from stack import Stack, WORKER, processor_s
from suite import BUILD, at_end, check, equal, test, wait_for

LONG = os.environ.get("ESP_LONG") == "1"
BOARDS, EACH = (1000, 100) if LONG else (50, 20)
PACE_MS, PACED_EACH = (4000, 15) if LONG else (200, 10)
SECONDS = 340 if LONG else 60
ITEMS = 8  # as espalier-worker asks for


def archs(n):
    """n different networks of the space, small ones first."""
    found = []
    for e1 in (1, 2, 4):
        for k1 in (3, 5):
            for last in range(64):
                k2, e2, k3, e3 = 3 + 2 * (last & 1), 2 + (last & 2), 3 + (last >> 1 & 2), 2 + (last >> 2 & 2)
                two = f"d2 c24 k{k2}e{e2} k{k3}e{e3}" if last >= 16 else f"d1 c24 k{k2}e{e2}"
                text = f"r28 | d1 c16 k{k1}e{e1} | {two}"
                if text not in found:
                    found.append(text)
    check(len(found) >= n, "networks", len(found))
    return found[:n]


def memory_mib(pid, key):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def private_mib(pid):
    """What it has written to; pages of files are shared with whoever else maps them."""
    return memory_mib(pid, "Private_Dirty")


def line(process, what):
    text = process.stdout.readline()
    check(text, f"the crowd ended before {what}: {process.poll()}")
    return json.loads(text)


def crowd(boards, each, pace_ms):
    """Figures of so many boards at once that measure each so many networks, in pace_ms; whatever must hold is checked."""
    stack = Stack("crowd").start("--connections-per-address", "1024")
    bed.daemon = lambda: stack  # what sound looks at
    stack.add_space()
    results = boards * (each + 1)  # with a noise floor each
    token = stack.enrolment_token(uses=boards)
    command = [BUILD / "tests/bench/crowd", stack.port, token, boards, results, SECONDS, ITEMS, pace_ms]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    at_end(lambda: process.poll() is None and process.kill())
    begun = time.monotonic()
    profiles = line(process, "it was enrolled")["profiles"]
    equal(len(set(profiles)), boards, "profiles")
    enrolled = time.monotonic()
    wanted = archs(each)
    for profile in profiles:
        stack.client.post("/measurements", {"profile": profile, "space": "tiny", "archs": wanted, "method": "brief"}, 202)
    asked = time.monotonic()
    before = processor_s(stack.daemon.pid)
    process.stdin.write("go\n")
    process.stdin.flush()
    told = line(process, "all was measured")
    equal(process.wait(10), 0, "exit status of the crowd")
    equal(bed.rows("SELECT state, count(*) FROM measurements GROUP BY 1"), [("accepted", results)], "how measurements ended")
    equal(bed.rows("SELECT count(*), sum(counted), count(DISTINCT measurement) FROM results"), [(results, results, results)], "results, those that count, measurements")
    equal(bed.rows("SELECT count(*) FROM leases WHERE state <> 'closed'"), [(0,)], "leases that did not end well")
    sound.hold()
    figures = {"enrolled_s": enrolled - begun, "asked_s": asked - enrolled, "daemon_cpu_s": processor_s(stack.daemon.pid) - before, "daemon_rss_mib": memory_mib(stack.daemon.pid, "Rss"),
               "daemon_private_mib": private_mib(stack.daemon.pid), "database_mib": stack.database().stat().st_size / 2 ** 20}
    print("#", json.dumps(told), flush=True)
    print("#", ", ".join(f"{key} {value:.1f}" for key, value in figures.items()), flush=True)
    check(figures["daemon_private_mib"] < 256, "MiB of the daemon", figures)
    stack.stop()
    return told


@test(f"{BOARDS:,} boards at once, {BOARDS * EACH:,} measurements, as fast as they are taken", SECONDS + 20)
def at_once():
    crowd(BOARDS, EACH, 0)


@test(f"{BOARDS:,} boards at once whose measurements take {PACE_MS} ms", 150)
def paced():
    told = crowd(BOARDS, PACED_EACH, PACE_MS)
    # Tenths of a second on a free machine, seconds beside other suites: what is excluded is a queue that only grows.
    check(told["lease"]["p99_ms"] < 15000, "the 99th of a hundred requests for a lease took so many ms:", told["lease"])


@test("an idle worker's own memory is at most 3 MiB")
def idle():
    stack = Stack("idle").start()
    bed.daemon = lambda: stack
    process = stack.start_worker("idle")
    wait_for("its noise floor", lambda: stack.client.get("/devices/idle")["noise"] if stack.client.items("/devices") else None, 30)
    time.sleep(1)
    mine, total = private_mib(process.pid), memory_mib(process.pid, "Rss")
    print(f"# an idle worker: {mine:.2f} MiB private, {total:.2f} MiB with shared pages ({WORKER.stat().st_size / 2 ** 20:.1f} MiB of program)", flush=True)
    check(mine <= 3, "MiB of an idle worker", mine)
    process.stop()
