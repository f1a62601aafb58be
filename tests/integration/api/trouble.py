"""The client in trouble: what it prints cannot be written, daemons that are played answer oddly, late or not at all."""
import subprocess

from stack import CLI
from suite import check, equal, test

NOBODY = "http://127.0.0.1:1"


def run(*words, url=NOBODY, stdout=subprocess.PIPE, timeout=20):
    return subprocess.run([str(CLI), *map(str, words), *(("--url", url) if url != NOBODY else ())], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=timeout)


@test("what cannot be printed is exit code 1 and a sentence")
def full_disk():
    with open("/dev/full", "w") as full:
        for words in (("--help",), ("--version",), ("search", "ls", "--help"), ("manual",)):
            done = run(*words, stdout=full)
            equal((done.returncode, done.stderr), (1, "espalier: not all could be printed: No space left on device\n"), f"{words}")
