# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a qemu-img's check, and keeps what it said."""

import json
import os
import subprocess
from dataclasses import dataclass, replace

TIME_LIMIT = 600  # seconds until a program is taken to hang
# Ours must not get its verdict from the stock tool behind our back.
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "QEMU_IMG_FALLBACK": "/nonexistent/qemu-img"}


@dataclass
class Report:
    status: int  # exit status; negative = killed by that signal; None = ran into the time limit
    out: bytes
    err: bytes

    @property
    def lines(self):
        """stderr by lines, each with its newline if it has one."""
        return self.err.decode("utf-8", "surrogateescape").splitlines(keepends=True)

    @property
    def text(self):
        return self.out.decode("utf-8", "surrogateescape")

    def members(self):
        """The JSON object; None when there is none, and an error text when it is no JSON."""
        if not self.out:
            return None
        try:
            return json.loads(self.out)
        except ValueError as error:
            return {"not JSON": str(error)}


@dataclass
class Verdict:
    """A check of one image, in human text and in JSON."""

    human: Report
    json: Report

    @property
    def status(self):
        return self.human.status

    @property
    def err(self):
        return self.human.err.decode("utf-8", "surrogateescape")

    def members(self):
        return self.json.members()


def run(program, arguments, directory, fallback=None):
    environment = {**ENVIRONMENT, "QEMU_IMG_FALLBACK": fallback} if fallback else ENVIRONMENT
    try:
        done = subprocess.run([program, *arguments], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired as late:
        return Report(None, late.stdout or b"", late.stderr or b"")
    return Report(done.returncode, done.stdout, done.stderr)


def check(program, directory, name="t.qcow2", options=(), fallback=None):
    human = run(program, ["check", *options, name], directory, fallback)
    if human.status is None:
        return Verdict(human, human)
    return Verdict(human, run(program, ["check", "--output=json", *options, name], directory, fallback))


def check_without(program, directory, name="t.qcow2", backing=True, data_file=True, secret=None):
    """A check that is told not to open the backing file or the data file, or that is given a key."""
    node = {"driver": "qcow2", "file": {"driver": "file", "filename": name}}
    if not backing:
        node["backing"] = None
    if not data_file:
        node["data-file"] = {"driver": "null-co", "size": 1 << 30}
    if secret:
        node["encrypt"] = {"format": secret, "key-secret": "s"}
    spec = "json:" + json.dumps(node)
    options = ["--object", "secret,id=s,data=x"] if secret else []
    verdict = check(program, directory, spec, options)
    verdict.human = _renamed(verdict.human, spec, name)
    verdict.json = _renamed(verdict.json, spec, name)
    return verdict


def _renamed(report, spec, name):
    quoted = json.dumps(spec).encode()
    return replace(report, out=report.out.replace(quoted, json.dumps(name).encode()),
                   err=report.err.replace(spec.encode(), name.encode()))
