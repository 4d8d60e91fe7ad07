# SPDX-License-Identifier: GPL-2.0-or-later
"""C visitors: the functions that lead a Visitor through the values of each type."""

from __future__ import annotations

from typing import Iterator

from .condition import guarded
from .names import c_enum_constant, c_name
from .output import c_file, c_header
from .schema import Alternate, Builtin, Definition, Enum, List, Member, Schema, Sequence, Struct, Type
from .types import builtin_lists, condition_of


def signature(name: str, c_type: str, parameter: str = 'obj') -> str:
    return f'bool visit_type_{name}(Visitor *v, const char *name, {c_type} *{parameter}, GError **errp)'


def optional_signature(name: str) -> str:
    return f'bool visit_optional_{name}(Visitor *v, const char *name, {name} **obj, GError **errp)'


def type_suffix(each: Type) -> str:
    return each.visited_as() if isinstance(each, List) else each.name


def owns_memory(each: Type, within: tuple[Type, ...] = ()) -> bool:
    """False where a value of the type holds nothing that would have to be freed."""
    if isinstance(each, Struct):
        parts = [(member.type, member.by_pointer) for member in each.members() + each.branches]
        return any(pointer or owns_memory(part, within + (each,)) for part, pointer in parts)
    return not (isinstance(each, Enum) or isinstance(each, Builtin) and each.name != 'str')


def member_code(member: Member) -> Iterator[str]:
    field = c_name(member.name)
    function = f'visit_type_{type_suffix(member.type)}'
    if member.by_pointer:
        function = f'visit_optional_{member.type.name}'
    elif member.optional and not member.has_flag:
        function = 'visit_optional_str'
    call = f'!{function}(v, "{member.name}", &obj->{field}, errp)'
    if member.has_flag:
        yield f'    if (visit_optional(v, "{member.name}", &obj->has_{field}) &&'
        yield f'        {call}) {{'
    else:
        yield f'    if ({call}) {{'
    yield '        return false;'
    yield '    }'


def members_code(struct: Struct) -> Iterator[str]:
    yield f'static bool visit_{struct.name}_members(Visitor *v, {struct.name} *obj, GError **errp)'
    yield '{'
    for member in struct.members():
        yield from guarded(member.condition, list(member_code(member)))
    if struct.discriminator:
        enum = struct.discriminator.type
        assert isinstance(enum, Enum)
        yield f'    switch (obj->{c_name(struct.discriminator.name)}) {{'
        for branch in struct.branches:
            constant = c_enum_constant(enum.name, branch.name, enum.prefix)
            yield from guarded(branch.condition, [
                f'    case {constant}:',
                f'        return visit_{branch.type.name}_members(v, &obj->u.{c_name(branch.name)}, errp);'])
        yield '    default:'
        yield '        break;'
        yield '    }'
    yield '    return true;'
    yield '}'


def struct_code(struct: Struct) -> Iterator[str]:
    yield signature(struct.name, struct.name)
    yield '{'
    yield '    if (!visit_start_struct(v, name, errp)) {'
    yield '        return false;'
    yield '    }'
    yield ''
    yield f'    bool ok = visit_{struct.name}_members(v, obj, errp) && visit_check_struct(v, errp);'
    yield ''
    yield '    visit_end_struct(v);'
    yield '    return ok;'
    yield '}'


def alternate_code(alternate: Alternate) -> Iterator[str]:
    yield signature(alternate.name, alternate.name)
    yield '{'
    yield '    static const unsigned accepted = 0'
    for branch in alternate.branches:
        yield from guarded(branch.condition, [f'        | 1u << QAPI_KIND_{branch.type.kind}'])
    yield '        ;'
    yield ''
    yield f'    if (!visit_start_alternate(v, name, "{alternate.name}", accepted, &obj->kind, errp)) {{'
    yield '        return false;'
    yield '    }'
    yield '    switch (obj->kind) {'
    for branch in alternate.branches:
        call = 'visit_null(v, name, errp)' if branch.type.name == 'null' else \
            f'visit_type_{type_suffix(branch.type)}(v, name, &obj->u.{c_name(branch.name)}, errp)'
        yield from guarded(branch.condition,
                           [f'    case QAPI_KIND_{branch.type.kind}:', f'        return {call};'])
    yield '    default:'
    yield '        return true;'
    yield '    }'
    yield '}'


def optional_code(name: str) -> Iterator[str]:
    yield optional_signature(name)
    yield '{'
    yield '    bool present = *obj != NULL;'
    yield ''
    yield '    if (!visit_optional(v, name, &present)) {'
    yield '        return true;'
    yield '    }'
    yield '    if (!*obj) {'
    yield f'        *obj = g_new0({name}, 1);'
    yield '    }'
    yield ''
    yield f'    bool ok = visit_type_{name}(v, name, *obj, errp);'
    yield ''
    yield '    if (visit_is_clearing(v)) {'
    yield '        g_clear_pointer(obj, g_free);'
    yield '    }'
    yield '    return ok;'
    yield '}'


def enum_code(enum: Enum) -> Iterator[str]:
    yield signature(enum.name, enum.name)
    yield '{'
    yield '    int value = (int)*obj;'
    yield f'    bool ok = visit_enum(v, name, &value, &{enum.name}_lookup, errp);'
    yield ''
    yield '    if (value != (int)*obj) {'
    yield f'        *obj = ({enum.name})value;'
    yield '    }'
    yield '    return ok;'
    yield '}'


