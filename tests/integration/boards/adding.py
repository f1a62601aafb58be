"""A board is added by the line that the daemon prints, on a system that holds busybox and nothing else; and what may go wrong."""
import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import bed
import tarballs
from client import problem
from proxy import Proxy
from stack import CLI, Stack, token_of
from suite import Skipped, at_end, check, equal, once, test, wait_for

BUSYBOX = "/bin/busybox"
# By /proc/sys/fs/binfmt_misc of a user namespace (Linux 6.7), aarch64 programs run by themselves, without root.
MAGIC = r":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"


@once
def daemon():
    """One that carries the workers of the tests' own builds."""
    carried = tarballs.native()[0].parent
    return Stack("adding").start("--worker-builds", carried)


class Machine:
    """A file system with a shell, busybox's programs, and an empty home; the command is pasted into the shell."""

    def __init__(self, name, processor=None):
        self.name = name
        self.root = daemon().root / name
        self.emulated = processor == "aarch64" and os.uname().machine != "aarch64"
        busybox = shutil.which("busybox") or BUSYBOX
        if not os.path.exists(busybox) or subprocess.run(["ldd", busybox], capture_output=True).returncode == 0:
            raise Skipped("there is no static busybox (busybox-static)")
        for folder in ("bin", "home", "tmp", "etc", "dev"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "dev/null").touch()
        (self.root / "dev/urandom").write_bytes(os.urandom(1 << 16))  # busybox's TLS reads it; as good as the device for once
        shutil.copy(busybox, self.root / "bin/busybox")
        for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True).stdout.split():
            if applet != "busybox":
                (self.root / "bin" / applet).symlink_to("busybox")
        if processor: # busybox's shell would call its own uname
            shell = Path(shutil.which("dash") or "/bin/sh").resolve()
            for file in [shell, *re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", shell], capture_output=True, text=True).stdout)]:
                (self.root / str(file)[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, self.root / str(file)[1:])
            (self.root / "bin/sh").unlink()
            (self.root / "bin/sh").symlink_to(shell)
            (self.root / "bin/uname").unlink()
            (self.root / "bin/uname").write_text(f"#!/bin/sh\n[ \"$1\" = -m ] && echo {processor}\n")
            (self.root / "bin/uname").chmod(0o755)
        self.process = None

    def _words(self):
        words = tarballs.chrooted(self.root, "/bin/sh", "-s")
        if self.emulated:
            emulator, _ = bed.emulated()
            register = "/proc/sys/fs/binfmt_misc"
            prepare = f"mount -t binfmt_misc none {register} && printf '%s' '{MAGIC}{shutil.which(emulator)}:F' >{register}/register"
            if subprocess.run(["unshare", "-r", "-m", "sh", "-c", prepare], capture_output=True).returncode != 0:
                raise Skipped("this kernel has no binfmt_misc of a user's own")
            words = ["unshare", "-r", "-m", "sh", "-c", f'{prepare} && exec chroot "$0" /bin/sh -s', self.root]
        return words

    def paste(self, command, **environment):
        """Starts the command as if it were typed: it stands in no program's arguments but those it makes itself."""
        self.log = daemon().root / f"{self.name}.log"
        everything = {"HOME": "/home", "PATH": "/bin", "ESPALIER_SALT": self.name, **environment}
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(word) for word in self._words()], stdin=subprocess.PIPE, stdout=out, stderr=out, env={**everything, "PATH": "/bin:/usr/bin:/usr/sbin:/sbin"}, start_new_session=True)
        self.process.stdin.write(command.encode() + b"\nexit $?\n")
        self.process.stdin.close()
        at_end(self.stop)
        return self

    def text(self):
        return self.log.read_text(errors="replace")

    def ends(self, seconds=30):
        """Its exit status; what it said is in text()."""
        return self.process.wait(seconds)

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, 15)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait(5)

    def refuses(self, *texts):
        """The command ends with a failure that says these, and neither board nor state are there."""
        check(self.ends() != 0, "it fails", self.text())
        for text in (*texts, "nothing was started"):
            check(text in self.text(), f"it says \"{text}\"", self.text())
        check(not (self.root / "home/.local/state").exists(), "no worker has run")
        equal([row["name"] for row in daemon().client.items("/devices") if row["name"].startswith(self.name)], [], "boards")


