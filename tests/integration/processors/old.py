"""x86_64 of 2008: SSE4.2, no AVX, AVX2 or FMA."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import data
import stack
from stack import CLI, DAEMON, JOB, WORKER, Stack
from suite import Failed, Skipped, at_end, check, equal, once, test, wait_for

EMULATOR = ("qemu-x86_64-static", "-cpu", "Nehalem")
CPU_SSE2 = 1  # base/cpu.h
TRAIN = {"epochs": 1, "batch": 25, "checkpoint_steps": 2, "seed": 7, "learning_rate": 0.05, "recalibration_images": 20, "validation_images": 40}
SPACE = data.space(resolutions=[12])
ARCHS = [data.SMALL_ARCH.replace("r28", "r12"), data.LARGE_ARCH.replace("r28", "r12")]
USES_AVX2 = 'int main(void) { __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0"); return 0; }\n'


@once
def folder():
    root = Path(tempfile.mkdtemp(prefix="espalier-processors-"))
    at_end(lambda: shutil.rmtree(root, ignore_errors=True))
    data.write_bars(root / "bars", 140, 40)
    return root


@once
def emulator():
    """The words that run a program; Skipped where this machine cannot, Failed where the emulator would hide what is looked for."""
    if os.uname().machine != "x86_64" or not shutil.which(EMULATOR[0]):
        raise Skipped(f"needs an x86_64 machine and {EMULATOR[0]} (Debian's qemu-user-static)")
    source, program = folder() / "avx2.c", folder() / "avx2"
    source.write_text(USES_AVX2)
    subprocess.run(["gcc", str(source), "-o", str(program)], check=True)
    done = subprocess.run([*EMULATOR, str(program)], capture_output=True)
    if done.returncode not in (-signal.SIGILL, 128 + signal.SIGILL):
        raise Failed(f"{EMULATOR} ends with {done.returncode} at an AVX2 instruction, not by SIGILL")
    return EMULATOR


def train(name, *command):
    """The metrics of a training by hand: (series, step) -> value; and its result."""
    spec = folder() / f"{name}.json"
    spec.write_text(json.dumps({"kind": "train", "threads": 2, "spec": {
        "supernet_dir": str(folder() / name), "space": SPACE, "dataset": {"path": str(folder() / "bars"), "validation": 40}, "train": TRAIN}}))
    done = subprocess.run([*command[:command.index("--")], str(JOB), "--run", str(spec), *command[command.index("--") + 1:]], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"the training ends with {done.returncode}:", done.stderr[-1500:])
    events = [row for row in map(json.loads, done.stdout.splitlines()) if row.get("type") == "event"]
    metrics = {(row["data"]["series"], row["data"]["step"]): row["data"]["value"] for row in events if row["kind"] == "metric" and row["data"]["series"] != "images_per_s"}
    return metrics, next(row["data"]["result"] for row in events if row["kind"] == "done")


@test("a training on a processor without AVX2 ends with the numbers of the scalar kernels", 60)
def training():
    metrics, result = train("emulated", *emulator(), "--")
    scalar, scalar_result = train("scalar", "--", "--cpu-mask", str(CPU_SSE2))
    equal(set(metrics), set(scalar), "series")
    check(("gradient_norm", 4) in metrics and ("loss", 4) in metrics, "loss and gradients are among them", list(metrics))
    for key, value in metrics.items():
        # The C library has its own variants of exp and log for processors with FMA.
        check(abs(value - scalar[key]) <= 1e-6 * max(1e-3, abs(scalar[key])), f"{key}", value, scalar[key])
    equal((result["steps"], result["top1_largest"], result["top1_smallest"]), (4, scalar_result["top1_largest"], scalar_result["top1_smallest"]), "steps and accuracies")


class Emulated(Stack):
    """A daemon on the old processor, or one on this processor whose jobs are on the old one: an emulated daemon does not survive
    the signal of a job's end (below)."""

    def __init__(self):
        super().__init__("processors", folder())
        self.emulated = True
        self.job_program = self.root / "job"
        self.job_program.write_text(f'#!/bin/sh\nexec {" ".join(emulator())} {JOB} "$@"\n')
        self.job_program.chmod(0o755)

    def daemon_command(self, *options):
        command = super().daemon_command(*options)
        command[command.index(JOB)] = self.job_program
        return [*emulator(), *command] if self.emulated else command

    def client_emulated(self, *words):
        done = subprocess.run([*emulator(), str(CLI), *words, "--url", self.url], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"the client ends with {done.returncode}:", done.stdout + done.stderr)
        return done.stdout


@once
def world():
    return Emulated()


@test("a daemon without AVX2 keeps its database and serves, a worker without it enrols, measures and reports", 120)
def measuring():
    daemon = world().start()
    equal(stack.program_of(daemon.daemon.pid), EMULATOR[0], "what runs the daemon")
    daemon.add_space(SPACE)
    daemon.start_worker("old", program=(*emulator(), WORKER))
    profile = daemon.enrolled("old", 30)
    flags = daemon.client.get(f"/devices/{profile['device']}")["fingerprint"]["cpu_flags"]
    equal(flags, CPU_SSE2, "instruction sets that the worker finds")
    (asked,) = daemon.client.post("/measurements", {"profile": profile["id"], "space": "tiny", "archs": ARCHS[:1], "method": "brief"}, 202)["items"]
    done = wait_for("the measurement", lambda: (doc := daemon.client.get(f"/measurements/{asked['id']}"))["state"] not in ("queued", "leased", "running") and doc, 90, 0.2)
    check(done["state"] == "accepted" and done["median_us"] > 0, "the measurement", done)
    check("old" in daemon.client_emulated("device", "ls"), "the client lists it")
    check(daemon.daemon.running() and daemon.workers["old"].running(), "daemon and worker run on")
    daemon.workers["old"].stop()
    daemon.kill()  # at its first signal qemu-user 7.2 ends every program of libuv, whatever the processor: it misaligns the stack


@test("jobs without AVX2: data set, training, scores, and a network's file", 90)
def jobs():
    daemon = world()
    daemon.emulated = False
    daemon.start()
    checked = daemon.client.post("/datasets", {"name": "bars", "path": str(folder() / "bars"), "validation": 40}, 202)
    daemon.wait_job(checked["job"]["id"], 30)
    made = daemon.client.post("/supernets", {"name": "net", "space": "tiny", "dataset": "bars", "train": TRAIN}, 202)
    daemon.wait_job(made["job"]["id"], 60)
    told = daemon.client_emulated("supernet", "evaluate", "net", *ARCHS, "--wait")
    check(all(arch in told for arch in ARCHS), "the client tells of them", told)
    scores = daemon.client.items(f"/evaluations?supernet={made['supernet']['id']}")
    check({row["arch"] for row in scores} >= set(ARCHS) and all(0 <= row["top1"] <= 1 for row in scores), "scores", scores)
    file = daemon.root / "net.onnx"
    daemon.client_emulated("arch", "export", "net", ARCHS[0], "--file", str(file))
    check(file.stat().st_size > 1000, "the network's file")
