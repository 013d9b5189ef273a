"""What many clients, and clients that die, do to a server."""

import contextlib
import os
import resource
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from kafka.record.default_records import DefaultRecordBatchBuilder

from interop.checks import check, check_each
from interop.clients import aio, confluent, kafka_python, kcat
from interop.expect import Failed, equal, raises, soon, true
from interop.records import Record, values
from interop.server import Server

CONNECTIONS = 1000
MANY = 10_000
MEBIBYTE = 1 << 20


def api_versions_request(number):
    """Asks which requests are answered; its version 0 every server of Kafka's protocol knows."""
    client = b"interop"
    body = struct.pack(">hhih", 18, 0, number, len(client)) + client
    return struct.pack(">i", len(body)) + body


@check(timeout=150)
def thousand_connections(server):
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    true(allowed > 2 * CONNECTIONS + 200, f"ulimit -n is {allowed}: too few for this check")
    with Server(server.tally, max_connections=CONNECTIONS + 100) as own:
        topic = confluent.create_topic(own, "busy")
        work = Working(own, topic)
        with contextlib.ExitStack() as stack:
            sockets = [
                stack.enter_context(socket.create_connection((own.host, own.port), 20))
                for _ in range(CONNECTIONS)]
            ask_all(sockets)
            before = work.count
            soon(lambda: work.count > before + 50, "records while a thousand are connected")
            # Once more: nobody was let go of in the meantime.
            ask_all(sockets)
        before = work.count
        soon(lambda: work.count > before + 50, "records after they have gone")
        work.end()


@check(timeout=300)
def ten_thousand_connections(server):
    """They are let in, nobody waits for them, and beyond the limit they are refused."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    many = min(MANY, limit - 2000)
    true(many >= CONNECTIONS, f"ulimit -Hn is {limit}: too few for this check")
    if many < MANY:
        print(f"ulimit -Hn is {limit}: only {many} connections", file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with Server(server.tally, max_connections=many + 50) as own:
        topic = confluent.create_topic(own, "many")
        work = Working(own, topic)
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(connect(own, number)) for number in range(many)]
            ask_all(sockets, 120)
            memory = own.memory()
            true(memory < 256 * MEBIBYTE, f"{memory >> 20} MiB for {many} connections")
            before = work.count
            soon(lambda: work.count > before + 50, "records while ten thousand are connected")
            refused = sum(is_refused(own, stack) for _ in range(100))
            true(50 <= refused < 100, f"{refused} of 100 beyond the limit are refused")
            before = work.count
            soon(lambda: work.count > before + 50, "records while others are refused")
            ask_all(sockets, 120)
        before = work.count
        soon(lambda: work.count > before + 50, "records after they have gone")
        # There is room again.
        soon(lambda: not is_refused(own), "a connection where the others were")
        work.end()


@check(timeout=150)
def connections_leave_descriptors(server):
    """Without a setting, connections may take half of what the process may open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    own = Server(server.tally)
    own.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    topic = confluent.create_topic(own, "rest")
    work = Working(own, topic)
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as some:
        refused = sum(is_refused(own, some) for _ in range(10))
        refused += sum(is_refused(own, stack) for _ in range(1190))
        true(700 <= refused < 900, f"{refused} of 1,200 are refused")
        # Files are opened, as there are descriptors left; the client needs connections for it.
        some.close()
        more = confluent.create_topic(own, "more", partitions=20)
        confluent.write(own, more, [Record(b"k", b"v")])
        count = work.count
        soon(lambda: work.count > count + 50, "records while connections are refused")
    work.end()
    own.stop()
    own.verify()
    shutil.rmtree(own.directory)


def connect(server, number=0):
    """A connection from one of several addresses, which all have ports of their own."""
    return socket.create_connection(
        (server.host, server.port), 20, source_address=(f"127.0.0.{2 + number % 4}", 0))


def is_refused(server, stack=None):
    """Whether a new connection is closed before its first answer; the stack keeps it open."""
    connection = (stack or contextlib.ExitStack()).enter_context(connect(server))
    try:
        connection.sendall(api_versions_request(1))
        answer(connection)
        return False
    except (Failed, ConnectionError):
        return True
    finally:
        if stack is None:
            connection.close()


def ask_all(sockets, seconds=30):
    """Each sends a request, then each must have its answer."""
    for number, connection in enumerate(sockets):
        connection.sendall(api_versions_request(number))
    with selectors.DefaultSelector() as selector:
        for number, connection in enumerate(sockets):
            selector.register(connection, selectors.EVENT_READ, number)
        answered, end = set(), time.monotonic() + seconds
        while len(answered) < len(sockets):
            ready = selector.select(max(end - time.monotonic(), 0))
            if not ready:
                raise Failed(f"only {len(answered)} of {len(sockets)} have an answer")
            for key, _ in ready:
                told, code = struct.unpack(">ih", answer(key.fileobj)[:6])
                equal((told, code), (key.data, 0), "the answer's number and error")
                answered.add(key.data)
                selector.unregister(key.fileobj)


