# SPDX-License-Identifier: GPL-2.0-or-later
"""C types: definitions, enum tables, lists, and what frees values."""

from __future__ import annotations

from typing import Iterator, Optional

from .condition import Condition, guarded
from .names import c_enum_constant, c_name
from .output import c_file, c_header
from .schema import Alternate, Builtin, Definition, Enum, List, Member, Schema, Sequence, Struct


def declaration(c_type: str, name: str) -> str:
    return c_type + ('' if c_type.endswith('*') else ' ') + name


def member_lines(member: Member) -> Iterator[str]:
    name = c_name(member.name)
    if member.has_flag:
        yield f'    bool has_{name};'
    pointer = '*' if member.by_pointer else ''
    yield f'    {declaration(member.type.c_type(), pointer + name)};'


def body_lines(struct: Struct) -> Iterator[str]:
    for member in struct.members():
        yield from guarded(member.condition, list(member_lines(member)))
    if struct.branches:
        yield '    union {'
        for branch in struct.branches:
            yield from guarded(branch.condition, [f'        {branch.type.c_type()} {c_name(branch.name)};'])
        yield '    } u;'
    elif not any(member.condition is None for member in struct.members()):
        yield '    char unused; /* C knows no empty structures */'


def struct_lines(struct: Struct) -> Iterator[str]:
    yield f'struct {struct.name} {{'
    yield from body_lines(struct)
    yield '};'


def alternate_lines(alternate: Alternate) -> Iterator[str]:
    yield f'struct {alternate.name} {{'
    yield '    QapiKind kind; /* QAPI_KIND_NONE: holds nothing */'
    yield '    union {'
    for branch in alternate.branches:
        if branch.type.name != 'null':
            line = f'        {declaration(branch.type.c_type(), c_name(branch.name))};'
            yield from guarded(branch.condition, [line])
    yield '    } u;'
    yield '};'


def enum_lines(enum: Enum) -> Iterator[str]:
    yield f'typedef enum {enum.name} {{'
    for value in enum.values:
        yield from guarded(value.condition, [f'    {c_enum_constant(enum.name, value.name, enum.prefix)},'])
    yield f"    {c_enum_constant(enum.name, '_max', enum.prefix)},"
    yield f'}} {enum.name};'
    yield ''
    yield f'extern const QapiEnumLookup {enum.name}_lookup;'
    yield f'const char *{enum.name}_str({enum.name} value);'


def enum_code(enum: Enum) -> Iterator[str]:
    yield f'const QapiEnumLookup {enum.name}_lookup = {{'
    yield '    .names = (const char *const[]){'
    for value in enum.values:
        constant = c_enum_constant(enum.name, value.name, enum.prefix)
        yield from guarded(value.condition, [f'        [{constant}] = "{value.name}",'])
    yield '    },'
    yield f"    .size = {c_enum_constant(enum.name, '_max', enum.prefix)},"
    yield '};'
    yield ''
    yield f'const char *{enum.name}_str({enum.name} value)'
    yield '{'
    yield f'    return qapi_enum_name(&{enum.name}_lookup, (int)value);'
    yield '}'


def list_lines(each: List) -> Iterator[str]:
    name, list_type, element = each.name, each.c_type(), each.element.c_type()
    yield f'typedef struct {list_type} {{'
    yield f"    {declaration(element, '*items')};"
    yield '    size_t len;'
    yield '    size_t capacity;'
    yield f'}} {list_type};'
    yield ''
    yield f"{declaration(element, '*')}qapi_append_{name}({list_type} *list);"
    yield f'void qapi_clear_{list_type}({list_type} *list);'
    yield f'G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC({list_type}, qapi_clear_{list_type})'


def list_code(each: List) -> Iterator[str]:
    name, list_type, element = each.name, each.c_type(), each.element.c_type()
    yield f"{declaration(element, '*')}qapi_append_{name}({list_type} *list)"
    yield '{'
    yield '    if (list->len == list->capacity) {'
    yield f"        {declaration(element, '*items')} = " \
          'qapi_list_grow(list->items, &list->capacity, sizeof(*list->items));'
    yield ''
    yield '        if (!items) {'
    yield '            return NULL;'
    yield '        }'
    yield '        list->items = items;'
    yield '    }'
    yield '    return memset(&list->items[list->len++], 0, sizeof(*list->items));'
    yield '}'
    yield ''
    yield f'void qapi_clear_{list_type}({list_type} *list)'
    yield '{'
    yield f'    visit_type_{list_type}(clear_visitor(), NULL, list, NULL);'
    yield '}'


def sequence_line(each: Sequence) -> str:
    return f'QapiSequence qapi_sequence_of_{each.name}List({each.name}List *list);'


