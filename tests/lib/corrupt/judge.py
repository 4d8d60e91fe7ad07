# SPDX-License-Identifier: GPL-2.0-or-later
"""Do two verdicts on one image agree? If not, which documented difference explains it?

The documented differences are the rows of docs/interop/differences.rst. Each has a name here, knows when it applies
from what the stock tool said, and says what is to be expected of ours instead: usually the stock tool's own
verdict, once it has been told not to do what we do not do (open the backing file, ask for a key).
"""

import os
import re
from dataclasses import dataclass, field, replace

import findings
from qcow2 import layout, reader
from viscera import differences as viscera_differences
from viscera import viscera

from . import tools

# A line of our human text that is a note, or the judgement, which the stock tool does not have.
NOTE = re.compile(r"^note: ", re.IGNORECASE)
JUDGEMENT = re.compile(r"^Judgement: ")
MEMBERS = ["filename", "format", "check-errors", "image-end-offset", "corruptions", "leaks", "corruptions-fixed",
           "leaks-fixed", "total-clusters", "allocated-clusters", "fragmented-clusters", "compressed-clusters"]
# Members that the stock tool does not have.
OWN_MEMBERS = ["judgement", "unknown-because", "guest-bytes-lost", "guest-ranges-lost", "guest-lost", "guest-cut-off",
               "bytes-kept-as-lost", "file-length", "file-length-least", "virtual-size", "cluster-size", "exit-status", "viscera"]
IMAGE = "t.qcow2"
MOST_L1_ENTRIES = 4 << 20

# Why the stock tool could not open an image whose bitmaps are damaged.
BITMAP_ERRORS = re.compile(
    r"bitmap directory|Broken bitmap|bitmaps found than specified|Bitmap extra data|Bitmap '.*' doesn't satisfy|"
    r"Bitmap already exists|Could not read bitmap|bitmaps_ext:|found bitmaps extension with zero", re.DOTALL)
CRYPT_ERRORS = re.compile(r"encrypt\.|LUKS|luks|keyslot|passphrase|password|cipher|[Kk]ey material|payload|stripes|"
                          r"outside of extension header")


@dataclass
class Judgement:
    rows: list = field(default_factory=list)  # names of the documented differences that were needed
    differences: list = field(default_factory=list)  # what remains unexplained; empty = fine
    skipped: str = ""  # why there is no judgement


