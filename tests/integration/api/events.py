"""Server-sent events: they come, can be resumed after a break and after a restart, and say when they cannot."""
import re
import resource
import select
import socket
import time

import bed
import data
from board import Board
from client import Client, Events, problem
from stack import Stack
from suite import check, equal, test, wait_for


def add_dataset(name):
    answer = bed.client().post("/datasets", {"name": name, "path": str(bed.daemon().root / "bars"), "validation": 100}, 202)
    return answer["dataset"]["id"], answer["job"]["id"]


def is_ready(dataset):
    return lambda topic, doc: topic == "dataset" and doc["id"] == dataset and doc["state"] == "ready"


@test("events of a job and its data set come as they happen")
def come():
    bed.supernet()
    with Events(bed.daemon().port) as stream:
        dataset, job = add_dataset("events-one")
        seen = stream.until(is_ready(dataset))
        states = [doc["state"] for _, topic, doc in seen if topic == "job" and doc["id"] == job]
        check("queued" in states and "running" in states, "states of the job", states)
        numbers = [number for number, _, _ in seen if number is not None]
        equal(numbers, sorted(set(numbers)), "ids ascend")
        if "done" not in states:
            stream.until(lambda topic, doc: topic == "job" and doc["id"] == job and doc["state"] == "done")


@test("a stream of chosen topics holds no other")
def topics():
    with Events(bed.daemon().port, topics="dataset,table") as stream:
        dataset, _ = add_dataset("events-two")
        seen = stream.until(is_ready(dataset))
        equal({topic for _, topic, _ in seen}, {"dataset"}, "topics")
    problem(bed.client().request("GET", "/events?topics=no-such-topic"), (400, 422))


@test("what is no longer there is told by an event of its topic, and a space also when it is added", 60)
def removals():
    bed.supernet()
    client, two = bed.client(), [{"metric": "top1", "direction": "maximise"}, {"metric": "macs", "direction": "minimise"}]
    with Events(bed.daemon().port, topics="space,dataset,model,supernet,search,device") as stream:
        added = client.post("/spaces", data.space(name="events-space"), 201)
        stream.until(lambda topic, doc: topic == "space" and doc == {"name": "events-space", "fingerprint": added["fingerprint"]})
        dataset, job = add_dataset("events-gone")
        begun = {
            "model": client.post("/models", {"name": "events-gone", "kind": "latency", "space": "tiny", "path": str(bed.daemon().root / "bars")}, 202)["model"]["id"],
            "supernet": client.post("/supernets", {"name": "events-gone", "space": "tiny", "dataset": "bars", "train": {**bed.TRAIN, "epochs": 500}}, 202)["supernet"]["id"],
            "search": client.post("/searches", {"name": "events-gone", "supernet": bed.supernet(), "objectives": two, "evaluations": 100000, "measure_front": 0}, 202)["search"]["id"],
        }
        for path in ("supernets", "searches", "models"):
            client.post(f"/jobs/{client.get(f'/{path}/events-gone')['job']}/cancel", {}, (202, 409))
        for id in [job] + [client.get(f"/{path}/events-gone")["job"] for path in ("supernets", "searches", "models")]:
            wait_for("its end", lambda: client.get(f"/jobs/{id}")["state"] in ("done", "failed", "canceled"), 30)
        board = Board(bed.daemon().port, "events-gone").enrol(bed.daemon().enrolment_token()).device_id
        for topic, path, id in (("device", "devices", board), ("search", "searches", begun["search"]), ("supernet", "supernets", begun["supernet"]), ("model", "models", begun["model"]), ("dataset", "datasets", dataset)):
            client.expect(204, "DELETE", f"/{path}/{id}")
            stream.until(lambda heard, doc: heard == topic and doc == {"id": id, "removed": True})
        client.expect(204, "DELETE", "/spaces/events-space")
        stream.until(lambda topic, doc: topic == "space" and doc == {"name": "events-space", "removed": True})


