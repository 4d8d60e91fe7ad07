# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be broken in an image: words of every structure, and the length of the file."""

from dataclasses import dataclass

from qcow2 import address, layout, reader
from qcow2.address import Place


@dataclass
class Edit:
    """One change: value into place, or, without a place, the file cut or grown to value bytes."""

    what: str
    place: Place
    value: int

    def apply(self, data):
        if self.place is None:
            del data[self.value:]
            data.extend(bytes(self.value - len(data)))
            return
        end = self.place.offset + self.place.size
        if end > len(data):
            data.extend(bytes(end - len(data)))
        word = data[self.place.offset:end]
        data[self.place.offset:end] = self.place.put(word, self.value)

    def __str__(self):
        return f"{self.what} = {self.value:#x}"


class Anatomy:
    """The words of a healthy image by structure: {structure: [(name, Place)]}, and offsets worth pointing at."""

    def __init__(self, data):
        self.image = reader.Image(reader.BytesSource(data))
        self.length = len(data)
        self.targets = {}
        self.offsets = [0, self.image.l1_offset, self.image.reftable_offset]
        self._header()
        self._tree("l1", self.image.l1_offset, self.image.l1_size)
        self._refcounts()
        self._snapshots()
        self._bitmaps()
        self.targets = {kind: places for kind, places in self.targets.items() if places}
        self.metadata = [0] + [place.offset for kind in sorted(self.targets) for _, place in self.targets[kind]]

    def _add(self, kind, name, offset, size, bits=0, shift=0):
        self.targets.setdefault(kind, []).append((name, Place(offset, size, bits, shift)))

    def _fields(self, kind, prefix, base, fields):
        for name, (offset, size) in fields.items():
            self._add(kind, f"{prefix}:{name}", base + offset, size)

    def _header(self):
        v3 = self.image.version >= 3
        self._fields("header", "header", 0, layout.HEADER if v3 else layout.HEADER_V2)
        for i, ext in enumerate(self.image.extensions()):
            self._fields("extension", f"ext:{i}", ext.header, {"type": (0, 4), "length": (4, 4)})
            fields = {layout.EXT_CRYPT: layout.CRYPT_FIELDS, layout.EXT_BITMAPS: layout.BITMAPS_FIELDS}.get(ext.type)
            if fields:
                self._fields("extension", layout.EXT_NAMES[ext.type], ext.offset, fields)
            else:
                for at in range(0, min(ext.length, 96), 8):
                    self._add("extension", f"ext:{i}:payload:{at}", ext.offset + at, 8)

    def _tree(self, prefix, l1_offset, l1_size):
        for i in range(min(l1_size, 64)):
            self._add(prefix, f"{prefix}:{i}", l1_offset + 8 * i, 8)
        for i, entry in enumerate(self.image.words(l1_offset, l1_size)):
            table = self.image.l2_offset(entry)
            if table:
                self.offsets.append(table)
                self._table(f"{prefix} {i}", table)

    def _table(self, name, table):
        step = self.image.l2_entry_size
        for j, (word, _) in enumerate(self.image.l2_table(table)):
            # A few unused entries are enough.
            if word == 0 and j % 16:
                continue
            self._add("l2", f"{name} l2:{j}", table + step * j, 8)
            if step == 16:
                self._add("subclusters", f"{name} sub:{j}", table + step * j + 8, 8)
            if word & layout.L2_OFFSET and not word & layout.COMPRESSED:
                self.offsets.append(word & layout.L2_OFFSET)

    def _refcounts(self):
        entries = self.image.reftable_entries()
        for i, entry in enumerate(entries):
            if entry or i % 32 == 1:
                self._add("reftable", f"reftable:{i}", self.image.reftable_offset + 8 * i, 8)
            if entry:
                self.offsets.append(entry)
        clusters = -(-self.length // self.image.cluster_size)
        for cluster in range(min(clusters + 4, self.image.counts_per_block * len(entries))):
            try:
                place = address.resolve(self.image, f"refcount:{cluster}")
            except address.AddressError:
                continue
            self._add("refcount", f"refcount:{cluster}", place.offset, place.size, place.bits, place.shift)

    def _snapshots(self):
        for s, snapshot in enumerate(self.image.snapshots()):
            self._fields("snapshot", f"snap:{s}", snapshot.offset, layout.SNAPSHOT_FIELDS)
            self.offsets += [snapshot.offset, snapshot.l1_offset]
            self._tree(f"snapl1:{s}", snapshot.l1_offset, snapshot.l1_size)

    def _bitmaps(self):
        for b, bitmap in enumerate(self.image.bitmaps()):
            self._fields("bitmapdir", f"bitmapdir:{b}", bitmap.offset, layout.BITMAP_FIELDS)
            self.offsets += [bitmap.offset, bitmap.table_offset]
            for i, word in enumerate(self.image.words(bitmap.table_offset, bitmap.table_size)):
                self._add("bitmap", f"bitmap:{b}:{i}", bitmap.table_offset + 8 * i, 8)
                if word & layout.BITMAP_OFFSET:
                    self.offsets.append(word & layout.BITMAP_OFFSET)


class Breaker:
    """Chooses edits for images of one anatomy; everything follows from the random source."""

    def __init__(self, anatomy, random):
        self.anatomy = anatomy
        self.random = random

    def edits(self):
        kinds = sorted(self.anatomy.targets) + ["length"]
        return [self._edit(self.random.choice(kinds)) for _ in range(self.random.choice([1, 1, 1, 2, 2, 3, 4]))]

    def _edit(self, kind):
        if kind == "length":
            return Edit("length", None, self._length())
        name, place = self.random.choice(self.anatomy.targets[kind])
        bits = place.bits or 8 * place.size
        old = place.get(self.anatomy.image.source.read(place.offset, place.size))
        value = self._pointer(old) if bits == 64 and self.random.random() < 0.8 else self._number(old, bits)
        return Edit(name, place, value & ((1 << bits) - 1))

    def _length(self):
        cs, length, pick = self.anatomy.image.cluster_size, self.anatomy.length, self.random
        return pick.choice([
            pick.randrange(length),
            pick.randrange(length) // cs * cs,
            length - pick.randrange(1, cs + 1),
            max(0, length - cs * pick.randrange(1, 4) + pick.randrange(-1, 2)),
            pick.randrange(0, 200),
            length + pick.randrange(1, 3 * cs),
            length + cs * pick.randrange(1, 200),
        ])

    def _number(self, old, bits):
        pick = self.random
        return pick.choice([
            0,
            1,
            2,
            old + 1,
            old - 1,
            old * 2,
            old ^ 1 << pick.randrange(bits),
            old ^ 1 << pick.randrange(bits),
            old | 1 << bits - 1,
            (1 << bits) - 1,
            pick.getrandbits(bits),
            pick.randrange(0, 70000),
        ])

    def _pointer(self, old):
        """A word of 64 bits that may well be an offset with flags."""
        pick = self.random
        cs = self.anatomy.image.cluster_size
        end = layout.align_up(self.anatomy.length, cs)
        offset = pick.choice([
            old & layout.L2_OFFSET,
            pick.choice(self.anatomy.offsets),
            pick.choice(self.anatomy.offsets),
            cs * pick.randrange(end // cs + 2),
            cs * pick.randrange(end // cs + 2),
            end,
            end - cs,
            end + cs * pick.randrange(1000),
            (1 << 56) - cs,
            pick.getrandbits(56) & -512,
        ])
        offset += pick.choice([0, 0, 0, 0, 512, cs // 2, pick.randrange(cs)])
        flags = pick.choice([
            old & (layout.COPIED | layout.COMPRESSED),
            old & layout.COPIED,
            layout.COPIED,
            0,
            layout.ZERO,
            layout.COPIED | layout.ZERO,
            layout.COMPRESSED,
            layout.COMPRESSED | pick.getrandbits(8) << 54,
            layout.COPIED | layout.COMPRESSED,
            1 << pick.randrange(64),
            1 << pick.randrange(64),
        ])
        return offset | flags


class DataLayer(Breaker):
    """Lays guest data on metadata, and so on the tables that lead to it; now and then something else is broken besides."""

    def edits(self):
        pick = self.random
        laid = [edit for _ in range(pick.choice([1, 2, 3, 4])) for edit in self._row()]
        return laid + (super().edits()[:1] if pick.random() < 0.3 else [])

    def _row(self):
        """One entry, or some that follow one another; of L2 tables, or of a tree, which leads to other tables then."""
        pick = self.random
        trees = pick.random() < 0.1 or "l2" not in self.anatomy.targets
        places = self.anatomy.targets["l1" if trees else "l2"]
        at = pick.randrange(len(places))
        return [Edit(name, place, self._laid()) for name, place in places[at:at + pick.choice([1, 1, 1, 2, 8])]]

    def _laid(self):
        pick = self.random
        cs = self.anatomy.image.cluster_size
        offset = pick.choice(self.anatomy.metadata) // cs * cs
        if self.anatomy.image.cluster_bits < 21 and pick.random() < 0.15:
            sectors = pick.randrange(2 * cs // 512)
            bits = 70 - self.anatomy.image.cluster_bits
            return layout.COMPRESSED | (sectors << bits & layout.COMPRESSED - 1) | offset + pick.randrange(cs)
        return offset | pick.choice([layout.COPIED, layout.COPIED, 0, layout.ZERO])


# How an image is broken, by name.
BREAKERS = {"words": Breaker, "laid": DataLayer}
