# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures checks of images that are not in memory: on a cold disk, and far away.

The servers are on this machine; what makes them slow is real waiting. Each of their tables names the limits of its
server, since no client is faster than those.
"""

import collections
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import time

from model_disk import ModelDisk

DROP_CACHES = pathlib.Path("/proc/sys/vm/drop_caches")
RUNS = 5
IN_FLIGHT = 32  # of the floor of a cold disk
ROUND_TRIPS = 4
MIB = 1 << 20

COLD_IMAGES = [
    ("1 TiB, tables in order", "--size=1T"),
    ("1 TiB, tables at random", "--size=1T --random"),
    ("1 TiB, 20 snapshots with shared tables", "--size=1T --shared-snapshots=20"),
    ("8 GiB on disk in full, 4 KiB clusters", "--size=8G --cluster-size=4K --full"),
]
FAR_IMAGE = "--size=1T"
DISK_IMAGE = "--size=256G"

Far = collections.namedtuple("Far", "name delay threads")
FAR = [
    Far("NBD, 1 ms", 0.001, 16),
    Far("NBD, 20 ms", 0.020, 16),
    Far("NBD, 20 ms, 512 at once", 0.020, 512),
    Far("NBD, 150 ms, 512 at once", 0.150, 512),
]


def spread(seconds):
    return f"{statistics.median(seconds):.3f} [{min(seconds):.3f} - {max(seconds):.3f}] s"


def in_turn(*measures):
    """The seconds of each of the functions, called in turn."""
    runs = [[] for _ in measures]
    for _ in range(RUNS):
        for measure, done in zip(measures, runs):
            done.append(measure())
    return runs


def ratio(ours, others):
    """Of medians, with the range that the single pairs of runs give."""
    pairs = [a / b for a, b in zip(ours, others)]
    return f"{statistics.median(ours) / statistics.median(others):.2f} [{min(pairs):.2f} - {max(pairs):.2f}]"


def check_time(bench, target, *options):
    """The seconds of our check of an image that is clean."""
    run = bench.run(bench.ours, target, *options)
    if run.status != 0:
        sys.exit(f"{target}: a check ends with {run.status}: {bench.output(bench.ours, 'err').read_text()[-500:]}")
    return run.seconds


class Floor:
    """The plain programs that read the same ranges."""

    def __init__(self, bench, places):
        self.bench = bench
        self.places = places
        self.lines = "".join(f"{place['offset']} {place['size']}\n" for place in places).encode()
        self.last = {}

    def run(self, name, target, in_flight):
        done = subprocess.run([self.bench.tool(name), target, str(in_flight)], input=self.lines, check=True,
                              stdout=subprocess.PIPE)
        self.last = json.loads(done.stdout)
        return self.last["seconds"]


def ranges_of(bench, path, allocations):
    bench.run(bench.ours, path)
    return Floor(bench, list(allocations(bench.members(bench.ours)["viscera"])))


# ---- a cold disk ----

def why_not_cold():
    """Why nothing cold can be measured here; None: it can."""
    if os.geteuid() != 0 or not os.access(DROP_CACHES, os.W_OK):
        return "only root can drop the page cache"
    return None


def drop(path):
    """Forgets what is cached of the file, and everything else."""
    os.sync()
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    DROP_CACHES.write_text("3\n", encoding="ascii")


def measure_cold(bench, allocations, stock_runs=True):
    for name, options in COLD_IMAGES:
        print(f"cold: {name} ...", file=sys.stderr, flush=True)
        with bench.image(options) as path:
            floor = ranges_of(bench, path, allocations)

            def cold(measure):
                drop(path)
                return measure()

            for program in (bench.ours, bench.stock):
                bench.run(program, path)  # the programs and their libraries come from memory

            ours, direct, bottom = in_turn(
                lambda: cold(lambda: check_time(bench, path)),
                lambda: cold(lambda: check_time(bench, path, "-T", "none")),
                lambda: cold(lambda: floor.run("floor-direct", path, IN_FLIGHT)))
            stock = [cold(lambda: bench.run(bench.stock, path).seconds)] if stock_runs else []
            yield {"image": name, "metadata MiB": f"{floor.last['bytes'] / MIB:.0f}",
                   "pieces": str(floor.last["reads"]), "ours": spread(ours), "-T none": spread(direct),
                   "floor": spread(bottom), "of floor": ratio(ours, bottom), "-T none of floor": ratio(direct, bottom),
                   "stock": f"{stock[0]:.2f} s" if stock else "",
                   "ratio": f"{stock[0] / statistics.median(ours):.1f}" if stock else ""}


# ---- far away ----

@contextlib.contextmanager
def nbd_server(bench, path, delay, threads):
    address = bench.directory / "far.socket"
    filters = ["--filter=delay"] if delay else []
    arguments = [f"rdelay={int(delay * 1000)}ms"] if delay else []
    server = subprocess.Popen(["nbdkit", "--foreground", "--readonly", "--threads", str(threads), "--unix",
                               str(address), *filters, "file", path, *arguments])
    try:
        while not address.exists() and server.poll() is None:
            time.sleep(0.01)
        yield f"nbd+unix:///?socket={address}"
    finally:
        server.terminate()
        server.wait()
        address.unlink(missing_ok=True)


def far_row(name, limits, ours, plain, delay):
    """@plain: the times of reading without a delay, so that they stand for the bandwidth."""
    marks = [seconds + ROUND_TRIPS * delay for seconds in plain]
    return {"source": name, "limits": limits, "ours": spread(ours), "without delay": spread(plain),
            "bandwidth + 4 round trips": f"{statistics.median(marks):.3f} s", "of that": ratio(ours, marks)}


def measure_nbd(bench, path, floor):
    for far in FAR:
        print(f"far: {far.name} ...", file=sys.stderr, flush=True)
        with contextlib.ExitStack() as stack:
            slow = stack.enter_context(nbd_server(bench, path, far.delay, far.threads))
            ours, = in_turn(lambda: check_time(bench, slow))
        with nbd_server(bench, path, 0, far.threads) as fast:
            plain, = in_turn(lambda: floor.run("floor-nbd", fast, far.threads))
        yield far_row(far.name, f"{far.threads} at once for each connection", ours, plain, far.delay)


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1; user root;
load_module modules/ngx_http_echo_module.so;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; keepalive_requests 1000000; sendfile on;
    http2_max_concurrent_streams 128;
    server {{
        listen 127.0.0.1:{port} ssl {http2};
        ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
        location / {{ echo_sleep {delay}; echo_exec @file; }}
        location @file {{ root {folder}; }}
        location /fast/ {{ alias {folder}/; }}
    }}
}}
"""


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                    "key.pem", "-out", "cert.pem"], check=True, cwd=folder, capture_output=True)


