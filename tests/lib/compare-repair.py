#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Repairs of images broken at random: ours, and the stock tool's.

    compare-repair.py --ours build/qemu-img --count 1000 --seed 1

Each image is broken as compare.py breaks it, and repaired by both programs, each on a copy of its own. Then:
  - a dry run has not changed a byte;
  - the guest, and each snapshot, reads from ours what it read before;
  - the stock tool's check finds no more in ours than in what the stock tool has repaired, but for leaked clusters
    that ours has kept, and said so;
  - a second repair by ours changes nothing.

A seed and an index make the same image again, as in compare.py.
"""

import argparse
import collections
import concurrent.futures
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time

from corrupt import edits, guest, judge, tools
from corrupt.bases import BASES, make_bases
from qcow2 import reader
from scratch import fast_folder

KEPT = b"Leaked clusters are kept"
NO_PLACE = b"No place"
LARGEST = 1 << 27  # bytes of a file that is compared as a whole


class Run:
    """What all images of a run share. Made once, before the workers are forked."""

    def __init__(self, args, directory):
        self.args = args
        self.directory = directory
        self.names = list(BASES)
        self.bases = make_bases(os.path.join(directory, "bases"), self.names, args.stock, args.stock_io)
        self.data = {}
        for name in self.names:
            with open(os.path.join(self.bases[name], judge.IMAGE), "rb") as image:
                self.data[name] = image.read()
        self.anatomies = {name: edits.Anatomy(self.data[name]) for name in self.names}

    def recipe(self, index):
        source = random.Random(f"{self.args.seed}:{index}")
        base = source.choice(self.names)
        return base, edits.Breaker(self.anatomies[base], source).edits(), source.choice(["all", "all", "leaks"])

    def place(self, base):
        place = os.path.join(self.directory, f"worker-{os.getpid()}", base)
        if not os.path.isdir(place):
            shutil.copytree(self.bases[base], place)
        return place


def read_all(path):
    with open(path, "rb") as image:
        return image.read(LARGEST)


def contents(path):
    image = reader.open_image(path)
    try:
        return guest.everything(image)
    finally:
        image.source.close()


def found(verdict):
    """(corruptions, leaks, check errors) of a check's JSON; None where there is none."""
    members = verdict.members()
    return members and tuple(members.get(name, 0) for name in ("corruptions", "leaks", "check-errors"))


