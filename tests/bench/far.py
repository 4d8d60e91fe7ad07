# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of images that are far away: NBD and HTTP.

The servers are on this machine; what makes them slow is real waiting. Each row names the limits of its server, since
no client is faster than those.
"""

import collections
import contextlib
import os
import socket
import statistics
import subprocess
import time

from bench import Unmeasured, need
from cold import Floor, check_time, in_turn, ratio, spread

IMAGE = "--size=1T"
ROUND_TRIPS = 4
NBDKIT_THREADS = 16  # its default
HTTP_DELAY = 0.150
COLUMNS = ["source", "limits", "ours", "without delay", "bandwidth + 4 round trips", "of that"]

Nbd = collections.namedtuple("Nbd", "name delay threads")
NBD = [
    Nbd("NBD, 1 ms", 0.001, NBDKIT_THREADS),
    Nbd("NBD, 20 ms", 0.020, NBDKIT_THREADS),
    Nbd("NBD, 20 ms, 512 at once", 0.020, 512),
    Nbd("NBD, 150 ms, 512 at once", 0.150, 512),
]


def wait_for(server, ready):
    """Until the server answers."""
    while not ready():
        if server.poll() is not None:
            raise Unmeasured(f"{server.args[0]} ends with {server.returncode}")
        time.sleep(0.01)


@contextlib.contextmanager
def nbd_server(bench, path, delay, threads):
    """The URI of a server for the image that takes so many seconds for each request, so many at a time."""
    need("nbdkit")
    address = bench.directory / "nbd.socket"
    filters = ["--filter=delay"] if delay else []
    arguments = [f"rdelay={int(delay * 1000)}ms"] if delay else []
    with subprocess.Popen(["nbdkit", "--foreground", "--readonly", "--threads", str(threads), "--unix", str(address),
                           *filters, "file", path, *arguments]) as server:
        try:
            wait_for(server, address.exists)
            yield f"nbd+unix:///?socket={address}"
        finally:
            server.terminate()
            server.wait()
            address.unlink(missing_ok=True)


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


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def http_server(bench, delay, http2):
    """The URL of a server for what is in the folder of the images."""
    need("nginx", "openssl")
    folder = bench.directory
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    make_certificate(folder)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, delay=delay, http2="http2" if http2 else ""),
                      encoding="utf-8")
    before = os.environ.get("CURL_CA_BUNDLE", "")
    os.environ["CURL_CA_BUNDLE"] = str(folder / "cert.pem")
    with subprocess.Popen(["nginx", "-p", "/usr/share/nginx", "-c", str(config)],
                          stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(server, lambda: answers(port))
            yield f"https://127.0.0.1:{port}"
        finally:
            os.environ["CURL_CA_BUNDLE"] = before
            server.terminate()
            server.wait()


def row(name, limits, ours, plain, delay):
    """@plain: the times of reading without a delay, so that they stand for the bandwidth."""
    marks = [seconds + ROUND_TRIPS * delay for seconds in plain]
    return {"source": name, "limits": limits, "ours": spread(ours), "without delay": spread(plain),
            "bandwidth + 4 round trips": f"{statistics.median(marks):.3f} s", "of that": ratio(ours, marks)}


def measure_nbd(bench, nbd):
    with bench.image(IMAGE) as path:
        floor = Floor(bench, path)
        with nbd_server(bench, path, nbd.delay, nbd.threads) as slow:
            ours, = in_turn(lambda: check_time(bench, slow))
        with nbd_server(bench, path, 0, nbd.threads) as fast:
            plain, = in_turn(lambda: floor.run("floor-nbd", fast, nbd.threads))
    return row(nbd.name, f"{nbd.threads} at once for each connection", ours, plain, nbd.delay)


def measure_http(bench, version, http2):
    with bench.image(IMAGE) as path, http_server(bench, HTTP_DELAY, http2) as url:
        name = os.path.basename(path)
        ours, plain = in_turn(lambda: check_time(bench, f"{url}/{name}"),
                              lambda: check_time(bench, f"{url}/fast/{name}"))
    limits = "128 streams for each connection" if http2 else "4,096 connections"
    return row(f"{version} over TLS, {HTTP_DELAY * 1000:.0f} ms", limits, ours, plain, HTTP_DELAY)


def measure(bench):
    return bench.rows([*((f"far: {nbd.name}", lambda nbd=nbd: measure_nbd(bench, nbd)) for nbd in NBD),
                       *((f"far: {version}", lambda v=version, h=http2: measure_http(bench, v, h))
                         for version, http2 in (("HTTP/2", True), ("HTTP/1.1", False)))])
