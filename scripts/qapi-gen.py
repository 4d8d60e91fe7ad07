#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the QAPI generator; see scripts/qapi/."""

import sys

from qapi.main import main

if __name__ == '__main__':
    sys.exit(main())
