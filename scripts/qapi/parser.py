# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads schema files into expressions.

The text is JSON with three liberties: strings stand in single quotes, `#` begins a comment, and
expressions follow each other without a separator.  A comment between two `##` lines documents the
expression after it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Iterator, Optional, Union

from .doc import Doc, FreeText, parse_doc
from .error import Place, SchemaError

MAX_DEPTH = 32


class Text(str):
    """A string that knows where it was written."""

    place: Place


class Flag:
    """`true` or `false`, and where it was written."""

    def __init__(self, value: bool, place: Place) -> None:
        self.value = value
        self.place = place


class Items(list['Value']):
    """A list that knows where it was written."""

    place: Place


class Table(dict[Text, 'Value']):
    """An object that knows where it was written, and where each of its keys was."""

    place: Place

    def key_place(self, key: str) -> Place:
        return next(own.place for own in self if own == key)


Value = Union[Text, Flag, Items, Table]


@dataclass
class Expression:
    table: Table
    doc: Optional[Doc]


@dataclass
class Pragmas:
    doc_required: bool = False
    member_name_exceptions: set[str] = field(default_factory=set)


@dataclass
class Parsed:
    """All files of a schema: definitions, and texts that belong to none, in the order of the files."""

    entries: list[Union[Expression, FreeText]] = field(default_factory=list)
    pragmas: Pragmas = field(default_factory=Pragmas)


@dataclass
class Token:
    kind: str           # one of `{}[]:,`, or 'string', 'word', 'doc', 'end'
    text: str
    place: Place


TOKEN = re.compile(r"""
    (?P<space>[ \n]+)
  | (?P<doc>^\#\#[ ]*\n(?:\#(?!\#).*\n)*\#\#[ ]*$)
  | (?P<open_end>^\#\#[ ]*$)
  | (?P<comment>\#.*)
  | (?P<mark>[{}\[\]:,])
  | (?P<string>'[^'\n]*')
  | (?P<open_string>')
  | (?P<word>[A-Za-z]+)
""", re.VERBOSE | re.MULTILINE)


def tokens(file: str, text: str) -> Iterator[Token]:
    line, line_start, position = 1, 0, 0
    while position < len(text):
        place = Place(file, line, position - line_start + 1)
        match = TOKEN.match(text, position)
        if not match:
            raise SchemaError(place, f'stray character {text[position]!r}')
        kind, value = str(match.lastgroup), match.group()
        if kind == 'open_end':
            raise SchemaError(place, 'documentation comment is not ended by a line with ##')
        if kind == 'open_string':
            raise SchemaError(place, 'string is not ended on its line')
        if kind == 'string':
            if not re.fullmatch(r"'[ -~]*'", value) or '\\' in value:
                raise SchemaError(place, 'strings hold printable ASCII characters and no backslash')
            yield Token(kind, value[1:-1], place)
        elif kind == 'mark':
            yield Token(value, value, place)
        elif kind in ('word', 'doc'):
            yield Token(kind, value, place)
        position = match.end()
        if '\n' in value:
            line += value.count('\n')
            line_start = match.start() + value.rindex('\n') + 1
    yield Token('end', '', Place(file, line, position - line_start + 1))


