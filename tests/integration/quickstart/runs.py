"""The first run, the second, and one beside another."""
import os
import re
import signal
import time

import bed
from suite import check, equal, test, wait_for


@test("the first run prints a measured front, how long each step took, and where the network is", 200)
def first():
    run = bed.first()
    front = run.front()
    check(len(front) >= 1, "the front has points", front)
    for row in front:
        check(re.match(r"\d+\.\d\d % evaluated +\d+\.\d\d %  .* -> .* \[.*\] .* r28 \| ", row), "a point has its validation and test top-1, predicted and measured latency, and arch", row)
    steps = run.section("the Pareto front").split("time of each step\n")[1].split("\n\n")[0].splitlines()
    equal([re.sub(r" +\d+ s.*$", "", line.strip()) for line in steps], [
        "packages", "build", "daemon", "data set: Fashion-MNIST", f"training a once-for-all supernet ({bed.TRAIN_TIME})", "this machine as a board",
        "latency table of the space on this board", "search: NSGA-II, random search beside it", "test images: only for the networks that are kept", "export of the chosen network", "in all"], "steps")
    equal(run.network(), bed.folder().root / "export/chosen.onnx", "where the network is")
    check(b"r28" in bed.network_before() or len(bed.network_before()) > 10000, "a network in the file", len(bed.network_before()))
    equal(bed.jobs(), {"dataset": 1, "train": 1, "table": 1, "search": 1, "export": 1}, "jobs")
    equal([name for _, name in bed.boards()], ["this-machine"], "boards")


@test("a second run finds everything, computes nothing again, and prints the same", 60)
def second():
    before = bed.jobs() if bed.first() else None
    again = bed.run()
    bed.same_as_first(again, before)
    for step, words in (("training", "found, trained already"), ("latency table", "not needed"), ("export", "found, exported already")):
        check(words in again.section(step), f"{step}: {words}", again.section(step))


@test("a run beside another on the same folder is refused at once and touches nothing; so is one beside a daemon that was left behind", 90)
def beside():
    bed.first()
    port_file = bed.folder().data_dir / "port"
    running = bed.Quickstart(bed.folder().root)
    running.says("The daemon stays up")
    daemon, worker = running.pid_of("espalierd"), running.pid_of("espalier-worker")
    port = port_file.read_text()
    before = time.monotonic()
    refused = bed.run(status=1)
    check(time.monotonic() - before < 20, "it was refused at once")
    equal(refused.lines, [f"quickstart: another quickstart (process {running.popen.pid}) works on {bed.folder().root}: stop it with Ctrl-C, or give this one a --data-dir of its own"], "what it says")
    equal(port_file.read_text(), port, "the port of the first")
    check(not bed.gone(daemon) and not bed.gone(worker) and running.popen.poll() is None, "the first one's processes are there")
    bed.folder().port = int(port)
    equal(bed.folder().cli("device", "show", "this-machine", "--get", "online"), "true", "the first one's board")

    running.popen.kill()
    running.popen.wait(10)
    refused = bed.run(status=1)
    check(f"a daemon (process {daemon}) works on {bed.folder().data_dir}" in refused.text and len(refused.lines) == 1, "it names the daemon", refused.text)
    equal(port_file.read_text(), port, "the port of the daemon")
    check(not bed.gone(daemon), "the daemon is there")
    for pid in (worker, daemon):
        os.kill(pid, signal.SIGKILL)
    wait_for("their end", lambda: bed.gone(daemon) and bed.gone(worker), 10)
    bed.folder().port = 0
    jobs = bed.jobs()
    bed.same_as_first(bed.run(), jobs)
