#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the examples of documents, and compares what comes out with what stands there. Prints TAP.

    check-examples.py [--terminal] OUR-QEMU-IMG STOCK-QEMU-IMG DOCUMENT...

With --terminal the commands run on a terminal of 80 columns, as a reader would run them. A comment of the document may
have examples, too: those make the images. An example is a literal block with "$ COMMAND" lines; all those of a document run in one empty folder. What follows a
command is its output, from our program, or from either where "stock tool:" and "this program:" stand before it. Where
a repair is among the commands, each of the two runs all commands of the example in an empty folder of its own, and the
output is that of all of them. A
fragment of JSON after the commands must be a member of the viscera of the image that was named last.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
from pathlib import Path

LITERAL_BLOCK = re.compile(r'::\n\n((?:(?:    .*)?\n)+)')
OUTPUT_OF = {'stock tool:': 'stock', 'this program:': 'ours'}
ENDLESS = '(runs until it is killed)'
PATIENCE = 3  # seconds for that
TIME_LIMIT = 1800  # seconds until any other command is taken to hang
LUKS_TRIES = 20  # the stock tool measures the processor for a new LUKS header, and fails where its clock is coarse
LUKS_FAILURE = 'Unable to get accurate CPU usage'
VARYING = {
    re.compile(r'^00080010: .*$', re.MULTILINE): '(time)',  # of the snapshot in viscera.rst
    re.compile(r'[0-9.]+ [KMGTP]iB are free'): '(room) are free',
}


def run_on_terminal(command: str, folder: str, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """What a command prints on a terminal of 80 columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    with subprocess.Popen(['bash', '-c', command], cwd=folder, env={**environment, 'NO_COLOR': '1'},
                          stdin=subprocess.DEVNULL, stdout=its, stderr=its) as process:
        os.close(its)
        printed = b''
        with os.fdopen(ours, 'rb', buffering=0) as stream:
            while True:
                try:
                    piece = stream.read(65536)
                except OSError:  # how a terminal ends
                    break
                if not piece:
                    break
                printed += piece
    return subprocess.CompletedProcess(command, process.returncode, printed.decode('utf-8').replace('\r\n', '\n'))


class Examples:
    """The examples of one document, and the folder they run in."""

    def __init__(self, folder: str, programs: dict[str, str], terminal: bool):
        self.folder = folder
        self.programs = programs
        self.terminal = terminal
        self.image = ''
        self.results: list[tuple[str, str, str]] = []  # what was run, what came out, what stands in the document

    def run(self, command: str, who: str, endless: bool = False) -> tuple[str, int]:
        self.image = (re.findall(r'[\w-]+\.qcow2', command) or [self.image])[-1]
        tools = Path(self.folder, who)
        if not tools.exists():
            tools.mkdir()
            (tools / 'qemu-img').write_text(f'#!/bin/sh\nexec "{self.programs[who]}" "$@"\n', encoding='utf-8')
            (tools / 'qemu-img').chmod(0o755)
        # A script, as our program looks for its modules beside itself. It calls itself by the same name.
        environment = {**os.environ, 'LC_ALL': 'C', 'PATH': f'{tools}:{os.environ["PATH"]}',
                       'QEMU_IMG_FALLBACK': self.programs['stock']}
        if self.terminal:
            done = run_on_terminal(command, self.folder, environment)
            return done.stdout, done.returncode
        for _ in range(LUKS_TRIES):
            try:
                done = subprocess.run(['bash', '-c', command], cwd=self.folder, env=environment,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      encoding='utf-8', timeout=PATIENCE if endless else TIME_LIMIT, check=False)
            except subprocess.TimeoutExpired:
                return ENDLESS, 0
            if LUKS_FAILURE not in done.stdout:
                break
        return done.stdout, done.returncode

    def compare(self, what: str, output: str, expected: str) -> None:
        def plain(text: str) -> str:
            lines = (line.rstrip() for line in text.strip('\n').split('\n'))
            text = '\n'.join(lines)
            for pattern, word in VARYING.items():
                text = pattern.sub(word, text)
            return text

        self.results.append((what, plain(output), plain(expected)))

    def command(self, command: str, expected: str) -> None:
        parts = re.split(r'^(stock tool:|this program:)\n', expected, flags=re.MULTILINE)
        if len(parts) == 1:
            self.compare(command, self.run(command, 'ours')[0], expected)
        for label, part in zip(parts[1::2], parts[2::2]):
            text = textwrap.dedent(part)
            output, status = self.run(command, OUTPUT_OF[label], ENDLESS in text)
            if '(exit status ' in text:
                output += f'(exit status {status})\n'
            self.compare(f'{label} {command}', output, text)

    def repair(self, commands: list[str], expected: str) -> None:
        folder = self.folder
        parts = re.split(r'^(stock tool:|this program:)\n', expected, flags=re.MULTILINE)
        for label, part in zip(parts[1::2], parts[2::2]):
            with tempfile.TemporaryDirectory() as self.folder:
                text = textwrap.dedent(part)
                output = ''
                for command in commands:
                    printed, status = self.run(command, OUTPUT_OF[label])
                    output += printed
                    if '(exit status ' in text and command.startswith('qemu-img check'):
                        output += f'(exit status {status})\n'
            self.folder = folder
            self.compare(f'{label} {commands[-1]}', output, text)

    def fragment(self, text: str) -> None:
        output = self.run(f'qemu-img check --output=json {self.image}', 'ours')[0]
        try:
            viscera = json.loads(output)['viscera']
        except (ValueError, KeyError):
            self.compare(f'viscera of {self.image}', output, text)
            return
        for name, value in json.loads('{' + text + '}').items():
            self.compare(f'"{name}" of {self.image}', json.dumps(viscera.get(name)), json.dumps(value))

    def block(self, block: str) -> None:
        text = re.sub(r' \\\n +', ' ', textwrap.dedent(block))
        commands, fragment = re.fullmatch(r'((?:[^"\n].*\n|\n)*)((?:.*\n)*)', text).groups()
        found = re.findall(r'^\$ (.+)\n((?:(?!\$).*\n)*)', commands, re.MULTILINE)
        if any(' check -r' in command for command, _ in found) and 'this program:\n' in found[-1][1]:
            self.repair([command for command, _ in found], found[-1][1])
            found = []
        for command, expected in found:
            self.command(command, expected)
        if fragment:
            self.fragment(fragment)


def main() -> int:
    arguments = sys.argv[1:]
    terminal = arguments[0] == '--terminal'
    ours, stock, *documents = arguments[terminal:]
    n = failed = 0
    for document in documents:
        with tempfile.TemporaryDirectory() as folder:
            examples = Examples(folder, {'ours': os.path.realpath(ours), 'stock': stock}, terminal)
            for block in LITERAL_BLOCK.findall(Path(document).read_text(encoding='utf-8')):
                examples.block(block)
        for what, output, expected in examples.results:
            n += 1
            failed += output != expected
            print('ok' if output == expected else 'not ok', n, '-', f'{Path(document).name}: {what}'.replace('#', '%'))
            if output != expected:
                print(textwrap.indent(f'printed:\n{output}\nin the document:\n{expected}', '# '))
    print(f'1..{n}')
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
