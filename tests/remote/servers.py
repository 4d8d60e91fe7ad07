# SPDX-License-Identifier: GPL-2.0-or-later
"""The servers of the tests. Each is a context manager; inside it takes connections, afterwards it is gone.

None is waited for by time: each has its listening socket before it is started, or says when it listens.
"""

import contextlib
import http.server
import os
import re
import select
import signal
import socket
import subprocess
import threading


@contextlib.contextmanager
def running(command, listener, **variables):
    """A program in the foreground that takes connections from @listener, which is its file descriptor 3.

    The listener is there before the program is, so nobody has to wait for that.
    """
    become = f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ exec "$@"'
    process = subprocess.Popen(["sh", "-c", become, "sh", *map(str, command)], stdin=subprocess.DEVNULL,
                               pass_fds=[listener.fileno()], env={**os.environ, **variables},
                               stderr=subprocess.DEVNULL)
    listener.close()
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def listen_tcp():
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


@contextlib.contextmanager
def nbdkit(folder, *arguments, tcp=False, writable=False):
    """Yields the URI of the export."""
    path = folder / "nbdkit.sock"
    if tcp:
        listener, port = listen_tcp()
        uri = f"nbd://127.0.0.1:{port}"
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        uri = f"nbd+unix:///?socket={path}"
    try:
        with running(["nbdkit", "-f", *([] if writable else ["-r"]), *arguments], listener, LISTEN_FDS="1"):
            yield uri
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def qemu_nbd(folder, image, *arguments, writable=False):
    """Yields the path of the socket."""
    path, pid_file = folder / "qemu-nbd.sock", folder / "qemu-nbd.pid"
    subprocess.run(["qemu-nbd", *([] if writable else ["-r"]), "-t", "-f", "raw", "-k", path, "--fork", "--pid-file",
                    pid_file, *arguments, image], check=True, stdin=subprocess.DEVNULL)
    process = os.pidfd_open(int(pid_file.read_text()))
    try:
        yield path
    finally:
        end = select.poll()
        end.register(process, select.POLLIN)
        signal.pidfd_send_signal(process, signal.SIGKILL)
        end.poll()
        os.close(process)
        path.unlink(missing_ok=True)


class Proxy:
    """Stands between a client and a server on a Unix socket.

    Lets @allowance[n] bytes of the server through on the n-th connection, and the last number for all that follow; then
    does what @then says: "drop" the connection, "close" also the listening socket, or fall "silent". None: all.
    """

    def __init__(self, folder, server, allowance, then):
        self.path = folder / "proxy.sock"
        self.server, self.allowance, self.then = str(server), allowance, then
        self.connections = 0
        self.open = []
        self.stopped = threading.Event()  # an allowance is used up

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.listener.close()
        self.path.unlink()

    def stop(self):
        """Ends all connections, and takes no more."""
        for s in [self.listener, *self.open]:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    @property
    def uri(self):
        return f"nbd+unix:///?socket={self.path}"

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.server)
                self.open += [client, server]
                allowance = self.allowance[min(self.connections, len(self.allowance) - 1)]
                self.connections += 1
                threading.Thread(target=self.forward, args=(client, server, None), daemon=True).start()
                threading.Thread(target=self.forward, args=(server, client, allowance), daemon=True).start()

    def forward(self, source, to, allowance):
        with contextlib.suppress(OSError):
            while allowance is None or allowance > 0:
                data = source.recv(65536 if allowance is None else min(allowance, 65536))
                if not data:
                    break
                to.sendall(data)
                allowance = allowance and allowance - len(data)
        if allowance == 0:
            self.stopped.set()
        if allowance == 0 and self.then == "silent":
            return
        if allowance == 0 and self.then == "close":
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
        for s in (source, to):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)


