#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of several images, and the progress of checks, as a user sees them. Prints TAP.

    run.py QEMU_IMG [many | progress] [NAME]

Images are made by the stock tool; damage is done to them byte by byte. Which bytes: an image of 64 MiB with its
first MiB written has its refcount block at 0x20000 (16 bits a cluster), and data from cluster 5 on.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

STOCK = "/usr/bin/qemu-img"
PATIENCE = 1800  # seconds until a program is taken to hang; none comes near, on the busiest machine
CASES = {}

# A sanitizer cannot look for leaks under strace. Where other cases check a few images in the same way, and leaks would be
# found there, it need not look for them a thousand times: that takes longer than a check.
NO_LEAK_CHECK = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


class Skip(Exception):
    pass


def case(group):
    """A case is a function that fails by assertion; its docstring is the sentence of the test."""

    def register(function):
        CASES[function.__name__] = (group, function)
        return function

    return register


class Workshop:
    def __init__(self, program, scratch):
        self.program = program
        self.scratch = scratch
        self.make_images()

    def make_images(self):
        self.stock("create", "-q", "-f", "qcow2", "clean.qcow2", "64M")
        subprocess.run(["qemu-io", "-c", "write 0 1M", "clean.qcow2"], cwd=self.scratch, check=True,
                       stdout=subprocess.DEVNULL)
        self.broken("leaky.qcow2", {0x20000 + 2 * 30: b"\0\1"}, length=4 << 20)
        self.broken("corrupt.qcow2", {0x20000 + 2 * 5: b"\0\0"})
        self.broken("headless.qcow2", {4: b"\0\0\0\x63"})
        self.stock("create", "-q", "-f", "vdi", "other.vdi", "1M")
        (self.scratch / "raw.img").write_bytes(bytes(1 << 20))

    def broken(self, name, pokes, length=None):
        path = self.scratch / name
        shutil.copy(self.scratch / "clean.qcow2", path)
        with open(path, "r+b") as image:
            for offset, data in pokes.items():
                image.seek(offset)
                image.write(data)
            if length:
                image.truncate(length)

    def stock(self, *arguments):
        subprocess.run([STOCK, *arguments], cwd=self.scratch, check=True)

    def check(self, *arguments, **options):
        """Runs `qemu-img check`; the result has returncode, stdout and stderr."""
        return subprocess.run([*options.pop("under", []), self.program, "check", *arguments], cwd=self.scratch,
                              capture_output=True, timeout=PATIENCE, text=True,
                              env={**os.environ, "LC_ALL": "C", **options.pop("env", {})}, **options)

    def lines(self, *arguments, **options):
        """The objects that a check with JSON output prints, which must be one a line."""
        done = self.check("--output=json", *arguments, **options)
        return [json.loads(line) for line in done.stdout.splitlines()]


def equal(got, expected):
    assert got == expected, f"expected {expected!r}\ngot      {got!r}"


# ---- several images ----


@case("many")
def results_in_order(w):
    """JSON Lines: an object for each image, in the order of the names, whichever is finished first"""
    names = ["clean.qcow2", "leaky.qcow2", "corrupt.qcow2"] * 20
    for jobs in "1", "7":
        equal([found["filename"] for found in w.lines("--jobs", jobs, *names)], names)


@case("many")
def jobs_do_not_matter(w):
    """stdout and stderr are the same to the byte for every --jobs and -m"""
    names = ["leaky.qcow2", "clean.qcow2", "corrupt.qcow2", "absent", "raw.img", "other.vdi"] * 5
    for output in "human", "json":
        first = w.check("--output", output, "--jobs", "1", "-m", "1", *names)
        for jobs, workers in ("2", "1"), ("16", "2"), ("256", "16"):
            other = w.check("--output", output, "--jobs", jobs, "-m", workers, *names)
            equal((other.stdout, other.stderr, other.returncode), (first.stdout, first.stderr, first.returncode))


