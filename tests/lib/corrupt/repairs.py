# SPDX-License-Identifier: GPL-2.0-or-later
"""Is our repair of an image sound, and no worse than the stock tool's?

Both repair a copy of their own. Whatever the stock tool does:
  - a dry run of ours changes no byte;
  - the guest, and each snapshot, reads from what ours has repaired what it read before, but for what it finds through an
    L2 table that is another structure of the image besides;
  - a check afterwards has the exit status of the repair;
  - a second repair changes nothing.
Then the results are compared: what the repairs say they have fixed and what remains, their exit statuses, what the
stock tool's check finds in either image, and whether the guest still reads the same from what the stock tool has
repaired. They are equal, messages included, or ours is better, or a documented difference (a "row") explains it.
"""

import contextlib
import functools
import itertools
import os
import re
import shutil

from holes import data_ranges
from qcow2 import reader

from . import guest, tools
from .judge import IMAGE, Judgement

KEPT = b"Leaked clusters are kept"
NO_PLACE = b"No place"
STAYS = b"Guest data stays on metadata"
CUT_OFF = b"The snapshot table is cut off"
NEED_REBUILD = b"ERROR need to rebuild refcount structures"
NOTHING = b"is said to be where the header is, and would be changed with it"
# The stock tool makes all blocks anew for less, and then names all faults again and what it frees of the old ones.
OTHER_TEXTS = (b"Rebuilding refcount structure", b"lies on metadata, and gets a copy", b"No place for a copy",
               b"guest data lies on it, and it gets a copy", b"cleared, as nothing needs it")
FOUND = ("corruptions", "leaks", "check-errors")
FIXED = ("corruptions-fixed", "leaks-fixed")
LARGEST = 1 << 28  # bytes of data of an image that are compared
PAGE = 4096


