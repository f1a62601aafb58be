#!/usr/bin/python3 -IS
"""A command for the back end exec that behaves as its first word says; times are made up: long ones, of which a measurement asks for few.
It is started very often, so it loads only what it needs."""
import json
import os
import re
import sys
import time

mode = sys.argv[1]
if mode == "told":  # what it does may change while its environment does not
    with open(os.environ["RUNTIME_MOOD"]) as mood:
        mode = mood.read()


def answer(**members):
    print(json.dumps(members), flush=True)


def times(n):
    """Of a network: 5 ms, steady but not suspiciously so."""
    return [5000.0 + 10 * (i % 3) for i in range(n)]


def write_output(request, value):
    """As many floats as a network of ten classes has outputs."""
    with open(request["output"], "wb") as out:
        out.write(value * 10)


def respond(request):
    n = request["samples"]
    with open(request["model"], "rb") as model:
        links = 1 + max(map(int, re.findall(rb"link(\d+)\.", model.read())), default=0)
    if mode == "zeros" and "output" in request:
        write_output(request, bytes(4))
    elif mode == "nan" and "output" in request:
        write_output(request, b"\0\0\xc0\x7f")
    if mode == "crash":
        import signal
        os.kill(os.getpid(), signal.SIGSEGV)
    elif mode == "status":
        print("no such delegate", file=sys.stderr, flush=True)
        sys.exit(9)
    elif mode == "hang":
        import subprocess
        with open(sys.argv[2], "a") as pids:  # of itself and of a child that nobody would miss
            print(os.getpid(), subprocess.Popen(["sleep", "300"]).pid, file=pids, flush=True)
        time.sleep(300)
    elif mode == "garbage":
        print('{"samples_us": [1, 2', flush=True)
    elif mode == "silent":
        sys.exit(0)
    elif mode == "negative":
        answer(samples_us=[-1.0] * n)
    elif mode == "fewer":
        answer(samples_us=times(n)[1:])
    elif mode == "endless":
        while True:
            print("x" * 1000)
    elif mode == "joule":
        answer(samples_us=times(n), energy_uj=820.5)
    elif mode in ("links", "once-links"):  # a start of 10 ms, and 2 ms for each time that the unit is there
        answer(samples_us=[10000.0 + 2000 * links + 0.1 * (i % 3) for i in range(n)], energy_uj=1000 + 7 * links)
    elif mode == "once-slower":  # the same, and each start of a unit's takes 0.2 ms longer than the one before
        starts = 0
        if "reference" not in request["model"]:
            with open(sys.argv[-1], "a+") as count:
                count.write("x")
                starts = count.tell()
        answer(samples_us=[10000.0 + 200 * starts + 2000 * links + 0.1 * (i % 3) for i in range(n)])
    elif mode == "priced":  # by the network, as a file has it
        with open(sys.argv[2]) as prices:
            uj = json.load(prices).get(request["model_id"], 100.0)
        answer(samples_us=times(n), energy_uj=uj)
    elif mode == "oom":
        answer(error="oom", message="8 MiB of SRAM")
    elif mode == "unsupported":
        answer(error="unsupported", message="HardSwish")
    else:
        print("loading the network …")  # what is no JSON object is passed over
        answer(samples_us=times(n))


if mode in ("once", "once-links", "once-slower"):  # as arguments, a process for each request
    model, threads, runs, samples = sys.argv[2:6]
    respond({"model": model, "threads": int(threads), "runs": int(runs), "samples": int(samples)})
else:
    for line in sys.stdin:
        respond(json.loads(line))