def answer(connection):
    """Reads one answer."""

    def read(count):
        data = b""
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                raise Failed("the server has closed the connection")
            data += more
        return data

    return read(struct.unpack(">i", read(4))[0])


class Working(threading.Thread):
    """A producer and a consumer that go on until they are ended."""

    def __init__(self, server, topic):
        super().__init__(daemon=True)
        self.server, self.topic = server, topic
        self.sent, self.count, self.is_ending = 0, 0, False
        self.start()

    def run(self):
        sender = confluent.producer(self.server, linger_ms=0, enable_idempotence=True)
        reader = confluent.consumer(self.server)
        reader.assign([confluent.TopicPartition(self.topic, 0, 0)])
        while not self.is_ending or self.count < self.sent:
            if not self.is_ending:
                sender.produce(self.topic, b"%d" % self.sent)
                self.sent += 1
            sender.poll(0)
            for message in reader.consume(100, 0.01):
                if message.error() is None:
                    equal(message.value(), b"%d" % self.count, "the next value")
                    self.count += 1
        reader.close()

    def end(self):
        self.is_ending = True
        self.join(20)
        equal(self.count, self.sent, "what was read of what was sent")


@check()
def too_many_connections(server):
    """Beyond the limit the server refuses, and serves again when others have gone."""
    with Server(server.tally, max_connections=10) as own:
        confluent.create_topic(own, "something")
        sockets = [socket.create_connection((own.host, own.port), 20) for _ in range(10)]
        ask_all(sockets)
        with socket.create_connection((own.host, own.port), 20) as refused:
            refused.sendall(api_versions_request(0))
            raises((Failed, ConnectionError), lambda: answer(refused), "one connection too many")
        ask_all(sockets)
        for connection in sockets:
            connection.close()
        soon(lambda: serves(own), "it serves again")


def serves(server):
    try:
        with socket.create_connection((server.host, server.port), 20) as connection:
            ask_all([connection])
            return True
    except (Failed, ConnectionError):
        return False


def produce_request(topic, payload):
    """A Produce request of version 3 with one record, made by hand: half of it is to be sent."""
    batch = record_batch(payload)
    name = topic.encode()
    body = struct.pack(">hhih", 0, 3, 7, 7) + b"interop"
    body += struct.pack(">hhi", -1, -1, 30_000)
    body += struct.pack(">ih", 1, len(name)) + name
    body += struct.pack(">iii", 1, 0, len(batch)) + batch
    return struct.pack(">i", len(body)) + body


def record_batch(payload):
    """A batch as kafka-python writes it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, int(time.time() * 1000), b"key", payload, [])
    return bytes(builder.build())


@check()
def whole_request_is_answered(server):
    """What the next checks send half of is right when it is sent whole."""
    topic = confluent.create_topic(server, "server-whole")
    with socket.create_connection((server.host, server.port), 20) as connection:
        connection.sendall(produce_request(topic, b"whole"))
        told = answer(connection)
    equal(told[:4], struct.pack(">i", 7), "the number of the answer")
    equal(values(confluent.read(server, topic)), ["whole"], "what is written")


@check_each(("FIN", "RST"))
def client_gone_in_mid_request(server, ending):
    with Server(server.tally) as own:
        topic = confluent.create_topic(own, "half")
        whole = produce_request(topic, b"x" * 100_000)
        for part in (2, 4, 20, len(whole) // 2, len(whole) - 1):
            connection = socket.create_connection((own.host, own.port), 20)
            connection.sendall(whole[:part])
            # Time for the server to have read it.
            time.sleep(0.05)
            if ending == "RST":
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        # A client that goes without waiting for its answer.
        connection = socket.create_connection((own.host, own.port), 20)
        connection.sendall(produce_request(topic, b"complete"))
        if ending == "RST":
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        soon(lambda: values(confluent.read(own, topic)) == ["complete"], "the complete request")
        confluent.write(own, topic, [Record(None, b"after")])
        equal(values(confluent.read(own, topic)), ["complete", "after"], "what is there")
        true(own.is_alive(), "the server is gone")


@check()
def bytes_that_are_no_request(server):
    with Server(server.tally) as own:
        topic = confluent.create_topic(own, "sense")
        for nonsense in (
                b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64, b"\xff" * 64, os.urandom(256),
                struct.pack(">i", 2**31 - 1) + b"x" * 100,
                struct.pack(">ihhi", 8, 999, 0, 1), struct.pack(">ihhi", 8, 3, 99, 1)):
            with socket.create_connection((own.host, own.port), 20) as connection:
                connection.sendall(nonsense)
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(10)
                with contextlib.suppress(ConnectionError):
                    while connection.recv(4096):
                        pass
        confluent.write(own, topic, [Record(None, b"v")])
        equal(values(confluent.read(own, topic)), ["v"], "what the server serves on with")


PRODUCING = """
import sys
from confluent_kafka import Producer
sender = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True, "linger.ms": 1,
                   **dict(pair.split("=") for pair in sys.argv[3:])})
