# SPDX-License-Identifier: GPL-2.0-or-later
"""Images for the tests of reports, and where things are in them, as the builder and the reader of tests/lib say."""

import struct
import subprocess
from pathlib import Path

IMG = Path(__file__).resolve().parent.parent / "lib" / "img"
OFFSET_MASK = 0x00fffffffffffe00
SPOILED = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "image"
CLUSTER = 1 << 16

HOSTILE_NAME = "</script><img src=x onerror=alert(1)>"
HOSTILE_FILE = "<img src=x onerror=alert(2)>\u202egpj.\x1b[31m.qcow2"


def make(path, *options):
    subprocess.run([IMG, "make", path, *options], check=True)


def word(path, address):
    return int(subprocess.run([IMG, "peek", path, address], check=True, capture_output=True, text=True).stdout.split()[0], 0)


def offset(path, address):
    """The offset in the table entry at @address."""
    return word(path, address) & OFFSET_MASK


def plain(folder):
    """40 guest clusters, of which a snapshot holds what was overwritten; compressed data; a bitmap."""
    path = folder / "plain.qcow2"
    make(path, "--size", "64M", "--write", "0:2M", "--snapshot", "monday", "--write", "1M:256k",
         "--compress", "32M:512k:20000", "--bitmap", "nightly:entries=d", "--set", "snap:0:date_sec=1709251199")
    return path


def fragmented(folder):
    """Clusters 2 to 5 of the file have the guest's 8 to 11, 6 to 9 have 0 to 3, 10 to 17 have 16 to 23, 18 to 21 have 4 to 7."""
    path = folder / "fragmented.qcow2"
    make(path, "--size", "4M", "--write", "512k:256k", "--write", "0:256k", "--write", "1M:512k", "--write", "256k:256k")
    return path


def dates(folder):
    """Three snapshots, whose times are none, the first second that there is, and the last."""
    path = folder / "dates.qcow2"
    make(path, "--size", "4M", "--snapshot", "none", "--snapshot", "first", "--snapshot", "last", "--set", "snap:0:date_sec=0",
         "--set", "snap:1:date_sec=1", "--set", "snap:2:date_sec=0xffffffff")
    return path


def broken(folder):
    """Stored counts that are too low for clusters 8 and 9, and leaks at 12 and 20."""
    path = folder / "broken.qcow2"
    make(path, "--size", "64M", "--write", "0:4M", "--set", "refcount:8=0", "--set", "refcount:9=0",
         "--set", "refcount:12=5", "--set", "refcount:20=3")
    return path


def lost(folder):
    """The L1 entry of all 512 MiB is gone; the table and its ten clusters leak."""
    path = folder / "lost.qcow2"
    make(path, "--size", "512M", "--write", "0:640k", "--set", "l1:0=0")
    return path


def many_faults(folder):
    """A leak in every second cluster: as many findings."""
    path = folder / "many.qcow2"
    options = [option for cluster in range(300, 1500, 2) for option in ("--set", f"refcount:{cluster}=9")]
    make(path, "--size", "128M", "--write", "0:100M", *options)
    return path


def hostile(folder):
    path = folder / "hostile.qcow2"
    make(path, "--size", "16M", "--write", "0:1M", "--snapshot", HOSTILE_NAME, "--snapshot", "a\u202eb", "--bitmap",
         "<b onclick=alert(3)>")
    named = folder / HOSTILE_FILE.replace("/", "_")
    path.rename(named)
    return named


def huge(folder, tables=1 << 20):
    """A million L2 tables, all of them in a hole: 64 GiB of which some 10 MiB are written."""
    path = folder / "huge.qcow2"
    l1_clusters = tables * 8 // CLUSTER
    counts_in_block = CLUSTER // 2
    used = 2 + l1_clusters + tables
    blocks = -(-(used + used // counts_in_block + 1) // counts_in_block)
    first_table = 2 + blocks + l1_clusters
    end = first_table + tables
    header = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, tables * (CLUSTER // 8) * CLUSTER, 0, tables,
                         (2 + blocks) * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104)

    with open(path, "wb") as file:
        file.write(header)
        file.seek(CLUSTER)
        file.write(b"".join(struct.pack(">Q", (2 + i) * CLUSTER) for i in range(blocks)))
        file.seek(2 * CLUSTER)
        file.write(b"\0\1" * end)
        file.seek((2 + blocks) * CLUSTER)
        file.write(b"".join(struct.pack(">Q", 1 << 63 | (first_table + i) * CLUSTER) for i in range(tables)))
        file.truncate(end * CLUSTER)
    return path, first_table
