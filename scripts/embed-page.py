#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes one page of a template, a style sheet and scripts, and a C source of the page.

usage: embed-page.py NAME OUTPUT.c TEMPLATE.html STYLE.css SCRIPT.js...

In the template @STYLE@ and @SCRIPT@ stand for the style sheet and the scripts, @POLICY@ for a Content-Security-Policy
that lets nothing but these two do anything, and @DATA@ for what the program puts there. The C source has the page in
front of it and behind it as NAME_head and NAME_tail, strings with the declarations of ui/NAME/page.h.
"""
import base64
import hashlib
import sys
from pathlib import Path


def source_hash(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def joined_scripts(paths):
    """One function around all of them: they share their names with each other and with nothing else."""
    return '"use strict";\n{\n' + ''.join(Path(path).read_text() for path in paths) + '}\n'


def make_page(template, style, script):
    for name, text in ('style', style), ('script', script):
        if '</' + name in text.lower() or '<!--' in text:
            sys.exit(f'The {name} would end early in a page: it has "</{name}" or "<!--" in it')
    policy = (f"default-src 'none'; style-src {source_hash(style)}; script-src {source_hash(script)}; "
              "base-uri 'none'; form-action 'none'")
    page = template.replace('@POLICY@', policy).replace('@STYLE@', style)
    head, tail = page.split('@DATA@')
    return head, tail.replace('@SCRIPT@', script)


def c_string(name, text):
    rows = []
    encoded = text.encode() + b'\0'
    for start in range(0, len(encoded), 20):
        rows.append('    ' + ' '.join(f'{byte},' for byte in encoded[start:start + 20]))
    return f'const unsigned char {name}[{len(encoded)}] = {{\n' + '\n'.join(rows) + '\n};\n'


def main():
    name, output, template, style, *scripts = sys.argv[1:]
    head, tail = make_page(Path(template).read_text(), Path(style).read_text(), joined_scripts(scripts))
    Path(output).write_text('/* SPDX-License-Identifier: GPL-2.0-or-later */\n'
                            f'#include "ui/{name}/page.h"\n\n'
                            + c_string(f'{name}_head', head) + '\n' + c_string(f'{name}_tail', tail))


main()