@case("many")
def one_object_is_the_single_one(w):
    """each object is what a check of that image alone prints"""
    names = ["leaky.qcow2", "clean.qcow2", "corrupt.qcow2", "other.vdi"]
    alone = [json.loads(w.check("--output=json", name).stdout) for name in names]
    equal(w.lines(*names), alone)
    equal(w.lines("--jobs=1", *names * 4), alone * 4)  # several in one process


@case("many")
def exit_status_is_the_worst(w):
    """exit status: the worst of the images, in the order 1, 2, 3, 63, 0"""
    worst_first = [("absent", 1), ("corrupt.qcow2", 2), ("leaky.qcow2", 3), ("raw.img", 63), ("clean.qcow2", 0)]
    for i, (name, status) in enumerate(worst_first):
        for other, _ in worst_first[i:]:
            equal((name, other, w.check(name, other).returncode), (name, other, status))
            equal((other, name, w.check(other, name).returncode), (other, name, status))


@case("many")
def failures_have_their_place(w):
    """an image without a result is an object with the reason in it, and the others are checked"""
    names = ["absent", "clean.qcow2", "headless.qcow2", "raw.img"]
    found = w.lines(*names)
    missing = "Could not open 'absent': Could not open 'absent': No such file or directory"
    equal(found[0], {"filename": "absent", "exit-status": 1, "error": missing})
    equal(found[1]["total-clusters"], 1024)
    equal(found[2], {"filename": "headless.qcow2", "exit-status": 1,
                     "error": "Could not open 'headless.qcow2': Unsupported qcow2 version 99"})
    equal(found[3], {"filename": "raw.img", "exit-status": 63, "error": "This image format does not support checks"})


@case("many")
def messages_are_prefixed(w):
    """with several images each line on stderr begins with the name of its image; with one it does not"""
    leak = "Leaked cluster 30 refcount=1 reference=0"
    equal(w.check("leaky.qcow2").stderr, f"{leak}\n")
    equal(w.check("clean.qcow2", "leaky.qcow2").stderr, f"leaky.qcow2: {leak}\n")


@case("many")
def control_characters_are_escaped(w):
    """a file name cannot send control characters to a terminal by way of prefix or heading"""
    shutil.copy(w.scratch / "leaky.qcow2", w.scratch / "a\033[2Jb")
    done = w.check("a\033[2Jb", "clean.qcow2")
    assert "\033" not in done.stdout + done.stderr, done.stdout + done.stderr
    equal(done.stdout.splitlines()[0], "a\\x1b[2Jb:")


@case("many")
def human_output_has_headings(w):
    """human output: a heading for each image, an empty line between two"""
    alone = w.check("clean.qcow2").stdout
    equal(w.check("clean.qcow2", "clean.qcow2").stdout, f"clean.qcow2:\n{alone}\nclean.qcow2:\n{alone}")


@case("many")
def quiet_prints_no_results(w):
    """-q: nothing on stdout, the exit status as ever"""
    for output in "human", "json":
        done = w.check("-q", "--output", output, "clean.qcow2", "leaky.qcow2", "absent")
        equal((done.stdout, done.returncode), ("", 1))


@case("many")
def names_from_a_list(w):
    """--files-from: a name a line, or ended by a zero byte each, from a file or stdin, behind the names given"""
    odd = "new\nline.qcow2"
    shutil.copy(w.scratch / "clean.qcow2", w.scratch / odd)
    (w.scratch / "list").write_text("clean.qcow2\n\nleaky.qcow2")
    expected = ["corrupt.qcow2", "clean.qcow2", "leaky.qcow2"]
    equal([found["filename"] for found in w.lines("corrupt.qcow2", "--files-from", "list")], expected)
    text = f"{odd}\0clean.qcow2\0"
    equal([found["filename"] for found in w.lines("--files-from", "-", input=text)], [odd, "clean.qcow2"])


