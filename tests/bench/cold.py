# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of images on disks of this machine that are not in memory: its own, one that is throttled, one that seeks."""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

from bench import Unmeasured, mib
from model_disk import ModelDisk

DROP_CACHES = pathlib.Path("/proc/sys/vm/drop_caches")
BLKIO = pathlib.Path("/sys/fs/cgroup/blkio")
RUNS = 5  # rounds of all that is measured in turn
FEWEST, PATIENCE = 2, 40  # rounds, unless they have taken so many seconds
IN_FLIGHT = 32  # of the floor
STOCK_LIMIT = 60  # seconds, after which the stock tool is ended
ROOM = 20 << 30  # bytes that images in full leave free
DISK_IMAGE = "--size=256G"
IOPS, BANDWIDTH = 2000, 200 << 20  # reads and bytes a second of the throttled disk
THROTTLED_IMAGE = "--size=1T"

IMAGES = [
    ("1 TiB, tables in order", "--size=1T"),
    ("1 TiB, tables at random", "--size=1T --random"),
    ("1 TiB, 20 snapshots with shared tables", "--size=1T --shared-snapshots=20"),
    ("8 GiB on disk in full, 4 KiB clusters", "--size=8G --cluster-size=4K --full"),
    ("32 GiB on disk in full", "--size=32G --full"),
]
COLUMNS = ["image", "metadata MiB", "pieces", "ours", "-T none", "floor", "of floor", "-T none of floor", "stock",
           "ratio"]
DISK_COLUMNS = ["image", "ours", "best", "of best", "seeks"]


def spread(seconds):
    return f"{statistics.median(seconds):.3f} [{min(seconds):.3f} - {max(seconds):.3f}] s"


def in_turn(*measures):
    """The seconds of each of the functions, called in turn."""
    runs = [[] for _ in measures]
    end = time.monotonic() + PATIENCE
    while len(runs[0]) < RUNS and (len(runs[0]) < FEWEST or time.monotonic() < end):
        for measure, done in zip(measures, runs):
            done.append(measure())
    return runs


def ratio(ours, others):
    """Of medians, with the range that the single pairs of runs give."""
    pairs = [a / b for a, b in zip(ours, others)]
    return f"{statistics.median(ours) / statistics.median(others):.2f} [{min(pairs):.2f} - {max(pairs):.2f}]"


def check_time(bench, target, *options, before=()):
    """The seconds of our check of an image that is clean."""
    run = bench.run(bench.ours, target, *options, before=before)
    if run.status != 0:
        raise Unmeasured(f"a check ends with {run.status}: {bench.output(bench.ours, 'err').read_text()[-300:]}")
    return run.seconds


class Floor:
    """The plain programs that read the same places."""

    def __init__(self, bench, path):
        self.bench = bench
        self.places = bench.places(path)
        self.lines = "".join(f"{place['offset']} {place['size']}\n" for place in self.places).encode()
        self.last = {}

    def run(self, name, target, in_flight, before=()):
        done = subprocess.run([*before, self.bench.tool(name), target, str(in_flight)], input=self.lines, check=True,
                              stdout=subprocess.PIPE)
        self.last = json.loads(done.stdout)
        return self.last["seconds"]


# ---- a disk of this machine ----

def need_root():
    if os.geteuid() != 0 or not os.access(DROP_CACHES, os.W_OK):
        raise Unmeasured("only root can drop the page cache")


def need_room(bench, options):
    """For an image in full."""
    if "--full" in options:
        room = shutil.disk_usage(bench.directory).free - ROOM
        size = int(options.split("--size=")[1].split("G")[0]) << 30
        if room < size:
            raise Unmeasured(f"{size >> 30} GiB would not leave {ROOM >> 30} GiB free")


