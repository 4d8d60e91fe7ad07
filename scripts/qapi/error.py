# SPDX-License-Identifier: GPL-2.0-or-later
"""Places in schema files, and the one exception that the generator reports to its user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A position in a schema file.  Lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f'{self.file}:{self.line}:{self.column}'


class SchemaError(Exception):
    """Something is wrong with the schema at a place that the message begins with."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(f'{place}: {message}')
