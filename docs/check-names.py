#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Verifies that the files and C names in documents exist, and names in the file that is given with them. Prints TAP.

    check-names.py SOURCE-FOLDER DOCUMENT...

A name is a literal such as ``block/io/edits.h``, ``edits_apply()``, ``Qcow2Faults`` or ``finding_table``. Its file is that
of ``edits_apply()`` (``block/qcow2/repair/write.c``), or the folder.
"""

import re
import sys
from pathlib import Path

FILE = re.compile(r'``((?:block|docs|include|qapi|tests|ui)/[\w./-]+)``')
NAME = re.compile(r'``([A-Za-z]\w*_\w+|[A-Z][A-Za-z0-9]+[a-z]\w*)(?:\(\))?``')
PLACED = re.compile(rf'{NAME.pattern}\s+(?:\(|in\s+){FILE.pattern}')


def in_code(name: str) -> str:
    return re.sub('^visit_type_', '', name)  # which is generated from a type of the schema


def is_in(name: str, place: Path) -> bool:
    files = [place] if place.is_file() else place.rglob('*.[ch]')
    return any(re.search(rf'\b{name}\b', file.read_text(encoding='utf-8')) for file in files)


def main() -> int:
    source = Path(sys.argv[1])
    code = '\n'.join(file.read_text(encoding='utf-8') for folder in ('block', 'include', 'qapi', 'ui', 'util')
                     for file in source.joinpath(folder).rglob('*.*') if file.suffix in ('.c', '.h', '.json'))
    missing = []
    for document in sys.argv[2:]:
        text = Path(document).read_text(encoding='utf-8')
        missing += [f'{document}: {name}' for name in FILE.findall(text)
                    if not (source / name).exists() and not (source / f'{name}.c').exists()]
        missing += [f'{document}: {name}' for name in NAME.findall(text) if not re.search(rf'\b{in_code(name)}\b', code)]
        missing += [f'{document}: {name} in {place}' for name, place in PLACED.findall(text)
                    if not is_in(name, source / place)]
    for line in missing:
        print(f'# no such name: {line}')
    print('not ok' if missing else 'ok', '1 - files and names in documents exist\n1..1')
    return bool(missing)


if __name__ == '__main__':
    sys.exit(main())
