"""What one client family writes, the others read; and members of two families share a group."""

import asyncio
import itertools
import threading
import time

from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from interop.checks import check, check_each
from interop.clients import aio, confluent, kafka_python, kcat
from interop.expect import equal, soon, true
from interop.records import CODECS, EPOCH_MS, Record, everything

FAMILIES = {client.NAME: client for client in (kcat, confluent, aio, kafka_python)}


def sample():
    """Records of every shape that all four families can write."""
    headers = (
        ("name", b"value"), ("name", b"again"), ("empty", b""), ("text", "grün €".encode()))
    shapes = [
        (b"key", b"value", ()), (None, b"no key", ()), (b"no value", None, ()),
        (b"headers", b"v", headers), ("Schlüssel".encode(), "Wert €".encode(), ()),
        (b"long", b"x" * 100_000, ())]
    return [
        Record(key, value, told, EPOCH_MS + place * 1001, place % 3)
        for place, (key, value, told) in enumerate(shapes)]


@check_each(itertools.product(FAMILIES, CODECS))
def all_read_what_one_writes(server, choice):
    writer, codec = choice
    topic = confluent.create_topic(server, f"cross-{writer}-{codec}", partitions=3)
    written = sample()
    FAMILIES[writer].write(server, topic, written, codec)
    found = {name: everything(client.read(server, topic)) for name, client in FAMILIES.items()}
    for name, records in found.items():
        # kcat cannot choose times: what the others read must be equal all the same.
        expected = everything(written) if writer != "kcat" else found["confluent"]
        equal(records, expected, f"what {name} reads")
    if writer == "kcat":
        equal(without_times(found["kcat"]), without_times(everything(written)), "what is there")
        newest = max(content[3] for content in found["kcat"]) / 1000
        true(-5 < time.time() - newest < 120, f"the newest record is of {newest}")


def without_times(contents):
    return [(key, value, headers, partition) for key, value, headers, _, partition in contents]


@check()
def keys_land_on_one_partition(server):
    """Those that hash as Kafka's own clients do, agree; so does librdkafka where it is asked to."""
    topic = confluent.create_topic(server, "cross-keys", partitions=7)
    records = [Record(b"key-%d" % i, b"v") for i in range(100)]
    asked = {"partitioner": "murmur2_random"}
    landed = {
        "kafka_python": kafka_python.write(server, topic, records),
        "aio": aio.write(server, topic, records),
        "confluent": confluent.write(server, topic, records, **asked)}
    chosen = {
        name: [partition for partition, _ in places] for name, places in landed.items()}
    kcat.write(server, topic, [Record(r.key, b"kcat") for r in records],
               settings=("-X", "topic.partitioner=murmur2_random"))
    at = {r.key: r.partition for r in kcat.read(server, topic) if r.value == b"kcat"}
    chosen["kcat"] = [at[r.key] for r in records]
    true(len(set(chosen["aio"])) == 7, "the keys are spread over all partitions")
    for name, partitions in chosen.items():
        equal(partitions, chosen["kafka_python"], f"{name}'s partitions")


@check_each(("confluent", "kafka_python", "aio"))
def committed_by_one_resumed_by_others(server, writer):
    """Offsets are the group's, whoever commits them."""
    topic = confluent.create_topic(server, f"cross-commit-{writer}")
    confluent.write(server, topic, [Record(None, b"%d" % i, partition=0) for i in range(30)])
    names = [writer] + [name for name in READERS if name != writer]
    for place, name in enumerate(names):
        found = READERS[name](server, topic, topic, 10)
        equal(found, [b"%d" % i for i in range(place * 10, place * 10 + 10)], f"{name} reads")


def ten_by_confluent(server, topic, group, count):
    reader = confluent.consumer(server, group_id=group)
    reader.subscribe([topic])
    messages = []
    soon(lambda: messages.extend(reader.consume(count - len(messages), 0.2))
         or len(messages) == count, "records")
    last = messages[-1].offset()
    reader.commit(offsets=[confluent.TopicPartition(topic, 0, last + 1)], asynchronous=False)
    reader.close()
    return [message.value() for message in messages]


def ten_by_kafka_python(server, topic, group, count):
    reader = kafka_python.consumer(server, topic, group_id=group, max_poll_records=count)
    polled = []
    soon(lambda: polled.extend(sum(reader.poll(5000).values(), [])) or len(polled) == count,
         "records")
    reader.commit()
    reader.close()
    return [message.value for message in polled]


