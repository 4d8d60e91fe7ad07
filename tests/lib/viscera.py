#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The viscera of an image, worked out from its bytes alone.

    viscera.py IMAGE                        prints them as JSON
    viscera.py --compare IMAGE <check.json  compares the viscera in a check's JSON with them, member by member;
                                            prints each difference and exits with 1 when there is one

Follows section 4 of the contract, in docs/interop/viscera.rst for users. Shares nothing with the C program.
"""

import argparse
import json
import sys

from qcow2 import layout, reader

ENTRY_KINDS = {0: "all-zeros", 1: "all-ones"}


def allocation(offset, size):
    return {"offset": offset, "size": size}


def text(raw):
    """Bytes of a name as the JSON has them: up to a zero byte, each sequence that is no UTF-8 as one U+FFFD."""
    raw = raw.split(b"\0")[0]
    characters = []
    while raw:
        length = sequence_length(raw)
        characters.append(character(raw[:length]))
        raw = raw[length:]
    return "".join(characters)


def sequence_length(raw):
    """Bytes of the first sequence: the lead byte and as many continuation bytes as it asks for and there are."""
    asked = next((n for limit, n in [(0xC0, 1), (0xE0, 2), (0xF0, 3), (0xF8, 4), (0xFC, 5), (0xFE, 6)]
                  if raw[0] < limit), 1)
    length = 1
    while length < min(asked, len(raw)) and raw[length] & 0xC0 == 0x80:
        length += 1
    return length


def character(sequence):
    if sequence == b"\xc0\x80":  # what Java writes for a zero byte
        return "\0"
    try:
        decoded = sequence.decode("utf-8")
    except UnicodeDecodeError:
        return "\ufffd"
    code = ord(decoded)
    return "\ufffd" if 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE else decoded


def l1_table(image, name, offset, entries):
    tables = [image.l2_offset(entry) for entry in image.words(offset, entries)]
    return {
        "l2-list": [allocation(table, image.cluster_size) for table in tables if table],
        "location": allocation(offset, 8 * entries),
        "name": name,
    }


def refcount_table(image):
    blocks = [entry & layout.REFTABLE_OFFSET for entry in image.reftable_entries()]
    table = {"location": allocation(image.reftable_offset, image.reftable_clusters * image.cluster_size)}
    blocks = [allocation(block, image.cluster_size) for block in blocks if block]
    if blocks:
        table["refcount-blocks"] = blocks
    return table


def bitmap_entry(image, word):
    offset = word & layout.BITMAP_OFFSET
    if offset:
        return {"type": "serialized", "cluster": allocation(offset, image.cluster_size)}
    return {"type": ENTRY_KINDS[word & 1]}


def bitmap_table(image, bitmap):
    words = image.words(bitmap.table_offset, bitmap.table_size)
    missing = bitmap.table_size - len(words)
    if missing * 8 <= image.cluster_size:  # the file may end in the table; a table far beyond is but a claim
        words += (0,) * missing
    return {
        "bitmap-table": {
            "table-entries": [bitmap_entry(image, word) for word in words],
            "location": allocation(bitmap.table_offset, 8 * bitmap.table_size),
        },
        "bitmap-name": text(bitmap.name),
    }


def bitmaps(image):
    fields = image.bitmaps_fields()
    if fields is None or not image.autoclear & layout.AUTOCLEAR["bitmaps"]:
        return None
    count, size, offset = fields
    return {
        "nb-bitmaps": count,
        "bitmap-dir": {
            "dir-entries": [bitmap_table(image, bitmap) for bitmap in image.bitmaps()],
            "location": allocation(offset, size),
        },
    }


def snapshot_table(image):
    snapshots = image.snapshots()
    if not snapshots:
        return None
    end = snapshots[-1].offset + snapshots[-1].size
    return {
        "location": allocation(image.snapshots_offset, end - image.snapshots_offset),
        "l1-list": [l1_table(image, text(s.name), s.l1_offset, s.l1_size) for s in snapshots],
    }


def viscera(image):
    """The expected value of ImageCheck.viscera for a reader.Image."""
    crypt = image.crypt_region()
    members = {
        "qcow2-header": {"version": image.version, "location": allocation(0, image.cluster_size)},
        "refcount-table": refcount_table(image),
        "active-l1": l1_table(image, "L1 active table", image.l1_offset, image.l1_size),
        "crypt-header": {"location": allocation(*crypt)} if crypt else None,
        "bitmaps": bitmaps(image),
        "snapshot-table": snapshot_table(image),
    }
    return {name: value for name, value in members.items() if value is not None}


def differences(expected, found, path="viscera"):
    """One line for each member that is missing, additional or different."""
    if isinstance(expected, dict) and isinstance(found, dict):
        lines = [f"{path}.{name}: missing" for name in expected if name not in found]
        lines += [f"{path}.{name}: not expected" for name in found if name not in expected]
        for name in expected:
            if name in found:
                lines += differences(expected[name], found[name], f"{path}.{name}")
        return lines
    if isinstance(expected, list) and isinstance(found, list):
        lines = []
        if len(expected) != len(found):
            lines.append(f"{path}: {len(expected)} items expected, {len(found)} found")
        for i, (left, right) in enumerate(zip(expected, found)):
            lines += differences(left, right, f"{path}[{i}]")
        return lines
    if type(expected) is not type(found) or expected != found:
        return [f"{path}: {expected!r} expected, {found!r} found"]
    return []


def main():
    parser = argparse.ArgumentParser(description="the viscera of a qcow2 image, read independently")
    parser.add_argument("image")
    parser.add_argument("--compare", action="store_true", help="read a check's JSON from stdin and compare")
    args = parser.parse_args()
    expected = viscera(reader.open_image(args.image))
    if not args.compare:
        json.dump(expected, sys.stdout, indent=4)
        print()
        return 0
    lines = differences(expected, json.load(sys.stdin).get("viscera", {}))
    for line in lines[:20]:
        print(line)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
