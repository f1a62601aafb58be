#!/usr/bin/python3
"""Writes the migrations of this folder as a C file; fails when one that is locked has changed.

usage: embed.py LOCK SCHEMA OUT MIGRATION...
LOCK holds a line "NNNN_name hash" for each migration that has been published; the hash is 128 bits
of BLAKE2b over the file, as base/hash.h makes it. `embed.py --lock` prints the lines.
"""
import hashlib
import os
import sys


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.blake2b(f.read(), digest_size=16).hexdigest()


def name_of(path):
    return os.path.splitext(os.path.basename(path))[0]


def c_string(path):
    with open(path, 'rb') as f:
        data = f.read()
    if b'\0' in data:
        sys.exit(f'{path}: holds a NUL byte')
    text = ''.join(f'\\{b:03o}' if b < 32 or b > 126 or b in b'"\\?' else chr(b) for b in data)
    # Pieces of whole characters: an escape must not be cut in two.
    pieces, piece, i = [], '', 0
    while i < len(text):
        step = 4 if text[i] == '\\' else 1
        piece += text[i:i + step]
        i += step
        if len(piece) > 100:
            pieces.append(piece)
            piece = ''
    pieces.append(piece)
    return '\n    '.join(f'"{p}"' for p in pieces)


def check_locks(lock, paths):
    with open(lock) as f:
        locked = dict(line.split() for line in f if line.strip() and not line.startswith('#'))
    found = {name_of(p): digest(p) for p in paths}
    for name, value in locked.items():
        if found.get(name) != value:
            sys.exit(f'migration {name} is locked and has changed or gone: write a new one instead')
    for name in found:
        if name not in locked:
            sys.exit(f'migration {name} is not in {lock}: add the line "{name} {found[name]}"')


def main():
    if sys.argv[1] == '--lock':
        for path in sorted(sys.argv[2:]):
            print(name_of(path), digest(path))
        return
    lock, schema, out, paths = sys.argv[1], sys.argv[2], sys.argv[3], sorted(sys.argv[4:])
    check_locks(lock, paths)
    for i, path in enumerate(paths):
        if int(name_of(path).split('_')[0]) != i + 1:
            sys.exit(f'{path}: expected number {i + 1:04d}')
    rows = ''.join(f'    {{{i + 1}, "{name_of(p)}",\n    {c_string(p)}}},\n'
                   for i, p in enumerate(paths))
    with open(out, 'w') as f:
        f.write('#include "migrations/migrations.h"\n\n'
                f'const struct migration migrations_list[] = {{\n{rows}}};\n'
                f'const int migrations_count = {len(paths)};\n'
                f'const char migrations_schema[] =\n    {c_string(schema)};\n')


main()
