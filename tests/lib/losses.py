#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The loss run: sound images that lose tables at random, and a repair that must not free what they mapped.

    losses.py --ours build/qemu-img --count 1000 --seed 1 [--only I --keep DIR]

An image is made, and its counts are right. Then L1 entries, L2 tables, parts of them, an L1 table or a snapshot table are
taken away, and no count is changed. So all counts are those of the image before, and a repair that frees none of what was
lost lowers none of them. It may raise some. What lies in the clusters must be what was there.

Two in three images are repaired with -r all, the others with -r leaks. Exits with 1 where a count is lower afterwards or
a cluster has other bytes.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile

from qcow2 import layout, reader
from qcow2.builder import Builder
from scratch import fast_folder


class Counts:
    """The stored counts of an image."""

    def __init__(self, image):
        self.image = image
        self.width = 1 << image.refcount_order

    def all(self):
        """{cluster: count} of those that are not 0."""
        found, per_block = {}, self.image.counts_per_block
        for index, entry in enumerate(self.image.reftable_entries()):
            block = self.image.source.read(entry, self.image.cluster_size) if entry else b""
            value = int.from_bytes(block, "big" if self.width >= 8 else "little")
            for i in range(per_block if block.strip(b"\0") else 0):
                count = self._count(block, value, i)
                if count:
                    found[index * per_block + i] = count
        return found

    def _count(self, block, value, i):
        if self.width >= 8:
            return int.from_bytes(block[i * self.width // 8:(i + 1) * self.width // 8], "big")
        return value >> i * self.width & ((1 << self.width) - 1)


def counts(path):
    image = reader.open_image(path)
    try:
        return Counts(image).all()
    finally:
        image.source.close()


# ---- images ----

def random_image(source):
    """A builder with data, and how it was written: "order" or "anyhow"."""
    extended = source.random() < 0.2
    bits = source.choice([14, 16]) if extended else source.choice([9, 9, 10, 12, 16])
    probe = Builder(1 << 20, cluster_bits=bits, extended_l2=extended)
    table, cluster = probe.l2_entries << bits, 1 << bits
    tables = source.randint(1, 6)
    builder = Builder(tables * table - source.randrange(2) * cluster, cluster_bits=bits, extended_l2=extended,
                      refcount_order=source.choice([4, 4, 4, 3, 5, 6]))
    how = source.choice(["order", "anyhow"])
    most = 3000 // tables  # clusters of a table
    for index in source.sample(range(tables), tables) if how == "anyhow" else range(tables):
        fill(builder, source, index, how, min(probe.l2_entries, most))
    for number in range(source.choice([0, 0, 1, 2])):
        builder.snapshot(f"s{number}")
        overwrite(builder, source, table, tables)
    return builder, how


def fill(builder, source, index, how, most):
    """Writes to the range of one table."""
    cluster = builder.cluster_size
    first = index * builder.l2_entries * cluster
    n = min(most, (builder.size - first) // cluster)
    if n <= 0:
        return
    used = source.randint(max(1, n // 2), n)
    entries = list(range(used)) if how == "order" else source.sample(range(n), used)
    for entry in entries:
        if how == "anyhow" and not builder.extended_l2 and source.random() < 0.05:
            builder.compress(first + entry * cluster, cluster)
        else:
            builder.write(first + entry * cluster, cluster)


def overwrite(builder, source, table, tables):
    for _ in range(source.randint(0, 3)):
        at = source.randrange(tables) * table + source.randrange(min(builder.l2_entries, 64)) * builder.cluster_size
        if at + 4 * builder.cluster_size <= builder.size:
            builder.write(at, 4 * builder.cluster_size)


# ---- losses ----

def put(path, offset, data):
    with open(path, "r+b") as out:
        out.seek(offset)
        out.write(data)


def used_tables(image):
    """[(L1 index, offset of the table)] of the disk."""
    return [(i, image.l2_offset(entry)) for i, entry in enumerate(image.l1_entries()) if image.l2_offset(entry)]


def lose_l1_entries(path, image, source, _how):
    """Some L1 entries are zeros."""
    tables = used_tables(image)
    for index, _ in source.sample(tables, source.randint(1, len(tables))):
        put(path, image.l1_offset + 8 * index, bytes(8))


def lose_tables(path, image, source, _how):
    """Some L2 tables are zeros."""
    tables = used_tables(image)
    for _, offset in source.sample(tables, source.randint(1, len(tables))):
        put(path, offset, bytes(image.cluster_size))


def lose_sectors(path, image, source, how):
    """Sectors of a table are zeros. Only in tables that were written in order do all of their neighbours tell so."""
    _, offset = source.choice(used_tables(image))
    data = image.source.read(offset, image.cluster_size)
    sectors = [i for i in range(0, image.cluster_size, 512) if all(any(data[k:k + 8]) for k in range(i, i + 512, 16))]
    if how != "order" or not sectors or image.snapshots() or image.cluster_size < 4096:
        lose_tables(path, image, source, how)
        return
    first = source.choice(sectors)
    last = source.choice([at for at in sectors if first <= at <= first + 4096])
    put(path, offset + first, bytes(last + 512 - first))


def lose_l1_table(path, image, _source, _how):
    """The header refers to a new L1 table, without entries, behind the end of the file."""
    end = layout.align_up(os.path.getsize(path), image.cluster_size)
    size = layout.align_up(8 * image.l1_size, image.cluster_size)
    put(path, end, bytes(size))
    put(path, 40, end.to_bytes(8, "big"))


def lose_snapshots(path, image, source, how):
    """The header counts no snapshots."""
    if not image.snapshots():
        lose_l1_entries(path, image, source, how)
        return
    put(path, 60, bytes(12))


def lose_snapshot_entries(path, image, source, how):
    """Some entries of the L1 table of a snapshot are zeros."""
    if not image.snapshots():
        lose_l1_entries(path, image, source, how)
        return
    snapshot = source.choice(image.snapshots())
    entries = [i for i, entry in enumerate(image.words(snapshot.l1_offset, snapshot.l1_size)) if entry]
    for index in source.sample(entries, min(2, len(entries))):
        put(path, snapshot.l1_offset + 8 * index, bytes(8))


def lose_to_another(path, image, source, how):
    """Two L1 entries refer to one table."""
    tables = used_tables(image)
    if len(tables) < 2 or image.snapshots():
        lose_l1_entries(path, image, source, how)
        return
    (index, _), (other, _) = source.sample(tables, 2)
    put(path, image.l1_offset + 8 * index, image.source.read(image.l1_offset + 8 * other, 8))


LOSSES = [lose_l1_entries, lose_tables, lose_sectors, lose_l1_table, lose_snapshots, lose_snapshot_entries,
          lose_to_another]


# ---- a trial ----

def bytes_of(path, clusters, size):
    with open(path, "rb") as image:
        found = {}
        for cluster in clusters:
            image.seek(cluster * size)
            found[cluster] = image.read(size).ljust(size, b"\0")
        return found


def trial(ours, path, source):
    """(what was lost, [what is wrong after the repair])"""
    builder, how = random_image(source)
    builder.save(path)
    put_patterns(path, builder.cluster_size)
    before, size = counts(path), builder.cluster_size
    image = reader.open_image(path)
    loss = source.choice(LOSSES)
    loss(path, image, source, how)
    image.source.close()
    contents = bytes_of(path, before, size)
    lost = f"{loss.__name__} ({how}, clusters of {size} bytes, {len(builder.snapshots)} snapshots)"
    mode = source.choice(["all", "all", "leaks"])
    done = subprocess.run([ours, "check", "-r", mode, path], capture_output=True, check=False)
    if done.returncode not in (0, 1, 2, 3):  # 1: a new L1 table has no count, which -r leaks does not repair
        return lost, [f"exit {done.returncode}: {done.stderr[-500:]}"]
    return lost, compare(path, before, contents, size)


def put_patterns(path, size):
    """Data that is no zeros, in clusters that are holes so far."""
    with open(path, "r+b") as image:
        for at in range(size, os.path.getsize(path) - size + 1, size):
            image.seek(at)
            if not image.read(size).strip(b"\0"):
                image.seek(at)
                image.write(b"data %11d" % at * (size // 16))


def compare(path, before, contents, size):
    """Tables may have other COPIED flags, and counts are compared as such."""
    after = counts(path)
    lower = sorted(cluster for cluster, count in before.items() if after.get(cluster, 0) < count)
    now = bytes_of(path, contents, size)
    changed = [cluster for cluster, data in contents.items() if data[:5] == b"data " and now[cluster] != data]
    return ([f"{len(lower)} counts are lower, of clusters {lower[:8]}"] if lower else []) + \
        ([f"{len(changed)} clusters have other bytes: {changed[:8]}"] if changed else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep", help="keep images that fail here, as they were before the repair")
    args = parser.parse_args()
    ours, failed = os.path.abspath(args.ours), 0
    with tempfile.TemporaryDirectory(dir=fast_folder(), prefix="losses-") as folder:
        path = os.path.join(folder, "t.qcow2")
        for index in range(args.count) if args.only is None else [args.only]:
            source = random.Random(f"{args.seed}:{index}")
            lost, wrong = trial(ours, path, source)
            if wrong:
                failed += 1
                print(f"{args.seed}:{index}: {lost}: {'; '.join(wrong)}", flush=True)
                if args.keep:
                    shutil.copyfile(path, os.path.join(args.keep, f"{args.seed}-{index}.qcow2"))
    print(f"{failed} of {args.count if args.only is None else 1} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