class Case:
    """One image and the two tools, which run in its directory."""

    def __init__(self, directory, ours, stock, viscera=True, name=IMAGE, options=()):
        self.directory = directory
        self.name = name
        self.ours_program = ours
        self.stock_program = stock
        self.viscera = viscera
        self.image = reader.open_image(os.path.join(directory, name))
        self.ours = tools.check(ours, directory, name, options)
        self.stock = tools.check(stock, directory, name, options)
        # What the stock tool is told to leave alone, as the rows ask for it.
        self.without = {}
        self.judgement = Judgement()

    def close(self):
        self.image.source.close()

    def judge(self):
        for row in ROWS * 2:
            if not self._remaining():
                break
            if row.name not in self.judgement.rows and row.applies(self):
                self.judgement.rows.append(row.name)
                if row.settle(self):
                    return self._finish()
        if self.stock.status is None:
            self.judgement.skipped = "the stock tool ran into the time limit"
        self.judgement.differences += self._remaining()
        return self._finish()

    def _remaining(self):
        return compare(self.ours, self.stock)

    def _finish(self):
        if self.judgement.skipped:
            self.judgement.differences = []
            return self.judgement
        if self.ours.human.err != self.ours.json.err:
            self.judgement.differences.append("ours: stderr differs between human text and JSON")
        self.judgement.differences += self._check_notes() + self._check_findings()
        if self.viscera:
            self.judgement.differences += self._check_viscera()
        return self.judgement

    def stock_again(self):
        """Asks the stock tool once more, with all that the rows have asked for."""
        self.stock = tools.check_without(self.stock_program, self.directory, self.name, **self.without)

    def _check_notes(self):
        """A note for the dirty bit, the corrupt bit, stale bitmaps, a backing file, an external data file and a LUKS header
        that is none, and for nothing else. A judgement on whatever is not sound, as the last line."""
        if not self.ours.human.out:
            return []
        v3 = self.image.version >= 3
        stale = self.image.extension(layout.EXT_BITMAPS) is not None and not self.image.autoclear & 1
        backing = self.image.word(8) != 0 and self.image.word(16, 4) != 0
        data_file = bool(self.image.incompatible & 4) * v3
        luks = self.ours.human.text.count("\nNote: The encryption header ") > 0 and \
            self.image.extension(layout.EXT_CRYPT) is not None
        wanted = (self.image.incompatible & 3).bit_count() * v3 + stale + backing + data_file + luks
        found = len([line for line in self.ours.human.text.splitlines() if NOTE.match(line)])
        lines = [] if found == wanted else [f"notes: {wanted} expected, {found} found"]
        judged = [bool(JUDGEMENT.match(line)) for line in self.ours.human.text.splitlines()]
        if sum(judged) > 1 or any(judged[:-1]):
            lines.append("the judgement is not the last line")
        if self.ours.status in (2, 3) and not any(judged):
            lines.append("no judgement")
        return lines

    def _check_findings(self):
        """The list of findings adds up, and does not change the verdict."""
        if self.ours.members() is None or "handed to the stock tool" in self.judgement.rows:
            return []
        asked = tools.run(self.ours_program, ["check", "--output=json", "--findings", self.name], self.directory)
        if asked.err != self.ours.json.err or asked.status != self.ours.json.status:
            return ["findings: the verdict is another when they are asked for"]
        return findings.problems(asked.members(), asked.err.decode("utf-8", "surrogateescape"))

    def _check_viscera(self):
        members = self.ours.members()
        if members is None:
            return []
        if "viscera" not in members:
            return ["JSON: no viscera"]
        if self._too_much_to_read():
            return []
        expected, found = viscera(self.image), members["viscera"]
        for doubtful in self._doubtful():
            expected.pop(doubtful, None)
            found.pop(doubtful, None)
        bad = {s.l1_offset for s in self.image.snapshots()
               if s.l1_offset % self.image.cluster_size or s.l1_size > layout.MAX_L1_ENTRIES}
        for tree in (expected, found):
            for table in tree.get("snapshot-table", {}).get("l1-list", []):
                if table["location"]["offset"] in bad:
                    table["l2-list"] = []
        return viscera_differences(expected, found)[:5]

    def _too_much_to_read(self):
        """Thousands of snapshots that all claim the same large L1 table."""
        length = self.image.source.length // 8
        return sum(min(s.l1_size, length) for s in self.image.snapshots()) > MOST_L1_ENTRIES

    def _doubtful(self):
        """Members that have no right value where the structure cannot be read."""
        if "damaged bitmaps" in self.judgement.rows:
            yield "bitmaps"
        elif any(b.table_offset + 8 * b.table_size > self.image.source.length + self.image.cluster_size
                 for b in self.image.bitmaps()):
            yield "bitmaps"
        if "aborted check" in self.judgement.rows:
            yield "bitmaps"
        if self._snapshots_unreadable():
            yield "snapshot-table"

    def _snapshots_unreadable(self):
        image, snapshots = self.image, self.image.snapshots()
        return (image.nb_snapshots > layout.MAX_SNAPSHOTS or image.snapshots_offset % image.cluster_size or
                any(s.extra_size > layout.SNAPSHOT_MAX_EXTRA for s in snapshots) or
                sum(s.size for s in snapshots) > layout.MAX_SNAPSHOT_TABLE or
                image.snapshots_offset >= 1 << 63)


def compare(ours, stock):
    """What differs between two verdicts: one line each."""
    lines = []
    if ours.status is None or ours.status < 0:
        return [f"ours: {'time limit' if ours.status is None else f'killed by signal {-ours.status}'}"]
    if ours.status != stock.status:
        lines.append(f"exit status: ours {ours.status}, stock {stock.status}")
    if ours.json.status != ours.status:
        lines.append(f"exit status: {ours.status} in human text, {ours.json.status} with JSON")
    lines += compare_lines("stderr", ours.human.lines, stock.human.lines)
    human = [line for line in ours.human.text.splitlines() if not NOTE.match(line) and not JUDGEMENT.match(line)]
    lines += compare_lines("stdout", human, stock.human.text.splitlines())
    return lines + compare_members(ours.members(), stock.members())


def compare_lines(name, ours, stock):
    """The first line that differs."""
    for i in range(max(len(ours), len(stock))):
        left = ours[i] if i < len(ours) else None
        right = stock[i] if i < len(stock) else None
        if left != right:
            return [f"{name} line {i + 1}: ours {left!r}, stock {right!r} ({len(ours)} and {len(stock)} lines)"]
    return []