@case("many")
def a_list_of_one_or_none(w):
    """--files-from gives JSON Lines for one name, too, and nothing at all for none"""
    equal(len(w.check("--output=json", "--files-from=-", input="clean.qcow2\n").stdout.splitlines()), 1)
    done = w.check("--files-from=-", input="\n")
    equal((done.returncode, done.stdout, done.stderr), (0, "", ""))


@case("many")
def a_list_that_cannot_be_read(w):
    """--files-from with an unreadable list: a clear error, exit 1"""
    done = w.check("--files-from", "absent", "clean.qcow2")
    equal((done.returncode, done.stdout), (1, ""))
    equal(done.stderr, "qemu-img: Could not read the list of files 'absent': No such file or directory\n")


@case("many")
def numbers_are_checked(w):
    """-m, --jobs and --progress-fd refuse what is out of range, or no number"""
    for option, value, what in (("-m", "0", "number of worker threads for -m (expecting 1 to 16)"),
                                ("-m", "17", "number of worker threads for -m (expecting 1 to 16)"),
                                ("-m", "2x", "number of worker threads for -m (expecting 1 to 16)"),
                                ("--jobs", "-1", "number of images for --jobs (expecting 1 to 256)"),
                                ("--jobs", "257", "number of images for --jobs (expecting 1 to 256)")):
        done = w.check(option, value, "clean.qcow2")
        equal((done.returncode, done.stdout), (1, ""))
        equal(done.stderr, f"qemu-img: Invalid {what}: {value}\nTry 'qemu-img check --help' for more information\n")
    equal(w.check("--progress-fd=99", "clean.qcow2").stderr,
          "qemu-img: Could not write progress to file descriptor 99: Bad file descriptor\n")


@case("many")
def no_name_at_all(w):
    """without a file name: the stock tool's usage error"""
    done = w.check()
    equal(done.stderr, "qemu-img: Expecting one image file name\nTry 'qemu-img check --help' for more information\n")
    equal(done.returncode, 1)


def script(w, name, text):
    path = w.scratch / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return {"QEMU_IMG_FALLBACK": str(path)}


@case("many")
def other_formats_go_to_the_stock_tool(w):
    """the stock tool gets its own options and the one name, and its result comes in its place on one line"""
    trace = script(w, "tracer", f'printf "%s\\n" "$@" >arguments; exec {STOCK} "$@"')
    found = w.lines("-U", "-T", "none", "-m", "2", "clean.qcow2", "other.vdi", "-p", env=trace)
    equal([one["format"] for one in found], ["qcow2", "vdi"])
    equal((w.scratch / "arguments").read_text().split(),
          ["check", "--output", "json", "-U", "-T", "none", "--", "other.vdi"])


@case("many")
def a_crash_loses_one_result(w):
    """a check that crashes is a failure of its image alone"""
    crash = script(w, "crash", "kill -SEGV $$")
    found = w.lines("clean.qcow2", "other.vdi", "leaky.qcow2", env=crash)
    equal([one.get("leaks", 0) for one in found], [0, 0, 1])
    equal(found[1], {"filename": "other.vdi", "exit-status": 1,
                     "error": "The check was ended by signal 11 (Segmentation fault)"})


@case("many")
def few_open_files(w):
    """a thousand images with forty open files allowed"""
    names = "clean.qcow2\n" * 1000
    equal(len(w.lines("--files-from=-", input=names, under=["prlimit", "--nofile=40"], env=NO_LEAK_CHECK)), 1000)


@case("many")
def a_slow_image_holds_back_output_only(w):
    """images behind a slow one are checked meanwhile, and still printed behind it"""
    slow = script(w, "slow", f'sleep 1; exec {STOCK} "$@"')
    names = ["other.vdi"] + ["clean.qcow2"] * 400
    equal([one["filename"] for one in w.lines("--jobs", "2", *names, env={**slow, **NO_LEAK_CHECK})], names)


