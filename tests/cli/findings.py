#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings: on images that are broken in known ways, each names what is hit, where, and who else. Prints TAP.

    findings.py QEMU_IMG [NAME]

Images are laid out by hand: the builder allocates in the order of the calls, L2 tables before their data, then the L1
table, the snapshot table, the bitmap directory, the refcount table and its blocks. With clusters of 64 KiB an image with
one written cluster has its L2 table at 0x10000, data at 0x20000, the L1 table at 0x30000, the refcount table at 0x40000
and the block at 0x50000.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    jsonschema = None

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import findings  # noqa: E402
from qcow2 import address, layout, reader  # noqa: E402
from qcow2.builder import Builder  # noqa: E402

C = 0x10000  # bytes of a cluster
MIB = 1 << 20
TABLE = 512 * MIB  # bytes of the guest's disk that an L2 table maps
COPIED, ZERO, COMPRESSED = layout.COPIED, layout.ZERO, layout.COMPRESSED
CASES = {}
KINDS = set()  # that a case has expected


def case(function):
    """A case is a function that fails by assertion; its docstring is the sentence of the test."""
    CASES[function.__name__] = function
    return function


class Image:
    """An image that is broken word by word, and checked."""

    program = None
    schema = None  # that the build has made
    path = None

    def __init__(self, builder):
        builder.save(self.path)

    def poke(self, words):
        """{address: value}; all are found before the first is written."""
        data = bytearray(pathlib.Path(self.path).read_bytes())
        image = reader.Image(reader.BytesSource(bytes(data)))
        for place, value in [(address.resolve(image, name), value) for name, value in words.items()]:
            end = place.offset + place.size
            self.write(place.offset, place.put(bytes(data[place.offset:end]), value))
        return self

    def write(self, offset, data):
        with open(self.path, "r+b") as image:
            image.seek(offset)
            image.write(data)
        return self

    def peek(self, name):
        return address.peek(reader.Image(reader.BytesSource(pathlib.Path(self.path).read_bytes())), name)

    def find(self, name):
        return address.resolve(reader.Image(reader.BytesSource(pathlib.Path(self.path).read_bytes())), name).offset

    def check(self):
        """The findings, after what holds for any of them."""
        done = subprocess.run([self.program, "check", "--output=json", "--findings", "--no-dump-meta", self.path],
                              capture_output=True)
        assert done.stdout, done.stderr
        members = json.loads(done.stdout)
        problems = findings.problems(members, done.stderr.decode())
        assert not problems, problems
        if jsonschema and self.schema.exists():
            jsonschema.validate(members, json.loads(self.schema.read_text()))
        self.members = members
        return members["findings"]

    def text(self):
        """The findings in human output: what comes behind the statistics."""
        done = subprocess.run([self.program, "check", "-v", self.path], capture_output=True, text=True)
        return done.stdout.partition("\n\n" if "\n\n" in done.stdout else "Image end")[2]


def span(offset, size):
    return {"offset": offset, "size": size}


def user(structure, entry=None, guest=None, snapshot=None):
    """A user, or the part of a finding that says the same, for comparison."""
    return (structure, entry, guest, snapshot)


def as_user(place):
    guest = place.get("guest")
    return user(place["structure"], place.get("entry-offset"), guest and (guest["offset"], guest["size"]),
                place.get("snapshot"))


def expect(found, kind, structure, entry=None, cluster=None, guest=None, snapshot=None, count=None, refcount=None,
           reference=None, others=()):
    """Exactly one finding of a kind is of this structure and entry, and all the rest of it is as said."""
    KINDS.add(kind)
    matching = [f for f in found if f["kind"] == kind and f["structure"] == structure and
                (entry is None or f.get("entry-offset") == entry)]
    assert len(matching) == 1, f"{kind}: {found}"
    f = matching[0]
    place = f.get("cluster")
    actual = (as_user(f), place and (place["offset"], place["size"]), f.get("refcount"), f.get("reference"),
              sorted(map(as_user, f.get("other-users", [])), key=repr))
    wanted = (user(structure, entry, guest, snapshot), cluster, refcount, reference, sorted(others, key=repr))
    assert actual == wanted, f"{kind}: {actual}, expected {wanted}"
    assert count is None or f["count"] == count, f"{kind}: count {f['count']}, expected {count}"
    return f


def only(found, *kinds):
    assert sorted(f["kind"] for f in found) == sorted(kinds), [f["kind"] for f in found]


def one_cluster(**options):
    builder = Builder(options.pop("size", 64 * MIB), **options)
    builder.write(0, C)
    return builder


def built(words, builder=None):
    return Image(builder or one_cluster()).poke(words)


# ---- reference counts ----


@case
def clean():
    """A healthy image has an empty list."""
    assert Image(one_cluster()).check() == []


