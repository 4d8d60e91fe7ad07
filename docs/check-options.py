#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the manual page with the table of options: check-options.py MAKE-COMPLETION PAGE.rst. Prints TAP.

Each option has an entry in the section OPTIONS, headed by its names and its argument, and no other entry is there. Each
spelling that the stock tool has is in the table of spellings, with its version.
"""
import re
import subprocess
import sys


def table(program):
    """[(letter, name, argument, class, version)] of each option"""
    listing = subprocess.run([program, "list"], check=True, capture_output=True, text=True).stdout
    return [tuple(line.split("\t")) for line in listing.splitlines()]


def heading(letter, name, argument):
    """As the manual page has it, such as "-f FMT, --format=FMT"."""
    words = []
    if letter:
        words.append(f"-{letter} {argument}".rstrip())
    if name:
        words.append(f"--{name}={argument}" if argument else f"--{name}")
    return ", ".join(words)


def section(page, title):
    """The lines below a heading, up to the next."""
    lines = page.splitlines()
    start = next(i for i, line in enumerate(lines) if line == title and re.fullmatch("=+", lines[i + 1]))
    end = next((i for i in range(start + 2, len(lines) - 1) if re.fullmatch("=+", lines[i + 1]) and
                len(lines[i + 1]) == len(lines[i])), len(lines))
    return lines[start + 2:end]


def spellings(lines):
    """{spelling: what the table says of it}"""
    found = {}
    for line in lines:
        cells = re.split("  +", line.strip(), maxsplit=1)
        if line.startswith("``-") and len(cells) == 2:
            found.update((word, cells[1]) for word in re.findall("``(.*?)``", cells[0]))
    return found


def expect(number, sentence, faults):
    print(f"{'not ok' if faults else 'ok'} {number} - {sentence}")
    for fault in faults:
        print(f"# {fault}")


def main():
    program, path = sys.argv[1:]
    options = table(program)
    with open(path, encoding="utf-8") as file:
        lines = section(file.read(), "OPTIONS")
    headings = [line for line in lines if line.startswith("-")]
    wanted = [heading(*option[:3]) for option in options]
    versions = spellings(lines)
    stock = {}
    for letter, name, _, kind, version in options:
        if kind == "stock":
            stock.update({f"-{letter}": "7.2"} if letter else {})
            stock.update({f"--{name}": version} if name else {})

    print("1..4")
    expect(1, "every option has an entry in the manual page", sorted(set(wanted) - set(headings)))
    expect(2, "every entry is an option", sorted(set(headings) - set(wanted)))
    expect(3, "every spelling of the stock tool's is in the table of versions, and no other",
           sorted(set(stock) ^ set(versions)))
    expect(4, "with the version that has it",
           [word for word in stock if word in versions and f"since {stock[word]}" not in versions[word]])


main()
