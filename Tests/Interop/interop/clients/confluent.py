"""confluent-kafka, which is librdkafka."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from interop.expect import Failed
from interop.records import Record

NAME = "confluent"
SECONDS = 20


def admin(server):
    return AdminClient({"bootstrap.servers": server.address})


def create_topic(server, topic, partitions=1, **settings):
    """Creates a topic; `cleanup_policy` is the setting cleanup.policy."""
    config = {name.replace("_", "."): value for name, value in settings.items()}
    # The client must live until its answer is there.
    with_admin = admin(server)
    made = with_admin.create_topics([NewTopic(topic, partitions, 1, config=config)])
    made[topic].result(SECONDS)
    return topic


def producer(server, **settings):
    return Producer(config(server, settings))


def consumer(server, **settings):
    # A group is demanded also of consumers that choose their partitions.
    preset = {"group_id": "confluent-nobody", "auto_offset_reset": "earliest",
              "enable_auto_commit": False, "session_timeout_ms": 6000,
              "heartbeat_interval_ms": 500, "fetch_wait_max_ms": 100}
    return Consumer(config(server, preset | settings))


def config(server, settings):
    names = {name.replace("_", "."): value for name, value in settings.items()}
    return {"bootstrap.servers": server.address} | names


def write(server, topic, records, codec="none", **settings):
    """Writes records, and returns where each landed: partition and offset."""
    sender = producer(server, compression_type=codec, **settings)
    return send(sender, topic, records)


def send(sender, topic, records):
    """Sends records with a producer, and waits until they have landed."""
    landed, problems = {}, []
    for place, record in enumerate(records):

        def delivered(error, message, place=place):
            if error is not None:
                problems.append(error)
            else:
                landed[place] = (message.partition(), message.offset())

        more = {} if record.partition is None else {"partition": record.partition}
        if record.timestamp is not None:
            more["timestamp"] = record.timestamp
        sender.produce(
            topic, record.value, record.key, headers=list(record.headers) or None,
            on_delivery=delivered, **more)
    left = sender.flush(SECONDS)
    if problems or left:
        raise Failed(f"{left} records were not sent; errors: {problems[:3]}")
    return [landed[place] for place in range(len(records))]


def end_transaction(sender, commits):
    if commits:
        sender.commit_transaction(SECONDS)
    else:
        sender.abort_transaction(SECONDS)


def record(message):
    return Record(
        message.key(), message.value(), tuple(message.headers() or ()), message.timestamp()[1],
        message.partition(), message.offset())


def read(server, topic, committed=False):
    """Reads all that a topic has at present."""
    isolation = "read_committed" if committed else "read_uncommitted"
    reader = consumer(server, isolation_level=isolation, enable_partition_eof=True)
    try:
        partitions = reader.list_topics(topic, SECONDS).topics[topic].partitions
        reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        return until_ends(reader, len(partitions))
    finally:
        reader.close()


def until_ends(reader, count):
    """Polls until so many partitions have told their end."""
    return [record(message) for message in messages_until_ends(reader, count)]


def messages_until_ends(reader, count):
    found, ended = [], set()
    while len(ended) < count:
        message = reader.poll(SECONDS)
        if message is None:
            raise Failed(f"no end of {count - len(ended)} partitions, {len(found)} records")
        if message.error() is None:
            found.append(message)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add((message.topic(), message.partition()))
        else:
            raise Failed(f"polling: {message.error()}")
    return found
