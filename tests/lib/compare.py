#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The comparison run: images broken at random, our check and our repair against the stock tool's.

    compare.py --ours build/qemu-img --count 1000 --seed 1
    compare.py --ours build/qemu-img --what repair --count 1000 --seed 1
    compare.py --ours build/qemu-img --what check,repair --seconds 600 --seed 2 \\
        --images build-asan/tests/fuzz/found/image --keep DIR

Every base image is judged as it is, then count images with one to four words overwritten or the file cut or grown.
Of a check, exit status, both outputs and every line on stderr must be the stock tool's, or a documented difference (a
"row") must explain it; the viscera must be those of an independent reader. What must be so of a repair is told in
corrupt/repairs.py; each image is repaired with -r all or, one in three, with -r leaks.

With --broken laid it is guest data that is laid on metadata.

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

from corrupt import edits, judge, minimise, repairs, tools
from corrupt.bases import BASES, make_bases
from scratch import fast_folder

SEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz", "corpus", "image")
MODES = ["all", "all", "leaks"]
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
        """(base name, changes, -r mode) of a key."""
        source = random.Random(f"{self.args.seed}:{key}")
        if isinstance(key, str) and key.startswith("file:"):
            data = read(os.path.join(self.args.images, key.removeprefix("file:")))
            base, changes = self._nearest(data), [minimise.Content(key, data)]
        elif isinstance(key, str):
            base, changes = key, []
        else:
            base = source.choice(self.names)
            changes = edits.BREAKERS[self.args.broken](self.anatomies[base], source).edits()
        return base, changes, source.choice(MODES)

    def _nearest(self, data):
        """The seed that an image is most like."""
        number = int.from_bytes(data, "little")
        return min(self.seeds, key=lambda name: (int.from_bytes(self.data[name], "little") ^ number).bit_count())

    def judges(self, mode):
        """{what is judged: how}"""
        tried = self.args.ours, self.args.stock
        known = {
            "check": lambda directory: judge.Case(directory, *tried, self.args.viscera),
            f"repair -r {mode}": lambda directory: repairs.Trial(directory, *tried, mode),
        }
        return {what: known[what] for what in known if what.split()[0] in self.args.what}

    def write(self, base, changes):
        """Makes the image in this worker's directory for the base, which it returns."""
        directory = self._workplace(base)
        data = bytearray(self.data[base])
        for change in changes:
            change.apply(data)
        with open(os.path.join(directory, judge.IMAGE), "wb") as out:
            out.write(data)
        return directory

    def judge(self, how, base, changes):
        case = how(self.write(base, changes))
        try:
            return case.judge()
        finally:
            case.close()

    def _workplace(self, base):
        place = os.path.join(self.directory, f"worker-{os.getpid()}", base)
        if not os.path.isdir(place):
            shutil.copytree(self.bases[base], place)
        return place

    def reduce(self, how, base, changes):
        """The fewest changes that show a difference of the same kind: of edits first, then of bits."""
        before = self.data[base]
        wanted = kinds(self.judge(how, base, changes))

        def shows(fewer):
            return bool(wanted & kinds(self.judge(how, base, fewer)))

        after = bytearray(before)
        for change in minimise.ddmin(changes, shows, MOST_TRIES):
            change.apply(after)
        bits = minimise.ddmin(minimise.differences(before, bytes(after)), shows, MOST_TRIES)
        return minimise.as_edits(bits, before, self.anatomies[base])

    def keep(self, key, what, how, base, changes):
        """Keeps an image and what both tools say of it."""
        place = os.path.join(self.args.keep, f"{self.args.seed}-{str(key).replace(':', '-')}")
        shutil.rmtree(place, ignore_errors=True)
        judgement = self.judge(how, base, changes)
        shutil.copytree(self.write(base, changes), place)
        with open(os.path.join(place, "recipe"), "w") as out:
            print(f"base {base}", *changes, what, *judgement.rows, *judgement.differences, sep="\n", file=out)
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
    """Judges one image in a worker. Returns [(key, what, judgement, text on a failure)]."""
    base, changes, mode = RUN.recipe(key)
    results = []
    for what, how in RUN.judges(mode).items():
        judgement, text = RUN.judge(how, base, changes), ""
        if judgement.differences or RUN.args.only is not None:
            fewer = RUN.reduce(how, base, changes) if judgement.differences else changes
            text = "\n".join([f"    base {base}", *(f"    {change}" for change in fewer)])
            if RUN.args.keep:
                text += f"\n    kept in {RUN.keep(key, what, how, base, fewer)}"
        results.append((key, what, judgement, text))
    return results


