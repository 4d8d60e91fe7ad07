# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images: small, of every kind, half of them made by the stock tools and half by our builder.

Each is a file t.qcow2 in a directory of its own, with what it needs beside it (backing file, data file).
"""

import os
import subprocess

from luks import KEY
from luks import create as create_luks
from qcow2.builder import Builder


class Maker:
    """The stock tools, run in the directory of the image."""

    def __init__(self, stock, stock_io, directory):
        self.stock = stock
        self.stock_io = stock_io
        self.directory = directory

    def run(self, *command):
        subprocess.run(command, cwd=self.directory, check=True, stdout=subprocess.DEVNULL)

    def create(self, size, *options, name="t.qcow2"):
        words = ["-o", ",".join(options)] if options else []
        self.run(self.stock, "create", "-q", "-f", "qcow2", *words, name, size)

    def io(self, *commands):
        self.run(self.stock_io, "-f", "qcow2", *[word for c in commands for word in ("-c", c)], "t.qcow2")

    def snapshot(self, name):
        self.run(self.stock, "snapshot", "-c", name, "t.qcow2")

    def bitmap(self, name, *options):
        self.run(self.stock, "bitmap", "--add", *options, "t.qcow2", name)

    def build(self, builder):
        builder.save(os.path.join(self.directory, "t.qcow2"))


def empty(m):
    m.create("1M")


def data(m):
    m.create("1M")
    m.io("write -P 0 0 128k", "write -P 0 512k 64k")


def clusters_512(m):
    m.create("1M", "cluster_size=512")
    m.io("write 0 100k", "write -z 120k 4k", "write 300k 50k", "discard 20k 10k")


def clusters_4k(m):
    m.create("16M", "cluster_size=4k")
    m.io("write 0 300k", "write 3M 40k", "write 15M 8k", "discard 8k 8k")


def preallocated(m):
    m.create("1M", "cluster_size=8k", "preallocation=metadata")
    m.io("write -z 0 64k", "write 128k 16k")


def compressed(m):
    m.create("1M")
    m.io(*[f"write -c -P {i} {i * 64}k 64k" for i in range(6)])


def compressed_zstd(m):
    m.create("4M", "cluster_size=4k", "compression_type=zstd")
    m.io(*[f"write -c -P {i} {i * 8}k 4k" for i in range(20)], "write 3M 20k")


def extended(m):
    m.create("1M", "extended_l2=on")
    m.io("write 0 64k", "write 64k 10k", "write -z 128k 64k", "write -z 64k 2k")


def extended_16k(m):
    m.create("16M", "extended_l2=on", "cluster_size=16k")
    m.io("write 0 200k", "write 8M 33k", "write -z 100k 20k", "write -c 512k 16k")
    m.snapshot("s0")
    m.io("write 20k 5k", "discard 0 16k")


def snapshots(m):
    m.create("1M")
    m.io("write 0 128k")
    m.snapshot("s0")
    m.io("write 0 64k")
    m.snapshot("s1")
    m.io("write 64k 64k")


def snapshots_512(m):
    m.create("1M", "cluster_size=512")
    m.io("write 0 60k", "write 500k 20k")
    for name in ["first", "second", "", "a name with blanks"]:
        m.snapshot(name or "third")
        m.io("write 10k 9k", "discard 30k 2k")


def bitmaps(m):
    m.create("1M")
    m.io("write 0 128k")
    m.bitmap("b0")
    m.bitmap("b1")
    m.io("write 256k 64k")


def bitmaps_512(m):
    m.create("16M", "cluster_size=512")
    m.io("write 0 20k")
    m.bitmap("fine", "-g", "512")
    m.bitmap("coarse", "--disable")
    m.io("write 3M 64k")


def snapshot_and_bitmap(m):
    m.create("4M", "cluster_size=2k", "lazy_refcounts=on")
    m.io("write 0 100k", "write 2M 40k")
    m.snapshot("s0")
    m.bitmap("b0", "-g", "1k")
    m.io("write 50k 20k")


def data_file(m):
    m.create("1M", "data_file=t.data")
    m.io("write 0 128k", "write 512k 64k")


def data_file_raw(m):
    m.create("1M", "data_file=t.data", "data_file_raw=on", "cluster_size=4k")
    m.io("write 0 128k", "write 512k 64k")


def backing_file(m):
    m.create("1M", name="base.qcow2")
    m.run(m.stock, "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "t.qcow2", "2M")
    m.io("write 0 128k", "write -z 1M 64k")


def version_2(m):
    m.create("1M", "compat=0.10", "cluster_size=4k")
    m.io("write 0 100k")
    m.snapshot("s0")
    m.io("write 0 20k", "write -c 512k 4k")


def refcounts(bits):
    def make(m):
        m.create("1M", f"refcount_bits={bits}", "cluster_size=4k")
        m.io("write 0 100k", "write 600k 20k")
        if bits > 1:
            m.snapshot("s0")
            m.io("write 40k 20k")
    return make


def luks(m):
    create_luks(m.stock, os.path.join(m.directory, "t.qcow2"), "1M", "cluster_size=4k")
    m.run(m.stock_io, *KEY, "--image-opts", "-c", "write 0 100k",
          "driver=qcow2,file.filename=t.qcow2,encrypt.key-secret=s")


def mixed(b):
    """A little of everything that can be together."""
    cs = b.cluster_size
    b.write(0, 5 * cs)
    b.zero(6 * cs, 2 * cs)
    b.zero(9 * cs, 2 * cs, preallocated=True)
    b.compress(12 * cs, 5 * cs)
    if b.extended_l2:
        b.subclusters(20 * cs, 0x0000FF00, 0x000000FF)
    b.snapshot("s0", vm_state=2 * cs)
    b.write(cs, 2 * cs)
    b.snapshot("s1", id="named")
    b.write(2 * cs, cs)
    b.discard(4 * cs, cs)
    return b


def built(**options):
    return lambda m: m.build(mixed(Builder(**options)))


def built_bitmaps(m):
    b = mixed(Builder(4 << 20, cluster_bits=9, refcount_order=3))
    b.bitmap("sparse", "zd1d", granularity_bits=9)
    b.bitmap("unsaved", "d", flags=3)
    b.bitmap("empty", "z")
    m.build(b)


def built_crash(m):
    """Lazy refcounts, and the machine went down: the dirty bit is set."""
    m.build(mixed(Builder(1 << 20, cluster_bits=12, incompatible=1, compatible=1)))


def built_extensions(m):
    b = Builder(1 << 20, cluster_bits=12, header_length=120, feature_names=True)
    b.extension(0x12345678, b"some bytes")
    b.extension(0x9ABCDEF0, b"")
    b.write(0, 8192)
    m.build(b)


def built_snapshots(m):
    """Extra data of every length, and entries that share everything."""
    b = Builder(1 << 20, cluster_bits=10, refcount_order=5)
    b.write(0, 30 << 10)
    for i, extra in enumerate([b"", bytes(16), bytes(24), bytes(100)]):
        b.snapshot(f"extra {len(extra)}", id=f"id{i}", extra=extra)
    b.write(5 << 10, 3 << 10)
    m.build(b)


BASES = {
    "empty": empty,
    "data": data,
    "clusters-512": clusters_512,
    "clusters-4k": clusters_4k,
    "preallocated": preallocated,
    "compressed": compressed,
    "compressed-zstd": compressed_zstd,
    "extended": extended,
    "extended-16k": extended_16k,
    "snapshots": snapshots,
    "snapshots-512": snapshots_512,
    "bitmaps": bitmaps,
    "bitmaps-512": bitmaps_512,
    "snapshot-and-bitmap": snapshot_and_bitmap,
    "data-file": data_file,
    "data-file-raw": data_file_raw,
    "backing-file": backing_file,
    "version-2": version_2,
    "refcounts-1": refcounts(1),
    "refcounts-2": refcounts(2),
    "refcounts-64": refcounts(64),
    "luks": luks,
    "built-512": built(size=1 << 20, cluster_bits=9),
    "built-version-2": built(size=1 << 20, cluster_bits=11, version=2),
    "built-extended-16k": built(size=4 << 20, cluster_bits=14, extended_l2=True),
    "built-4-bit": built(size=1 << 20, cluster_bits=12, refcount_order=2),
    "built-32-bit": built(size=64 << 20, cluster_bits=16, refcount_order=5),
    "built-spare-l1": built(size=1 << 20, cluster_bits=9, spare_l1=100),
    "built-bitmaps": built_bitmaps,
    "built-crash": built_crash,
    "built-extensions": built_extensions,
    "built-snapshots": built_snapshots,
}


def make_bases(directory, names, stock, stock_io):
    """Makes the named bases, each in a directory of its name below directory. {name: directory}"""
    made = {}
    for name in names:
        made[name] = os.path.join(directory, name)
        os.makedirs(made[name])
        BASES[name](Maker(stock, stock_io, made[name]))
    return made
