"""A daemon that speaks TLS itself: who checks its certificate, who pins its key, and who must not be fooled."""
import json
import socket
import ssl
import subprocess

import adding
import bed
import tarballs
from client import problem
from stack import CLI, DAEMON, WORKER, Process, Stack
from suite import check, equal, once, test, wait_for

OTHER_PIN = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=30)
    equal(done.returncode, 0, f"openssl {words[0]} ({done.stderr})")
    return done.stdout


def certificate(name, address="127.0.0.1", days=30):
    """A certificate that signs itself; its files."""
    folder = bed.daemon().root / "certificates"
    folder.mkdir(exist_ok=True)
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", days, "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address}")
    return cert, key


def pin_of(cert):
    """As a person would work it out, by openssl alone."""
    public = openssl("x509", "-in", cert, "-noout", "-pubkey")
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public.encode(), capture_output=True, check=True).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=der, capture_output=True, check=True).stdout
    return "sha256//" + subprocess.run(["openssl", "base64", "-A"], input=digest, capture_output=True, check=True).stdout.decode()


@once
def own():
    return certificate("own")


@once
def daemon():
    """Listens beyond loopback, which TLS allows it to."""
    cert, key = own()
    stack = Stack("secured")
    stack.tls = ssl.create_default_context(cafile=cert)
    stack.start("--tls-cert", cert, "--tls-key", key, "--listen", "0.0.0.0", "--worker-builds", tarballs.native()[0].parent)
    stack.add_space()
    return stack


def status(*words, url=None):
    return subprocess.run([str(word) for word in (CLI, "device", "ls", "--url", url or daemon().url, *words)], capture_output=True, text=True, timeout=30)


def refused_start(*words, status=1):
    done = subprocess.run([str(word) for word in (DAEMON, "--data-dir", bed.daemon().root / "refused", "--port", "0", *words)], capture_output=True, text=True, timeout=20)
    check(done.returncode == status, "it does not start", done)
    return done.stderr


@test("a certificate without its key, with another's, or that is none: the daemon does not start, and says why")
def bad_files():
    (cert, key), (other, _) = own(), certificate("mismatch")
    check("belong together" in refused_start("--tls-cert", cert, status=2), "without a key")
    check("belong together" in refused_start("--tls-key", key, status=2), "without a certificate")
    check("cannot be used" in refused_start("--tls-cert", other, "--tls-key", key), "another's key")
    check("cannot be used" in refused_start("--tls-cert", key, "--tls-key", cert), "the wrong way round")
    for words in (("--tls-cert", bed.daemon().root / "none", "--tls-key", key), ("--tls-cert", "/dev/zero", "--tls-key", key), ("--tls-cert", bed.daemon().root, "--tls-key", key)):
        check(refused_start(*words, status=2 if "/dev/zero" in words else 1), "what cannot be read")
    check("--tls-cert" in refused_start("--listen", "0.0.0.0", status=2), "plain http beyond this machine")


@test("a client takes the daemon's certificate by its file or its pinned key, and nobody else's")
def trusted():
    cert, _ = own()
    pin = pin_of(cert)
    check(pin in daemon().daemon.log.read_text(), "the daemon logs the pin that openssl works out", pin)
    for words in (("--ca-file", cert), ("--pinned-key", pin), ("--ca-file", cert, "--pinned-key", pin)):
        equal(status(*words).returncode, 0, f"status with {words}")
    other, _ = certificate("other")
    for words in ((), ("--ca-file", other), ("--pinned-key", OTHER_PIN), ("--pinned-key", pin_of(other)), ("--ca-file", cert, "--pinned-key", OTHER_PIN), ("--ca-file", other, "--pinned-key", pin), ("--pinned-key", "nonsense")):
        done = status(*words)
        equal(done.returncode, 5, f"status with {words} ({done.stdout} {done.stderr})")
    equal(status("--ca-file", cert, url=daemon().url.replace("127.0.0.1", "127.0.0.2")).returncode, 5, "another name than the certificate's")
    check(status("--pinned-key", pin, url=daemon().url.replace("https", "http")).returncode != 0, "plain http to the port of https")


