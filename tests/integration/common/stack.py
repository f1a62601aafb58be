"""Real processes in a folder of their own: daemon, job processes, worker, command line client."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import data
from client import Client
from suite import ARGUMENTS, BUILD, Failed, at_end, check, wait_for

DAEMON = BUILD / "daemon/espalierd"
JOB = BUILD / "daemon/job/espalier-job"
WORKER = BUILD / "devices/espalier-worker"
CLI = BUILD / "daemon/cli/espalier"

stacks = []


def all_logs():
    """The ends of all logs, to print below a failure."""
    return "\n".join(stack.logs() for stack in stacks)


class Process:
    """A program that runs in a process group of its own, so that nothing of it is left behind."""

    def __init__(self, command, log):
        self.log = log
        self.killed = False  # by the last stop(), as SIGTERM did not end it
        with open(log, "ab") as out:
            self.popen = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def kill(self, number=signal.SIGKILL):
        """Signals the process alone, waits for its end after SIGKILL."""
        if self.running():
            self.popen.send_signal(number)
        if number == signal.SIGKILL:
            self.popen.wait(10)

    def stop(self, seconds=10):
        """SIGTERM; what is left of the group after so many seconds is killed, which is told. Returns the exit status."""
        self.killed = False
        self.kill(signal.SIGTERM)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.killed = True
            print(f"# SIGTERM did not end {program_of(self.pid)} ({self.pid}, {self.log.name}) within {seconds} s: killed", flush=True)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.popen.wait(10)

    def children(self):
        """Process ids of its direct children."""
        found = []
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            try:
                found += [int(word) for word in task.read_text().split()]
            except OSError:
                pass
        return found


def program_of(pid):
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name
    except OSError:
        return ""


def processor_s(pid):
    """Seconds of processor time, user's and system's, that a process has had; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Stack:
    """One data folder with the daemon that works on it."""

    def __init__(self, name, data_root=None):
        """data_root: a further folder that data sets may lie below."""
        self.name = name
        self.root = Path(tempfile.mkdtemp(prefix=f"espalier-{name}-"))
        self.data_dir = self.root / "daemon"
        self.data_roots = [self.root] + ([data_root] if data_root else [])
        self.daemon = None
        self.client = None
        self.port = 0
        self.options = ()
        self.tls = None  # of a daemon that speaks HTTPS: the ssl.SSLContext of its clients
        self.workers = {}
        stacks.append(self)
        at_end(self.remove)

    def remove(self):
        try:
            for worker in self.workers.values():
                worker.stop(3)
            if self.daemon:
                self.stop()
        finally:
            if not ARGUMENTS.keep:
                shutil.rmtree(self.root, ignore_errors=True)
            if self in stacks:
                stacks.remove(self)

    def logs(self, lines=12):
        text = ""
        for log in sorted(self.root.glob("*.log")):
            end = log.read_text(errors="replace").splitlines()[-lines:]
            text += "\n".join([f"--- {self.name}/{log.name}", *end, ""])
        return text

    # --- the daemon ---

    def daemon_command(self, *options):
        return [DAEMON, "--data-dir", self.data_dir, "--port", self.port, "--data-root", ":".join(map(str, self.data_roots)), "--job-program", JOB, *options]

    def start(self, *options):
        """Starts the daemon and waits until it is ready. Later starts take the port and the options of the first."""
        self.options = options or self.options
        port_file = self.data_dir / "port"
        port_file.unlink(missing_ok=True)
        self.daemon = Process(self.daemon_command(*self.options), self.root / "daemon.log")
        until = time.monotonic() + 15
        while time.monotonic() < until and self.daemon.running():
            text = port_file.read_text().strip() if port_file.exists() else ""
            if text:
                self.port = int(text)
                self.client = Client(self.port, tls=self.tls)
                if self.ready():
                    return self
            time.sleep(0.02)
        raise Failed(f"the daemon did not start\n{self.logs()}")

    def ready(self):
        try:
            return self.client.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def kill(self):
        """kill -9 of the daemon alone."""
        self.daemon.kill()

    def restart(self):
        self.kill()
        return self.start()

    def stop(self, seconds=30):
        """Ends the daemon, which SIGTERM alone must do: a job that does not end has 20 s until the daemon kills it. Returns its exit status."""
        status = self.daemon.stop(seconds)
        check(not self.daemon.killed, f"SIGTERM did not end the daemon of {self.name} within {seconds} s: it was killed\n{self.logs()}")
        return status

    def job_pids(self):
        return [pid for pid in self.daemon.children() if program_of(pid) == "espalier-job"]

    def kill_job(self):
        """kill -9 of the job process that runs; False if there is none."""
        for pid in self.job_pids():
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    # --- the client and the worker ---

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def cli_run(self, *words, timeout=60):
        environment = {**os.environ, "ESPALIER_URL": self.url}
        return subprocess.run([str(CLI), *map(str, words)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)

    def cli(self, *words, timeout=60, status=0):
        """What the command line client prints; it must end with this status."""
        done = self.cli_run(*words, timeout=timeout)
        check(done.returncode == status, f"espalier {' '.join(map(str, words))} ends with {done.returncode}:", done.stdout + done.stderr)
        return done.stdout.strip()

    def enrolment_token(self, **body):
        return self.client.post("/tokens", {"kind": "enrolment", **body}, 201)["token"]

    def start_worker(self, name, *options, token=None, program=(WORKER,)):
        """A worker; enrols the first time. Two on one machine are told apart by --salt. program: the words that run it."""
        command = [*program, "--daemon", self.url, "--state-dir", self.root / f"worker-{name}", "--name", name, "--salt", name, *options]
        if not (self.root / f"worker-{name}/worker.json").exists():
            command += ["--enrol", token or self.enrolment_token()]
        self.workers[name] = Process(command, self.root / f"worker-{name}.log")
        return self.workers[name]

    def profile_of(self, device_name):
        """The profile of a board, as soon as it is there; None before."""
        for profile in self.client.items("/profiles"):
            device = self.client.get(f"/devices/{profile['device']}")
            if device["name"] == device_name:
                return profile
        return None

    def enrolled(self, device_name, seconds=40):
        """The profile of a board, when it has enrolled."""
        return wait_for(f"the enrolment of {device_name}", lambda: self.profile_of(device_name), seconds)

    def identified(self, device_name, seconds=40):
        """The same, when its worker has kept who it is, too."""
        profile, folder = self.enrolled(device_name, seconds), self.root / f"worker-{device_name}"
        wait_for("its identity", lambda: (folder / "worker.json").exists() and not (folder / "enrolment.json").exists(), 20)
        return profile

    # --- things to work with ---

    def add_data(self, name="bars", folder=None, wait=True, validation=300):
        folder = folder or self.root / "bars"
        if not folder.exists():
            data.write_bars(folder)
        answer = self.client.post("/datasets", {"name": name, "path": str(folder), "validation": validation}, 202)
        if wait:
            self.wait_job(answer["job"]["id"])
        return answer

    def add_space(self, space=None):
        return self.client.post("/spaces", space or data.TINY, 201)

    def train(self, name, train, wait=True, seconds=60):
        answer = self.client.post("/supernets", {"name": name, "space": "tiny", "dataset": "bars", "train": train}, 202)
        if wait:
            self.wait_job(answer["job"]["id"], seconds)
        return answer

    def job(self, job_id):
        return self.client.get(f"/jobs/{job_id}")

    def wait_job(self, job_id, seconds=60, state="done"):
        """The job when it has ended, which must be in this state."""
        def ended():
            job = self.job(job_id)
            return job if job["state"] in ("done", "failed", "canceled") else None
        job = wait_for(f"the end of {job_id}", ended, seconds, 0.1)
        if job["state"] != state:
            log = self.client.get(f"/jobs/{job_id}/log")["text"]
            raise Failed(f"{job['kind']} job {job_id} is {job['state']}, not {state}: {job['error']}\n{log[-1500:]}")
        return job

    def copy(self, name):
        """A stack with a copy of this one's data folder (this daemon must not run)."""
        check(not self.daemon.running(), "a data folder that is in use must not be copied")
        twin = Stack(name, self.data_roots[-1])
        shutil.copytree(self.data_dir, twin.data_dir)
        return twin

    def database(self):
        found = sorted(self.data_dir.glob("*.db"))
        check(len(found) == 1, "one database in the data folder", found)
        return found[0]


def checkpoint_steps(stack, supernet_id):
    """Step -> hash of the checkpoints that the daemon lists; of one that was written anew the newest."""
    return {row["step"]: row["hash"] for row in reversed(stack.client.items(f"/supernets/{supernet_id}/checkpoints"))}


def token_of(command):
    """The enrolment token in the line that is to be run on a board."""
    return re.search(r"ESPALIER_ENROL_TOKEN=(\S+)", command).group(1)