def content(path):
    """(length, {page: its bytes}) of a file, without the pages of zeros: what has holes elsewhere is the same."""
    pages = {}
    with open(path, "rb") as image:
        fd, length, read = image.fileno(), os.fstat(image.fileno()).st_size, 0
        for at, end in data_ranges(image):
            if read >= LARGEST:
                break
            start = at // PAGE * PAGE
            data = os.pread(fd, min(end - start, LARGEST - read), start)
            for offset in range(0, len(data), PAGE):
                page = data[offset:offset + PAGE]
                if page.strip(b"\0"):
                    pages[(start + offset) // PAGE] = page
            read += len(data)
    return length, pages


@contextlib.contextmanager
def opened(path):
    image = reader.open_image(path)
    try:
        yield image
    finally:
        image.source.close()


def read_by_guest(path):
    with opened(path) as image:
        return guest.everything(image)


def l1_entries(image):
    """Those that are not 0, of all trees."""
    trees = [(image.l1_offset, image.l1_size)] + [(s.l1_offset, s.l1_size) for s in image.snapshots()]
    return [entry for tree in trees for entry in image.words(*tree) if entry]


class Run:
    """A check by a program, with -r or without, and what it printed."""

    def __init__(self, program, directory, name, *options, secret=False):
        words = ["check", "--output=json", *options, "-f", "qcow2", name]
        if secret:
            words = ["check", "--output=json", *options, "--object", "secret,id=s,data=x", "--image-opts",
                     f"driver=qcow2,file.filename={name},encrypt.key-secret=s"]
        report = tools.run(program, words, directory)
        self.status, self.err, self.members = report.status, report.err, report.members()

    def numbers(self, names):
        return None if self.members is None else tuple(self.members.get(name, 0) for name in names)

    @property
    def found(self):
        return self.numbers(FOUND)

    @property
    def fixed(self):
        return self.numbers(FIXED)

    def __str__(self):
        return f"exit {self.status}, found {self.found}, fixed {self.fixed}"


class Trial:
    """The image of a directory, repaired by both programs."""

    def __init__(self, directory, ours, stock, mode):
        self.directory, self.mode = directory, mode
        self.ours_program, self.stock_program = ours, stock
        self.path = os.path.join(directory, IMAGE)
        self.beside = os.path.join(directory, f"stock-{IMAGE}")  # the copy that the stock tool repairs
        self.data = content(self.path)
        self.image = reader.open_image(self.path)
        self.judgement = Judgement()

    def close(self):
        self.image.source.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.beside)

    def judge(self):
        self.before = self._ours("-r", self.mode, "-n")
        if self.before.status is None or self.before.status < 0:
            self._expect(False, f"our dry run ends with {self.before.status}")
        elif self.before.members is None:
            self.judgement.skipped = "no image that ours opens"
        else:
            self.unrepaired = self._ours()
            self.readable = read_by_guest(self.path)
            self.changing = guest.through_structures(self.image)
            shutil.copyfile(self.path, self.beside)
            self._judge_ours()
            self._judge_beside_stock()
        return self.judgement

    def _expect(self, holds, text):
        if not holds:
            self.judgement.differences.append(text)

    # ---- ours by itself ----

    def _ours(self, *options):
        return Run(self.ours_program, self.directory, IMAGE, "--no-dump-meta", *options)

    def _judge_ours(self):
        self._expect(content(self.path) == self.data, "our dry run changes the image")
        self.ours = self._ours("-r", self.mode)
        self._expect(self.ours.status in (0, 1, 2, 3), f"our repair ends with {self.ours.status}")
        repaired = content(self.path)
        self.judgement.differences += guest.lost(self.readable, read_by_guest(self.path), self.changing)[:5]
        self._judge_numbers(self._ours())
        self.stock_of_ours = self.stock_check(self.path)
        self._ours("-r", self.mode)
        self._expect(content(self.path) == repaired or self.header_is_table(), "a second repair changes the image")

    def _judge_numbers(self, after):
        """What a dry run says is what a check finds, as is what is said to remain; something is fixed where less remains."""
        ours = self.ours
        if ours.status != 1:
            self._expect(ours.status == after.status, f"our repair: {ours}; a check afterwards: {after}")
            self._expect(ours.found == after.found, f"our repair: {ours}; a check afterwards: {after}")
            # as with the stock tool, flags count as they are against the counts that the repair has set right
            gone = any(a < b for b, a in zip(self.before.found, after.found))
            flags = b"OFLAG_COPIED" in self.unrepaired.err + ours.err
            self._expect(any(ours.fixed) == gone or flags, f"our repair: {ours}; before it {self.before}, and after it {after}")
            self._expect((self.before.status, self.before.found) == (self.unrepaired.status, self.unrepaired.found),
                         f"our dry run: {self.before}; a check: {self.unrepaired}")

    def header_is_table(self):
        """An L1 entry of nothing but flags makes an L2 table of the header, whose words change with any repair."""
        with opened(self.path) as image:
            return not all(map(image.l2_offset, l1_entries(image)))

    # ---- and beside the stock tool's ----

    def stock_check(self, path, *options):
        return Run(self.stock_program, self.directory, os.path.basename(path), *options, secret=self.image.crypt_method in (1, 2))

    def _judge_beside_stock(self):
        self.stock = self.stock_check(self.beside, "-r", self.mode)
        self.stock_of_stock = self.stock_check(self.beside)
        results = [(run.status, run.found, run.fixed) for run in (self.ours, self.stock)]
        if results[0] == results[1] and self.stock_of_ours.found == self.stock_of_stock.found and not self.lost:
            self._judge_texts()
            return
        for row in ROWS:
            if row.explains(self):
                self.judgement.rows.append(row.name)
                return
        self.judgement.differences += [f"our repair: {self.ours}", f"stock tool's repair: {self.stock}",
                                       f"stock tool's check of ours: {self.stock_of_ours}",
                                       f"stock tool's check of its own: {self.stock_of_stock}"]

    def _judge_texts(self):
        """Messages are the same, but where blocks are made anew or ours does something that the stock tool never does."""
        errs = self.ours.err, self.stock.err
        if any(text in err for text in OTHER_TEXTS for err in errs):
            return
        for ours, stock in itertools.zip_longest(*(err.splitlines() for err in errs)):
            if ours != stock:
                self.judgement.differences.append(f"our repair says {ours}, the stock tool's {stock}")
                return

    @functools.cached_property
    def lost(self):
        """What the guest cannot read any more from what the stock tool has repaired."""
        return guest.lost(self.readable, read_by_guest(self.beside))

    def no_worse(self, *numbers):
        """True where, of the numbers named, the stock tool finds no more in ours than in its own."""
        ours, own = self.stock_of_ours.numbers(numbers), self.stock_of_stock.numbers(numbers)
        return own is None or (ours is not None and all(a <= b for a, b in zip(ours, own)))