@case
def leak():
    """A cluster that nothing uses any more: of no structure, and in no range of the guest's disk."""
    builder = Builder(64 * MIB)
    builder.write(0, 2 * C)
    found = built({"l2:0:0": 0}, builder).check()
    only(found, "leak")
    expect(found, "leak", "none", cluster=(0x20000, C), refcount=1, reference=0, count=1)


@case
def many_leaks():
    """Leaks that follow one another are one finding."""
    builder = Builder(64 * MIB)
    builder.write(0, 32 * C)
    image = Image(builder)
    image.write(0x10000 + 8 * 4, bytes(8 * 20))
    found = image.check()
    only(found, "leak")
    expect(found, "leak", "none", cluster=(0x20000 + 4 * C, 20 * C), refcount=1, reference=0, count=20)


@case
def leak_of_one_reference():
    """A cluster with a user fewer than counted names the one that it has."""
    found = built({"refcount:2": 2}).check()
    expect(found, "leak", "data", 0x10000, (0x20000, C), (0, C), refcount=2, reference=1)
    expect(found, "l2-copied-wrong", "l2", 0x10000, (0x20000, C), (0, C), refcount=2)
    only(found, "leak", "l2-copied-wrong")


@case
def uncounted():
    """A count that is too low is told with the entry and the guest's range of the cluster."""
    found = built({"refcount:2": 0}).check()
    expect(found, "refcount-too-low", "data", 0x10000, (0x20000, C), (0, C), refcount=0, reference=1)
    expect(found, "l2-copied-wrong", "l2", 0x10000, (0x20000, C), (0, C), refcount=0)


@case
def uncounted_row():
    """A lost refcount block makes one finding for each row of data, one for each table, and they add up."""
    builder = Builder(64 * MIB)
    builder.write(0, 4 * C)
    builder.write(8 * MIB, 2 * C)
    found = built({"reftable:0": 0}, builder).check()
    expect(found, "refcount-too-low", "data", 0x10000, (0x20000, 4 * C), (0, 4 * C), count=4, refcount=0, reference=1)
    expect(found, "refcount-too-low", "data", 0x10000 + 8 * 128, (0x60000, 2 * C), (8 * MIB, 2 * C), count=2,
           refcount=0, reference=1)
    expect(found, "refcount-too-low", "l2", 0x80000, (0x10000, C), (0, 64 * MIB), refcount=0, reference=1)
    expect(found, "refcount-too-low", "l1", 40, (0x80000, C), refcount=0, reference=1)
    expect(found, "refcount-too-low", "header", None, (0, C), refcount=0, reference=1)
    expect(found, "refcount-too-low", "refcount-table", 48, (0x90000, C), refcount=0, reference=1)


@case
def cross_link():
    """Two guest clusters in one host cluster: both are named."""
    builder = one_cluster()
    builder.write(MIB, C)
    found = built({"l2:0:16": 0x20000 | COPIED}, builder).check()
    expect(found, "refcount-too-low", "data", 0x10000, (0x20000, C), (0, C), refcount=1, reference=2,
           others=[user("data", 0x10080, (MIB, C))])
    expect(found, "leak", "none", cluster=(0x30000, C), refcount=1, reference=0)
    only(found, "refcount-too-low", "leak")


@case
def data_on_metadata():
    """Guest data on the L1 table: the table is named first, then the data."""
    found = built({"l2:0:5": 0x30000 | COPIED}).check()
    only(found, "refcount-too-low")
    expect(found, "refcount-too-low", "l1", 40, (0x30000, C), refcount=1, reference=2,
           others=[user("data", 0x10028, (5 * C, C))])


@case
def data_on_refcount_table():
    """Guest data on the refcount table and its block: each names its own structure."""
    found = built({"l2:0:5": 0x40000 | COPIED, "l2:0:6": 0x50000 | COPIED}).check()
    expect(found, "refcount-too-low", "refcount-table", 48, (0x40000, C), refcount=1, reference=2,
           others=[user("data", 0x10028, (5 * C, C))])
    expect(found, "refcount-too-low", "refcount-block", 0x40000, (0x50000, C), refcount=1, reference=2,
           others=[user("data", 0x10030, (6 * C, C))])
    expect(found, "refcount-block-shared", "refcount-block", 0x40000, (0x50000, C), reference=2,
           others=[user("data", 0x10030, (6 * C, C))])


