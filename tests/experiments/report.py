# SPDX-License-Identifier: GPL-2.0-or-later
"""What a check prints, worked out from its counts, and the comparison of what was printed with what should be."""

import json
import re

from casefile import ANY

# The stock tool's JSON members come in this order; those that are 0 are left out, but for check-errors.
STOCK_ORDER = ("image-end-offset", "compressed-clusters", "total-clusters", "corruptions", "corruptions-fixed",
               "check-errors", "leaks", "leaks-fixed", "allocated-clusters", "filename", "format",
               "fragmented-clusters")
# Ours come in the order of the schema.
OUR_ORDER = ("filename", "format", "check-errors", "image-end-offset", "corruptions", "leaks", "corruptions-fixed",
             "leaks-fixed", "total-clusters", "allocated-clusters", "fragmented-clusters", "compressed-clusters",
             "judgement", "unknown-because", "guest-bytes-lost", "guest-ranges-lost", "guest-lost", "guest-cut-off",
             "bytes-kept-as-lost", "file-length", "file-length-least", "virtual-size", "cluster-size", "exit-status", "viscera")
# Members that the stock tool does not have.
OWN = OUR_ORDER[OUR_ORDER.index("judgement"):]
# Lines that it does not have, of any image.
OWN_LINE = re.compile(r"Judgement: .*|Note: The (backing|external data) file( '.*')? was not looked at\.")


def human(counts):
    """The lines of the human text for these counts."""
    corruptions, leaks, errors = (counts.get(name, 0) for name in ("corruptions", "leaks", "check-errors"))
    lines = []
    if corruptions:
        lines += ["", f"{corruptions} errors were found on the image.",
                  "Data may be corrupted, or further writes to the image may corrupt it."]
    if leaks:
        lines += ["", f"{leaks} leaked clusters were found on the image.",
                  "This means waste of disk space, but no harm to data."]
    if errors:
        lines += ["", f"{errors} internal errors have occurred during the check."]
    lines = lines or ["No errors were found on the image."]
    total, allocated = counts.get("total-clusters", 0), counts.get("allocated-clusters", 0)
    if total and allocated:
        fragmented, compressed = counts.get("fragmented-clusters", 0), counts.get("compressed-clusters", 0)
        lines.append(f"{allocated}/{total} = {allocated * 100 / total:.2f}% allocated, "
                     f"{fragmented * 100 / allocated:.2f}% fragmented, "
                     f"{compressed * 100 / allocated:.2f}% compressed clusters")
    if counts.get("image-end-offset"):
        lines.append(f"Image end offset: {counts['image-end-offset']}")
    return lines


def stock_json(counts, name):
    """The lines of the stock tool's JSON; @name is the file name as JSON text."""
    values = {"check-errors": 0, **counts, "filename": name, "format": '"qcow2"'}
    members = ",\n".join(f'    "{key}": {values[key]}' for key in STOCK_ORDER if key in values)
    return ("{\n" + members + "\n}").split("\n")


def parse_json(text):
    """The counts in a JSON report, 0 left out, and the file name as it stands in the text."""
    report = json.loads(text)
    counts = {key: value for key, value in report.items() if key not in ("filename", "format", *OWN) and value}
    name = re.search(r'^    "filename": (".*?"),?$', text, re.M)
    return counts, name and name[1]


def json_form_faults(text):
    """What is wrong with the form of our JSON: one member a line, indented by four, in schema order, ASCII."""
    report = json.loads(text)
    known = [key for key in OUR_ORDER if key in report]
    keys = [key for key in report if key in OUR_ORDER]
    faults = []
    if keys != known:
        faults.append(f"members not in schema order: {' '.join(keys)}")
    if "viscera" not in report:
        faults.append("no viscera")
    if not text.isascii():
        faults.append("not pure ASCII")
    lines = text.split("\n")
    if lines[-1] != "":
        faults.append("no newline at the end")
    if any((len(line) - len(line.lstrip(" "))) % 4 for line in lines):
        faults.append("indentation is not by four spaces")
    return faults


def same_counts(expected, counts):
    """True where @counts has just what @expected says; a value there may be `any` or `>=N`."""
    for key in expected.keys() | counts.keys():
        wanted, got = expected.get(key, 0), counts.get(key, 0)
        if wanted == ANY:
            continue
        if isinstance(wanted, str) and wanted.startswith(">="):
            if got < int(wanted[2:]):
                return False
        elif got != wanted:
            return False
    return True


def matches(patterns, lines):
    """True where @lines are what @patterns, pairs of kind and text, describe; `...` is any number of lines."""
    if not patterns:
        return not lines
    (kind, text), rest = patterns[0], patterns[1:]
    if text == "...":
        return any(matches(rest, lines[start:]) for start in range(len(lines) + 1))
    cut = re.fullmatch(r"\s*\.\.\. (\d+) more lines \.\.\.", text)
    if cut:
        return len(lines) >= int(cut[1]) and matches(rest, lines[int(cut[1]):])
    if not lines or (lines[0] != text if kind == ">" else not re.fullmatch(text, lines[0])):
        return False
    return matches(rest, lines[1:])


def without_advice(text):
    """stderr without our advice on usage errors, and with the stock tool's hint at its help."""
    text = re.sub(r"^(Did you mean |It is short for |--?[a-z-]+ took ').*\n", "", text, flags=re.MULTILINE)
    return re.sub("^Try 'qemu-img check --help'", "Try 'qemu-img --help'", text, flags=re.MULTILINE)


def beside(lines, expected):
    """The lines that stand between those of @expected; None where those are not all there in their order."""
    rest = iter(line for line in lines if line)
    found = []
    for wanted in filter(None, expected):
        for line in rest:
            if line == wanted:
                break
            found.append(line)
        else:
            return None
    return found + list(rest)


def fill_in(wanted, text):
    """@wanted, each value that is left open replaced by the one that the human text gives."""
    patterns = {"corruptions": r"^(\d+) errors were found", "leaks": r"^(\d+) leaked clusters were found",
                "check-errors": r"^(\d+) internal errors have occurred",
                "image-end-offset": r"^Image end offset: (\d+)"}
    counts = dict(wanted)
    for key, value in wanted.items():
        if isinstance(value, str):
            found = re.search(patterns[key], text, re.M)
            counts[key] = int(found[1]) if found else 0
    return counts