def ask(name, **body):
    return daemon().client.post("/tokens", {"kind": "enrolment", "name": name, **body}, 201)


def arguments_with(secret):
    """Programs of this machine that show the secret in their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if secret.encode() in line:
            found.append(line)
    return found


def board(name):
    return next((row for row in daemon().client.items("/devices") if row["name"] == name and row["online"]), None)


def comes_online(machine, made, seconds):
    """Its board, and how long it took."""
    begun = time.monotonic()
    machine.paste(made["command"])
    seen = []

    def there():
        seen.extend(arguments_with(made["token"]))
        check(machine.process.poll() is None, "the command has ended", machine.text())
        return board(machine.name)
    found = wait_for(f"{machine.name} online", there, seconds, 0.02)
    equal(seen, [], "programs with the token in their arguments")
    return found, time.monotonic() - begun


@test("one line adds a board that has busybox alone; it is called and noted as asked, and its token is used", 60)
def added():
    machine, made = Machine("bare"), ask("bare", label="on the shelf")
    check("\n" not in made["command"] and len(made["command"]) < 900, "a line that can be pasted", len(made["command"]))
    found, seconds = comes_online(machine, made, 20)
    print(f"# online {seconds:.2f} s after the command was pasted, which has {len(made['command'])} characters", flush=True)
    equal((found["note"], found["fingerprint"]["machine"]), ("on the shelf", "x86_64"), "note and machine")
    token = daemon().client.get(f"/tokens/{made['id']}")
    equal((token["device"], token["uses_left"]), (found["id"], 0), "the token afterwards")
    machine.stop()
    again = Machine("elsewhere").paste(made["command"])
    again.refuses("used up")
    # The folder that was made serves from now on, without token and daemon address.
    machine.paste("/home/.local/share/espalier-worker/current/espalier-worker")
    wait_for("the board again", lambda: board("bare"), 20)
    equal(len([row for row in daemon().client.items("/devices") if row["name"].startswith("bare")]), 1, "boards")
    machine.stop()


@test("the same line with curl in place of wget", 60)
def by_curl():
    if not shutil.which("curl"):
        raise Skipped("there is no curl")
    home = daemon().root / "with-curl"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "ESPALIER_SALT": "with-curl"}
    made = ask("with-curl")
    with open(daemon().root / "with-curl.log", "ab") as out:
        process = subprocess.Popen(["sh", "-s"], stdin=subprocess.PIPE, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        process.stdin.write(made["command"].encode() + b"\n")
        process.stdin.close()
        begun = time.monotonic()
        wait_for("the board", lambda: board("with-curl"), 20, 0.02)
        print(f"# online after {time.monotonic() - begun:.2f} s", flush=True)
        equal(arguments_with(made["token"]), [], "programs with the token in their arguments")
    finally:
        os.killpg(process.pid, 15)
        process.wait(10)


@test("an aarch64 board is added by the same line, under qemu, and measures", 150)
def added_emulated():
    tarballs.emulated_build()
    equal([row["arch"] for row in daemon().client.get("/worker-builds")["items"]], ["aarch64", "x86_64"], "workers that it carries by now")
    machine, made = Machine("arm", processor="aarch64"), ask("arm")
    found, seconds = comes_online(machine, made, 60)
    print(f"# online {seconds:.2f} s after the command was pasted", flush=True)
    equal(found["fingerprint"]["machine"], "aarch64", "its machine")
    wait_for("the noise floor, measured by the board", lambda: daemon().client.get(f"/devices/{found['id']}")["noise"] is not None, 80, 0.2)
    machine.stop()


@test("a board of another processor is told which there are", 60)
def unknown_processor():
    Machine("mips", processor="mips").paste(ask("mips")["command"]).refuses("mips", "x86_64", "aarch64")


@test("a download that was changed on its way is refused: tarball and installer", 60)
def tampered():
    def flip_late(data):
        """The last byte of all large pieces, which are the tarball's."""
        return data[:-1] + bytes([data[-1] ^ 1]) if len(data) > 8000 else data
    middle = Proxy(daemon().port, answer=flip_late)
    Machine("flipped").paste(ask("flipped", address=middle.url)["command"]).refuses("SHA-256")
    other = Proxy(daemon().port, answer=lambda data: data.replace(b"set -eu", b"set -eU"))
    Machine("forged").paste(ask("forged", address=other.url)["command"]).refuses("instead of the installer")
    middle.close()
    other.close()


