"""What happens on a board itself: it freezes, its clock jumps, its disk is full."""
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import bed
import sound
from line import Line
from lines import QUICK, start
from suite import Skipped, check, equal, test, wait_for


@test("a worker that hangs, and one whose result is long on its way, lose their leases: measured anew, or late, answered 200 and counted", 120)
def frozen():
    stack = bed.daemon()
    process, profile = start("frozen", stack.url, QUICK + ",pace=1")
    line, held = Line(stack.port), threading.Event()
    line.before = lambda path: path.endswith("/results") and held.wait(60)
    slow, slow_profile = start("tardy", line.url)
    wait_for("the noise floor's result to be held", lambda: bed.rows("SELECT count(*) FROM leases WHERE state = 'acked' AND device = (SELECT device FROM profiles WHERE id = ?)", slow_profile) == [(1,)])
    (floor,) = bed.client().items(f"/measurements?profile={slow_profile}&kind=reference")
    (name,) = bed.ask(profile, method="full")
    bed.wait_state(name, "running", 30)
    process.kill(signal.SIGSTOP)
    stack.stop()
    with sqlite3.connect(stack.database()) as db:  # their time, which is stored, is up
        db.execute("UPDATE leases SET expires_us = 1 WHERE state = 'acked'")
    stack.start()
    bed.wait_state(name, "queued", 40)
    bed.wait_state(floor["id"], "queued", 40)
    check(bed.client().get("/devices/frozen")["health"] != "quarantined", "its health")
    process.kill(signal.SIGCONT)
    held.set()
    bed.wait_state(floor["id"], "accepted", 60)
    equal((bed.measurement(floor["id"])["attempt"], bed.late(floor["id"]), bed.results(floor["id"])), (1, 1, 1), "attempt, late results, all results")
    doc = bed.wait_state(name, "accepted", 60)
    equal((doc["attempt"], bed.results(name)), (2, 1), "attempt and results of the one that was told that its lease is gone")
    sound.drained([name])
    sound.empty_spools("frozen", "tardy")
    process.stop()
    slow.stop()
    line.close()


@test("the board's clock jumps years ahead and back, between measurements and within: nothing is lost, times are true", 120)
def jumping_clock():
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise Skipped("there is no libfaketime (Debian package faketime)")
    clock = bed.daemon().root / "clock"
    clock.write_text("+0")
    prefix = ("env", f"LD_PRELOAD={found[0]}", f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1")
    process, profile = start("jumping", bed.daemon().url, "gmacs=1e6,gbps=1e6,op_us=0,launch_us=1000,noise=0.01,pace=0.5", prefix)
    names = []
    for jump in ("+400d", "-400d", "+0", "-10000d"):
        names += bed.ask(profile, 2)
        bed.wait_state(names[-2], ("running", "accepted"), 30)
        clock.write_text(jump)
        for name in names[-2:]:
            doc = bed.wait_state(name, "accepted", 40)
            check(900 < doc["median_us"] < 1100, "a millisecond", doc["median_us"])
    years = {path.name[:20] for path in (bed.daemon().root / "worker-jumping/spool").iterdir()}
    equal(years, set(), "what is left in the spool")
    text = process.log.read_text()
    check(len({line[:4] for line in text.splitlines()}) >= 3, "the clock did jump, its log says", text[-600:])
    sound.drained(names)
    process.stop()


@test("the board's disk is full: what cannot be spooled is given back, measured again, and counts once", 120)
def full_disk():
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skipped("only root mounts a small disk")
    apart = ("unshare", "-m", "--propagation", "unchanged", "sh", "-c")  # in a chroot the root is no mount that could be changed
    private = "mount --make-private /dev/shm"
    if subprocess.run([*apart, private], capture_output=True).returncode != 0:
        raise Skipped("no mount of one's own over /dev/shm")
    stack = bed.daemon()
    state = Path("/dev/shm/worker-full")
    (stack.root / "worker-full").symlink_to(state)
    small = (*apart, f'{private} && mount -t tmpfs -o size=64k,mode=700 tmpfs /dev/shm && mkdir -m 700 "$0" && exec "$@"', state)
    process, profile = start("full", stack.url, QUICK, small)
    (first,) = bed.ask(profile)
    bed.wait_state(first, "accepted", 30)
    inside = Path(f"/proc/{process.pid}/root{state}")
    check(os.statvfs(inside).f_blocks * os.statvfs(inside).f_frsize == 64 << 10, "a disk of 64 KiB")
    with open(inside / "fill", "wb", buffering=0) as fill:
        try:
            while fill.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    (name,) = bed.ask(profile)
    wait_for("the lease to be given back", lambda: bed.rows("SELECT count(*) FROM leases WHERE state IN ('released', 'fenced') AND device = (SELECT device FROM profiles WHERE id = ?)", profile)[0][0] > 0, 30)
    time.sleep(2)
    check(process.running(), "the worker goes on", process.log.read_text()[-500:])
    equal(bed.counted(name), 0, "results")
    (inside / "fill").unlink()
    doc = bed.wait_state(name, "accepted", 60)
    check(doc["attempt"] > 1, "attempts", doc["attempt"])
    sound.drained([first, name])
    equal(len(list((inside / "spool").iterdir())), 0, "what is left in the spool")
    process.stop()
