# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest data that says where it belongs, and disks full of it that can be compared.

Each sector of 512 bytes that is written repeats two numbers in ASCII: its own offset in the guest's disk, and the
generation of the write. So every sector that is found anywhere tells which one it is, and how old it is.
"""

import ctypes
import os
import struct
import zlib
from dataclasses import dataclass

from qcow2 import layout, reader

SECTOR = 512
ZEROS = bytes(SECTOR)


def mark(guest, generation):
    """The bytes of the sector at @guest."""
    return b"%020d %010d\n" % (guest, generation) * (SECTOR // 32)


def marks(guest, length, generation):
    return b"".join(mark(at, generation) for at in range(guest, guest + length, SECTOR))


def meaning(sector):
    """What a sector says of itself, for people."""
    if sector == ZEROS:
        return "zeros"
    words = sector[:32].split()
    if len(words) == 2 and all(word.isdigit() for word in words) and sector == mark(*map(int, words)):
        return f"that of {int(words[0]):#x}, generation {int(words[1])}"
    return f"foreign bytes {sector[:8].hex()}"


class Disk:
    """What a guest reads: the bytes of each block that is not all zeros, by the number of the block."""

    def __init__(self, block):
        self.block = block
        self.blocks = {}
        self.mapped = set()  # numbers of blocks for which there is an entry; of a raw image, those that are not zeros
        self._zeros = bytes(block)

    def put(self, number, data):
        self.mapped.add(number)
        if data != self._zeros:
            self.blocks[number] = data

    def at(self, number):
        return self.blocks.get(number, self._zeros)

    def __eq__(self, other):
        return self.block == other.block and self.blocks == other.blocks


def data_bytes(data):
    """Bytes of all sectors that are not zeros."""
    return sum(SECTOR for at in range(0, len(data), SECTOR) if data[at:at + SECTOR] != ZEROS)


def read_raw(path, block):
    """The disk of a raw image; holes are not read."""
    disk, fd = Disk(block), os.open(path, os.O_RDONLY)
    try:
        at, end = 0, os.lseek(fd, 0, os.SEEK_END)
        while at < end:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break
            hole = os.lseek(fd, at, os.SEEK_HOLE)
            for number in range(at // block, -(-hole // block)):
                disk.put(number, os.pread(fd, block, number * block).ljust(block, b"\0"))
            at = hole
        disk.mapped = set(disk.blocks)
    finally:
        os.close(fd)
    return disk


class Tree:
    """Reads one disk of an image (reader.Image), that of the guest or of a snapshot, by the format's description."""

    def __init__(self, image, l1_offset, l1_size, end, cache):
        self.image, self.end, self.cache = image, end, cache
        self.l1 = image.words(l1_offset, l1_size)

    def disk(self):
        image = self.image
        disk = Disk(image.cluster_size)
        for number, word, bitmap in self._entries():
            if number * image.cluster_size < self.end:
                disk.put(number, self._cluster(word, bitmap, self.end - number * image.cluster_size))
        return disk

    def _entries(self):
        """(number of the cluster, L2 word, subcluster word) of all entries that are not zeros."""
        image, step = self.image, self.image.l2_entry_size // 8
        for index, entry in enumerate(self.l1):
            offset = image.l2_offset(entry)
            table = image.source.read(offset, image.cluster_size) if offset else b""
            for at in range(0, len(table), SECTOR):  # most of large tables is zeros
                part = table[at:at + SECTOR]
                if part != ZEROS:
                    words = struct.unpack(f">{SECTOR // 8}Q", part)
                    first = index * image.l2_entries + at // image.l2_entry_size
                    for i in range(0, len(words), step):
                        bitmap = words[i + 1] if step == 2 else 0
                        if words[i] or bitmap:
                            yield first + i // step, words[i], bitmap

    def _cluster(self, word, bitmap, left):
        image, size = self.image, self.image.cluster_size
        if word & layout.COMPRESSED:
            stored = image.source.read(*layout.compressed_extent(word, image.cluster_bits))
        elif word & layout.L2_OFFSET and (image.extended_l2 or not word & layout.ZERO):
            stored = image.source.read(word & layout.L2_OFFSET, size)
        else:
            return bytes(size)
        key = word & ~layout.COPIED, bitmap, min(left, size)
        if key not in self.cache or self.cache[key][0] != stored:
            self.cache[key] = stored, self._decoded(stored, word, bitmap)[:left].ljust(size, b"\0")
        return self.cache[key][1]

    def _decoded(self, stored, word, bitmap):
        image, part = self.image, self.image.cluster_size // 32
        if word & layout.COMPRESSED:
            return decompressed(stored, image.cluster_size, image.incompatible & layout.INCOMPATIBLE["compression"])
        if image.extended_l2 and bitmap != 0xffffffff:
            return b"".join(stored[i * part:(i + 1) * part] if bitmap >> i & 1 else bytes(part) for i in range(32))
        return stored


def decompressed(stream, size, zstd):
    """A cluster; one that cannot be decompressed has bytes that are no marks."""
    if not zstd:
        try:
            return zlib.decompressobj(-12).decompress(stream, size).ljust(size, b"\xff")
        except zlib.error:
            return b"\xff" * size
    library, data = ctypes.CDLL("libzstd.so.1"), ctypes.create_string_buffer(b"\xff" * size, size)
    for function in (library.ZSTD_findFrameCompressedSize, library.ZSTD_decompress):
        function.restype = ctypes.c_size_t
    frame = library.ZSTD_findFrameCompressedSize(stream, ctypes.c_size_t(len(stream)))
    if frame <= len(stream):  # others are errors
        library.ZSTD_decompress(data, ctypes.c_size_t(size), stream, ctypes.c_size_t(frame))
    return data.raw


def open_image(path, buffer=None):
    """A reader.Image of the file as it is now; it has its bytes in @buffer, a list of one bytearray."""
    buffer = buffer or [b""]
    size = os.path.getsize(path)
    if len(buffer[0]) < size:
        buffer[0] = bytearray(size)
    view = memoryview(buffer[0])[:size]
    with open(path, "rb", buffering=0) as file:
        file.readinto(view)
    return reader.Image(reader.BytesSource(view))


def trees(image, cache=None):
    """{ID of the snapshot, None for the guest's disk: Tree}. @cache, a dictionary, saves decoding a cluster again."""
    cache = {} if cache is None else cache
    found = {None: Tree(image, image.l1_offset, image.l1_size, image.size, cache)}
    for snapshot in image.snapshots():
        extra = image.source.read(snapshot.offset + layout.SNAPSHOT_FIXED, min(snapshot.extra_size, 16))
        end = int.from_bytes(extra[8:16], "big") if len(extra) == 16 else image.size
        found[snapshot.id] = Tree(image, snapshot.l1_offset, snapshot.l1_size, end, cache)
    return found


@dataclass
class Tally:
    """Bytes of sectors that have data, or get some that they had not."""

    right: int = 0
    wrong: int = 0  # other data than the truth, or data where the truth is zeros
    left_out: int = 0  # zeros where the truth is data

    def add(self, other):
        self.right += other.right
        self.wrong += other.wrong
        self.left_out += other.left_out
