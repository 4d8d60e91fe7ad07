# SPDX-License-Identifier: GPL-2.0-or-later
"""Random losses in groups: an image of a random kind, and GROUP losses of it. Seed and number decide all."""

import os
import random
import shutil

import damages
import marked
from marks import Tally
from recovery import AFTER, CLASSES, DAMAGED, Lab, told

GROUP = 100
BY_STOCK = 40  # the program itself restores one in so many, and the stock tool reads and judges it, too


class Group:
    """Numbers of losses go on from group to group."""

    def __init__(self, tools, seed, number, count=GROUP):
        self.tools, self.seed = tools, seed
        self.indices = range(number * GROUP, number * GROUP + count)
        self.lab = Lab(tools, False)
        self.kind = random.Random(f"{seed}:{number}").choice(marked.KINDS)
        self.lab.take(marked.make(tools, self.kind, f"{seed}:{number}"))
        self.waiting = {name: {} for name in CLASSES}  # {least class: {image: (index, what was lost, what it maps)}}

    def trials(self):
        """Yields (index, what was lost, means, Outcome)."""
        for index in self.indices:
            source = random.Random(f"{self.seed}:{index}")
            lost, means = self.lab.damage(damages.random_damage, source, self.kind.order)
            lost = f"{self.kind.name}: {', '.join(lost)}"
            self.lab.by_stock = index % BY_STOCK == 0
            if means == "restore":
                least, name = source.choice(["proved", "proved", "proved", "inferred", "guessed"]), f"{index}.qcow2"
                self.waiting[least][name] = index, lost, self.lab.read_before()
                os.rename(self.tools.path(DAMAGED), self.tools.path(name))
            else:
                yield index, lost, means, self.lab.rescue(means == "metadata")
        for least, images in self.waiting.items():
            yield from self._restored(least, images)

    def _restored(self, least, images):
        by_stock = [name for name in images if images[name][0] % BY_STOCK == 0]
        others = [name for name in images if name not in by_stock]
        errors = {**(self.lab.restore(least, by_stock) if by_stock else {}),
                  **(self.lab.restore_quickly(least, others) if others else {})}
        for name, (index, lost, before) in images.items():
            self.lab.by_stock = name in by_stock
            os.rename(self.tools.path(name), self.tools.path(AFTER))
            yield index, lost, f"restore {least}", self.lab.compare_restored(least, before, errors.get(name))

    def keep(self, folder, index):
        """Copies what belongs to a loss that is judged now. The damaged image is made again."""
        self.lab.damage(damages.random_damage, random.Random(f"{self.seed}:{index}"), self.kind.order)
        for name in (self.lab.made.name, DAMAGED, AFTER, self.lab.made.metadata):
            if os.path.exists(self.tools.path(name)):
                shutil.copyfile(self.tools.path(name), os.path.join(folder, f"{self.seed}-{index}-{name}"))


def run(tools, seed, number, count=GROUP, keep=None, only=None):
    """Runs the first @count of a group, prints each fault, and all about loss number @only.

    ({(means, class): Tally}, faults)
    """
    tallies, faults, group = {}, [], Group(tools, seed, number, count)
    for index, lost, means, outcome in group.trials():
        for name, tally in outcome.classes.items():
            tallies.setdefault((means, name), Tally()).add(tally)
        found = outcome.all_faults()
        if index == only:
            found += [*map(told, outcome.wrong[:20]), *filter(None, [outcome.refused])]
        if found and only in (None, index):
            faults.append(f"{seed}:{index}: {lost}: {means}: {'; '.join(found)}")
            print(faults[-1], flush=True)
            if keep:
                group.keep(keep, index)
    return tallies, faults
