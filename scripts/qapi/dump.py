# SPDX-License-Identifier: GPL-2.0-or-later
"""The checked schema as plain text, one line for each thing that was understood."""

from __future__ import annotations

from typing import Iterator, Union

from .doc import Doc, Entry, FreeText
from .schema import Alternate, Definition, Enum, EnumValue, List, Member, Schema, Sequence, Struct


def extras(part: Union[Member, EnumValue, Definition]) -> str:
    condition = f' if={part.condition}' if part.condition else ''
    return condition + ''.join(f' {feature}' for feature in part.features)


def member_line(word: str, member: Member) -> str:
    kind = f'[{member.type.element.name}]' if isinstance(member.type, List) else member.type.name
    kind += ' sequence' if isinstance(member.type, Sequence) else ''
    return f'    {word} {member.name}: {kind}' + (' optional' if member.optional else '') + extras(member)


def definition_lines(definition: Definition) -> Iterator[str]:
    if isinstance(definition, Enum):
        prefix = f' prefix={definition.prefix}' if definition.prefix else ''
        yield f'enum {definition.name}{prefix}{extras(definition)}'
        for value in definition.values:
            yield f'    value {value.name}{extras(value)}'
    elif isinstance(definition, Struct):
        yield f"{'union' if definition.is_union else 'struct'} {definition.name}{extras(definition)}"
        if definition.base:
            yield f'    base {definition.base.name}'
        for member in definition.own:
            yield member_line('member', member)
        if definition.discriminator:
            yield f'    discriminator {definition.discriminator.name}'
        for branch in definition.branches:
            yield member_line('branch', branch)
    elif isinstance(definition, Alternate):
        yield f'alternate {definition.name}{extras(definition)}'
        for branch in definition.branches:
            yield member_line('branch', branch)
    if definition.doc:
        yield from doc_lines(definition.doc)


def entry_lines(word: str, entries: dict[str, Entry]) -> Iterator[str]:
    for name, entry in entries.items():
        yield f'    doc {word}{name}: ' + ' | '.join(entry.lines)


def doc_lines(doc: Doc) -> Iterator[str]:
    if doc.body:
        yield '    doc: ' + ' | '.join(doc.body)
    yield from entry_lines('@', doc.members)
    yield from entry_lines('feature ', doc.features)
    yield from entry_lines('', doc.sections)


def dump(schema: Schema) -> str:
    lines: list[str] = []
    for entry in schema.entries:
        if isinstance(entry, FreeText):
            lines.append('text: ' + ' | '.join(entry.lines))
        else:
            lines += definition_lines(entry)
    lines.append('order: ' + ' '.join(each.name for each in schema.order))
    return '\n'.join(lines) + '\n'