@case("many")
def each_byte_is_read_once(w):
    """a plain check reads no more than the metadata, each byte once, and 64 KiB (probing, and the start of the file)"""
    w.stock("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", "big.qcow2", "16G")
    w.stock("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata,cluster_size=4k", "small.qcow2", "1G")
    for name in "big.qcow2", "small.qcow2":
        w.stock("snapshot", "-c", "one", name)
        w.stock("snapshot", "-c", "two", name)
        for options in ["--output=json"], ["--output=json", "-m", "1"]:
            done = w.check("--debug-stats", *options, name)
            read = int(re.search(r"^debug-stats: bytes-read (\d+) ", done.stderr, re.M)[1])
            bound = sum(size for _, size in places(json.loads(done.stdout)["viscera"])) + (64 << 10)
            assert read <= bound, f"{name}: {read} bytes read, {bound} expected at most"
            assert read > bound // 2, f"{name}: {read} bytes read, of {bound}"


@case("many")
def metadata_is_read_three_times_by_a_repair(w):
    """where all counts are 2, a repair reads the metadata for the plan, with it, and in the end; a block to change it"""
    w.stock("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", "high.qcow2", "4G")
    viscera = json.loads(w.check("--output=json", "high.qcow2").stdout)["viscera"]
    blocks = viscera["refcount-table"]["refcount-blocks"]
    with open(w.scratch / "high.qcow2", "r+b") as image:
        for block in blocks:
            image.seek(block["offset"])
            counts = image.read(block["size"])
            image.seek(block["offset"])
            image.write(counts.replace(b"\0\1", b"\0\2"))
    done = w.check("-r", "all", "-q", "--debug-stats", "high.qcow2")
    read = int(re.search(r"^debug-stats: bytes-read (\d+) ", done.stderr, re.M)[1])
    bound = 3 * sum(size for _, size in places(viscera)) + sum(block["size"] for block in blocks) + (64 << 10)
    equal((done.returncode, w.check("-q", "high.qcow2").returncode), (0, 0))
    assert read <= bound, f"{read} bytes read, {bound} expected at most"


@case("threads")
def every_reader_gives_the_same(w):
    """with nothing of the file in memory, each way of reading is used when asked for, and all give the same result"""
    w.stock("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", "cold.qcow2", "64G")
    results = {}
    for reader in "io_uring", "threads", "inline", "auto":
        forget(w.scratch / "cold.qcow2")
        done = w.check("--debug-stats", "--output=json", f"--debug-reader={reader}", "-m", "2", "cold.qcow2")
        equal(done.returncode, 0)
        used = re.search(r" reader (\w+) ", done.stderr)[1]
        assert reader == "auto" or used in (reader, "cache"), f"{reader} wanted, {used} used"
        results[reader] = done.stdout
    equal(len(set(results.values())), 1)


@case("threads")
def reads_past_the_page_cache_are_in_flight(w):
    """with -T none reads go through io_uring, of clusters smaller than a block of the disk too, and find the same"""
    for size, cluster_size in ("64G", "64k"), ("64M", "512"):
        w.stock("create", "-q", "-f", "qcow2", "-o", f"preallocation=metadata,cluster_size={cluster_size}",
                "direct.qcow2", size)
        expected = w.check("--output=json", "direct.qcow2")
        done = w.check("-T", "none", "--debug-stats", "--output=json", "-m", "2", "direct.qcow2")
        if "does not support O_DIRECT" in done.stderr:
            raise Skip("no O_DIRECT here")
        equal((done.returncode, done.stdout), (0, expected.stdout))
        equal(re.search(r" reader (\w+) ", done.stderr)[1], "io_uring")
        (w.scratch / "direct.qcow2").unlink()