def list_code(each: List) -> Iterator[str]:
    name, list_type = each.name, each.c_type()
    yield signature(list_type, list_type, 'list')
    yield '{'
    if owns_memory(each.element):
        yield '    size_t len = list->len;'
    else:
        yield '    size_t len = visit_is_clearing(v) ? 0 : list->len; /* the items own nothing */'
    yield ''
    yield '    if (!visit_start_list(v, name, &len, errp)) {'
    yield '        return false;'
    yield '    }'
    yield ''
    yield '    bool ok = true;'
    yield ''
    yield '    for (size_t i = 0; ok && i < len; i++) {'
    element = each.element.c_type()
    pointer = element + ('*' if element.endswith('*') else ' *') + 'item'
    yield f'        {pointer} = i < list->len ? &list->items[i] : qapi_append_{name}(list);'
    yield ''
    yield '        ok = item ? visit_type_' + name + '(v, NULL, item, errp) : qapi_set_out_of_memory(errp);'
    yield '    }'
    yield '    visit_end_list(v);'
    yield '    if (visit_is_clearing(v)) {'
    yield '        g_free(list->items);'
    yield f'        *list = ({list_type}){{0}};'
    yield '    }'
    yield '    return ok;'
    yield '}'


def sequence_code(each: Sequence) -> Iterator[str]:
    name, list_type = each.name, f'{each.name}List'
    yield signature(each.visited_as(), each.c_type())
    yield '{'
    yield '    if (visit_is_clearing(v)) {'
    yield '        qapi_sequence_clear(obj);'
    yield '        return true;'
    yield '    }'
    yield '    if (!obj->ops) { /* empty, or to be filled */'
    yield f'        {list_type} list = {{0}};'
    yield f'        bool ok = visit_type_{list_type}(v, name, &list, errp);'
    yield ''
    yield '        if (list.len) {'
    yield f'            *obj = qapi_sequence_of_{list_type}(g_memdup2(&list, sizeof(list)));'
    yield '        }'
    yield '        return ok;'
    yield '    }'
    yield ''
    yield '    size_t len = obj->len;'
    yield ''
    yield '    if (!visit_start_list(v, name, &len, errp)) {'
    yield '        return false;'
    yield '    }'
    yield ''
    yield '    g_auto(QapiIterator) each = qapi_iterate(obj);'
    yield f'    const {name} *item;'
    yield '    bool ok = true;'
    yield ''
    yield '    while (ok && (item = qapi_next(&each))) {'
    yield f'        ok = visit_type_{name}(v, NULL, ({name} *)item, errp);'
    yield '    }'
    yield '    visit_end_list(v);'
    yield '    return ok;'
    yield '}'


def definition_declarations(definition: Definition) -> Iterator[str]:
    yield signature(definition.name, definition.name) + ';'
    if not isinstance(definition, Enum):
        yield optional_signature(definition.name) + ';'


def definition_code(definition: Definition) -> Iterator[str]:
    if isinstance(definition, Enum):
        yield from enum_code(definition)
        return
    if isinstance(definition, Struct):
        yield from members_code(definition)
        yield ''
        yield from struct_code(definition)
    elif isinstance(definition, Alternate):
        yield from alternate_code(definition)
    yield ''
    yield from optional_code(definition.name)


def visit_header(name: str, schema: Schema, types_name: str) -> str:
    lines = ['#include "qapi/qapi-builtin-visit.h"', '#include "qapi/visitor.h"', f'#include "{types_name}"']
    for definition in schema.order:
        lines += ['', *guarded(definition.condition, list(definition_declarations(definition)))]
    for each in schema.lists.values():
        if isinstance(each.element, Definition):
            declared = signature(each.c_type(), each.c_type(), 'list') + ';'
            lines += ['', *guarded(condition_of(each), [declared])]
    for each in schema.sequences.values():
        declared = signature(each.visited_as(), each.c_type()) + ';'
        lines += ['', *guarded(condition_of(each), [declared])]
    return c_header(name, lines + [''])


def visit_code(schema: Schema, visit_name: str) -> str:
    lines = [f'#include "{visit_name}"']
    for definition in schema.order:
        lines += ['', *guarded(definition.condition, list(definition_code(definition)))]
    for each in schema.lists.values():
        if isinstance(each.element, Definition):
            lines += ['', *guarded(condition_of(each), list(list_code(each)))]
    for each in schema.sequences.values():
        lines += ['', *guarded(condition_of(each), list(sequence_code(each)))]
    return c_file(lines)


def builtin_visit_header(name: str, schema: Schema) -> str:
    lines = ['#include "qapi/qapi-builtin-types.h"', '#include "qapi/visitor.h"', '']
    lines += [signature(each.c_type(), each.c_type(), 'list') + ';' for each in builtin_lists(schema)]
    return c_header(name, lines + [''])


def builtin_visit_code(schema: Schema) -> str:
    lines = ['#include "qapi/qapi-builtin-visit.h"']
    for each in builtin_lists(schema):
        lines += ['', *list_code(each)]
    return c_file(lines)
