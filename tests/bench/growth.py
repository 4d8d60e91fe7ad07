# SPDX-License-Identifier: GPL-2.0-or-later
"""How time and memory grow with the size of the disk, the snapshots and the fragmentation, ours and the stock tool's.

Each axis begins with what costs least. The stock tool is left out behind the first image on which it takes long.
"""

import collections

from bench import Times, measure_alone, mib, short

TOO_SLOW = 15  # seconds of the stock tool, after which it is not run on larger images
FEW = 3  # runs of the stock tool, unless they take SOME seconds
SOME = 5

# ext4 files end at 16 TiB, so that the largest disk cannot be allocated wholly.
SIZES = ["1G", "4G", "16G", "64G", "256G", "1T", "4T", "16T --allocated=16000G"]
SNAPSHOTS = [0, 1, 10, 100, 1000]
FRAGMENTED = "64G"
CLUSTERS = 1 << 20  # of that disk
RUNS_OF_CLUSTERS = [CLUSTERS, 1 << 13, 1 << 10, 1 << 7, 1 << 4, 1]

SIZE_COLUMNS = ["disk", "metadata MiB", "ours", "MiB/s", "floor", "of floor", "our MiB", "stock", "stock MiB"]
SNAPSHOT_COLUMNS = ["snapshots", "without viscera", "MiB", "with viscera", "MiB with", "JSON MiB", "stock", "stock MiB"]
FRAGMENT_COLUMNS = ["pieces", "clusters in a piece", "ours", "our MiB", "stock", "stock MiB"]

# One point of a curve. @ours, @stock: Times; @stock is None where it was not run.
Point = collections.namedtuple("Point", "x ours stock")


class Axis:
    """What was measured along it: rows of the table, and points of the plot."""

    def __init__(self, bench, name):
        self.bench = bench
        self.name = name
        self.points = []
        self.stock_is_slow = False

    def stock(self, path):
        """The times of the stock tool, or None."""
        if self.stock_is_slow:
            return None
        runs = []
        while len(runs) < FEW and sum(run.seconds for run in runs) < SOME:
            runs.append(self.bench.run(self.bench.stock, path))
        times = Times(runs)
        self.stock_is_slow = times.median > TOO_SLOW
        return times

    def add(self, x, ours, stock):
        """Remembers a point; the cells of its row that are the stock tool's."""
        self.points.append(Point(x, ours, stock))
        return {"stock": str(stock) if stock else "not run", "stock MiB": mib(stock.rss) if stock else ""}

    def measure(self, values, measure):
        """The rows."""
        return self.bench.rows((f"{self.name}: {value}", lambda value=value: measure(self, value)) for value in values)


def measure_size(axis, size):
    bench = axis.bench
    with bench.image(f"--size={size}") as path:
        ours = measure_alone(bench, path)
        metadata, floor = bench.floor(path, bench.places(path))
        stock = axis.stock(path)
    return {"disk": size, "metadata MiB": mib(metadata), "ours": str(ours),
            "MiB/s": f"{metadata / ours.median / (1 << 20):,.0f}", "floor": short(floor),
            "of floor": f"{ours.median / floor:.1f}", "our MiB": mib(ours.rss),
            **axis.add(gibibytes(size.split()[0]), ours, stock)}


def gibibytes(size):
    return int(size[:-1]) << {"G": 0, "T": 10}[size[-1]]


def measure_snapshots(axis, number):
    bench = axis.bench
    with bench.image(f"--size=1T --shared-snapshots={number}") as path:
        plain = measure_alone(bench, path, "--no-dump-meta")
        viscera = measure_alone(bench, path)
        json_size = bench.output(bench.ours, "out").stat().st_size
        stock = axis.stock(path)
    return {"snapshots": str(number), "without viscera": str(plain), "MiB": mib(plain.rss),
            "with viscera": str(viscera), "MiB with": mib(viscera.rss), "JSON MiB": mib(json_size),
            **axis.add(number, plain, stock)}


def measure_pieces(axis, run):
    bench = axis.bench
    with bench.image(f"--size={FRAGMENTED} --random --run={run}") as path:
        ours = measure_alone(bench, path)
        stock = axis.stock(path)
    return {"pieces": f"{CLUSTERS // run:,}", "clusters in a piece": f"{run:,}", "ours": str(ours),
            "our MiB": mib(ours.rss), **axis.add(CLUSTERS // run, ours, stock)}


def measure(bench):
    """The rows of the three tables, and the three axes."""
    size, snapshots, pieces = (Axis(bench, name) for name in ("size", "snapshots", "pieces"))
    tables = [size.measure(SIZES, measure_size), snapshots.measure(SNAPSHOTS, measure_snapshots),
              pieces.measure([f"{run}" for run in RUNS_OF_CLUSTERS],
                             lambda axis, run: measure_pieces(axis, int(run)))]
    return tables, [size, snapshots, pieces]
