"""Starting the daemon: what it refuses to start on, and who may talk to it from beyond this machine."""
import http.client
import shutil
import socket
import sqlite3
import subprocess

import bed
from client import Answer, Client, Events, problem
from stack import DAEMON, WORKER, Process, Stack
from suite import Skipped, check, equal, test, wait_for


def refused(stack, *options, seconds=10, expected=1):
    """What the daemon says while it does not start on this data folder. 2: it would not the next time either."""
    log = stack.root / "refused.log"
    log.unlink(missing_ok=True)
    process = Process(stack.daemon_command(*options), log)
    try:
        status = process.popen.wait(seconds)
    except subprocess.TimeoutExpired:
        process.stop()
        raise AssertionError("the daemon has started") from None
    text = log.read_text()
    equal(status, expected, "its exit status")
    check(text.strip(), "it says why")
    return text


def ended_stack(name):
    """A data folder that a daemon has worked on."""
    stack = Stack(name).start()
    stack.stop()
    return stack


@test("data roots are given one by one or with colons between: data sets may lie below each of them, and nowhere else")
def several_roots():
    stack = Stack("roots")
    folders = [stack.root / name for name in ("one", "two", "three", "none")]
    for folder in folders:
        (folder / "set").mkdir(parents=True)
    stack.data_roots = folders[:1]
    stack.start("--data-root", f"{folders[1]}:{folders[2]}")
    for i, folder in enumerate(folders):
        answer = stack.client.request("POST", "/datasets", {"name": folder.name, "path": str(folder / "set")})
        if i < 3:
            equal(answer.status, 202, f"a data set below the root {folder.name}")
        else:
            check("--data-root" in problem(answer, (403, 422), pointer="/path")["detail"], "what lies below none is refused", answer)
    stack.stop()


@test("a second daemon on the same data folder is refused, the first goes on")
def second_daemon():
    stack = bed.daemon()
    port, stack.port = stack.port, 0
    try:
        text = refused(stack)
    finally:
        stack.port = port
    check(str(stack.data_dir) in text or "in use" in text or "another" in text, "the message names the cause", text)
    equal((stack.data_dir / "port").read_text().strip(), str(port), "the port file of the first")
    stack.client.get("/healthz")


@test("a database from a newer version is refused with its version named, and left as it was")
def newer_database():
    stack = ended_stack("newer")
    with sqlite3.connect(stack.database()) as db:
        (last,) = db.execute("SELECT max(version) FROM schema_migrations").fetchone()
        db.execute("INSERT INTO schema_migrations (version, name, hash, applied_us) VALUES (?, 'later', 'x', 1)", (last + 1,))
    db.close()
    text = refused(stack, expected=2)
    check(str(last + 1) in text and "newer" in text, "the message", text)
    db = sqlite3.connect(stack.database())
    equal(db.execute("SELECT max(version) FROM schema_migrations").fetchone(), (last + 1,), "the database's version")
    db.execute("DELETE FROM schema_migrations WHERE version > ?", (last,))
    db.commit()
    db.close()
    stack.start()


@test("a database with an altered history, or that is none, is refused and not overwritten")
def strange_database():
    stack = ended_stack("strange")
    path = stack.database()
    db = sqlite3.connect(path)
    (good,) = db.execute("SELECT hash FROM schema_migrations WHERE version = 1").fetchone()
    db.execute("UPDATE schema_migrations SET hash = 'other' WHERE version = 1")
    db.commit()
    db.close()
    text = refused(stack)
    check("0001" in text or "migration" in text, "the message names the migration", text)
    db = sqlite3.connect(path)
    db.execute("UPDATE schema_migrations SET hash = ? WHERE version = 1", (good,))
    db.commit()
    db.close()
    for name in path.parent.glob(path.name + "-*"):
        name.unlink()
    keep = path.with_suffix(".kept")
    shutil.move(path, keep)
    noise = b"this is no database, but somebody's only copy of something" * 200
    path.write_bytes(noise)
    text = refused(stack)
    check(path.name in text or "database" in text, "the message", text)
    equal(path.read_bytes(), noise, "the file")
    shutil.move(keep, path)
    stack.start()


