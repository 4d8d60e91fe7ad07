# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON Schema (draft 2020-12) of one type of the schema and all that it refers to.

The preprocessor's conditions are not known here: what depends on one may be there or not.
"""

from __future__ import annotations

import json
from typing import Optional, Union

from .doc import Doc
from .schema import Alternate, Builtin, Definition, Enum, EnumValue, List, Member, Schema, Struct, Type

Json = dict[str, object]


def reference(each: Type) -> Json:
    if isinstance(each, List):
        return {'type': 'array', 'items': reference(each.element)}
    if isinstance(each, Builtin):
        return dict(each.schema)
    return {'$ref': f'#/$defs/{each.name}'}


def described(doc: Optional[Doc]) -> Json:
    return {'description': ' '.join(line for line in doc.body if line)} if doc and doc.body else {}


def annotations(part: Union[Member, EnumValue, Definition]) -> Json:
    return {'deprecated': True} if 'deprecated' in part.features else {}


def member_schema(member: Member, doc: Optional[Doc]) -> Json:
    entry = doc.members.get(member.name) if doc else None
    text: Json = {'description': ' '.join(line for line in entry.lines if line)} if entry else {}
    return {**reference(member.type), **text, **annotations(member)}


def owner_doc(struct: Struct, member: Member) -> Optional[Doc]:
    """The documentation that describes @member: that of the struct in whose base or own members it is."""
    if any(member is each for each in struct.own) or not struct.base:
        return struct.doc
    return owner_doc(struct.base, member)


def properties(struct: Struct) -> Json:
    return {member.name: member_schema(member, owner_doc(struct, member)) for member in struct.members()}


def required(struct: Struct) -> list[str]:
    return [member.name for member in struct.members() if not member.optional and not member.condition]


def object_schema(members: Json, names: list[str]) -> Json:
    result: Json = {'type': 'object', 'properties': members}
    if names:
        result['required'] = names
    result['additionalProperties'] = False
    return result


def struct_schema(struct: Struct) -> Json:
    if not struct.discriminator:
        return object_schema(properties(struct), required(struct))
    enum = struct.discriminator.type
    assert isinstance(enum, Enum)
    branches = {branch.name: branch.type for branch in struct.branches}
    choices = []
    for value in enum.values:
        branch = branches.get(value.name)
        members, names = properties(struct), required(struct)
        members[struct.discriminator.name] = {'const': value.name}
        if isinstance(branch, Struct):
            members.update(properties(branch))
            names = names + required(branch)
        choices.append(object_schema(members, names))
    return {'oneOf': choices}


def definition_schema(definition: Definition) -> Json:
    if isinstance(definition, Enum):
        body: Json = {'enum': [value.name for value in definition.values]}
    elif isinstance(definition, Struct):
        body = struct_schema(definition)
    else:
        assert isinstance(definition, Alternate)
        body = {'oneOf': [reference(branch.type) for branch in definition.branches]}
    return {**described(definition.doc), **annotations(definition), **body}


def types_below(each: Type, found: dict[str, Definition]) -> dict[str, Definition]:
    """Adds to @found, by name, the definitions that a value of type @each may hold, itself included."""
    if isinstance(each, List):
        return types_below(each.element, found)
    if isinstance(each, Definition) and each.name not in found:
        found[each.name] = each
        members = each.members() if isinstance(each, Struct) else []
        for member in members + getattr(each, 'branches', []):
            types_below(member.type, found)
    return found


def json_schema(schema: Schema, root: str, id_prefix: Optional[str]) -> str:
    found = types_below(schema.types[root], {})
    result = {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        **({'$id': id_prefix + root} if id_prefix else {}),
        'title': root,
        '$ref': f'#/$defs/{root}',
        '$defs': {name: definition_schema(definition) for name, definition in found.items()},
    }
    return json.dumps(result, indent=2) + '\n'
