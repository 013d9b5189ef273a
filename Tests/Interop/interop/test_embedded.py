"""What clients write, the embedded engine reads, and the other way round: it is one log."""

import json

from interop.checks import check
from interop.clients import aio, confluent, kafka_python, kcat
from interop.expect import equal, soon, true
from interop.records import EPOCH_MS, Record, everything
from interop.server import Server


def embedded_write(server, topic, records, *options):
    """Appends records with `tally produce`; the server must be stopped."""
    lines = [
        json.dumps({
            "key": record.key.decode(), "value": record.value.decode(),
            "headers": [[name, value.decode()] for name, value in record.headers],
            "timestamp": record.timestamp})
        for record in records]
    server.run(
        "produce", topic, "--json", "--data", str(server.data), *options, input="\n".join(lines))


def embedded_read(server, topic, *options):
    """Reads records with `tally consume`."""
    printed = server.run("consume", topic, "--json", "--data", str(server.data), *options)
    records = []
    for line in printed.splitlines():
        told = json.loads(line)
        headers = tuple((name, value.encode()) for name, value in told["headers"])
        records.append(Record(
            coded(told["key"]), coded(told["value"]), headers, told["timestamp"],
            told["partition"], told["offset"]))
    return records


def coded(text):
    return None if text is None else text.encode()


def keyed(count, prefix):
    return [
        Record(b"key-%d" % i, b"%s-%d" % (prefix, i), (("from", prefix),), EPOCH_MS + i)
        for i in range(count)]


@check()
def one_log_for_both(server):
    with Server(server.tally) as own:
        topic = confluent.create_topic(own, "one-log", partitions=5)
        written = keyed(40, b"client")
        landed = kafka_python.write(own, topic, written, "lz4")
        own.stop()

        records = embedded_read(own, topic)
        equal(
            without_partitions(records), without_partitions(written), "what the engine reads")
        at = {record.key: record.partition for record in records}
        equal([at[record.key] for record in written], [p for p, _ in landed], "partitions")
        # Keys land where Kafka's own clients put them.
        embedded_write(own, topic, keyed(40, b"engine"), "--compression", "lz4")
        for record in embedded_read(own, topic):
            equal(record.partition, at[record.key], f"the partition of {record.key}")

        own.start()
        expected = everything(embedded_read(own, topic))
        equal(len(expected), 80, "records of both")
        for client in (kcat, confluent, aio, kafka_python):
            equal(everything(client.read(own, topic)), expected, f"what {client.NAME} reads")


def without_partitions(records):
    return sorted((r.key, r.value, r.headers, r.timestamp) for r in records)


@check()
def engine_sees_transactions(server):
    with Server(server.tally) as own:
        topic = confluent.create_topic(own, "transactions")
        sender = confluent.producer(own, transactional_id="transactions")
        sender.init_transactions(20)
        for word, commits in ((b"kept", True), (b"lost", False)):
            sender.begin_transaction()
            confluent.send(sender, topic, [Record(b"k", word)])
            confluent.end_transaction(sender, commits)
        own.stop()
        found = embedded_read(own, topic, "--isolation", "read_committed")
        equal([record.value for record in found], [b"kept"], "what is committed")
        equal(len(embedded_read(own, topic)), 2, "all records")
        own.start()


@check()
def groups_are_the_same(server):
    with Server(server.tally) as own:
        topic, group = confluent.create_topic(own, "groups"), "readers"
        confluent.write(own, topic, keyed(10, b"v"))
        reader = confluent.consumer(own, group_id=group)
        reader.subscribe([topic])
        count = 0
        while count < 10:
            message = reader.poll(20)
            true(message is not None and message.error() is None, f"a record comes: {message}")
            count += 1
        reader.commit(offsets=[confluent.TopicPartition(topic, 0, 7)], asynchronous=False)
        reader.close()
        own.stop()
        told = own.run("groups", "list", "--data", str(own.data))
        true(group in told, f"the group is missing:\n{told}")
        own.start()
        reader = kafka_python.consumer(own, topic, group_id=group)
        found = []
        soon(lambda: found.extend(sum(reader.poll(5000).values(), [])) or len(found) == 3, "three")
        equal([message.offset for message in found], [7, 8, 9], "offsets after the commit")
        reader.close()


@check()
def topics_made_by_the_engine(server):
    with Server(server.tally) as own:
        own.stop()
        own.run("topics", "create", "made", "--partitions", "3", "--data", str(own.data))
        own.start()
        reader = kafka_python.consumer(own)
        equal(reader.partitions_for_topic("made"), {0, 1, 2}, "partitions")
