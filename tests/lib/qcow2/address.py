# SPDX-License-Identifier: GPL-2.0-or-later
"""Names for the words of an image.

    header:FIELD         a header field, as in layout.HEADER: header:nb_snapshots
    ext:I:type           type, length or payload (8 bytes; ext:I:payload:BYTE from there on) of header extension I
    crypt:FIELD          offset, length of the encryption header extension
    bitmaps:FIELD        nb_bitmaps, reserved, size, offset of the bitmaps extension
    l1:I                 entry I of the active L1 table
    l2:I:J               entry J of the L2 table behind l1:I; sub:I:J is its subcluster word
    snap:S:FIELD         a field of snapshot S, as in layout.SNAPSHOT_FIELDS: snap:0:extra_size
    snapl1:S:I           entry I of the L1 table of snapshot S; snapl2:S:I:J, snapsub:S:I:J as above
    reftable:I           entry I of the refcount table
    refblock:I:J         count J of refcount block I
    refcount:CLUSTER     the count of a host cluster, wherever it is
    bitmapdir:B:FIELD    a field of bitmap B, as in layout.BITMAP_FIELDS: bitmapdir:0:flags
    bitmap:B:I           entry I of the table of bitmap B
    0x40000              8 bytes at that offset of the file; 0x40000/4 for another width

S, B and I count from 0. A name that leads nowhere (l2:3:0 where l1:3 is 0) is an error.
"""

from dataclasses import dataclass

from . import layout, reader


class AddressError(Exception):
    pass


@dataclass
class Place:
    """bits at bit number shift of the big-endian word of size bytes at offset."""

    offset: int
    size: int
    bits: int = 0  # 0 = the whole word
    shift: int = 0

    def get(self, data):
        value = int.from_bytes(data, "big")
        return (value >> self.shift) & ((1 << self.bits) - 1) if self.bits else value

    def put(self, data, value):
        """The bytes with value in its place."""
        if not 0 <= value < 1 << (self.bits or 8 * self.size):
            raise AddressError(f"{value:#x} does not fit there")
        if self.bits:
            mask = ((1 << self.bits) - 1) << self.shift
            value = int.from_bytes(data, "big") & ~mask | value << self.shift
        return value.to_bytes(self.size, "big")


def number(text):
    """0x10, 16, 64k, 1M, 2G; also 'a|b' for values put together from bits."""
    value = 0
    for part in text.split("|"):
        factor = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(part[-1:], 0)
        hexadecimal = part.lower().startswith("0x")
        value |= int(part, 0) if hexadecimal or not factor else int(part[:-1], 0) * factor
    return value


def resolve(image, address):
    """The Place of an address in an image (reader.Image)."""
    kind, *rest = address.split(":")
    if not rest:
        offset, _, size = kind.partition("/")
        return Place(number(offset), number(size) if size else 8)
    if kind not in _RESOLVERS:
        raise AddressError(f"'{kind}' is no kind of address")
    try:
        return _RESOLVERS[kind](image, *rest)
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise AddressError(f"'{address}' leads nowhere: {error}") from error


def peek(image, address):
    place = resolve(image, address)
    return place.get(image.source.read(place.offset, place.size))


def poke(path, pairs):
    """Overwrites words of the image at @path: (address, value) pairs. All are found before the first is written."""
    image = reader.open_image(path)
    places = [(resolve(image, name), value) for name, value in pairs]
    image.source.close()
    with open(path, "r+b") as out:
        for place, value in places:
            out.seek(place.offset)
            old = out.read(place.size).ljust(place.size, b"\0")
            out.seek(place.offset)
            out.write(place.put(old, value))


def _field(base, fields, name):
    offset, size = fields[name]
    return Place(base + offset, size)


def _header(image, name):
    return _field(0, layout.HEADER, name)


def _extension(image, index, part, byte="0"):
    ext = image.extensions()[int(index)]
    if part == "payload":
        return Place(ext.offset + number(byte), 8)
    return _field(ext.header, {"type": (0, 4), "length": (4, 4)}, part)


def _payload(image, kind, fields, name):
    ext = image.extension(kind)
    if ext is None:
        raise ValueError("no such header extension")
    return _field(ext.offset, fields, name)


def _l1(image, index):
    return Place(image.l1_offset + 8 * int(index), 8)


def _entry(image, l1_offset, l1_index, l2_index, second):
    table = image.l2_offset(image.word(l1_offset + 8 * int(l1_index)))
    if table == 0:
        raise ValueError("that L1 entry is 0")
    if second and not image.extended_l2:
        raise ValueError("the image has no extended L2 entries")
    return Place(table + image.l2_entry_size * int(l2_index) + (8 if second else 0), 8)


def _snapshot(image, index, name):
    snapshot = image.snapshots()[int(index)]
    if name in layout.SNAPSHOT_EXTRA_FIELDS:
        offset, size = layout.SNAPSHOT_EXTRA_FIELDS[name]
        if offset + size > layout.SNAPSHOT_FIXED + snapshot.extra_size:
            raise ValueError("the entry's extra data ends before that field")
        return Place(snapshot.offset + offset, size)
    return _field(snapshot.offset, layout.SNAPSHOT_FIELDS, name)


def _snapshot_l1(image, index, l1_index):
    return Place(image.snapshots()[int(index)].l1_offset + 8 * int(l1_index), 8)


def _count(image, block_offset, position):
    bits = 1 << image.refcount_order
    if bits >= 8:
        return Place(block_offset + position * (bits // 8), bits // 8)
    return Place(block_offset + position * bits // 8, 1, bits, position * bits % 8)


def _refblock(image, index, position):
    offset = image.word(image.reftable_offset + 8 * int(index)) & layout.REFTABLE_OFFSET
    if offset == 0:
        raise ValueError("that refcount table entry is 0")
    return _count(image, offset, int(position))


def _refcount(image, cluster):
    per_block = image.counts_per_block
    return _refblock(image, number(cluster) // per_block, number(cluster) % per_block)


_RESOLVERS = {
    "header": _header,
    "ext": _extension,
    "crypt": lambda image, name: _payload(image, layout.EXT_CRYPT, layout.CRYPT_FIELDS, name),
    "bitmaps": lambda image, name: _payload(image, layout.EXT_BITMAPS, layout.BITMAPS_FIELDS, name),
    "l1": _l1,
    "l2": lambda image, i, j: _entry(image, image.l1_offset, i, j, False),
    "sub": lambda image, i, j: _entry(image, image.l1_offset, i, j, True),
    "snap": _snapshot,
    "snapl1": _snapshot_l1,
    "snapl2": lambda image, s, i, j: _entry(image, image.snapshots()[int(s)].l1_offset, i, j, False),
    "snapsub": lambda image, s, i, j: _entry(image, image.snapshots()[int(s)].l1_offset, i, j, True),
    "reftable": lambda image, i: Place(image.reftable_offset + 8 * int(i), 8),
    "refblock": _refblock,
    "refcount": _refcount,
    "bitmapdir": lambda image, b, name: _field(image.bitmaps()[int(b)].offset, layout.BITMAP_FIELDS, name),
    "bitmap": lambda image, b, i: Place(image.bitmaps()[int(b)].table_offset + 8 * int(i), 8),
}
