"""Bodies that are no sound JSON, or too much of it. None may do more than earn a problem document."""
import select
import socket
import time

import bed
from client import problem, raw, read_all
from suite import check, equal, test

MALFORMED = {
    "empty": b"",
    "an array": b"[]",
    "a number": b"1",
    "null": b"null",
    "half an object": b'{"kind": "api"',
    "something behind it": b'{"kind": "api"} x',
    "two objects": b"{}{}",
    "single quotes": b"{'kind': 'api'}",
    "a comment": b'{"kind": "api" /* x */}',
    "a comma too much": b'{"kind": "api",}',
    "no number": b'{"kind": NaN}',
    "a leading zero": b'{"uses": 01}',
    "a repeated member": b'{"kind": "api", "kind": "enrolment"}',
    "a byte order mark": b'\xef\xbb\xbf{"kind": "api"}',
    "a raw line break in a text": b'{"kind": "a\npi"}',
    "UTF-16": '{"kind": "api"}'.encode("utf-16"),
    "a byte that is no UTF-8": b'{"kind": "api", "label": "\xff"}',
    "half a character": b'{"kind": "api", "label": "\xe2\x82"}',
    "an overlong form": b'{"kind": "api", "label": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"kind": "api", "label": "\xed\xa0\x80"}',
    "half a surrogate pair": b'{"kind": "api", "label": "\\ud800"}',
    "a NUL in a text": b'{"kind": "api", "label": "a\\u0000b"}',
    "a raw NUL": b'{"kind": "api", "label": "a\x00b"}',
}


@test("malformed JSON and malformed UTF-8 are refused")
def malformed():
    client = bed.client()
    before = len(client.items("/tokens"))
    for what, body in MALFORMED.items():
        answer = client.request("POST", "/tokens", body)
        check(answer.status in (400, 422), f"{what} answers", answer)
        problem(answer, (400, 422))
    for body in (b'{"kind": "api", "uses": 1e999}', b'{"kind": "enrolment", "uses": 99999999999999999999999}', b'{"kind": "enrolment", "uses": 1.5}', b'{"kind": "enrolment", "uses": -1}'):
        problem(client.request("POST", "/tokens", body), (400, 422))
    equal(len(client.items("/tokens")), before, "tokens made by malformed bodies")


@test("JSON at depth 10,000 is refused")
def depth():
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        for n in (10_000, 100_000):
            body = b'{"kind": ' + opening * n + b"1" + closing * n + b"}"
            problem(bed.client().request("POST", "/tokens", body), (400, 413, 422))
            problem(bed.client().request("POST", "/spaces", body), (400, 413, 422))
            problem(bed.client().request("POST", "/tokens", b"{" + b'"kind": ' + opening * n), (400, 413, 422))
    bed.client().get("/healthz")


@test("a body of 2 GB is refused by its declared length, before it is sent")
def declared():
    port = bed.daemon().port
    for length in (2 << 30, (1 << 63) - 1):
        begun = time.monotonic()
        head = f"POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
            link.sendall(head.encode())
            answer = link.recv(65536)
        check(answer.startswith(b"HTTP/1.1 413"), "the answer", answer[:200])
        check(time.monotonic() - begun < 9, "it comes at once")


@test("a body that never ends is answered with 413 and cut off, in bounded memory")
def endless():
    port = bed.daemon().port
    before = memory_kb()
    head = f"POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent, reply = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(head.encode())
        try:
            while sent < 2 << 30:
                link.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        reply = link.recv(4096)  # what had come before the connection was closed
    check(sent < 64 << 20, "bytes that the daemon took", sent)
    check(reply.startswith(b"HTTP/1.1 413"), "the answer", reply[:200])
    check(b"application/problem+json" in reply and b"too_large" in reply, "it is a problem document", reply)
    check(memory_kb() - before < 64 << 10, "memory that it cost (kB)", memory_kb() - before)
    bed.client().get("/healthz")


@test("a sender that listens hears 413 while it sends, and the connection ends")
def listener():
    port = bed.daemon().port
    head = f"POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(head.encode())
        rest, reply = b"", b""
        end = time.monotonic() + 30
        while not reply and time.monotonic() < end:
            readable, writable, _ = select.select([link], [link], [], 1)
            if readable:
                reply = link.recv(4096)
            elif writable:
                rest = rest or b"10000\r\n" + b" " * 65536 + b"\r\n"
                rest = rest[link.send(rest, socket.MSG_DONTWAIT) :]
        check(reply.startswith(b"HTTP/1.1 413"), "the answer", reply[:200])
        check(read_all(link) == b"", "nothing follows")
    bed.client().get("/healthz")


