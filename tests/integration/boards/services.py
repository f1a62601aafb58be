"""The worker as a service: what systemd says of the units, and what install-service does with a systemctl that only takes notes."""
import re
import shutil
import subprocess

import adding
from stack import Process
from suite import ROOT, Skipped, check, equal, test, wait_for

UNITS = ROOT / "devices/service"
EXPOSED_MOST = 2.0  # of 10, as systemd-analyze rates it; what is left is the network, which it needs


def analyze(*words):
    if not shutil.which("systemd-analyze"):
        raise Skipped("there is no systemd-analyze")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=50)


@test("systemd takes the unit for the whole board, and rates it as well confined")
def confined():
    folder = adding.daemon().root / "units"
    folder.mkdir()
    unit = folder / "espalier-worker.service"
    unit.write_text((UNITS / "espalier-worker.service").read_text().replace("/opt/espalier-worker/espalier-worker", "/bin/true"))
    done = analyze("verify", "--man=no", unit)
    equal((done.returncode, done.stdout + done.stderr), (0, ""), "what it says of the unit")
    unit.write_text(unit.read_text() + "\n[Service]\nProtectHom=yes\n")
    check("ProtectHom" in analyze("verify", "--man=no", unit).stderr, "it would say more")
    rated = analyze("security", "--offline=true", "--no-pager", UNITS / "espalier-worker.service")
    found = re.search(r"exposure level for espalier-worker.service: ([\d.]+)", rated.stdout)
    check(found and float(found.group(1)) <= EXPOSED_MOST, "exposure", found and found.group(0), rated.stderr)


@test("the line with --service enrols the board and hands a unit to the user's systemd; a refused token hands it nothing", 60)
def installed():
    stack = adding.daemon()
    home, tools = stack.root / "served", stack.root / "tools"
    home.mkdir()
    tools.mkdir()
    for name, text in (("systemctl", f"echo \"$@\" >>'{stack.root}/systemctl.txt'"), ("loginctl", "echo no")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    environment = {"HOME": str(home), "PATH": f"{tools}:/usr/bin:/bin", "ESPALIER_SALT": "served"}

    def paste(command):
        return subprocess.run(["sh", "-s"], input=command + "\n", env=environment, capture_output=True, text=True, timeout=40)
    late = stack.client.post("/tokens", {"kind": "enrolment", "service": True, "name": "served"}, 201)
    made = stack.client.post("/tokens", {"kind": "enrolment", "service": True, "name": "served", "label": "in the rack"}, 201)
    unit = home / ".config/systemd/user/espalier-worker.service"
    # The token is used up between the download and the enrolment: by another's hand, as it were.
    refused = paste(late["command"].replace(late["token"], "esp_e_" + "A" * 43))
    check(refused.returncode != 0 and "could not be enrolled" in refused.stderr, "what it says", refused)
    check(not unit.exists() and "enable" not in (stack.root / "systemctl.txt").read_text(), "no service")
    done = paste(made["command"])
    equal(done.returncode, 0, f"status ({done.stderr})")
    check("enable-linger" in done.stderr, "a word on lingering", done.stderr)
    check("--user enable --now espalier-worker.service" in (stack.root / "systemctl.txt").read_text(), "what systemctl was told")
    device = stack.client.get("/devices/served")
    equal((device["note"], device["online"]), ("in the rack", False), "the board, whose service has not started yet")
    text = unit.read_text()
    check(made["token"] not in text and "@WORKER@" not in text, "the unit", text)
    if shutil.which("systemd-analyze"):
        said = analyze("verify", "--user", "--man=no", unit)
        check(str(unit) not in said.stderr, "what systemd says of it", said.stderr)
    program = re.search(r'^ExecStart="(.*)"$', text, re.M).group(1)
    stack.workers["served"] = Process(["env", "-i", f"HOME={home}", "PATH=/usr/bin:/bin", "ESPALIER_SALT=served", program], stack.root / "served.log")
    wait_for("the service's board", lambda: adding.board("served"), 20)
    stack.workers["served"].stop()