@case("threads")
def ring_that_breaks(w):
    """where io_uring fails at the first request, or later, for ever or for a while, the check goes on without it"""
    if not shutil.which("strace"):
        raise Skip("no strace")
    w.stock("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", "cold.qcow2", "64G")
    expected = w.check("--output=json", "cold.qcow2").stdout
    for failure in "EBADF", "EBADF:when=3+", "EAGAIN:when=1..9", "EAGAIN", "EINTR:when=1..5":
        forget(w.scratch / "cold.qcow2")
        done = w.check("--output=json", "--debug-reader=io_uring", "-m", "2", "cold.qcow2", env=NO_LEAK_CHECK,
                       under=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=io_uring_enter", "-e",
                              f"inject=io_uring_enter:error={failure}"])
        equal((failure, done.returncode, done.stdout), (failure, 0, expected))


@case("threads")
def any_number_of_threads_gives_the_same(w):
    """a broken image gets the same result and messages, byte for byte, from any number of threads and the stock tool"""
    w.stock("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", "wide.qcow2", "64G")
    viscera = json.loads(w.check("--output=json", "wide.qcow2").stdout)["viscera"]
    tables = [table["offset"] for table in viscera["active-l1"]["l2-list"]]
    blocks = [block["offset"] for block in viscera["refcount-table"]["refcount-blocks"]]
    chance = random.Random(7)
    with open(w.scratch / "wide.qcow2", "r+b") as image:
        for _ in range(3000):
            image.seek(chance.choice(tables) + chance.randrange(65536))
            image.write(chance.randbytes(1))
        for _ in range(300):
            image.seek(chance.choice(blocks) + chance.randrange(65536))
            image.write(chance.randbytes(1))
    stock = subprocess.run(["/usr/bin/qemu-img", "check", "wide.qcow2"], cwd=w.scratch, capture_output=True, text=True)
    for threads in 1, 2, 3, 16:
        for _ in range(3):
            done = w.check("-m", str(threads), "wide.qcow2")
            verdict, judgement, _ = done.stdout.partition("Judgement: ")
            equal((done.returncode, verdict, judgement != ""), (stock.returncode, stock.stdout, True))
            assert done.stderr == stock.stderr, f"messages of {threads} threads differ from the stock tool's"


@case("threads")
def extras_do_not_depend_on_threads(w):
    """findings, space and report, which are made side by side, are the same from one thread and from several"""
    w.stock("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", "wide.qcow2", "16G")
    tables = json.loads(w.check("--output=json", "wide.qcow2").stdout)["viscera"]["active-l1"]["l2-list"]
    with open(w.scratch / "wide.qcow2", "r+b") as image:
        for table in tables[::2]:  # half of the clusters are leaked then, and their table is empty
            image.seek(table["offset"])
            image.write(bytes(65536))
        image.seek(tables[1]["offset"])
        image.write(bytes(8) * 5)
    results = set()
    for threads in "1", "2", "16":
        # ThreadSanitizer does not see how GLib hands memory from one thread to another
        done = w.check("-m", threads, "--output=json", "--findings", "--space", "--report=report.html", "wide.qcow2",
                       env={"G_SLICE": "always-malloc"})
        page = (w.scratch / "report.html").read_text()
        results.add((done.returncode, done.stdout, re.sub(r'"created": \d+', "", page)))
    equal(len(results), 1)
    equal(results.pop()[0], 3)


def forget(name):
    """Lets the kernel drop what it has of the file in memory; it may keep it, on some file systems."""
    with open(name, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def places(viscera):
    """Every place of the file that the viscera name, once."""
    found, left = set(), [viscera]
    while left:
        value = left.pop()
        if isinstance(value, dict) and value.keys() == {"offset", "size"}:
            found.add((value["offset"], value["size"]))
        elif isinstance(value, (dict, list)):
            left.extend(value.values() if isinstance(value, dict) else value)
    return found


# ---- progress ----


@contextlib.contextmanager
def slowly(w, *arguments, terminal=None, pass_fds=(), delay=0.4):
    """A check each of whose reads outside of io_uring takes @delay seconds: it takes twice as long or more. Yields the
    process, and the file descriptor that its stderr can be read from: a terminal of so many columns, or a pipe."""
    if not shutil.which("strace"):
        raise Skip("no strace")
    reader, writer = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 25, terminal, 0, 0))
    environment = {key: value for key, value in {**os.environ, **NO_LEAK_CHECK}.items() if key != "COLUMNS"}
    process = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pread64", "-e",
                                f"inject=pread64:delay_enter={round(delay * 1000000)}", w.program, "check", *arguments],
                               cwd=w.scratch, stdout=subprocess.PIPE, stderr=writer, env=environment,
                               pass_fds=pass_fds)
    os.close(writer)
    try:
        yield process, reader
    finally:
        process.wait(PATIENCE)
        process.stdout.close()
        os.close(reader)