class Trial:
    """One broken image."""

    def __init__(self, run, base, changes, mode):
        self.run, self.mode = run, mode
        self.place = run.place(base)
        self.path = os.path.join(self.place, judge.IMAGE)
        data = bytearray(run.data[base])
        for change in changes:
            change.apply(data)
        self.data = bytes(data)
        self.faults = []

    def _write(self, data):
        with open(self.path, "wb") as image:
            image.write(data)

    def _repair(self, program, *options):
        return tools.run(program, ["check", "-r", self.mode, *options, "-f", "qcow2", judge.IMAGE], self.place)

    def _expect(self, holds, text):
        if not holds:
            self.faults.append(text)

    def judge(self):
        self._write(self.data)
        if found(tools.check(self.run.args.ours, self.place)) is None:
            return []  # no image of ours, or one that cannot be opened
        before = contents(self.path)
        self._expect(self._repair(self.run.args.ours, "-n").status is not None, "the dry run does not end")
        self._expect(read_all(self.path) == self.data[:LARGEST], "the dry run has changed the image")

        ours = self._repair(self.run.args.ours)
        self._expect(ours.status in (0, 1, 2, 3), f"our repair ends with {ours.status}")
        repaired = read_all(self.path)
        self.faults += guest.lost(before, contents(self.path))[:5]
        ours_checked = tools.check(self.run.args.ours, self.place)
        stock_checked_ours = tools.check(self.run.args.stock, self.place)
        self._expect(ours_checked.status == ours.status or ours.status == 1,
                     f"our repair ended with {ours.status}, and a check after it with {ours_checked.status}")
        self._repair(self.run.args.ours)
        self._expect(read_all(self.path) == repaired or self._header_is_table(),
                     "a second repair has changed the image")

        self._write(self.data)
        self._repair(self.run.args.stock)
        if guest.lost(before, contents(self.path)):
            return self.faults  # a verdict on what is no more is none
        self._compare(ours, found(stock_checked_ours), found(tools.check(self.run.args.stock, self.place)))
        return self.faults

    def _has_bitmaps(self):
        image = reader.Image(reader.BytesSource(self.data))
        return bool(image.autoclear & 1)

    def _header_is_table(self):
        """An L1 entry of nothing but flags makes an L2 table of the header, whose words change with any repair."""
        image = reader.open_image(self.path)
        try:
            trees = [(image.l1_offset, image.l1_size)] + [(s.l1_offset, s.l1_size) for s in image.snapshots()]
            return any(entry and not image.l2_offset(entry) for tree in trees for entry in image.words(*tree))
        finally:
            image.source.close()

    def _compare(self, ours, after_ours, after_stock):
        if after_stock is None or self._has_bitmaps():
            return  # bitmaps: the stock tool stores them anew, and what was wrong with them is gone
        if after_ours is None:
            self.faults.append(f"the stock tool cannot check what ours repaired, but what it repaired: {after_stock}")
            return
        text = f"the stock tool finds {after_ours} after our repair, and {after_stock} after its own"
        # a count that stays too high can make COPIED flags wrong besides, which -r leaks then does not repair
        kept = KEPT in ours.err
        self._expect(after_ours[0] <= after_stock[0] or (kept and self.mode == "leaks") or NO_PLACE in ours.err, text)
        self._expect(after_ours[1] <= after_stock[1] or kept, text)
        self._expect(after_ours[2] <= after_stock[2], text)


RUN = None


def work(index):
    base, changes, mode = RUN.recipe(index)
    faults = Trial(RUN, base, changes, mode).judge()
    if faults:
        for change in list(changes):
            fewer = [c for c in changes if c is not change]
            if Trial(RUN, base, fewer, mode).judge():
                changes = fewer
        faults = Trial(RUN, base, changes, mode).judge()
        if RUN.args.keep:
            place = os.path.join(RUN.args.keep, f"{RUN.args.seed}-{index}")
            shutil.rmtree(place, ignore_errors=True)
            trial = Trial(RUN, base, changes, mode)
            trial._write(trial.data)
            shutil.copytree(trial.place, place)
    return index, f"{base} -r {mode}: " + "; ".join(map(str, changes)), faults


def main():
    global RUN
    parser = argparse.ArgumentParser(description="compare our repair with the stock tool's on broken images")
    parser.add_argument("--ours", default=os.environ.get("QEMU_IMG_PROG", "build/qemu-img"))
    parser.add_argument("--stock", default=os.environ.get("STOCK_QEMU_IMG", "/usr/bin/qemu-img"))
    parser.add_argument("--stock-io", default=os.environ.get("QEMU_IO", "/usr/bin/qemu-io"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="directory for the images with a fault")
    args = parser.parse_args()
    args.ours, args.stock = os.path.abspath(args.ours), os.path.abspath(args.stock)
    start, failures, total = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="compare-repair-", dir=fast_folder()) as directory:
        RUN = Run(args, directory)
        indexes = range(args.count) if args.only is None else [args.only]
        with concurrent.futures.ProcessPoolExecutor(args.jobs, multiprocessing.get_context("fork")) as pool:
            for index, text, faults in pool.map(work, indexes, chunksize=4):
                total += 1
                failures += bool(faults)
                if faults or args.only is not None:
                    print(f"{index} {text}", *(f"    {fault}" for fault in faults), sep="\n", flush=True)
    print(f"{total} images, {failures} with faults, {time.monotonic() - start:.1f} s; seed {args.seed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