def sequence_code(each: Sequence) -> Iterator[str]:
    name, list_type = each.name, f'{each.name}List'
    yield f'static const void *look_into_{list_type}(const void *owner, size_t index, void *view)'
    yield '{'
    yield f'    const {list_type} *list = owner;'
    yield ''
    yield '    return &list->items[index];'
    yield '}'
    yield ''
    yield f'static void free_{list_type}(void *owner)'
    yield '{'
    yield f'    qapi_clear_{list_type}(owner);'
    yield '    g_free(owner);'
    yield '}'
    yield ''
    yield f'QapiSequence qapi_sequence_of_{list_type}({list_type} *list)'
    yield '{'
    yield f'    static const QapiSequenceOps ops = {{.look = look_into_{list_type}, .free = free_{list_type}}};'
    yield ''
    yield '    return (QapiSequence){.ops = &ops, .owner = list, .len = list->len};'
    yield '}'


def object_lines(name: str) -> Iterator[str]:
    yield f'void qapi_clear_{name}({name} *obj);'
    yield f'void qapi_free_{name}({name} *obj);'
    yield f'G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC({name}, qapi_clear_{name})'
    yield f'G_DEFINE_AUTOPTR_CLEANUP_FUNC({name}, qapi_free_{name})'


def object_code(name: str) -> Iterator[str]:
    yield f'void qapi_clear_{name}({name} *obj)'
    yield '{'
    yield f'    visit_type_{name}(clear_visitor(), NULL, obj, NULL);'
    yield '    memset(obj, 0, sizeof(*obj));'
    yield '}'
    yield ''
    yield f'void qapi_free_{name}({name} *obj)'
    yield '{'
    yield '    if (obj) {'
    yield f'        qapi_clear_{name}(obj);'
    yield '        g_free(obj);'
    yield '    }'
    yield '}'


def types_header(name: str, schema: Schema) -> str:
    lines = ['#include "qapi/qapi-builtin-types.h"', '#include "qapi/sequence.h"', '']
    enums = [each for each in schema.order if isinstance(each, Enum)]
    objects = [each for each in schema.order if not isinstance(each, Enum)]
    lists = [each for each in schema.lists.values() if isinstance(each.element, Definition)]
    for enum in enums:
        lines += [*guarded(enum.condition, list(enum_lines(enum))), '']
    for each in objects:
        lines += guarded(each.condition, [f'typedef struct {each.name} {each.name};'])
    lines.append('')
    for each in lists:
        lines += [*guarded(condition_of(each), list(list_lines(each))), '']
    for each in schema.sequences.values():
        lines += [*guarded(condition_of(each), [sequence_line(each)]), '']
    for each in objects:
        code = struct_lines(each) if isinstance(each, Struct) else alternate_lines(each)
        lines += [*guarded(each.condition, [*code, '', *object_lines(each.name)]), '']
    return c_header(name, lines)


def condition_of(each: List) -> Optional[Condition]:
    return each.element.condition if isinstance(each.element, Definition) else None


def types_code(schema: Schema, types_name: str, visit_name: str) -> str:
    lines = ['#include <string.h>', '', '#include "qapi/clear-visitor.h"', f'#include "{types_name}"',
             f'#include "{visit_name}"']
    for definition in schema.order:
        code = enum_code(definition) if isinstance(definition, Enum) else object_code(definition.name)
        lines += ['', *guarded(definition.condition, list(code))]
    for each in schema.lists.values():
        if isinstance(each.element, Definition):
            lines += ['', *guarded(condition_of(each), list(list_code(each)))]
    for each in schema.sequences.values():
        lines += ['', *guarded(condition_of(each), list(sequence_code(each)))]
    return c_file(lines)


def builtin_lists(schema: Schema) -> list[List]:
    """A list of every built-in type, whether this schema uses it or not."""
    return [List(each.name, 'ARRAY', each) for each in schema.types.values()
            if isinstance(each, Builtin) and each.name != 'null']


def builtin_header(name: str, schema: Schema) -> str:
    lines = ['#include <glib.h>', '#include <stdbool.h>', '#include <stdint.h>', '', '#include "qapi/util.h"']
    for each in builtin_lists(schema):
        lines += ['', *list_lines(each)]
    return c_header(name, lines + [''])


def builtin_code(schema: Schema) -> str:
    lines = ['#include <string.h>', '', '#include "qapi/clear-visitor.h"',
             '#include "qapi/qapi-builtin-types.h"', '#include "qapi/qapi-builtin-visit.h"']
    for each in builtin_lists(schema):
        lines += ['', *list_code(each)]
    return c_file(lines)