if len(sys.argv) > 3:
    sender.init_transactions(20)
    sender.begin_transaction()
number = 0
while True:
    try:
        sender.produce(sys.argv[2], b"%d" % number)
        number += 1
    except BufferError:
        sender.poll(0.01)
    sender.poll(0)
"""


@check()
def producer_killed_at_work(server):
    with Server(server.tally) as own:
        topic = confluent.create_topic(own, "killed")
        for _ in range(3):
            process = subprocess.Popen([sys.executable, "-c", PRODUCING, own.address, topic])
            before = end_of(own, topic)
            soon(lambda: end_of(own, topic) > before + 1000, "a thousand records")
            process.send_signal(signal.SIGKILL)
            process.wait()
        found = values(confluent.read(own, topic))
        starts = [place for place, value in enumerate(found) if value == "0"]
        equal(len(starts), 3, "producers that have begun")
        # Each producer's records are there from the first on, in order, none left out.
        for start, end in zip(starts, starts[1:] + [len(found)]):
            equal(found[start:end], [str(i) for i in range(end - start)], "a producer's values")


def end_of(server, topic):
    # Without a word librdkafka's consumers read what is committed, and end where that ends.
    reader = confluent.consumer(server, isolation_level="read_uncommitted")
    try:
        return reader.get_watermark_offsets(confluent.TopicPartition(topic, 0), 20)[1]
    finally:
        reader.close()


@check()
def transaction_of_a_killed_producer(server):
    """Nobody ends it: its time runs out, or the next producer with its name aborts it."""
    with Server(server.tally) as own:
        topic = confluent.create_topic(own, "orphan")
        for settings in (["transaction.timeout.ms=8000"], []):
            process = subprocess.Popen(
                [sys.executable, "-c", PRODUCING, own.address, topic,
                 "transactional.id=orphan", *settings])
            before = end_of(own, topic)
            soon(lambda: end_of(own, topic) > before + 100, "a hundred records")
            process.send_signal(signal.SIGKILL)
            process.wait()
            if settings:
                confluent.write(own, topic, [Record(None, b"behind it")])
                equal(confluent.read(own, topic, committed=True), [], "committed at first")
                soon(
                    lambda: values(confluent.read(own, topic, committed=True)) == ["behind it"],
                    "its time runs out", 30)
            else:
                sender = confluent.producer(own, transactional_id="orphan")
                sender.init_transactions(20)
                sender.begin_transaction()
                confluent.send(sender, topic, [Record(None, b"next")])
                sender.commit_transaction(20)
        found = values(confluent.read(own, topic, committed=True))
        equal(found, ["behind it", "next"], "what is committed")


@check()
def killed_member_is_replaced(server):
    """A member that dies without a word leaves its partitions when its session ends."""
    topic = confluent.create_topic(server, "server-member", partitions=2)
    arguments = kcat.command(
        server, "-G", topic, "-q", "-X", "session.timeout.ms=6000",
        "-X", "heartbeat.interval.ms=500", topic)
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    reader = confluent.consumer(
        server, group_id=topic, partition_assignment_strategy="range,roundrobin")
    reader.subscribe([topic])

    def partitions():
        reader.poll(0.1)
        return len(reader.assignment())

    soon(lambda: partitions() == 1, "one partition each")
    process.send_signal(signal.SIGKILL)
    process.wait()
    began = time.monotonic()
    soon(lambda: partitions() == 2, "the partition of the killed member", 25)
    true(time.monotonic() - began > 3, "it was taken before the session had ended")
    reader.close()


@check()
def topics_create_themselves(server):
    """Only where the server is told so."""
    with Server(
            server.tally, auto_create_topics_enable="true", num_partitions=3) as own:
        for client in (kcat, confluent, aio, kafka_python):
            topic = f"self-{client.NAME}"
            client.write(own, topic, [Record(b"k", b"v")])
            equal(values(client.read(own, topic)), ["v"], f"what {client.NAME} reads")
        found = kafka_python.admin(own).describe_topics(["self-kcat"])[0]
        equal(len(found["partitions"]), 3, "partitions")


@check()
def clients_live_through_a_restart(server):
    """A producer and a consumer that are at work while the server is stopped and started."""
    with Server(server.tally) as own:
        topic = confluent.create_topic(own, "through")
        work = Working(own, topic)
        for end in ("stop", "kill"):
            before = work.count
            soon(lambda: work.count > before + 50, "records")
            getattr(own, end)()
            time.sleep(0.5)
            own.start()
        before = work.count
        soon(lambda: work.count > before + 50, "records after the restarts", 60)
        work.end()
