"""Worker tarballs in a chroot that holds nothing but what was unpacked."""
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import bed
from stack import Process
from suite import BUILD, ROOT, Skipped, check, equal, once, test

LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


def pack(arch, build, folder):
    into = bed.daemon().root / folder
    done = subprocess.run([ROOT / "scripts/worker-tarball", arch, "--build", build, "--into", into], capture_output=True, text=True, timeout=100)
    equal(done.returncode, 0, f"status of worker-tarball ({done.stderr})")
    digest, file = done.stdout.split()
    equal(Path(file).parent, into, "the folder of the file that it names")
    return Path(file), digest


@once
def native():
    if os.uname().machine != "x86_64":
        raise Skipped("the tests' own tarball is that of x86_64")
    return pack("x86_64", BUILD, "packed")


@once
def emulated_build():
    bed.emulated()
    return pack("aarch64", bed.ARM64_BUILD, "packed")


def unpacked(tarball, name):
    """A folder that holds the tarball's content and nothing else; the name of its own folder in there."""
    root = bed.daemon().root / name
    with tarfile.open(tarball) as tar:
        tar.extractall(root)
    (inside,) = root.iterdir()
    return root, f"/{inside.name}"


def chrooted(root, *words):
    """The words that run a program with root as its whole file system."""
    if os.geteuid() == 0:
        return ["chroot", root, *words]
    if subprocess.run(["unshare", "-r", "true"], capture_output=True).returncode != 0:
        raise Skipped("neither root nor a user namespace for a chroot")
    return ["unshare", "-r", "chroot", root, *words]


def worker_words(arch, inside):
    """As the start script has them, which needs a shell."""
    return [f"{inside}/lib/{LOADERS[arch]}", "--inhibit-cache", "--library-path", f"{inside}/lib", f"{inside}/lib/espalier-worker"]


def measures(name, command):
    """The program enrols as this board, with its token from the environment, and measures a network."""
    stack = bed.daemon()
    os.environ["ESPALIER_ENROL_TOKEN"] = stack.enrolment_token()
    try:
        stack.workers[name] = Process([*command, "--daemon", stack.url, "--state-dir", "/state", "--name", name, "--salt", name], stack.root / f"worker-{name}.log")
    finally:
        del os.environ["ESPALIER_ENROL_TOKEN"]
    profile = stack.enrolled(name, 30)
    (doc,) = bed.measured(profile, bed.NETWORKS[:1], 100)
    equal(doc["state"], "accepted", "the measurement")
    return profile


@test("the tarball of a worker is the same, byte for byte, when it is packed again")
def reproducible():
    (first, digest), (second, again) = native(), pack("x86_64", BUILD, "again")
    equal(digest, again, "the digests that were printed")
    check(first.read_bytes() == second.read_bytes(), "the same bytes")


@test("an unpacked tarball starts from anywhere, with an empty environment and by a link")
def starts():
    root, inside = unpacked(native()[0], "plain")
    link = root / "worker"
    link.symlink_to(f"{root}{inside}/espalier-worker")
    done = subprocess.run([link, "--version"], env={"PATH": "/usr/bin:/bin"}, cwd="/", capture_output=True, text=True, timeout=30)
    check(done.returncode == 0 and done.stdout.startswith("espalier-worker "), "its version", done.stdout, done.stderr)
    check((root / inside[1:] / "licenses/libcurl4").exists(), "the licence of a library")


@test("a tarball's worker measures in a chroot that holds nothing else", 150)
def alone():
    root, inside = unpacked(native()[0], "alone")
    measures("alone", chrooted(root, *worker_words("x86_64", inside)))
    check(not (root / "lib").exists(), "no libraries but its own")


@test("the aarch64 tarball's worker measures in a chroot that holds nothing but it and the emulator", 200)
def alone_emulated():
    emulator, _ = bed.emulated()
    tarball, _ = emulated_build()
    root, inside = unpacked(tarball, "alone-emulated")
    shutil.copy(shutil.which(emulator), root / "emulator")
    profile = measures("alone-emulated", chrooted(root, "/emulator", *worker_words("aarch64", inside)))
    equal(bed.device_of(profile)["fingerprint"]["machine"], "aarch64", "its machine")
