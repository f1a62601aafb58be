"""The last of the suite: which answers were seen, and held against the OpenAPI document."""
import contextlib
import json
import sqlite3
from urllib.parse import quote

import bed
from board import Board
from client import Client, Events, problem
from described import event_schemas, operations, seen, seen_topics, watch_event, wrong
from suite import ARGUMENTS, Skipped, check, equal, test, wait_for

# Streams, which no whole answer ends; files that this suite's daemon does not carry (tests/integration/boards fetches them).
ELSEWHERE = {("GET", "/api/v1/events"), ("GET", "/api/v1/worker-builds/{arch}")}

# Of trainings that go wrong (tests/integration/faults).
TOLD_ELSEWHERE = {"recovered"}


@test("boards, leases and what is done to them answer as they are described", 60)
def boards():
    client, stack = bed.client(), bed.daemon()
    bed.profile()
    board = Board(stack.port, "rarely").enrol(stack.enrolment_token())
    board.introduction = lambda **changes: Board.introduction(board, instance="i" * 32, **changes)
    board.connect()
    client.get(f"/devices/{board.device_id}")
    client.expect(200, "PATCH", f"/devices/{board.device_id}", {"note": "looked at"})
    client.expect(200, "POST", f"/devices/{board.device_id}/allow", {})
    client.expect(202, "POST", f"/devices/{board.device_id}/check", {})
    lease = board.lease(wait_s=5)
    board.ack(lease)
    equal(board.heartbeat(lease).status, 200, "heartbeat")
    equal(client.get(f"/devices/{board.device_id}/history")["holder"]["lease"], lease["lease_id"], "the lease that holds it")
    equal(board.release(lease).status, 200, "release")
    lease = board.lease(wait_s=5)
    board.ack(lease)
    equal(board.send({**board.result_of(lease, lease["items"][0]), "status": "crashed", "failure": "timeout"}).status, 201, "a hang")
    equal([row["kind"] for row in client.get(f"/devices/{board.device_id}/history")["failures"]], ["timeout"], "what went wrong there")
    for row in client.items(f"/measurements?profile={board.profile_id}&state=queued"):
        client.expect((200, 202), "POST", f"/measurements/{row['id']}/cancel", {})
    client.expect(200, "POST", f"/devices/{board.device_id}/rotate", {})
    equal(board.post("rotate", {"worker_token": "esp_w_" + "r" * 43}).status, 200, "rotate")
    board.client.token = "esp_w_" + "r" * 43
    equal(board.post("goodbye", {"epoch": board.epoch}).status, 200, "goodbye")
    client.expect(200, "POST", f"/devices/{board.device_id}/revoke", {})
    client.expect((200, 204), "DELETE", f"/devices/{board.device_id}")
    client.get("/worker-builds")
    client.request("GET", "/worker-builds/install.sh")
    client.get(f"/tables/{client.items('/tables')[0]['id']}")


@test("jobs and searches that are cancelled and taken up again answer as they are described", 60)
def again():
    client, stack = bed.client(), bed.daemon()
    started = client.post("/searches", bed.search_body("again", evaluations=100000), 202)
    path = f"/searches/{started['search']['id']}"
    for word, state in (("pause", "paused"), ("resume", None), ("cancel", "canceled"), ("resume", None), ("cancel", "canceled")):
        client.expect((200, 202), "POST", f"{path}/{word}", {})
        if state:
            wait_for(state, lambda: client.get(f"/jobs/{started['job']['id']}")["state"] == state, 20)
    for word in ("retry", "cancel"):
        client.expect((200, 202), "POST", f"/jobs/{started['job']['id']}/{word}", {})
    wait_for("its end", lambda: client.get(f"/jobs/{started['job']['id']}")["state"] == "canceled", 20)
    client.expect((200, 204), "DELETE", path)
    training = client.post("/supernets", {"name": "held", "space": "tiny", "dataset": "bars", "train": {**bed.TRAIN, "epochs": 500}}, 202)["job"]["id"]
    for word, state in (("pause", "paused"), ("resume", "training"), ("pause", "paused")):
        client.expect(202, "POST", f"/supernets/held/{word}", {})
        equal(client.get("/supernets/held")["state"], state, f"state of the supernet after {word}")
    problem(client.request("POST", "/supernets/held/train", {"train": bed.TRAIN}), 409, "conflict")
    wait_for("the pause of the training", lambda: client.get(f"/jobs/{training}")["state"] == "paused", 30)
    client.expect((200, 202), "POST", f"/jobs/{training}/cancel", {})
    equal(client.get(f"/jobs/{training}")["state"], "canceled", "a paused training is canceled at once")
    client.expect(202, "POST", "/supernets/held/resume", {})
    client.expect((200, 202), "POST", f"/jobs/{training}/cancel", {})
    wait_for("its end", lambda: client.get(f"/jobs/{training}")["state"] == "canceled", 20)
    client.expect((200, 204), "DELETE", "/supernets/held")
    made = client.post("/datasets", {"name": "again", "path": str(stack.root / "bars"), "validation": 100}, 202)
    stack.wait_job(made["job"]["id"])
    client.expect((200, 204), "DELETE", "/datasets/again")


