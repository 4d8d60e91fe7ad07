# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of every kind, made by the stock tools, whose guest data is marks: see marks.py.

The truth about each is what the stock tool reads while the image is sound. That it is what was written, and that the
reader of these tests reads the same, is asserted for each image.
"""

import os
import random
import subprocess
from dataclasses import dataclass, field

import marks
from leaks import Leaks

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass
class Kind:
    name: str
    cluster_size: int
    options: tuple = ()
    order: str = "order"  # in which windows and clusters are written: "order", or "random"
    full: bool = False  # each table is used from its first to its last entry
    aged: bool = False  # by discards, and new writes after them
    snapshots: int = 0
    compressed: bool = False

    @property
    def extended(self):
        return "extended_l2=on" in self.options

    @property
    def reach(self):
        """Bytes of the disk for which one L2 table speaks."""
        return self.cluster_size * (self.cluster_size // (16 if self.extended else 8))


KINDS = [
    Kind("512 B, in order", 512),
    Kind("512 B, at random, snapshots", 512, order="random", snapshots=2),
    Kind("4 KiB, in order, tables full", 4 * KIB, full=True),
    Kind("4 KiB, in order", 4 * KIB),
    Kind("4 KiB, at random", 4 * KIB, order="random"),
    Kind("4 KiB, aged by discards", 4 * KIB, order="random", aged=True),
    Kind("4 KiB, 1-bit counts", 4 * KIB, ("refcount_bits=1",)),
    Kind("4 KiB, 64-bit counts", 4 * KIB, ("refcount_bits=64",), order="random"),
    Kind("4 KiB, compressed (zlib)", 4 * KIB, compressed=True),
    Kind("4 KiB, snapshots that share tables", 4 * KIB, snapshots=2),
    Kind("16 KiB, extended L2", 16 * KIB, ("extended_l2=on",), order="random"),
    Kind("64 KiB, in order", 64 * KIB),
    Kind("64 KiB, at random", 64 * KIB, order="random"),
    Kind("64 KiB, aged by discards", 64 * KIB, order="random", aged=True),
    Kind("64 KiB, compressed (zstd)", 64 * KIB, ("compression_type=zstd",), compressed=True),
    Kind("64 KiB, snapshots, aged", 64 * KIB, order="random", aged=True, snapshots=2),
    Kind("2 MiB, in order", 2 * MIB),
]


class Failure(Exception):
    """A program did not do what it has to."""


# Without meson's filling of new and freed memory: it is for the program under test, and the stock tool takes three times
# as long to convert a small image with it.
UNFILLED = {"MALLOC_PERTURB_": "0"}


class Tools:
    """The programs, and the folder in which they work."""

    def __init__(self, ours, stock, stock_io, folder, restore_many=None):
        self.ours, self.stock, self.stock_io, self.folder = ours, stock, stock_io, folder
        self.restore_many = restore_many  # tests/bench/restore-many, or None
        self.environment = {**os.environ, "LC_ALL": "C", "QEMU_IMG_FALLBACK": "/nonexistent/qemu-img"}
        self.kind, self.leaks = "", Leaks()  # the kind of image

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *command, statuses=(0,)):
        options = [word for word in command[1:] if word.startswith("-")]
        own = self.leaks.options(self.kind, command[1], *options) if command[0] == self.ours else UNFILLED
        environment = {**self.environment, **own}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True,
                              errors="replace", check=False)
        if done.returncode not in statuses:
            raise Failure(f"{' '.join(command)[:200]}: {done.returncode}: {done.stderr[-500:]}")
        return done

    def read(self, name, block, snapshot=None):
        """The disk as the stock tool reads it."""
        options = ["-l", snapshot] if snapshot else []
        self.run(self.stock, "convert", "-f", "qcow2", "-O", "raw", *options, name, "disk.raw")
        try:
            return marks.read_raw(self.path("disk.raw"), block)
        finally:
            os.unlink(self.path("disk.raw"))


@dataclass
class Marked:
    """An image that is sound. Made anew for each seed; the files are in the folder of the tools."""

    kind: Kind
    name: str
    truth: dict = field(default_factory=dict)  # {ID of the snapshot, None for the guest's disk: Disk}
    metadata: str = "yesterday.qcow2"  # an earlier copy of the metadata


class Maker:
    """Writes one image."""

    def __init__(self, tools, kind, source, name):
        self.tools, self.kind, self.source, self.name = tools, kind, source, name
        self.tables = source.randint(2, 6) if kind.cluster_size < 2 * MIB else source.randint(2, 4)
        self.size = self.tables * kind.reach - source.randrange(2) * kind.cluster_size
        self.expected = marks.Disk(marks.SECTOR)
        self.generation = 0
        self.commands = []

    # ---- what is to be written ----

    def extents(self):
        """(guest offset, length) of the first writes to the disk."""
        kind, source, found = self.kind, self.source, []
        entries = kind.reach // kind.cluster_size
        most = entries
        if not kind.full:
            most = min(entries, {2 * MIB: 3, 64 * KIB: 24, 16 * KIB: 48}.get(kind.cluster_size, 160))
        empty = source.randrange(self.tables) if not kind.full and source.random() < 0.25 else None
        for window in range(self.tables):
            if window == empty:
                continue
            first, left = window * kind.reach, self.size - window * kind.reach
            clusters = min(most, left // kind.cluster_size)
            if not kind.full:
                clusters = source.randint(max(1, clusters // 2), clusters)
            if kind.order == "order":
                at = 0
                while at < clusters:
                    n = clusters if kind.full else min(clusters - at, source.randint(1, max(1, clusters // 3)))
                    found.append((first + at * kind.cluster_size, n * kind.cluster_size))
                    at += n
                continue
            while clusters > 0:
                n = min(clusters, source.choice([1, 1, 2, 3, 8, 16]))
                at = source.randrange(min(entries, left // kind.cluster_size) - n + 1)
                found.append((first + at * kind.cluster_size, n * kind.cluster_size))
                clusters -= n
        if kind.order == "random":
            source.shuffle(found)
        return [self._shortened(extent) for extent in found]

    def _shortened(self, extent):
        """Guests do not always write whole clusters."""
        at, length = extent
        if self.kind.cluster_size == 2 * MIB:
            return at, length - self.kind.cluster_size + 64 * KIB
        if self.kind.cluster_size > 4 * KIB and self.source.random() < 0.3:
            return at, max(4 * KIB, length - self.source.randrange(self.kind.cluster_size) // 512 * 512)
        return extent

    def write(self, extents):
        for at, length in extents:
            self.generation += 1
            data = marks.marks(at, length, self.generation)
            file = f"mark-{len(self.commands)}"
            with open(self.tools.path(file), "wb") as out:
                out.write(data)
            self.commands.append(f"write -q -s {file} {at} {length}")
            for offset in range(0, length, marks.SECTOR):
                self.expected.put((at + offset) // marks.SECTOR, data[offset:offset + marks.SECTOR])

    def age(self, extents):
        """Some of it is discarded, and some is written again, or anew."""
        size = self.kind.cluster_size
        for at, length in self.source.sample(extents, len(extents) // 3):
            length = max(size, length // size * size)
            if at + length <= self.size:
                self.commands.append(f"discard -q {at} {length}")
                for number in range(at // marks.SECTOR, (at + length) // marks.SECTOR):
                    self.expected.blocks.pop(number, None)
        again = self.source.sample(extents, len(extents) // 4)
        self.write([(at, length) for at, length in again if at + length <= self.size])

    def flush(self):
        """Has the stock tool do what was put together so far."""
        if self.commands:
            self.tools.run(self.tools.stock_io, "-f", "qcow2", "-t", "unsafe", "-d", "unmap",
                           *(word for command in self.commands for word in ("-c", command)), self.name)
        for number, command in enumerate(self.commands):
            if command.startswith("write"):
                os.unlink(self.tools.path(f"mark-{number}"))
        self.commands = []

    # ---- the image ----

    def make(self):
        kind, tools = self.kind, self.tools
        options = ",".join([f"cluster_size={kind.cluster_size}", *kind.options])
        tools.run(tools.stock, "create", "-q", "-f", "qcow2", "-o", options, self.name, str(self.size))
        made, extents = Marked(kind, self.name), self.extents()
        self.write(extents)
        self.flush()
        if kind.compressed:
            os.rename(tools.path(self.name), tools.path("plain.qcow2"))
            tools.run(tools.stock, "convert", "-c", "-O", "qcow2", "-o", options, "plain.qcow2", self.name)
            os.unlink(tools.path("plain.qcow2"))
        if kind.aged:
            self.age(extents)
            self.age(extents)
            self.flush()
        for number in range(kind.snapshots):
            tools.run(tools.stock, "snapshot", "-c", f"s{number}", self.name)
            self.write(self.source.sample(extents, max(1, len(extents) // 8)))
            self.flush()
        if os.path.exists(tools.path(made.metadata)):
            os.unlink(tools.path(made.metadata))
        tools.run(tools.ours, "metadump", "-q", self.name, made.metadata)
        self.write(self.source.sample(extents, max(1, len(extents) // 8)))
        if kind.aged:
            self.age(extents)
        self.flush()
        self.take(made)
        return made

    def take(self, made):
        """What the stock tool reads is the truth."""
        tools, block = self.tools, self.kind.cluster_size
        image = marks.open_image(tools.path(self.name))
        names = {snapshot.id: snapshot.name.decode() for snapshot in image.snapshots()}
        for number, tree in marks.trees(image).items():
            made.truth[number] = tree.disk()
            assert made.truth[number] == tools.read(self.name, block, names.get(number)), \
                f"{self.kind.name}: {number}: the reader differs from the stock tool"
        found = tools.read(self.name, marks.SECTOR)
        assert found == self.expected, f"{self.kind.name}: the stock tool does not read what it wrote"


def make(tools, kind, seed, name="sound.qcow2"):
    return Maker(tools, kind, random.Random(f"{seed}:{kind.name}"), name).make()
