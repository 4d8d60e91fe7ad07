# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of the generator."""

from __future__ import annotations

import argparse
import os
import sys

from . import types, visit
from .dump import dump
from .error import SchemaError
from .jsonschema import json_schema
from .output import write_file
from .parser import parse
from .reference import reference
from .schema import Schema


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Generates code and documentation from a QAPI schema.')
    parser.add_argument('schema', help='the schema file; it includes the others')
    parser.add_argument('-o', '--output-dir', default='.', help='where the generated files go')
    parser.add_argument('-p', '--prefix', default='', help='put in front of the names of the C files')
    parser.add_argument('--builtins', action='store_true', help='generate the lists of built-in types too')
    parser.add_argument('--json-schema', nargs=2, action='append', default=[], metavar=('TYPE', 'FILE'),
                        help='generate a JSON Schema of a type')
    parser.add_argument('--schema-id', metavar='URI', help='put in front of the type in the $id of a JSON Schema')
    parser.add_argument('--reference', nargs=2, metavar=('FILE', 'TITLE'),
                        help='generate the reference documentation')
    parser.add_argument('--dump', action='store_true', help='print the checked schema and write no files')
    return parser.parse_args()


def write_c(schema: Schema, directory: str, prefix: str) -> None:
    types_h, visit_h = f'{prefix}qapi-types.h', f'{prefix}qapi-visit.h'
    write_file(directory, types_h, types.types_header(types_h, schema))
    write_file(directory, f'{prefix}qapi-types.c', types.types_code(schema, types_h, visit_h))
    write_file(directory, visit_h, visit.visit_header(visit_h, schema, types_h))
    write_file(directory, f'{prefix}qapi-visit.c', visit.visit_code(schema, visit_h))


def write_builtins(schema: Schema, directory: str) -> None:
    types_h, visit_h = 'qapi-builtin-types.h', 'qapi-builtin-visit.h'
    write_file(directory, types_h, types.builtin_header(types_h, schema))
    write_file(directory, 'qapi-builtin-types.c', types.builtin_code(schema))
    write_file(directory, visit_h, visit.builtin_visit_header(visit_h, schema))
    write_file(directory, 'qapi-builtin-visit.c', visit.builtin_visit_code(schema))


def write_all(schema: Schema, args: argparse.Namespace) -> None:
    os.makedirs(args.output_dir, exist_ok=True)
    write_c(schema, args.output_dir, args.prefix)
    if args.builtins:
        write_builtins(schema, args.output_dir)
    for root, name in args.json_schema:
        write_file(args.output_dir, name, json_schema(schema, root, args.schema_id))
    if args.reference:
        name, heading = args.reference
        write_file(args.output_dir, name, reference(schema, heading))


def main() -> int:
    args = arguments()
    try:
        schema = Schema(parse(args.schema))
    except (SchemaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    unknown = [root for root, _ in args.json_schema if root not in schema.types]
    if unknown:
        print(f"{args.schema}: no type '{unknown[0]}' for --json-schema", file=sys.stderr)
        return 1
    if args.dump:
        print(dump(schema), end='')
    else:
        write_all(schema, args)
    return 0