def compare_members(ours, stock):
    if ours is None or stock is None:
        return [] if ours is stock else [f"JSON: ours {'none' if ours is None else 'some'}, stock {stock}"]
    ours = {name: value for name, value in ours.items() if name not in OWN_MEMBERS}
    lines = [f"JSON {name}: ours {ours.get(name)!r}, stock {stock.get(name)!r}"
             for name in sorted({*ours, *stock}) if ours.get(name) != stock.get(name)]
    # The stock tool's own order is that of its hash table.
    if "viscera" in ours and list(ours) != [name for name in MEMBERS if name in ours]:
        lines.append(f"JSON: members in another order: {list(ours)}")
    return lines


class Row:
    """A documented difference."""

    name = ""

    def applies(self, case):
        """Does what the stock tool said come from this?"""
        raise NotImplementedError

    def settle(self, case):
        """Makes case.stock what ours should equal (False), or judges ours by itself (True)."""
        raise NotImplementedError


class OldFormat(Row):
    """Version 1 is another format, which ours leaves to the stock tool."""

    name = "handed to the stock tool"

    def applies(self, case):
        return case.image.version == 1 and "needs the stock qemu-img" in case.ours.err

    def settle(self, case):
        case.ours = tools.check(case.ours_program, case.directory, case.name, fallback=case.stock_program)
        return False


class BackingFile(Row):
    name = "backing file"

    def applies(self, case):
        return case.image.word(8) != 0 and (case.stock.status is None or "Could not open" in case.stock.err)

    def settle(self, case):
        case.without["backing"] = False
        case.stock_again()
        return False


class DataFile(Row):
    name = "data file"

    def applies(self, case):
        return case.image.data_file and "Could not open" in case.stock.err

    def settle(self, case):
        case.without["data_file"] = False
        case.stock_again()
        return False


class Key(Row):
    """A key for LUKS. For AES any key will do. Where the LUKS header itself is gone there is nothing to compare."""

    name = "encryption key"

    def applies(self, case):
        return case.image.crypt_method in (1, 2) and CRYPT_ERRORS.search(case.stock.err) is not None

    def settle(self, case):
        case.without["secret"] = {1: "aes", 2: "luks"}[case.image.crypt_method]
        case.stock_again()
        if not CRYPT_ERRORS.search(case.stock.err):
            return False
        aborted = case.ours.status == 1 and (case.ours.members() or {}).get("check-errors")
        if case.ours.status not in (0, 2, 3) and not aborted:
            case.judgement.differences.append(f"encryption key: ours exits with {case.ours.status}")
        return True


class EscapedNames(Row):
    """Ours shows what would steer a terminal, or is no text, as escape sequences."""

    name = "escaped names"

    def applies(self, case):
        return self._escaped(case.stock.human).err != case.stock.human.err

    def settle(self, case):
        case.stock = replace(case.stock, human=self._escaped(case.stock.human), json=self._escaped(case.stock.json))
        return False

    def _escaped(self, report):
        text = report.err.decode("utf-8", "surrogateescape")
        return replace(report, err="".join(map(self._escape, text)).encode())

    @staticmethod
    def _escape(character):
        code = ord(character)
        if character == "\n" or (character.isprintable() and not 0xDC80 <= code < 0xDD00):
            return character
        if code < 0x80 or 0xDC80 <= code < 0xDD00:
            return f"\\x{code & 0xff:02x}"
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class UnnamedBlock(Row):
    """Ours names an unaligned refcount block where counts are compared, and not where COPIED flags are tested."""

    name = "unnamed refcount block"
    # beside the first cluster whose count is unknown it is named by both
    NAMED = re.compile(rb"^qcow2: Image is corrupt: Refblock offset 0x[0-9a-f]+ unaligned \(reftable index: 0x[0-9a-f]+\); "
                       rb"further non-fatal corruption events will be suppressed\n(?!Can't get refcount)", re.MULTILINE)

    def applies(self, case):
        return self.NAMED.search(case.stock.human.err) is not None

    def settle(self, case):
        case.stock = replace(case.stock, human=self._unnamed(case.stock.human), json=self._unnamed(case.stock.json))
        return False

    def _unnamed(self, report):
        return replace(report, err=self.NAMED.sub(b"", report.err))


