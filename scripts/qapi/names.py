# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of the schema as names in C."""

from __future__ import annotations

import re
from typing import Optional

# Keywords of C11, and lower-case macros that common headers define.
RESERVED = frozenset('''
    auto break case char const continue default do double else enum extern float for goto if inline int
    long register restrict return short signed sizeof static struct switch typedef union unsigned void
    volatile while
    asm bool complex errno false linux stderr stdin stdout true typeof unix
'''.split())


def c_name(name: str) -> str:
    """A member as C spells it: `image-end-offset` is image_end_offset, `default` is default_."""
    spelled = re.sub(r'[^A-Za-z0-9_]', '_', name)
    return spelled + '_' if spelled in RESERVED else spelled


def c_upper(name: str) -> str:
    """CamelCase to CAPITALS_WITH_UNDERSCORES: Qcow2BitmapDir is QCOW2_BITMAP_DIR, XMLFile XML_FILE."""
    spaced = re.sub(r'([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])', r'\1\3_\2', name)
    return spaced.upper()


def c_enum_constant(enum: str, value: str, prefix: Optional[str] = None) -> str:
    """The C name of an enum value."""
    return f'{prefix or c_upper(enum)}_' + re.sub(r'[^A-Za-z0-9_]', '_', value).upper()
