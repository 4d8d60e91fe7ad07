# SPDX-License-Identifier: GPL-2.0-or-later
"""Documentation comments: the text between two `##` lines, taken apart."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import Union

from .error import Place, SchemaError

SYMBOL = re.compile(r'@([^\s:]+):\s*')
MEMBER = re.compile(r'@([^\s:]+):(?:\s+(.*))?')
SECTION = re.compile(r'(Since|Note|Example):(?:\s+(.*))?')


@dataclass
class Entry:
    """The description of one member or feature."""

    place: Place
    lines: list[str] = field(default_factory=list)


@dataclass
class Doc:
    """What is said about one definition."""

    symbol: str
    place: Place
    body: list[str] = field(default_factory=list)
    members: dict[str, Entry] = field(default_factory=dict)
    features: dict[str, Entry] = field(default_factory=dict)
    sections: dict[str, Entry] = field(default_factory=dict)     # 'Since', 'Note', 'Example'


@dataclass
class FreeText:
    """Documentation of no single definition: headings (`= Title`) and paragraphs."""

    place: Place
    lines: list[str]


def comment_lines(text: str, place: Place) -> list[tuple[Place, str]]:
    lines = []
    for number, line in enumerate(text.split('\n')[1:-1], place.line + 1):
        where = Place(place.file, number, 1)
        if line.rstrip() == '#':
            lines.append((where, ''))
        elif line.startswith('# '):
            lines.append((where, line[2:].rstrip()))
        else:
            raise SchemaError(where, "a space must follow the '#' of a documentation line")
    return lines


def parse_doc(text: str, place: Place) -> Union[Doc, FreeText]:
    lines = comment_lines(text, place)
    while lines and not lines[0][1]:
        lines.pop(0)
    if not lines:
        raise SchemaError(place, 'documentation comment is empty')
    if not lines[0][1].startswith('@'):
        return FreeText(place, [line for _, line in lines])
    symbol = SYMBOL.fullmatch(lines[0][1])
    if not symbol:
        raise SchemaError(lines[0][0], "first line of a documentation comment must be '@Name:'")
    return read_sections(Doc(symbol.group(1), place), lines[1:])


def read_sections(doc: Doc, lines: list[tuple[Place, str]]) -> Doc:
    """Sorts @lines into the parts of @doc.  Outside the body, continued text is indented."""
    target = doc.body
    entries = doc.members
    for place, line in lines:
        member = MEMBER.fullmatch(line)
        section = SECTION.fullmatch(line)
        if line == 'Features:':
            if entries is doc.features:
                raise SchemaError(place, "second 'Features:' line")
            entries = doc.features
            target = []
        elif member or section:
            match = member or section
            assert match
            table = entries if member else doc.sections
            name = match.group(1)
            if name in table:
                raise SchemaError(place, f"'{name}' is described twice")
            entry = table[name] = Entry(place)
            target = entry.lines
            if match.group(2):
                target.append(match.group(2))
        elif line.startswith('@'):
            raise SchemaError(place, "a description must begin with '@name:'")
        elif target is not doc.body and line and not line.startswith(' '):
            raise SchemaError(place, 'text that continues a description must be indented')
        else:
            target.append(line)
    doc.body = trimmed(doc.body)
    for table in (doc.members, doc.features, doc.sections):
        for name, entry in table.items():
            entry.lines = trimmed(entry.lines)
            if not entry.lines:
                raise SchemaError(entry.place, f"description of '{name}' is empty")
    return doc


def trimmed(lines: list[str]) -> list[str]:
    """@lines without empty ones at both ends, and without the indentation that continued lines share."""
    first = lines[:1] if lines and not lines[0].startswith(' ') else []
    rest = textwrap.dedent('\n'.join(lines[len(first):]))
    text = '\n'.join(first + ([rest] if rest else []))
    return text.strip('\n').split('\n') if text.strip() else []
