"""What the tests of workers for other boards share: a daemon, networks to measure, and how an aarch64 program is run."""
import os
import shutil
import subprocess
from pathlib import Path

from stack import Stack
from suite import ROOT, Skipped, once, wait_for

EMULATOR = "qemu-aarch64-static"
ARM64_BUILD = Path(os.environ.get("ESP_ARM64_BUILD", ROOT / "build-arm64")).resolve()
NETWORKS = ["r28 | d1 c16 k3e1 | d1 c24 k3e2", "r28 | d2 c16 k5e4 k3e2 | d2 c24 k5e4 k3e2"]


@once
def daemon():
    stack = Stack("boards").start()
    stack.add_space()
    return stack


def emulated():
    """The words that run the aarch64 worker; Skipped where this machine cannot. No binfmt_misc is needed: the native back end
    forks for a measurement and executes nothing."""
    worker = ARM64_BUILD / "devices/espalier-worker"
    if not shutil.which(EMULATOR):
        raise Skipped(f"there is no {EMULATOR}")
    if not worker.exists():
        raise Skipped(f"there is no {worker}")
    done = subprocess.run([EMULATOR, worker, "--version"], capture_output=True, text=True)
    if done.returncode < 0:
        raise Skipped(f"{EMULATOR} does not run here (signal {-done.returncode})")
    return EMULATOR, worker


def device_of(profile):
    return daemon().client.get(f"/devices/{profile['device']}")


def ask(profile, archs):
    body = {"profile": profile["id"], "space": "tiny", "archs": archs, "method": "brief"}
    return [row["id"] for row in daemon().client.post("/measurements", body, 202)["items"]]


def state(name):
    return daemon().client.get(f"/measurements/{name}")["state"]


def measured(profile, archs, seconds):
    """The measurements of networks when all have ended."""
    names = ask(profile, archs)
    wait_for("the end of the measurements", lambda: all(state(name) not in ("queued", "leased", "running") for name in names), seconds, 0.2)
    return [daemon().client.get(f"/measurements/{name}") for name in names]
