"""Clients that are slow on purpose, and too many of them. Their deadlines are long, so they wait beside the other tests."""
import socket
import threading
import time

from stack import Stack
from suite import check, once, test

HEAD_S, BODY_S = 15, 60  # docs/API.md, "Bad input"
LATE_S = 10  # that a busy machine may take longer, of which half a second is the pause of the clients
DEADLINE_S = BODY_S + LATE_S + 5

slow = {}


@once
def daemon():
    """A daemon of their own, which nobody starts anew meanwhile."""
    return Stack("slow").start()


class SlowClient(threading.Thread):
    """Sends its first words at once and then a byte now and then; notes when the daemon has had enough."""

    def __init__(self, first, pause):
        super().__init__(daemon=True)
        self.first, self.pause = first, pause
        self.ended_after = None
        self.answer = b""

    def run(self):
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", daemon().port), timeout=self.pause) as link:
            link.sendall(self.first)
            while time.monotonic() - begun < DEADLINE_S:
                try:
                    self.answer += link.recv(4096)
                    break
                except TimeoutError:
                    pass
                except OSError:
                    break
                try:
                    link.sendall(b" ")
                except OSError:
                    break
            else:
                return
            self.ended_after = time.monotonic() - begun


@test("slow clients are let in (their end is looked at last)")
def begin():
    host = f"Host: 127.0.0.1:{daemon().port}\r\n"
    slow["head"] = SlowClient(f"GET /healthz HTTP/1.1\r\n{host}X: ".encode(), 0.5)
    slow["body"] = SlowClient(f"POST /api/v1/tokens HTTP/1.1\r\n{host}Content-Type: application/json\r\nContent-Length: 4000\r\n\r\n{{".encode(), 0.5)
    slow["silent"] = SlowClient(b"", DEADLINE_S)
    for client in slow.values():
        client.start()


def connect_many(n):
    links = []
    for _ in range(n):
        link = socket.socket()
        link.settimeout(2)
        try:
            link.connect(("127.0.0.1", daemon().port))
            links.append(link)
        except OSError:
            link.close()
    return links


def served(link):
    try:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return link.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def look_at_the_end():
    @test("connections of one address are capped, and the others are served again afterwards", 60)
    def capped():
        links = connect_many(600)
        try:
            alive = sum(1 for link in links if served(link))
        finally:
            for link in links:
                link.close()
        check(0 < alive < 600, "connections served at once, of 600", alive)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                daemon().client.get("/healthz")
                return
            except (OSError, AssertionError):
                time.sleep(0.1)
        daemon().client.get("/healthz")

    @test("a client that sends its head or body too slowly is cut off when the table says", DEADLINE_S + 10)
    def ended():
        for what, seconds in (("head", HEAD_S), ("silent", HEAD_S), ("body", BODY_S)):
            slow[what].join(DEADLINE_S)
            after = slow[what].ended_after
            check(after is not None and seconds - 1 < after < seconds + LATE_S, f"the slow {what} was cut off after", after, "s, not", seconds)
            check(b" 200 " not in slow[what].answer[:15] and b" 201 " not in slow[what].answer[:15], f"the slow {what} is not served", slow[what].answer[:100])


def register_end():
    look_at_the_end()

