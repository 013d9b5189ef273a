"""As much of the Kafka protocol as the measurements need that no client makes: creating topics on
chosen members, and one record to each of thousands of partitions in one request."""

import socket
import struct
import time


class Refused(Exception):
    """An answer that is an error."""


class Connection:
    """One connection to one member; one request at a time."""

    def __init__(self, address, seconds=2.0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0

    def ask(self, api, version, body, seconds=30.0):
        self.socket.settimeout(seconds)
        self.number += 1
        header = struct.pack(">hhih", api, version, self.number, 5) + b"bench"
        self.socket.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        size, = struct.unpack(">i", self._read(4))
        return Reader(self._read(size)[4:])

    def _read(self, count):
        parts = []
        while count > 0:
            part = self.socket.recv(min(count, 1 << 20))
            if not part:
                raise ConnectionError("the connection has ended")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self):
        self.socket.close()


class Reader:
    """Reads an answer, field by field."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def number(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def string(self):
        size = self.number("h")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def create_topic(address, name, assignment, settings):
    """Creates a topic with the members of each partition, preferred leader first."""
    body = struct.pack(">i", 1) + string(name) + struct.pack(">ihi", -1, -1, len(assignment))
    for partition, members in enumerate(assignment):
        body += struct.pack(">ii", partition, len(members))
        body += b"".join(struct.pack(">i", member) for member in members)
    body += struct.pack(">i", len(settings))
    for key, value in settings.items():
        body += string(key) + string(value)
    body += struct.pack(">ib", 60_000, 0)
    connection = Connection(address)
    try:
        answer = connection.ask(19, 2, body, 90.0)
    finally:
        connection.close()
    answer.number("i")
    answer.number("i")
    answer.string()
    code = answer.number("h")
    if code != 0:
        raise Refused(f"creating {name}: error {code}, {answer.string()}")


def crc32c(data):
    if not _table:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
            _table.append(byte)
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


_table = []


def batch():
    """One record without a key."""
    # Attributes, deltas of time and offset, no key, a value of one byte, no headers.
    record = bytes((0, 0, 0, 1, 2)) + b"x" + bytes((0,))
    records = bytes((len(record) << 1,)) + record
    now = int(time.time() * 1000)
    body = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + records
    tail = struct.pack(">ibI", -1, 2, crc32c(body)) + body
    return struct.pack(">qi", 0, len(tail)) + tail


def produce(connection, topic, partitions, milliseconds):
    """One record to each partition with acks=all; returns those that acknowledged it."""
    records = batch()
    item = struct.pack(">i", len(records)) + records
    body = struct.pack(">hhi", -1, -1, milliseconds)
    body += struct.pack(">i", 1) + string(topic) + struct.pack(">i", len(partitions))
    body += b"".join(struct.pack(">i", partition) + item for partition in partitions)
    answer = connection.ask(0, 3, body, milliseconds / 1000 + 10)
    acknowledged = []
    for _ in range(answer.number("i")):
        answer.string()
        for _ in range(answer.number("i")):
            partition, code = answer.number("i"), answer.number("h")
            answer.at += 16
            if code == 0:
                acknowledged.append(partition)
    return acknowledged