@case
def data_on_header():
    """Guest data on the header, which no word refers to."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    image = Image(builder)
    image.poke({"l1:0": 0x20000})  # the table is now what was data, all zeros but for what follows
    image.write(0x20000, (COPIED | 0x200).to_bytes(8, "big"))
    found = image.check()
    expect(found, "data-unaligned", "l2", 0x20000, (0x200, C), (0, C), count=1)
    expect(found, "refcount-too-low", "header", None, (0, C), refcount=1, reference=2,
           others=[user("data", 0x20000, (0, C))])


@case
def shared_by_snapshot():
    """Data that a snapshot shares by a table of its own: active tree and snapshot are told apart."""
    builder = Builder(64 * MIB)
    builder.write(0, 2 * C)  # table 0x10000, data 0x20000, 0x30000
    builder.snapshot("s0")  # L1 table 0x40000
    builder.write(0, C)  # copy of the table 0x50000, data 0x60000
    found = built({"refcount:3": 1}, builder).check()
    expect(found, "refcount-too-low", "data", 0x50008, (0x30000, C), (C, C), refcount=1, reference=2,
           others=[user("data", 0x10008, (C, C), "s0")])
    expect(found, "l2-copied-wrong", "l2", 0x50008, (0x30000, C), (C, C), refcount=1,
           others=[user("data", 0x10008, (C, C), "s0")])


@case
def shared_table():
    """Data that a snapshot shares by the same table: the entry is one, the trees are two."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    builder.snapshot("s0")  # 0x30000
    found = built({"refcount:2": 1}, builder).check()
    expect(found, "refcount-too-low", "data", 0x10000, (0x20000, C), (0, C), refcount=1, reference=2,
           others=[user("data", 0x10000, (0, C), "s0")])


@case
def shared_l2_table():
    """An L2 table that a snapshot shares, with a count for one of them, and the COPIED flag that goes with it."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    builder.snapshot("s0")  # 0x30000; active L1 table 0x40000
    found = built({"refcount:1": 1}, builder).check()
    expect(found, "refcount-too-low", "l2", 0x40000, (0x10000, C), (0, 64 * MIB), refcount=1, reference=2,
           others=[user("l2", 0x30000, (0, TABLE), "s0")])
    expect(found, "l1-copied-wrong", "l1", 0x40000, (0x10000, C), (0, 64 * MIB), refcount=1,
           others=[user("l2", 0x30000, (0, TABLE), "s0")])


@case
def compressed_shared():
    """Compressed clusters share a host cluster, and all of them are named."""
    builder = Builder(64 * MIB)
    builder.compress(0, 3 * C, 512)  # 0x10000, 0x10200, 0x10400; table 0x20000
    found = built({"refcount:1": 2}, builder).check()
    expect(found, "refcount-too-low", "compressed-data", 0x20000, (0x10000, C), (0, C), refcount=2, reference=3,
           others=[user("compressed-data", 0x20008, (C, C)), user("compressed-data", 0x20010, (2 * C, C))])


@case
def overflow():
    """More references than one bit can count: the reference that is too many, and the other one."""
    builder = Builder(64 * MIB, refcount_order=0)
    builder.write(0, 2 * C)
    found = built({"l2:0:1": 0x20000 | COPIED}, builder).check()
    expect(found, "refcount-overflow", "l2", 0x10008, (0x20000, C), (C, C),
           others=[user("data", 0x10000, (0, C))])


# ---- L1 and L2 tables ----


@case
def l1_entries():
    """Faults of L1 entries have the range of the guest's disk that the table maps, as far as the disk goes."""
    builder = Builder(1024 * MIB + 64 * MIB)
    builder.write(0, C)
    builder.write(2 * TABLE, C)  # table 0x30000, data 0x40000; L1 table 0x50000
    found = built({"l1:0": 0x10001 | COPIED, "l1:1": 0x10200, "l1:2": 1 << 50}, builder).check()
    expect(found, "l1-reserved-bits", "l1", 0x50000, (0x10000, C), (0, TABLE))
    expect(found, "l2-table-unaligned", "l1", 0x50008, (0x10200, C), (TABLE, TABLE))
    expect(found, "region-beyond-end", "l1", 0x50010, (1 << 50, C), (2 * TABLE, 64 * MIB))


@case
def l2_tables_overlapping():
    """Of unaligned tables that overlap, eight are examined, and a note has the number of the others."""
    words = {f"l1:{i}": 0x10000 + 0x200 * i for i in range(20)}
    found = built(words, one_cluster(size=20 * TABLE)).check()
    expect(found, "l2-tables-overlapping", "l2", None, None)
    assert "11 unaligned L2 tables that overlap others were skipped" in str(found), found  # twenty but one that is right, and eight


