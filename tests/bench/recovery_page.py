# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes docs/devel/recovery.rst from what tests/bench/recovery has measured."""

import math
import pathlib
import string

import damages
import marked
import random_losses
from page import fields, table
from recovery import CLASSES

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = ["before", *CLASSES, "unrated", "left out", "wrong"]
SHOWN = 12  # faults
COMMANDS = {"restore": "``check -r all --restore``",
            "drop": "``check --drop snapshots``, then ``check -r all --restore``",
            "rescue": "``rescue``", "metadata": "``rescue --metadata``"}


def percent(part, whole):
    """As text; - for nothing at all, and 100 for all of it only."""
    if not part:
        return "-"
    share = 100 * part / whole
    return "100" if part == whole else f"{min(max(share, 0.1), 99.9):.1f}" if share < 100 else f"{share:.1f}"


def shares(cells):
    """A row of a table: the mean share of these cells, each of which counts as much."""
    def mean(number):
        parts = [number(cell) / cell["data"] for cell in cells]
        return percent(sum(parts), len(parts))

    def of(name, member):
        return lambda cell: cell["classes"].get(name, {}).get(member, 0)

    wrong = [f"{share} {name}" for name in [*CLASSES, "snapshots"] if (share := mean(of(name, "wrong"))) != "-"]
    return {"before": mean(lambda cell: cell["before"]), **{name: mean(of(name, "right")) for name in CLASSES},
            "unrated": mean(of("snapshots", "right")),
            "left out": mean(lambda cell: sum(tally["left_out"] for tally in cell["classes"].values())),
            "wrong": ", ".join(wrong) or "-"}


def by_loss(cells):
    return {loss: [cell for cell in cells if cell["loss"] == loss.name] for loss in damages.GRID}


def overview(cells):
    """What is right in the end, kind by loss. The losses are letters."""
    letters, rows = {loss: chr(ord("A") + i) for i, loss in enumerate(damages.GRID)}, []
    for kind in [kind for kind in marked.KINDS if kind.name in {cell["kind"] for cell in cells}]:
        row = {"image": kind.name}
        for loss, found in by_loss(cells).items():
            own = [right_at_last(cell) for cell in found if cell["kind"] == kind.name]
            row[letters[loss]] = str(math.floor(100 * sum(own) / len(own))) if own else ""
        rows.append(row)
    legend = "".join(f":{letter}: {loss.name}\n" for loss, letter in letters.items())
    return f"{legend}\n{table(rows, 'image', *letters.values())}"


def right_at_last(cell):
    """The share that is right after a restore of what is guessed, too, or after a rescue."""
    restored = dict((loss.name, loss.means) for loss in damages.GRID)[cell["loss"]] in ("restore", "drop")
    return (sum(tally["right"] for tally in cell["classes"].values()) + restored * cell["before"]) / cell["data"]


def summary(cells):
    return table([{"loss": loss.name, **shares(found)} for loss, found in by_loss(cells).items() if found],
                 "loss", *COLUMNS)


def details(cells):
    for loss, found in by_loss(cells).items():
        rows = [{"image": kind.name, **shares(own)} for kind in marked.KINDS
                if (own := [cell for cell in found if cell["kind"] == kind.name])]
        title = f"Lost: {loss.name}"
        yield f"{title}\n{'~' * len(title)}\n\n{COMMANDS[loss.means]}\n\n{table(rows, 'image', *COLUMNS)}\n"


def mib(size):
    """Never 0.0 for something."""
    return f"{max(size / marked.MIB, 0.1):.1f}" if size else "-"


def random_table(tallies):
    """What random losses had, by what was done and by class."""
    rows = []
    for (means, name), tally in sorted(tallies.items()):
        of_all = tally.right + tally.wrong + tally.left_out
        rows.append({"recovery": means, "class": name, "MiB right": mib(tally.right), "MiB wrong": mib(tally.wrong),
                     "MiB left out": mib(tally.left_out), "% right": percent(tally.right, of_all)})
    return table(rows, "recovery", "class", "MiB right", "MiB wrong", "MiB left out", "% right")


def fault_list(faults):
    """Those of this run, some."""
    if not faults:
        return "No fault was found."
    shown = "".join(f"- ``{fault}``\n" for fault in faults[:SHOWN])
    return f"{len(faults):,} faults were found{', these and more' if len(faults) > SHOWN else ''}:\n\n{shown}"


def page(results, seed):
    template = string.Template((HERE / "recovery.rst.in").read_text(encoding="utf-8"))
    proved = [tally for (_, name), tally in results.tallies.items() if name == "proved"]
    return template.substitute(
        machine=fields(results.machine), kinds=len({cell["kind"] for cell in results.cells}), losses=len(damages.GRID), rounds=results.rounds,
        summary=summary(results.cells), overview=overview(results.cells), details="\n".join(details(results.cells)),
        seed=seed, count=f"{results.count:,}", random=random_table(results.tallies), cells=len(results.cells),
        by_stock=random_losses.BY_STOCK, faults=fault_list(results.faults),
        right=mib(sum(tally.right for tally in proved)), wrong=mib(sum(tally.wrong for tally in proved)))
