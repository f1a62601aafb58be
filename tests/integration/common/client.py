"""HTTP as a client of the daemon sees it: whole requests, raw bytes, server-sent events."""
import http.client
import json
import socket
import time

from suite import Failed, check, equal


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def doc(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"{self.status} with a body that is no JSON: {self.body[:300]!r}") from None

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


# Called with (method, path, body, answer) after each request of a Client; what it raises fails the test.
watchers = []
# Called with (id or None, topic, data) of each event that a test reads.
event_watchers = []


class Client:
    """Requests to one daemon. Each goes over a connection of its own, like most clients of a test."""

    def __init__(self, port, token=None, timeout=30, tls=None):
        """tls: the ssl.SSLContext of a daemon that speaks HTTPS."""
        self.tls = tls
        self.port = port
        self.token = token
        self.timeout = timeout

    def request(self, method, path, body=None, headers=None):
        """body: a JSON value, or bytes as they are. Headers with value None are left out."""
        if path.startswith("/") and path != "/" and not path.startswith(("/api/", "/healthz", "/readyz", "/metrics")):
            path = "/api/v1" + path
        all_headers = {"Connection": "close"}
        if self.token:
            all_headers["Authorization"] = "Bearer " + self.token
        if body is not None:
            all_headers["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        all_headers.update(headers or {})
        if self.tls:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=self.timeout, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            connection.putrequest(method, path, skip_host="Host" in all_headers, skip_accept_encoding=True)
            for name, value in all_headers.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None and "Content-Length" not in all_headers:
                connection.putheader("Content-Length", str(len(body)))
            try:
                connection.endheaders(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # an answer that came before the whole body was sent can still be read
            answer = connection.getresponse()
            answer = Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()
        for watch in watchers:
            watch(method, path, body, answer)
        return answer

    def expect(self, status, method, path, body=None, headers=None):
        """The answer, which must have this status (or one of a tuple)."""
        answer = self.request(method, path, body, headers)
        wanted = status if isinstance(status, tuple) else (status,)
        check(answer.status in wanted, f"{method} {path} answers", answer, "not", status)
        return answer

    def get(self, path):
        return self.expect(200, "GET", path).doc

    def post(self, path, body, status=(200, 201, 202)):
        return self.expect(status, "POST", path, body).doc

    def items(self, path):
        """All items of a list, through all its pages."""
        joint = "&" if "?" in path else "?"
        page = self.get(path)
        found = page["items"]
        while page["next"] is not None:
            page = self.get(f"{path}{joint}after={page['next']}")
            found += page["items"]
        return found


def problem(answer, status, code=None, pointer=None):
    """Checks that an answer is a problem document, by RFC 9457 and docs/API.md; returns it."""
    statuses = status if isinstance(status, tuple) else (status,)
    check(answer.status in statuses, "status", answer, "not", status)
    kind = answer.headers.get("content-type", "")
    check(kind.startswith("application/problem+json"), "Content-Type", kind, answer)
    doc = answer.doc
    for member, type_ in (("type", str), ("title", str), ("status", int), ("detail", str), ("code", str), ("errors", list), ("request_id", str)):
        check(isinstance(doc.get(member), type_), f"the problem's {member}", doc)
    equal(doc["status"], answer.status, "status inside")
    check(len(doc["detail"]) > 8, "a sentence for people", doc)
    for row in doc["errors"]:
        check(isinstance(row.get("pointer", row.get("parameter")), str) and isinstance(row.get("detail"), str), "errors", doc)
    if code is not None:
        equal(doc["code"], code, f"code of {doc}")
    if pointer is not None:
        check(pointer in [row.get("pointer", f"?{row.get('parameter')}") for row in doc["errors"]], f"pointer {pointer} in", doc)
    return doc


def raw(port, data, timeout=30):
    """Sends bytes as they are and returns all that comes back until the daemon closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as link:
        link.sendall(data)
        return read_all(link)


def read_all(link):
    parts = []
    try:
        while part := link.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


class Events:
    """A stream of server-sent events: (id or None, topic, data)."""

    def __init__(self, port, topics=None, last_id=None, after=None):
        path = "/api/v1/events"
        query = [f"topics={topics}"] if topics else []
        if after is not None:
            query.append(f"after={after}")
        if query:
            path += "?" + "&".join(query)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n"
        if last_id is not None:
            head += f"Last-Event-ID: {last_id}\r\n"
        self.link = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.link.sendall(head.encode() + b"\r\n")
        self.answer = http.client.HTTPResponse(self.link, method="GET")
        self.answer.begin()
        equal(self.answer.status, 200, "status of the event stream")
        check(self.answer.getheader("Content-Type", "").startswith("text/event-stream"), "type of the event stream")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.answer.close()
        self.link.close()

    def begun(self):
        """The id that a stream from now on begins with: of the newest event before it."""
        greeting = list(iter(lambda: self.answer.readline().decode().rstrip("\r\n"), ""))
        return next(int(line[3:]) for line in greeting if line.startswith("id:"))

    def next(self, seconds=10):
        """The next event; comments and the greeting are passed over."""
        until = time.monotonic() + seconds
        number, topic, data = None, None, []
        while True:
            self.link.settimeout(max(0.01, until - time.monotonic()))
            try:
                line = self.answer.readline()
            except (TimeoutError, OSError) as error:
                raise Failed(f"no event within {seconds} s ({error})") from None
            if not line:
                raise Failed("the event stream has ended")
            line = line.decode().rstrip("\r\n")
            if line.startswith("id:"):
                number = int(line[3:])
            elif line.startswith("event:"):
                topic = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].strip())
            elif line == "" and topic is not None:
                event = number, topic, json.loads("\n".join(data) or "null")
                for watch in event_watchers:
                    watch(*event)
                return event
            elif line == "":
                number = None  # of the greeting

    def until(self, wanted, seconds=20):
        """All events up to and with the first that wanted(topic, data) is true for."""
        seen, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            seen.append(self.next(max(0.05, end - time.monotonic())))
            if wanted(seen[-1][1], seen[-1][2]):
                return seen
        raise Failed(f"the event did not come within {seconds} s; the last of {len(seen)}: {seen[-3:]}")
