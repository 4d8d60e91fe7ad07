# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of the pages that benchmarks write."""

import json
import os
import subprocess


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.split("\n")[0]


def our_program(build):
    """Of which source, and how built."""
    options = json.loads((build / "meson-info" / "intro-buildoptions.json").read_bytes())
    options = {option["name"]: option["value"] for option in options}
    compiler = json.loads((build / "compile_commands.json").read_bytes())[0]["command"].split()
    compiler = compiler[1] if os.path.basename(compiler[0]) == "ccache" else compiler[0]
    source = json.loads((build / "meson-info" / "meson-info.json").read_bytes())["directories"]["source"]
    commit = first_line("git", "-C", source, "rev-parse", "--short", "HEAD") or "unknown"
    changed = " and changes since" if first_line("git", "-C", source, "status", "--porcelain", "-uno") else ""
    return (f"commit {commit}{changed}; {first_line(compiler, '--version')}; "
            f"build type {options['buildtype']}, optimization {options['optimization']}")


def fields(pairs):
    return "".join(f":{name}: {value}\n" for name, value in pairs)


def table(rows, *columns):
    """The rows, dictionaries of text, as a simple table of reStructuredText."""
    lines = [list(columns)] + [[row[column] for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    rule = "  ".join("=" * width for width in widths)
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    return "\n".join([rule, text[0], rule, *text[1:], rule, ""])
