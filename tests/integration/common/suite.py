"""A small test suite: functions marked with @test, run in order, TAP on stdout, last line "N passed, N failed".

A test that has run longer than its seconds fails; what was registered with at_end() is undone whatever happens, and
what cannot be undone is a failure too.
"""
import argparse
import functools
import os
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 3  # times as long as a free machine would take: tests share it with other suites

_tests = []
_after_each = []
_at_end = []


class Failed(AssertionError):
    """The daemon did not do what it promises."""


class Skipped(Exception):
    """This machine cannot run the test; the text says why."""


class TooLong(Failed):
    pass


def test(title, seconds=60):
    """Registers a test, which takes no argument and raises on failure."""
    def register(function):
        _tests.append((title, seconds, function))
        return function
    return register


def after_each(undo):
    """Calls undo() behind every test, whatever became of it."""
    _after_each.append(undo)


def at_end(undo):
    """Calls undo() when all tests have run, the newest first."""
    _at_end.append(undo)


def once(make):
    """make() without arguments, called once: its value is kept, and a failure is not tried again."""
    kept = []
    tried = False

    @functools.wraps(make)
    def get():
        nonlocal tried
        if not tried:
            tried = True
            kept.append(make())
        if not kept:
            raise Failed(f"{make.__name__}() has failed before")
        return kept[0]
    return get


def check(condition, what, *details):
    if not condition:
        raise Failed(" ".join([what, *(repr(d) for d in details)]))
    return condition


def equal(have, want, what):
    if have != want:
        raise Failed(f"{what}: {shorten(have)} instead of {shorten(want)}")


def shorten(value, most=600):
    text = repr(value)
    return text if len(text) <= most else text[:most] + " …"


def wait_for(what, read, seconds=30, pause=0.05):
    """The first true value of read(); fails after so many seconds of a free machine."""
    until = time.monotonic() + PATIENCE * seconds
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > until:
            raise Failed(f"{what} did not happen within {seconds} s")
        time.sleep(pause)


def _on_alarm(_number, _frame):
    raise TooLong("the test takes too long")


def _run_one(number, title, seconds, function, on_failure):
    begun = time.monotonic()
    signal.alarm(PATIENCE * seconds)
    try:
        function()
    except Skipped as reason:
        print(f"ok {number} - {title} # SKIP {reason}", flush=True)
        return "skipped"
    except Exception:
        signal.alarm(0)
        print(f"not ok {number} - {title}", flush=True)
        for line in (traceback.format_exc().rstrip() + "\n" + on_failure()).splitlines():
            print("#   " + line)
        return "failed"
    finally:
        signal.alarm(0)
        for undo in _after_each:
            undo()
    print(f"ok {number} - {title} # {time.monotonic() - begun:.1f} s", flush=True)
    return "passed"


def _undo_all():
    """Returns how often that failed."""
    failed = 0
    while _at_end:
        undo = _at_end.pop()
        signal.alarm(60)
        try:
            undo()
        except Exception:
            failed += 1
            print("# while clearing up: " + traceback.format_exc().rstrip().replace("\n", "\n# "), flush=True)
        finally:
            signal.alarm(0)
    return failed


def _end(_number, _frame):
    raise KeyboardInterrupt


def _arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=os.environ.get("ESP_BUILD", str(ROOT / "build")))
    parser.add_argument("--only", default="", help="run the tests whose title holds this text")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the test behind")
    return parser.parse_args()


ARGUMENTS = _arguments()
BUILD = Path(ARGUMENTS.build).resolve()


def main(on_failure=lambda: ""):
    """Runs what was registered; on_failure() gives text to print below a failure. Exits."""
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.signal(signal.SIGTERM, _end)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    chosen = [row for row in _tests if ARGUMENTS.only in row[0]]
    print(f"1..{len(chosen)}", flush=True)
    try:
        for number, (title, seconds, function) in enumerate(chosen, 1):
            counts[_run_one(number, title, seconds, function, on_failure)] += 1
    finally:
        counts["failed"] += _undo_all()
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}", flush=True)
    sys.exit(1 if counts["failed"] else 0)
