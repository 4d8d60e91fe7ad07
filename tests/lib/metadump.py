#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata images of broken images: `qemu-img metadump`, tried on what the comparison run tries a check on.

    metadump.py --ours build/qemu-img --count 300 --seed 1

In every base image all that is no metadata is overwritten with a pattern first, the canary: data of the guest, bits of
bitmaps, key material, free space, what is left of a cluster behind a table. (But for the clusters with names in them: a
damaged length may have a name go on behind its end, and nobody can tell.) Then each image is broken at random, and

    a check of its metadata image says what a check of it says, by ours and by the stock tool,
        unless metadump has said that something was not copied;
    not one canary is in the metadata image;
    what goes through the stream is the same file.

Exits with 1 when an image fails.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from corrupt import edits, tools
from corrupt.bases import BASES, make_bases
from qcow2 import layout

CANARY = b"guest data must not be here!"
IMAGE = "t.qcow2"
# The stock tool reads the key material, of which there is none in a metadata image.
STOCK_CANNOT = {"luks"}


def allocations(value):
    """All {offset, size} objects of a JSON tree."""
    if isinstance(value, dict):
        if set(value) == {"offset", "size"}:
            yield value["offset"], value["size"]
        for member in value.values():
            yield from allocations(member)
    elif isinstance(value, list):
        for item in value:
            yield from allocations(item)


def metadata_ranges(viscera):
    """Where the metadata that is to be copied lies."""
    viscera = dict(viscera)
    viscera.pop("crypt-header", None)
    for entry in viscera.get("bitmaps", {}).get("bitmap-dir", {}).get("dir-entries", []):
        for cluster in entry["bitmap-table"]["table-entries"]:
            cluster.pop("cluster", None)
    return sorted(allocations(viscera))


def whole_clusters(ranges, cluster_size, named):
    """The ranges, those of @named up to the ends of their clusters."""
    return sorted([*ranges, *((at, layout.align_up(size, cluster_size)) for at, size in named)])


def plant_canaries(data, ranges):
    at = 0
    for offset, size in [*ranges, (len(data), 0)]:
        if offset > at:
            room = offset - at
            data[at:offset] = (CANARY * (room // len(CANARY) + 1))[:room]
        at = max(at, offset + size)


class Run:
    def __init__(self, args, directory):
        self.args = args
        self.directory = directory
        self.bases = make_bases(os.path.join(directory, "bases"), list(BASES), args.stock, args.stock_io)
        self.data = {name: self._base(place) for name, place in self.bases.items()}
        self.anatomies = {name: edits.Anatomy(bytes(data)) for name, data in self.data.items()}
        self.omissions = 0

    def _base(self, place):
        found = json.loads(subprocess.run([self.args.ours, "check", "--output=json", IMAGE], cwd=place,
                                          capture_output=True).stdout)
        with open(os.path.join(place, IMAGE), "rb") as image:
            data = bytearray(image.read())
        viscera = found["viscera"]
        named = [viscera[key]["location"] for key in ["snapshot-table"] if key in viscera]
        named += [viscera[key]["bitmap-dir"]["location"] for key in ["bitmaps"] if key in viscera]
        ranges = whole_clusters(metadata_ranges(viscera), viscera["qcow2-header"]["location"]["size"],
                                [(place["offset"], place["size"]) for place in named])
        plant_canaries(data, ranges)
        return data

    def recipe(self, key):
        if isinstance(key, str):
            return key, []
        source = random.Random(f"{self.args.seed}:{key}")
        name = source.choice(list(BASES))
        return name, edits.Breaker(self.anatomies[name], source).edits()

    def judge(self, name, changes):
        """What is wrong with the metadata image; empty when nothing is."""
        place = self.bases[name]
        data = bytearray(self.data[name])
        for change in changes:
            change.apply(data)
        with open(os.path.join(place, "source.qcow2"), "wb") as out:
            out.write(data)
        # Both are checked under one name, which messages have in them.
        shutil.copyfile(os.path.join(place, "source.qcow2"), os.path.join(place, IMAGE))
        before = [tools.check(program, place, IMAGE) for program in self.programs(name)]
        os.remove(os.path.join(place, IMAGE))
        dump = tools.run(self.args.ours, ["metadump", "source.qcow2", IMAGE], place)
        if dump.status != 0:
            return [] if before[0].status in (1, 63) and not os.path.exists(os.path.join(place, IMAGE)) else [
                f"metadump exits with {dump.status}: {dump.err.decode(errors='replace')}"]
        faults = self.look_for_canaries(place)
        self.omissions += b"not copied" in dump.err
        if b"not copied" not in dump.err:
            after = [tools.check(program, place, IMAGE) for program in self.programs(name)]
            faults += [f"a check by {who} is different:\n{a.human}\n{b.human}"
                       for who, a, b in zip(["ours", "the stock tool"], before, after)
                       if (a.human, a.json) != (b.human, b.json)]
        return faults + self.compare_with_stream(place)

    def programs(self, name):
        return [self.args.ours] + ([] if name in STOCK_CANNOT else [self.args.stock])

    @staticmethod
    def look_for_canaries(place):
        with open(os.path.join(place, IMAGE), "rb") as image:
            data = image.read()
        # Any eight bytes of the pattern in a row, wherever a copy may have been cut.
        doubled = CANARY + CANARY
        found = [at for start in range(len(CANARY)) if (at := data.find(doubled[start:start + 8])) >= 0]
        return [f"guest data at {min(found):#x} of the metadata image"] if found else []

    def compare_with_stream(self, place):
        command = '"$1" metadump source.qcow2 - | "$1" metadump -q - stream.qcow2 && cmp stream.qcow2 t.qcow2'
        done = subprocess.run(["sh", "-c", command, "sh", self.args.ours], cwd=place, capture_output=True)
        if os.path.exists(os.path.join(place, "stream.qcow2")):
            os.remove(os.path.join(place, "stream.qcow2"))
        return [f"through the stream: {done.stdout} {done.stderr}"] if done.returncode else []


def main():
    parser = argparse.ArgumentParser(description="try metadata images of broken images")
    parser.add_argument("--ours", default=os.environ.get("QEMU_IMG_PROG", "build/qemu-img"))
    parser.add_argument("--stock", default=os.environ.get("STOCK_QEMU_IMG", "/usr/bin/qemu-img"))
    parser.add_argument("--stock-io", default=os.environ.get("QEMU_IO", "/usr/bin/qemu-io"))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=lambda key: int(key) if key.isdigit() else key, help="index or base name")
    args = parser.parse_args()
    args.ours, args.stock = os.path.abspath(args.ours), os.path.abspath(args.stock)
    failures = 0
    with tempfile.TemporaryDirectory(prefix="metadump-") as directory:
        run = Run(args, directory)
        keys = [args.only] if args.only is not None else [*BASES, *range(args.count)]
        for key in keys:
            name, changes = run.recipe(key)
            faults = run.judge(name, changes)
            if faults:
                failures += 1
                print(f"FAILED: {key} of seed {args.seed}, base {name}", *changes, *faults, sep="\n  ", flush=True)
    print(f"{len(keys)} images, {failures} failed, {run.omissions} with something not copied")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
