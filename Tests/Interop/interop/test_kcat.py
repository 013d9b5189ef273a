"""What kcat does with a server."""

import json
import pathlib
import signal
import subprocess
import tempfile
import time

from interop.checks import check, check_each
from interop.clients import confluent, kcat
from interop.expect import equal, soon, true
from interop.records import CODECS, EPOCH_MS, Record, everything, numbered, values

# kcat cannot create topics; confluent-kafka does it here.
create_topic = confluent.create_topic


@check()
def topics_are_listed(server):
    create_topic(server, "kcat-listed", partitions=3)
    told = json.loads(kcat.run(server, "-L", "-J"))
    equal(len(told["brokers"]), 1, "brokers")
    equal(told["brokers"][0]["name"], server.address, "the broker's address")
    equal(told["controllerid"], told["brokers"][0]["id"], "the controller")
    found = {topic["topic"]: topic for topic in told["topics"]}
    true("kcat-listed" in found, f"the topic is missing: {sorted(found)}")
    equal(
        [partition["partition"] for partition in found["kcat-listed"]["partitions"]], [0, 1, 2],
        "partitions")
    told = json.loads(kcat.run(server, "-L", "-J", "-t", "kcat-listed"))
    equal([topic["topic"] for topic in told["topics"]], ["kcat-listed"], "only the one topic")


@check()
def unknown_topic_is_an_error(server):
    told = kcat.run(
        server, "-P", "-t", "kcat-missing", "-X", "topic.metadata.propagation.max.ms=0",
        stdin="v\n", fails=True)
    true("Unknown topic" in told, f"kcat tells: {told}")


@check_each(CODECS)
def produces_and_consumes_with_codec(server, codec):
    topic = create_topic(server, f"kcat-codec-{codec}")
    written = [Record(b"key-%d" % i, b"value " * 50 + b"%d" % i) for i in range(200)]
    kcat.write(server, topic, written, codec)
    found = kcat.read(server, topic)
    equal([r.key for r in found], [r.key for r in written], "keys")
    equal([r.value for r in found], [r.value for r in written], "values")
    equal([r.offset for r in found], list(range(200)), "offsets")
    age = time.time() - found[0].timestamp / 1000
    true(-5 < age < 120, f"the record is {age} s old")


@check()
def headers_and_nulls(server):
    topic = create_topic(server, "kcat-headers")
    headers = (("name", b"value"), ("name", b"again"), ("empty", b""))
    kcat.write(server, topic, [Record(None, b"no key", headers), Record(b"no value", None)])
    first, second = kcat.read(server, topic)
    equal((first.key, first.value, first.headers), (None, b"no key", headers), "the first")
    equal((second.key, second.value, second.headers), (b"no value", None, ()), "the second")


@check()
def keys_choose_partitions(server):
    topic = create_topic(server, "kcat-partitions", partitions=4)
    chosen = [Record(b"k%d" % i, b"chosen", partition=i % 4) for i in range(8)]
    kcat.write(server, topic, chosen)
    by_key = [Record(b"same", b"hashed-%d" % i) for i in range(20)]
    kcat.write(server, topic, by_key)
    found = kcat.read(server, topic)
    equal(
        {r.key: r.partition for r in found if r.value == b"chosen"},
        {r.key: r.partition for r in chosen}, "partitions that were chosen")
    equal(len({r.partition for r in found if r.key == b"same"}), 1, "partitions of one key")
    equal(sum(r.key == b"same" for r in found), 20, "records of the key")


@check()
def consumes_from_offsets(server):
    topic = create_topic(server, "kcat-offsets")
    kcat.write(server, topic, [Record(None, b"v-%d" % i) for i in range(10)])

    def read(*arguments):
        return kcat.run(server, "-C", "-t", topic, "-p", "0", "-e", "-q", *arguments).split()

    equal(read("-o", "7"), ["v-7", "v-8", "v-9"], "from offset 7")
    equal(read("-o", "-2"), ["v-8", "v-9"], "the last two")
    equal(read("-o", "end"), [], "from the end")
    equal(read("-o", "beginning", "-c", "3"), ["v-0", "v-1", "v-2"], "three")


@check()
def consumes_from_time(server):
    topic = create_topic(server, "kcat-time")
    confluent.write(server, topic, numbered(10, partition=0))
    at = EPOCH_MS + 6500
    printed = kcat.run(
        server, "-C", "-t", topic, "-p", "0", "-o", f"s@{at}", "-e", "-q")
    equal(printed.split(), ["v-7", "v-8", "v-9"], "from a time")
    printed = kcat.run(
        server, "-C", "-t", topic, "-p", "0", "-o", f"s@{EPOCH_MS + 2000}",
        "-o", f"e@{EPOCH_MS + 4000}", "-q")
    equal(printed.split(), ["v-2", "v-3"], "between two times")
    told = kcat.run(server, "-Q", "-t", f"{topic}:0:{at}")
    true(told.strip().endswith("offset 7"), f"the offset of a time is told as: {told}")
    told = kcat.run(server, "-Q", "-t", f"{topic}:0:-1")
    true(told.strip().endswith("offset 10"), f"the end is told as: {told}")


