#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Verifies that the files and C names in documents exist. Prints TAP.

    check-names.py SOURCE-FOLDER DOCUMENT...

A name is a literal such as ``block/io/edits.h``, ``edits_apply()``, ``Qcow2Faults`` or ``finding_table``.
"""

import re
import sys
from pathlib import Path

FILE = re.compile(r'``((?:block|docs|include|qapi|tests|ui)/[\w./-]+)``')
NAME = re.compile(r'``([A-Za-z]\w*_\w+|[A-Z][A-Za-z0-9]+[a-z]\w*)(?:\(\))?``')


def in_code(name: str) -> str:
    return re.sub('^visit_type_', '', name)  # which is generated from a type of the schema


def main() -> int:
    source = Path(sys.argv[1])
    code = '\n'.join(file.read_text(encoding='utf-8') for folder in ('block', 'include', 'qapi', 'ui')
                     for file in source.joinpath(folder).rglob('*.*') if file.suffix in ('.c', '.h', '.json'))
    missing = []
    for document in sys.argv[2:]:
        text = Path(document).read_text(encoding='utf-8')
        missing += [f'{document}: {name}' for name in FILE.findall(text) if not (source / name).exists()]
        missing += [f'{document}: {name}' for name in NAME.findall(text) if not re.search(rf'\b{in_code(name)}\b', code)]
    for line in missing:
        print(f'# no such name: {line}')
    print('not ok' if missing else 'ok', '1 - files and names in documents exist\n1..1')
    return bool(missing)


if __name__ == '__main__':
    sys.exit(main())
