# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the data files of this directory.

`bases.txt` and `cases/*.txt` hold blocks that begin with a line `NUMBER title` at the margin; indented lines follow:

    base: B1              start from this base image
    $ poke FILE POS HEX   make the image what it is: shell lines (bash), in order; `poke` writes bytes
    layout: POS WORD ...  (bases) 64-bit words that must lie there, else this machine makes the image differently
    holder: COMMAND       keep this running meanwhile; it has the image open
    run: check ...        the command line; without it `check -f qcow2 t.qcow2`, in human text and in JSON
    fallback: allowed     our program may hand this to the stock tool
    exit: 2               what was recorded: exit status,
    result: leaks 1, ...  the members of the result that are not 0 (`none`: nothing on stdout; `any`: not recorded),
    name: "t.qcow2"       the file name as JSON has it,
    1> ...                the human text in full, where it was recorded,
    2> ...                and each line on stderr; `... N more lines ...` stands for just so many
    record: none          nothing was recorded without -r; the stock tool of the run is the only measure

`differences.txt` has, below `row: ...` (a row of the contract's section 7), blocks that begin with case numbers:

    exit: 0
    result: leaks any, check-errors >=1, total-clusters 16
    stderr: none | as stock
    2> ...     one line; `2> ...` alone: any number of lines;  2~ REGEX: a line that matches
    1~ REGEX   a line that the human text has besides the report
"""

import dataclasses
import pathlib
import re

MEMBERS = ("corruptions", "leaks", "check-errors", "total-clusters", "allocated-clusters", "fragmented-clusters",
           "compressed-clusters", "image-end-offset")
ANY = "any"


@dataclasses.dataclass
class Case:
    number: str
    title: str
    base: str | None = None
    recipe: list[str] = dataclasses.field(default_factory=list)
    layout: str | None = None
    holder: str | None = None
    command: str | None = None
    fallback: bool = False
    recorded: bool = True
    exit: int | None = None
    result: dict | str | None = None
    name: str = '"t.qcow2"'
    stdout: list[str] = dataclasses.field(default_factory=list)
    stderr: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Difference:
    row: str
    exit: int | None = None
    result: dict | None = None
    stderr: list[tuple[str, str]] | None = None  # (kind, text), kind '>' or '~'
    notes: list[str] = dataclasses.field(default_factory=list)


class DataError(Exception):
    """A line of a data file that cannot be understood."""


def _lines(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield f"{path.name}:{number}", line


def _result(text, where):
    if text in ("none", ANY):
        return text
    result = {}
    for part in text.split(", "):
        member, _, value = part.partition(" ")
        if member not in MEMBERS:
            raise DataError(f"{where}: no such member: {member}")
        result[member] = int(value) if value.isdigit() else value
    return result


def _directive(line, where):
    match = re.match(r"  (?:([a-z]+): (.*)|([$12][>~]?) (.*))$", line)
    if not match:
        raise DataError(f"{where}: cannot be understood: {line}")
    return (match[1] or match[3], match[2] if match[1] else match[4])


def read_cases(path):
    """The blocks of one file of cases or bases, by number, in the order of the file."""
    cases = {}
    for where, line in _lines(path):
        if not line.startswith(" "):
            number, _, title = line.partition(" ")
            if number in cases:
                raise DataError(f"{where}: {number} stands twice")
            case = cases[number] = Case(number, title)
            continue
        key, value = _directive(line, where)
        if key in ("base", "layout", "holder", "name"):
            setattr(case, key, value)
        elif key == "run":
            case.command = value
        elif key == "fallback":
            case.fallback = value == "allowed"
        elif key == "record":
            case.recorded = value != "none"
        elif key == "exit":
            case.exit = int(value)
        elif key == "result":
            case.result = _result(value, where)
        elif key in ("$", "1>", "2>"):
            {"$": case.recipe, "1>": case.stdout, "2>": case.stderr}[key].append(value)
        else:
            raise DataError(f"{where}: does not belong here: {key}")
    return cases


def read_all_cases(directory: pathlib.Path):
    cases = {}
    for path in sorted(directory.glob("*.txt")):
        for number, case in read_cases(path).items():
            if number in cases:
                raise DataError(f"{path.name}: {number} stands in two files")
            cases[number] = case
    return cases


def read_differences(path):
    differences, row, current = {}, None, []
    for where, line in _lines(path):
        if line.startswith("row: "):
            row = line.removeprefix("row: ")
        elif not line.startswith(" "):
            current = []
            for number in line.split():
                if number in differences:
                    raise DataError(f"{where}: {number} stands twice")
                differences[number] = Difference(row)
                current.append(differences[number])
        else:
            key, value = _directive(line, where)
            for difference in current:
                _set_difference(difference, key, value, where)
    return differences


def _set_difference(difference, key, value, where):
    if key == "exit":
        difference.exit = int(value)
    elif key == "result":
        difference.result = _result(value, where)
    elif key == "stderr" and value in ("none", "as stock"):
        difference.stderr = [] if value == "none" else None
    elif key in ("2>", "2~"):
        difference.stderr = (difference.stderr or []) + [(key[1], value)]
    elif key == "1~":
        difference.notes.append(value)
    else:
        raise DataError(f"{where}: does not belong here: {key}")
