"""kill -9 of the worker, of the daemon, and of both, at each message between them."""
import http.client
import threading
import time

import bed
import sound
from line import Line
from lines import QUICK, start
from suite import PATIENCE, check, equal, test, wait_for

POINTS = (("lease", "before"), ("lease", "after"), ("ack", "before"), ("ack", "after"), ("results", "before"), ("results", "after"))


class Trap:
    """Kills at the first message of a kind once it is set."""

    def __init__(self, line):
        self.armed = None
        self.sprung = threading.Event()
        line.before = lambda path: self.look(path, "before")
        line.after = lambda path: self.look(path, "after")

    def look(self, path, moment):
        if self.armed and self.armed[:2] == (path.rsplit("/", 1)[-1], moment):
            kill, self.armed = self.armed[2], None
            kill()
            self.sprung.set()
            time.sleep(0.05)  # what comes behind it comes to a corpse

    def set(self, word, moment, kill):
        self.sprung.clear()
        self.armed = (word, moment, kill)


@test("kill -9 of worker, daemon and both at every message: each measurement is accepted once", 240)
def at_each_message():
    stack = bed.daemon()
    line = Line(stack.port)
    trap = Trap(line)
    archs = iter([bed.fresh_arch() for _ in range(3 * len(POINTS))])
    process, profile = start("mortal", line.url)
    names, deaths = [], 0
    for word, moment in POINTS:
        for victims in ("worker", "daemon", "both"):
            def kill(process=process, victims=victims):
                if victims != "daemon":
                    process.kill()
                if victims != "worker":
                    stack.daemon.kill()
            trap.set(word, moment, kill)
            if not stack.ready():
                stack.start()
            arch = next(archs)
            try:
                bed.ask(profile, archs=[arch])
            except (OSError, http.client.HTTPException):
                pass  # the daemon died with the answer on its lips
            check(trap.sprung.wait(PATIENCE * 30), f"the death {moment} {word}")
            deaths += 1
            if victims != "worker":
                stack.start()
            if victims != "daemon":
                process, _ = start("mortal", line.url)
            names += bed.ask(profile, archs=[arch])  # the same again: it joins what is there
            bed.wait_state(names[-1], "accepted", 40)
    sound.drained(names)
    sound.empty_spools("mortal")
    attempts = [bed.measurement(name)["attempt"] for name in names]
    equal(bed.rows("SELECT count(*) FROM results r JOIN measurements m ON m.id = r.measurement WHERE m.profile = ? AND m.kind = 'network'", profile), [(len(names),)], "results stored")
    print(f"# {deaths} deaths at {len(POINTS)} messages, attempts {attempts}", flush=True)
    process.stop()
    line.close()