@test("an expired or revoked token is refused before anything is fetched", 60)
def no_ticket():
    short, revoked = ask("late", expires_in_s=1), ask("revoked")
    daemon().client.expect((200, 204), "DELETE", f"/tokens/{revoked['id']}")
    time.sleep(1.2)
    for name, made, why in (("late", short, "expired"), ("revoked", revoked, "revoked")):
        for path in ("/worker-builds", "/worker-builds/install.sh", "/worker-builds/x86_64"):
            doc = problem(daemon().client.request("GET", f"{path}?enrolment={made['id']}"), 401)
            check(why in doc["detail"], "the cause", doc)
        Machine(name).paste(made["command"]).refuses()


@test("the daemon killed in the middle of a download: the line fails and says so; pasted again it works", 90)
def broken_off():
    reached, go_on = threading.Event(), threading.Event()
    passed = [0]

    def slow(data):
        passed[0] += len(data)
        if passed[0] > 1_000_000:
            reached.set()
            go_on.wait(20)
        return data
    middle = Proxy(daemon().port, answer=slow)
    made = ask("patient", address=middle.url)
    machine = Machine("patient").paste(made["command"])
    check(reached.wait(20), "the download has begun", machine.text())
    daemon().kill()
    go_on.set()
    check(machine.ends() != 0, "it fails", machine.text())
    check("nothing was started" in machine.text(), "it says so", machine.text())
    equal(list((machine.root / "home/.local/share/espalier-worker").iterdir()), [], "what the broken download left")
    daemon().start()
    passed[0] = -1 << 40
    machine.paste(made["command"])
    wait_for("the board", lambda: board("patient"), 20)
    machine.stop()
    middle.close()


@test("a new worker replaces the old one, of which one stays", 60)
def replaced():
    folder = daemon().root / "releases"
    folder.mkdir()
    carried = folder / tarballs.native()[0].name
    shutil.copy(tarballs.native()[0], carried)
    twin = Stack("releases").start("--worker-builds", folder)
    home, kept = daemon().root / "upgraded", []
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    for number in range(3):
        made = twin.client.post("/tokens", {"kind": "enrolment"}, 201)
        # "--version" in place of a run: the options behind the line's last word are the worker's.
        done = subprocess.run(["sh", "-c", made["command"].replace('espalier; else', 'espalier --version; else')], env=environment, capture_output=True, text=True, timeout=30)
        check(done.returncode == 0 and "espalier-worker 0" in done.stdout, "it ran", done)
        kept.append(hashlib.sha256(carried.read_bytes()).hexdigest())
        here = {path.name for path in (home / ".local/share/espalier-worker").iterdir()}
        equal(here, {"current", *(f"x86_64-{digest}" for digest in kept[-2:])}, "workers on the board")
        check(kept[-1] in os.readlink(home / ".local/share/espalier-worker/current"), "the newest is current")
        with open(carried, "ab") as file: # gzip passes over zeros behind its end
            file.write(b"\0" * 16)
    twin.stop()


