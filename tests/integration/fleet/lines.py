"""Lines that delay, throttle, cut, half-close, repeat and reorder; and none at all."""
import os
import subprocess
import time

import bed
import sound
from line import FAULTS, Line
from stack import WORKER, Process
from suite import Skipped, at_end, check, equal, test, wait_for

LONG = os.environ.get("ESP_LONG") == "1"
QUICK = "gmacs=5,gbps=4,noise=0.01"  # simulated, so that only the line takes time


def start(name, url, config=QUICK, prefix=(), options=()):
    """A worker with a simulated board by way of url, and its profile."""
    stack = bed.daemon()
    command = [*prefix, WORKER, "--daemon", url, "--state-dir", stack.root / f"worker-{name}", "--name", name, "--salt", name, "--backend", "sim", "--backend-config", config, *options]
    if not (stack.root / f"worker-{name}/worker.json").exists():
        command += ["--enrol", stack.enrolment_token()]
    stack.workers[name] = Process(command, stack.root / f"worker-{name}.log")
    return stack.workers[name], stack.enrolled(name)["id"]


@test("bad lines: every result is stored once, no lease is held by two, nothing is lost, the queue is drained", 200 if not LONG else 900)
def storm():
    boards, each = (4, 30) if not LONG else (16, 30)
    line = Line(bed.daemon().port, share=0.3, seed=int(os.environ.get("ESP_SEED", "7")))
    profiles = [start(f"storm-{i}", line.url)[1] for i in range(boards)]
    archs = [bed.fresh_arch() for _ in range(each)]
    begun = time.monotonic()
    names = [name for profile in profiles for name in bed.ask(profile, archs=archs)]
    sound.drained(names, 170 if not LONG else 800)
    seconds = time.monotonic() - begun
    sound.empty_spools(*[f"storm-{i}" for i in range(boards)])
    told = ", ".join(f"{name} {count}" for name, count in line.counts.items())
    print(f"# {len(names)} measurements over bad lines in {seconds:.0f} s, {line.requests} requests: {told}", flush=True)
    check(sum(line.counts.values()) >= 20, "faults", line.counts)
    for i in range(boards):
        bed.daemon().workers[f"storm-{i}"].stop()
    line.close()


@test("each fault of a line alone", 240)
def one_by_one():
    archs = [bed.fresh_arch() for _ in range(3)]
    for fault in FAULTS:
        line = Line(bed.daemon().port, share=0.35, seed=12, faults=(fault,))
        _, profile = start(f"alone-{fault.replace('_', '-')}", line.url)
        names = bed.ask(profile, archs=archs)
        sound.drained(names, 60)
        check(line.counts[fault] >= 1, f"{fault} has happened", line.counts)
        bed.daemon().workers[f"alone-{fault.replace('_', '-')}"].stop()
        line.close()


@test("results that come in another order than they were measured, each three times, count once")
def reordered():
    board = bed.board("reordered")
    names = bed.ask(board.profile_id, 5)
    lease = board.lease(max_items=5)
    board.ack(lease)
    messages = [board.result_of(lease, item) for item in lease["items"]]
    for message in [*messages[::-1], *messages, *messages[::-1]]:
        check(board.send(message).status in (200, 201), "each is taken")
    sound.drained(names)
    equal([bed.results(name) for name in names], [1] * 5, "results stored")
    equal(board.lease(), None, "there is no more")


def namespace(name):
    """A network of its own for a board, with a cable to this machine: (commands' prefix, address of this end). It lasts as long as the process that holds it: nothing is mounted."""
    if os.geteuid() != 0:
        raise Skipped("only root makes network namespaces")
    holder = subprocess.Popen(["unshare", "-n", "sleep", "600"], stderr=subprocess.DEVNULL)
    at_end(lambda: (holder.kill(), holder.wait()))
    own = os.readlink("/proc/self/ns/net")
    wait_for("a network namespace", lambda: holder.poll() is not None or os.readlink(f"/proc/{holder.pid}/ns/net") != own, 10)
    if holder.poll() is not None:
        raise Skipped("no network namespaces here")
    third = os.getpid() % 250
    inside = ("nsenter", "-t", str(holder.pid), "-n")
    for step in (["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid)], ["ip", "addr", "add", f"10.213.{third}.1/30", "dev", name], ["ip", "link", "set", name, "up"],
                 [*inside, "ip", "addr", "add", f"10.213.{third}.2/30", "dev", "eth0"], [*inside, "ip", "link", "set", "eth0", "up"], [*inside, "ip", "link", "set", "lo", "up"]):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode != 0:
            raise Skipped(f"no network namespaces here: {' '.join(step)}: {done.stderr.strip()}")
    return inside, f"10.213.{third}.1"


@test("a board that is unplugged in a measurement, and while it waits, goes on when it is plugged in", 120)
def unplugged():
    name = f"esp{os.getpid() % 100000}"
    prefix, address = namespace(name)

    def plug(state):
        subprocess.run([*prefix, "ip", "link", "set", "eth0", state], check=True)
    line = Line(bed.daemon().port, host=address)
    process, profile = start("unplugged", line.url, QUICK + ",pace=1", prefix, ("--insecure-lan",))
    (first,) = bed.ask(profile, method="full")
    bed.wait_state(first, "running", 40)
    plug("down")
    spool = bed.daemon().root / "worker-unplugged/spool"
    wait_for("the result in the spool", lambda: list(spool.iterdir()), 40)
    time.sleep(2)
    check(bed.measurement(first)["state"] == "running", "nothing has come", bed.measurement(first))
    plug("up")
    doc = bed.wait_state(first, "accepted", 60)
    equal(doc["attempt"], 1, "attempts")
    time.sleep(1)  # it waits for work now
    plug("down")
    (second,) = bed.ask(profile)
    time.sleep(4)
    plug("up")
    sound.drained([first, second], 60)
    sound.empty_spools("unplugged")
    process.stop()
    line.close()
