# SPDX-License-Identifier: GPL-2.0-or-later
"""Which parts of a file are in no hole."""

import os


def data_ranges(file):
    """(start, end) of each part of an open file that the file system stores, in order."""
    descriptor, at = file.fileno(), 0
    length = os.fstat(descriptor).st_size
    while at < length:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole from here on
            return
        at = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, at
