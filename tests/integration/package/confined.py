"""Runs a program under what a unit says of system calls, address families, writable code and capabilities, as systemd would.

usage: confined.py UNIT PROGRAM [ARGUMENT...]

For machines on which systemd does not run. The groups of system calls are systemd's own (systemd-analyze syscall-filter).
"""
import ctypes
import errno
import os
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

LOAD, EQUAL, AND, RETURN = 0x20, 0x15, 0x54, 0x06  # of classic BPF: BPF_LD|W|ABS, JMP|JEQ|K, ALU|AND|K, RET|K
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NUMBER, ARGUMENT = 0, 16  # offsets in struct seccomp_data; of arguments the lower halves, 8 bytes apart
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAPBSET_DROP = 38, 22, 24
WRITE, EXEC = 2, 4


def settings(unit):
    """Name -> values, in their order."""
    found = {}
    for line in Path(unit).read_text().splitlines():
        if re.match(r"\w+=", line):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def calls_of(group):
    names = set()
    for line in subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", group], capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            names |= calls_of(word)
        elif word and not word.startswith("#"):
            names.add(word)
    return names


def numbers():
    header = next(path for path in (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")) if path.exists())
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text())}


def allowed(filters):
    names = set()
    for value in filters:
        for word in value.lstrip("~").split():
            group = calls_of(word) if word.startswith("@") else {word}
            names = names - group if value.startswith("~") else names | group
    return names


def program(unit):
    of = numbers()
    rows = []

    def refuse_when(call, argument, mask, values, code, but=False):
        """Refuses call when (argument & mask) is one of values; but: when it is none of them."""
        tests = [(LOAD, 0, 0, ARGUMENT + 8 * argument), (AND, 0, 0, mask)]
        for i, value in enumerate(values):
            left = len(values) - 1 - i
            tests.append((EQUAL, left + but, 0 if i < len(values) - 1 else 1 - but, value))
        tests.append((RETURN, 0, 0, REFUSE | code))
        rows.extend([(LOAD, 0, 0, NUMBER), (EQUAL, 0, len(tests), of[call]), *tests])

    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        refuse_when("mmap", 2, WRITE | EXEC, [WRITE | EXEC], errno.EPERM)
        refuse_when("mprotect", 2, EXEC, [EXEC], errno.EPERM)
        refuse_when("pkey_mprotect", 2, EXEC, [EXEC], errno.EPERM)
    families = [int(getattr(socket, word)) for value in unit.get("RestrictAddressFamilies", []) for word in value.split()]
    if families:
        refuse_when("socket", 0, 0xFFFFFFFF, families, errno.EAFNOSUPPORT, but=True)
    rows.append((LOAD, 0, 0, NUMBER))
    for name in sorted(allowed(unit["SystemCallFilter"])):
        if name in of:
            rows.extend([(EQUAL, 0, 1, of[name]), (RETURN, 0, 0, ALLOW)])
    rows.append((RETURN, 0, 0, REFUSE | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *row) for row in rows), len(rows)


def confine(unit):
    libc = ctypes.CDLL(None, use_errno=True)
    code, n = program(unit)
    buffer = ctypes.create_string_buffer(code)
    filter_of = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", n, ctypes.addressof(buffer)))
    if os.geteuid() == 0 and unit.get("CapabilityBoundingSet") == [""]:
        for capability in range(64):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, 2, filter_of, 0, 0):
        sys.exit(f"confined.py: {os.strerror(ctypes.get_errno())}")


confine(settings(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