@test("bad options and a port in use are refused with the cause")
def bad_options():
    for options in (["--no-such-option"], ["--port", "99999"], ["--port", "x"], ["surplus"], ["--listen", "nowhere"]):
        done = subprocess.run([DAEMON, "--data-dir", bed.daemon().root / "unused", *options], capture_output=True, text=True, timeout=10)
        check(done.returncode not in (0, -6, -11), f"exit status with {options}", done.returncode)
        check(done.stderr.strip(), f"a message for {options}", done)
    for program in (DAEMON, WORKER):
        for options in (["--bogus", "--help"], ["--help", "--bogus"]):  # as the client
            done = subprocess.run([program, *options], capture_output=True, text=True, timeout=10)
            equal((done.returncode, done.stdout), (2, ""), f"help beside an option that is wrong: {options}")
            check("--bogus" in done.stderr, "which one", done.stderr)
    for options in (["--help"], ["--version"]):
        done = subprocess.run([DAEMON, *options], capture_output=True, text=True, timeout=10)
        equal(done.returncode, 0, f"exit status with {options}")
        check(done.stdout.strip(), f"text of {options}", done)
    stack = Stack("port-in-use")
    stack.port = bed.daemon().port
    text = refused(stack)
    check(str(stack.port) in text, "the message names the port", text)


@test("a data folder that cannot be made is refused")
def bad_folder():
    stack = Stack("folder")
    stack.data_dir = stack.root / "file/below"
    (stack.root / "file").write_text("not a folder")
    text = refused(stack)
    check("file" in text, "the message names the folder", text)


def own_address():
    """An address of this machine that is not loopback, without asking anybody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


class FromBeyond(Client):
    """A client that comes by another address than loopback."""

    def __init__(self, address, port, token=None):
        super().__init__(port, token)
        self.address = address

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        all_headers = {"Connection": "close", **({"Authorization": "Bearer " + self.token} if self.token else {}), **(headers or {})}
        connection.request(method, "/api/v1" + path if not path.startswith("/healthz") else path, headers=all_headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())


@test("beyond loopback every request needs a token, reads too")
def beyond():
    address = own_address()
    if address is None or address.startswith("127."):
        raise Skipped("this machine has no address beyond loopback")
    stack = Stack("beyond").start("--listen", "0.0.0.0", "--insecure-lan")
    other = FromBeyond(address, stack.port)
    for path in ("/jobs", "/system", "/events", "/devices"):
        answer = other.request("GET", path)
        problem(answer, 401, "unauthorized")
        equal(answer.headers.get("www-authenticate"), "Bearer", "how to ask")
    token = stack.client.post("/tokens", {"kind": "api"}, 201)["token"]
    equal(FromBeyond(address, stack.port, token).request("GET", "/jobs").status, 200, "with a token")
    problem(FromBeyond(address, stack.port, token + "x").request("GET", "/jobs"), 401)
    problem(FromBeyond(address, stack.port, token).request("GET", "/jobs", headers={"Host": "evil.example"}), 403)
    problem(stack.client.request("GET", "/jobs", headers={"Host": f"{address}:{stack.port}"}), 401)
    stack.client.get("/jobs")


@test("plain HTTP beyond this machine is refused unless asked for")
def plain_lan():
    stack = Stack("plain")
    text = refused(stack, "--listen", "0.0.0.0", expected=2)
    check("--insecure-lan" in text, "the message says how", text)


@test("what is older than its rule allows goes, slice by slice, and status tells the rules")
def retention():
    stack = Stack("retention").start()
    path = stack.data_dir / "espalier.db"
    stack.stop()
    db = sqlite3.connect(path)
    for i in range(5000):
        db.execute("INSERT INTO leases VALUES (?, 'dv_none', 1, 'closed', 1, 1, 1)", (f"ls_{i:05}",))
        db.execute("INSERT INTO transitions (at_us, machine, subject, from_state, to_state, event) VALUES (1, 'job', 'job_none', 'a', 'b', 'c')")
    db.commit()
    db.close()
    stack.start("--keep-transitions", "1000")

    def rows(kind):
        return next(row["rows"] for row in stack.client.get("/system")["retention"] if row["kind"] == kind)
    wait_for("the last of the old leases to go", lambda: rows("leases") == 0, 20)
    equal(rows("transitions"), 1000, "transitions")
    text = stack.cli("status")
    check("the newest 1000" in text and "90 days" in text, "status tells the rules", text)
    stack.stop()


@test("SIGTERM ends the daemon quickly and in order, with requests and streams open")
def in_order():
    stack = Stack("orderly").start()
    stream = Events(stack.port)
    idle = socket.create_connection(("127.0.0.1", stack.port))
    status = stack.stop(10)
    stream.close()
    idle.close()
    equal(status, 0, "exit status")
    stack.start()
    wait_for("readiness", stack.ready)
