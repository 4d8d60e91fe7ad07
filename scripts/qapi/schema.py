# SPDX-License-Identifier: GPL-2.0-or-later
"""The checked schema: every name resolved, every rule of the language verified.

A Schema that exists is right; the modules that write output need not look for faults again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator, Optional, Union

from .condition import Condition, parse_condition
from .doc import Doc, Entry, FreeText
from .error import Place, SchemaError
from .names import c_enum_constant, c_name
from .parser import MAX_DEPTH, Expression, Flag, Items, Parsed, Pragmas, Table, Text, Value

FEATURES = ('deprecated', 'unstable')
TYPE_NAME = re.compile(r'[A-Z][A-Za-z0-9]*')
MEMBER_NAME = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]+)*')
VALUE_NAME = re.compile(r'[a-z0-9]+([-.][a-z0-9]+)*')
LOOSE_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_-]*')


@dataclass(eq=False)
class Type:
    """What every type has.  `kind` is how its values look in JSON, as an enumerator of QapiKind."""

    name: str
    kind: str = ''

    def c_type(self) -> str:
        return self.name


@dataclass(eq=False)
class Builtin(Type):
    c: str = ''
    schema: dict[str, object] = field(default_factory=dict)     # in the terms of JSON Schema
    text: str = ''                                              # for the reference

    def c_type(self) -> str:
        return self.c


@dataclass(eq=False)
class List(Type):
    element: Type = field(default_factory=lambda: Type(''))

    def c_type(self) -> str:
        return f'{self.name}List'

    def visited_as(self) -> str:
        """What follows visit_type_ in the name of its visitor."""
        return self.c_type()


@dataclass(eq=False)
class Sequence(List):
    """A list whose items are made one at a time, when they are visited."""

    def c_type(self) -> str:
        return 'QapiSequence'

    def visited_as(self) -> str:
        return f'{self.name}Sequence'


@dataclass
class Member:
    """A member of a struct, a branch of a union or an alternate."""

    name: str
    type: Type
    place: Place
    optional: bool = False
    condition: Optional[Condition] = None
    features: tuple[str, ...] = ()

    @property
    def by_pointer(self) -> bool:
        """True where absence is a NULL pointer; other optional members have a `has_` flag."""
        return self.optional and isinstance(self.type, (Struct, Alternate))

    @property
    def has_flag(self) -> bool:
        return self.optional and not self.by_pointer and self.type.name != 'str'


@dataclass
class EnumValue:
    name: str
    place: Place
    condition: Optional[Condition] = None
    features: tuple[str, ...] = ()


@dataclass(eq=False)
class Definition(Type):
    """A type that a schema file defines."""

    place: Place = Place('', 0, 0)
    doc: Optional[Doc] = None
    condition: Optional[Condition] = None
    features: tuple[str, ...] = ()

    def parts(self) -> Iterator[Union[Member, EnumValue]]:
        """What belongs to this definition itself, and so is described in its documentation."""
        return iter(())


@dataclass(eq=False)
class Enum(Definition):
    values: list[EnumValue] = field(default_factory=list)
    prefix: Optional[str] = None

    def parts(self) -> Iterator[EnumValue]:
        return iter(self.values)


@dataclass(eq=False)
class Struct(Definition):
    """A struct; a union is one with branches."""

    is_union: bool = False
    base: Optional[Struct] = None
    own: list[Member] = field(default_factory=list)
    discriminator: Optional[Member] = None
    branches: list[Member] = field(default_factory=list)

    def parts(self) -> Iterator[Member]:
        return iter(self.own)

    def members(self) -> list[Member]:
        """All members in the order of output: those of the base first, no branches."""
        return (self.base.members() if self.base else []) + self.own


@dataclass(eq=False)
class Alternate(Definition):
    branches: list[Member] = field(default_factory=list)

    def parts(self) -> Iterator[Member]:
        return iter(self.branches)


def integer(low: int, high: int) -> dict[str, object]:
    return {'type': 'integer', 'minimum': low, 'maximum': high}


def signed(bits: int) -> dict[str, object]:
    return integer(-2 ** (bits - 1), 2 ** (bits - 1) - 1)


def builtin_types() -> list[Builtin]:
    types = [
        Builtin('str', 'STRING', 'char *', {'type': 'string'}, 'a string'),
        Builtin('bool', 'BOOL', 'bool', {'type': 'boolean'}, 'true or false'),
        Builtin('number', 'NUMBER', 'double', {'type': 'number'}, 'a floating point number'),
        Builtin('int', 'NUMBER', 'int64_t', signed(64), 'a whole number of 64 bits'),
        Builtin('size', 'NUMBER', 'uint64_t', integer(0, 2 ** 64 - 1), 'a number of bytes'),
        Builtin('null', 'NULL', '', {'type': 'null'}, 'null'),
    ]
    for bits in (8, 16, 32, 64):
        types.append(Builtin(f'int{bits}', 'NUMBER', f'int{bits}_t', signed(bits),
                             f'a whole number of {bits} bits'))
        types.append(Builtin(f'uint{bits}', 'NUMBER', f'uint{bits}_t', integer(0, 2 ** bits - 1),
                             f'a whole number of {bits} bits, not negative'))
    return types


# Keys that an expression of each sort must have, and those that it may have.
KEYS = {
    'enum': (('data',), ('prefix', 'if', 'features')),
    'struct': (('data',), ('base', 'if', 'features')),
    'union': (('base', 'discriminator', 'data'), ('if', 'features')),
    'alternate': (('data',), ('if', 'features')),
}


def check_keys(table: Table, what: str, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    for key in table:
        if key not in required + optional:
            raise SchemaError(key.place, f"{what} has no key '{key}'")
    for name in required:
        if name not in table:
            raise SchemaError(table.place, f"{what} lacks key '{name}'")


def want_text(value: Value, place: Place, what: str) -> Text:
    if not isinstance(value, Text):
        raise SchemaError(place, f'{what} must be a string')
    return value


class Schema:
    """Built from parsed files; raises SchemaError at the first fault."""

    def __init__(self, parsed: Parsed) -> None:
        self.pragmas: Pragmas = parsed.pragmas
        self.types: dict[str, Type] = {each.name: each for each in builtin_types()}
        self.lists: dict[str, List] = {}
        self.sequences: dict[str, Sequence] = {}
        self.entries: list[Union[Definition, FreeText]] = []
        self.tables: list[tuple[Definition, Table]] = []

        for entry in parsed.entries:
            self.entries.append(entry if isinstance(entry, FreeText) else self.declare(entry))
        for definition, table in self.tables:
            self.fill(definition, table)
        for definition in self.definitions:
            if isinstance(definition, Struct):
                self.check_base(definition)
        for definition, table in self.tables:
            self.check(definition, table)
        self.order = self.definition_order()
        for definition, _ in self.tables:
            self.check_doc(definition)

    @property
    def definitions(self) -> list[Definition]:
        return [each for each in self.entries if isinstance(each, Definition)]

    # First pass: the name of every definition.

    def declare(self, expression: Expression) -> Definition:
        table = expression.table
        sorts = [sort for sort in KEYS if sort in table]
        if not sorts:
            raise SchemaError(table.place, 'expression defines nothing (expected one of: '
                              + ', '.join(KEYS) + ', include, pragma)')
        if len(sorts) > 1:
            raise SchemaError(table.place, f"expression is both '{sorts[0]}' and '{sorts[1]}'")
        sort = sorts[0]
        name = want_text(table[Text(sort)], table.key_place(sort), f'name of the {sort}')
        if not TYPE_NAME.fullmatch(name):
            raise SchemaError(name.place, f"type name '{name}' must be in CamelCase")
        if name.endswith('List'):
            raise SchemaError(name.place, f"type name '{name}' ends in List, which is for lists")
        if name in self.types:
            raise SchemaError(name.place, f"'{name}' is defined twice")
        required, optional = KEYS[sort]
        check_keys(table, f"{sort} '{name}'", (sort,) + required, optional)
        make = {'enum': Enum, 'struct': Struct, 'union': Struct, 'alternate': Alternate}[sort]
        kind = {'enum': 'STRING', 'alternate': ''}.get(sort, 'OBJECT')
        definition = make(str(name), kind, name.place, expression.doc)
        if isinstance(definition, Struct):
            definition.is_union = sort == 'union'
        definition.condition = parse_condition(table)
        definition.features = self.features(table)
        self.types[name] = definition
        self.tables.append((definition, table))
        return definition

    def features(self, table: Table) -> tuple[str, ...]:
        if 'features' not in table:
            return ()
        value, place = table[Text('features')], table.key_place('features')
        if not isinstance(value, Items) or not value:
            raise SchemaError(place, "'features' must be a list that is not empty")
        names: list[str] = []
        for each in value:
            name = want_text(each, place, 'feature')
            if name not in FEATURES:
                raise SchemaError(name.place, f"unknown feature '{name}' (expected: {', '.join(FEATURES)})")
            if name in names:
                raise SchemaError(name.place, f"feature '{name}' is listed twice")
            names.append(str(name))
        return tuple(names)

    # Second pass: members, with their types looked up.

    def fill(self, definition: Definition, table: Table) -> None:
        data = table[Text('data')]
        place = table.key_place('data')
        if isinstance(definition, Enum):
            self.fill_enum(definition, table, data, place)
            return
        if not isinstance(data, Table):
            raise SchemaError(place, f"'data' of '{definition.name}' must be an object")
        if isinstance(definition, Alternate):
            definition.branches = self.branches(definition, data)
        elif isinstance(definition, Struct) and definition.is_union:
            self.fill_union(definition, table, data)
        elif isinstance(definition, Struct):
            definition.own = self.members(definition, data)
            if 'base' in table:
                definition.base = self.base(definition, table)

    def fill_enum(self, enum: Enum, table: Table, data: Value, place: Place) -> None:
        if not isinstance(data, Items) or not data:
            raise SchemaError(place, f"'data' of enum '{enum.name}' must be a list that is not empty")
        if 'prefix' in table:
            prefix = want_text(table[Text('prefix')], table.key_place('prefix'), "'prefix'")
            if not re.fullmatch(r'[A-Z][A-Z0-9_]*', prefix):
                raise SchemaError(prefix.place, f"prefix '{prefix}' must be in capitals")
            enum.prefix = str(prefix)
        constants: dict[str, str] = {}
        for each in data:
            if isinstance(each, Table):
                check_keys(each, 'enum value', ('name',), ('if', 'features'))
                name = want_text(each[Text('name')], each.place, 'name of an enum value')
                value = EnumValue(str(name), name.place, parse_condition(each), self.features(each))
            else:
                name = want_text(each, getattr(each, 'place', place), 'enum value')
                value = EnumValue(str(name), name.place)
            pattern = LOOSE_NAME if enum.name in self.pragmas.member_name_exceptions else VALUE_NAME
            if not pattern.fullmatch(name):
                raise SchemaError(name.place, f"name of value '{name}' must be lower-case-with-hyphens")
            constant = c_enum_constant(enum.name, name)
            if constant in constants:
                other = constants[constant]
                raise SchemaError(name.place, f"value '{name}' is listed twice" if other == name else
                                  f"values '{other}' and '{name}' have the same name in C")
            constants[constant] = str(name)
            enum.values.append(value)

    def fill_union(self, union: Struct, table: Table, data: Table) -> None:
        base = table[Text('base')]
        if isinstance(base, Table):
            union.own = self.members(union, base)
        else:
            union.base = self.base(union, table)
        want_text(table[Text('discriminator')], table.key_place('discriminator'), "'discriminator'")
        if not data:
            raise SchemaError(table.key_place('data'), f"union '{union.name}' has no branches")
        union.branches = self.branches(union, data)

    def base(self, definition: Definition, table: Table) -> Struct:
        place = table.key_place('base')
        name = want_text(table[Text('base')], place, "'base'")
        base = self.lookup(name, name.place)
        if not isinstance(base, Struct) or base.is_union:
            raise SchemaError(name.place, f"base '{name}' of '{definition.name}' is not a struct")
        return base

    def lookup(self, name: Text, place: Place) -> Type:
        found = self.types.get(name)
        if not found:
            raise SchemaError(place, f"unknown type '{name}'")
        return found

    def type_of(self, value: Value, place: Place) -> Type:
        if isinstance(value, Items):
            if len(value) != 1:
                raise SchemaError(value.place, 'a list type names exactly one type of element')
            name = want_text(value[0], value.place, 'type of the elements')
            element = self.lookup(name, name.place)
            if element.name == 'null':
                raise SchemaError(name.place, "'null' can only be a branch of an alternate")
            return self.lists.setdefault(element.name, List(element.name, 'ARRAY', element))
        name = want_text(value, place, 'type')
        return self.lookup(name, name.place)

    def sequence_of(self, listed: Type, table: Table) -> Sequence:
        flag, place = table[Text('sequence')], table.key_place('sequence')
        if not isinstance(flag, Flag) or not flag.value:
            raise SchemaError(place, "'sequence' must be true")
        if not isinstance(listed, List) or not isinstance(listed.element, Struct):
            raise SchemaError(place, 'a sequence must be a list of structs')
        return self.sequences.setdefault(listed.name, Sequence(listed.name, listed.kind, listed.element))

    def members(self, definition: Definition, data: Table) -> list[Member]:
        found = []
        for key, value in data.items():
            member = self.member(key, value)
            self.check_member_name(definition, member.name, key.place)
            if member.type.name == 'null':
                raise SchemaError(key.place, "'null' can only be a branch of an alternate")
            found.append(member)
        return found

    def branches(self, definition: Definition, data: Table) -> list[Member]:
        found = []
        for key, value in data.items():
            if key.startswith('*'):
                raise SchemaError(key.place, f"branch '{key}' cannot be optional")
            found.append(self.member(key, value))
        return found

    def member(self, key: Text, value: Value) -> Member:
        type_value: Value = value
        condition, features = None, ()
        if isinstance(value, Table):
            check_keys(value, f"member '{key}'", ('type',), ('if', 'features', 'sequence'))
            type_value = value[Text('type')]
            condition, features = parse_condition(value), self.features(value)
        optional = key.startswith('*')
        member_type = self.type_of(type_value, key.place)
        if isinstance(value, Table) and 'sequence' in value:
            member_type = self.sequence_of(member_type, value)
        name = key[1:] if optional else str(key)
        return Member(name, member_type, key.place, optional, condition, features)

    def check_member_name(self, definition: Definition, name: str, place: Place) -> None:
        loose = definition.name in self.pragmas.member_name_exceptions
        if not (LOOSE_NAME if loose else MEMBER_NAME).fullmatch(name):
            raise SchemaError(place, f"name of member '{name}' must be lower-case-with-hyphens")
        if name == 'u' or c_name(name).startswith('has_'):
            raise SchemaError(place, f"member name '{name}' is reserved")

    # Third pass: rules that span definitions.

    def check(self, definition: Definition, table: Table) -> None:
        if isinstance(definition, Struct):
            self.check_members(definition)
            if definition.is_union:
                self.check_union(definition, table)
        elif isinstance(definition, Alternate):
            self.check_alternate(definition)

    @staticmethod
    def check_base(struct: Struct) -> None:
        above = [struct.name]
        base = struct.base
        while base:
            if base.name in above:
                raise SchemaError(base.place, f"'{base.name}' is its own base")
            above.append(base.name)
            base = base.base
            if len(above) > MAX_DEPTH:
                raise SchemaError(struct.place,
                                  f"'{struct.name}' has more than {MAX_DEPTH - 1} bases, one above another")

    def check_members(self, struct: Struct) -> None:
        seen: dict[str, str] = {}
        for member in struct.members():
            if c_name(member.name) in seen:
                other = seen[c_name(member.name)]
                raise SchemaError(member.place, f"'{struct.name}' has two members '{other}'"
                                  if other == member.name else
                                  f"members '{other}' and '{member.name}' have the same name in C")
            seen[c_name(member.name)] = member.name

    def check_union(self, union: Struct, table: Table) -> None:
        key = table[Text('discriminator')]
        assert isinstance(key, Text)
        union.discriminator = next((each for each in union.members() if each.name == key), None)
        if not union.discriminator:
            raise SchemaError(key.place, f"discriminator '{key}' is not a member of the base")
        enum = union.discriminator.type
        if not isinstance(enum, Enum):
            raise SchemaError(key.place, f"discriminator '{key}' must be of an enum type")
        if union.discriminator.optional:
            raise SchemaError(key.place, f"discriminator '{key}' cannot be optional")
        if union.discriminator.condition:
            raise SchemaError(key.place, f"discriminator '{key}' cannot be conditional")
        common = {c_name(each.name): each.name for each in union.members()}
        values = {each.name for each in enum.values}
        for branch in union.branches:
            if branch.name not in values:
                raise SchemaError(branch.place,
                                  f"branch '{branch.name}' is not a value of enum '{enum.name}'")
            if not isinstance(branch.type, Struct) or branch.type.is_union:
                raise SchemaError(branch.place, f"branch '{branch.name}' of a union must be a struct")
            for member in branch.type.members():
                if c_name(member.name) in common:
                    raise SchemaError(branch.place, f"member '{member.name}' of branch '{branch.name}' "
                                      'is also in the base')

    def check_alternate(self, alternate: Alternate) -> None:
        if len(alternate.branches) < 2:
            raise SchemaError(alternate.place, f"alternate '{alternate.name}' needs two branches or more")
        kinds: dict[str, str] = {}
        for branch in alternate.branches:
            self.check_member_name(alternate, branch.name, branch.place)
            if isinstance(branch.type, Alternate):
                raise SchemaError(branch.place, f"branch '{branch.name}' cannot be an alternate itself")
            if branch.type.kind in kinds:
                raise SchemaError(branch.place, f"branches '{kinds[branch.type.kind]}' and '{branch.name}' "
                                  'cannot be told apart in JSON')
            kinds[branch.type.kind] = branch.name
        texts = [kinds[kind] for kind in ('STRING', 'BOOL', 'NUMBER') if kind in kinds]
        if len(texts) > 1:
            raise SchemaError(alternate.place, f"branches '{texts[0]}' and '{texts[1]}' "
                              'cannot be told apart in an option string')

    def definition_order(self) -> list[Definition]:
        """The definitions, each after those whose values it holds; so C wants them."""
        order: list[Definition] = []
        holders: list[str] = []

        def visit(definition: Definition) -> None:
            if definition in order:
                return
            if definition.name in holders:
                chain = ' -> '.join(holders[holders.index(definition.name):] + [definition.name])
                raise SchemaError(definition.place, f'values of this type would contain themselves: {chain}')
            if len(holders) == MAX_DEPTH:
                raise SchemaError(definition.place, f'values of this type would lie {MAX_DEPTH} deep in others')
            holders.append(definition.name)
            for member in values_held(definition):
                if isinstance(member.type, Definition):
                    visit(member.type)
            holders.pop()
            order.append(definition)

        for each in self.definitions:
            visit(each)
        return order

    # Documentation.

    def check_doc(self, definition: Definition) -> None:
        doc = definition.doc
        if not doc:
            if self.pragmas.doc_required:
                raise SchemaError(definition.place, f"'{definition.name}' is not documented")
            return
        if doc.symbol != definition.name:
            raise SchemaError(doc.place, f"documentation is of '{doc.symbol}', "
                              f"the definition after it of '{definition.name}'")
        parts = list(definition.parts())
        for part in parts:
            if part.name not in doc.members and self.pragmas.doc_required:
                raise SchemaError(part.place, f"'{part.name}' of '{definition.name}' is not documented")
        refuse_unknown(doc.members, {part.name for part in parts}, f"'{definition.name}' has no member '%s'")
        features = set(definition.features).union(*(part.features for part in parts))
        features.update(*(branch.features for branch in getattr(definition, 'branches', [])))
        refuse_unknown(doc.features, features, f"'{definition.name}' has no feature '%s'")
        if not self.pragmas.doc_required:
            return
        for name in sorted(features - set(doc.features)):
            raise SchemaError(definition.place, f"feature '{name}' of '{definition.name}' is not documented")
        if not doc.body:
            raise SchemaError(doc.place, f"documentation of '{definition.name}' does not say what it is")
        if 'Since' not in doc.sections:
            raise SchemaError(doc.place, f"documentation of '{definition.name}' has no 'Since:'")


def refuse_unknown(entries: dict[str, Entry], known: set[str], message: str) -> None:
    for name, entry in entries.items():
        if name not in known:
            raise SchemaError(entry.place, 'over-documented: ' + message % name)


def values_held(definition: Definition) -> list[Member]:
    """The members whose values lie within a value of @definition, not behind a pointer."""
    if isinstance(definition, Struct):
        return [each for each in definition.members() if not each.by_pointer] + definition.branches
    return definition.branches if isinstance(definition, Alternate) else []