class FileParser:
    """Parses one file; the files that it includes get parsers of their own."""

    def __init__(self, path: str, parsed: Parsed, including: list[str], seen: set[str]) -> None:
        self.path = path
        self.parsed = parsed
        self.including = including
        self.seen = seen
        self.tokens = tokens(path, read_text(path))
        self.token = next(self.tokens)

    def advance(self) -> Token:
        token = self.token
        if token.kind != 'end':
            self.token = next(self.tokens)
        return token

    def expect(self, kind: str, what: str) -> Token:
        if self.token.kind != kind:
            raise self.unexpected(what)
        return self.advance()

    def unexpected(self, what: str) -> SchemaError:
        found = {'end': 'the end of the file', 'doc': 'a documentation comment',
                 'string': f"string '{self.token.text}'"}
        return SchemaError(self.token.place,
                           f"expected {what}, found {found.get(self.token.kind, repr(self.token.text))}")

    def parse(self) -> None:
        doc: Optional[Doc] = None
        while self.token.kind != 'end':
            if self.token.kind == 'doc':
                token = self.advance()
                refuse_left_over(doc)
                block = parse_doc(token.text, token.place)
                if isinstance(block, FreeText):
                    self.parsed.entries.append(block)
                else:
                    doc = block
                continue
            if self.token.kind != '{':
                raise self.unexpected("'{'")
            self.expression(self.table(1), doc)
            doc = None
        refuse_left_over(doc)

    def expression(self, table: Table, doc: Optional[Doc]) -> None:
        for directive, handle in (('include', self.include), ('pragma', self.pragma)):
            if directive in table:
                refuse_left_over(doc)
                if len(table) != 1:
                    raise SchemaError(table.place, f"'{directive}' stands alone in its expression")
                handle(table[Text(directive)], table.place)
                return
        self.parsed.entries.append(Expression(table, doc))

    def include(self, value: Value, place: Place) -> None:
        if not isinstance(value, Text):
            raise SchemaError(place, "value of 'include' must be a string")
        path = os.path.normpath(os.path.join(os.path.dirname(self.path), value))
        if path in self.including:
            chain = ' -> '.join(os.path.basename(each) for each in self.including + [path])
            raise SchemaError(value.place, f'file includes itself: {chain}')
        if path in self.seen:
            return
        if not os.path.isfile(path):
            raise SchemaError(value.place, f"cannot find included file '{value}'")
        self.seen.add(path)
        FileParser(path, self.parsed, self.including + [path], self.seen).parse()

    def pragma(self, value: Value, place: Place) -> None:
        if not isinstance(value, Table):
            raise SchemaError(place, "value of 'pragma' must be an object")
        for name, setting in value.items():
            if name == 'doc-required':
                if not isinstance(setting, Flag):
                    raise SchemaError(name.place, "pragma 'doc-required' must be true or false")
                self.parsed.pragmas.doc_required = setting.value
            elif name == 'member-name-exceptions':
                if not isinstance(setting, Items) or not all(isinstance(each, Text) for each in setting):
                    raise SchemaError(name.place, "pragma 'member-name-exceptions' must be a list of strings")
                self.parsed.pragmas.member_name_exceptions.update(str(each) for each in setting)
            else:
                raise SchemaError(name.place, f"unknown pragma '{name}'")

    def value(self, depth: int) -> Value:
        token = self.token
        if depth > MAX_DEPTH:
            raise SchemaError(token.place, f'values are nested more than {MAX_DEPTH} deep')
        if token.kind == '{':
            return self.table(depth)
        if token.kind == '[':
            return self.items(depth)
        if token.kind == 'string':
            return self.text()
        if token.kind == 'word' and token.text in ('true', 'false'):
            self.advance()
            return Flag(token.text == 'true', token.place)
        raise self.unexpected("a string, '{', '[', true or false")

    def text(self) -> Text:
        token = self.expect('string', 'a string')
        text = Text(token.text)
        text.place = token.place
        return text

    def items(self, depth: int) -> Items:
        items = Items()
        items.place = self.expect('[', "'['").place
        if self.token.kind == ']':
            self.advance()
            return items
        while True:
            items.append(self.value(depth + 1))
            if self.token.kind == ']':
                self.advance()
                return items
            self.expect(',', "',' or ']'")

    def table(self, depth: int) -> Table:
        table = Table()
        table.place = self.expect('{', "'{'").place
        if self.token.kind == '}':
            self.advance()
            return table
        while True:
            key = self.text()
            if key in table:
                raise SchemaError(key.place, f"duplicate key '{key}'")
            self.expect(':', "':'")
            table[key] = self.value(depth + 1)
            if self.token.kind == '}':
                self.advance()
                return table
            self.expect(',', "',' or '}'")


def read_text(path: str) -> str:
    with open(path, encoding='utf-8') as stream:
        try:
            return stream.read()
        except UnicodeDecodeError as error:
            before = error.object[:error.start]
            place = Place(path, before.count(b'\n') + 1, len(before) - before.rfind(b'\n'))
            raise SchemaError(place, 'file is not encoded in UTF-8') from error


def refuse_left_over(doc: Optional[Doc]) -> None:
    """To be called where no definition follows that @doc could document."""
    if doc:
        raise SchemaError(doc.place, f"documentation of '{doc.symbol}' has no definition after it")


def parse(path: str) -> Parsed:
    parsed = Parsed()
    path = os.path.normpath(path)
    FileParser(path, parsed, [path], {path}).parse()
    return parsed
