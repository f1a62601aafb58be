#!/usr/bin/python3
"""Writes a text file as a C string.

usage: embed_text.py FILE NAME HEADER OUT
"""
import sys


def main():
    source, name, header, target = sys.argv[1:5]
    with open(source, encoding='ascii') as file:
        lines = file.read().splitlines()
    escaped = (line.replace('\\', '\\\\').replace('"', '\\"') for line in lines)
    with open(target, 'w') as file:
        file.write(f'#include "{header}"\n\nconst char {name}[] =\n' + '\n'.join(f'    "{line}\\n"' for line in escaped) + ';\n')


main()
