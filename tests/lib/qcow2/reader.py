# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the structures of a qcow2 image, healthy or not.

Bytes beyond the end of the file are zeros, as the stock tool has it. Nothing is validated here: what cannot be
followed (an offset of 2^63, a table that claims more than the file) reads as zeros or ends the list early, so
that tests can ask any image what is where.
"""

import os
import struct
from dataclasses import dataclass

from . import layout


class FileSource:
    """The bytes of a file or block device."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDONLY)
        self.length = os.lseek(self.fd, 0, os.SEEK_END)

    def read(self, offset, size):
        data = os.pread(self.fd, size, offset) if 0 <= offset < self.length else b""
        return data + bytes(size - len(data))

    def close(self):
        os.close(self.fd)


class BytesSource:
    """The bytes of an image held in memory."""

    def __init__(self, data):
        self.data = data
        self.length = len(data)

    def read(self, offset, size):
        data = bytes(self.data[offset:offset + size])
        return data + bytes(size - len(data))

    def close(self):
        pass


@dataclass
class Extension:
    type: int
    header: int  # file offset of the 8 bytes before the payload
    offset: int  # file offset of the payload
    length: int
    payload: bytes


@dataclass
class Snapshot:
    offset: int  # file offset of the entry
    size: int  # bytes up to the end of the name
    l1_offset: int
    l1_size: int
    extra_size: int
    id: bytes
    name: bytes


@dataclass
class Bitmap:
    offset: int  # file offset of the directory entry
    table_offset: int
    table_size: int
    flags: int
    granularity_bits: int
    name: bytes


class Image:
    def __init__(self, source):
        self.source = source
        # As much as the largest header with its extensions that is of any use here.
        self._head = source.read(0, 512)
        self.version = self._field("version")
        self.cluster_bits = self._field("cluster_bits")
        self.cluster_size = 1 << min(self.cluster_bits, 62)
        self.size = self._field("size")
        self.crypt_method = self._field("crypt_method")
        self.l1_size = self._field("l1_size")
        self.l1_offset = self._field("l1_table_offset")
        self.reftable_offset = self._field("refcount_table_offset")
        self.reftable_clusters = self._field("refcount_table_clusters")
        self.nb_snapshots = self._field("nb_snapshots")
        self.snapshots_offset = self._field("snapshots_offset")
        v3 = self.version >= 3
        self.incompatible = self._field("incompatible_features") if v3 else 0
        self.compatible = self._field("compatible_features") if v3 else 0
        self.autoclear = self._field("autoclear_features") if v3 else 0
        self.refcount_order = self._field("refcount_order") if v3 else 4
        self.header_length = self._field("header_length") if v3 else layout.HEADER_V2_LENGTH
        self.extended_l2 = bool(self.incompatible & layout.INCOMPATIBLE["extended_l2"])
        self.data_file = bool(self.incompatible & layout.INCOMPATIBLE["data_file"])
        self.l2_entry_size = 16 if self.extended_l2 else 8
        self.l2_entries = self.cluster_size // self.l2_entry_size

    def _field(self, name):
        offset, size = layout.HEADER[name]
        return int.from_bytes(self._head[offset:offset + size], "big")

    def word(self, offset, size=8):
        return int.from_bytes(self.source.read(offset, size), "big")

    def words(self, offset, count):
        """count 64-bit words at offset. What lies beyond the file is zero and is not even allocated."""
        inside = max(0, min(count, -(-(self.source.length - offset) // 8))) if offset < 1 << 63 else 0
        data = self.source.read(offset, inside * 8) if inside else b""
        return struct.unpack(f">{inside}Q", data)

    # Header extensions

    def extensions(self):
        """The extensions up to the end marker, or up to the first that does not fit its area."""
        end = self.cluster_size
        if 0 < self._field("backing_file_offset") < end:
            end = self._field("backing_file_offset")
        found = []
        at = self.header_length
        while at + 8 <= end:
            kind, length = struct.unpack(">II", self.source.read(at, 8))
            if kind == layout.EXT_END or length > end - at - 8:
                break
            found.append(Extension(kind, at, at + 8, length, self.source.read(at + 8, length)))
            at += 8 + layout.align_up(length, 8)
        return found

    def extension(self, kind):
        """The last extension of this type, which is the one that counts; None without."""
        matching = [e for e in self.extensions() if e.type == kind]
        return matching[-1] if matching else None

    def crypt_region(self):
        """Offset and length of the encryption header, or None."""
        ext = self.extension(layout.EXT_CRYPT)
        if ext is None or ext.length != 16:
            return None
        return struct.unpack(">QQ", ext.payload)

    def bitmaps_fields(self):
        """(nb_bitmaps, directory size, directory offset) of the bitmaps extension, or None; stale ones too."""
        ext = self.extension(layout.EXT_BITMAPS)
        if ext is None or ext.length != layout.BITMAPS_LENGTH:
            return None
        count, _, size, offset = struct.unpack(">IIQQ", ext.payload)
        return count, size, offset

    # Mapping

    def l1_entries(self):
        return self.words(self.l1_offset, self.l1_size)

    def l2_offset(self, l1_entry):
        return l1_entry & layout.L1_OFFSET

    def l2_table(self, offset):
        """List of (first word, subcluster word or 0)."""
        words = self.words(offset, self.cluster_size // 8)
        if self.extended_l2:
            return list(zip(words[0::2], words[1::2]))
        return [(word, 0) for word in words]

    # Counts

    @property
    def counts_per_block(self):
        return (self.cluster_size * 8) >> self.refcount_order

    def reftable_entries(self):
        return self.words(self.reftable_offset, self.reftable_clusters * self.cluster_size // 8)

    # Snapshots

    def snapshots(self):
        """The entries of the snapshot table; those beyond the file are all zeros."""
        found = []
        at = self.snapshots_offset
        for _ in range(min(self.nb_snapshots, layout.MAX_SNAPSHOTS)):
            at = layout.align_up(at, 8)
            fixed = self.source.read(at, layout.SNAPSHOT_FIXED)
            l1_offset, l1_size, id_size, name_size = struct.unpack_from(">QIHH", fixed)
            (extra,) = struct.unpack_from(">I", fixed, 36)
            strings = self.source.read(at + layout.SNAPSHOT_FIXED + extra, id_size + name_size)
            size = layout.SNAPSHOT_FIXED + extra + id_size + name_size
            found.append(
                Snapshot(at, size, l1_offset, l1_size, extra, strings[:id_size], strings[id_size:]))
            at += size
        return found

    # Bitmaps

    def bitmaps(self):
        """The entries of the bitmap directory, valid or stale, that begin in the file and lie within the directory."""
        fields = self.bitmaps_fields()
        if fields is None:
            return []
        _, size, at = fields
        end = at + size
        found = []
        while at < self.source.length and at + layout.BITMAP_FIXED <= end:
            fixed = self.source.read(at, layout.BITMAP_FIXED)
            table, table_size, flags, _, granularity, name_size, extra = struct.unpack(">QIIBBHI", fixed)
            name_at = at + layout.BITMAP_FIXED + extra
            if name_at + name_size > end:
                break
            found.append(
                Bitmap(at, table, table_size, flags, granularity, self.source.read(name_at, name_size)))
            at = layout.align_up(name_at + name_size, 8)
        return found


def open_image(path):
    return Image(FileSource(path))
