# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part of the benchmark needs: the programs, a place for images, runs of a program, and their times."""

import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from corrupt.judge import MEMBERS

RUNS = 7  # of each program, unless one is slow
MORE_RUNS = 31  # where all of them take less than SHORT seconds
SHORT = 2
PATIENCE = 60  # seconds in a row after which a program is not started again
SPACE_NEEDED = 6 << 30  # bytes free, for the metadata of the largest image
QUICK_DIVISOR = 64

Run = collections.namedtuple("Run", "status seconds cpu rss read")


class Unmeasured(Exception):
    """Why a row cannot be measured here."""


# What leaves out one row, and does not stop the others.
FAILURES = (Unmeasured, OSError, subprocess.SubprocessError, ValueError, LookupError)


def say(text):
    print(text, file=sys.stderr, flush=True)


def need(*commands):
    for command in commands:
        if not shutil.which(command):
            raise Unmeasured(f"{command} is not installed")


class Bench:
    """In a with statement. @left_out: why rows are missing, (name, reason)."""

    def __init__(self, args):
        self.build = pathlib.Path(args.build).resolve()
        self.ours = str(self.build / "qemu-img")
        self.stock = args.stock
        self.quick = args.quick
        self.load = os.getloadavg()[0]
        self.end = time.monotonic() + 60 * args.minutes
        self.left_out = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("BENCH_DIR", self.build)))
        # What our program leaves to the stock tool must not be measured as ours.
        os.environ["QEMU_IMG_FALLBACK"] = "/bin/false"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        shutil.rmtree(self.directory)

    def rows(self, measures):
        """The results of the functions, (name, function) each, but for those that fail."""
        results = []
        for name, measure in measures:
            say(f"{name} ...")
            try:
                if time.monotonic() > self.end:
                    raise Unmeasured("the time was up (--minutes)")
                results.append(measure())
            except FAILURES as failure:
                reason = " ".join(str(failure).split())
                say(f"    left out: {reason}")
                self.left_out.append((name, reason))
        return results

    def tool(self, name):
        path = self.build / "tests" / "bench" / name
        if not path.exists():
            raise Unmeasured(f"this build has no {name}")
        return str(path)

    @contextlib.contextmanager
    def image(self, options):
        """The path of an image made with the options, for the time of a with statement."""
        path = self.directory / "image.qcow2"
        if shutil.disk_usage(self.directory).free < SPACE_NEEDED:
            raise Unmeasured(f"less than {SPACE_NEEDED >> 30} GiB free; set $BENCH_DIR to another place")
        words = options.split()
        if self.quick:
            words = [shrunk(word) for word in words]
        try:
            subprocess.run([self.tool("make-image"), *words, str(path)], check=True)
            yield str(path)
        finally:
            path.unlink(missing_ok=True)

    def output(self, program, stream):
        return self.directory / f"{'ours' if program == self.ours else 'stock'}.{stream}"

    def run(self, program, target, *options, before=()):
        """One check; @before: words in front of the command."""
        command = [*before, program, "check", "--output=json", *options, target]
        files = [str(self.output(program, stream)) for stream in ("out", "err")]
        for file in files:
            pathlib.Path(file).unlink(missing_ok=True)  # or this run pays for the length of the last one's output
        done = subprocess.run([self.tool("timed"), *files, *command], check=True, stdout=subprocess.PIPE)
        return Run(**json.loads(done.stdout))

    def timed(self, *command):
        done = subprocess.run([self.tool("timed"), os.devnull, os.devnull, *command], check=True,
                              stdout=subprocess.PIPE)
        run = Run(**json.loads(done.stdout))
        if run.status != 0:
            raise Unmeasured(f"{' '.join(command[:3])} ends with {run.status}")
        return run

    def members(self, program):
        """The JSON that the program's last run printed; None if it was none."""
        try:
            return json.loads(self.output(program, "out").read_bytes())
        except json.JSONDecodeError:
            return None

    def result(self, program, run):
        """All that both programs must agree on: the members that the stock tool has, but for the name."""
        members = self.members(program)
        if members:
            members = {name: members[name] for name in MEMBERS if name in members and name != "filename"}
        return run.status, members, self.output(program, "err").read_bytes()

    def places(self, target):
        """Every place in the file that the viscera of our check name."""
        self.run(self.ours, target)
        members = self.members(self.ours)
        if not members or "viscera" not in members:
            raise Unmeasured(f"no result: {self.output(self.ours, 'err').read_text(errors='replace')[-300:]}")
        return list(allocations(members["viscera"]))

    def floor(self, path, places):
        """The bytes of the places, and the seconds for merely reading them."""
        lines = "".join(f"{place['offset']} {place['size']}\n" for place in places)
        runs = []
        for _ in range(RUNS):
            done = subprocess.run([self.tool("floor"), path], input=lines.encode(), check=True, stdout=subprocess.PIPE)
            runs.append(json.loads(done.stdout))
        return runs[0]["bytes"], statistics.median(run["seconds"] for run in runs)


def shrunk(word):
    """A size or a number of leaks divided, for a quick run; sizes of clusters stay."""
    match = re.fullmatch(r"(--size|--allocated|--leaks)=(\d+)([MGT]?)", word)
    if not match:
        return word
    option, number, suffix = match.groups()
    return f"{option}={(int(number) << {'': 0, 'M': 20, 'G': 30, 'T': 40}[suffix]) // QUICK_DIVISOR}"


def allocations(viscera):
    if isinstance(viscera, list):
        for item in viscera:
            yield from allocations(item)
    elif isinstance(viscera, dict):
        if viscera.keys() == {"offset", "size"}:
            yield viscera
        else:
            for item in viscera.values():
                yield from allocations(item)


# ---- runs ----

class Times:
    """The runs of one program on one image."""

    def __init__(self, runs):
        self.runs = runs
        self.median = statistics.median(run.seconds for run in runs)
        self.rss = max(run.rss for run in runs)
        self.read = max(run.read for run in runs)

    def __str__(self):
        seconds = [run.seconds for run in self.runs]
        return f"{short(self.median)} [{short(min(seconds))} - {short(max(seconds))}] {len(seconds)}"


def enough(runs):
    total = sum(run.seconds for run in runs)
    return total > PATIENCE or len(runs) >= MORE_RUNS or (len(runs) >= RUNS and total > SHORT)


def alternate(*measures):
    """Calls each of the functions in turn, until there are enough runs of each; the runs of each."""
    runs = [[] for _ in measures]
    while not all(map(enough, runs)):
        for measure, done in zip(measures, runs):
            if not enough(done):
                done.append(measure())
    return runs


def measure_alone(bench, path, *options):
    bench.run(bench.ours, path, *options)
    return Times(alternate(lambda: bench.run(bench.ours, path, *options))[0])


def short(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def mib(size):
    return f"{size / (1 << 20):.1f}"