class Row:
    """A documented difference between the repairs."""

    def __init__(self, name, explains):
        self.name = name
        self.explains = explains


def snapshots_dropped(trial):
    """For a damaged entry, or as the header is written though the snapshot table could not be read."""
    with opened(trial.path) as ours, opened(trial.beside) as stock:
        kept = {snapshot.l1_offset for snapshot in stock.snapshots()}
        return any(snapshot.l1_offset not in kept for snapshot in ours.snapshots())


def nothing_repaired(trial):
    """Another structure, or guest data, lies on the header."""
    return NOTHING in trial.ours.err and content(trial.path) == trial.data


def leaks_kept(trial):
    # A count that stays too high can make COPIED flags wrong besides, which -r leaks then does not repair.
    worse = () if trial.mode == "leaks" else ("corruptions",)
    return KEPT in trial.ours.err and trial.no_worse("check-errors", *worse)


def aborted(trial):
    return (trial.stock.members is None and trial.no_worse(*FOUND) and
            trial.ours.status in (1, trial.stock_of_ours.status))


def no_place(trial):
    if NO_PLACE in trial.ours.err and trial.ours.status == 1 and content(trial.path) == trial.data:
        return True  # which it says
    worse = () if KEPT in trial.ours.err else ("leaks",)
    return NO_PLACE in trial.ours.err and trial.no_worse("check-errors", *worse)


def stays(trial):
    """Guest data lies on a table in a way that neither can be copied: ours does not write there."""
    worse = () if KEPT in trial.ours.err else ("leaks",)
    return STAYS in trial.ours.err and trial.no_worse("check-errors", *worse)


def block_not_written(trial):
    """A refcount block that is something else besides, or may be where counts are full, is not written to."""
    return NEED_REBUILD in trial.ours.err and content(trial.path) == trial.data and trial.no_worse("corruptions", "check-errors")


def table_cut_off(trial):
    """The stock tool writes a snapshot table anew of which there are zeros only, and finds no fault then."""
    worse = () if KEPT in trial.ours.err else ("leaks",)
    return CUT_OFF in trial.ours.err and trial.no_worse("check-errors", *worse)


def left_alone(trial):
    """What an L1 entry calls an L2 table is at an odd place, or something else, too: ours writes nothing there."""
    with opened(trial.path) as image:
        doubtful = (any(image.l2_offset(entry) % image.cluster_size for entry in l1_entries(image)) or
                    guest.tables_on_structures(image))
    worse = () if KEPT in trial.ours.err else ("leaks",)
    return doubtful and trial.no_worse("check-errors", *worse)


def grown_over(trial):
    """What lies behind the end of the file is inside of that which the stock tool has made longer, and no fault any more."""
    length = os.path.getsize(trial.beside)
    offsets = re.findall(rb"region exceeding the end of the file .*: offset (0x[0-9a-f]+)", trial.stock_of_ours.err)
    inside = sum(int(offset, 16) < length for offset in offsets)
    ours, own = (run.numbers(("corruptions", "check-errors")) for run in (trial.stock_of_ours, trial.stock_of_stock))
    return None not in (ours, own) and inside > 0 and ours[0] - inside <= own[0] and ours[1] <= own[1]


# The first that explains a difference counts; docs/interop/differences.rst.
ROWS = [
    Row("the stock tool cannot open it", lambda t: b"Could not open" in t.stock.err),
    Row("the stock tool loses what the guest reads", lambda t: t.lost),
    Row("the stock tool drops snapshots", snapshots_dropped),
    Row("the header is something else too", nothing_repaired),
    Row("leaks are kept", leaks_kept),
    Row("no place for what must be written", no_place),
    Row("guest data stays on metadata", stays),
    Row("a snapshot table that is cut off stays", table_cut_off),
    Row("a doubtful L2 table is left alone", left_alone),
    Row("more is repaired", lambda t: t.no_worse(*FOUND) and t.stock_of_ours.found != t.stock_of_stock.found),
    Row("aborted repair", aborted),
    Row("a refcount block is something else too", block_not_written),
    Row("what was fixed is the difference", lambda t: t.no_worse(*FOUND) and t.ours.found == t.stock.found),
    Row("the header is an L2 table", lambda t: t.header_is_table() and t.no_worse("leaks", "check-errors")),
    Row("bitmaps are stored anew", lambda t: t.image.autoclear & 1),
    Row("the stock tool's file has grown over what was cut off", grown_over),
]
