# SPDX-License-Identifier: GPL-2.0-or-later
"""The 'if' of the schema language: conditions that the C preprocessor decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, Optional

from .error import Place, SchemaError
from .parser import Items, Table, Text, Value


@dataclass(frozen=True)
class Condition:
    """A macro that must be defined, or `all`, `any` or `not` of other conditions."""

    operator: str
    operands: tuple[Condition, ...] = ()

    def c_expression(self) -> str:
        if self.operator == 'not':
            return '!' + self.operands[0].c_expression()
        if self.operator in ('all', 'any'):
            joint = ' && ' if self.operator == 'all' else ' || '
            return '(' + joint.join(each.c_expression() for each in self.operands) + ')'
        return f'defined({self.operator})'

    def __str__(self) -> str:
        if self.operator in ('all', 'any', 'not'):
            return f"{self.operator}({', '.join(str(each) for each in self.operands)})"
        return self.operator


def parse_condition(table: Table) -> Optional[Condition]:
    """The condition of a definition or member, from its 'if' key."""
    if 'if' not in table:
        return None
    return build(table[Text('if')], table.key_place('if'))


def build(value: Value, place: Place) -> Condition:
    if isinstance(value, Text):
        if not re.fullmatch(r'[A-Z][A-Z0-9_]*', value):
            raise SchemaError(value.place, f"condition '{value}' must be a macro in capitals")
        return Condition(str(value))
    if not isinstance(value, Table) or len(value) != 1:
        raise SchemaError(place, "'if' must be a string, or an object with one of: all, any, not")
    operator, operand = next(iter(value.items()))
    if operator == 'not':
        return Condition('not', (build(operand, operator.place),))
    if operator not in ('all', 'any'):
        raise SchemaError(operator.place,
                          f"unknown condition operator '{operator}' (expected: all, any, not)")
    if not isinstance(operand, Items) or not operand:
        raise SchemaError(operator.place, f"'{operator}' of a condition must be a list that is not empty")
    return Condition(str(operator), tuple(build(each, operator.place) for each in operand))


def guarded(condition: Optional[Condition], lines: list[str]) -> Iterator[str]:
    """@lines, compiled only where @condition holds."""
    if condition:
        yield f'#if {condition.c_expression()}'
    yield from lines
    if condition:
        yield '#endif'
