# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways in which an image loses what leads to its data. See losses.py for more, of parts of it.

Each is a function of the path, the sound image (reader.Image), a source of random numbers, and "order" if the image was
written in order. It raises NotHere if the image has nothing of the kind.
"""

from dataclasses import dataclass
from typing import Callable

import losses
from qcow2 import layout
from losses import put, used_tables

PAGE = 4096


class NotHere(Exception):
    pass


def header(path, image, _source, _how):
    put(path, 0, bytes(image.cluster_size))


def header_with_noise(path, image, source, _how):
    put(path, 0, source.randbytes(source.choice([8, 48, 64, 512, image.cluster_size])))


def header_field(path, _image, source, _how):
    offset, size = layout.HEADER[source.choice(["magic", "version", "cluster_bits", "size", "l1_size", "l1_table_offset",
                                                "refcount_table_offset", "header_length"])]
    put(path, offset, source.choice([bytes(size), b"\xff" * size, source.randbytes(size)]))


def refcounts(path, image, _source, _how):
    """Table and blocks."""
    for block in image.reftable_entries():
        if block:
            put(path, block, bytes(image.cluster_size))
    put(path, image.reftable_offset, bytes(image.reftable_clusters * image.cluster_size))


def refcount_table(path, image, source, _how):
    """All of it, or an entry."""
    entries = [i for i, block in enumerate(image.reftable_entries()) if block]
    for index in entries if source.random() < 0.5 else source.sample(entries, 1):
        put(path, image.reftable_offset + 8 * index, bytes(8))


def refcount_block(path, image, source, _how):
    put(path, source.choice([block for block in image.reftable_entries() if block]), bytes(image.cluster_size))


def l1_table(path, image, _source, _how):
    put(path, image.l1_offset, bytes(8 * image.l1_size))


def header_and_l1(*arguments):
    header(*arguments)
    l1_table(*arguments)


def l1_entry(path, image, source, _how):
    index, _ = source.choice(used_tables(image))
    put(path, image.l1_offset + 8 * index, bytes(8))


def l1_entries(path, image, source, _how):
    """Two at least."""
    tables = used_tables(image)
    if len(tables) < 2:
        raise NotHere
    for index, _ in source.sample(tables, source.randint(2, len(tables))):
        put(path, image.l1_offset + 8 * index, bytes(8))


def l2_table(path, image, source, _how):
    put(path, source.choice(used_tables(image))[1], bytes(image.cluster_size))


def l2_page(path, image, source, _how):
    """4 KiB of a table, in which there are entries."""
    pages = [offset + at for _, offset in used_tables(image) for at in range(0, image.cluster_size, PAGE)
             if any(image.source.read(offset + at, PAGE))]
    if image.cluster_size <= PAGE or not pages:
        raise NotHere
    put(path, source.choice(pages), bytes(PAGE))


def all_l2_tables(path, image, _source, _how):
    for _, offset in used_tables(image):
        put(path, offset, bytes(image.cluster_size))


def everything(*arguments):
    """But for the data, and the tables of snapshots."""
    header_and_l1(*arguments)
    all_l2_tables(*arguments)


def snapshot_table(path, image, _source, _how):
    snapshots = image.snapshots()
    if not snapshots:
        raise NotHere
    put(path, image.snapshots_offset, bytes(snapshots[-1].offset + snapshots[-1].size - image.snapshots_offset))


def snapshots_uncounted(path, image, _source, _how):
    """The header has no snapshots any more."""
    if not image.snapshots():
        raise NotHere
    put(path, 60, bytes(12))


def one_table_twice(path, image, source, _how):
    """Two L1 entries refer to one table. Both have one before: a table that is but in another place is not lost."""
    with open(path, "rb") as file:
        file.seek(image.l1_offset)
        words = [file.read(8) for _ in range(image.l1_size)]
    used = [index for index, word in enumerate(words) if any(word)]
    if len(used) < 2:
        raise NotHere
    index, other = source.sample(used, 2)
    put(path, image.l1_offset + 8 * index, words[other])


@dataclass(frozen=True)
class Damage:
    name: str
    damage: Callable
    means: str  # what is to bring it back: "restore", "drop" (that of snapshots, then a restore), "rescue", or "metadata"


# The columns of the page.
GRID = [
    Damage("header", header, "rescue"),
    Damage("refcounts", refcounts, "restore"),
    Damage("L1 table", l1_table, "rescue"),
    Damage("header and L1 table", header_and_l1, "rescue"),
    Damage("one L1 entry", l1_entry, "restore"),
    Damage("several L1 entries", l1_entries, "restore"),
    Damage("one L2 table", l2_table, "restore"),
    Damage("4 KiB of an L2 table", l2_page, "restore"),
    Damage("L1 table replaced by an empty one", losses.lose_l1_table, "restore"),
    Damage("snapshots (header counts none)", snapshots_uncounted, "restore"),
    Damage("snapshots (table zeroed)", snapshot_table, "drop"),
    Damage("two L1 entries name one table", one_table_twice, "restore"),
    Damage("all L2 tables, metadump of yesterday", all_l2_tables, "metadata"),
    Damage("header, L1, L2, metadump of yesterday", everything, "metadata"),
]

# What random losses are made of, by what is to bring them back.
RANDOM = {
    "restore": [refcounts, refcount_table, refcount_block, l1_table, l1_entry, l1_entries, l2_table, l2_page,
                losses.lose_tables, losses.lose_sectors, losses.lose_l1_table, losses.lose_snapshot_entries,
                snapshots_uncounted, snapshot_table, one_table_twice],
    "rescue": [header, header_with_noise, header_field, l1_table, l1_entry, l1_entries, l2_table, l2_page, refcounts,
               refcount_block, snapshot_table, snapshots_uncounted, losses.lose_l1_table],
    "metadata": [all_l2_tables, everything, l1_table, l2_table, l2_page, header, refcount_block, one_table_twice],
}


def random_damage(path, image, source, how):
    """Does one thing to the image, or two. (names, means)"""
    means = source.choices(list(RANDOM), [16, 3, 1])[0]
    wanted, names = source.choice([1, 1, 1, 2]), []
    while len(names) < wanted:
        damage = source.choice(RANDOM[means])
        try:
            damage(path, image, source, how)
            names.append(damage.__name__)
        except NotHere:
            pass
    return names, means
