# SPDX-License-Identifier: GPL-2.0-or-later
"""The QAPI generator: schema files in; C code, JSON Schema and reference documentation out.

The way of the data: parser (text to expressions with their places), schema (expressions to checked
types), and one module for each kind of output.  docs/devel/qapi.rst describes the schema language.
"""