def memory_kb():
    with open(f"/proc/{bed.daemon().daemon.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@test("bytes that are no HTTP, heads too long, bad lengths: refused, and the daemon goes on")
def no_http():
    port = bed.daemon().port
    host = f"Host: 127.0.0.1:{port}\r\n".encode()
    cases = {
        "noise": bytes(range(256)) * 20 + b"\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        "a long path": b"GET /api/v1/" + b"a" * 40_000 + b" HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n",
        "a long header": b"GET /healthz HTTP/1.1\r\n" + host + b"X: " + b"a" * 200_000 + b"\r\nConnection: close\r\n\r\n",
        "many headers": b"GET /healthz HTTP/1.1\r\n" + host + b"X: y\r\n" * 20_000 + b"Connection: close\r\n\r\n",
        "a negative length": b"POST /api/v1/tokens HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\nContent-Length: -5\r\nConnection: close\r\n\r\n{}",
        "a length that is none": b"POST /api/v1/tokens HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\nContent-Length: 2x\r\nConnection: close\r\n\r\n{}",
        "two lengths": b"POST /api/v1/tokens HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{}",
        "a bad chunk": b"POST /api/v1/tokens HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}",
        "a NUL in the path": b"GET /api/v1/jobs\x00/x HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n",
        "an encoded NUL": b"GET /api/v1/jobs/%00 HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n",
        "no version": b"GET /healthz\r\n\r\n",
    }
    for what, request in cases.items():
        with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
            try:
                link.sendall(request)
                link.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            answer = read_all(link)
        wanted = b"24" if what == "a NUL in the path" else b"4"  # libmicrohttpd ends a path there
        check(answer == b"" or answer[9:10] in wanted, f"{what} answers", answer[:200])
        bed.client().get("/healthz")


@test("wrong types and values in every POST are problems, never a failure of the daemon")
def wrong_values():
    bed.profile()
    values = [None, True, 0, -1, 1e300, "", "x", "é\U0001f333", "a" * 3000, [], [[]], {}, {"a": 1}, [None], ["x"] * 200]
    members = {
        "/datasets": ["name", "path", "format", "validation", "split_seed"],
        "/spaces": ["name", "stages", "stem", "head", "resolutions", "input_channels", "n_classes"],
        "/supernets": ["name", "space", "dataset", "train", "init_from"],
        "/evaluations": ["supernet", "checkpoint", "dataset", "archs", "split", "recalibrate", "report"],
        "/searches": ["name", "supernet", "checkpoint", "dataset", "objectives", "constraints", "strategy", "strategy_options", "subspace", "evaluations", "population", "seed", "accuracy", "initial_evaluations", "measure_front", "calibration_nets", "calibration_choice", "known_networks"],
        "/exports": ["supernet", "checkpoint", "dataset", "arch", "format", "recalibrate", "input", "images"],
        "/tokens": ["kind", "uses", "expires_in_s", "label", "name", "address", "service"],
        "/tables": ["profile", "space", "method"],
        "/measurements": ["profile", "space", "archs", "method"],
        "/spaces/tiny/sample": ["n", "seed", "profile"],
        "/worker/enrol": ["enrolment_token", "instance", "last_instance", "protocol", "machine_id", "name", "fingerprint", "profiles"],
    }
    client, wrong = bed.client(), []
    sound = {"name": "never-made", "supernet": bed.supernet(), "n": 10, "kind": "no-kind"}
    for path, names in members.items():
        for name in names:
            for value in values:
                answer = client.request("POST", path, {**({k: v for k, v in sound.items() if k in names}), name: value})
                if path == "/spaces/tiny/sample" and answer.status == 200 or (name, value) == ("report", True):
                    continue
                if not 400 <= answer.status < 500 or "problem" not in answer.headers.get("content-type", ""):
                    wrong.append(f"{path} {name}={str(value)[:40]}: {answer}")
    equal(wrong[:8], [], f"{len(wrong)} answers that are no problem documents")
    check(raw(bed.daemon().port, b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n").split()[1] == b"200", "the daemon is well")
