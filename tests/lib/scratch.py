# SPDX-License-Identifier: GPL-2.0-or-later
"""Where tests put images that are written and flushed very often."""

import os

ROOM = 1 << 30  # bytes, more than any such test takes


def fast_folder():
    """A folder in memory, where a flush costs nothing; None where there is none with room: the usual one."""
    folder = "/dev/shm"
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) and found.f_bavail * found.f_frsize >= ROOM else None
