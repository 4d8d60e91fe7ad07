# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest change of an image that still shows something: bits flipped, and the file cut or grown.

ddmin() is the delta debugging of Zeller and Hildebrandt: ever smaller parts of the list are left out, as long as what
remains still shows it. No single item of the result can be left out.
"""

from qcow2.address import Place

from .edits import Edit


class Flip:
    """One bit of a byte that exists before and after."""

    def __init__(self, offset, bit):
        self.offset = offset
        self.bit = bit

    def apply(self, data):
        if self.offset < len(data):
            data[self.offset] ^= 1 << self.bit


class Content:
    """All of the image at once."""

    def __init__(self, name, content):
        self.name = name
        self.content = content

    def apply(self, data):
        data[:] = self.content

    def __str__(self):
        return f"content of {self.name}"


def differences(before, after):
    """The list of changes that makes after of before; what is beyond the end of before counts as zeros there."""
    length = [Edit("length", None, len(after))] if len(before) != len(after) else []
    padded = before[:len(after)] + bytes(max(0, len(after) - len(before)))
    flips = [Flip(offset, bit) for offset, (old, new) in enumerate(zip(padded, after)) if old != new
             for bit in range(8) if (old ^ new) >> bit & 1]
    return length + flips


def ddmin(items, shows, tries):
    """A part of items for which shows() is true; it is so for all of them. After so many tries, what there is."""
    parts = 2
    while len(items) > 1 and tries > 0:
        size = -(-len(items) // parts)
        for start in range(0, len(items), size):
            fewer = items[:start] + items[start + size:]
            tries -= 1
            if shows(fewer):
                items, parts = fewer, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(items))
    return items


def as_edits(items, before, anatomy):
    """The same change in words of the image, those that have a name by their name."""
    after = bytearray(before)
    for item in items:
        item.apply(after)
    length = [item for item in items if isinstance(item, Edit)]
    changed = sorted({item.offset for item in items if isinstance(item, Flip)})
    named = {}
    for places in anatomy.targets.values():
        for name, place in places:
            named.update(dict.fromkeys(range(place.offset, place.offset + place.size), (name, place)))
    words = {}
    for offset in changed:
        name, place = named.get(offset, (f"byte {offset:#x}", Place(offset, 1)))
        place = Place(place.offset, place.size)  # whole bytes, where several counts share one
        words[place.offset] = Edit(name, place, place.get(bytes(after[place.offset:place.offset + place.size])))
    return length + list(words.values())
