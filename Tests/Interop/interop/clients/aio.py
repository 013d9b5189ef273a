"""aiokafka. Its functions are coroutines; `write` and `read` run a loop of their own."""

import asyncio
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from interop.expect import Failed
from interop.records import Record

NAME = "aio"
SECONDS = 20


@asynccontextmanager
async def started(client):
    """Starts a client, and stops it at the end."""
    await client.start()
    try:
        yield client
    finally:
        # aiokafka's admin client ends by another word.
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


def admin(server):
    return started(AIOKafkaAdminClient(bootstrap_servers=server.address))


def producer(server, codec="none", **settings):
    return started(AIOKafkaProducer(
        bootstrap_servers=server.address, compression_type=None if codec == "none" else codec,
        **settings))


def consumer(server, *topics, **settings):
    preset = {"auto_offset_reset": "earliest", "enable_auto_commit": False,
              "fetch_max_wait_ms": 100}
    if "group_id" in settings:
        preset |= {"session_timeout_ms": 6000, "heartbeat_interval_ms": 500}
    return started(AIOKafkaConsumer(
        *topics, bootstrap_servers=server.address, **preset | settings))


async def create(server, topic, partitions=1, **settings):
    """Creates a topic; `cleanup_policy` is the setting cleanup.policy."""
    config = {name.replace("_", "."): value for name, value in settings.items()}
    async with admin(server) as client:
        response = await client.create_topics(
            [NewTopic(topic, partitions, 1, topic_configs=config)])
    for _, code, message in response.topic_errors:
        if code != 0:
            raise Failed(f"creating {topic}: error {code}, {message}")
    return topic


def create_topic(server, topic, partitions=1, **settings):
    return asyncio.run(create(server, topic, partitions, **settings))


def write(server, topic, records, codec="none", **settings):
    """Writes records, and returns where each landed: partition and offset."""

    async def run():
        async with producer(server, codec, linger_ms=20, **settings) as sender:
            return await send(sender, topic, records)

    return asyncio.run(run())


async def send(sender, topic, records):
    """Sends records with a producer, and waits until they have landed."""
    promises = [
        await sender.send(
            topic, record.value, record.key, record.partition, record.timestamp,
            list(record.headers))
        for record in records]
    landed = [await asyncio.wait_for(promise, SECONDS) for promise in promises]
    return [(metadata.partition, metadata.offset) for metadata in landed]


async def end_transaction(sender, commits):
    if commits:
        await sender.commit_transaction()
    else:
        await sender.abort_transaction()


def record(message):
    return Record(
        message.key, message.value, tuple(message.headers), message.timestamp, message.partition,
        message.offset)


def read(server, topic, committed=False):
    """Reads all that a topic has at present."""
    isolation = "read_committed" if committed else "read_uncommitted"

    async def run():
        # Without a group it has all partitions of the topic.
        async with consumer(server, topic, isolation_level=isolation) as reader:
            return await until_ends(reader, await reader.end_offsets(reader.assignment()))

    return asyncio.run(run())


async def until_ends(reader, ends):
    """Polls until the position in each partition is where it ends."""

    async def positions():
        return {partition: await reader.position(partition) for partition in ends}

    records, quiet = [], 0
    while any(position < ends[at] for at, position in (await positions()).items()):
        polled = await reader.getmany(timeout_ms=500)
        records += [record(message) for messages in polled.values() for message in messages]
        quiet = 0 if polled else quiet + 0.5
        if quiet >= SECONDS:
            raise Failed(f"nothing more comes; at {await positions()}, ends are {ends}")
    return records