def drop(path):
    """Forgets what is cached of the file, and everything else."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    DROP_CACHES.write_text("3\n", encoding="ascii")


def stock_seconds(bench, target, before):
    """Of one run; None if that takes too long."""
    run = bench.run(bench.stock, target, before=[*before, "timeout", "--foreground", str(STOCK_LIMIT)])
    return None if run.status == 124 else run.seconds


def measure_image(bench, name, target, floor, before=()):
    """The row of an image on a local disk."""
    def cold(measure):
        drop(target)
        for program in bench.ours, bench.stock:
            bench.run(program, "/dev/null", before=before)  # the programs and their libraries come from memory
        return measure()

    ours, direct, bottom = in_turn(
        lambda: cold(lambda: check_time(bench, target, before=before)),
        lambda: cold(lambda: check_time(bench, target, "-T", "none", before=before)),
        lambda: cold(lambda: floor.run("floor-direct", target, IN_FLIGHT, before)))
    stock = cold(lambda: stock_seconds(bench, target, before))
    factor = (stock or STOCK_LIMIT) / statistics.median(ours)
    more = "" if stock else "> "
    return {"image": name, "metadata MiB": mib(floor.last["bytes"]), "pieces": str(floor.last["reads"]),
            "ours": spread(ours), "-T none": spread(direct), "floor": spread(bottom), "of floor": ratio(ours, bottom),
            "-T none of floor": ratio(direct, bottom), "stock": f"{more}{stock or STOCK_LIMIT:.2f} s",
            "ratio": f"{more}{factor:.1f}"}


def measure_own(bench, name, options):
    need_root()
    need_room(bench, options)
    with bench.image(options) as path:
        return measure_image(bench, name, path, Floor(bench, path))


# ---- a disk that is throttled ----

@contextlib.contextmanager
def loop_device(path):
    """A block device whose bytes are those of the file; nothing of them is cached twice."""
    done = subprocess.run(["losetup", "--find", "--show", "--read-only", "--direct-io=on", path], check=True,
                          stdout=subprocess.PIPE, text=True)
    device = done.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=False)


@contextlib.contextmanager
def throttled(device):
    """Words in front of a command that let it read from the device only so fast."""
    group = BLKIO / f"qemu-img-bench-{os.getpid()}"
    if not (BLKIO / "cgroup.procs").exists():
        raise Unmeasured("the kernel has no blkio group (cgroup v1) here")
    group.mkdir()
    try:
        status = os.stat(device)
        for file, limit in (("read_iops_device", IOPS), ("read_bps_device", BANDWIDTH)):
            (group / f"blkio.throttle.{file}").write_text(
                f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)} {limit}\n", encoding="ascii")
        yield ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
    finally:
        group.rmdir()


def measure_throttled(bench):
    need_root()
    with bench.image(THROTTLED_IMAGE) as path, loop_device(path) as device, throttled(device) as before:
        return measure_image(bench, f"1 TiB, in order, {IOPS:,} reads and {BANDWIDTH >> 20} MiB a second", device,
                             Floor(bench, path), before)


def measure(bench):
    return bench.rows([*((f"cold: {name}", lambda n=name, o=options: measure_own(bench, n, o))
                         for name, options in IMAGES),
                       ("cold: throttled loop device", lambda: measure_throttled(bench))])


# ---- a disk that seeks ----

def measure_model(bench):
    """By the clock of the model, which no other work on the machine changes."""
    with bench.image(DISK_IMAGE) as path:
        places = sorted((place["offset"], place["size"]) for place in bench.places(path))
        with ModelDisk(path, bench.directory / "disk.socket") as disk:
            check_time(bench, disk.uri)
            used = disk.seconds
            best = disk.best(places)
        return {"image": DISK_IMAGE, "ours": f"{used:.2f} s", "best": f"{best:.2f} s", "of best": f"{used / best:.2f}",
                "seeks": str(disk.seeks)}


def measure_disk(bench):
    return bench.rows([("a disk that seeks", lambda: measure_model(bench))])
