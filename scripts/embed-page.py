#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes one page of a template, a style sheet and scripts, and a C source of the page.

usage: embed-page.py NAME OUTPUT.c TEMPLATE.html STYLE.css SCRIPT.js... [DOCUMENT.rst]

In the template @STYLE@ and @SCRIPT@ stand for the style sheet and the scripts, @POLICY@ for a Content-Security-Policy
that lets nothing but these two do anything, and @DATA@ for what the program puts there. The C source has the page in
front of it and behind it as NAME_head and NAME_tail, strings with the declarations of ui/NAME/page.h.

Of a DOCUMENT the scripts get the definition list: KINDS has an array of the terms and the text of each definition.
"""
import base64
import hashlib
import json
import re
import sys
from pathlib import Path


def source_hash(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def definitions(document):
    """[[[term, ...], text], ...] of "term, term (class), term (class)" and an indented paragraph."""
    found = []
    for head, body in re.findall(r"^([a-z0-9-]+.* \([a-z]+\))\n((?: {4}.*\n)+)", document, re.MULTILINE):
        terms = re.sub(r" \([a-z]+\)", "", head).split(", ")
        text = " ".join(body.split())
        text = re.sub(r"`([^`<]+) <[^>]*>`__", r"\1", text).replace("``", "").replace("*", "")
        found.append([terms, text])
    return found


def read_script(path):
    if path.endswith(".rst"):
        return f"const KINDS = {json.dumps(definitions(Path(path).read_text()))};\n"
    return Path(path).read_text()


def joined_scripts(paths):
    """One function around all of them: they share their names with each other and with nothing else."""
    return '"use strict";\n{\n' + ''.join(map(read_script, paths)) + '}\n'


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