@check()
def group_commits_and_resumes(server):
    topic = create_topic(server, "kcat-group", partitions=2)
    kcat.write(server, topic, [Record(None, b"a-%d" % i, partition=i % 2) for i in range(10)])

    def read(count):
        return sorted(kcat.run(
            server, "-G", "kcat-group", "-q", "-c", count, "-X", "auto.offset.reset=earliest",
            "-X", "session.timeout.ms=6000", topic).split())

    equal(read(10), sorted(f"a-{i}" for i in range(10)), "what the group reads first")
    kcat.write(server, topic, [Record(None, b"b-%d" % i, partition=i % 2) for i in range(4)])
    equal(read(4), [f"b-{i}" for i in range(4)], "what it reads after its commits")


@check()
def group_of_two_shares_partitions(server):
    topic = create_topic(server, "kcat-two", partitions=4)
    members = [Member(server, topic), Member(server, topic)]
    try:
        soon(lambda: all(len(member.assigned()) == 2 for member in members), "two and two")
        equal(
            sorted(members[0].assigned() + members[1].assigned()), [0, 1, 2, 3],
            "partitions of both")
        kcat.write(server, topic, [Record(None, b"v-%d" % i, partition=i % 4) for i in range(20)])
        soon(lambda: len(members[0].read()) + len(members[1].read()) == 20, "all records")
        for member in members:
            equal(
                {record.partition for record in member.read()}, set(member.assigned()),
                "partitions of what a member has read")
        members.pop().end()
        soon(lambda: members[0].assigned() == [0, 1, 2, 3], "all are with who is left")
    finally:
        for member in members:
            member.end()


class Member:
    """A kcat that is member of a group, until it is ended."""

    def __init__(self, server, topic):
        self.output, self.told = tempfile.NamedTemporaryFile(), tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(
            kcat.command(
                server, "-G", topic, "-u", "-J", "-X", "session.timeout.ms=6000",
                "-X", "heartbeat.interval.ms=500", "-X", "auto.offset.reset=earliest", topic),
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.told)

    def assigned(self):
        """The partitions that kcat says it has: "% Group G rebalanced (...): assigned: T [0]"."""
        told = pathlib.Path(self.told.name).read_text()
        lines = [line for line in told.splitlines() if " rebalanced " in line]
        if not lines or "assigned:" not in lines[-1]:
            return []
        return sorted(int(part.split("]")[0]) for part in lines[-1].split("[")[1:])

    def read(self):
        # The last line may not be whole yet.
        return kcat.parse(pathlib.Path(self.output.name).read_text().rpartition("\n")[0])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@check()
def static_member_keeps_its_place(server):
    topic = create_topic(server, "kcat-static")
    kcat.write(server, topic, [Record(None, b"v")])

    def read():
        return kcat.run(
            server, "-G", topic, "-q", "-c", "1", "-X", "group.instance.id=one",
            "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=30000", topic)

    equal(read().split(), ["v"], "what the member reads")
    admin = confluent.admin(server)
    members = admin.describe_consumer_groups([topic])[topic].result(20).members
    equal([member.group_instance_id for member in members], ["one"], "members that are left")
    kcat.write(server, topic, [Record(None, b"w")])
    # Were it not the same member, it would wait for the first's session to end.
    began = time.monotonic()
    equal(read().split(), ["w"], "what it reads when it is back")
    true(time.monotonic() - began < 15, "the member waited for itself")


@check()
def idempotent_producer(server):
    topic = create_topic(server, "kcat-idempotent")
    kcat.write(
        server, topic, [Record(None, b"v-%d" % i) for i in range(500)],
        settings=("-X", "enable.idempotence=true"))
    equal(values(kcat.read(server, topic)), [f"v-{i}" for i in range(500)], "values")


@check()
def transaction_is_committed(server):
    topic = create_topic(server, "kcat-transaction", partitions=2)
    records = [Record(b"k", b"v-%d" % i, partition=i % 2) for i in range(10)]
    for partition in range(2):
        kcat.write(
            server, topic, [r for r in records if r.partition == partition],
            settings=("-X", "transactional.id=kcat-transaction"))
    found = kcat.read(server, topic, committed=True)
    equal(sorted(values(found)), sorted(values(records)), "committed values")


@check()
def transaction_is_aborted(server):
    topic = create_topic(server, "kcat-aborted")
    producer = subprocess.Popen(
        kcat.command(
            server, "-P", "-t", topic, "-X", "transactional.id=kcat-aborted",
            "-X", "linger.ms=0"),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # kcat reads its input in larger pieces: the last of these lines stay with it.
    producer.stdin.write(b"open\n" * 10_000)
    producer.stdin.flush()
    soon(lambda: len(kcat.read(server, topic)) >= 1000, "records of the open transaction")
    equal(kcat.read(server, topic, committed=True), [], "committed while it is open")
    # It dies; the next of its name aborts what it has left.
    producer.kill()
    producer.wait()
    kcat.write(
        server, topic, [Record(None, b"after")],
        settings=("-X", "transactional.id=kcat-aborted"))
    soon(
        lambda: values(kcat.read(server, topic, committed=True)) == ["after"],
        "only what came after is committed")
    true(len(kcat.read(server, topic)) > 1000, "read_uncommitted reads what was aborted")


@check()
def many_records_in_many_batches(server):
    topic = create_topic(server, "kcat-many", partitions=3)
    records = [Record(b"%d" % i, b"x" * 100 + b"%d" % i) for i in range(20_000)]
    kcat.write(server, topic, records, "lz4")
    found = kcat.read(server, topic)
    equal(
        [c[:2] for c in everything(found)], [c[:2] for c in everything(records)],
        "keys and values")
