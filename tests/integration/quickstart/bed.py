"""What the tests of quickstart share: its data folder, and the script as a process whose words are read."""
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

from stack import Stack, program_of
from suite import BUILD, PATIENCE, ROOT, Failed, at_end, check, equal, once, wait_for

TRAIN_TIME = "5s"


def started(pid):
    """Process ids of the direct children of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def group_of(pid):
    """Process ids of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(path.name)) == pid:
                found.append(int(path.name))
        except ProcessLookupError:
            pass
    return found


class Quickstart:
    """A run of scripts/quickstart on a data folder."""

    def __init__(self, folder, *options, environment=None):
        command = [str(ROOT / "scripts/quickstart"), "--skip-install", "--port", "0", "--time", TRAIN_TIME, "--space", "tiny", "--build-dir", str(BUILD), "--data-dir", str(folder), *options]
        self.lines = []
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                      env={**os.environ, **(environment or {})}, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # what the tests were started in the background with
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        at_end(self.end)

    def _read(self):
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self):
        return "\n".join(self.lines)

    def says(self, pattern, seconds=60):
        """Waits for a line that the pattern finds; the match."""
        def find():
            if self.popen.poll() is not None:
                self.reader.join(5)
            match = next((m for line in list(self.lines) if (m := re.search(pattern, line))), None)
            check(match or self.popen.poll() is None, f"quickstart says {pattern!r}", self.text[-3000:])
            return match
        return wait_for(f"{pattern!r} of quickstart", find, seconds)

    def ended(self, status=0, seconds=90):
        """Waits for its end, for so many seconds of a free machine; itself."""
        try:
            self.popen.wait(PATIENCE * seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"quickstart has not ended after {seconds} s:\n{self.text[-3000:]}") from None
        self.reader.join(5)
        check(self.popen.returncode == status, f"quickstart ends with {self.popen.returncode}, not {status}:", self.text[-3000:])
        return self

    def pid_of(self, program):
        found = [pid for pid in started(self.popen.pid) if program_of(pid) == program]
        check(len(found) == 1, f"one {program} of quickstart", found)
        return found[0]

    def interrupt(self, seconds=15):
        """Ctrl-C: SIGINT to the script and all that it has started, as a terminal sends it; all of them end. Itself."""
        processes = group_of(self.popen.pid)
        os.killpg(self.popen.pid, signal.SIGINT)
        self.ended(130, seconds)
        wait_for("the end of all its processes", lambda: all(gone(pid) for pid in processes), 10)  # a job keeps what it has first
        return self

    def end(self):
        """As a service manager does; what is left of its processes is killed."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(15)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait(10)

    # --- what it printed ---

    def section(self, title):
        """The lines below "== title…"."""
        at = next((i for i, line in enumerate(self.lines) if line.startswith(f"== {title}")), None)
        check(at is not None, f"quickstart has the step {title!r}", self.text[-3000:])
        end = next((i for i in range(at + 1, len(self.lines)) if self.lines[i].startswith("== ")), len(self.lines))
        return "\n".join(self.lines[at + 1:end])

    def front(self):
        """The rows of the table, without its title: top-1, on the test images, latencies, costs, arch."""
        table = self.section("the Pareto front").split("\n\n")[0].splitlines()
        check(table[0].startswith("TOP-1 "), "the front's table", table)
        return table[1:]

    def network(self):
        """Path of the exported network."""
        return Path(re.search(r"^chosen network:\s+(\S+) \(r28 \|", self.text, re.MULTILINE).group(1))


def gone(pid):
    return not Path(f"/proc/{pid}").exists()


@once
def folder():
    """A Stack whose root is quickstart's data folder, which has the space "tiny": quickstart's daemon and this one take turns on it."""
    stack = Stack("quickstart").start()
    stack.add_space()
    stack.stop()
    return stack


def run(*options, status=0, seconds=90):
    return Quickstart(folder().root, "--exit", *options).ended(status, seconds)


@once
def first():
    """The first run, to its end."""
    return run(seconds=150)


def rows(query):
    db = sqlite3.connect(f"file:{folder().database()}?mode=ro", uri=True, timeout=5)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def jobs():
    """How many jobs of each kind there are, but for evaluations, which a run asks for anew (and which are known)."""
    return dict(rows("SELECT kind, count(*) FROM jobs WHERE kind <> 'evaluate' GROUP BY kind"))


def boards():
    return rows("SELECT id, name FROM devices WHERE removed_us IS NULL")


def same_as_first(again, jobs_before):
    """It found everything: the same front, the same file, no job but what the test has made."""
    equal(again.front(), first().front(), "the front")
    equal(again.network().read_bytes() == network_before(), True, "the same network in the file")
    equal(jobs(), jobs_before, "jobs")
    check("found, done already" in again.section("search"), "the search is found", again.section("search"))


@once
def network_before():
    return first().network().read_bytes()


class daemon_alone:
    """The daemon without quickstart, for what a user does between two runs."""

    def __enter__(self):
        return folder().start().client

    def __exit__(self, *_):
        folder().stop()
