# SPDX-License-Identifier: GPL-2.0-or-later
"""The comparison run: images broken at random, our verdict against the stock tool's.

bases   the healthy images that are broken
edits   what can be broken in an image, and with which values
tools   running a qemu-img and keeping what it said
judge   whether two verdicts agree, and which of our documented differences explains it when not
"""
