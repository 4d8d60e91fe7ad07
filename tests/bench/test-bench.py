#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs of the benchmark do what its page says of them. Judge of the images: the stock tool.

    test-bench.py BUILD-DIRECTORY
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(sys.argv[1]).resolve()
TOOLS = BUILD / "tests" / "bench"
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import bench  # noqa: E402
import growth  # noqa: E402
import model_disk  # noqa: E402
import plot  # noqa: E402

STOCK = os.environ.get("STOCK_QEMU_IMG", "/usr/bin/qemu-img")

# a sentence, options, and what the stock tool has to find (verdict)
IMAGES = [
    ("an empty disk is clean", "--size=64M --allocated=0", {"total-clusters": 1024}),
    ("a disk written in order is clean and not fragmented", "--size=1G",
     {"total-clusters": 16384, "allocated-clusters": 16384}),
    ("a disk can be written in part", "--size=1G --allocated=100M",
     {"total-clusters": 16384, "allocated-clusters": 1600}),
    ("a run of clusters stays in a row at random", "--size=1G --random --run=16384",
     {"total-clusters": 16384, "allocated-clusters": 16384}),
    ("snapshots that share tables are clean", "--size=1G --shared-snapshots=20",
     {"total-clusters": 16384, "allocated-clusters": 16384}),
    ("leaks are as many as asked for", "--size=1G --leaks=500",
     {"total-clusters": 16384, "allocated-clusters": 16384, "leaks": 500}),
    ("every count can be wrong", "--size=4M --counts-too-high",
     {"total-clusters": 64, "allocated-clusters": 64, "leaks": 69, "corruptions": 65}),
    ("every cluster can be followed by a leak", "--size=64M --leaks=1024",
     {"total-clusters": 1024, "allocated-clusters": 1024, "leaks": 1024}),
]
CLEAN = [
    ("a disk written in random order", "--size=1G --random"),
    ("snapshots with tables of their own", "--size=1G --own-snapshots=5"),
    ("more snapshots than a table has entries written", "--size=1G --allocated=192K --own-snapshots=5"),
    ("both kinds of snapshot in random order", "--size=1G --random --own-snapshots=3 --shared-snapshots=2"),
    ("extended L2 entries", "--size=2G --cluster-size=128K --extended-l2 --random"),
    ("a size that ends within a cluster", "--size=1000001K"),
    ("L1 and refcount tables of many clusters", "--size=128M --cluster-size=512 --refcount-bits=64"),
] + [(f"refcounts of {bits} bits", f"--size=64M --cluster-size=4K --refcount-bits={bits}")
     for bits in (1, 2, 4, 8, 16, 32, 64)] + [
    ("refcounts of 2 bits that are full", "--size=64M --cluster-size=4K --refcount-bits=2 --shared-snapshots=2"),
]
REFUSED = [
    ("too many snapshots for the refcounts", "--size=1G --refcount-bits=2 --shared-snapshots=3"),
    ("more leaks than clusters", "--size=64K --leaks=2"),
    ("extended L2 entries in small clusters", "--size=1G --cluster-size=4K --extended-l2"),
    ("a cluster size that is no power of two", "--size=1G --cluster-size=3K"),
    ("a size that does not fit in 64 bits", "--size=99999999999P"),
    ("a disk of no size", ""),
    ("pieces of no clusters", "--size=1G --random --run=0"),
]


class Tap:
    def __init__(self):
        self.number = 0

    def check(self, sentence, good, *details):
        self.number += 1
        print(f"{'ok' if good else 'not ok'} {self.number} - {sentence}")
        for detail in () if good else details:
            print(f"# {detail}")


def make(options, path):
    return subprocess.run([TOOLS / "make-image", *options.split(), path], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, text=True)


