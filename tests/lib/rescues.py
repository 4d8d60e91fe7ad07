#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rescue run: images of the stock tool that lose header, L1 table or both, and what a rescue brings back.

    rescues.py --ours build/qemu-img --stock qemu-img --stock-io qemu-io [--only KIND] [--report]

The disk, and that of each snapshot, is read by the stock tool before the loss. Afterwards every byte of the new image is
compared with it, by the classes of the map. What is proved must be right, always; each case says what else must be. The
stock tool must find nothing wrong with the new image. At last a few images lose things at random: see
tests/lib/random_losses.py, and tests/bench/recovery for many more.

Exits with 1 where something is not as it must be. --report prints the bytes of each class: right and wrong, in KiB.
"""

import argparse
import json
import os
import pathlib
import random
import sys
import tempfile

import luks
import random_losses
from marked import Failure, Tools
from qcow2 import address
from qcow2.builder import Builder
from scratch import fast_folder

KIB, MIB = 1 << 10, 1 << 20
SIZE = 12 * MIB
KINDS = {
    "plain": {},
    "small clusters": {"cluster_size": 4096},
    "large clusters": {"cluster_size": 2 * MIB},
    "extended": {"extended_l2": "on"},
    "1-bit counts": {"refcount_bits": 1},
    "64-bit counts": {"refcount_bits": 64},
    "zlib": {"convert": True},
    "zstd": {"compression_type": "zstd", "convert": True},
    "snapshots": {"snapshots": True},
    "small clusters, snapshots": {"cluster_size": 4096, "snapshots": True},
    "backing file": {"backing": True},
    "version 2": {"compat": "0.10"},
}
# Offset and size of each field of the header that a rescue goes by or has to do without.
FIELDS = {
    "magic": (0, 4), "version": (4, 4), "backing_file_offset": (8, 8), "backing_file_size": (16, 4),
    "cluster_bits": (20, 4), "size": (24, 8), "l1_size": (36, 4), "l1_table_offset": (40, 8),
    "refcount_table_offset": (48, 8), "refcount_table_clusters": (56, 4), "nb_snapshots": (60, 4),
    "snapshots_offset": (64, 8), "incompatible_features": (72, 8), "refcount_order": (96, 4),
    "header_length": (100, 4)}


class Lab(Tools):
    """An image, its truth, and what is made of it."""

    def __init__(self, args, folder):
        super().__init__(args.ours, args.stock, args.stock_io, folder)
        self.report = args.report
        self.failures = 0
        self.kind, self.data, self.truth, self.snapshots = "", b"", b"", {}

    def read(self, name, *options):
        self.run(self.stock, "convert", "-O", "raw", *options, name, "disk.raw")
        with open(self.path("disk.raw"), "rb") as disk:
            return disk.read()

    def write(self, *commands):
        self.run(self.stock_io, "-f", "qcow2", *[word for text in commands for word in ("-c", text)], "a.qcow2")

    # ---- before the loss ----

    def make(self, kind):
        options = dict(KINDS[kind])
        convert, snapshots, backing = (options.pop(name, False) for name in ("convert", "snapshots", "backing"))
        self.kind, self.snapshots = kind, {}
        create = ["create", "-f", "qcow2"]
        if options:
            create += ["-o", ",".join(f"{name}={value}" for name, value in options.items())]
        if backing:
            self.put("base.raw", random.Random(1).randbytes(SIZE))
            create += ["-b", "base.raw", "-F", "raw"]
        self.run(self.stock, *create, "a.qcow2", str(SIZE))
        self.write("write -P 1 0 1M", "write -P 2 5M 600k", "write -P 3 11M 1M", "write -P 4 7M 4k", "write -z 8M 1M")
        for number in range(2 if snapshots else 0):
            self.run(self.stock, "snapshot", "-c", f"s{number}", "a.qcow2")
            self.snapshots[f"s{number}"] = self.read("a.qcow2")
            self.write(f"write -P {10 + number} 512k 256k", f"write -P {20 + number} {2 + number}M 128k")
        if convert:
            os.rename(self.path("a.qcow2"), self.path("b.qcow2"))
            self.run(self.stock, "convert", "-c", "-O", "qcow2", "-o",
                     f"compression_type={options.get('compression_type', 'zlib')}", "b.qcow2", "a.qcow2")
        self.take()

    def take(self):
        """The truth is that of a.qcow2 now."""
        self.truth = self.read("a.qcow2")
        with open(self.path("a.qcow2"), "rb") as image:
            self.data = image.read()

    def put(self, name, data):
        with open(self.path(name), "wb") as out:
            out.write(data)

    def number(self, offset, size):
        return int.from_bytes(self.data[offset:offset + size], "big")

    def header(self):
        return (0, min(1 << self.number(20, 4), len(self.data)))

    def l1_table(self):
        return (self.number(40, 8), 8 * self.number(36, 4))

    def l1_entries(self):
        """Places of those that are no zeros."""
        offset, size = self.l1_table()
        return [(at, 8) for at in range(offset, offset + size, 8) if self.number(at, 8)]

    def l2_tables(self):
        return [(self.number(*entry) & 0xfffffffffffe00, 1 << self.number(20, 4)) for entry in self.l1_entries()]

    # ---- after it ----

    def rescue(self, name, *lost, fill=bytes, metadata=False):
        """{class: [bytes right, bytes wrong]} after the ranges @lost, (offset, size), were overwritten."""
        damaged = bytearray(self.data)
        for offset, size in lost:
            damaged[offset:offset + size] = fill(size)
        self.put("b.qcow2", damaged)
        options = ["--metadata", "m.qcow2"] if metadata else []
        done = self.run(self.ours, "rescue", "--overwrite", "--map", "map.json", *options, "b.qcow2", "c.qcow2",
                        statuses=(0, 2))
        with open(self.path("b.qcow2"), "rb") as source:
            if source.read() != damaged:
                raise Failure("the source was written to")
        self.run(self.stock, "check", "c.qcow2")
        with open(self.path("map.json"), encoding="utf-8") as file:
            found = json.load(file)
        classes = self.compare(found)
        sure = not set(classes) & {"guessed", "missing"} and not found["unplaced"]
        if sure != (done.returncode == 0):
            raise Failure(f"exit {done.returncode} does not fit the map")
        if self.report:
            print(f"{self.kind}: {name}:", {key: [n >> 10 for n in value] for key, value in classes.items()})
        return classes, found

    def compare(self, found):
        disk, at, classes = self.read("c.qcow2"), 0, {}
        for part in found["ranges"]:
            if part["start"] != at:
                raise Failure(f"the map has a gap at {at}")
            at += part["length"]
            sums = classes.setdefault(part["class"], [0, 0])
            if disk[part["start"]:at] == self.truth[part["start"]:at].ljust(part["length"], b"\0"):
                sums[0] += part["length"]
                continue
            for first in range(part["start"], at, 512):
                truth = self.truth[first:first + 512].ljust(min(512, at - first), b"\0")
                sums[disk[first:first + 512] != truth] += len(truth)
        if at != found["size"] or at != len(disk):
            raise Failure(f"the map ends at {at}, and the disk at {len(disk)}")
        return classes

    def case(self, name, *lost, right=(), same_size=True, **how):
        """What is proved, or of a class in @right, is right; with "all" everything is, snapshots included."""
        try:
            classes, found = self.rescue(name, *lost, **how)
            wrong = [key for key, value in classes.items()
                     if value[1] and (key == "proved" or key in right or "all" in right)]
            if wrong:
                raise Failure(f"bytes that are {' and '.join(wrong)} are wrong: {classes}")
            if same_size and found["size"] != len(self.truth):
                raise Failure(f"the disk has {found['size']} bytes, not {len(self.truth)}")
            for snapshot, truth in self.snapshots.items() if "all" in right else ():
                if self.read("c.qcow2", "-l", snapshot) != truth:
                    raise Failure(f"snapshot {snapshot} differs")
        except Failure as failure:
            self.failures += 1
            print(f"{self.kind}: {name}: {failure}", flush=True)


def lose_one_thing(lab):
    """Where only the header is gone, or one field of it, everything is right."""
    small = lab.number(20, 4) == 12
    nothing_is_behind = "backing" not in lab.kind  # the name of a backing file is gone with the header
    lab.case("nothing", right=["all"])
    lab.case("header", lab.header(), right=["all"] if nothing_is_behind else [])
    lab.case("header, noise", lab.header(), fill=random.Random(2).randbytes, right=["all"] if nothing_is_behind else [])
    lab.case("512 bytes", (0, 512), right=["all"] if nothing_is_behind else [])
    lab.case("header and refcount table", lab.header(), (lab.number(48, 8), 1 << lab.number(20, 4)),
             right=["all"] if nothing_is_behind else [])
    for name, field in FIELDS.items():
        if name == "incompatible_features" and lab.number(*field):
            continue  # judged with the others below
        fills = [random.Random(name).randbytes, bytes, lambda n: b"\xff" * n]
        for fill in fills if lab.kind == "plain" else fills[:1]:
            if fill(field[1]) != lab.data[field[0]:sum(field)]:
                lab.case(f"{name} {fill(field[1]).hex()}", field, fill=fill, right=["all"])
    lab.case("incompatible features", (72, 8), right=["all"])
    entries = lab.l1_entries()
    if len(entries) > 1:
        lab.case("two L1 entries name one table", entries[1], fill=lambda n: lab.data[entries[0][0]:entries[0][0] + n])
    table, size = lab.l2_tables()[0]
    used = next(at for at in range(table, table + size, 16) if any(lab.data[at:at + 16]))
    lab.case("16 bytes of an L2 table", (used, 16))
    # One L2 table at most is needed for the disk, but with small clusters.
    lab.case("L1 table", lab.l1_table(), right=[] if small else ["all"])
    lab.case("header and L1 table", lab.header(), lab.l1_table(), same_size=not small,
             right=[] if small or not nothing_is_behind else ["all"])


def lose_with_metadata(lab, order):
    """Small clusters, of whose L2 tables an earlier metadump speaks."""
    reach = 2 * MIB
    lab.kind, lab.snapshots = f"metadata, windows {order}", {}
    lab.run(lab.stock, "create", "-f", "qcow2", "-o", "cluster_size=4096", "a.qcow2", str(SIZE))
    for window in order:
        lab.write(f"write -P {window + 1} {window * reach} 300k", f"write -P 9 {window * reach + MIB} 4k")
    if os.path.exists(lab.path("m.qcow2")):
        os.remove(lab.path("m.qcow2"))
    lab.run(lab.ours, "metadump", "-q", "a.qcow2", "m.qcow2")
    lab.take()
    for later in range(2):
        if later:  # the metadata is that of yesterday
            lab.write(f"write -P 50 {order[1] * reach + MIB} 64k", f"discard {order[0] * reach} 64k",
                      f"write -P 51 {order[2] * reach} 40k")
            lab.take()
        when = "today" if not later else "yesterday"
        lab.case(f"L1 table, metadata of {when}", lab.l1_table(), metadata=True, right=["all"])
        lab.case(f"header and L1 table, metadata of {when}", lab.header(), lab.l1_table(), metadata=True, right=["all"])
        lab.case(f"L2 tables, metadata of {when}", *lab.l2_tables(), metadata=True,
                 right=["inferred"] if later else ["all"])
        lab.case(f"all tables, metadata of {when}", lab.header(), lab.l1_table(), *lab.l2_tables(), metadata=True,
                 right=["inferred"] if later else ["all"])


def lose_extended_tables(lab):
    """All extended L2 tables: only the header, or that of the copy, says that they were extended."""
    lab.kind, lab.snapshots = "metadata, extended", {}
    lab.run(lab.stock, "create", "-f", "qcow2", "-o", "cluster_size=16k,extended_l2=on", "a.qcow2", str(SIZE * 4))
    lab.write("write -P 1 0 9M", "write -P 2 20M 3M", "write -P 3 40M 2k")
    if os.path.exists(lab.path("m.qcow2")):
        os.remove(lab.path("m.qcow2"))
    lab.run(lab.ours, "metadump", "-q", "a.qcow2", "m.qcow2")
    lab.take()
    lab.case("L2 tables", *lab.l2_tables(), metadata=True, right=["all"])
    lab.case("L1 and L2 tables", lab.l1_table(), *lab.l2_tables(), metadata=True, right=["all"])
    lab.case("header and L2 tables", lab.header(), *lab.l2_tables(), metadata=True, right=["all"])
    lab.case("all tables", lab.header(), lab.l1_table(), *lab.l2_tables(), metadata=True, right=["all"])


def keep_bitmaps_apart(lab):
    """What bitmaps have is no data that may be missing anywhere: all of the disk is proved, as it is without them."""
    for bits, stale in ((12, False), (16, False), (16, True)):
        image = Builder(SIZE, cluster_bits=bits)
        image.write(MIB, 20 << bits)
        for name in ("b0", "b1"):
            image.bitmap(name, "d", bits)
        image.save(lab.path("a.qcow2"))
        if stale:  # their clusters may have been given to somebody else
            address.poke(lab.path("a.qcow2"), [("header:autoclear_features", 0)])
        lab.kind, lab.snapshots = f"bitmaps, {bits} bits{', stale' if stale else ''}", {}
        lab.take()
        lab.case("nothing", right=["all"])
        if ("guessed" in lab.rescue("nothing")[0]) != stale or (set(lab.rescue("nothing")[0]) != {"proved"}) != stale:
            lab.failures += 1
            print(f"{lab.kind}: not {'guessed' if stale else 'proved'}")


def rescue_with_data_file(lab):
    """The data lie elsewhere: no image can be made of the tables, and none is, whatever is lost."""
    for raw in (False, True):
        image = Builder(SIZE)
        image.external_data("data.raw", raw=raw)
        image.write(0, 20 << 16)
        image.save(lab.path("a.qcow2"))
        lab.put("m.qcow2", pathlib.Path(lab.path("a.qcow2")).read_bytes())
        with open(lab.path("a.qcow2"), "rb") as file:
            lab.data = file.read()
        for lost, metadata in (([], False), ([lab.l1_table()], False), (lab.l2_tables(), True), ([lab.header()], True)):
            damaged = bytearray(lab.data)
            for offset, size in lost:
                damaged[offset:offset + size] = bytes(size)
            lab.put("b.qcow2", damaged)
            done = lab.run(lab.ours, "rescue", "--overwrite", *(["--metadata", "m.qcow2"] if metadata else []), "b.qcow2",
                           "none.qcow2", statuses=(1,))
            if "external data file" not in done.stderr or os.path.exists(lab.path("none.qcow2")):
                lab.failures += 1
                print(f"data file, raw {raw}, lost {lost}: {done.stderr}")


def rescue_encrypted(lab):
    """A LUKS header is found by its magic, and the stock tool reads the disk with the same key; with AES nothing but the
    header says that there is a key."""
    options = "driver=qcow2,encrypt.key-secret=s,file.filename="
    luks.create(lab.stock, lab.path("a.qcow2"), SIZE)
    lab.run(lab.stock_io, *luks.KEY, "-c", "write -P 1 0 1M", "-c", "write -P 2 9M 1M", "--image-opts", f"{options}a.qcow2")
    lab.run(lab.stock, "convert", *luks.KEY, "-O", "raw", "--image-opts", f"{options}a.qcow2", "a.raw")
    lab.data = pathlib.Path(lab.path("a.qcow2")).read_bytes()
    for lost in ([lab.header()], [lab.header(), lab.l1_table()]):
        damaged = bytearray(lab.data)
        for offset, size in lost:
            damaged[offset:offset + size] = bytes(size)
        lab.put("b.qcow2", damaged)
        lab.run(lab.ours, "rescue", "-q", "--overwrite", "b.qcow2", "c.qcow2", statuses=(0, 2))
        lab.run(lab.stock, "convert", *luks.KEY, "-O", "raw", "--image-opts", f"{options}c.qcow2", "c.raw")
        before, after = (pathlib.Path(lab.path(name)).read_bytes() for name in ("a.raw", "c.raw"))
        if not after or before[:len(after)] != after or any(before[10 * MIB:]) and len(after) < SIZE:
            lab.failures += 1
            print(f"LUKS, lost {lost}: other data")
    image = Builder(SIZE)
    image.aes()
    image.write(0, 20 << 16)
    image.save(lab.path("a.qcow2"))
    lab.data = pathlib.Path(lab.path("a.qcow2")).read_bytes()
    for size, method in ((0, 1), (1 << 16, 0)):
        lab.put("b.qcow2", bytes(size) + lab.data[size:])
        done = lab.run(lab.ours, "rescue", "--overwrite", "b.qcow2", "c.qcow2", statuses=(0, 2))
        new = pathlib.Path(lab.path("c.qcow2")).read_bytes()
        if int.from_bytes(new[32:36], "big") != method or ("AES encryption" in done.stdout + done.stderr) != (method == 0):
            lab.failures += 1
            print(f"AES, {size} bytes lost: method {new[32:36].hex()}: {done.stdout}")


def lose_order(lab):
    """Metadata preallocated: each table goes on where the last ended. Then the order is the only one."""
    lab.kind, lab.snapshots = "written in order", {}
    lab.put("order.raw", bytes(range(1, 256)) * (SIZE // 255) + bytes(SIZE % 255))
    lab.run(lab.stock, "convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4096", "order.raw", "a.qcow2")
    lab.take()
    lab.case("L1 table", lab.l1_table(), right=["all"])
    lab.case("header and L1 table", lab.header(), lab.l1_table(), right=["all"])
    first, (table, _) = lab.l1_table()[0], lab.l2_tables()[0]
    lab.case("half an L2 table", (table, 2048))
    lab.case("one table twice", (first + 8, 8), fill=lambda _: lab.data[first:first + 8])
    if os.path.exists(lab.path("m.qcow2")):
        os.remove(lab.path("m.qcow2"))
    lab.run(lab.ours, "metadump", "-q", "a.qcow2", "m.qcow2")
    lab.case("one table twice, with metadata", (first + 8, 8), fill=lambda _: lab.data[first:first + 8], metadata=True,
             right=["all"])
    lab.case("a table in another place", (first, 8), (first + 8, 8), metadata=True, right=["all"],
             fill=lambda _, words=[lab.data[first:first + 8], bytes(8)]: words.pop())


def lose_at_random(args):
    """The beginnings of two groups of tests/bench/recovery, for which the promises hold."""
    failures = 0
    for number in range(2):
        with tempfile.TemporaryDirectory(dir=fast_folder(), prefix="rescues-") as folder:
            tools = Tools(args.ours, args.stock, args.stock_io, folder)
            failures += len(random_losses.run(tools, "check", number, count=25)[1])
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True)
    parser.add_argument("--stock", default="qemu-img")
    parser.add_argument("--stock-io", default="qemu-io")
    parser.add_argument("--only", help="one kind of image; metadata, bitmaps, elsewhere, order or random")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    args.ours = os.path.abspath(args.ours)
    with tempfile.TemporaryDirectory(dir=fast_folder(), prefix="rescues-") as folder:
        lab = Lab(args, folder)
        for kind in [args.only] if args.only else KINDS:
            if kind in KINDS:
                lab.make(kind)
                lose_one_thing(lab)
        if args.only in (None, "metadata"):
            lose_with_metadata(lab, [0, 1, 2, 3, 4, 5])
            lose_with_metadata(lab, [4, 1, 3, 0])
            lose_extended_tables(lab)
        if args.only in (None, "bitmaps"):
            keep_bitmaps_apart(lab)
        if args.only in (None, "elsewhere"):
            rescue_with_data_file(lab)
            rescue_encrypted(lab)
        if args.only in (None, "order"):
            lose_order(lab)
    if args.only in (None, "random"):
        lab.failures += lose_at_random(args)
    print(f"{lab.failures} cases failed")
    return 1 if lab.failures else 0


if __name__ == "__main__":
    sys.exit(main())
