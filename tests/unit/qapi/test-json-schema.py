#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The generated JSON Schemas accept what the program writes, and refuse what it never would. Prints TAP.

Usage: test-json-schema.py SAMPLE-PROGRAM image-check.schema.json everything.schema.json everything.json
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import jsonschema

PROGRAM, IMAGE_CHECK, EVERYTHING, SAMPLE = sys.argv[1:5]
count = 0
failed = False


def check(good: bool, name: str) -> None:
    global count, failed
    count += 1
    failed |= not good
    print(f"{'ok' if good else 'not ok'} {count} - {name}")


def load(path: str):
    with open(path, encoding='utf-8') as stream:
        return json.load(stream)


def validator(path: str) -> jsonschema.Draft202012Validator:
    schema = load(path)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def written(what: str, text: str = ''):
    run = subprocess.run([PROGRAM, what], input=text, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def without(value, path: list):
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return changed


def changed_to(value, path: list, what):
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = what
    return changed


image_check = validator(IMAGE_CHECK)
least, most = written('least'), written('most')
check(image_check.is_valid(least), 'an ImageCheck with nothing optional is valid')
check(image_check.is_valid(most), 'an ImageCheck with everything is valid')
for path in (['filename'], ['format'], ['check-errors'], ['viscera', 'qcow2-header'],
             ['viscera', 'active-l1', 'name'], ['viscera', 'refcount-table', 'location', 'size']):
    check(not image_check.is_valid(without(most, path)), f"{'.'.join(path)} cannot be absent")
for path in (['bogus'], ['viscera', 'bogus'], ['viscera', 'refcount-table', 'location', 'bogus']):
    check(not image_check.is_valid(changed_to(most, path, 1)), f"{'.'.join(path)} is unknown")
ENTRY = ['viscera', 'bitmaps', 'bitmap-dir', 'dir-entries', 0, 'bitmap-table', 'table-entries', 0, 'type']
check(not image_check.is_valid(changed_to(most, ENTRY, 'all-twos')), 'an enum value is unknown')
check(not image_check.is_valid(changed_to(most, ['leaks'], '1')), 'a number is not a string')
OFFSET = ['viscera', 'refcount-table', 'location', 'offset']
check(not image_check.is_valid(changed_to(most, OFFSET, -1)), 'an offset is not negative')
check(not image_check.is_valid(changed_to(most, OFFSET, 2 ** 64)), 'an offset has 64 bits')

everything = validator(EVERYTHING)
sample = load(SAMPLE)
output = written('everything', json.dumps(sample))
check(output == sample, 'every construct of the language is written as it was read')
check(everything.is_valid(output), 'every construct of the language is valid')
check(not everything.is_valid(changed_to(sample, ['lists', 'shape', 0, 'radius'], 5)),
      'a union has no members of another branch')
check(not everything.is_valid(changed_to(sample, ['lists', 'choice', 0], 5)),
      'an alternate has no other kind')
print(f'1..{count}')
sys.exit(failed)