@case
def l2_entries():
    """Neighbours with the same fault are one finding with longer ranges; faults that take turns are two."""
    builder = Builder(64 * MIB)
    builder.write(0, 8 * C)
    words = {f"l2:0:{i}": 0x20002 + i * C | COPIED for i in (2, 3, 4)}
    words["l2:0:6"] = 0x80202 | COPIED
    found = built(words, builder).check()
    reserved = [f for f in found if f["kind"] == "l2-reserved-bits"]
    assert [(f["count"], f["entry-offset"]) for f in reserved] == [(3, 0x10010), (1, 0x10030)], reserved
    assert reserved[0]["cluster"] == span(0x40000, 3 * C) and reserved[0]["guest"] == span(2 * C, 3 * C), reserved
    KINDS.add("l2-reserved-bits")
    expect(found, "data-unaligned", "l2", 0x10030, (0x80200, C), (6 * C, C))


@case
def l2_entry_faults():
    """Preallocated clusters, the COPIED flag of compressed ones, and what lies beyond the end."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    builder.compress(C, C, 512)  # 0x30000
    compressed = layout.compressed_word(0x30000, 512, 16)
    found = built({"l2:0:1": compressed | COPIED, "l2:0:2": 0x20200 | ZERO, "l2:0:3": 1 << 45}, builder).check()
    expect(found, "compressed-copied", "l2", 0x10008, (0x30000, 512), (C, C))
    expect(found, "preallocated-unaligned", "l2", 0x10010, (0x20200, C), (2 * C, C))
    expect(found, "region-beyond-end", "l2", 0x10018, (1 << 45, C), (3 * C, C))


@case
def subclusters():
    """Extended entries are of two words; a finding names the first."""
    builder = Builder(64 * MIB, extended_l2=True)
    builder.write(0, 3 * C)
    compressed = layout.compressed_word(0x40000, 512, 16)
    found = built({"sub:0:0": 1 << 32 | 1, "l2:0:1": 0, "l2:0:2": compressed}, builder).check()
    expect(found, "subclusters-contradict", "l2", 0x10000, (0x20000, C), (0, C))
    expect(found, "unallocated-with-subclusters", "l2", 0x10010, None, (C, C))
    expect(found, "compressed-with-subclusters", "l2", 0x10020, (0x40000, 512), (2 * C, C))


@case
def data_file():
    """With an external data file a finding has the range of the guest, and none of this file."""
    builder = Builder(64 * MIB)
    builder.external_data("gone.data")
    builder.write(0, C)
    builder.snapshot("s0")
    found = built({"l2:0:1": COMPRESSED | 0x20000}, builder).check()
    assert [f["snapshot"] if "snapshot" in f else None for f in found
            if f["kind"] == "compressed-with-data-file"] == [None, "s0"]
    f = next(f for f in found if f["kind"] == "compressed-with-data-file")
    assert as_user(f) == user("l2", 0x10008, (C, C)) and "cluster" not in f, f
    KINDS.add("compressed-with-data-file")
    expect(found, "snapshots-with-data-file", "header", 60)


@case
def fault_in_snapshot():
    """A fault in a table that only a snapshot has is told of its tree, not of the disk."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    builder.snapshot("before")
    builder.write(0, C)
    found = built({"snapl2:0:0:3": 0x20002}, builder).check()
    expect(found, "l2-reserved-bits", "l2", 0x10018, (0x20000, C), (3 * C, C), "before", count=1)


