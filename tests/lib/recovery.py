# SPDX-License-Identifier: GPL-2.0-or-later
"""Has an image with a loss recovered, and compares each sector with the truth.

The truth is known from the sound image (marked.py), and so is the loss (damages.py). Only two things are taken from what
the program under test says: how sure a rescue is of each range, and its exit status.

These are faults, whatever came back:
    what is proved is wrong;
    what was mapped before the recovery reads differently after it;
    the stock tool finds the image that was made broken, or cannot read it;
    a rescue wrote to its source.
"""

import bisect
import json
import os
import shutil
from dataclasses import dataclass, field

import marks
from marked import Failure
from marks import SECTOR, ZEROS, Tally

CLASSES = ["proved", "inferred", "guessed"]
SHOWN = 4  # wrong sectors
DAMAGED, AFTER, MAP = "damaged.qcow2", "after.qcow2", "map.json"


@dataclass
class Outcome:
    """Of one recovery: bytes of data that a guest reads, of the disk and its snapshots, by class."""

    classes: dict = field(default_factory=dict)  # {class: Tally}; "missing" and "snapshots" are classes of a rescue
    faults: list = field(default_factory=list)
    wrong: list = field(default_factory=list)  # (class, ID of the snapshot, offset, bytes read, bytes of the truth), some
    classed: bool = False  # each range of the disk has a class, zeros too
    refused: str = ""  # the message, if nothing was done

    def tally(self, name):
        return self.classes.setdefault(name, Tally())

    def all_faults(self):
        """What must not be, in words."""
        proved = [place for place in self.wrong if place[0] == "proved"]
        return self.faults + ([f"{len(proved)} sectors that are proved are wrong, as {told(proved[0])}"] if proved else [])


def told(place):
    name, number, at, is_now, should = place
    where = f"of snapshot {number.decode()}" if number else "of the disk"
    return f"{name}: {at:#x} {where} reads {marks.meaning(is_now)}, not {marks.meaning(should)}"


