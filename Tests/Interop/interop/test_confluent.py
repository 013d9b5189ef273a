"""What confluent-kafka does with a server."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING, ConsumerGroupState, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError,
    KafkaException, TopicCollection, TopicPartition)
from confluent_kafka.admin import (
    AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, OffsetSpec, ResourceType)

from interop.checks import check, check_each
from interop.clients import confluent
from interop.clients.confluent import SECONDS, create_topic, read, send, write
from interop.expect import equal, raises, soon, true
from interop.records import CODECS, EPOCH_MS, Record, everything, numbered, values


@check()
def topics_are_listed(server):
    create_topic(server, "confluent-listed", partitions=3)
    told = confluent.admin(server).list_topics(timeout=SECONDS)
    true("confluent-listed" in told.topics, f"the topic is missing: {sorted(told.topics)}")
    equal(sorted(told.topics["confluent-listed"].partitions), [0, 1, 2], "partitions")
    equal([str(b.port) for b in told.brokers.values()], [str(server.port)], "brokers' ports")


@check_each(CODECS)
def produces_and_consumes_with_codec(server, codec):
    topic = create_topic(server, f"confluent-codec-{codec}")
    written = [
        Record(b"key-%d" % i, b"value " * 50, (("n", b"%d" % i),), EPOCH_MS + i, 0)
        for i in range(500)]
    landed = write(server, topic, written, codec, linger_ms=20)
    equal(landed, [(0, offset) for offset in range(500)], "where the records landed")
    equal([r.content for r in read(server, topic)], [r.content for r in written], "records")


@check()
def keys_choose_partitions(server):
    topic = create_topic(server, "confluent-partitions", partitions=4)
    chosen = numbered(40)
    landed = write(server, topic, [Record(r.key, r.value, partition=i % 4)
                                   for i, r in enumerate(chosen)])
    equal([partition for partition, _ in landed], [i % 4 for i in range(40)], "partitions chosen")
    landed = write(server, topic, [Record(b"same", b"v")] * 20)
    equal(len({partition for partition, _ in landed}), 1, "partitions of one key")


@check()
def consumes_from_time(server):
    topic = create_topic(server, "confluent-time")
    write(server, topic, numbered(10, partition=0))
    reader = confluent.consumer(server, enable_partition_eof=True)
    found, = reader.offsets_for_times([TopicPartition(topic, 0, EPOCH_MS + 6500)], SECONDS)
    equal(found.offset, 7, "the offset of a time")
    reader.assign([found])
    equal(values(confluent.until_ends(reader, 1)), ["v-7", "v-8", "v-9"], "from the time on")
    after, = reader.offsets_for_times([TopicPartition(topic, 0, EPOCH_MS + 60_000)], SECONDS)
    equal(after.offset, -1, "the offset of a time after all records (the end)")
    equal(reader.get_watermark_offsets(TopicPartition(topic, 0), SECONDS), (0, 10), "watermarks")
    reader.close()


class Member:
    """A consumer in a group, that keeps what it reads and what it is told."""

    def __init__(self, server, topic, group, **settings):
        self.consumer = confluent.consumer(server, group_id=group, **settings)
        self.records, self.rebalances, self.errors = [], 0, []
        self.consumer.subscribe([topic], on_assign=self.assigned)

    def assigned(self, consumer, partitions):
        self.rebalances += 1

    def poll(self, seconds=0.1):
        message = self.consumer.poll(seconds)
        if message is None:
            return self
        if message.error():
            self.errors.append(message.error())
        else:
            self.records.append(confluent.record(message))
        return self

    def partitions(self):
        return sorted(partition.partition for partition in self.consumer.assignment())


def assigned(members, counts):
    """Whether, once all have polled, the members have so many partitions."""
    return [len(member.poll().partitions()) for member in members] == counts


@check_each(("range", "roundrobin", "cooperative-sticky"))
def group_of_two_rebalances(server, strategy):
    topic = create_topic(server, f"confluent-group-{strategy}", partitions=4)
    settings = {"partition_assignment_strategy": strategy}
    first = Member(server, topic, topic, **settings)
    soon(lambda: assigned([first], [4]), "one member has all")
    second = Member(server, topic, topic, **settings)
    soon(lambda: assigned([first, second], [2, 2]), "two members have two each")
    equal(sorted(first.partitions() + second.partitions()), [0, 1, 2, 3], "partitions of both")
    write(server, topic, [Record(None, b"v-%d" % i, partition=i % 4) for i in range(40)])
    soon(
        lambda: len(first.poll().records) + len(second.poll().records) == 40, "all records")
    for member in (first, second):
        equal(
            {record.partition for record in member.records}, set(member.partitions()),
            "partitions of what a member has read")
    second.consumer.close()
    soon(lambda: assigned([first], [4]), "one member has all again")
    first.consumer.close()


@check()
def static_member_keeps_its_place(server):
    topic = create_topic(server, "confluent-static", partitions=2)
    settings = {"session_timeout_ms": 30_000}
    first = Member(server, topic, topic, group_instance_id="one", **settings)
    second = Member(server, topic, topic, group_instance_id="two", **settings)
    soon(lambda: assigned([first, second], [1, 1]), "one each")
    had, rebalances = first.partitions(), second.rebalances
    first.consumer.close()
    admin = confluent.admin(server)
    described = admin.describe_consumer_groups([topic])[topic].result(SECONDS)
    equal(
        sorted(member.group_instance_id for member in described.members), ["one", "two"],
        "members after one has closed")
    first = Member(server, topic, topic, group_instance_id="one", **settings)
    soon(lambda: assigned([first, second], [1, 1]), "one each again")
    equal(first.partitions(), had, "what the member has when it is back")
    equal(second.rebalances, rebalances, "rebalances of the other")
    # Another with the same name takes its place, and the first is told.
    double = Member(server, topic, topic, group_instance_id="one", **settings)
    soon(lambda: assigned([double, second], [1, 1]), "the other with its name")
    soon(lambda: first.poll().errors, "the first is fenced")
    equal(first.errors[0].code(), KafkaError._FATAL, "what the first is told")
    true("fenced" in first.errors[0].str(), f"why: {first.errors[0]}")


@check()
def commits_and_resumes(server):
    topic = create_topic(server, "confluent-commit")
    write(server, topic, numbered(10, partition=0))
    group = "confluent-commit"
    member = Member(server, topic, group)
    soon(lambda: len(member.poll().records) == 10, "ten records")
    committed = member.consumer.commit(
        offsets=[TopicPartition(topic, 0, 4, metadata="here I was")], asynchronous=False)
    equal(committed[0].offset, 4, "what the commit tells")
    member.consumer.close()
    member = Member(server, topic, group)
    soon(lambda: len(member.poll().records) == 6, "six records")
    equal(member.records[0].offset, 4, "the first offset")
    at, = member.consumer.committed([TopicPartition(topic, 0)], SECONDS)
    equal((at.offset, at.metadata), (4, "here I was"), "what is committed")
    member.consumer.close()


@check()
def idempotent_producer(server):
    topic = create_topic(server, "confluent-idempotent", partitions=2)
    records = numbered(2000)
    write(server, topic, records, enable_idempotence=True)
    found = read(server, topic)
    equal(sorted(values(found)), sorted(values(records)), "values, each once")


@check()
def transactions_commit_and_abort(server):
    topic = create_topic(server, "confluent-transactions", partitions=2)
    sender = confluent.producer(server, transactional_id="confluent-transactions")
    sender.init_transactions(SECONDS)
    for prefix, commits in (("first", True), ("lost", False), ("second", True)):
        sender.begin_transaction()
        send(sender, topic, [Record(None, f"{prefix}-{i}".encode(), partition=i % 2)
                             for i in range(6)])
        equal(
            [v for v in values(read(server, topic, committed=True)) if v.startswith(prefix)], [],
            "read_committed of an open transaction")
        confluent.end_transaction(sender, commits)
    committed = sorted(f"{prefix}-{i}" for prefix in ("first", "second") for i in range(6))
    equal(sorted(values(read(server, topic, committed=True))), committed, "what is committed")
    equal(len(read(server, topic)), 18, "records that read_uncommitted reads")


@check()
def older_producer_is_fenced(server):
    topic = create_topic(server, "confluent-fenced")
    older = confluent.producer(server, transactional_id="confluent-fenced")
    older.init_transactions(SECONDS)
    older.begin_transaction()
    send(older, topic, [Record(None, b"older")])
    newer = confluent.producer(server, transactional_id="confluent-fenced")
    newer.init_transactions(SECONDS)
    error = raises(
        KafkaException, lambda: older.commit_transaction(SECONDS), "the older's commit")
    true(error.args[0].fatal(), f"the error is fatal: {error.args[0]}")
    newer.begin_transaction()
    send(newer, topic, [Record(None, b"newer")])
    newer.commit_transaction(SECONDS)
    equal(values(read(server, topic, committed=True)), ["newer"], "what is committed")


@check()
def consume_transform_produce(server):
    source = create_topic(server, "confluent-source", partitions=2)
    target = create_topic(server, "confluent-target", partitions=2)
    group = "confluent-transform"
    write(server, source, [Record(b"%d" % i, b"%d" % i, partition=i % 2) for i in range(20)])
    sender = confluent.producer(server, transactional_id="confluent-transform")
    sender.init_transactions(SECONDS)
    # The first round is aborted: neither its records nor its offsets are there.
    for commits in (False, True):
        member = Member(server, source, group, isolation_level="read_committed")
        soon(lambda: len(member.poll().records) == 20, "all records")
        sender.begin_transaction()
        send(sender, target, [Record(r.key, r.value + b"!", partition=r.partition)
                              for r in member.records])
        sender.send_offsets_to_transaction(
            member.consumer.position(member.consumer.assignment()),
            member.consumer.consumer_group_metadata(), SECONDS)
        confluent.end_transaction(sender, commits)
        partitions = [TopicPartition(source, n) for n in range(2)]
        offsets = [at.offset for at in member.consumer.committed(partitions, SECONDS)]
        equal(offsets, [10, 10] if commits else [-1001, -1001], "committed offsets")
        member.consumer.close()
    found = read(server, target, committed=True)
    equal(sorted(values(found)), sorted(f"{i}!" for i in range(20)), "what was made")


@check()
def admin_topics(server):
    topic = create_topic(server, "confluent-admin", retention_ms=3_600_000)
    admin = confluent.admin(server)
    error = raises(KafkaException, lambda: create_topic(server, topic), "creating it twice")
    equal(error.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS, "the error")
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(SECONDS)
    equal(len(admin.list_topics(topic, SECONDS).topics[topic].partitions), 3, "partitions")
    error = raises(
        KafkaException,
        lambda: admin.create_partitions([NewPartitions(topic, 2)])[topic].result(SECONDS),
        "fewer partitions")
    equal(error.args[0].code(), KafkaError.INVALID_PARTITIONS, "the error")
    told = admin.describe_topics(TopicCollection([topic]))[topic].result(SECONDS)
    equal([p.id for p in told.partitions], [0, 1, 2], "the partitions described")
    admin.delete_topics([topic])[topic].result(SECONDS)
    true(topic not in admin.list_topics(timeout=SECONDS).topics, "the topic is still there")
    error = raises(
        KafkaException, lambda: admin.delete_topics([topic])[topic].result(SECONDS),
        "deleting it twice")
    equal(error.args[0].code(), KafkaError.UNKNOWN_TOPIC_OR_PART, "the error")


@check()
def topic_is_created_anew(server):
    topic = create_topic(server, "confluent-anew")
    write(server, topic, numbered(5))
    admin = confluent.admin(server)
    admin.delete_topics([topic])[topic].result(SECONDS)
    create_topic(server, topic)
    equal(read(server, topic), [], "records of the new topic")
    write(server, topic, numbered(1, prefix="new"))
    equal(values(read(server, topic)), ["new-0"], "what was written to it")


@check()
def admin_configs(server):
    topic = create_topic(server, "confluent-configs", retention_ms=3_600_000)
    admin = confluent.admin(server)

    def described():
        resource = ConfigResource(ResourceType.TOPIC, topic)
        told = admin.describe_configs([resource])[resource].result(SECONDS)
        return {name: entry.value for name, entry in told.items()}

    def alter(name, value, operation):
        entry = ConfigEntry(name, value, incremental_operation=operation)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(SECONDS)

    equal(described()["retention.ms"], "3600000", "as created")
    alter("segment.bytes", "1048576", AlterConfigOpType.SET)
    equal(described()["segment.bytes"], "1048576", "as set")
    equal(described()["retention.ms"], "3600000", "the other")
    alter("cleanup.policy", "compact", AlterConfigOpType.APPEND)
    equal(set(described()["cleanup.policy"].split(",")), {"delete", "compact"}, "appended")
    alter("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT)
    equal(described()["cleanup.policy"], "compact", "subtracted")
    alter("retention.ms", None, AlterConfigOpType.DELETE)
    equal(described()["retention.ms"], "604800000", "the default again")
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"retention.ms": "7200000"})
    admin.alter_configs([resource])[resource].result(SECONDS)
    equal(described()["retention.ms"], "7200000", "as altered")
    equal(described()["cleanup.policy"], "delete", "the rest follows defaults again")
    error = raises(
        KafkaException, lambda: alter("no.such", "1", AlterConfigOpType.SET), "no such setting")
    equal(error.args[0].code(), KafkaError.INVALID_CONFIG, "the error")
    broker = ConfigResource(ResourceType.BROKER, str(next(iter(admin.list_topics().brokers))))
    told = admin.describe_configs([broker])[broker].result(SECONDS)
    true("num.partitions" in told, f"the broker's settings: {sorted(told)}")


@check()
def admin_groups(server):
    topic = create_topic(server, "confluent-groups", partitions=2)
    write(server, topic, numbered(10, partition=1))
    admin, group = confluent.admin(server), "confluent-groups"
    member = Member(server, topic, group, client_id="somebody")
    soon(lambda: len(member.poll().records) == 10, "ten records")
    member.consumer.commit(asynchronous=False)
    listed = admin.list_consumer_groups().result(SECONDS)
    equal(listed.errors, [], "errors of the list")
    state = {g.group_id: g.state for g in listed.valid}
    equal(state.get(group), ConsumerGroupState.STABLE, "the group in the list")
    told = admin.describe_consumer_groups([group])[group].result(SECONDS)
    equal(told.state, ConsumerGroupState.STABLE, "its state")
    equal([m.client_id for m in told.members], ["somebody"], "its members")
    equal(len(told.members[0].assignment.topic_partitions), 2, "its partitions")
    error = raises(
        KafkaException, lambda: admin.delete_consumer_groups([group])[group].result(SECONDS),
        "deleting it while it has members")
    equal(error.args[0].code(), KafkaError.NON_EMPTY_GROUP, "the error")
    member.consumer.close()

    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 1)])
    found = admin.list_consumer_group_offsets([asked])[group].result(SECONDS)
    equal([p.offset for p in found.topic_partitions], [10], "its offset")
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 1, 3)])
    admin.alter_consumer_group_offsets([wanted])[group].result(SECONDS)
    found = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)])[group].result(SECONDS)
    equal(
        [(p.topic, p.partition, p.offset) for p in found.topic_partitions if p.offset >= 0],
        [(topic, 1, 3)], "as altered")
    admin.delete_consumer_groups([group])[group].result(SECONDS)
    listed = admin.list_consumer_groups().result(SECONDS)
    true(group not in {g.group_id for g in listed.valid}, "the group is still there")


@check()
def admin_offsets_and_records(server):
    topic = create_topic(server, "confluent-list-offsets")
    # The highest time is not the last record's.
    records = [Record(None, b"v", (), EPOCH_MS + at, 0) for at in (0, 10, 500, 20, 30)]
    write(server, topic, records)
    admin, partition = confluent.admin(server), TopicPartition(topic, 0)

    def offset(spec, **settings):
        answer = admin.list_offsets({partition: spec}, **settings)
        return answer[partition].result(SECONDS)

    equal(offset(OffsetSpec.earliest()).offset, 0, "the earliest")
    equal(offset(OffsetSpec.latest()).offset, 5, "the latest")
    highest = offset(OffsetSpec.max_timestamp())
    equal((highest.offset, highest.timestamp), (2, EPOCH_MS + 500), "of the highest time")
    equal(offset(OffsetSpec.for_timestamp(EPOCH_MS + 5)).offset, 1, "by time")
    equal(
        offset(OffsetSpec.latest(), isolation_level=IsolationLevel.READ_COMMITTED).offset, 5,
        "the latest that is stable")
    deleted = admin.delete_records([TopicPartition(topic, 0, 3)])
    equal(next(iter(deleted.values())).result(SECONDS).low_watermark, 3, "the first after deletion")
    equal(offset(OffsetSpec.earliest()).offset, 3, "the earliest after it")
    equal([r.offset for r in read(server, topic)], [3, 4], "what is left")
    error = raises(
        KafkaException,
        lambda: next(iter(admin.delete_records(
            [TopicPartition(topic, 0, 99)]).values())).result(SECONDS),
        "deleting beyond the end")
    equal(error.args[0].code(), KafkaError.OFFSET_OUT_OF_RANGE, "the error")


@check()
def admin_cluster(server):
    admin = confluent.admin(server)
    told = admin.describe_cluster().result(SECONDS)
    equal([node.port for node in told.nodes], [server.port], "nodes")
    equal(told.controller.id, told.nodes[0].id, "the controller")
    true(told.cluster_id, "the cluster has no id")


@check()
def waits_for_new_records(server):
    topic = create_topic(server, "confluent-waits")
    reader = confluent.consumer(server, fetch_wait_max_ms=5000)
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    equal(reader.poll(1), None, "a record of an empty topic")
    write(server, topic, numbered(1, partition=0))
    began = time.monotonic()
    message = reader.poll(10)
    true(message is not None and message.error() is None, f"the record comes: {message}")
    true(time.monotonic() - began < 4, "a waiting fetch is answered when a record comes")
    reader.close()


@check()
def large_records(server):
    topic = create_topic(server, "confluent-large", max_message_bytes=8_000_000)
    written = [Record(b"%d" % i, bytes([i]) * 5_000_000, (), EPOCH_MS, 0) for i in range(3)]
    write(server, topic, written, message_max_bytes=8_000_000)
    equal([r.content for r in read(server, topic)], [r.content for r in written], "records")
    narrow = create_topic(server, "confluent-narrow", max_message_bytes=1000)
    errors = []
    sender = confluent.producer(server)
    sender.produce(narrow, b"x" * 5000, on_delivery=lambda error, _: errors.append(error))
    sender.flush(SECONDS)
    equal([e.code() for e in errors], [KafkaError.MSG_SIZE_TOO_LARGE], "the error")


@check()
def many_records_in_many_batches(server):
    topic = create_topic(server, "confluent-many", partitions=3)
    records = [Record(b"%d" % i, b"x" * 100, (), EPOCH_MS + i) for i in range(20_000)]
    write(server, topic, records, "zstd")
    found = read(server, topic)
    equal(
        [c[:4] for c in everything(found)], [c[:4] for c in everything(records)], "the records")