@test("TLS 1.1 and plain http get no answer; what is sent over TLS obeys the same rules", 60)
def rules():
    client = daemon().client
    old = ssl.create_default_context(cafile=own()[0])
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    try:
        with socket.create_connection(("127.0.0.1", daemon().port), timeout=10) as link, old.wrap_socket(link, server_hostname="127.0.0.1"):
            check(False, "TLS 1.1 is spoken")
    except (ssl.SSLError, ConnectionError, ValueError):
        pass
    with socket.create_connection(("127.0.0.1", daemon().port), timeout=10) as link:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        try:
            check(b"HTTP/1.1" not in link.recv(1000), "plain http is answered")
        except ConnectionError:
            pass
    problem(client.request("GET", "/devices", headers={"Host": "192.0.2.1"}), 401)
    problem(client.request("POST", "/tokens", {"kind": "api"}, {"Origin": "https://evil.example"}), 403)
    with socket.create_connection(("127.0.0.1", daemon().port), timeout=10) as plain, daemon().tls.wrap_socket(plain, server_hostname="127.0.0.1") as link:
        link.sendall(b"POST /api/v1/spaces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n")
        check(link.recv(4000).startswith(b"HTTP/1.1 413"), "413 by the length alone")
    # A body without a length that grows too long is cut off in its middle, past libmicrohttpd.
    with socket.create_connection(("127.0.0.1", daemon().port), timeout=10) as plain, daemon().tls.wrap_socket(plain, server_hostname="127.0.0.1") as link:
        link.sendall(b"POST /api/v1/spaces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        try:
            for _ in range(40):
                link.sendall(piece)
        except OSError:
            pass
        check(link.recv(4000).startswith(b"HTTP/1.1 413"), "413 in the middle of the body")
    answer = client.expect(200, "GET", "/worker-builds/x86_64")
    check(answer.body == tarballs.native()[0].read_bytes(), "a file's bytes")
    # Events flow while the connection sleeps in between.
    with socket.create_connection(("127.0.0.1", daemon().port), timeout=10) as plain, daemon().tls.wrap_socket(plain, server_hostname="127.0.0.1") as link:
        link.sendall(b"GET /api/v1/events?topics=job HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        check(b"text/event-stream" in link.recv(4000), "the stream's head")
        daemon().add_data()
        link.settimeout(10)
        text = b""
        while b"event: job" not in text:
            text += link.recv(4000)


@test("a worker that is shown another key says nothing to who shows it; its own daemon's it keeps for all later starts", 90)
def workers():
    stack, pin = daemon(), pin_of(own()[0])
    made = stack.client.post("/tokens", {"kind": "enrolment", "uses": 1}, 201)
    command = [WORKER, "--state-dir", stack.root / "worker-pinned", "--name", "pinned", "--salt", "pinned"]
    enrol = ["--daemon", stack.url, "--enrol", made["token"]]
    for number, words in enumerate(([], ["--pinned-key", OTHER_PIN], ["--ca-file", certificate("third")[0]])):
        process = Process([*command, *enrol, *words], stack.root / f"refused-{number}.log")
        wait_for("its refusal", lambda: "certificate" in process.log.read_text().lower() or "key" in process.log.read_text().lower() or not process.running(), 20)
        process.stop()
        check(made["token"] not in process.log.read_text(), "the token in its log")
    equal(stack.client.get(f"/tokens/{made['id']}")["uses_left"], 1, "uses of the token")
    equal([row["name"] for row in stack.client.items("/devices")], [], "boards")
    stack.workers["pinned"] = Process([*command, *enrol, "--pinned-key", pin], stack.root / "worker-pinned.log")
    profile = stack.identified("pinned", 20)
    stack.workers["pinned"].stop()
    equal(json.loads((stack.root / "worker-pinned/worker.json").read_text())["pinned_key"], pin, "what it keeps")
    stack.workers["pinned"] = Process(command, stack.root / "worker-pinned.log")
    (name,) = [row["id"] for row in stack.client.post("/measurements", {"profile": profile["id"], "space": "tiny", "archs": bed.NETWORKS[:1], "method": "brief"}, 202)["items"]]
    wait_for("a measurement", lambda: stack.client.get(f"/measurements/{name}")["state"] == "accepted", 40)
    stack.workers["pinned"].stop()
    # Another daemon on this address, which the pin was not given for.
    elsewhere = Process([*command, "--daemon", stack.url.replace("127.0.0.1", "127.0.0.3")], stack.root / "elsewhere.log")
    wait_for("its refusal", lambda: "certificate" in elsewhere.log.read_text().lower(), 20)
    elsewhere.stop()


@test("the line that adds a board pins the daemon's key, and works in a system of busybox alone", 60)
def added():
    stack, pin = daemon(), pin_of(own()[0])
    made = stack.client.post("/tokens", {"kind": "enrolment", "name": "sealed", "address": stack.url}, 201)
    check(f"ESPALIER_PINNED_KEY={pin} " in made["command"] and "INSECURE" not in made["command"], "the line", made["command"])
    machine = adding.Machine("sealed").paste(made["command"])
    wait_for("the board", lambda: any(row["name"] == "sealed" and row["online"] for row in stack.client.items("/devices")) or not machine.process.poll() is None and check(False, "it ended", machine.text()), 20)
    machine.stop()