@case
def l1_unreadable():
    """An L1 table at the end of what can be addressed: what cannot be read is named, and its referrer."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    builder.snapshot("s0")  # L1 0x30000, active 0x40000, table 0x50000
    far = (1 << 63) - C
    found = built({"snap:0:l1_table_offset": far, "snap:0:l1_size": 0x10000}, builder).check()
    expect(found, "l1-unreadable", "l1", 0x50000, (far, 0x80000), (0, 64 * MIB), "s0")


# ---- snapshots ----


def with_snapshot():
    builder = Builder(64 * MIB)
    builder.write(0, C)
    builder.snapshot("s0")  # its L1 table 0x30000, the active one 0x40000, the snapshot table 0x50000
    return builder


@case
def snapshot_pointers():
    """What the header says of snapshots is at fault in the header."""
    expect(built({"header:nb_snapshots": 70000}, with_snapshot()).check(), "snapshots-too-many", "header", 60)
    expect(built({"header:snapshots_offset": 0x50200}, with_snapshot()).check(), "snapshot-table-unaligned", "header",
           64)


@case
def snapshot_entries():
    """What an entry says is at fault in the snapshot table, word by word."""
    found = built({"snap:0:extra_size": 2000}, with_snapshot()).check()
    expect(found, "snapshot-extra-too-large", "snapshot-table", 0x50024, (0x50000, 40))
    found = built({"snap:0:extra_size": 0}, with_snapshot()).check()
    expect(found, "snapshot-incomplete", "snapshot-table", 0x50024, (0x50000, 40),
           snapshot=next(f["snapshot"] for f in found if f["kind"] == "snapshot-incomplete"))
    found = built({"snap:0:l1_table_offset": 0x30200}, with_snapshot()).check()
    expect(found, "snapshot-l1-unaligned", "snapshot-table", 0x50000, (0x30200, 8), snapshot="s0")
    found = built({"snap:0:l1_size": 0x400001}, with_snapshot()).check()
    expect(found, "snapshot-l1-too-large", "snapshot-table", 0x50008, (0x30000, 8 * 0x400001), snapshot="s0")


@case
def snapshot_table_too_big():
    """A table of more than 64 MiB ends before the entry that is too much."""
    image = Image(with_snapshot())
    with open(image.path, "r+b") as out:
        for i in range(520):
            # neither ID nor extra data is needed: two bytes of ID, and a name of 65,535
            at = 0x100000 + i * 131112
            out.seek(at)
            out.write(bytes(12) + b"\xff\xff\xff\xff" + bytes(24))
        out.truncate(0x100000 + 521 * 131112)
    image.poke({"header:snapshots_offset": 0x100000, "header:nb_snapshots": 520})
    # an entry takes 131,110 bytes and two of padding, 64 MiB are 511 of them and a piece
    expect(image.check(), "snapshot-table-too-big", "snapshot-table", 0x100000 + 511 * 131112,
           (0x100000 + 511 * 131112, 40))


# ---- refcount table ----


@case
def refcount_table():
    """Faults of the refcount table are named with the entry and what it points at."""
    found = built({"reftable:1": 0x20001, "reftable:2": 0x20200, "reftable:3": 1 << 40, "reftable:4": 0x20000}).check()
    expect(found, "refcount-table-reserved-bits", "refcount-table", 0x40008, (0x20000, C))
    expect(found, "refcount-block-unaligned", "refcount-table", 0x40010, (0x20200, C))
    expect(found, "refcount-block-outside", "refcount-table", 0x40018, (1 << 40, C))
    expect(found, "refcount-block-shared", "refcount-block", 0x40020, (0x20000, C), reference=2,
           others=[user("data", 0x10000, (0, C))])


@case
def refcounts_unknown():
    """Clusters whose counts cannot be read are one finding, with the entry that hinders it as a note."""
    found = built({"reftable:0": 0x50200}).check()
    expect(found, "refcount-block-corrupt", "refcount-table", 0x40000, (0x50200, C))
    expect(found, "refcount-unreadable", "refcount-block", None, (0, 6 * C), count=6)


# ---- bitmaps ----


def with_bitmap():
    builder = Builder(64 * MIB)
    builder.bitmap("b0")  # data 0x10000, table 0x20000; L1 table 0x30000, directory 0x40000
    return builder


@case
def bitmaps():
    """Damaged bitmaps: the entry of the directory, the directory, the table, its entry."""
    found = built({"bitmapdir:0:flags": 8}, with_bitmap()).check()
    expect(found, "bitmap-damaged", "bitmap-directory", 0x40000, (0x20000, 8))
    found = built({"bitmaps:nb_bitmaps": 2}, with_bitmap()).check()
    expect(found, "bitmap-directory-damaged", "bitmap-directory", None, (0x40000, 32))
    found = built({"bitmap:0:0": 0x10002}, with_bitmap()).check()
    expect(found, "bitmap-table-entry", "bitmap-table", 0x20000, (0x10000, C))
    far = (1 << 63) - C
    found = built({"bitmapdir:0:table_offset": far, "bitmapdir:0:table_size": 8192, "bitmapdir:0:flags": 1},
                  with_bitmap()).check()
    expect(found, "bitmap-table-unreadable", "bitmap-table", 0x40000, (far, C))


@case
def bitmap_overlap():
    """A bitmap's data on guest data."""
    builder = with_bitmap()
    builder.write(0, C)  # 0x30000, 0x40000
    found = built({"l2:0:0": 0x10000 | COPIED}, builder).check()
    expect(found, "refcount-too-low", "bitmap-data", 0x20000, (0x10000, C), refcount=1, reference=2,
           others=[user("data", 0x30000, (0, C))])


@case
def luks_overlap():
    """Guest data on the LUKS header."""
    builder = Builder(64 * MIB)
    builder.luks(2 * C)  # 0x10000
    builder.write(0, C)  # 0x30000, 0x40000
    image = built({"l2:0:0": 0x20000 | COPIED}, builder)
    entry = reader.open_image(image.path).extension(layout.EXT_CRYPT).offset
    expect(image.check(), "refcount-too-low", "crypt-header", entry, (0x20000, C), refcount=1, reference=2,
           others=[user("data", 0x30000, (0, C))])


# ---- notes and hints ----


