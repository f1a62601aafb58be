"""A board played by the test: it speaks the worker's protocol, but its latencies are a function of the graph alone.

So two runs are given the same measurements, and every message can be sent at the wrong time, twice, or changed.
"""
import json
import threading
import zlib

from client import Client
from suite import check


def unit_us(unit):
    """5 to 45 us, by what the unit does."""
    return 5 + zlib.crc32(json.dumps(unit, sort_keys=True).encode()) % 40


def graph_us(graph):
    return float(sum(unit_us(unit) for unit in graph["units"]))


class Board:
    def __init__(self, port, name):
        self.name = name
        self.machine_id = f"machine-of-{name}"
        self.client = Client(port)
        self.epoch = 0
        self.device_id = None
        self.profile_id = None
        self.measured = []  # measurement ids, in the order in which results were taken
        self._unsent = []  # results that the daemon has not confirmed
        self._stop = threading.Event()
        self._thread = None
        self.error = None

    def introduction(self, **changes):
        profile = {"runtime": "native", "precision": "fp32", "threads": 1, "cores": "", "governor": "none", "fingerprint": f"fingerprint-{self.name}"}
        return {"protocol": [1], "machine_id": self.machine_id, "name": self.name, "worker_version": "0.0-test", "fingerprint": {"cpu": "played"}, "profiles": [profile], **changes}

    def post(self, path, body):
        return self.client.request("POST", f"/worker/{path}", body)

    def _welcome(self, answer):
        doc = answer.doc
        self.epoch = doc["epoch"]
        self.device_id = doc["device_id"]
        self.profile_id = doc["profiles"][0]["profile_id"]
        self.client.token = doc.get("worker_token", self.client.token)

    def enrol(self, token):
        answer = self.post("enrol", self.introduction(enrolment_token=token))
        check(answer.status == 201, "enrolment answers", answer)
        self._welcome(answer)
        answer = self.post("noise", {"epoch": self.epoch, "profile_id": self.profile_id, "reference_us": [100.0, 101.0, 99.0, 100.0, 100.5, 100.2]})
        check(answer.status == 200, "the noise report answers", answer)
        return self

    def connect(self, port=None):
        """What a worker does when it starts: the epoch grows."""
        if port:
            self.client.port = port
        answer = self.post("connect", self.introduction())
        check(answer.status == 200, "connect answers", answer)
        self._welcome(answer)
        return self

    def lease(self, wait_s=0, max_items=1, **changes):
        """The lease, or None when there is nothing to measure."""
        answer = self.post("lease", {"epoch": self.epoch, "wait_s": wait_s, "max_items": max_items, "load": 0.1, **changes})
        check(answer.status in (200, 204), "lease answers", answer)
        return answer.doc if answer.status == 200 else None

    def ack(self, lease, estimate_s=1, **changes):
        return self.post(f"leases/{lease['lease_id']}/ack", {"epoch": self.epoch, "estimate_s": estimate_s, **changes})

    def heartbeat(self, lease, **changes):
        return self.post(f"leases/{lease['lease_id']}/heartbeat", {"epoch": self.epoch, "phase": "measure", "done": 0, "total": 1, **changes})

    def release(self, lease, **changes):
        return self.post(f"leases/{lease['lease_id']}/release", {"epoch": self.epoch, "reason": "test", **changes})

    def result_of(self, lease, item, **changes):
        """The message with this item's result."""
        us = graph_us(item["graph"])
        samples = [us * factor for factor in (0.99, 1.0, 1.01, 0.995, 1.005, 1.0)]
        return {
            "lease_id": lease["lease_id"], "measurement_id": item["measurement_id"], "attempt": item["attempt"], "idempotency_key": f"{lease['lease_id']}-{item['measurement_id']}",
            "status": "ok", "samples_us": samples, "median_us": us, "low_us": us * 0.99, "high_us": us * 1.01, "mean_us": us, "sd_us": us * 0.006, "first_us": us * 1.5,
            "n": len(samples), "batches": 2, "reference": {"before_us": 100.0, "after_us": 100.0}, "environment": {"load": 0.1}, "message": "", **changes,
        }

    def send(self, message):
        answer = self.post("results", message)
        if answer.status == 201:
            self.measured.append(message["measurement_id"])
        return answer

    def work_once(self, wait_s=0, max_items=16):
        """Leases, acknowledges and answers; the number of items."""
        lease = self.lease(wait_s, max_items)
        if lease is None:
            return 0
        check(self.ack(lease).status == 200, "the acknowledgement is taken")
        self._unsent = [self.result_of(lease, item) for item in lease["items"]]
        self.deliver()
        return len(lease["items"])

    def deliver(self):
        """Sends what is not confirmed; a worker does so before it asks for more."""
        while self._unsent:
            answer = self.send(self._unsent[0])
            check(answer.status in (200, 201), "the result is taken", answer)
            self._unsent.pop(0)

    # --- as a thread, through restarts of the daemon ---

    def serve(self):
        """Works in the background until rest(), also while the daemon is killed and started again."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def rest(self):
        self._stop.set()
        if self._thread:
            self._thread.join(30)

    def _serve(self):
        connected = True
        while not self._stop.is_set():
            try:
                if not connected:
                    self.connect()
                    self.deliver()
                    connected = True
                self.work_once(wait_s=2)
            except Exception as error:  # the daemon is away, or the lease was lost with it
                self.error = error
                connected = False
                self._stop.wait(0.1)