class Handler(http.server.BaseHTTPRequestHandler):
    """GET of one range of a file; the first folder of the path says what goes wrong."""

    protocol_version = "HTTP/1.1"
    OPENING = 1  # requests with which an image is opened

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        with server.lock:
            server.requests += 1
            number = server.requests
        _, fault, name = (self.path.split("/", 2) + [""])[:3]
        name, _, self.query = name.partition("?")
        path = server.folder / name
        getattr(self, "fault_" + fault.replace("-", "_"))(path, number)

    do_HEAD = None  # as with servers that sign their URLs for GET only

    def range(self, path):
        size = path.stat().st_size
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
        with self.server.lock:
            self.server.ranges.append((first, last))
        return first, min(last, size - 1), size

    def answer(self, path, shift=0, grow=0, short=0, star=False, touch=()):
        first, last, size = self.range(path)
        with open(path, "rb") as f:
            f.seek(first)
            body = bytearray(f.read(last - first + 1))
        for place in touch:
            if first <= place <= last:
                body[place - first] ^= 1
        if first >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            body = b""
        else:
            self.send_response(206)
            total = "*" if star else size + grow
            self.send_header("Content-Range", f"bytes {first + shift}-{last + shift}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) - short])
        self.close_connection = short > 0

    def refuse(self, status, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"sorry")

    def fault_none(self, path, number):
        self.answer(path)

    def fault_status(self, path, number):
        self.refuse(int(path.name))

    def fault_later_status(self, path, number):
        self.answer(path) if number <= self.OPENING else self.refuse(503)

    def fault_later_refused(self, path, number):
        self.answer(path) if number <= self.OPENING else self.refuse(403)

    def fault_no_ranges(self, path, number):
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def fault_wrong_range(self, path, number):
        self.answer(path, shift=512 * (number > self.OPENING))

    def fault_grows(self, path, number):
        self.answer(path, grow=512 * (number > self.OPENING))

    def fault_short(self, path, number):
        self.answer(path, short=number > self.OPENING)

    def fault_short_once(self, path, number):
        self.answer(path, short=number == self.OPENING + 1)

    def fault_touched(self, path, number):
        """A byte of the first cluster that means nothing changes once, after the image was opened."""
        self.answer(path, touch=[60000] if number > self.OPENING else [])

    def fault_no_length(self, path, number):
        self.answer(path, star=True)

    def fault_silent(self, path, number):
        if number > self.OPENING:
            self.server.closing.wait()
        else:
            self.answer(path)

    def fault_moved(self, path, number):
        self.refuse(302, Location="/none/" + path.name)

    def fault_moved_for_some_time(self, path, number):
        self.refuse(302, Location=f"/expires/{path.name}?{number}")

    def fault_expires(self, path, number):
        """Each place that a redirection leads to is good for one request."""
        with self.server.lock:
            expired = self.query in self.server.expired
            self.server.expired.add(self.query)
        self.refuse(403) if expired else self.answer(path)

    def fault_moved_to_file(self, path, number):
        self.refuse(302, Location=f"file://{path}")

    def fault_moved_round(self, path, number):
        self.refuse(302, Location=self.path)

    def fault_together(self, path, number):
        """Answers, after the first requests, only when four are there at once."""
        if number > 1:
            self.server.four.wait(timeout=300)
        self.answer(path)


class HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.lock, self.requests, self.ranges = folder, threading.Lock(), 0, []
        self.closing, self.four, self.expired = threading.Event(), threading.Barrier(4), set()

    def handle_error(self, request, client_address):
        pass  # clients may go away

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.server_close()


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
events {{ }}
http {{
    log_format methods "$request_method $connection $http_range"; access_log {folder}/access.log methods; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port} ssl {http2}; root {folder};
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        {rules}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder, http2, rules=""):
    """Yields the URL of @folder over TLS. The certificate is signed by @folder/ca.pem.

    @rules are for the server. Method, connection and range of each request go to @folder/access.log.
    """
    listener, port = listen_tcp()
    config = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # so that it may read the folder
    config.write_text(user + NGINX.format(folder=folder, port=port, http2="http2" if http2 else "", rules=rules))
    (folder / "access.log").unlink(missing_ok=True)
    with running(["nginx", "-c", config, "-e", folder / "nginx.log"], listener, NGINX="3;"):
        yield f"https://127.0.0.1:{port}"


def make_certificates(folder):
    """An authority ca.pem, and a certificate server.pem for 127.0.0.1."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=127.0.0.1",
            "-keyout", "server.key", "-out", "server.csr")
    (folder / "san.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san.ext", "-out", "server.pem")
