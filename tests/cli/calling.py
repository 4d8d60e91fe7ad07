#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs what docs/interop/calling.rst shows, with this program and with the stock tool, on images of each state.

    calling.py QEMU-IMG STOCK-QEMU-IMG calling.rst

Prints TAP.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path


def snippet(page: str, name: str) -> str:
    match = re.search(rf'^ +:name: {name}\n\n((?:(?: .*)?\n)+)', page, re.MULTILINE)
    assert match, name
    return textwrap.dedent(match.group(1))


def write_at(path: Path, offset: int, data: bytes) -> None:
    with path.open('r+b') as file:
        file.seek(offset)
        file.write(data)


def make_images(stock: str, folder: Path) -> None:
    """A clean image, in clusters of 64 KiB with the refcount block in the third; one that leaks cluster 30; one of
    which cluster 1 is not counted; one that is no qcow2."""
    clean = folder / 'clean'
    subprocess.run([stock, 'create', '-q', '-f', 'qcow2', clean, '64M'], check=True)
    for name, cluster, refcount in (('-leaky', 30, 1), ('a corrupt:one', 1, 0)):
        shutil.copy(clean, folder / name)
        write_at(folder / name, 0x20000 + 2 * cluster, struct.pack('>H', refcount))
        os.truncate(folder / name, 4 << 20)
    (folder / 'other').write_bytes(bytes(512))


SHELL_CASES = (('clean', 'clean'), ('-leaky', 'leaky'), ('./a corrupt:one', 'corrupt'), ('other', 'failed'),
               ('absent', 'failed'))

# The end of the last cluster in use: a clean image has four clusters of 64 KiB.
PYTHON_TEST = '''
assert check("clean")["image-end-offset"] == 0x40000
assert check("clean", running=True)["leaks"] == check("clean")["corruptions"] == 0
assert (check("-leaky")["leaks"], check("-leaky")["image-end-offset"]) == (1, 31 * 0x10000)
assert check("./a corrupt:one")["corruptions"] == 1
for path in ("other", "absent"):
    try:
        check(path)
    except CheckFailed as error:
        assert path in str(error)
    else:
        raise AssertionError(path)
'''


def main() -> int:
    programs = {'this program': os.path.realpath(sys.argv[1]), 'the stock tool': sys.argv[2]}
    page = Path(sys.argv[3]).read_text(encoding='utf-8')
    calls = ''.join(f"image_state '{name}'\n" for name, _ in SHELL_CASES)
    scripts = {'shell': ['sh', '-eu', '-c', snippet(page, 'shell') + calls],
               'Python': [sys.executable, '-c', snippet(page, 'python') + PYTHON_TEST]}
    wanted = {'shell': ''.join(f'{state}\n' for _, state in SHELL_CASES), 'Python': ''}
    failed = 0
    print(f'1..{len(programs) * len(scripts)}')
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, 'images')
        folder.mkdir()
        make_images(programs['the stock tool'], folder)
        for number, (who, language) in enumerate(((who, language) for who in programs for language in scripts), 1):
            tools = Path(scratch, f'tools-{number}')
            tools.mkdir()
            (tools / 'qemu-img').symlink_to(programs[who])
            done = subprocess.run(scripts[language], cwd=folder, env={**os.environ, 'PATH': f'{tools}:/usr/bin:/bin'},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  encoding='utf-8', check=False)
            good = done.returncode == 0 and done.stdout == wanted[language]
            failed += not good
            print('ok' if good else 'not ok', f'{number} - the example in {language} works with {who}')
            if not good:
                print(textwrap.indent(done.stdout, '# '))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