def read_to_end(fd):
    data = b""
    with contextlib.suppress(OSError):  # a terminal whose other end is closed says EIO
        while piece := os.read(fd, 65536):
            data += piece
    return data.decode()


def screen(text):
    """What a terminal shows after @text: only what the program uses is understood."""
    lines, column = [""], 0
    for token in re.findall(r"\033\[K|[\r\n]|[^\033\r\n]", text):
        if token == "\n":
            lines.append("")
            column = 0
        elif token == "\r":
            column = 0
        elif token == "\033[K":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column].ljust(column) + token + lines[-1][column + 1:]
            column += 1
    return lines


@case("progress")
def a_bar_on_a_terminal(w):
    """-p draws a bar that fits the terminal, and takes it away"""
    for columns in 40, 97:
        with slowly(w, "-p", "clean.qcow2", terminal=columns) as (_, terminal):
            text = read_to_end(terminal)
        bars = re.findall(r"\r\033\[K([^\r]+)", text)
        assert bars, text
        for bar in bars:
            assert re.match(r"(opening|refcounts|tables|comparing) .*\d\.\d%", bar), bar
            assert len(bar) < columns, bar
        equal(screen(text), [""])


@case("progress")
def messages_and_bar_do_not_mix(w):
    """messages on the same terminal are whole lines, with no rest of the bar"""
    with slowly(w, "-p", "corrupt.qcow2", "-q", terminal=80) as (_, terminal):
        text = read_to_end(terminal)
    assert "\r\033[K" in text, text
    equal(screen(text), w.check("corrupt.qcow2").stderr.split("\n"))


@case("progress")
def a_bar_for_several_images(w):
    """-p with several images counts them, and leaves only the messages on the terminal"""
    with slowly(w, "-p", "--jobs=1", "-q", "leaky.qcow2", "corrupt.qcow2", terminal=80) as (_, terminal):
        text = read_to_end(terminal)
    assert "0/2 images" in text and "1/2 images" in text, text
    equal(screen(text), w.check("leaky.qcow2", "corrupt.qcow2").stderr.split("\n"))


@case("progress")
def nothing_on_a_pipe(w):
    """-p prints nothing where stderr is no terminal"""
    with slowly(w, "-p", "clean.qcow2") as (_, pipe):
        equal(read_to_end(pipe), "")


def progress_lines(w, *names):
    reader, writer = os.pipe()
    with slowly(w, f"--progress-fd={writer}", *names, pass_fds=[writer]):
        os.close(writer)
        text = read_to_end(reader)
    os.close(reader)
    return [json.loads(line) for line in text.splitlines()]


@case("progress")
def lines_on_a_file_descriptor(w):
    """--progress-fd: JSON Lines with the members of the schema, several a second, the last one at 100 percent"""
    for names in ["clean.qcow2"], ["clean.qcow2", "leaky.qcow2"]:
        lines = progress_lines(w, *names)
        assert len(lines) >= 3, lines
        for line in lines:
            required = {"images", "images-done", "bytes-done", "bytes-known", "percent", "rate", "in-flight-limit", "elapsed"}
            assert required <= line.keys() <= required | {"phase", "remaining"}, line
        equal((lines[-1]["images-done"], lines[-1]["percent"]), (len(names), 100))
        assert "phase" not in lines[-1], lines[-1]
        assert lines[-1]["bytes-done"] == lines[-1]["bytes-known"] > 0, lines[-1]
        equal(sorted(lines, key=lambda line: line["elapsed"]), lines)
        done = [line["images-done"] for line in lines]
        equal((sorted(done), done[0]), (done, 0))


