#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The comparison run: images broken at random, our check against the stock tool's.

    compare.py --ours build/qemu-img --count 1000 --seed 1
    compare.py --ours build/qemu-img --seconds 600 --seed 2 --images build-asan/tests/fuzz/found/image --keep DIR

Every base image is checked as it is, then count images with one to four words overwritten or the file cut or grown.
Exit status, both outputs and every line on stderr must be the stock tool's, or a documented difference (a "row")
must explain it; the viscera must be those of an independent reader.

A seed and an index make the same image again: compare.py --seed S --only I --keep DIR ... keeps it in DIR/S-I, reduced
to the bits that matter. With --images, the images of that folder are compared too, such as those that a fuzzer found
interesting. Exits with 1 when an image differs.
"""

import argparse
import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time

from corrupt import edits, judge, minimise, tools
from corrupt.bases import BASES, make_bases


SEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz", "corpus", "image")
MOST_TRIES = 1000  # images judged to make one difference small


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Run:
    """What all images of a run share. Made once, before the workers are forked."""

    def __init__(self, args, directory):
        self.args = args
        self.directory = directory
        self.names = [name for name in BASES if re.search(args.bases, name)]
        self.bases = make_bases(os.path.join(directory, "bases"), self.names, args.stock, args.stock_io)
        self.data = {name: read(os.path.join(self.bases[name], judge.IMAGE)) for name in self.names}
        self.seeds = self._fuzz_seeds() if args.images else []
        self.anatomies = {name: edits.Anatomy(data) for name, data in self.data.items()}

    def _fuzz_seeds(self):
        """The images that a fuzzer began with: bases for those that it made."""
        empty = os.path.join(self.directory, "bases", "seed")
        os.mkdir(empty)
        for name in os.listdir(SEEDS):
            self.data[f"seed {name}"] = read(os.path.join(SEEDS, name))
            self.bases[f"seed {name}"] = empty
        return [name for name in self.data if name.startswith("seed ")]

    def cases(self):
        """Keys of the images: base names, names of files, then indices."""
        if self.args.only is not None:
            return [self.args.only]
        files = sorted(os.listdir(self.args.images)) if self.args.images else []
        indices = itertools.count() if self.args.seconds else range(self.args.count)
        return itertools.chain(self.names, (f"file:{name}" for name in files), indices)

    def recipe(self, key):
        """(base name, changes) of a key."""
        if isinstance(key, str) and key.startswith("file:"):
            data = read(os.path.join(self.args.images, key.removeprefix("file:")))
            return self._nearest(data), [minimise.Content(key, data)]
        if isinstance(key, str):
            return key, []
        source = random.Random(f"{self.args.seed}:{key}")
        base = source.choice(self.names)
        return base, edits.Breaker(self.anatomies[base], source).edits()

    def _nearest(self, data):
        """The seed that an image is most like."""
        number = int.from_bytes(data, "little")
        return min(self.seeds, key=lambda name: (int.from_bytes(self.data[name], "little") ^ number).bit_count())

    def judge(self, base, changes):
        """Makes the image in this worker's directory for the base, and judges it."""
        directory = self._workplace(base)
        data = bytearray(self.data[base])
        for change in changes:
            change.apply(data)
        with open(os.path.join(directory, judge.IMAGE), "wb") as out:
            out.write(data)
        case = judge.Case(directory, self.args.ours, self.args.stock, self.args.viscera)
        try:
            return case, case.judge()
        finally:
            case.close()

    def _workplace(self, base):
        place = os.path.join(self.directory, f"worker-{os.getpid()}", base)
        if not os.path.isdir(place):
            shutil.copytree(self.bases[base], place)
        return place

    def reduce(self, base, changes):
        """The fewest changes that show a difference of the same kind: of edits first, then of bits."""
        before = self.data[base]
        wanted = kinds(self.judge(base, changes)[1])

        def shows(fewer):
            return bool(wanted & kinds(self.judge(base, fewer)[1]))

        after = bytearray(before)
        for change in minimise.ddmin(changes, shows, MOST_TRIES):
            change.apply(after)
        bits = minimise.ddmin(minimise.differences(before, bytes(after)), shows, MOST_TRIES)
        return minimise.as_edits(bits, before, self.anatomies[base])

    def keep(self, key, base, changes):
        """Keeps an image and what both tools say of it."""
        place = os.path.join(self.args.keep, f"{self.args.seed}-{str(key).replace(':', '-')}")
        shutil.rmtree(place, ignore_errors=True)
        case, judgement = self.judge(base, changes)
        shutil.copytree(self._workplace(base), place)
        with open(os.path.join(place, "recipe"), "w") as out:
            print(f"base {base}", *changes, *judgement.rows, *judgement.differences, sep="\n", file=out)
        for name, program in [("ours", self.args.ours), ("stock", self.args.stock)]:
            verdict = tools.check(program, place)
            for kind, report in [("human", verdict.human), ("json", verdict.json)]:
                with open(os.path.join(place, f"{name}.{kind}"), "wb") as out:
                    out.write(report.err + report.out + f"exit {report.status}\n".encode())
        return place


