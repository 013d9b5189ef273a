"""kafka-python."""

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from interop.expect import Failed
from interop.records import Record

NAME = "kafka_python"
SECONDS = 20


def admin(server, **settings):
    return KafkaAdminClient(bootstrap_servers=server.address, **settings)


def create_topic(server, topic, partitions=1, **settings):
    """Creates a topic; `cleanup_policy` is the setting cleanup.policy."""
    config = {name.replace("_", "."): value for name, value in settings.items()}
    with_admin = admin(server)
    try:
        with_admin.create_topics({topic: {"num_partitions": partitions, "configs": config}})
    finally:
        with_admin.close()
    return topic


def producer(server, codec="none", **settings):
    return KafkaProducer(
        bootstrap_servers=server.address, compression_type=None if codec == "none" else codec,
        max_block_ms=SECONDS * 1000, **settings)


def consumer(server, *topics, **settings):
    preset = {"auto_offset_reset": "earliest", "enable_auto_commit": False,
              "fetch_max_wait_ms": 100}
    if "group_id" in settings:
        preset |= {"session_timeout_ms": 6000, "heartbeat_interval_ms": 500}
    return KafkaConsumer(*topics, bootstrap_servers=server.address, **preset | settings)


def write(server, topic, records, codec="none", **settings):
    """Writes records, and returns where each landed: partition and offset."""
    sender = producer(server, codec, linger_ms=20, **settings)
    try:
        return send(sender, topic, records)
    finally:
        sender.close(SECONDS)


def send(sender, topic, records):
    """Sends records with a producer, and waits until they have landed."""
    promises = [
        sender.send(
            topic, record.value, record.key, list(record.headers), record.partition,
            record.timestamp)
        for record in records]
    sender.flush(SECONDS)
    landed = [promise.get(SECONDS) for promise in promises]
    return [(metadata.partition, metadata.offset) for metadata in landed]


def end_transaction(sender, commits):
    if commits:
        sender.commit_transaction()
    else:
        sender.abort_transaction()


def record(message):
    return Record(
        message.key, message.value, tuple(message.headers), message.timestamp, message.partition,
        message.offset)


def read(server, topic, committed=False):
    """Reads all that a topic has at present."""
    isolation = "read_committed" if committed else "read_uncommitted"
    reader = consumer(server, isolation_level=isolation)
    try:
        partitions = [TopicPartition(topic, n) for n in reader.partitions_for_topic(topic)]
        reader.assign(partitions)
        reader.seek_to_beginning(*partitions)
        return until_ends(reader, reader.end_offsets(partitions))
    finally:
        reader.close()


def until_ends(reader, ends):
    """Polls until the position in each partition is where it ends."""
    records = []
    while any(reader.position(partition) < end for partition, end in ends.items()):
        polled = reader.poll(SECONDS * 1000)
        if not polled:
            left = {partition: (reader.position(partition), end) for partition, end in ends.items()}
            if all(position >= end for position, end in left.values()):
                break
            raise Failed(f"nothing more comes; positions and ends are {left}")
        records += [record(message) for messages in polled.values() for message in messages]
    return records
