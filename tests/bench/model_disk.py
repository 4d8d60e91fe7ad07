# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of a rotating disk, as an NBD server: one read after the other, each after a seek by its distance."""

import math
import os
import socket
import struct
import threading
import time

CAPACITY = 2 << 40  # bytes, over which the longest seek goes
SETTLE = 0.002  # seconds of the shortest seek
STROKE = 0.012  # more for the longest
TURN = 0.0042  # half a turn at 7,200 a minute
RATE = 150e6  # bytes a second
NEAR = 1 << 20  # bytes ahead that merely pass below the head

MAGIC, OPTION, REPLY = 0x4e42444d41474943, 0x49484156454f5054, 0x3e889045565a9
OPT_EXPORT_NAME, OPT_ABORT, OPT_INFO, OPT_GO = 1, 2, 6, 7
REP_ACK, REP_INFO, REP_UNSUPPORTED = 1, 3, (1 << 31) + 1
FLAGS = 1 | 2 | 1 << 8  # has flags, read only, several connections
REQUEST, ANSWER = 0x25609513, 0x67446698
READ, DISCONNECT = 0, 2


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


class Head:
    """Where it is, and how long it takes to read from another place."""

    def __init__(self):
        self.at, self.seconds, self.seeks = 0, 0.0, 0

    def read(self, offset, size):
        distance = offset - self.at
        if 0 <= distance <= NEAR:
            cost = distance / RATE
        else:
            cost = SETTLE + STROKE * math.sqrt(abs(distance) / CAPACITY) + TURN
            self.seeks += 1
        cost += size / RATE
        self.at = offset + size
        self.seconds += cost
        return cost


class ModelDisk:
    """In a with statement: serves the file at @path on a Unix socket. @seconds: how long the disk was busy."""

    def __init__(self, path, address):
        self.file = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self.file).st_size
        self.address = str(address)
        self.uri = f"nbd+unix:///?socket={address}"
        self.head = Head()
        self.lock = threading.Lock()
        self.queue = []  # what waits for the head: read in the order in which it came
        self.ready = threading.Condition()
        self.ended = False

    @property
    def seconds(self):
        return self.head.seconds

    @property
    def seeks(self):
        return self.head.seeks

    @staticmethod
    def best(places):
        """The seconds of one sweep over @places, (offset, size) sorted by offset."""
        head = Head()
        for offset, size in places:
            head.read(offset, size)
        return head.seconds

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()
        threading.Thread(target=self.turn, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended = True
        with self.ready:
            self.ready.notify()
        self.listener.close()
        os.unlink(self.address)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.negotiate(connection)
            while True:
                magic, _, kind, handle, offset, size = struct.unpack(">IHHQQI", receive(connection, 28))
                if magic != REQUEST or kind == DISCONNECT:
                    return
                with self.ready:
                    self.queue.append((connection, handle, offset, size))
                    self.ready.notify()
        except ConnectionError:
            pass

    def negotiate(self, connection):
        connection.sendall(struct.pack(">QQH", MAGIC, OPTION, 3))
        receive(connection, 4)
        while True:
            _, option, length = struct.unpack(">QII", receive(connection, 16))
            receive(connection, length)
            if option == OPT_EXPORT_NAME:
                connection.sendall(struct.pack(">QH", self.size, FLAGS))
                return
            if option == OPT_ABORT:
                raise ConnectionError
            if option in (OPT_INFO, OPT_GO):
                info = struct.pack(">HQH", 0, self.size, FLAGS)
                connection.sendall(struct.pack(">QIII", REPLY, option, REP_INFO, len(info)) + info)
                connection.sendall(struct.pack(">QIII", REPLY, option, REP_ACK, 0))
                if option == OPT_GO:
                    return
            else:
                connection.sendall(struct.pack(">QIII", REPLY, option, REP_UNSUPPORTED, 0))

    def turn(self):
        while True:
            with self.ready:
                self.ready.wait_for(lambda: self.queue or self.ended)
                if self.ended:
                    return
                connection, handle, offset, size = self.queue.pop(0)
            time.sleep(self.head.read(offset, size))
            data = os.pread(self.file, size, offset)
            try:
                connection.sendall(struct.pack(">IIQ", ANSWER, 0, handle) + data)
            except OSError:
                pass
