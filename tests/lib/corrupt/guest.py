# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest reads from an image, cluster by cluster, found out without the program under test.

Nothing is decompressed or decrypted: what decides is which bytes of the file a guest cluster is made of, and how they
are to be understood. Two images that give the same here read the same.
"""

import collections
import hashlib

from qcow2 import layout

LONGEST_ID = 64  # bytes
MOST_TABLES = 5000  # of one tree: more are not looked at


def _digest(data):
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def compressed_extent(image, entry):
    """(offset, length) of the stream behind a compressed entry."""
    bits = 70 - image.cluster_bits
    offset = entry & ((1 << bits) - 1)
    sectors = ((entry & ~(layout.COPIED | layout.COMPRESSED)) >> bits) + 1
    return offset, sectors * 512 - offset % 512


def cluster(image, entry, bitmap):
    """What a guest cluster with this entry is made of; None where it has nothing of its own, or cannot be read."""
    offset = entry & layout.L2_OFFSET
    if entry & layout.COMPRESSED:
        if image.data_file:
            return None
        start, length = compressed_extent(image, entry)
        # the last bytes may be behind the end of the stream, and belong to another cluster
        return "compressed", start % 512, length, _digest(image.source.read(start, length))
    if not image.extended_l2 and entry & layout.ZERO:
        return ("zeros",)
    if not offset and not (image.data_file and entry & layout.COPIED):
        return ("subclusters", bitmap >> 32) if bitmap >> 32 else None
    if offset % image.cluster_size and (bitmap & 0xffffffff or not image.extended_l2):
        return None
    if image.data_file:
        return "data file", offset, bitmap
    data = image.source.read(offset, image.cluster_size)
    if image.extended_l2 and not bitmap & 0xffffffff:
        return ("subclusters", bitmap >> 32) if bitmap >> 32 else None
    if image.extended_l2:
        size = image.cluster_size // 32
        # only what is allocated is read
        parts = [data[i * size:(i + 1) * size] for i in range(32) if bitmap >> i & 1 and not bitmap >> 32 + i & 1]
        return "subclusters", bitmap, _digest(b"".join(parts))
    return "data", _digest(data)


def tree(image, l1_offset, l1_size):
    """{guest cluster: what it is made of} below an L1 table."""
    found, tables = {}, {}
    for l1_index, l1_entry in enumerate(image.words(l1_offset, l1_size)):
        table = image.l2_offset(l1_entry)
        if not table or l1_entry & layout.L1_RESERVED or table % image.cluster_size:
            continue  # nothing there, or it cannot be followed
        if table not in tables:
            if len(tables) == MOST_TABLES:
                break
            made = {}
            for index, (entry, bitmap) in enumerate(image.l2_table(table)):
                if entry or bitmap:
                    content = cluster(image, entry, bitmap)
                    if content is not None:
                        made[index] = content
            tables[table] = made
        for index, content in tables[table].items():
            found[l1_index * image.l2_entries + index] = content
    return found


def trees(image):
    """[(name as in everything(), L1 offset, L1 entries)], as far as they can be read."""
    found = [("", image.l1_offset, image.l1_size)]
    if image.nb_snapshots > layout.MAX_SNAPSHOTS:
        return found  # nobody knows how many there are
    for index, snapshot in enumerate(image.snapshots()):
        if snapshot.extra_size > layout.SNAPSHOT_MAX_EXTRA or not snapshot.l1_offset:
            break  # what follows is read from the wrong place, or was never there
        if snapshot.l1_offset % image.cluster_size or snapshot.l1_size > layout.MAX_L1_ENTRIES:
            continue  # cannot be read
        # a damaged length makes an id of what lies behind the table
        found.append(((index, snapshot.id[:LONGEST_ID]), snapshot.l1_offset, snapshot.l1_size))
    return found


def everything(image):
    """{tree: {guest cluster: what it is made of}}; trees are "" for the disk, and (index, id) of the snapshots."""
    found = {name: tree(image, offset, size) for name, offset, size in trees(image)}
    # What lies behind the end of the disk can belong to snapshots only, which have state of the machine there.
    found[""] = {number: what for number, what in found[""].items() if number * image.cluster_size < image.size}
    return found


def _structures(image):
    """How many structures, but for L2 tables, there are in each cluster of the file."""
    regions = [(0, image.cluster_size), (image.reftable_offset, image.reftable_clusters * image.cluster_size)]
    regions += [(entry & ~511, image.cluster_size) for entry in image.reftable_entries() if entry]
    regions += [(offset, 8 * size) for _, offset, size in trees(image)]
    regions += [(snapshot.offset, min(snapshot.size, 1 << 16)) for snapshot in image.snapshots()]
    regions += [image.crypt_region() or (0, 0)]
    _, size, offset = image.bitmaps_fields() or (0, 0, 0)
    regions += [(offset, size)]
    for bitmap in image.bitmaps():
        data = [word & layout.BITMAP_OFFSET for word in image.words(bitmap.table_offset, bitmap.table_size)]
        regions += [(bitmap.table_offset, 8 * bitmap.table_size)]
        regions += [(offset, image.cluster_size) for offset in data if offset]
    found = collections.Counter()
    for offset, size in regions:
        end = min(offset + size, image.source.length)
        found.update(range(offset // image.cluster_size, -(-end // image.cluster_size)))
    return found


def tables_on_structures(image):
    """Offsets of L2 tables where there is something else, too."""
    structures = _structures(image)
    return [table for _, l1_offset, l1_size in trees(image)
            for table in map(image.l2_offset, image.words(l1_offset, l1_size))
            if table and structures[table // image.cluster_size]]


def through_structures(image):
    """{(tree, guest cluster)} of what is found through an L2 table that is something else besides, and changes with that."""
    structures = _structures(image)
    return {(name, index * image.l2_entries + number) for name, l1_offset, l1_size in trees(image)
            for index, table in enumerate(map(image.l2_offset, image.words(l1_offset, l1_size)))
            if table and structures[table // image.cluster_size] for number in range(image.l2_entries)}


def lost(before, after, left_out=()):
    """What could be read and now reads otherwise, a line each."""
    lines = []
    for name, clusters in before.items():
        if name not in after:
            lines.append(f"snapshot {name} is gone")
            continue
        for number in sorted(clusters.keys() | after[name].keys()):
            if clusters.get(number) != after[name].get(number) and (name, number) not in left_out:
                lines.append(f"guest cluster {number} of {name or 'the disk'}: {clusters.get(number)} "
                             f"became {after[name].get(number)}")
    return lines