def ten_by_aio(server, topic, group, count):
    async def run():
        async with aio.consumer(server, topic, group_id=group) as reader:
            found = [await asyncio.wait_for(reader.getone(), 20) for _ in range(count)]
            await reader.commit()
            return [message.value for message in found]

    return asyncio.run(run())


READERS = {
    "confluent": ten_by_confluent, "kafka_python": ten_by_kafka_python, "aio": ten_by_aio}


class Reading(threading.Thread):
    """A member of a group on a thread of its own, of whatever family."""

    def __init__(self, consumer, poll, assignment):
        super().__init__(daemon=True)
        self.consumer, self.poll, self.assignment = consumer, poll, assignment
        self.values, self.partitions, self.is_ending = [], set(), False
        self.start()

    def run(self):
        while not self.is_ending:
            self.values += self.poll(self.consumer)
            self.partitions = {at.partition for at in self.assignment(self.consumer)}
        self.consumer.close()


def confluent_member(server, topic):
    consumer = confluent.consumer(
        server, group_id=topic, partition_assignment_strategy="range")
    consumer.subscribe([topic])
    return Reading(
        consumer, lambda c: [message.value() for message in c.consume(100, 0.2)],
        lambda c: c.assignment())


def kafka_python_member(server, topic):
    consumer = kafka_python.consumer(server, topic, group_id=topic)
    return Reading(
        consumer, lambda c: [message.value for message in sum(c.poll(1000).values(), [])],
        lambda c: c.assignment())


class AioReading(threading.Thread):
    """The same of aiokafka, which needs a loop of its own."""

    def __init__(self, server, topic):
        super().__init__(daemon=True)
        self.server, self.topic = server, topic
        self.values, self.partitions, self.is_ending = [], set(), False
        self.start()

    def run(self):
        asyncio.run(self.read())

    async def read(self):
        async with aio.consumer(
                self.server, self.topic, group_id=self.topic,
                partition_assignment_strategy=(RangePartitionAssignor,)) as consumer:
            while not self.is_ending:
                for messages in (await consumer.getmany(timeout_ms=200)).values():
                    self.values += [message.value for message in messages]
                self.partitions = {at.partition for at in consumer.assignment()}


MEMBERS = {
    "confluent": confluent_member, "kafka_python": kafka_python_member, "aio": AioReading}


@check_each(itertools.combinations(MEMBERS, 2))
def group_of_two_families(server, families):
    """All know "range", and read each other's subscriptions and assignments."""
    topic = confluent.create_topic(server, "cross-group-" + "-".join(families), partitions=4)
    first, second = (MEMBERS[family](server, topic) for family in families)
    soon(lambda: (len(first.partitions), len(second.partitions)) == (2, 2), "two and two", 30)
    equal(first.partitions | second.partitions, {0, 1, 2, 3}, "partitions of both")
    confluent.write(
        server, topic, [Record(None, b"%d" % i, partition=i % 4) for i in range(40)])
    soon(lambda: len(first.values) + len(second.values) == 40, "all records")
    equal((len(first.values), len(second.values)), (20, 20), "records of each")
    for member in (first, second):
        member.is_ending = True
        member.join(20)


@check_each(("confluent", "kafka_python", "aio", "kcat"))
def read_committed_of_anothers_transaction(server, reader):
    """Who wrote a transaction makes no difference to who reads it."""
    topic = confluent.create_topic(server, f"cross-transaction-{reader}")
    sender = kafka_python.producer(server, transactional_id=topic)
    sender.init_transactions()
    for prefix, commits in (("a", True), ("b", False), ("c", True)):
        sender.begin_transaction()
        kafka_python.send(
            sender, topic, [Record(None, b"%s-%d" % (prefix.encode(), i)) for i in range(3)])
        kafka_python.end_transaction(sender, commits)
    sender.begin_transaction()
    kafka_python.send(sender, topic, [Record(None, b"open")])
    found = FAMILIES[reader].read(server, topic, committed=True)
    equal(
        [r.value for r in found], [b"%s-%d" % (p, i) for p in (b"a", b"c") for i in range(3)],
        "what is committed")
    equal(len(FAMILIES[reader].read(server, topic)), 10, "all that is there")
    sender.abort_transaction()
    sender.close()
