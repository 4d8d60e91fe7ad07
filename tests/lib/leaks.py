# SPDX-License-Identifier: GPL-2.0-or-later
"""Has a sanitizer look for leaks once for each kind of command.

That takes as long as all else of a start with a small image. Tests that start the same command hundreds of times look at
the first one of each kind; the crash driver and the fuzz targets look for leaks of all that they try.
"""

import os


class Leaks:
    def __init__(self):
        self.seen = set()

    def options(self, *kind):
        """{"ASAN_OPTIONS": ...} for a command of this kind."""
        known = kind in self.seen
        self.seen.add(kind)
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"ASAN_OPTIONS": f"{options}:detect_leaks=0" if known else options}