@test("workers are listed with their digests, served with an ETag, and only for those who may", 60)
def served():
    open_daemon = Stack("open").start("--worker-builds", tarballs.native()[0].parent, "--listen", "0.0.0.0", "--insecure-lan")
    client, tarball, digest = open_daemon.client, *tarballs.native()
    listed = {row["arch"]: row for row in client.get("/worker-builds")["items"]}
    equal(listed["x86_64"], {"arch": "x86_64", "version": listed["x86_64"]["version"], "bytes": tarball.stat().st_size, "sha256": digest}, "the list")
    answer = client.expect(200, "GET", "/worker-builds/x86_64")
    check(answer.body == tarball.read_bytes(), "the file's bytes")
    equal(answer.headers["etag"], f'"{digest}"', "ETag")
    equal(client.request("GET", "/worker-builds/x86_64", headers={"If-None-Match": f'"{digest}"'}).status, 304, "when it is known")
    problem(client.request("GET", "/worker-builds/mips"), 404)
    # Named by another than a loopback name, the client counts as one beyond this machine.
    far = {"Host": "192.0.2.1"}
    made = client.post("/tokens", {"kind": "enrolment", "uses": 1}, 201)
    api = client.post("/tokens", {"kind": "api"}, 201)
    for path in ("/worker-builds", "/worker-builds/install.sh", "/worker-builds/x86_64"):
        problem(client.request("GET", path, headers=far), 401)
        equal(client.request("GET", f"{path}?enrolment={made['id']}", headers=far).status, 200, f"{path} with a ticket")
        equal(client.request("GET", path, headers={**far, "Authorization": "Bearer " + api["token"]}).status, 200, f"{path} with an API token")
        for ticket in (api["id"], made["token"], "tok_", "", "x' OR '1'='1", "%00"):
            problem(client.request("GET", f"{path}?enrolment={ticket.replace(' ', '%20')}", headers=far), (400, 401))
    for path in ("/devices", "/tokens", f"/tokens/{made['id']}"):
        check(client.request("GET", f"{path}?enrolment={made['id']}", headers=far).status in (400, 401), f"a ticket opens {path}")
    equal(client.get(f"/tokens/{made['id']}")["uses_left"], 1, "downloads use nothing up")
    command = client.post("/tokens", {"kind": "enrolment"}, 201)
    check(not re.search(r"http://(127|0\.0\.0\.0|localhost)", command["command"]) or command["notices"], "an address that others can dial, or a word that it is none", command)
    open_daemon.stop()


@test("a daemon that carries no worker says so and prints the line for a board that has one", 60)
def carries_none():
    folder = daemon().root / "nothing"
    folder.mkdir()
    bare = Stack("none").start("--worker-builds", folder)
    made = bare.client.post("/tokens", {"kind": "enrolment"}, 201)
    equal(made["command"], f"ESPALIER_ENROL_TOKEN={token_of(made['command'])} espalier-worker --daemon {bare.url}", "the command")
    check(any("worker-tarball" in notice for notice in made["notices"]), "why", made["notices"])
    said = bare.cli_run("device", "add", "--name", "pi")
    check("worker-tarball" in said.stderr and "espalier-worker --daemon" in said.stdout, "the client", said)
    equal(bare.client.get("/worker-builds")["items"], [], "the list")
    problem(bare.client.request("GET", "/worker-builds/x86_64"), 404)
    empty = folder / tarballs.native()[0].name
    empty.touch()
    problem(bare.client.request("GET", "/worker-builds/x86_64"), 500)
    empty.unlink()
    empty.mkdir()
    problem(bare.client.request("GET", "/worker-builds/x86_64"), 500)
    bare.stop()


@test("device add --wait ends when the board has registered, or in time", 60)
def waits():
    stack = daemon()
    equal(stack.cli_run("device", "add", "--wait", "--timeout", "1s").returncode, 124, "status when nobody comes")
    with open(stack.root / "waiting.txt", "wb") as out:
        client = subprocess.Popen([CLI, "device", "add", "--name", "awaited", "--wait", "--url", stack.url], stdout=out, stderr=subprocess.PIPE, text=True)
    command = wait_for("the command", lambda: re.search(r"^  (u=.*)$", (stack.root / "waiting.txt").read_text(), re.M), 10)
    machine = Machine("awaited").paste(command.group(1))
    _, said = client.communicate(timeout=30)
    check(client.returncode == 0 and "has registered" in said, "the client", client.returncode, said)
    machine.stop()
