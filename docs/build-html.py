#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes an HTML page of each document, all in one folder, or only tests that it could.

    build-html.py RST2HTML5 FOLDER DOCUMENT...      '-' for the folder: write nothing

Any warning of docutils is an error, and so is a link to a file that is not among the documents.
"""

import re
import subprocess
import sys
from pathlib import Path

# A link to a file, with or without a place in it; not one to another site or within the page.
FILE_LINK = re.compile(r'href="([^":#]+)((?:#[^"]*)?)"')


def to_html(program: str, document: Path) -> str:
    """The HTML page; docutils has said on stderr what is wrong where it fails."""
    return subprocess.run([program, '--strict', document], check=True, stdout=subprocess.PIPE, encoding='utf-8').stdout


def dead_links(page: str, document: Path, documents: list[Path]) -> list[str]:
    known = {other.resolve() for other in documents}
    return [link for link, _ in FILE_LINK.findall(page) if (document.parent / link).resolve() not in known]


def main() -> int:
    program, folder, *names = sys.argv[1:]
    documents = [Path(name) for name in names]
    failed = False
    for document in documents:
        try:
            page = to_html(program, document)
        except subprocess.CalledProcessError:
            failed = True
            continue
        for target in dead_links(page, document, documents):
            print(f'{document}: link to {target}, which is not among the documents', file=sys.stderr)
            failed = True
        if folder != '-':
            page = FILE_LINK.sub(lambda m: f'href="{Path(m[1]).with_suffix(".html").name}{m[2]}"', page)
            (Path(folder) / document.with_suffix('.html').name).write_text(page, encoding='utf-8')
    return failed


if __name__ == '__main__':
    sys.exit(main())