@case
def notes():
    """What the header says of the state of the image: notes, which count nothing."""
    found = built({"header:incompatible_features": 3}).check()
    expect(found, "dirty", "header", 72, count=0)
    expect(found, "corrupt-bit", "header", 72, count=0)
    builder = with_bitmap()
    found = built({"header:autoclear_features": 0}, builder).check()
    expect(found, "stale-bitmaps", "header", 88, count=0)


@case
def hidden_cross_link():
    """Data on an L2 table, and counts that allow for it: no fault to the check, and yet named, with the other user."""
    image = built({"refcount:1": 2, "l2:0:4": 0x10000, "l1:0": 0x10000})
    found = image.check()
    only(found, "metadata-shared")
    expect(found, "metadata-shared", "l2", 0x30000, (0x10000, C), (0, 64 * MIB), refcount=2, reference=2, count=0,
           others=[user("data", 0x10020, (4 * C, C))])
    image = built({"refcount:3": 2, "l2:0:4": 0x30000})
    expect(image.check(), "metadata-shared", "l1", 40, (0x30000, C), refcount=2, reference=2,
           others=[user("data", 0x10020, (4 * C, C))])


@case
def lost_l2_table():
    """An L1 entry that is gone: the leaks are one finding, and the table is found, with what it mapped."""
    builder = Builder(3 * TABLE)
    for i in range(3):
        builder.write(i * TABLE, 8 * C)  # tables 0x10000, 0xa0000, 0x130000; L1 table 0x1c0000
    image = built({"l1:1": 0}, builder)
    found = image.check()
    expect(found, "leak", "none", cluster=(0xa0000, 9 * C), count=9, refcount=1, reference=0)
    f = expect(found, "leaked-l2", "l2", 0x1c0008, (0xa0000, C), (TABLE, TABLE), count=0)
    assert "mapped guest 0x20000000-0x3fffffff (proved: L1 entry 1 is the only one without a table)" in f["message"], f
    assert f["evidence"] == "proved", f
    text = " ".join(image.text().split())
    assert "looks like the table that mapped guest 0x20000000-0x3fffffff (proved: " in text, text


@case
def lost_l2_tables():
    """Two tables that lie where two are missing: their order tells which is which."""
    builder = Builder(4 * TABLE)
    for i in range(4):
        builder.write(i * TABLE, 8 * C)
    found = built({"l1:1": 0, "l1:2": 0}, builder).check()
    lost = [f for f in found if f["kind"] == "leaked-l2"]
    assert [(f["cluster"]["offset"], f["guest"]["offset"], f["evidence"]) for f in lost] == \
        [(0xa0000, TABLE, "inferred"), (0x130000, 2 * TABLE, "inferred")], lost


@case
def lost_l2_table_of_two_places():
    """Where it is not certain what a table mapped, the places are named, and no range of the guest's disk."""
    builder = Builder(4 * TABLE)
    for i in range(3):
        builder.write(i * TABLE, 8 * C)
    found = built({"l1:2": 0}, builder).check()
    f = expect(found, "leaked-l2", "l2", None, (0x130000, C), count=0)
    assert f["evidence"] == "guessed" and "L1 entries 2, 3 have no table" in f["message"], f


@case
def lost_l1_table():
    """An L1 table that the header does not refer to any more."""
    builder = Builder(2 * TABLE)
    builder.write(0, 8 * C)
    builder.write(TABLE, 8 * C)  # tables 0x10000, 0xa0000; L1 table 0x130000; refcount table and block
    found = built({"header:l1_table_offset": 0x160000, "refcount:22": 1}, builder).check()
    f = expect(found, "leaked-l1", "l1", None, (0x130000, C), count=0)
    assert f["evidence"] == "proved", f


@case
def lost_snapshot():
    """A count of snapshots that is gone: the snapshot's L1 table, and the table that has its entry."""
    builder = Builder(64 * MIB)
    builder.write(0, 8 * C)  # L2 table 0x10000, data, L1 table of the snapshot 0xa0000
    builder.snapshot("s")
    image = Image(builder)
    table = image.peek("header:snapshots_offset")
    found = image.poke({"header:nb_snapshots": 0, "header:snapshots_offset": 0}).check()
    expect(found, "leaked-l1", "l1", None, (0xa0000, C), count=0)
    expect(found, "leaked-snapshot-table", "snapshot-table", None, (table, C), count=0)


@case
def lost_reference_to_a_table():
    """An L1 entry that is gone while a snapshot has its table, whose count has room for it."""
    builder = Builder(64 * MIB)
    builder.write(0, 8 * C)
    builder.snapshot("s")
    image = Image(builder)
    entry = image.peek("header:l1_table_offset")
    found = image.poke({"l1:0": 0}).check()
    f = expect(found, "l2-reference-lost", "l2", entry, (0x10000, C), (0, 64 * MIB), count=0)
    assert f["evidence"] == "proved", f


