#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted images by the stock tool, which measures how fast it derives keys: where its clock shows no time for that, it
fails. A longer time for the measurement helps, and another try.

    luks.py QEMU-IMG IMAGE SIZE [OPTION...]    OPTION: as after -o
"""

import subprocess
import sys

KEY = ["--object", "secret,id=s,data=x"]  # options of the stock tools for such an image
MILLISECONDS = [10] * 5 + [100] * 5 + [1000] * 5


def create(tool, image, size, *options):
    for time in MILLISECONDS:
        encrypt = f"encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time={time}"
        command = [tool, "create", "-q", "-f", "qcow2", *KEY, "-o", ",".join([encrypt, *options]), image, str(size)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            return
    raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


if __name__ == "__main__":
    create(*sys.argv[1:])
