#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs read this output: compares a JSON Schema with a list of its members. Prints TAP.

    members.py SCHEMA.json LIST
    members.py --update SCHEMA.json LIST       writes the list

The list has a line for each member and each value of an enum: its type, whether it is optional, and what it means. None
of these lines may go or change; new ones may come, and are written into the list with the next version. If only the
words of a meaning were changed, write the list again; what means something else needs another name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path


def type_name(schema: dict) -> str:
    """Such as "integer from 0", "Qcow2L1Table" or "array of ImageCheckFinding"."""
    if '$ref' in schema:
        return schema['$ref'].rsplit('/', 1)[1]
    if schema.get('type') == 'array':
        return 'array of ' + type_name(schema['items'])
    name = str(schema.get('const', schema.get('type')))
    return f'{name} from {schema["minimum"]}' if schema.get('minimum', -1) >= 0 else name


def object_lines(name: str, schema: dict) -> Iterator[str]:
    for member, value in schema['properties'].items():
        presence = '' if member in schema.get('required', []) else ', optional'
        yield f'{name}.{member}: {type_name(value)}{presence}: {value.get("description", "")}'.rstrip(': ')


def lines(schema: dict) -> Iterator[str]:
    for name, definition in schema['$defs'].items():
        if 'enum' in definition:
            yield from (f'{name}: {value}' for value in definition['enum'])
        else:
            for choice in definition.get('oneOf', [definition]):
                yield from object_lines(name, choice)


def read_record(record: Path) -> list[str]:
    return [line for line in record.read_text().splitlines() if not line.startswith('#')]


def main() -> int:
    update = sys.argv[1] == '--update'
    schema, record = (Path(name) for name in sys.argv[-2:])
    found = list(lines(json.loads(schema.read_text())))
    if update:
        record.write_text('# SPDX-License-Identifier: GPL-2.0-or-later\n' +
                          ''.join(line + '\n' for line in sorted(set(found))))
        return 0
    lost = [line for line in read_record(record) if line not in found]
    print('1..1')
    print('not ok' if lost else 'ok', '1 - no member and no value went, or changed its type, presence or meaning')
    for line in lost:
        print('#', line)
    if lost:
        print('# if only words changed: tests/qapi-schema/members.py --update SCHEMA LIST')
    return 1 if lost else 0


if __name__ == '__main__':
    sys.exit(main())
