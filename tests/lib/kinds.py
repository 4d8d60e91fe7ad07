# SPDX-License-Identifier: GPL-2.0-or-later
"""Small images that tests of every kind of finding damage: t.qcow2 in the working directory, made by the stock tools."""

import struct

from cases import qemu_io, stock
from qcow2 import address, reader
from qcow2.builder import Builder

IMAGE = "t.qcow2"
COPIED, COMPRESSED, ZERO = 1 << 63, 1 << 62, 1


def put(*words):
    """put("l2:0:1", 0, ...): overwrites words by their names."""
    address.poke(IMAGE, zip(words[::2], words[1::2], strict=True))


def stored(*options):
    """128 KiB of data. With clusters of 64 KiB: header, refcount table, refcount block, L1, L2, data, data."""
    stock("create", "-q", "-f", "qcow2", *(["-o", ",".join(options)] if options else []), IMAGE, "1M")
    qemu_io(IMAGE, "write -P 0x5a 0 64k", "write -P 0xa5 64k 64k")


def with_equal_snapshots():
    """Two snapshots of that."""
    stored()
    stock("snapshot", "-c", "one", IMAGE)
    stock("snapshot", "-c", "two", IMAGE)


def with_snapshots():
    """The same, and the disk differs from them by now."""
    with_equal_snapshots()
    qemu_io(IMAGE, "write -P 0x11 0 64k")


def without_extra_data():
    """A snapshot of version 3 that lacks all extra data."""
    builder = Builder(1 << 20)
    builder.write(0, 1 << 16)
    builder.snapshot("s0", extra=b"")
    builder.write(0, 1 << 16)
    builder.save(IMAGE)


def with_bitmap():
    stored()
    stock("bitmap", "--add", IMAGE, "b0")
    qemu_io(IMAGE, "write 128k 64k")


def huge_snapshot_table():
    """As many entries with the longest names as are just too many, behind one that is as it should be."""
    stored()
    stock("snapshot", "-c", "one", IMAGE)
    image = reader.open_image(IMAGE)
    snapshot, = image.snapshots()
    entry = image.source.read(snapshot.offset, snapshot.size)
    at, count = snapshot.offset + (snapshot.size + 7) // 8 * 8, 1
    with open(IMAGE, "r+b") as file:
        while at - snapshot.offset <= 64 << 20:
            file.seek(at)
            file.write(struct.pack(">QIHH", snapshot.l1_offset, 0, 65535, 65535) + bytes(20) +
                       struct.pack(">I", 24) + entry[40:64])
            at, count = at + 40 + 24 + 2 * 65535 + 2, count + 1
        file.truncate(at)
    put("header:nb_snapshots", count)


def extended():
    stored("extended_l2=on")


def compressed_extended():
    stock("create", "-q", "-f", "qcow2", "-o", "extended_l2=on", IMAGE, "1M")
    qemu_io(IMAGE, "write -c 0 64k")


def compressed():
    stock("create", "-q", "-f", "qcow2", IMAGE, "1M")
    qemu_io(IMAGE, "write -c 0 64k")


def empty_with_snapshot():
    stock("create", "-q", "-f", "qcow2", IMAGE, "1M")
    stock("snapshot", "-c", "one", IMAGE)


def data_file():
    stored("data_file=t.data")
