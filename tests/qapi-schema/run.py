#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Feeds every schema of this folder to the generator and compares what it says. Prints TAP.

Beside X.json stands X.err, the message that refuses it, or X.out, a dump of what was understood.
Usage: run.py [NAME...]  (names without .json; all when none is given)
"""

from __future__ import annotations

import ast
import difflib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(HERE, '..', '..', 'scripts')
sys.path.insert(0, PACKAGE)
sys.dont_write_bytecode = True

from qapi import error                  # noqa: E402
from qapi.dump import dump              # noqa: E402
from qapi.parser import parse           # noqa: E402
from qapi.schema import Schema          # noqa: E402

Site = tuple[str, int]                  # a module of the generator, and a line that makes an error


def answer(path: str, provoked: set[Site]) -> tuple[str, str]:
    """What the generator says about @path: the ending of the file to compare with, and the text."""
    try:
        return '.out', dump(Schema(parse(path)))
    except error.SchemaError as refusal:
        trace = refusal.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        assert trace
        provoked.add((os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno))
        return '.err', f'{refusal}\n'


def raise_sites() -> set[tuple[str, int, int]]:
    """Every `raise` of the generator that makes an error itself: module, first and last line."""
    sites = set()
    folder = os.path.join(PACKAGE, 'qapi')
    for name in sorted(os.listdir(folder)):
        if not name.endswith('.py'):
            continue
        with open(os.path.join(folder, name), encoding='utf-8') as stream:
            tree = ast.parse(stream.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                sites.add((name, node.lineno, node.end_lineno or node.lineno))
    return sites


def report(number: int, good: bool, name: str, details: list[str]) -> bool:
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    for line in details:
        print('# ' + line.rstrip('\n'))
    return good


def main() -> int:
    os.chdir(HERE)
    wanted = sys.argv[1:] or sorted(name[:-5] for name in os.listdir('.') if name.endswith('.json'))
    everything = len(sys.argv) == 1
    provoked: set[Site] = set()
    good = True
    print(f'1..{len(wanted) + everything}')
    for number, name in enumerate(wanted, 1):
        ending, text = answer(name + '.json', provoked)
        try:
            with open(name + ending, encoding='utf-8') as stream:
                expected = stream.read()
        except FileNotFoundError:
            expected = ''
        diff = difflib.unified_diff(expected.splitlines(), text.splitlines(), name + ending, 'generator',
                                    lineterm='')
        good &= report(number, expected == text, name, list(diff))
    if everything:
        silent = [f'{module}:{first}' for module, first, last in sorted(raise_sites())
                  if not any(module == where and first <= line <= last for where, line in provoked)]
        good &= report(len(wanted) + 1, not silent, 'every error of the generator is provoked here', silent)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
