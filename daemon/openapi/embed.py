#!/usr/bin/python3
"""Joins the descriptions of the routes into one JSON document and writes it as a C string.

usage: embed.py OUT FILE...
Each FILE holds "operations" ("GET /api/v1/jobs": {…}), "schemas" and "parameters"; base.json also the rest of the OpenAPI document.
Fails on a name that two files define, and on a reference to what none does.
"""
import json
import os
import sys

PARTS = ('operations', 'schemas', 'parameters')


def pairs_once(pairs):
    names = [name for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f'member given twice: {", ".join(sorted(twice))}')
    return dict(pairs)


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get('$ref'), str):
            yield value['$ref']
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def check_references(whole):
    known = {f'#/components/{part}/{name}' for part in ('schemas', 'parameters', 'responses') for name in whole[part]}
    for reference in references(whole):
        if reference not in known:
            sys.exit(f'{reference} is defined nowhere')
    for key, operation in whole['operations'].items():
        for name in [operation.get('body'), *operation['answers'].values()]:
            name = name and name.split(' ')[-1]  # behind a media type
            if name is not None and '/' not in name and name not in whole['schemas']:
                sys.exit(f'{key}: there is no schema {name}')


def main():
    target, *paths = sys.argv[1:]
    whole = {part: {} for part in PARTS}
    for path in paths:
        noun = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding='utf-8') as file:
            try:
                text = json.load(file, object_pairs_hook=pairs_once)
            except ValueError as error:
                sys.exit(f'{path}: {error}')
        for part in PARTS:
            for name, value in text.pop(part, {}).items():
                if name in whole[part]:
                    sys.exit(f'{path}: {name} is defined in another file already')
                whole[part][name] = {'tag': noun, **value} if part == 'operations' else value
        if noun == 'base':
            whole.update(text)
        elif text:
            sys.exit(f'{path}: unknown: {", ".join(text)}')
    check_references(whole)
    text = json.dumps(whole, separators=(',', ':'))
    escaped = text.replace('\\', '\\\\').replace('"', '\\"')
    pieces, at = [], 0
    while at < len(escaped):
        end = min(at + 100, len(escaped))
        while escaped[at:end].endswith('\\') and end < len(escaped):
            end += 1
        pieces.append(escaped[at:end])
        at = end
    with open(target, 'w', encoding='ascii') as file:
        file.write('#include "daemon/openapi_text.h"\n\nconst char openapi_text[] =\n' + '\n'.join(f'    "{piece}"' for piece in pieces) + ';\n')


main()
