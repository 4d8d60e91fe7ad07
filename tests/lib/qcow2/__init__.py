# SPDX-License-Identifier: GPL-2.0-or-later
"""The qcow2 container for tests, written from the format's description and sharing nothing with the C program.

layout   names, places and widths of the fields
reader   bytes to structures; takes any bytes, trusts none
builder  a description to an image, consistent unless told otherwise
address  names for words ("l2:0:16", "header:size"), to read and to overwrite them
"""
