"""A bad line between a worker and the daemon: a TCP proxy that knows where a request of HTTP begins and ends, so that it can delay, throttle, cut
and half-close a connection anywhere in it, and lose, repeat and reorder whole requests."""
import json
import random
import socket
import threading
import time

from listener import Listener, end

FAULTS = ("delay", "throttle", "cut_before", "cut_request", "cut_answer", "cut_in_answer", "half_close", "duplicate", "again_later")


class Broken(Exception):
    """The connection ends here."""


def read_head(link, data):
    while b"\r\n\r\n" not in data:
        piece = link.recv(1 << 16)
        if not piece:
            raise Broken
        data += piece
    return data


def read_message(link, data=b"", has_body=True):
    """One request or answer, whole, and what came behind it."""
    data = read_head(link, data)
    end = data.index(b"\r\n\r\n") + 4
    length = 0
    for line in data[:end].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    if not has_body:
        length = 0
    while len(data) < end + length:
        piece = link.recv(1 << 20)
        if not piece:
            raise Broken
        data += piece
    return data[: end + length], data[end + length:]


def path_of(request):
    return request.split(b" ", 2)[1].decode()


def renamed(request, port):
    """The request as the daemon knows itself."""
    lines = request.split(b"\r\n")
    at = next(i for i, line in enumerate(lines) if line.lower().startswith(b"host:"))
    lines[at] = b"Host: 127.0.0.1:%d" % port
    return b"\r\n".join(lines)


def changed(answer, change):
    """The answer with its JSON document changed."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not body.startswith(b"{"):
        return answer
    doc = json.loads(body)
    change(doc)
    body = json.dumps(doc).encode()
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join(lines) + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Line:
    """share: of the requests that one of FAULTS befalls, by the seed. Whatever else is to happen: before(path) and after(path) are called when a
    request has come and when its answer has; change(path, doc) changes the answer's document."""

    def __init__(self, port, share=0.0, seed=1, faults=FAULTS, host="127.0.0.1"):
        self.target = port
        self.share = share
        self.faults = faults
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.counts = {name: 0 for name in FAULTS}
        self.requests = 0
        self.kept = []  # requests that are sent once more, later
        self.before = self.after = lambda path: None
        self.change = None
        self.links = set()
        self.listener = Listener(self._serve, host)
        self.host, self.port, self.url = host, self.listener.port, self.listener.url

    def close(self):
        self.listener.close()
        for link in list(self.links):
            end(link)

    def _choose(self):
        with self.lock:
            self.requests += 1
            fault = self.random.choice(self.faults) if self.random.random() < self.share else None
            if fault:
                self.counts[fault] += 1
            return fault, self.random.random()

    def _serve(self, near):
        self.links.add(near)
        rest, far = b"", None
        try:
            while True:
                request, rest = read_message(near, rest)
                request = renamed(request, self.target)
                fault, dice = self._choose()
                self.before(path_of(request))
                if far is None:
                    far = socket.create_connection(("127.0.0.1", self.target))
                    self.links.add(far)
                far = self._exchange(near, far, request, fault, dice)
        except (Broken, OSError):
            pass
        finally:
            for link in (near, far):
                if link:
                    end(link)
                    self.links.discard(link)

    def _exchange(self, near, far, request, fault, dice):
        """Passes one request and its answer on. Returns the connection for the next."""
        path = path_of(request)
        if fault == "delay":
            time.sleep(0.5 * dice)
        if fault == "cut_before":
            raise Broken
        if fault == "cut_request":
            far.sendall(request[: int(dice * len(request))])
            raise Broken
        if fault == "duplicate":  # at the same moment, over another connection
            threading.Thread(target=self._send_apart, args=(request,), daemon=True).start()
        if fault == "again_later":
            with self.lock:
                self.kept.append(request)
        self._send(far, request, fault)
        if fault == "half_close":
            far.shutdown(socket.SHUT_WR)  # nothing more will be asked here; the answer is still wanted
        answer, _ = read_message(far)
        self.after(path)
        if self.change:
            answer = changed(answer, lambda doc: self.change(path, doc))
        if fault == "cut_answer":
            raise Broken
        if fault == "cut_in_answer":
            near.sendall(answer[: int(dice * len(answer))])
            raise Broken
        self._send(near, answer, fault)
        self._send_kept()
        if fault == "half_close":
            near.shutdown(socket.SHUT_WR)
            raise Broken
        return far

    def _send(self, link, data, fault):
        if fault != "throttle":
            link.sendall(data)
            return
        for at in range(0, len(data), 128):
            link.sendall(data[at: at + 128])
            time.sleep(0.002)

    def _send_apart(self, request):
        """Another copy, whose answer nobody hears."""
        try:
            with socket.create_connection(("127.0.0.1", self.target), timeout=30) as link:
                link.sendall(request)
                read_message(link)
        except (Broken, OSError):
            pass

    def _send_kept(self):
        """Old requests come behind newer ones, the newest first."""
        with self.lock:
            if len(self.kept) < 3:
                return
            kept, self.kept = self.kept[::-1], []
        for request in kept:
            threading.Thread(target=self._send_apart, args=(request,), daemon=True).start()