@test("what could be pruned is told, and a call that removes nothing says so")
def prune():
    client = bed.client()
    kinds = [row["kind"] for row in client.post("/prune", {"dry_run": True}, 200)["kinds"]]
    check("jobs" in kinds and "searches" not in kinds, "kinds that go unnamed", kinds)
    equal(client.post("/prune", {"kinds": ["searches", "jobs"], "older_than_s": 3200000000}, 200)["more"], False, "nothing is so old")


@test("prices of energy of a board that tells it answer as they are described", 60)
def energy():
    client, stack = bed.client(), bed.daemon()
    bed.supernet()  # with it the space
    board = Board(stack.port, "metered").enrol(stack.enrolment_token())
    board.result_of = lambda lease, item, **changes: Board.result_of(board, lease, item, energy_uj=100.0 * len(item["graph"]["units"]), **changes)
    archs = [f"r28 | d1 c16 k{k}e{e} | d2 c24 k3e2 k5e2" for k in (3, 5) for e in (1, 2)]
    asked = {row["id"] for row in client.post("/measurements", {"profile": board.profile_id, "space": "tiny", "archs": archs}, 202)["items"]}
    wait_for("their measurement", lambda: (board.work_once(wait_s=1), asked <= set(board.measured))[1], 30)
    made = client.post("/energy_prices", {"profile": board.profile_id}, 200)
    equal(made["n"], len(archs), "networks that told it")
    equal(client.get(f"/energy_prices/{made['id']}"), made, "one fit")
    shown = client.get(f"/archs?space=tiny&profile={board.profile_id}&arch={quote(archs[0])}")
    equal(shown["energy"]["prices"], made["id"], "what an arch is told by")
    shown = stack.cli("energy", "set", board.profile_id, "--mac", "2", "--byte", "30", "--run", "5")
    heads = [line.split("\t")[0] for line in shown.splitlines()]
    equal(heads, ["id", "profile", "version", "a multiply-and-add, pJ", "a byte of traffic, pJ", "a run, uJ", "given"], "what is said of given prices")
    equal(stack.cli("energy", "show", dict(line.split("\t", 1) for line in shown.splitlines())["id"].strip()), shown, "and when they are shown")
    given = client.get(f"/energy_prices?profile={board.profile_id}")["items"][0]
    equal((given["version"], given["n"], given["mac_pj"], given["after"]), (made["version"] + 1, 0, 2, None), "prices that are given")
    told = client.get(f"/archs?space=tiny&profile={board.profile_id}&arch={quote(archs[0])}")
    uj = (2 * told["cost"]["macs"] + 30 * told["cost"]["traffic_bytes"]) / 1e6 + 5
    for wrong, pointer in (({"mac_pj": 1}, "/byte_pj"), ({"mac_pj": 0, "byte_pj": 0}, None), ({"mac_pj": -1, "byte_pj": 2}, "/mac_pj")):
        problem(client.request("POST", "/energy_prices", {"profile": board.profile_id, **wrong}), 422, pointer=pointer)
    check(abs(told["energy"]["uj"] - uj) < 1e-6 * uj and told["energy"]["prices"] == given["id"], "an arch's energy at them", told["energy"], uj)
    check(abs(told["energy"]["low_uj"] - uj / 2) < 1e-3 * uj and abs(told["energy"]["high_uj"] - 2 * uj) < 1e-3 * uj, "which may be off by a factor of two", told["energy"], uj)


