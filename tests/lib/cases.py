# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of a test script: functions that fail by assertion, their docstring being the sentence of the test."""

import contextlib
import fcntl
import importlib.machinery
import importlib.util
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import traceback

CASES = []


def case(function):
    CASES.append(function)
    return function


def run_cases():
    """Runs them all in their order. Prints the sentence of each; what failed besides, and exits with 1 then."""
    failed = False
    for function in CASES:
        print(" ".join(function.__doc__.split()))
        try:
            function()
        except (AssertionError, subprocess.CalledProcessError, KeyError) as error:
            traceback.print_exc(file=sys.stdout)
            print(getattr(error, "stderr", None) or "")
            failed = True
    sys.exit(1 if failed else 0)


# Without meson's filling of new and freed memory: it is for the program under test, and slows the stock tools.
UNFILLED = {"MALLOC_PERTURB_": "0"}


def _program(variable, *arguments, status=0):
    environment = {**os.environ, **({} if variable == "QEMU_IMG_PROG" else UNFILLED)}
    done = subprocess.run([os.environ[variable], *map(str, arguments)], stdout=subprocess.PIPE, env=environment,
                          stderr=subprocess.PIPE, encoding="utf-8", errors="surrogateescape", check=False)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done


def stock(*arguments):
    """The standard output of the stock qemu-img."""
    return _program("STOCK_QEMU_IMG", *arguments).stdout


def qemu_io(image, *commands, options=()):
    _program("QEMU_IO", *options, *(word for command in commands for word in ("-c", command)), image)


def check(*arguments, status=0):
    """What a check by the program under test printed on standard output."""
    return _program("QEMU_IMG_PROG", "check", *arguments, status=status).stdout


def check_fails(*arguments):
    """The message of a check that ends with status 1."""
    return _program("QEMU_IMG_PROG", "check", *arguments, status=1).stderr


def check_json(*arguments, status=0):
    return json.loads(check("--output=json", "--no-dump-meta", *arguments, status=status))


def terminal(*arguments, columns=80, status=None, **environment):
    """What a check prints to a terminal, stdout and stderr."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    wanted = {**os.environ, "TERM": "dumb", **environment}
    wanted.pop("COLUMNS", None)
    with subprocess.Popen([os.environ["QEMU_IMG_PROG"], "check", *arguments], stdout=other, stderr=other,
                          stdin=subprocess.DEVNULL, env=wanted) as process:
        os.close(other)
        text = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # how a terminal ends
                part = b""
            if not part:
                break
            text += part
        process.wait()
    os.close(main)
    assert status is None or process.returncode == status, (arguments, process.returncode, text)
    return text.decode().replace("\r\n", "\n")


def _load_img():
    """The program tests/lib/img, as a module: it is run often."""
    loader = importlib.machinery.SourceFileLoader("img", os.path.join(os.environ["TEST_LIB"], "img"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("img", loader))
    loader.exec_module(module)
    return module


_IMG = []  # the module, once it was wanted


def run_img(*arguments):
    """What the program tests/lib/img prints."""
    if not _IMG:
        _IMG.append(_load_img())
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert _IMG[0].main() == 0, arguments
    return out.getvalue()