@case
def emptied_table():
    """A sector of an L2 table that is zeros, and exactly as many leaked clusters between those around."""
    builder = Builder(64 * MIB)
    builder.write(0, 200 * C)
    image = Image(builder)
    image.write(0x10000 + 512, bytes(512))
    found = image.check()
    f = expect(found, "emptied-l2", "l2", image.peek("header:l1_table_offset"), (0x10000, C), (64 * C, 64 * C), count=0)
    assert f["evidence"] == "inferred", f


@case
def cut_off_table():
    """An L2 table whose second half lies behind the end of the file."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    image = Image(builder)
    image.write(0x60000, bytes(C // 2))
    found = image.poke({"l1:0": COPIED | 0x60000, "refcount:6": 1}).check()
    expect(found, "table-cut-off", "l2", None, (0x60000, C), count=0)


@case
def lost_refcount_block():
    """A refcount block that the table has lost leaks, and its counts tell what it is."""
    builder = Builder(4 * MIB, cluster_bits=9)  # a block counts 256 clusters
    builder.write(0, 200 * 1024)
    image = Image(builder)
    block, table = image.peek("reftable:1"), image.peek("header:refcount_table_offset")
    assert block >= 256 * 512, "the lost block is counted by one that is there"
    found = image.poke({"reftable:0": 0}).check()
    lost = image.members
    # the block of the second half counts the first one's cluster
    expect(found, "leaked-refcount-block", "refcount-block", table, (block - 512, 512), count=0)
    assert lost["leaks"] == 1, lost


@case
def empty_table():
    """An L2 table of zeros between two that are full."""
    size = 512 * 64 * 3  # clusters of 512 bytes, tables of 64 entries
    builder = Builder(size, cluster_bits=9)
    builder.write(0, size)
    image = Image(builder)
    table, l1 = image.peek("l1:1") & layout.L1_OFFSET, image.peek("header:l1_table_offset")
    image.write(table, bytes(512))
    found = image.check()
    expect(found, "empty-l2", "l2", l1 + 8, (table, 512), (64 * 512, 64 * 512), count=0)
    # with flags in it, it is a table that says something
    image.write(table, (1).to_bytes(8, "big"))
    assert not any(f["kind"] == "empty-l2" for f in image.check())


@case
def unmapped_data():
    """Data behind the last cluster in use, and none in a hole."""
    image = Image(one_cluster())
    image.write(0x80000, b"lost" * 0x8000)
    with open(image.path, "r+b") as out:
        out.truncate(0x200000)
    found = image.check()
    only(found, "unmapped-data")
    expect(found, "unmapped-data", "none", cluster=(0x80000, 2 * C), count=0)


# ---- what only a guest would notice ----


@case
def reads_that_fail():
    """A cluster that reads as zeros in version 2, where there is no such thing."""
    builder = Builder(64 * MIB, version=2)
    builder.write(0, 3 * C)
    found = built({"l2:0:1": COPIED | 0x30000 | ZERO}, builder).check()
    only(found, "guest-read-fails")
    expect(found, "guest-read-fails", "l2", 0x10008, guest=(C, C), count=0)


@case
def cut_off():
    """A file that ends within a cluster of data, and within compressed data."""
    builder = one_cluster()
    image = built({"l2:0:1": COPIED | 0x60000}, builder)  # the cluster behind the last
    image.write(0x60000, b"data")
    image.poke({"refcount:6": 1})
    found = image.check()
    only(found, "data-cut-off")
    expect(found, "data-cut-off", "l2", 0x10008, cluster=(0x60000, C), guest=(C, C), count=0)
    # 4 sectors from the last one of the file on; the number of further sectors is in bits 54 to 61
    found = built({"l2:0:1": COMPRESSED | 3 << 54 | 0x5fe00, "refcount:5": 2}).check()
    found = [f for f in found if f["kind"] == "compressed-cut-off"]
    expect(found, "compressed-cut-off", "l2", 0x10008, cluster=(0x5fe00, 4 * 512), guest=(C, C), count=0)


@case
def shared_data():
    """Two guest clusters in one cluster of the file, with the right count."""
    builder = Builder(64 * MIB)
    builder.write(0, 2 * C)
    found = built({"l2:0:0": 0x20000, "l2:0:1": 0x20000, "refcount:2": 2, "refcount:3": 0}, builder).check()
    only(found, "data-shared")
    expect(found, "data-shared", "data", 0x10000, cluster=(0x20000, C), guest=(0, C), refcount=2, reference=2, count=0,
           others=[user("data", 0x10008, (C, C))])


@case
def doubtful_bitmaps():
    """A bitmap that was not closed, and one whose bits are guest data, with the right count."""
    builder = one_cluster()
    builder.bitmap("b", flags=layout.BITMAP_IN_USE | layout.BITMAP_AUTO)
    image = built({}, builder)
    table = image.peek("bitmapdir:0:table_offset")
    image.poke({"l2:0:0": 0x20000, "bitmap:0:0": 0x20000, "refcount:2": 2, "refcount:3": 0})
    found = image.check()
    only(found, "metadata-shared", "bitmap-in-use", "bitmap-data-shared")
    expect(found, "bitmap-in-use", "bitmap-directory", image.find("bitmapdir:0:flags"), count=0)
    expect(found, "bitmap-data-shared", "bitmap-table", table, cluster=(0x20000, C), count=0,
           others=[user("data", 0x10000, (0, C))])
    assert all(f["bitmap"] == "b" for f in found)


# ---- words ----


@case
def human_text():
    """A paragraph for each finding, wrapped, with names escaped; the last line is the judgement."""
    builder = Builder(64 * MIB)
    builder.write(0, C)
    builder.snapshot("a\x1b[2J\nb")
    text = built({"refcount:2": 1}, builder).text()
    assert "\x1b" not in text and 'snapshot "a\\x1b[2J\\x0ab"' in " ".join(text.split()), text
    assert all(len(line) < 80 for line in text.splitlines()[:-1]) and text.splitlines()[-1].startswith("Judgement: "), text
    assert "also used as data, entry at 0x10000, guest 0x0-0xffff" in " ".join(text.split()), text


@case
def bounded():
    """Of more different faults than can be listed the rest is counted."""
    builder = Builder(16 * 1024 * MIB, cluster_bits=16)
    builder.entry(0, 0)
    for i in range(0, 8192 * 28, 2):
        builder.entry(i * C, 0x20002)
    image = Image(builder)
    done = subprocess.run([image.program, "check", "--output=json", "--findings", "--no-dump-meta", image.path],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    members = json.loads(done.stdout)
    assert len(members["findings"]) < 100100, len(members["findings"])
    assert sum(f["count"] for f in members["findings"] if f["severity"] == "corruption") == members["corruptions"]
    assert any("more findings of this kind" in f["message"] for f in members["findings"])


@case
def plain_output():
    """Who does not ask gets no list, whatever is wrong."""
    image = built({"l2:0:0": 0})
    done = subprocess.run([image.program, "check", "--output=json", image.path], capture_output=True)
    assert "findings" not in json.loads(done.stdout)
    done = subprocess.run([image.program, "check", image.path], capture_output=True, text=True)
    assert "0x20000" not in done.stdout


# Only where reading fails, which tests/unit/block/test-check-faults.c has happen, or the image changes (tests/attacks/run), or
# where it is encrypted (the shell test judgement), or with --verify-compressed (the shell test of that name).
NOT_HERE = {"snapshot-table-unreadable", "l2-unreadable", "bitmap-directory-unreadable", "changed-during-check",
            "header-extensions-unreadable", "refcount-table-unreadable", "encryption-header-damaged", "compressed-damaged"}


@case
def every_kind():
    """Each kind of the schema is in one of the cases above, and documented."""
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    data = (source / "qapi/findings.json").read_text().partition("'enum': 'ImageCheckFindingKind'")[2].partition("'data': [")[2]
    kinds = set(re.findall(r"'([a-z0-9-]+)'", data.partition("]")[0]))
    assert len(kinds) > 40 and kinds - KINDS == NOT_HERE, (kinds - KINDS, KINDS - kinds)
    # a heading names kinds, and what they count in brackets
    text = (source / "docs/interop/findings.rst").read_text().partition("\nKinds\n-----\n")[2]
    headings = re.findall(r"^([a-z0-9, ()-]+)\n    ", text, re.MULTILINE)
    documented = {name for heading in headings for name in re.findall(r"[a-z0-9-]+", re.sub(r"\(.*?\)", "", heading))}
    assert documented == kinds, (kinds - documented, documented - kinds)


def main():
    Image.program = os.path.abspath(sys.argv[1])
    Image.schema = pathlib.Path(Image.program).parent / "qapi/image-check.schema.json"
    names = sys.argv[2:] or list(CASES)
    failed = 0
    print(f"1..{len(names)}")
    with tempfile.TemporaryDirectory(prefix="findings-") as directory:
        os.chdir(directory)
        for number, name in enumerate(names, 1):
            Image.path = f"{name}.qcow2"
            try:
                CASES[name]()
                print(f"ok {number} - {CASES[name].__doc__.splitlines()[0]}", flush=True)
            except Exception as error:  # a case that breaks is a failure, not the end
                failed += 1
                print(f"# {type(error).__name__}: {error}"[:3000].replace("\n", "\n# "))
                print(f"not ok {number} - {name}: {CASES[name].__doc__.splitlines()[0]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