@contextlib.contextmanager
def http_server(bench, delay, http2):
    folder = bench.directory
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    make_certificate(folder)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, delay=delay, http2="http2" if http2 else ""),
                      encoding="utf-8")
    server = subprocess.Popen(["nginx", "-p", "/usr/share/nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    before = os.environ.get("CURL_CA_BUNDLE", "")
    os.environ["CURL_CA_BUNDLE"] = str(folder / "cert.pem")
    try:
        while server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield f"https://127.0.0.1:{port}"
    finally:
        os.environ["CURL_CA_BUNDLE"] = before
        server.terminate()
        server.wait()


def measure_http(bench, path):
    delay = 0.150
    for version, http2 in (("HTTP/2", True), ("HTTP/1.1", False)):
        print(f"far: {version} ...", file=sys.stderr, flush=True)
        with http_server(bench, delay, http2) as url:
            name = os.path.basename(path)
            ours, plain = in_turn(lambda: check_time(bench, f"{url}/{name}"),
                                  lambda: check_time(bench, f"{url}/fast/{name}"))
        limits = "128 streams for each connection" if http2 else "4,096 connections"
        yield far_row(f"{version} over TLS, 150 ms", limits, ours, plain, delay)


def measure_far(bench, allocations):
    for command in ("nbdkit", "nginx", "openssl"):
        if not shutil.which(command):
            print(f"far: left out, {command} is not installed", file=sys.stderr)
            return
    with bench.image(FAR_IMAGE) as path:
        floor = ranges_of(bench, path, allocations)
        yield from measure_nbd(bench, path, floor)
        yield from measure_http(bench, path)


# ---- a disk that seeks ----

def measure_disk(bench, allocations):
    """By the clock of the model, which no other work on the machine changes."""
    print("a disk that seeks ...", file=sys.stderr, flush=True)
    with bench.image(DISK_IMAGE) as path:
        floor = ranges_of(bench, path, allocations)
        places = sorted((place["offset"], place["size"]) for place in floor.places)
        with ModelDisk(path, bench.directory / "disk.socket") as disk:
            bench.run(bench.ours, disk.uri)
            used = disk.seconds
            best = disk.best(places)
    yield {"image": DISK_IMAGE, "ours": f"{used:.2f} s", "best": f"{best:.2f} s", "of best": f"{used / best:.2f}",
           "seeks": str(disk.seeks)}