def judged(pool, keys):
    """Results in the order of the keys, of which not many more are taken than are being judged."""
    while batch := list(itertools.islice(keys, 256)):
        for results in pool.map(work, batch, chunksize=4):
            yield from results


class Tally:
    """What became of all images, in one respect."""

    def __init__(self):
        self.rows = collections.Counter()
        self.total = self.equal = self.skipped = self.different = 0

    def add(self, judgement):
        self.total += 1
        self.rows.update(judgement.rows)
        self.skipped += bool(judgement.skipped)
        self.different += bool(judgement.differences)
        self.equal += not judgement.rows and not judgement.differences and not judgement.skipped

    def show(self, what):
        documented = self.total - self.equal - self.different - self.skipped
        print(f"{what}: {self.total} images: {self.equal} equal, {documented} by documented differences, "
              f"{self.skipped} without a verdict, {self.different} different")
        for name, count in self.rows.most_common():
            print(f"  {count:5} {name}")


def report(results, args):
    tallies = collections.defaultdict(Tally)
    for key, what, judgement, text in results:
        tallies[what.split()[0]].add(judgement)
        if judgement.differences or args.only is not None:
            rows = ", ".join(judgement.rows) or "none"
            print(f"{'DIFFERENT' if judgement.differences else 'fine'}: {key}, {what} (rows: {rows}) "
                  f"{judgement.skipped}")
            print("\n".join(f"  {line[:300]}" for line in judgement.differences[:8]))
            print(text, flush=True)
    for what, tally in tallies.items():
        tally.show(what)
    broken = "" if args.broken == "words" else f"--broken {args.broken} "
    print(f"seed {args.seed}; one image again: {broken}--seed {args.seed} --only INDEX --keep DIR")
    return sum(tally.different for tally in tallies.values())


def parse_arguments():
    parser = argparse.ArgumentParser(description="compare ours with the stock tool on broken images")
    parser.add_argument("--ours", default=os.environ.get("QEMU_IMG_PROG", "build/qemu-img"), help="our qemu-img")
    parser.add_argument("--stock", default=os.environ.get("STOCK_QEMU_IMG", "/usr/bin/qemu-img"))
    parser.add_argument("--stock-io", default=os.environ.get("QEMU_IO", "/usr/bin/qemu-io"))
    parser.add_argument("--what", type=lambda words: words.split(","), default=["check"], help="check, repair, or both")
    parser.add_argument("--count", type=int, default=1000, help="broken images, besides the healthy bases")
    parser.add_argument("--broken", choices=edits.BREAKERS, default="words", help="how: words overwritten, or guest data laid on metadata")
    parser.add_argument("--seconds", type=int, help="go on for so long instead, however many")
    parser.add_argument("--images", help="compare the images of this folder too")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=lambda key: int(key) if key.isdigit() else key, help="index or base name")
    parser.add_argument("--bases", default="", help="regular expression for the names of the bases to use")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="directory for the images that differ")
    parser.add_argument("--no-viscera", dest="viscera", action="store_false", help="do not look at the viscera")
    args = parser.parse_args()
    if not set(args.what) <= {"check", "repair"}:
        parser.error("--what takes check, repair, or check,repair")
    args.ours, args.stock = os.path.abspath(args.ours), os.path.abspath(args.stock)
    return args


def main():
    global RUN
    args = parse_arguments()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="compare-", dir=fast_folder()) as directory:
        RUN = Run(args, directory)
        # Workers are forked, and so have RUN. One that dies ends the run with an exception.
        with concurrent.futures.ProcessPoolExecutor(args.jobs, multiprocessing.get_context("fork")) as pool:
            keys = until(start + args.seconds if args.seconds else None, RUN.cases())
            failures = report(judged(pool, keys), args)
    print(f"{time.monotonic() - start:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
