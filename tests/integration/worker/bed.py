"""What the tests of workers share: a daemon with a space, archs to measure, and a look into its database."""
import itertools
import signal
import sqlite3

import data
from board import Board
from stack import Stack
from suite import Failed, after_each, once, wait_for

_archs = itertools.count()
shared = set()  # names of workers that several tests need
FLAT = "gmacs=1e6,gbps=1e6,op_us=0,launch_us=1000"  # every network takes a millisecond
SIMULATED = ("--backend", "sim", "--backend-config", FLAT)  # where it does not matter what measures: no time passes


@once
def daemon():
    stack = Stack("worker").start()
    stack.add_space()
    after_each(lambda: end_workers(stack))
    return stack


def end_workers(stack):
    """A board that no test looks at any more would still have its noise measured again, and keep this machine's others waiting."""
    for name, worker in stack.workers.items():
        if name not in shared:
            worker.kill(signal.SIGTERM)


@once
def narrow():
    """The name of a space of a few units, for whole tables of boards that take their time."""
    stages = [{**stage, "kernel_sizes": [3]} for stage in data.TINY["stages"]]
    daemon().add_space(data.space(name="narrow", stages=stages))
    return "narrow"


@once
def data_set():
    """The data set that the space's supernets are trained on."""
    return daemon().add_data()


def client():
    return daemon().client


def board(name):
    """A newly enrolled board that the test plays."""
    return Board(daemon().port, name).enrol(daemon().enrolment_token())


def fresh_arch():
    """An arch of the space that no test has asked for before."""
    number = next(_archs)
    genes = []
    for choices in ([3, 5], [1, 2, 4], [3, 5], [2, 4], [3, 5], [2, 4]):
        genes.append(choices[number % len(choices)])
        number //= len(choices)
    first = ("d1 c16", "", "d2 c16", " k3e1")[2 * number:]
    if not first:
        raise Failed("the space has no more archs")
    k1, e1, k2, e2, k3, e3 = genes
    return f"r28 | {first[0]} k{k1}e{e1}{first[1]} | d2 c24 k{k2}e{e2} k{k3}e{e3}"


def ask(profile, n=1, method="brief", archs=None):
    """Queues measurements of n networks; their ids."""
    body = {"profile": profile, "space": "tiny", "archs": archs or [fresh_arch() for _ in range(n)], "method": method}
    return [row["id"] for row in client().post("/measurements", body, 202)["items"]]


def measurement(name):
    return client().get(f"/measurements/{name}")


def wait_state(name, states, seconds=30):
    wanted = (states,) if isinstance(states, str) else states
    return wait_for(f"{name} to be {states}", lambda: (doc := measurement(name))["state"] in wanted and doc, seconds)


def rows(query, *arguments):
    """Rows of the daemon's database, read beside it."""
    db = sqlite3.connect(f"file:{daemon().database()}?mode=ro", uri=True, timeout=5)
    try:
        return db.execute(query, arguments).fetchall()
    finally:
        db.close()


def counted(name):
    """How many results decided a measurement."""
    return rows("SELECT count(*) FROM results WHERE measurement = ? AND counted = 1", name)[0][0]


def results(name):
    return rows("SELECT count(*) FROM results WHERE measurement = ?", name)[0][0]


def late(name):
    """How many results came when their lease had ended."""
    return rows("SELECT count(*) FROM results WHERE measurement = ? AND late = 1", name)[0][0]
