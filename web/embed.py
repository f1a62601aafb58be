#!/usr/bin/python3
"""Writes the files below a folder as web_assets: C arrays with type, ETag and a gzip form.

usage: embed.py FOLDER OUT DEPFILE
"""
import gzip
import hashlib
import os
import re
import sys

TYPES = {
    '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png',
    '.ico': 'image/x-icon', '.json': 'application/json', '.webmanifest': 'application/manifest+json',
    '.txt': 'text/plain; charset=utf-8', '.woff2': 'font/woff2', '.map': 'application/json',
}


def c_bytes(name, data):
    rows = (', '.join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24))
    return f'static const unsigned char {name}[] = {{\n' + ',\n'.join(rows) + '};\n'


def find_files(folder):
    for root, dirs, names in os.walk(folder):
        dirs.sort()
        for name in sorted(names):
            yield os.path.join(root, name)


def row(i, folder, path, out):
    with open(path, 'rb') as f:
        data = f.read() or b'\n'
    extension = os.path.splitext(path)[1]
    if extension not in TYPES:
        sys.exit(f'{path}: no content type known for {extension}')
    out.append(c_bytes(f'data_{i}', data))
    packed = gzip.compress(data, 9, mtime=0)
    use_gzip = len(packed) < 0.9 * len(data)
    if use_gzip:
        out.append(c_bytes(f'gzip_{i}', packed))
    etag = hashlib.blake2b(data, digest_size=10).hexdigest()
    immutable = re.search(r'[-.][0-9A-Za-z_]{8,}\.[a-z0-9]+$', os.path.basename(path)) is not None
    name = os.path.relpath(path, folder).replace(os.sep, '/')
    return (f'    {{"/{name}", "{TYPES[extension]}", "\\"{etag}\\"", '
            f'{"true" if immutable else "false"}, data_{i}, {f"gzip_{i}" if use_gzip else "NULL"}, '
            f'sizeof(data_{i}), {f"sizeof(gzip_{i})" if use_gzip else "0"}}},\n')


def main():
    folder, target, depfile = sys.argv[1:4]
    paths = list(find_files(folder)) if os.path.isdir(folder) else []
    out = ['#include "web/assets.h"\n\n']
    rows = [row(i, folder, path, out) for i, path in enumerate(paths)]
    out.append('const struct web_asset web_assets[] = {\n' + ''.join(rows) + '    {NULL}};\n')
    with open(target, 'w') as f:
        f.write(''.join(out))
    watched = [d for d, _, _ in os.walk(folder)] + paths
    with open(depfile, 'w') as f:
        f.write(f'{target}: ' + ' '.join(watched) + '\n')


main()
