# SPDX-License-Identifier: GPL-2.0-or-later
"""What more than the verdict costs: further options, and decompressing."""

import os
import random
import re
import subprocess

from bench import QUICK_DIVISOR, Times, alternate, mib

EXTRAS = ["--findings", "--space", "--map=map.png", "--report=report.html"]
IMAGES = ["--size=1T", "--size=1T --random", "--size=1T --shared-snapshots=20", "--size=64G --leaks=100000"]
COLUMNS = ["image", "plain", *(re.sub("=.*", "", option) for option in EXTRAS), "all", "MiB", "MiB all"]

COMPRESSED = 256 << 20  # bytes of the disk whose clusters are compressed
COMPRESSED_COLUMNS = ["compression", "disk MiB", "file MiB", "ours", "stock", "ratio", "reading the file", "of that",
                      "our MiB", "stock MiB"]


def measure_options(bench, image):
    """Each option by itself, and all together."""
    wishes = [[], *([option] for option in EXTRAS), EXTRAS]
    with bench.image(image) as path:
        words = [[re.sub("=", f"={bench.directory}/", option) for option in wish] for wish in wishes]
        measures = [lambda wish=wish: bench.run(bench.ours, path, *wish) for wish in words]
        plain, *others = [Times(runs) for runs in alternate(*measures)]
    ratios = {column: f"{times.median / plain.median:.2f}" for column, times in zip(COLUMNS[2:], others)}
    return {"image": f"``{image}``", "plain": str(plain), **ratios, "MiB": mib(plain.rss),
            "MiB all": mib(others[-1].rss)}


def measure(bench):
    return bench.rows((f"more of {image}", lambda image=image: measure_options(bench, image)) for image in IMAGES)


def make_text(path, size):
    """Numbers as text, which shrink to about half."""
    chosen = random.Random(1)
    block = b"".join(b"%d " % chosen.randrange(10**9) for _ in range(1 << 21))[:16 << 20]
    with open(path, "wb") as file:
        for _ in range(max(1, size // len(block))):
            file.write(block)
    return os.path.getsize(path)


def measure_kind(bench, kind):
    """Verifying compressed clusters, beside the stock tool that reads them, and beside reading the file."""
    raw, path = (str(bench.directory / name) for name in ("compressed.raw", "compressed.qcow2"))
    try:
        size = make_text(raw, COMPRESSED // (QUICK_DIVISOR if bench.quick else 1))
        subprocess.run([bench.stock, "convert", "-c", "-O", "qcow2", "-o", f"compression_type={kind}", raw, path],
                       check=True)
        os.sync()
        null = f"driver=null-co,size={size}"
        measures = [lambda: bench.timed(bench.ours, "check", "-q", "--verify-compressed", path),
                    lambda: bench.timed(bench.stock, "convert", "-n", "-f", "qcow2", "--target-image-opts", path, null),
                    lambda: bench.timed("dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct")]
        ours, stock, disk = [Times(runs) for runs in alternate(*measures)]
        return {"compression": kind, "disk MiB": mib(size), "file MiB": mib(os.path.getsize(path)), "ours": str(ours),
                "stock": str(stock), "ratio": f"{stock.median / ours.median:.1f}", "reading the file": str(disk),
                "of that": f"{ours.median / disk.median:.1f}", "our MiB": mib(ours.rss), "stock MiB": mib(stock.rss)}
    finally:
        for file in raw, path:
            if os.path.exists(file):
                os.unlink(file)


def measure_compressed(bench):
    return bench.rows((f"compressed, {kind}", lambda kind=kind: measure_kind(bench, kind)) for kind in ("zlib", "zstd"))
