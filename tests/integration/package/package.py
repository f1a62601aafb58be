"""The package, its unit, and the daemon that was packed."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from stack import Stack
from suite import BUILD, ROOT, Skipped, at_end, check, equal, once, test

HERE = Path(__file__).resolve().parent
UNIT = ROOT / "packaging/espalierd.service"
LONG = os.environ.get("ESP_LONG") == "1"
EXPOSED_MOST = 2.0  # of 10, as systemd-analyze rates it; what is left is the network, which it needs


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skipped(f"there is no {program}")


def run(*words, **options):
    return subprocess.run([str(word) for word in words], **{"capture_output": True, "text": True, "timeout": 280, **options})


@once
def folder():
    made = Path(tempfile.mkdtemp(prefix="espalier-package-"))
    at_end(lambda: shutil.rmtree(made, ignore_errors=True))
    return made


@once
def package():
    needs("dpkg-deb", "dpkg-shlibdeps")
    done = run(ROOT / "scripts/package-deb", "--build", BUILD, "--into", folder(), "--fast")
    equal(done.returncode, 0, f"status of package-deb ({done.stderr})")
    return Path(done.stdout.strip())


@once
def unpacked():
    into = folder() / "root"
    equal(run("dpkg-deb", "-x", package(), into).returncode, 0, "status of dpkg-deb")
    return into


@test("package: systemd takes the daemon's unit, and rates it as well confined")
def confined():
    needs("systemd-analyze")
    unit = folder() / "espalierd.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/espalierd", "/bin/true"))
    done = run("systemd-analyze", "verify", "--man=no", unit)
    equal((done.returncode, done.stdout + done.stderr), (0, ""), "what it says of the unit")
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    rating = re.search(r"Overall exposure level for espalierd.service: ([\d.]+)", said.stdout)
    check(rating and float(rating.group(1)) <= EXPOSED_MOST, "its exposure", said.stdout[-300:] + said.stderr)
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=no").replace("SystemCallFilter=", "#"))
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit).stdout
    check(float(re.search(r"exposure level for espalierd.service: ([\d.]+)", said).group(1)) > EXPOSED_MOST, "it would say more of less")


@test("package: it has programs, unit, options, manual and completions, owned by root, and names its libraries", 300)
def contents():
    listed = run("dpkg-deb", "-c", package()).stdout.splitlines()
    files = {line.split()[5].removeprefix("."): line.split()[0] for line in listed}
    for path, mode in (("/usr/bin/espalierd", "-rwxr-xr-x"), ("/usr/bin/espalier", "-rwxr-xr-x"), ("/usr/bin/espalier-worker", "-rwxr-xr-x"), ("/usr/libexec/espalier/espalier-job", "-rwxr-xr-x"), ("/lib/systemd/system/espalierd.service", "-rw-r--r--"),
                       ("/etc/espalier/espalierd.env", "-rw-r--r--"), ("/usr/share/man/man1/espalier.1.gz", "-rw-r--r--"), ("/usr/share/doc/espalier/copyright", "-rw-r--r--"), ("/usr/share/bash-completion/completions/espalier.bash", "-rw-r--r--")):
        equal(files.get(path), mode, path)
    check(all(line.split()[1] == "root/root" for line in listed), "everything is root's")
    strange = [path for path in files if not path.startswith(("/usr/", "/lib/", "/etc/")) and path not in ("/", "/usr/", "/lib/", "/etc/")]
    equal(strange, [], "what lies elsewhere")
    fields = run("dpkg-deb", "-f", package()).stdout
    for library in ("libsqlite3-0", "libuv1", "libmicrohttpd12", "libsodium23", "libcurl4", "libcjson1", "adduser"):
        check(re.search(rf"^Depends: .*\b{library}\b", fields, re.M), f"it depends on {library}", fields)
    check("cmocka" not in fields, "nothing of the tests", fields)
    control = folder() / "control"
    run("dpkg-deb", "-e", package(), control)
    equal((control / "conffiles").read_text(), "/etc/espalier/espalierd.env\n", "the files that a person may change")
    for script in ("postinst", "prerm", "postrm"):
        equal(run("sh", "-n", control / script).returncode, 0, f"syntax of {script}")
    options = run(unpacked() / "usr/bin/espalierd", "--help").stdout
    for name in re.findall(r"^#ESPALIER_(\w+)=", (unpacked() / "etc/espalier/espalierd.env").read_text(), re.M):
        check(f"--{name.lower().replace('_', '-')}" in options, f"there is an option for ESPALIER_{name}")


class Packed(Stack):
    """The daemon as the unit starts it, under the unit's limits, but for its folders and its port."""

    def daemon_command(self, *options):
        unit = unpacked() / "lib/systemd/system/espalierd.service"
        line = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.M).group(1)
        words = line.replace("${STATE_DIRECTORY}", str(self.data_dir)).replace("${RUNTIME_DIRECTORY}", str(self.root)).split()
        words[0] = str(unpacked()) + words[0]
        return [sys.executable, HERE / "confined.py", unit, *words, "--port", self.port, "--data-root", ":".join(map(str, self.data_roots)), *options]


@test("package: the packed daemon and its jobs work under the unit's filter of system calls", 300)
def works():
    needs("systemd-analyze")
    if os.uname().machine != "x86_64":
        raise Skipped("the filter is written for x86_64")
    unit = unpacked() / "lib/systemd/system/espalierd.service"
    for program, wanted in ((("/bin/true",), 0), (("/usr/sbin/chroot", "/", "/bin/true"), 125), (("/usr/bin/python3", "-c", "import mmap; mmap.mmap(-1, 4096, prot=7)"), 1), (("/usr/bin/python3", "-c", "import socket; socket.socket(17, 3)"), 1)):
        equal(run(sys.executable, HERE / "confined.py", unit, *program).returncode, wanted, f"status of {program}")
    stack = Packed("packed").start()
    check(b"<html" in stack.client.expect(200, "GET", "/").body.lower(), "the dashboard")
    stack.add_data()
    stack.add_space()
    stack.train("net", {"epochs": 1, "batch": 50, "seed": 1, "recalibration_images": 100, "validation_images": 100})
    done = run(unpacked() / "usr/bin/espalier", "status", "--url", f"unix:{stack.root}/socket")
    equal(done.returncode, 0, f"espalier status by the socket ({done.stderr})")
    stack.restart()
    equal(stack.stop(10), 0, "the daemon's end")


@test("package: the same input gives the same bytes", 300)
def same():
    if not LONG:
        raise Skipped("packs a second time: ESP_LONG=1")
    again = run(ROOT / "scripts/package-deb", "--build", BUILD, "--into", folder() / "again", "--fast")
    check(Path(again.stdout.strip()).read_bytes() == package().read_bytes(), "both packages are the same")


@test("package: dpkg installs it, its daemon runs as its user, and its data stays when it is purged", 300)
def installed():
    needs("dpkg", "unshare", "setpriv", "adduser")
    if not LONG:
        raise Skipped("installs and removes the package twice: ESP_LONG=1")
    if os.geteuid() != 0:
        raise Skipped("only root installs packages")
    done = run(HERE / "install", package(), timeout=280)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if last.startswith("SKIP "):
        raise Skipped(last.removeprefix("SKIP "))
    equal((done.returncode, last), (0, "it is well"), f"the end of it ({done.stdout[-1500:]}{done.stderr[-1500:]})")