@test("Last-Event-ID and after= bring exactly what was missed, also after a restart of the daemon", 60)
def resume():
    with Events(bed.daemon().port, topics="job,dataset") as stream:
        dataset, job = add_dataset("events-three")
        first = stream.next()
        rest = stream.until(is_ready(dataset))
        done = [row for row in rest if row[1] == "job" and row[2]["id"] == job and row[2]["state"] == "done"]
        if not done:
            rest += stream.until(lambda topic, doc: topic == "job" and doc["id"] == job and doc["state"] == "done")
    missed = [row for row in rest if row[0] is not None]
    for how in ({"last_id": first[0]}, {"after": first[0]}):
        with Events(bed.daemon().port, topics="job,dataset", **how) as stream:
            equal([stream.next() for _ in missed], missed, f"events resumed by {how}")
    bed.daemon().stop()
    bed.daemon().start()
    with Events(bed.daemon().port, topics="job,dataset", last_id=first[0]) as stream:
        got = stream.next()
        if got[1] != "resync":
            equal([got, *(stream.next() for _ in missed[1:])], missed, "events after a restart")


@test("a stream that breaks before its first event is resumed from where it began")
def resume_from_the_beginning():
    bed.supernet()
    with Events(bed.daemon().port, topics="dataset") as stream:
        begin = stream.begun()
    dataset, _ = add_dataset("events-unheard")
    with Events(bed.daemon().port, topics="dataset", last_id=begin) as stream:
        number, topic, doc = stream.next()
        equal((number > begin, topic, doc["id"]), (True, "dataset", dataset), "what happened between")


@test("a client that asks for events that are gone is told to read anew")
def resync():
    for number in (10 ** 15, ):
        with Events(bed.daemon().port, last_id=number) as stream:
            _, topic, _ = stream.next()
            equal(topic, "resync", f"first event behind {number}")
    for value in ("x", "-5", "1e3", "9" * 40):
        answer = Client(bed.daemon().port, timeout=3).request("GET", f"/events?after={value}")
        problem(answer, (400, 422))


@test("many streams at once all hear of it, and their end costs nothing")
def many():
    streams = [Events(bed.daemon().port, topics="dataset") for _ in range(12)]
    dataset, _ = add_dataset("events-four")
    for stream in streams:
        stream.until(is_ready(dataset))
    for stream in streams:
        stream.close()
    bed.client().get("/healthz")


def metric(client, name):
    return float(re.search(rf"^{name} (\S+)$", client.request("GET", "/metrics").body.decode(), re.M).group(1))


def listen(port, n):
    """So many streams of data sets, each past its greeting."""
    links = []
    for _ in range(n):
        link = socket.create_connection(("127.0.0.1", port), timeout=10)
        link.sendall(f"GET /api/v1/events?topics=dataset HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        links.append(link)
    for link in links:
        text = b""
        while b": hello" not in text:
            text += check(link.recv(4096), "the greeting, after", text)
    return links


def read_until(links, words, seconds):
    """What each link has sent, as soon as all of them have sent the words."""
    got = {link: b"" for link in links}
    poll = select.poll()
    names = {link.fileno(): link for link in links}
    for number in names:
        poll.register(number, select.POLLIN)
    until = time.monotonic() + seconds
    while names and time.monotonic() < until:
        for number, _ in poll.poll(1000):
            link = names[number]
            got[link] += check(link.recv(65536), "the stream goes on, behind", got[link])
            if words in got[link]:
                poll.unregister(number)
                del names[number]
    check(not names, f"all have heard of it within {seconds} s; left", len(names))
    return got.values()


@test("a thousand subscribers are served, and cost one serialisation per event")
def a_thousand():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what a shell gives the daemon
    try:
        stack = Stack("subscribers").start("--connections-per-address", "1100")
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        links = listen(stack.port, wanted)
        equal(metric(stack.client, "espalier_event_subscribers"), wanted, "open streams")
        made, given = (metric(stack.client, f"espalier_events_{what}_total") for what in ("serialised", "delivered"))
        stack.add_data()
        events = {text.count(b"event: dataset") for text in read_until(links, b'"state":"ready"', 20)}
        equal(len(events), 1, "numbers of events that they heard of")
        n = events.pop()
        check(metric(stack.client, "espalier_events_delivered_total") - given == n * wanted, "deliveries", given, n)
        check(n <= metric(stack.client, "espalier_events_serialised_total") - made < 100, "texts made, for a thousand")
        for link in links:
            link.close()
        stack.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
