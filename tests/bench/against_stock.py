# SPDX-License-Identifier: GPL-2.0-or-later
"""Our check and the stock tool's on the same images: the first two tables of the page."""

import collections
import contextlib
import os
import subprocess

import far
from bench import Times, alternate, mib, say, short

Row = collections.namedtuple("Row", "name wanted image full_only remote repair", defaults=(None, False, False))

ROWS = [
    Row("1 TiB, 64 KiB clusters, all allocated, in order", 30, "--size=1T"),
    Row("the same, 20 snapshots sharing all tables", 150, "--size=1T --shared-snapshots=20"),
    Row("the same, clusters in random order", 1000, "--size=1T --random", "--size=64G --random"),
    Row("512 GiB, 5 snapshots with L2 tables of their own", 15, "--size=512G --own-snapshots=5"),
    Row("64 GiB, 4 KiB clusters, in order", 40, "--size=64G --cluster-size=4K"),
    Row("1 TiB over NBD (unix socket) with 1 ms a request", 30, "--size=1T", None, True),
    Row("1 TiB, extended L2, 128 KiB clusters", 12, "--size=1T --cluster-size=128K --extended-l2"),
    Row("empty 64 MiB image (start-up)", 2, "--size=64M --allocated=0"),
    Row("64 GiB with 100,000 scattered leaked clusters", 5, "--size=64G --leaks=100000"),
    Row("repair of 1 TiB, all reference counts wrong", 10, "--size=1T --counts-too-high", None, False, True),
    Row("repair of 64 GiB, 100,000 scattered leaks", 5, "--size=64G --leaks=100000", None, False, True),
]


def run_repair(bench, program, path):
    """A repair, of a copy that is made for it."""
    copy = f"{path}.copy"
    subprocess.run(["cp", "--sparse=always", path, copy], check=True)
    os.sync()
    try:
        return bench.run(program, copy, "-r", "all")
    finally:
        os.unlink(copy)


def measure_row(bench, row, image):
    """One row of both tables."""
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(bench.image(image))
        target = stack.enter_context(far.nbd_server(bench, path, 0.001, far.NBDKIT_THREADS)) if row.remote else path
        places = bench.places(target)
        first = bench.run(bench.ours, target)
        first = bench.result(bench.ours, first)
        metadata, floor = bench.floor(path, places)

        def run(program):
            return run_repair(bench, program, path) if row.repair else bench.run(program, target)

        ours, stock = alternate(lambda: run(bench.ours), lambda: run(bench.stock))
        # a repair that ended well left nothing to be found; the messages are those up to a number of them
        same = ours[-1].status == stock[-1].status == 0 if row.repair else first == bench.result(bench.stock, stock[-1])
        ours, stock = Times(ours), Times(stock)
    cells = {
        "ours": str(ours), "stock": str(stock), "ratio": f"{stock.median / ours.median:,.1f}",
        "wanted": f"{row.wanted:,}", "floor": short(floor), "of floor": f"{ours.median / floor:.1f}",
        "failed": not same,
        "our MiB": mib(ours.rss), "stock MiB": mib(stock.rss), "share": f"{ours.rss / stock.rss:.2f}",
        "metadata MiB": mib(metadata), "we read MiB": mib(ours.read), "stock read MiB": mib(stock.read),
    }
    say(f"    ours {cells['ours']}, stock {cells['stock']}: {cells['ratio']} (wanted {cells['wanted']}), "
        f"{cells['of floor']} of the floor {cells['floor']}, {cells['our MiB']} of {cells['stock MiB']} MiB"
        f"{'' if same else ', RESULTS DIFFER'}")
    return cells


def measure(bench, pattern, full, notes):
    """The rows whose name matches. Appends footnotes, (number, text), to @notes."""
    def measured(number, row):
        smaller = row.full_only and not full
        cells = measure_row(bench, row, row.full_only if smaller else row.image)
        if smaller:
            notes.append((number, f"Measured on a smaller image, ``{row.full_only}``, since the stock tool takes over "
                                  f"eight minutes for ``{row.image}``. ``tests/bench/run --full`` measures that."))
        if cells["failed"]:
            notes.append((number, f"FAILED: {row.name}: the results of the two programs differ."))
        return {"image": row.name + (f" [{number}]_" if smaller else ""), **cells}

    return bench.rows((row.name, lambda n=number, r=row: measured(n, r))
                      for number, row in enumerate(ROWS, 1) if pattern.search(row.name))