def check_json(path):
    done = subprocess.run([STOCK, "check", "--output=json", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False)
    return json.loads(done.stdout)


def verdict(path):
    """What the stock tool counted, but for what is 0 and how fragmented the disk is."""
    return {name: value for name, value in check_json(path).items()
            if value and name not in ("filename", "format", "image-end-offset", "fragmented-clusters")}


def test_images(tap, directory):
    path = directory / "image.qcow2"
    for sentence, options, expected in IMAGES:
        made = make(options, path)
        found = verdict(path)
        tap.check(sentence, made.returncode == 0 and found == expected, made.stdout, options, found)
    for sentence, options in CLEAN:
        made = make(options, path)
        done = subprocess.run([STOCK, "check", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        tap.check(f"clean: {sentence}", made.returncode == 0 and done.returncode == 0, made.stdout, done.stdout)
    make("--size=1G --random", path)
    tap.check("a disk written in random order is fragmented", check_json(path)["fragmented-clusters"] > 16000)
    make("--size=1G --random --run=16", path)
    found = check_json(path)["fragmented-clusters"]
    tap.check("a disk written in pieces is fragmented where a piece begins", 0.9 * 1024 < found <= 1024, found)
    path.unlink()
    for sentence, options in REFUSED:
        made = make(options, path)
        tap.check(f"refused with a message: {sentence}",
                  made.returncode == 1 and made.stdout and not path.exists(), made.stdout)


def test_floor(tap, directory):
    path = directory / "bytes"
    path.write_bytes(bytes(3 << 20))
    done = subprocess.run([TOOLS / "floor", path], input=b"1048576 1048576\n0 10\n5 10\n100 50\n3145720 100\n",
                          stdout=subprocess.PIPE, check=False)
    found = json.loads(done.stdout)
    # 15 bytes of two ranges that overlap, 50, one MiB, and 8 up to the end of the file
    tap.check("the floor reads each byte once, up to the end of the file",
              (found["bytes"], found["reads"]) == (15 + 50 + (1 << 20) + 8, 4), found)
    if (TOOLS / "floor-direct").exists():
        done = subprocess.run([TOOLS / "floor-direct", path, "2"], input=b"1048576 1048576\n0 10\n5 10\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        # what overlaps is one read, and a MiB is four of 256 KiB
        tap.check("so does the one with reads in flight",
                  done.returncode == 0 and json.loads(done.stdout)["bytes"] == 15 + (1 << 20)
                  and json.loads(done.stdout)["reads"] == 5, done.stdout)


def test_slow(tap, directory):
    path = directory / "image.qcow2"
    make("--size=64M --full", path)
    tap.check("an image on disk in full has no holes where data is",
              path.stat().st_blocks * 512 >= 64 << 20 and verdict(path)["allocated-clusters"] == 1024)
    head = model_disk.Head()
    head.read(0, 65536)
    near = head.read(131072, 65536)
    far = head.read(1 << 40, 65536)
    back = head.read(1 << 40, 65536)
    # 128 KiB at 150 MB/s; a seek, half a turn and 64 KiB; a short seek back
    tap.check("a disk that seeks takes long for what is far, and for what has passed",
              abs(near - 131072 / 150e6) < 1e-9 and far > back > 0.002 + 0.0042 and head.seeks == 2,
              near, far, back)
    if not (BUILD / "qemu-img-nbd.so").exists():
        tap.check("a disk that seeks serves the bytes of its file # SKIP no NBD in this build", True)
        return
    with model_disk.ModelDisk(str(path), directory / "disk.socket") as disk:
        done = subprocess.run([BUILD / "qemu-img", "check", disk.uri], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, text=True)
        tap.check("a disk that seeks serves the bytes of its file", done.returncode == 0 and disk.seconds > 0,
                  done.stdout)
    path.unlink()


def test_timed(tap, directory):
    out, err = directory / "out", directory / "err"
    script = "echo to-stdout; echo to-stderr >&2; sleep 0.2; head -c 1000000 /dev/zero >/dev/null; exit 3"
    done = subprocess.run([TOOLS / "timed", out, err, "sh", "-c", script], stdout=subprocess.PIPE, check=False)
    found = json.loads(done.stdout)
    tap.check("a command is timed, its status and output kept",
              found["status"] == 3 and found["seconds"] >= 0.2 and out.read_text() == "to-stdout\n"
              and err.read_text() == "to-stderr\n", found)
    tap.check("what its children read counts", found["read"] >= 1000000, found)
    done = subprocess.run([TOOLS / "timed", out, err, "sh", "-c", "kill -KILL $$"], stdout=subprocess.PIPE, check=False)
    tap.check("a signal is told from an exit status", json.loads(done.stdout)["status"] == -9, done.stdout)


def test_run(tap, directory):
    done = subprocess.run([HERE / "run", "--build", BUILD, "--quick", "--rows", "empty|leaked"],
                          env={**os.environ, "BENCH_DIR": str(directory)}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    tap.check("a short benchmark finds the same results with both programs, and prints its rows",
              done.returncode == 0 and done.stdout.count("start-up") == 3 and "DIFFER" not in done.stdout, done.stdout)
    tap.check("a benchmark leaves no image behind", not list(directory.glob("bench-*")))


def test_failures(tap, directory):
    args = argparse.Namespace(build=BUILD, stock=STOCK, quick=True, minutes=5)

    def fail():
        raise bench.Unmeasured("no disk here")

    with unittest.mock.patch.dict(os.environ, BENCH_DIR=str(directory)), bench.Bench(args) as measured:
        rows = measured.rows([("one", lambda: 1), ("two", fail), ("three", lambda: int("x")), ("four", lambda: 4)])
        tap.check("a row that cannot be measured says why, and the others are there",
                  rows == [1, 4] and measured.left_out[0] == ("two", "no disk here")
                  and measured.left_out[1][0] == "three", rows, measured.left_out)
        measured.end = 0
        tap.check("when the time is up, no more rows are measured",
                  measured.rows([("five", lambda: 5)]) == [] and len(measured.left_out) == 3, measured.left_out)


def test_plot(tap, _):
    times = collections.namedtuple("Times", "median rss")
    axis = collections.namedtuple("Axis", "name points")
    ours, stock = times(0.5, 4 << 20), times(8, 40 << 20)
    text = plot.script([axis("snapshots", [growth.Point(0, ours, stock), growth.Point(10, ours, stock),
                                           growth.Point(100, ours, None)])], "picture.svg")
    # 0 has no place on a logarithmic axis
    tap.check("a plot has the points that were measured",
              "$ours << end\n10 0.500000 4.0\n100 0.500000 4.0\nend" in text
              and "$stock << end\n10 8.000000 40.0\nend" in text, text)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="test-bench-", dir=BUILD) as directory:
        for test in (test_images, test_floor, test_slow, test_timed, test_run, test_failures, test_plot):
            test(tap, pathlib.Path(directory))
    print(f"1..{tap.number}")


if __name__ == "__main__":
    main()