@test("a backup is made, read and removed, by an administrator alone", 60)
def backups():
    client = bed.client()
    made = client.post("/backups", {}, 202)
    path = f"/backups/{made['id']}"
    wait_for("its end", lambda: client.get(path)["state"] == "ready", 20)
    equal([row["id"] for row in client.get("/backups")["items"]], [made["id"]], "backups")
    head = json.loads(client.request("GET", f"{path}/file").body.splitlines()[0])
    equal((head["id"], head["format"]), (made["id"], 1), "the manifest's first line")
    equal(client.request("GET", f"{path}/file?path=espalier.db").body[:15], b"SQLite format 3", "the database")
    for wrong_path, status in (("../../espalier.db", 400), ("/etc/passwd", 400), ("jobs//log", 400), ("nothing", 404)):
        problem(client.request("GET", f"{path}/file?path={wrong_path}"), status)
    problem(client.request("POST", "/backups", {"path": "/tmp"}), 422)
    submit = Client(client.port, token=client.post("/tokens", {"kind": "api"}, 201)["token"])
    for method, route in (("GET", "/backups"), ("POST", "/backups"), ("GET", path), ("GET", f"{path}/file"), ("DELETE", path)):
        problem(submit.request(method, route, {} if method == "POST" else None), 403)
    client.expect(204, "DELETE", path)
    problem(client.request("GET", path), 404)


@test("events of a training and a search come as they are described", 120)
def events():
    stack, client = bed.daemon(), bed.client()
    bed.supernet()
    with Events(stack.port) as stream:
        made = client.post("/supernets", {"name": "events-told", "space": "tiny", "dataset": "bars", "train": {**bed.TRAIN, "epochs": 3}}, 202)
        stream.until(lambda topic, data: topic == "job" and data["id"] == made["job"]["id"] and data["state"] == "done", 100)
        made = client.post("/searches", bed.search_body("events-told", measure_front=0, calibration_nets=0), 202)
        came = stream.until(lambda topic, data: topic == "job" and data["id"] == made["job"]["id"] and data["state"] == "done", 60)
        client.expect(204, "DELETE", "/searches/events-told")
        stream.until(lambda topic, data: topic == "search" and data.get("removed"))
    check({"job", "progress", "search", "candidates", "generation", "front"} <= {topic for _, topic, _ in came}, "topics", {topic for _, topic, _ in came})


@test("what the log of events keeps of this suite is as it is described")
def events_kept():
    with contextlib.closing(sqlite3.connect(f"file:{bed.daemon().database()}?mode=ro", uri=True)) as database:
        for topic in event_schemas():
            for number, data in database.execute("SELECT id, data FROM events WHERE topic = ? ORDER BY id DESC LIMIT 200", (topic,)):
                watch_event(number, topic, json.loads(data))
        kept = {topic for topic, in database.execute("SELECT DISTINCT topic FROM events")}
    equal(kept - set(event_schemas()), set(), "topics that are not described")


@test("every answer that this suite has seen is as the OpenAPI document describes it, and of every route one was; of events too")
def as_described():
    equal(sorted(wrong), [], "answers that are not")
    if ARGUMENTS.only:
        raise Skipped("the rest of the suite was not run")
    asked = {(method, path) for method, path, _ in seen}
    equal(sorted(set(event_schemas()) - seen_topics - TOLD_ELSEWHERE), [], "topics of which no event was seen")
    equal(sorted({(method, path) for method, path, _ in operations()} - asked - ELSEWHERE), [], "routes of which no good answer was seen")