class DamagedBitmaps(Row):
    """Ours checks the rest: the same lines that the stock tool prints for the image with its bitmaps switched off."""

    name = "damaged bitmaps"
    # What counts references says something else without those of the bitmaps.
    SWITCHED_OFF = re.compile(r"^(Leaked cluster|ERROR cluster|ERROR refcount block \d+ refcount=|qemu-img: warning|"
                              r"Some clusters may be)")

    def applies(self, case):
        if BITMAP_ERRORS.search(case.stock.err):
            return True
        # Bitmaps in use are looked at late, and then the check gives up, as it does for an unaligned snapshot table.
        return (case.stock.err.endswith("qemu-img: Check failed: Invalid argument\n") and
                "ERROR snapshot table" not in case.stock.err and case.image.autoclear & 1 != 0)

    def settle(self, case):
        problems = case.judgement.differences
        members = case.ours.members() or {}
        if case.ours.status not in (1, 2):
            problems.append(f"damaged bitmaps: exit 2 expected, ours {case.ours.status}")
        if not members.get("corruptions"):
            problems.append("damaged bitmaps: no corruption counted")
        if not re.search("bitmap", case.ours.err, re.IGNORECASE):
            problems.append("damaged bitmaps: no message names them")
        problems += self._rest(case)
        return True

    def _rest(self, case):
        path = os.path.join(case.directory, "bitmaps-off.qcow2")
        data = bytearray(case.image.source.read(0, case.image.source.length))
        data[88:96] = (case.image.autoclear & ~1).to_bytes(8, "big")
        with open(path, "wb") as out:
            out.write(data)
        stock = tools.check_without(case.stock_program, case.directory, "bitmaps-off.qcow2", **case.without)
        os.unlink(path)
        # The warning has no newline at its end: what follows is glued to it.
        text = stock.err.replace("qcow2 check -r' on the image file to fix.", "").replace("to fix.", "to fix.\n")
        expected = [line for line in text.splitlines() if not self.SWITCHED_OFF.match(line)]
        if any(line.startswith("qemu-img: C") for line in expected):
            return []
        missing = [line for line in expected if line not in case.ours.err.splitlines()]
        return [f"damaged bitmaps: ours lacks {line!r}" for line in missing[:3]]


class AbortedCheck(Row):
    """Ours prints what was found up to then, and beyond."""

    name = "aborted check"

    def applies(self, case):
        return re.search(r"^qemu-img: Check failed: ", case.stock.err, re.MULTILINE) is not None

    def settle(self, case):
        problems = case.judgement.differences
        members = case.ours.members() or {}
        if case.ours.status != 1:
            problems.append(f"aborted check: exit 1 expected, ours {case.ours.status}")
        if not members.get("check-errors"):
            problems.append("aborted check: check-errors is 0 or absent")
        before = case.stock.human.lines[:-1]
        problems += compare_lines("aborted check: stderr", case.ours.human.lines[:len(before)], before)
        if not case.ours.human.lines or not case.ours.human.lines[-1].startswith("qemu-img: Check failed"):
            problems.append("aborted check: ours does not end with 'Check failed'")
        return True


class EndUnknown(Row):
    """Something could not be counted, and the file may go on behind what was: ours leaves the end of the image out."""

    name = "end of the image"
    LINE = re.compile(rb"^Image end offset: [0-9]+\n", re.MULTILINE)
    MEMBER = re.compile(rb',\n    "image-end-offset": [0-9]+|    "image-end-offset": [0-9]+,\n')

    def applies(self, case):
        ours, stock = case.ours.members(), case.stock.members()
        if not isinstance(ours, dict) or not isinstance(stock, dict) or "image-end-offset" in ours:
            return False
        end = stock.get("image-end-offset", 0)
        goes_on = end + case.image.cluster_size <= case.image.source.length
        return stock.get("check-errors", 0) > 0 and end > 0 and (goes_on or stock.get("corruptions", 0) > 0)

    def settle(self, case):
        human, as_json = case.stock.human, case.stock.json
        case.stock = replace(case.stock, human=replace(human, out=self.LINE.sub(b"", human.out)),
                             json=replace(as_json, out=self.MEMBER.sub(b"", as_json.out)))
        return False


ROWS = [OldFormat(), BackingFile(), DataFile(), Key(), EscapedNames(), UnnamedBlock(), DamagedBitmaps(), AbortedCheck(),
        EndUnknown()]
