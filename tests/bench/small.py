# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of small images: all in one run, in runs of their own, and by the stock tool."""

import json
import os
import re
import shutil
import subprocess

from bench import Unmeasured, need, short

NUMBER = 1000
TRACED = 200  # images in the runs that are traced, which are slow; and in a quick run
RUNS = 3
WANTED = 25  # times the images a second of the stock tool
COLUMNS = ["run", "seconds", "images a second", "ratio", "processes", "libraries", "system calls", "JSON bytes"]
LOOP = 'program=$1; shift; for image; do "$program" check --output=json "$image" || exit 1; done'


def make_images(bench, number):
    """The names, in a folder of their own."""
    folder = bench.directory / "small"
    folder.mkdir()
    names = [str(folder / f"{i:04}.qcow2") for i in range(number)]
    subprocess.run([bench.tool("make-image"), "--size=64M", names[0]], check=True)
    for name in names[1:]:
        subprocess.run(["cp", "--sparse=always", names[0], name], check=True)
    os.sync()
    return folder, names


def ways(bench):
    """How the images can be checked: (what the row is called, the command without their names)."""
    return [("ours, one run", [bench.ours, "check", "--output=json"]),
            ("ours, a run for each", ["sh", "-c", LOOP, "sh", bench.ours]),
            ("stock, a run for each", ["sh", "-c", LOOP, "sh", bench.stock])]


def per_image(bench, command, names):
    """Processes, libraries loaded and system calls of the command, for each image."""
    try:
        need("strace")
    except Unmeasured:
        return {"processes": "?", "libraries": "?", "system calls": "?"}
    trace = bench.directory / "trace"
    subprocess.run(["strace", "-f", "-qq", "-o", str(trace), *command, *names], check=True, stdout=subprocess.DEVNULL)
    lines = trace.read_text(encoding="utf-8", errors="replace").split("\n")
    calls = [line for line in lines if re.match(r"\d+ +\w+\(", line)]
    counts = {"processes": len({line.split()[0] for line in calls}),
              "libraries": sum(1 for line in calls if re.search(r'open(at)?\(.*\.so[.\d]*".*= \d', line)),
              "system calls": len(calls)}
    trace.unlink()
    return {name: f"{count / len(names):.2f}" for name, count in counts.items()}


def output_size(command, names):
    """Bytes for each image, all of which must be clean."""
    done = subprocess.run([*command, *names], check=True, stdout=subprocess.PIPE)
    values = [json.loads(part) for part in re.split(rb"(?<=\n)(?=\{)", done.stdout)]
    if len(values) != len(names) or any("corruptions" in value or "leaks" in value for value in values):
        raise Unmeasured("the images are not all clean")
    return f"{len(done.stdout) / len(names):.0f}"


def measure(bench):
    number = TRACED if bench.quick else NUMBER
    rows = []

    def measured():
        folder, names = make_images(bench, number)
        try:
            some = names[:TRACED]
            # the three take turns, so that other work on the machine is shared
            seconds = {name: [] for name, _ in ways(bench)}
            for _ in range(RUNS):
                for name, command in ways(bench):
                    seconds[name].append(bench.timed(*command, *names).seconds)
            best = {name: sorted(times)[RUNS // 2] for name, times in seconds.items()}
            stock = best["stock, a run for each"]
            for name, command in ways(bench):
                rows.append({"run": name, "seconds": f"{short(best[name])} [{short(min(seconds[name]))} - "
                                                     f"{short(max(seconds[name]))}] {RUNS}",
                             "images a second": f"{number / best[name]:,.0f}", "ratio": f"{stock / best[name]:.1f}",
                             **per_image(bench, command, some), "JSON bytes": output_size(command, some)})
        finally:
            shutil.rmtree(folder)

    bench.rows([(f"{number:,} small images", measured)])
    return rows