def kinds(judgement):
    """What sort of differences there are, whatever the numbers in them."""
    return {re.sub(r"[0-9a-fx]*[0-9][0-9a-fx]*", "N", line)[:60] for line in judgement.differences}


def until(end, keys):
    """keys, or as many of them as come before the end of the time (monotonic; None: no end)."""
    for key in keys:
        if end is not None and time.monotonic() > end:
            return
        yield key


RUN = None


def work(key):
    """Judges one image in a worker. Returns (key, rows, differences, skipped, text on a failure)."""
    base, changes = RUN.recipe(key)
    _, judgement = RUN.judge(base, changes)
    text = ""
    if judgement.differences or RUN.args.only is not None:
        changes = RUN.reduce(base, changes) if judgement.differences else changes
        text = "\n".join([f"    base {base}", *(f"    {change}" for change in changes)])
        if RUN.args.keep:
            text += f"\n    kept in {RUN.keep(key, base, changes)}"
    return key, judgement.rows, judgement.differences, judgement.skipped, text


def judged(pool, keys):
    """Results in the order of the keys, of which not many more are taken than are being judged."""
    while batch := list(itertools.islice(keys, 256)):
        yield from pool.map(work, batch, chunksize=4)


def report(results, args):
    rows, failures, equal, skipped = collections.Counter(), 0, 0, 0
    total = 0
    for key, used, differences, why, text in results:
        total += 1
        rows.update(used)
        skipped += bool(why)
        equal += not used and not differences and not why
        if differences or args.only is not None:
            failures += bool(differences)
            print(f"{'DIFFERENT' if differences else 'fine'}: {key} (rows: {', '.join(used) or 'none'}) {why}")
            print("\n".join(f"  {line[:300]}" for line in differences[:8]))
            print(text, flush=True)
    print(f"{total} images: {equal} equal, {total - equal - failures - skipped} by documented differences, "
          f"{skipped} without a verdict of the stock tool, {failures} different")
    for name, count in rows.most_common():
        print(f"  {count:5} {name}")
    print(f"seed {args.seed}; one image again: --seed {args.seed} --only INDEX --keep DIR")
    return failures


def parse_arguments():
    parser = argparse.ArgumentParser(description="compare our check with the stock tool's on broken images")
    parser.add_argument("--ours", default=os.environ.get("QEMU_IMG_PROG", "build/qemu-img"), help="our qemu-img")
    parser.add_argument("--stock", default=os.environ.get("STOCK_QEMU_IMG", "/usr/bin/qemu-img"))
    parser.add_argument("--stock-io", default=os.environ.get("QEMU_IO", "/usr/bin/qemu-io"))
    parser.add_argument("--count", type=int, default=1000, help="broken images, besides the healthy bases")
    parser.add_argument("--seconds", type=int, help="go on for so long instead, however many")
    parser.add_argument("--images", help="compare the images of this folder too")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=lambda key: int(key) if key.isdigit() else key, help="index or base name")
    parser.add_argument("--bases", default="", help="regular expression for the names of the bases to use")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="directory for the images that differ")
    parser.add_argument("--no-viscera", dest="viscera", action="store_false", help="do not look at the viscera")
    args = parser.parse_args()
    args.ours, args.stock = os.path.abspath(args.ours), os.path.abspath(args.stock)
    return args


def main():
    global RUN
    args = parse_arguments()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="compare-") as directory:
        RUN = Run(args, directory)
        # Workers are forked, and so have RUN. One that dies ends the run with an exception.
        with concurrent.futures.ProcessPoolExecutor(args.jobs, multiprocessing.get_context("fork")) as pool:
            keys = until(start + args.seconds if args.seconds else None, RUN.cases())
            failures = report(judged(pool, keys), args)
    print(f"{time.monotonic() - start:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
