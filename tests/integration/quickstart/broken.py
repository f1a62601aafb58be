"""Runs that are broken off, and machines that lack something."""
import os
import signal

import bed
from stack import Stack, program_of
from suite import check, equal, test

SEARCHES = "SELECT name, state FROM searches"


def forget_search():
    """Unless it is under way, the search begins anew in the next run."""
    bed.first()
    if bed.rows(SEARCHES) == [("quickstart", "done")]:
        with bed.daemon_alone() as client:
            equal(client.request("DELETE", "/searches/quickstart").status // 100, 2, "the search's removal")


@test("kill -9 of the daemon in the middle of a search: the run ends with a message, and the search can go on", 120)
def killed():
    forget_search()
    broken = bed.Quickstart(bed.folder().root, "--exit")
    broken.says(r"^search: +\[")
    os.kill(broken.pid_of("espalierd"), signal.SIGKILL)
    broken.ended(1, 15)
    check("quickstart: the daemon ended" in broken.text, "it says so", broken.text[-500:])
    check([state in ("running", "paused") for _, state in bed.rows(SEARCHES)] == [True], "searches", bed.rows(SEARCHES))


@test("the next run goes on with it; Ctrl-C in the middle and when all is done ends every process, and the run after that has its front", 120)
def interrupted():
    forget_search()
    broken = bed.Quickstart(bed.folder().root)
    broken.says(r"^search: +\[")
    check({"espalierd", "espalier-worker", "espalier-job"} <= {program_of(pid) for pid in bed.group_of(broken.popen.pid)}, "what runs")
    broken.interrupt()
    equal(bed.rows(SEARCHES), [("quickstart", "running")], "the search is not given up")
    again = bed.Quickstart(bed.folder().root)
    again.says("The daemon stays up", 90)
    equal(bed.rows(SEARCHES), [("quickstart", "done")], "searches")
    again.interrupt()
    check(len(again.front()) >= 1, "a front", again.text)


@test("a search whose board was removed before its end is left alone; there is another one on the new board", 150)
def another_board():
    bed.first()
    with bed.daemon_alone() as client:
        client.expect((200, 204), "DELETE", "/searches/quickstart")
        ((device, _),) = bed.boards()
        profile = client.get(f"/devices/{device}")["profiles"][0]["id"]
        objectives = [{"metric": "top1", "direction": "maximise"}, {"metric": "latency_us", "profile": profile, "direction": "minimise"}]
        constraints = [{"metric": "latency_us", "profile": profile, "max": 1e6}]
        search = client.post("/searches", {"name": "quickstart", "supernet": "fashion", "objectives": objectives, "constraints": constraints}, 202)
        client.post("/searches/quickstart/cancel", {})
        bed.folder().wait_job(search["job"]["id"], state="canceled")
        client.expect((200, 204), "DELETE", f"/devices/{device}")
    again = bed.Quickstart(bed.folder().root, "--exit")
    again.says(r"^search: +\[", 60)
    check('The search "quickstart" (canceled) was begun on another board' in again.text, "it says so", again.section("this machine"))
    equal(bed.rows("SELECT name, state FROM searches ORDER BY name"), [("quickstart", "canceled"), ("quickstart-2", "running")], "searches")
    if not os.environ.get("ESP_LONG", "0").strip("0"):
        again.end()
        return
    again.ended()
    check(len(again.front()) >= 1, "a front", again.text)
    last = bed.run()
    equal((last.front(), last.network().read_bytes()), (again.front(), again.network().read_bytes()), "the same again")


@test("without the package of the data set it says which one, and leaves no process behind", 30)
def no_data():
    stack = Stack("bare")
    tools = stack.root / "tools"
    tools.mkdir()
    (tools / "dpkg").write_text("#!/bin/sh\necho \"dpkg-query: package '$2' is not installed\" >&2\nexit 1\n")
    (tools / "dpkg").chmod(0o755)
    run = bed.Quickstart(stack.root / "data", "--exit", environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    children = run.says("dashboard: ") and bed.started(run.popen.pid)
    run.ended(1)
    check("Debian's package dataset-fashion-mnist is not installed (./scripts/install-packages build" in run.lines[-1], "it names the package", run.text)
    check(all(bed.gone(pid) for pid in children), "no process is left", children)
