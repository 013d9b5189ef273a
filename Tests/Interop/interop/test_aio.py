"""What aiokafka does with a server."""

import asyncio
import functools
import time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors
from aiokafka.admin import NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.structs import OffsetAndMetadata

from interop import checks
from interop.checks import check_each
from interop.clients import aio
from interop.clients.aio import SECONDS, create, read, send, write
from interop.expect import Failed, equal, true
from interop.records import CODECS, EPOCH_MS, Record, numbered, values


def check():
    """A check that is a coroutine."""

    def declare(body):
        @functools.wraps(body)
        def run(server):
            asyncio.run(body(server))

        return checks.check()(run)

    return declare


async def soon(condition, what, seconds=SECONDS):
    """Asks until the condition holds, while other coroutines go on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        await asyncio.sleep(0.05)
    raise Failed(f"not within {seconds} s: {what}")


async def read_all(server, topic, committed=False):
    # It runs a loop of its own.
    return await asyncio.to_thread(read, server, topic, committed)


async def poll_until(reader, count):
    """Polls until so many records have come."""
    records, end = [], time.monotonic() + SECONDS
    while len(records) < count and time.monotonic() < end:
        for messages in (await reader.getmany(timeout_ms=200)).values():
            records += map(aio.record, messages)
    equal(len(records), count, "records that have come")
    return records


@check()
async def topics_are_listed(server):
    await create(server, "aio-listed", partitions=3)
    async with aio.admin(server) as admin:
        true("aio-listed" in await admin.list_topics(), "the topic is missing")
        told, = await admin.describe_topics(["aio-listed"])
    equal(sorted(p["partition"] for p in told["partitions"]), [0, 1, 2], "partitions")


@check_each(CODECS)
def produces_and_consumes_with_codec(server, codec):
    topic = aio.create_topic(server, f"aio-codec-{codec}")
    written = [
        Record(b"key-%d" % i, b"value " * 50, (("n", b"%d" % i),), EPOCH_MS + i, 0)
        for i in range(500)]
    landed = write(server, topic, written, codec)
    equal(landed, [(0, offset) for offset in range(500)], "where the records landed")
    equal([r.content for r in read(server, topic)], [r.content for r in written], "records")


@check()
async def keys_choose_partitions(server):
    topic = await create(server, "aio-partitions", partitions=4)
    async with aio.producer(server) as sender:
        landed = await send(
            sender, topic, [Record(b"k", b"v", partition=i % 4) for i in range(40)])
        equal([partition for partition, _ in landed], [i % 4 for i in range(40)], "as chosen")
        landed = await send(sender, topic, [Record(b"same", b"v")] * 20)
        equal(len({partition for partition, _ in landed}), 1, "partitions of one key")


@check()
async def consumes_from_time(server):
    topic = await create(server, "aio-time")
    partition = TopicPartition(topic, 0)
    async with aio.producer(server) as sender:
        await send(sender, topic, numbered(10, partition=0))
    async with aio.consumer(server) as reader:
        reader.assign([partition])
        found = (await reader.offsets_for_times({partition: EPOCH_MS + 6500}))[partition]
        equal((found.offset, found.timestamp), (7, EPOCH_MS + 7000), "the offset of a time")
        reader.seek(partition, found.offset)
        equal(values(await poll_until(reader, 3)), ["v-7", "v-8", "v-9"], "from the time on")
        after = await reader.offsets_for_times({partition: EPOCH_MS + 60_000})
        equal(after[partition], None, "the offset of a time after all records")
        equal(await reader.beginning_offsets([partition]), {partition: 0}, "the beginning")
        equal(await reader.end_offsets([partition]), {partition: 10}, "the end")


class Member:
    """A consumer in a group, that reads until it is closed."""

    def __init__(self, server, topic, group, **settings):
        settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False,
                    "session_timeout_ms": 6000, "heartbeat_interval_ms": 500} | settings
        self.consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=server.address, group_id=group, **settings)
        self.records, self.error = [], None

    async def start(self):
        await self.consumer.start()
        self.task = asyncio.create_task(self.run())
        return self

    async def run(self):
        try:
            while True:
                for messages in (await self.consumer.getmany(timeout_ms=100)).values():
                    self.records += map(aio.record, messages)
        except Exception as error:
            self.error = error

    @property
    def assigned(self):
        return sorted(at.partition for at in self.consumer.assignment())

    async def close(self):
        self.task.cancel()
        await asyncio.wait_for(self.consumer.stop(), SECONDS)


@check_each(("range", "roundrobin"))
def group_of_two_rebalances(server, strategy):
    asyncio.run(two_rebalance(server, strategy))


async def two_rebalance(server, strategy):
    assignor = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}
    topic = await create(server, f"aio-group-{strategy}", partitions=4)
    settings = {"partition_assignment_strategy": (assignor[strategy],)}
    first = await Member(server, topic, topic, **settings).start()
    await soon(lambda: len(first.assigned) == 4, "one member has all")
    second = await Member(server, topic, topic, **settings).start()
    await soon(lambda: (len(first.assigned), len(second.assigned)) == (2, 2), "two have two each")
    equal(sorted(first.assigned + second.assigned), [0, 1, 2, 3], "partitions of both")
    async with aio.producer(server) as sender:
        await send(
            sender, topic, [Record(None, b"v-%d" % i, partition=i % 4) for i in range(40)])
    await soon(lambda: len(first.records) + len(second.records) == 40, "all records")
    for member in (first, second):
        equal(
            {record.partition for record in member.records}, set(member.assigned),
            "partitions of what a member has read")
    await second.close()
    await soon(lambda: len(first.assigned) == 4, "one member has all again")
    await first.close()
    equal((first.error, second.error), (None, None), "errors of the members")


@check()
async def static_member_keeps_its_place(server):
    topic = await create(server, "aio-static", partitions=2)
    settings = {"session_timeout_ms": 30_000}
    one = await Member(server, topic, topic, group_instance_id="one", **settings).start()
    two = await Member(server, topic, topic, group_instance_id="two", **settings).start()
    await soon(lambda: (len(one.assigned), len(two.assigned)) == (1, 1), "one each")
    had = one.assigned
    await one.close()
    one = await Member(server, topic, topic, group_instance_id="one", **settings).start()
    await soon(lambda: one.assigned == had, "it has what it had")
    await one.close()
    await two.close()
    equal(two.error, None, "the other's error")


@check()
async def commits_and_resumes(server):
    topic, group = await create(server, "aio-commit"), "aio-commit"
    partition = TopicPartition(topic, 0)
    async with aio.producer(server) as sender:
        await send(sender, topic, numbered(10, partition=0))
    async with aio.consumer(server, topic, group_id=group) as reader:
        await poll_until(reader, 10)
        await reader.commit({partition: OffsetAndMetadata(4, "here I was")})
    async with aio.consumer(server, topic, group_id=group) as reader:
        equal((await poll_until(reader, 6))[0].offset, 4, "the first offset")
        equal(await reader.committed(partition), 4, "what is committed")


@check()
async def idempotent_producer(server):
    topic = await create(server, "aio-idempotent", partitions=2)
    records = numbered(2000)
    async with aio.producer(server, enable_idempotence=True, linger_ms=5) as sender:
        await send(sender, topic, records)
    found = await read_all(server, topic)
    equal(sorted(values(found)), sorted(values(records)), "values, each once")


@check()
async def transactions_commit_and_abort(server):
    topic = await create(server, "aio-transactions", partitions=2)
    async with aio.producer(server, transactional_id="aio-transactions") as sender:
        for prefix, commits in (("first", True), ("lost", False), ("second", True)):
            await sender.begin_transaction()
            await send(sender, topic, [Record(None, f"{prefix}-{i}".encode(), partition=i % 2)
                                       for i in range(6)])
            found = await read_all(server, topic, committed=True)
            equal(
                [value for value in values(found) if value.startswith(prefix)], [],
                "read_committed of an open transaction")
            await aio.end_transaction(sender, commits)
    committed = sorted(f"{prefix}-{i}" for prefix in ("first", "second") for i in range(6))
    found = await read_all(server, topic, committed=True)
    equal(sorted(values(found)), committed, "what is committed")
    equal(len(await read_all(server, topic)), 18, "records that read_uncommitted reads")


@check()
async def older_producer_is_fenced(server):
    topic = await create(server, "aio-fenced")
    older = aio.AIOKafkaProducer(
        bootstrap_servers=server.address, transactional_id="aio-fenced")
    await older.start()
    await older.begin_transaction()
    await send(older, topic, [Record(None, b"older")])
    async with aio.producer(server, transactional_id="aio-fenced") as newer:
        try:
            await older.commit_transaction()
            raise Failed("the older producer could commit")
        except errors.KafkaError as error:
            true(isinstance(error, errors.ProducerFenced), f"it is fenced, not {error!r}")
        async with newer.transaction():
            await send(newer, topic, [Record(None, b"newer")])
    found = await read_all(server, topic, committed=True)
    equal(values(found), ["newer"], "what is committed")


@check()
async def consume_transform_produce(server):
    source = await create(server, "aio-source", partitions=2)
    target = await create(server, "aio-target", partitions=2)
    group = "aio-transform"
    partitions = [TopicPartition(source, n) for n in range(2)]
    async with aio.producer(server) as sender:
        await send(
            sender, source, [Record(b"%d" % i, b"%d" % i, partition=i % 2) for i in range(20)])
    async with aio.producer(server, transactional_id="aio-transform") as sender:
        # The first round is aborted: neither its records nor its offsets are there.
        for commits in (False, True):
            async with aio.consumer(
                    server, source, group_id=group, isolation_level="read_committed") as reader:
                records = await poll_until(reader, 20)
                await sender.begin_transaction()
                await send(sender, target, [Record(r.key, r.value + b"!", partition=r.partition)
                                            for r in records])
                await sender.send_offsets_to_transaction(
                    {at: await reader.position(at) for at in partitions}, group)
                await aio.end_transaction(sender, commits)
                offsets = [await reader.committed(partition) for partition in partitions]
                equal(offsets, [10, 10] if commits else [None, None], "committed offsets")
    found = await read_all(server, target, committed=True)
    equal(sorted(values(found)), sorted(f"{i}!" for i in range(20)), "what was made")


@check()
async def admin_topics(server):
    topic = await create(server, "aio-admin", retention_ms=3_600_000)
    async with aio.admin(server) as admin:
        response = await admin.create_topics([aio.NewTopic(topic, 1, 1)])
        equal(response.topic_errors[0][1], 36, "the error of creating it twice")
        await admin.create_partitions({topic: NewPartitions(3)})
        told, = await admin.describe_topics([topic])
        equal(sorted(p["partition"] for p in told["partitions"]), [0, 1, 2], "partitions")
        await admin.delete_topics([topic])
        true(topic not in await admin.list_topics(), "the topic is still there")


@check()
async def admin_configs(server):
    topic = await create(server, "aio-configs", retention_ms=3_600_000)
    async with aio.admin(server) as admin:

        async def described():
            response, = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic)])
            (code, _, _, _, entries), = response.resources
            equal(code, 0, "the error of the description")
            return {entry[0]: entry[1] for entry in entries}

        equal((await described())["retention.ms"], "3600000", "as created")
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {"segment.bytes": "1048576"})])
        told = await described()
        equal(told["segment.bytes"], "1048576", "as altered")
        equal(told["retention.ms"], "604800000", "the rest follows defaults again")


@check()
async def admin_groups(server):
    topic, group = await create(server, "aio-groups", partitions=2), "aio-groups"
    partition = TopicPartition(topic, 1)
    async with aio.producer(server) as sender:
        await send(sender, topic, numbered(10, partition=1))
    async with aio.admin(server) as admin:
        async with aio.consumer(server, topic, group_id=group, client_id="somebody") as reader:
            await poll_until(reader, 10)
            await reader.commit()
            listed = await admin.list_consumer_groups()
            true((group, "consumer") in [found[:2] for found in listed], f"groups are {listed}")
            told, = await admin.describe_consumer_groups([group])
            (code, name, state, kind, protocol, members, *_), = told.groups
            equal((code, name, state, kind), (0, group, "Stable", "consumer"), "the group")
            equal([member[1] for member in members], ["somebody"], "its members")
        for asked in ([partition], None):
            offsets = await admin.list_consumer_group_offsets(group, partitions=asked)
            equal(offsets[partition].offset, 10, "its offset")


@check()
async def admin_records(server):
    topic = await create(server, "aio-records")
    partition = TopicPartition(topic, 0)
    async with aio.producer(server) as sender:
        await send(sender, topic, numbered(5, partition=0))
    async with aio.admin(server) as admin:
        told = await admin.delete_records({partition: RecordsToDelete(3)})
        equal(told, {partition: 3}, "the first after deletion")
    equal([r.offset for r in await read_all(server, topic)], [3, 4], "what is left")


@check()
async def admin_cluster(server):
    async with aio.admin(server) as admin:
        told = await admin.describe_cluster()
    equal([broker["port"] for broker in told["brokers"]], [server.port], "brokers")
    equal(told["controller_id"], told["brokers"][0]["node_id"], "the controller")