class Lab:
    """Recovers images; by_stock: the stock tool reads and judges each one, and not the reader of the tests alone."""

    def __init__(self, tools, by_stock):
        self.tools, self.by_stock = tools, by_stock
        self.made, self.sound, self.data = None, None, {}
        self.buffer, self.cache = [b""], {}

    def take(self, made):
        """The image that is to be damaged from now on."""
        self.made, self.cache = made, {}
        self.sound = marks.open_image(self.tools.path(made.name))
        self.data = {number: {block: marks.data_bytes(data) for block, data in disk.blocks.items()}
                     for number, disk in made.truth.items()}

    def bytes_of_data(self, number):
        return sum(self.data[number].values())

    def damage(self, loss, *arguments):
        """Makes a damaged copy of the sound image. What @loss returns."""
        path = self.tools.path(DAMAGED)
        shutil.copyfile(self.tools.path(self.made.name), path)
        return loss(path, self.sound, *arguments)

    # ---- reading ----

    def read(self, name, by_stock):
        """{ID of the snapshot, None for the guest's disk: Disk}"""
        found, block = {}, self.made.kind.cluster_size
        for number, tree in marks.trees(marks.open_image(self.tools.path(name), self.buffer), self.cache).items():
            found[number] = tree.disk()
            if by_stock and number in self.made.truth:
                seen = self.tools.read(name, block, f"snapshot.id={number.decode()}" if number else None)
                if found[number].block == block and seen != found[number]:
                    raise Failure(f"the stock tool reads something else than the reader: {number}")
        return found

    def read_before(self, name=DAMAGED):
        """What a damaged image maps: of the disk, and of snapshots that are still known."""
        if self.by_stock:
            done = self.tools.run(self.tools.stock, "info", "-f", "qcow2", name, statuses=(0, 1))
            if done.returncode:
                return {}
        found = self.read(name, self.by_stock)
        return {number: disk for number, disk in found.items() if number in self.made.truth}

    # ---- comparing ----

    def compare_tree(self, number, disk, before, classify, outcome):
        """Adds the sectors of @disk to the outcome; classify(offset) gives the class of a cluster.

        What reads as it did before the recovery was left out. So were zeros, unless their class says that they are right.
        """
        truth, data = self.made.truth[number], self.data[number]
        for block in truth.blocks.keys() | disk.blocks.keys():
            name = classify(block * truth.block)
            tally, is_now, should = outcome.tally(name), disk.at(block), truth.at(block)
            if is_now == should:
                tally.right += data[block]
                continue
            was = before.at(block) if before else None
            certain = outcome.classed and name in CLASSES
            for at in range(0, truth.block, SECTOR):
                now, wanted = is_now[at:at + SECTOR], should[at:at + SECTOR]
                if now == wanted:
                    tally.right += SECTOR if now != ZEROS else 0
                elif was and now == was[at:at + SECTOR] or now == ZEROS and not certain:
                    tally.left_out += SECTOR if wanted != ZEROS else 0
                else:
                    tally.wrong += SECTOR
                    if len(outcome.wrong) < SHOWN or name == "proved":
                        outcome.wrong.append((name, number, block * truth.block + at, now, wanted))

    @staticmethod
    def compare_mapped(before, after):
        """Faults: what was mapped reads differently."""
        for number, disk in before.items():
            if number not in after:
                yield f"the disk of {number} is gone"
                continue
            changed = [block for block in disk.mapped if disk.at(block) != after[number].at(block)]
            if changed:
                yield f"{len(changed)} mapped clusters of {number} read differently, as at {min(changed) * disk.block:#x}"

    # ---- check -r all --restore ----

    def restore(self, least, names):
        """Restores these images, in one run. {name: the message of one of which nothing could be made}"""
        tools = self.tools
        options = ["-r", "all", "--restore", "--no-undo", "--min-evidence", least, "--output=json", "--no-dump-meta"]
        # With several names each result is one line, and errors are results, too.
        done = tools.run(tools.ours, "check", *options, *names, os.devnull, statuses=range(64))
        results = [json.loads(line) for line in done.stdout.splitlines()]
        assert [result["filename"] for result in results[:-1]] == names, done.stderr[-500:]
        return {result["filename"]: result["error"] for result in results if "error" in result}

    def restore_quickly(self, least, names):
        """The same in one process, if there is a program for that."""
        if not self.tools.restore_many:
            return self.restore(least, names)
        lines = self.tools.run(self.tools.restore_many, least, *names).stdout.splitlines()
        return dict(line.split(": ", 1) for line in lines)

    def compare_restored(self, least, before, error=None, name=AFTER):
        """The Outcome for an image that was restored, with what read_before() read of it."""
        outcome = Outcome()
        if error:
            outcome.refused = error
            outcome.tally(least).right += self.right_before(before)
            outcome.tally(least).left_out += sum(map(self.bytes_of_data, self.data)) - self.right_before(before)
            return outcome
        try:
            after = self.read(name, self.by_stock)
        except Failure as unreadable:
            outcome.faults.append(f"cannot be read: {unreadable}")
            return outcome
        self.compare_disks(before, after, outcome, least)
        outcome.faults += self.compare_mapped(before, after)
        if self.by_stock:
            verdict = self.tools.run(self.tools.stock, "check", "-q", name, statuses=range(256)).returncode
            # 3: what may be lost data is kept, and leaks; 2: a 1-bit count cannot be that of a table with two entries
            if verdict not in (0, 3) and self.tools.run(self.tools.ours, "check", "-q", name,
                                                        statuses=range(256)).returncode != verdict:
                outcome.faults.append(f"a check by the stock tool ends with {verdict}, and ours does not")
        return outcome

    def compare_disks(self, before, after, outcome, least):
        lost = [number for number in self.made.truth if number not in after]
        for number, disk in after.items():
            if number in self.made.truth:
                like = number
            elif lost:
                # a snapshot that came back under another name: the one that it resembles most
                like = min(lost, key=lambda other: self._difference(other, disk))
                lost.remove(like)
            else:
                outcome.tally(least).wrong += sum(map(marks.data_bytes, disk.blocks.values()))
                outcome.faults.append(f"a snapshot of nothing that was: {number}")
                continue
            self.compare_tree(like, disk, before.get(number), lambda at: least, outcome)
        for number in lost:
            outcome.tally(least).left_out += self.bytes_of_data(number)

    def _difference(self, number, disk):
        return sum(1 for block in self.made.truth[number].blocks.keys() | disk.blocks.keys()
                   if self.made.truth[number].at(block) != disk.at(block))

    def right_before(self, before):
        """Bytes of data that are right without any recovery."""
        outcome = Outcome()
        for number, disk in before.items():
            self.compare_tree(number, disk, None, lambda at: "before", outcome)
        return outcome.tally("before").right

    # ---- rescue ----

    def rescue(self, with_metadata):
        """Rescues the damaged image."""
        outcome, tools = Outcome(classed=True), self.tools
        stat = os.stat(tools.path(DAMAGED))
        done = tools.run(tools.ours, "rescue", "-q", "--overwrite", "--map", MAP,
                         *(["--metadata", self.made.metadata] if with_metadata else []), DAMAGED, AFTER,
                         statuses=range(-64, 256))
        now = os.stat(tools.path(DAMAGED))
        if (stat.st_mtime_ns, stat.st_size) != (now.st_mtime_ns, now.st_size):
            outcome.faults.append("the source was written to")
        if done.returncode not in (0, 2):
            outcome.refused = done.stderr.strip()[-300:] or f"exit {done.returncode}"
            outcome.tally("missing").left_out += sum(map(self.bytes_of_data, self.data))
            if done.returncode != 1:
                outcome.faults.append(outcome.refused)
            return outcome
        try:
            after = self.read(AFTER, self.by_stock)
            if self.by_stock:
                tools.run(tools.stock, "check", "-q", AFTER)
        except Failure as error:
            outcome.faults.append(f"cannot be read: {error}")
            return outcome
        with open(tools.path(MAP), encoding="utf-8") as file:
            self.compare_classes(json.load(file)["ranges"], after, outcome)
        return outcome

    def compare_classes(self, ranges, after, outcome):
        starts = [part["start"] for part in ranges]

        def class_of(at):
            index = bisect.bisect_right(starts, at) - 1
            return ranges[index]["class"] if at < ranges[-1]["start"] + ranges[-1]["length"] else "missing"

        for number, truth in self.made.truth.items():
            disk = after[number] if number in after and after[number].block == truth.block else marks.Disk(truth.block)
            self.compare_tree(number, disk, None, class_of if number is None else lambda at: "snapshots", outcome)
        for number, disk in after.items():
            if number not in self.made.truth:
                outcome.tally("snapshots").wrong += sum(map(marks.data_bytes, disk.blocks.values()))
