# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds qcow2 images from a description.

    image = Builder(size=64 << 20, cluster_bits=16)
    image.write(0, 1 << 20)
    image.snapshot("s0")
    image.write(0, 65536)
    image.save("t.qcow2")

Operations happen in the order in which they are called, as on a live image: what a snapshot holds is copied before
it is written. Whatever is not overridden is consistent: save() counts the references and sets the COPIED flags. To
break an image, overwrite words of the saved file (see address.py), or give raw entries with entry().

Guest data is never written: its clusters are holes.
"""

import struct
from dataclasses import dataclass, field

from . import layout


class L2Table:
    """One L2 table; it may belong to several L1 tables."""

    def __init__(self, offset, entries):
        self.offset = offset
        self.words = [0] * entries
        self.bitmaps = [0] * entries  # subcluster words

    def copy(self, offset):
        table = L2Table(offset, 0)
        table.words = list(self.words)
        table.bitmaps = list(self.bitmaps)
        return table


@dataclass
class SnapshotSpec:
    name: bytes
    id: bytes
    l1: dict  # L1 index: L2Table
    l1_size: int
    l1_offset: int
    extra: bytes
    vm_state_size: int


@dataclass
class BitmapSpec:
    name: bytes
    entries: list
    table_offset: int
    flags: int
    granularity_bits: int


@dataclass
class Counts:
    """References by host cluster."""

    cluster_size: int
    by_cluster: dict = field(default_factory=dict)

    def add(self, offset, size):
        """One reference to each cluster that the size bytes at offset touch."""
        for cluster in range(offset // self.cluster_size, ceil_div(offset + size, self.cluster_size)):
            self.by_cluster[cluster] = self.by_cluster.get(cluster, 0) + 1

    def at(self, offset):
        return self.by_cluster.get(offset // self.cluster_size, 0)


class Builder:
    def __init__(self, size, version=3, cluster_bits=16, refcount_order=4, extended_l2=False, compression_type=0,
                 incompatible=0, compatible=0, autoclear=0, header_length=None, spare_l1=0, feature_names=None):
        self.size = size
        self.version = version
        self.cluster_bits = cluster_bits
        self.cluster_size = 1 << cluster_bits
        self.refcount_order = refcount_order
        self.extended_l2 = extended_l2
        self.compression_type = compression_type
        self.incompatible = incompatible
        self.compatible = compatible
        self.autoclear = autoclear
        self.header_length = header_length or layout.HEADER_V3_LENGTH
        self.l2_entries = self.cluster_size // (16 if extended_l2 else 8)
        self.l1_size = ceil_div(size, self.cluster_size * self.l2_entries) + spare_l1
        self.crypt_method = 0
        self.crypt_region = None
        self.data_file = None
        self.backing_file = None
        self.backing_format = None
        self.length = None  # of the file; None = to the end of the last cluster
        if feature_names is None:
            feature_names = version == 3 and self.cluster_size > 4096
        self.feature_names = feature_names
        self.l1 = {}
        self.snapshots = []
        self.bitmaps = []
        self.unknown_extensions = []
        self._end = self.cluster_size  # first byte never allocated
        self._stream_end = 0  # where the last compressed stream ended
        if extended_l2:
            self.incompatible |= layout.INCOMPATIBLE["extended_l2"]
        if compression_type:
            self.incompatible |= layout.INCOMPATIBLE["compression"]

    # Allocation

    def allocate(self, size):
        """Host offset of size bytes in clusters of their own."""
        offset = self._end
        self._end += layout.align_up(max(size, 1), self.cluster_size)
        return offset

    # Guest data

    def _table(self, index):
        """The L2 table of an L1 entry, private to the active tree from now on."""
        table = self.l1.get(index)
        if table is None:
            table = L2Table(self.allocate(self.cluster_size), self.l2_entries)
        elif any(s.l1.get(index) is table for s in self.snapshots):
            table = table.copy(self.allocate(self.cluster_size))
        self.l1[index] = table
        return table

    def entry(self, guest, word, bitmap=0):
        """Sets the raw L2 entry that maps guest."""
        cluster = guest // self.cluster_size
        table = self._table(cluster // self.l2_entries)
        table.words[cluster % self.l2_entries] = word
        table.bitmaps[cluster % self.l2_entries] = bitmap

    def _clusters(self, guest, length):
        return range(guest - guest % self.cluster_size, guest + length, self.cluster_size)

    def write(self, guest, length):
        """Standard clusters, each newly allocated."""
        for at in self._clusters(guest, length):
            cluster = at // self.cluster_size
            self._table(cluster // self.l2_entries)  # before its data, as a guest's first write has it
            host = at if self.data_file is not None else self.allocate(self.cluster_size)
            self.entry(at, host | (layout.COPIED if self.data_file is not None else 0),
                       0xFFFFFFFF if self.extended_l2 else 0)

    def zero(self, guest, length, preallocated=False):
        """Clusters that read as zeros, with or without a host cluster behind."""
        for at in self._clusters(guest, length):
            host = self.allocate(self.cluster_size) if preallocated else 0
            if self.extended_l2:
                self.entry(at, host, 0xFFFFFFFF << 32)
            else:
                self.entry(at, host | layout.ZERO)

    def subclusters(self, guest, allocated, zero=0):
        """One extended entry with these allocation and zero bits."""
        self.entry(guest, self.allocate(self.cluster_size) if allocated else 0, zero << 32 | allocated)

    def discard(self, guest, length):
        for at in self._clusters(guest, length):
            self.entry(at, 0)

    def compress(self, guest, length, stream=None):
        """Compressed clusters of stream bytes each, packed one behind the other."""
        stream = stream or self.cluster_size // 3
        for at in self._clusters(guest, length):
            self.entry(at, layout.compressed_word(self._stream(stream), stream, self.cluster_bits))

    def _stream(self, length):
        start = self._stream_end
        room = -start % self.cluster_size
        if length > room and self._end != start + room:
            start = self._end
        if start + length > self._end:
            self.allocate(start + length - self._end)
        self._stream_end = start + length
        return start

    # Snapshots and bitmaps

    def snapshot(self, name, id=None, vm_state=0, extra=None, disk_size=None):
        """Internal snapshot of the tree as it is now. extra: bytes instead of the usual 24."""
        l1 = dict(self.l1)
        l1_size = self.l1_size
        if vm_state:
            first = ceil_div(self.size, self.cluster_size * self.l2_entries)
            guest = first * self.cluster_size * self.l2_entries
            self.write(guest, vm_state)
            state = {i: self.l1.pop(i) for i in list(self.l1) if i >= first}
            l1.update(state)
            l1_size = max(l1_size, max(state) + 1)
        if extra is None:
            extra = struct.pack(">QQQ", vm_state, self.size if disk_size is None else disk_size, (1 << 64) - 1)
        self.snapshots.append(
            SnapshotSpec(_bytes(name), _bytes(id if id is not None else str(len(self.snapshots) + 1)), l1, l1_size,
                         self.allocate(8 * l1_size), extra, vm_state))

    def bitmap(self, name, entries=None, granularity_bits=16, flags=layout.BITMAP_AUTO):
        """Persistent bitmap. entries: one letter each, z all zeros, 1 all ones, d data; repeated as needed."""
        bits = ceil_div(self.size, 1 << granularity_bits)
        count = max(1, ceil_div(8 * ceil_div(bits, 64), self.cluster_size))
        pattern = entries or "d"
        kinds = [pattern[i % len(pattern)] for i in range(count)]
        words = [self.allocate(self.cluster_size) if kind == "d" else int(kind == "1") for kind in kinds]
        self.bitmaps.append(
            BitmapSpec(_bytes(name), words, self.allocate(8 * count), flags, granularity_bits))
        self.autoclear |= layout.AUTOCLEAR["bitmaps"]

    # Everything else

    def luks(self, length=0x1F9000):
        """A LUKS header region: a signature and zeros, so that nobody has a key to it."""
        self.crypt_method = 2
        self.crypt_region = (self.allocate(length), length)

    def aes(self):
        self.crypt_method = 1

    def external_data(self, name, raw=False):
        """To be called before the first write()."""
        self.data_file = _bytes(name)
        self.incompatible |= layout.INCOMPATIBLE["data_file"]
        if raw:
            self.autoclear |= layout.AUTOCLEAR["raw_data"]

    def backing(self, name, format=None):
        self.backing_file = _bytes(name)
        self.backing_format = None if format is None else _bytes(format)

    def extension(self, kind, payload):
        self.unknown_extensions.append((kind, payload))

    # Output

    def save(self, path):
        pieces = self.pieces()
        end = self._end if self.length is None else self.length
        with open(path, "wb") as out:
            for offset, data in sorted(pieces.items()):
                out.seek(offset)
                out.write(data)
            out.truncate(end)

    def tobytes(self):
        pieces = self.pieces()
        end = self._end if self.length is None else self.length
        image = bytearray(max(end, self._end))
        for offset, data in pieces.items():
            image[offset:offset + len(data)] = data
        return bytes(image[:end])

    def pieces(self):
        """{host offset: bytes} of all metadata. Allocates what comes last: to be called once."""
        l1_offset = self.allocate(8 * self.l1_size)
        snapshot_table = self._snapshot_table()
        snapshots_offset = self.allocate(len(snapshot_table)) if snapshot_table else 0
        directory = self._bitmap_directory()
        directory_offset = self.allocate(len(directory)) if directory else 0

        counts = Counts(self.cluster_size)
        counts.add(0, self.cluster_size)
        self._count_trees(counts, l1_offset)
        counts.add(snapshots_offset, len(snapshot_table))
        counts.add(directory_offset, len(directory))
        for bitmap in self.bitmaps:
            counts.add(bitmap.table_offset, 8 * len(bitmap.entries))
            for word in bitmap.entries:
                if word & layout.BITMAP_OFFSET:
                    counts.add(word, self.cluster_size)
        if self.crypt_region:
            counts.add(*self.crypt_region)
        reftable_offset, reftable, blocks = self._refcounts(counts)

        pieces = {0: self._header(l1_offset, reftable_offset, len(reftable) // self.cluster_size, snapshots_offset,
                                  directory_offset, len(directory))}
        pieces[l1_offset] = self._l1_bytes(self.l1, self.l1_size, counts)
        for table in self._tables():
            active = table in self.l1.values()
            pieces[table.offset] = self._l2_bytes(table, counts if active else None)
        for spec in self.snapshots:
            pieces[spec.l1_offset] = self._l1_bytes(spec.l1, spec.l1_size, None)
        if snapshot_table:
            pieces[snapshots_offset] = snapshot_table
        if directory:
            pieces[directory_offset] = directory
        if self.crypt_region:
            pieces[self.crypt_region[0]] = b"LUKS\xba\xbe\0\1"
        for bitmap in self.bitmaps:
            pieces[bitmap.table_offset] = struct.pack(f">{len(bitmap.entries)}Q", *bitmap.entries)
        pieces[reftable_offset] = reftable
        pieces.update(blocks)
        return pieces

    def _tables(self):
        """Every L2 table once."""
        tables = {id(t): t for tree in [self.l1] + [s.l1 for s in self.snapshots] for t in tree.values()}
        return list(tables.values())

    def _count_trees(self, counts, l1_offset):
        for tree, offset, size in [(self.l1, l1_offset, self.l1_size)] + \
                [(s.l1, s.l1_offset, s.l1_size) for s in self.snapshots]:
            counts.add(offset, 8 * size)
            for table in tree.values():
                counts.add(table.offset, self.cluster_size)
                for word in table.words:
                    self._count_entry(counts, word)

    def _count_entry(self, counts, word):
        if word & layout.COMPRESSED:
            counts.add(*layout.compressed_extent(word, self.cluster_bits))
        elif word & layout.L2_OFFSET and self.data_file is None:
            counts.add(word & layout.L2_OFFSET, self.cluster_size)

    def _l1_bytes(self, tree, size, counts):
        words = [0] * size
        for index, table in tree.items():
            copied = counts is not None and counts.at(table.offset) == 1
            words[index] = table.offset | (layout.COPIED if copied else 0)
        return struct.pack(f">{size}Q", *words)

    def _l2_bytes(self, table, counts):
        """counts: to set the COPIED flags of an active table; None leaves them alone."""
        words = []
        for word, bitmap in zip(table.words, table.bitmaps):
            offset = word & layout.L2_OFFSET
            if counts is not None and offset and not word & layout.COMPRESSED and counts.at(offset) == 1:
                word |= layout.COPIED
            words += [word, bitmap] if self.extended_l2 else [word]
        return struct.pack(f">{len(words)}Q", *words)

    def _refcounts(self, counts):
        """Places the refcount table and blocks, which count themselves. (table offset, table, {offset: block})"""
        per_block = (self.cluster_size * 8) >> self.refcount_order
        per_table = self.cluster_size // 8
        blocks = table_clusters = 0
        while True:
            clusters = self._end // self.cluster_size + blocks + table_clusters
            need = ceil_div(clusters, per_block), ceil_div(ceil_div(clusters, per_block), per_table)
            if need == (blocks, table_clusters):
                break
            blocks, table_clusters = need
        table_offset = self.allocate(table_clusters * self.cluster_size)
        counts.add(table_offset, table_clusters * self.cluster_size)
        offsets = [self.allocate(self.cluster_size) for _ in range(blocks)]
        for offset in offsets:
            counts.add(offset, self.cluster_size)
        table = struct.pack(f">{blocks}Q", *offsets).ljust(table_clusters * self.cluster_size, b"\0")
        return table_offset, table, {
            offset: self._block_bytes(counts, i * per_block, per_block) for i, offset in enumerate(offsets)
        }

    def _block_bytes(self, counts, first, per_block):
        bits = 1 << self.refcount_order
        block = bytearray(self.cluster_size)
        for cluster, count in counts.by_cluster.items():
            if first <= cluster < first + per_block:
                put_count(block, cluster - first, bits, min(count, (1 << bits) - 1))
        return bytes(block)

    def _snapshot_table(self):
        table = b""
        for spec in self.snapshots:
            table += bytes(-len(table) % 8)
            table += struct.pack(">QIHHIIQII", spec.l1_offset, spec.l1_size, len(spec.id), len(spec.name), 1600000000,
                                 0, 0, min(spec.vm_state_size, 0xFFFFFFFF), len(spec.extra))
            table += spec.extra + spec.id + spec.name
        return table

    def _bitmap_directory(self):
        directory = b""
        for spec in self.bitmaps:
            directory += struct.pack(">QIIBBHI", spec.table_offset, len(spec.entries), spec.flags, 1,
                                     spec.granularity_bits, len(spec.name), 0)
            directory += spec.name
            directory += bytes(-len(directory) % 8)
        return directory

    def _header(self, l1_offset, reftable_offset, reftable_clusters, snapshots_offset, directory_offset,
                directory_size):
        length = self.header_length if self.version >= 3 else layout.HEADER_V2_LENGTH
        extensions = self._extensions(directory_offset, directory_size)
        name = self.backing_file or b""
        name_at = length + len(extensions)
        fields = {
            "magic": layout.MAGIC,
            "version": self.version,
            "backing_file_offset": name_at if name else 0,
            "backing_file_size": len(name),
            "cluster_bits": self.cluster_bits,
            "size": self.size,
            "crypt_method": self.crypt_method,
            "l1_size": self.l1_size,
            "l1_table_offset": l1_offset,
            "refcount_table_offset": reftable_offset,
            "refcount_table_clusters": reftable_clusters,
            "nb_snapshots": len(self.snapshots),
            "snapshots_offset": snapshots_offset,
            "incompatible_features": self.incompatible,
            "compatible_features": self.compatible,
            "autoclear_features": self.autoclear,
            "refcount_order": self.refcount_order,
            "header_length": length,
            "compression_type": self.compression_type,
        }
        header = bytearray(max(length, layout.HEADER_V3_LENGTH))
        for field_name in layout.HEADER_V2 if self.version < 3 else layout.HEADER:
            offset, size = layout.HEADER[field_name]
            header[offset:offset + size] = fields[field_name].to_bytes(size, "big")
        header = bytes(header[:length]) + extensions + name
        if len(header) > self.cluster_size:
            raise ValueError("the header and its extensions do not fit one cluster")
        return header

    def _extensions(self, directory_offset, directory_size):
        records = []
        if self.backing_format is not None:
            records.append((layout.EXT_BACKING_FORMAT, self.backing_format))
        if self.data_file is not None:
            records.append((layout.EXT_DATA_FILE, self.data_file))
        if self.crypt_region:
            records.append((layout.EXT_CRYPT, struct.pack(">QQ", *self.crypt_region)))
        if self.feature_names:
            names = [(0, 0, b"dirty bit"), (0, 1, b"corrupt bit"), (1, 0, b"lazy refcounts"), (2, 0, b"bitmaps")]
            records.append((layout.EXT_FEATURE_NAMES, b"".join(struct.pack(">BB46s", *n) for n in names)))
        if self.bitmaps:
            records.append((layout.EXT_BITMAPS,
                            struct.pack(">IIQQ", len(self.bitmaps), 0, directory_size, directory_offset)))
        records += self.unknown_extensions
        data = b""
        for kind, payload in records + [(layout.EXT_END, b"")]:
            data += struct.pack(">II", kind, len(payload)) + payload + bytes(-len(payload) % 8)
        return data


def ceil_div(value, unit):
    return -(-value // unit)


def put_count(block, index, bits, value):
    """Stores count number index of a refcount block."""
    if bits >= 8:
        size = bits // 8
        block[index * size:(index + 1) * size] = value.to_bytes(size, "big")
        return
    shift = index * bits % 8
    mask = (1 << bits) - 1 << shift
    block[index * bits // 8] = block[index * bits // 8] & ~mask | value << shift


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