@case("progress")
def a_reader_who_does_not_read(w):
    """a --progress-fd that nobody reads does not hold up the check"""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    fcntl.fcntl(writer, fcntl.F_SETFL, 0)
    done = w.check(f"--progress-fd={writer}", "clean.qcow2", pass_fds=[writer])
    equal(done.returncode, 0)
    os.close(writer)
    os.close(reader)


@case("progress")
def a_reader_who_has_gone(w):
    """a --progress-fd whose reader has gone changes nothing about the check"""
    for names in ["clean.qcow2"], ["clean.qcow2", "leaky.qcow2"]:
        reader, writer = os.pipe()
        os.close(reader)
        done = w.check(f"--progress-fd={writer}", *names, pass_fds=[writer])
        os.close(writer)
        equal((done.returncode, done.stdout), (w.check(*names).returncode, w.check(*names).stdout))


def child_of(process):
    """The program under strace, once it catches SIGUSR1; None if it has ended."""
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                status = pathlib.Path(f"/proc/{child}/status").read_text()
                caught = re.search(r"^SigCgt:\s*(\w+)", status, re.M)[1]
                if int(caught, 16) & 1 << (signal.SIGUSR1 - 1):
                    return int(child)
        time.sleep(0.01)
    return None


def answers_to_a_signal(w, delay, *names):
    """The exit status of a check that gets SIGUSR1, and its lines of progress; none where it ended before the signal came."""
    with slowly(w, "-q", *names, delay=delay) as (process, pipe):
        if child := child_of(process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGUSR1)
        lines = read_to_end(pipe).splitlines()
    return process.returncode, [line for line in lines if re.fullmatch(r"    \(\d{1,3}\.\d\d/100%\)", line)]


@case("progress")
def an_answer_to_a_signal(w):
    """SIGUSR1 prints a line as the stock tool does while it copies, and the check goes on; also for several images"""
    for names, status in (["clean.qcow2"], 0), (["clean.qcow2", "leaky.qcow2"], 3):
        for delay in 0.4, 4, 40:  # on a busy machine the signal may come too late
            found, answers = answers_to_a_signal(w, delay, *names)
            equal(found, status)
            if answers:
                break
        equal(len(answers), 1)


@case("progress")
def no_thread_unless_asked(w):
    """a check with one worker starts no thread; one with -p on no terminal neither"""
    if not shutil.which("strace"):
        raise Skip("no strace")
    strace = ["strace", "-f", "-qq", "-o", "trace", "-e", "trace=clone,clone3,fork,vfork"]
    w.check("-m1", "-p", "clean.qcow2", under=strace, env=NO_LEAK_CHECK)
    equal((w.scratch / "trace").read_text(), "")


# ---- the runner ----


def run(workshop, function):
    """Returns ok, and what to add to the line or to print below it."""
    try:
        function(workshop)
    except Skip as reason:
        return True, f" # SKIP {reason}"
    except (AssertionError, subprocess.SubprocessError, OSError, KeyError, TypeError, ValueError) as fault:
        return False, f"{type(fault).__name__}: {fault}"
    return True, ""


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    chosen = [(name, function) for name, (group, function) in CASES.items()
              if not sys.argv[2:] or (sys.argv[2] == group and (not sys.argv[3:] or name in sys.argv[3:]))]
    failed = 0
    print(f"1..{len(chosen)}")
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(program, pathlib.Path(scratch))
        for number, (name, function) in enumerate(chosen, 1):
            ok, note = run(workshop, function)
            failed += not ok
            print(f"{'ok' if ok else 'not ok'} {number} - {name}: {function.__doc__}".replace("\n", " ") + note * ok)
            if not ok:
                print("".join(f"# {line}\n" for line in note.splitlines()), end="", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
