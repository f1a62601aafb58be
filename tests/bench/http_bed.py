"""What the benches of the HTTP side share: a daemon with a little in its database, an nginx, a turn of wrk, same priority for all."""
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def join_suite(build):
    """The integration tests' modules, which read the command line themselves."""
    sys.dont_write_bytecode = True
    sys.argv = [sys.argv[0], str(build)]
    sys.path.insert(0, str(ROOT / "tests/integration/common"))


def share_fairly():
    """Under real-time priority (chrt -f) programs take turns instead of running until they sleep; children inherit it."""
    if os.sched_getscheduler(0) == os.SCHED_FIFO:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_getparam(0))


class Nginx:
    """One worker, one file, no log: as fast as it gets."""

    def __init__(self, folder, port, body):
        self.folder = folder
        self.port = port
        (folder / "www").mkdir(parents=True)
        (folder / "www/body.json").write_bytes(body)
        temporary = "".join(f"{kind}_temp_path {folder}/tmp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "conf").write_text(f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/json; {temporary}
  open_file_cache max=10; server {{ listen 127.0.0.1:{port}; root {folder}/www; }} }}
""")
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        if self.process.poll() is not None:
            raise SystemExit("nginx does not start:\n" + (folder / "error.log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def in_ms(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * MS[unit]


def wrk(url, connections, seconds, headers=()):
    """One turn of one thread: requests a second, and p50 and p99 in milliseconds. Every answer must be a 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    text = subprocess.run([*command, url], check=True, stdout=subprocess.PIPE, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"wrk at {url}:\n{text}")
    patterns = {"rate": r"^Requests/sec:\s+([\d.]+)", "p50": r"^\s+50%\s+(\S+)$", "p99": r"^\s+99%\s+(\S+)$"}
    figures = {name: re.search(pattern, text, re.M).group(1) for name, pattern in patterns.items()}
    return float(figures["rate"]), in_ms(figures["p50"]), in_ms(figures["p99"])
