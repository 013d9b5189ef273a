"""What kafka-python does with a server."""

import threading
import time
import uuid

from kafka import ConsumerGroupMetadata, IsolationLevel, OffsetAndMetadata, TopicPartition
from kafka import errors
from kafka.admin import (
    AlterConfigOp, ConfigResource, ConfigResourceType, MemberToRemove, OffsetSpec)
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from interop.checks import check, check_each
from interop.clients import kafka_python
from interop.clients.kafka_python import SECONDS, create_topic, read, send, write
from interop.expect import equal, raises, soon, true
from interop.records import CODECS, EPOCH_MS, Record, everything, numbered, values


@check()
def topics_are_listed(server):
    create_topic(server, "python-listed", partitions=3)
    admin = kafka_python.admin(server)
    true("python-listed" in admin.list_topics(), "the topic is missing")
    told, = admin.describe_topics(["python-listed"])
    equal(sorted(p["partition_index"] for p in told["partitions"]), [0, 1, 2], "partitions")
    reader = kafka_python.consumer(server)
    equal(reader.partitions_for_topic("python-listed"), {0, 1, 2}, "what a consumer finds")


@check_each(CODECS)
def produces_and_consumes_with_codec(server, codec):
    topic = create_topic(server, f"python-codec-{codec}")
    written = [
        Record(b"key-%d" % i, b"value " * 50, (("n", b"%d" % i),), EPOCH_MS + i, 0)
        for i in range(500)]
    landed = write(server, topic, written, codec)
    equal(landed, [(0, offset) for offset in range(500)], "where the records landed")
    equal([r.content for r in read(server, topic)], [r.content for r in written], "records")


# What a client of that time would send: older versions of the requests.
@check_each(((0, 11), (1, 0), (1, 1), (2, 0), (2, 1), (2, 3), (2, 5), (2, 7), (3, 0), (3, 5)))
def speaks_as_to_broker(server, version):
    name = "python-version-%d-%d" % version
    create_topic(server, name, partitions=2)
    written = [Record(b"%d" % i, b"v-%d" % i, (), EPOCH_MS + i, i % 2) for i in range(10)]
    sender = kafka_python.producer(server, api_version=version, enable_idempotence=True)
    send(sender, name, written)
    reader = kafka_python.consumer(server, name, group_id=name, api_version=version)
    found = poll_until(reader, 10)
    equal(everything(found), everything(written), "records")
    reader.commit()
    partitions = [TopicPartition(name, 0), TopicPartition(name, 1)]
    equal([reader.committed(partition) for partition in partitions], [5, 5], "what is committed")
    times = reader.offsets_for_times({partition: EPOCH_MS + 5 for partition in partitions})
    equal([times[partition].offset for partition in partitions], [3, 2], "offsets of a time")
    equal(reader.end_offsets(partitions), {partition: 5 for partition in partitions}, "ends")
    reader.close()
    sender = kafka_python.producer(server, api_version=version, transactional_id=name)
    sender.init_transactions()
    sender.begin_transaction()
    send(sender, name, [Record(b"10", b"in a transaction", partition=0)])
    sender.send_offsets_to_transaction(
        {partitions[0]: OffsetAndMetadata(1, "", -1)}, ConsumerGroupMetadata(name))
    sender.commit_transaction()
    sender.close()
    admin = kafka_python.admin(server)
    offsets = admin.list_group_offsets({name: None})[name]
    equal(offsets[partitions[0]].offset, 1, "what the transaction has committed")


# Administration in older versions of the requests.
@check_each(((2, 1), (2, 3), (2, 5), (2, 8), (3, 3), (3, 7)))
def administers_as_broker(server, version):
    name = "python-admin-%d-%d" % version
    admin = kafka_python.admin(server, api_version=version)
    admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1}})
    admin.create_partitions({name: 2})
    true(name in admin.list_topics(), "the topic is missing")
    write(server, name, [Record(None, b"v", partition=i % 2) for i in range(10)])
    resource = ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "7200000"})
    admin.alter_configs([resource])
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    equal(found["topic"][name]["retention.ms"]["value"], "7200000", "the setting")
    admin.delete_records({TopicPartition(name, 0): 2})
    reader = kafka_python.consumer(server, name, group_id=name)
    poll_until(reader, 8)
    reader.commit()
    equal(len(admin.describe_groups([name])[name]["members"]), 1, "members")
    reader.close()
    true(name in {group["group_id"] for group in admin.list_groups()}, "the group is missing")
    true(name in repr(admin.describe_log_dirs()), "the topic is in no directory")
    admin.delete_groups([name])
    admin.delete_topics([name])
    true(name not in admin.list_topics(), "the topic is still there")


def poll_until(reader, count, seconds=SECONDS):
    """Polls until so many records have come."""
    records = []
    end = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < end:
        # A poll that ends while the client joins its group can make the client lose the answer.
        for messages in reader.poll(5000).values():
            records += map(kafka_python.record, messages)
    equal(len(records), count, "records that have come")
    return records


@check()
def keys_choose_partitions(server):
    topic = create_topic(server, "python-partitions", partitions=4)
    landed = write(server, topic, [Record(b"k", b"v", partition=i % 4) for i in range(40)])
    equal([partition for partition, _ in landed], [i % 4 for i in range(40)], "partitions chosen")
    landed = write(server, topic, [Record(b"same", b"v")] * 20)
    equal(len({partition for partition, _ in landed}), 1, "partitions of one key")


@check()
def consumes_from_time(server):
    topic = create_topic(server, "python-time")
    write(server, topic, numbered(10, partition=0))
    partition = TopicPartition(topic, 0)
    reader = kafka_python.consumer(server)
    reader.assign([partition])
    found = reader.offsets_for_times({partition: EPOCH_MS + 6500})[partition]
    equal((found.offset, found.timestamp), (7, EPOCH_MS + 7000), "the offset of a time")
    reader.seek(partition, found.offset)
    equal(values(poll_until(reader, 3)), ["v-7", "v-8", "v-9"], "from the time on")
    after = reader.offsets_for_times({partition: EPOCH_MS + 60_000})
    equal(after[partition], None, "the offset of a time after all records")
    equal(reader.beginning_offsets([partition]), {partition: 0}, "the beginning")
    equal(reader.end_offsets([partition]), {partition: 10}, "the end")


class Member:
    """A consumer in a group, that polls on a thread of its own until it is closed."""

    def __init__(self, server, topic, group, **settings):
        self.consumer = kafka_python.consumer(server, topic, group_id=group, **settings)
        self.records, self.error, self.assigned = [], None, []
        self.is_ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.is_ending:
                for messages in self.consumer.poll(1000).values():
                    self.records += map(kafka_python.record, messages)
                self.assigned = sorted(at.partition for at in self.consumer.assignment())
        except Exception as error:
            self.error = error
        self.consumer.close()

    def close(self):
        self.is_ending = True
        self.thread.join(SECONDS)
        true(not self.thread.is_alive(), "the member does not end")


@check_each(("range", "roundrobin", "cooperative-sticky"))
def group_of_two_rebalances(server, strategy):
    assignor = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
                "cooperative-sticky": CooperativeStickyAssignor}[strategy]
    topic = create_topic(server, f"python-group-{strategy}", partitions=4)
    settings = {"partition_assignment_strategy": (assignor,)}
    first = Member(server, topic, topic, **settings)
    soon(lambda: len(first.assigned) == 4, "one member has all")
    second = Member(server, topic, topic, **settings)
    soon(lambda: (len(first.assigned), len(second.assigned)) == (2, 2), "two have two each")
    equal(sorted(first.assigned + second.assigned), [0, 1, 2, 3], "partitions of both")
    write(server, topic, [Record(None, b"v-%d" % i, partition=i % 4) for i in range(40)])
    soon(lambda: len(first.records) + len(second.records) == 40, "all records")
    for member in (first, second):
        equal(
            {record.partition for record in member.records}, set(member.assigned),
            "partitions of what a member has read")
    second.close()
    soon(lambda: len(first.assigned) == 4, "one member has all again")
    first.close()
    equal((first.error, second.error), (None, None), "errors of the members")


@check()
def static_member_keeps_its_place(server):
    topic = create_topic(server, "python-static", partitions=2)
    settings = {"session_timeout_ms": 30_000}
    one = Member(server, topic, topic, group_instance_id="one", **settings)
    two = Member(server, topic, topic, group_instance_id="two", **settings)
    soon(lambda: (len(one.assigned), len(two.assigned)) == (1, 1), "one each")
    had = one.assigned
    # A close that leaves no word, as of a process that is started anew.
    one.close()
    admin = kafka_python.admin(server)

    def names():
        members = admin.describe_groups([topic])[topic]["members"]
        return sorted(member["group_instance_id"] for member in members)

    equal(names(), ["one", "two"], "members after one has closed")
    one = Member(server, topic, topic, group_instance_id="one", **settings)
    soon(lambda: one.assigned == had, "it has what it had")
    equal(two.error, None, "the other's error")
    one.close()
    two.close()
    removed = admin.remove_group_members(
        topic, [MemberToRemove(group_instance_id="one"), MemberToRemove(group_instance_id="two")])
    equal(set(removed.values()), {errors.NoError}, "what the removal tells")
    equal(names(), [], "members after they were removed")


@check()
def commits_and_resumes(server):
    topic, group = create_topic(server, "python-commit"), "python-commit"
    partition = TopicPartition(topic, 0)
    write(server, topic, numbered(10, partition=0))
    reader = kafka_python.consumer(server, topic, group_id=group)
    poll_until(reader, 10)
    reader.commit({partition: OffsetAndMetadata(4, "here I was", -1)})
    reader.close()
    reader = kafka_python.consumer(server, topic, group_id=group)
    equal(poll_until(reader, 6)[0].offset, 4, "the first offset")
    told = reader.committed(partition, metadata=True)
    equal((told.offset, told.metadata), (4, "here I was"), "what is committed")
    reader.close()


@check()
def idempotent_producer(server):
    topic = create_topic(server, "python-idempotent", partitions=2)
    records = numbered(2000)
    write(server, topic, records, enable_idempotence=True)
    equal(sorted(values(read(server, topic))), sorted(values(records)), "values, each once")


@check_each((0, 1, "all"))
def produces_with_acks(server, acks):
    topic = create_topic(server, f"python-acks-{acks}")
    records = numbered(100, partition=0)
    write(server, topic, records, acks=acks, enable_idempotence=False)
    soon(lambda: values(read(server, topic)) == values(records), "all records")


@check()
def transactions_commit_and_abort(server):
    topic = create_topic(server, "python-transactions", partitions=2)
    sender = kafka_python.producer(server, transactional_id="python-transactions")
    sender.init_transactions()
    for prefix, commits in (("first", True), ("lost", False), ("second", True)):
        sender.begin_transaction()
        send(sender, topic, [Record(None, f"{prefix}-{i}".encode(), partition=i % 2)
                             for i in range(6)])
        equal(
            [v for v in values(read(server, topic, committed=True)) if v.startswith(prefix)], [],
            "read_committed of an open transaction")
        kafka_python.end_transaction(sender, commits)
    committed = sorted(f"{prefix}-{i}" for prefix in ("first", "second") for i in range(6))
    equal(sorted(values(read(server, topic, committed=True))), committed, "what is committed")
    equal(len(read(server, topic)), 18, "records that read_uncommitted reads")
    sender.close()


@check()
def older_producer_is_fenced(server):
    topic = create_topic(server, "python-fenced")
    older = kafka_python.producer(server, transactional_id="python-fenced")
    older.init_transactions()
    older.begin_transaction()
    send(older, topic, [Record(None, b"older")])
    newer = kafka_python.producer(server, transactional_id="python-fenced")
    newer.init_transactions()
    raises(errors.KafkaError, older.commit_transaction, "the older's commit")
    newer.begin_transaction()
    send(newer, topic, [Record(None, b"newer")])
    newer.commit_transaction()
    equal(values(read(server, topic, committed=True)), ["newer"], "what is committed")


@check()
def consume_transform_produce(server):
    source = create_topic(server, "python-source", partitions=2)
    target = create_topic(server, "python-target", partitions=2)
    group = "python-transform"
    write(server, source, [Record(b"%d" % i, b"%d" % i, partition=i % 2) for i in range(20)])
    sender = kafka_python.producer(server, transactional_id="python-transform")
    sender.init_transactions()
    partitions = [TopicPartition(source, n) for n in range(2)]
    # The first round is aborted: neither its records nor its offsets are there.
    for commits in (False, True):
        reader = kafka_python.consumer(
            server, source, group_id=group, isolation_level="read_committed")
        records = poll_until(reader, 20)
        sender.begin_transaction()
        send(sender, target, [Record(r.key, r.value + b"!", partition=r.partition)
                              for r in records])
        sender.send_offsets_to_transaction(
            {at: OffsetAndMetadata(reader.position(at), "", -1) for at in partitions},
            reader.group_metadata())
        kafka_python.end_transaction(sender, commits)
        offsets = [reader.committed(partition) for partition in partitions]
        equal(offsets, [10, 10] if commits else [None, None], "committed offsets")
        reader.close()
    found = read(server, target, committed=True)
    equal(sorted(values(found)), sorted(f"{i}!" for i in range(20)), "what was made")


@check()
def admin_topics(server):
    topic = create_topic(server, "python-admin", retention_ms=3_600_000)
    admin = kafka_python.admin(server)
    raises(errors.TopicAlreadyExistsError, lambda: create_topic(server, topic), "creating it twice")
    admin.create_topics({"python-validated": {"num_partitions": 2}}, validate_only=True)
    true("python-validated" not in admin.list_topics(), "a topic was created by validation")
    admin.create_partitions({topic: 3})
    told = admin.describe_topic_partitions([topic])["topics"][0]
    equal([p["partition_index"] for p in told["partitions"]], [0, 1, 2], "partitions")
    raises(errors.InvalidPartitionsError, lambda: admin.create_partitions({topic: 2}), "fewer")
    identity = uuid.UUID(admin.describe_topics([topic])[0]["topic_id"])
    equal(admin.describe_topics([identity])[0]["name"], topic, "the topic that has the id")
    equal(admin.list_partition_reassignments(), {}, "reassignments")
    admin.delete_topics([topic])
    true(topic not in admin.list_topics(), "the topic is still there")
    raises(errors.UnknownTopicOrPartitionError, lambda: admin.delete_topics([topic]), "twice")


@check()
def topic_pages(server):
    names = [create_topic(server, f"python-page-{n}", partitions=3) for n in range(3)]
    admin, cursor, found = kafka_python.admin(server), None, []
    while True:
        page = admin.describe_topic_partitions(names, response_partition_limit=2, cursor=cursor)
        found += [(topic["name"], partition["partition_index"])
                  for topic in page["topics"] for partition in topic["partitions"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    equal(found, [(name, n) for name in names for n in range(3)], "partitions of all pages")


@check()
def admin_configs(server):
    topic = create_topic(server, "python-configs", retention_ms=3_600_000)
    admin = kafka_python.admin(server)

    def described():
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        told = admin.describe_configs([resource], config_filter="all")["topic"][topic]
        return {name: entry["value"] for name, entry in told.items()}

    def alter(configs, incremental=True):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs)
        admin.alter_configs([resource], incremental=incremental)

    equal(described()["retention.ms"], "3600000", "as created")
    alter({"segment.bytes": (AlterConfigOp.SET, "1048576")})
    equal(described()["segment.bytes"], "1048576", "as set")
    alter({"cleanup.policy": (AlterConfigOp.APPEND, "compact")})
    equal(set(described()["cleanup.policy"].split(",")), {"delete", "compact"}, "appended")
    alter({"cleanup.policy": (AlterConfigOp.SUBTRACT, "delete")})
    equal(described()["cleanup.policy"], "compact", "subtracted")
    alter({"retention.ms": (AlterConfigOp.DELETE, None)})
    equal(described()["retention.ms"], "604800000", "the default again")
    alter({"retention.ms": "7200000"}, incremental=False)
    equal(described()["retention.ms"], "7200000", "as altered")
    admin.reset_configs([ConfigResource(ConfigResourceType.TOPIC, topic, ["retention.ms"])])
    equal(described()["retention.ms"], "604800000", "as reset")


@check()
def admin_groups(server):
    topic, group = create_topic(server, "python-groups", partitions=2), "python-groups"
    write(server, topic, numbered(10, partition=1))
    admin, partition = kafka_python.admin(server), TopicPartition(topic, 1)
    member = Member(server, topic, group, client_id="somebody", enable_auto_commit=True,
                    auto_commit_interval_ms=100)
    soon(lambda: len(member.records) == 10, "ten records")
    listed = {g["group_id"]: g for g in admin.list_groups(states_filter=["Stable"])}
    true(group in listed, f"the group is missing: {sorted(listed)}")
    equal(admin.list_groups(states_filter=["Dead"]), [], "groups of another state")
    told = admin.describe_groups([group])[group]
    equal(told["group_state"], "Stable", "its state")
    equal([m["client_id"] for m in told["members"]], ["somebody"], "its members")
    equal(admin.delete_groups([group]), {group: "NonEmptyGroupError"}, "deleting it too early")
    member.close()
    equal(admin.list_group_offsets({group: [partition]})[group][partition].offset, 10, "offset")
    admin.alter_group_offsets(group, {partition: OffsetAndMetadata(3, "back", -1)})
    found = admin.list_group_offsets({group: None})[group]
    equal((found[partition].offset, found[partition].metadata), (3, "back"), "as altered")
    admin.reset_group_offsets(group, {partition: OffsetSpec.EARLIEST})
    equal(admin.list_group_offsets({group: None})[group][partition].offset, 0, "as reset")
    told = admin.delete_group_offsets(group, [partition])
    equal(told, {partition: errors.NoError}, "what the deletion of offsets tells")
    true(partition not in admin.list_group_offsets({group: None})[group], "it is deleted")
    equal(admin.delete_groups([group]), {group: "OK"}, "what the deletion tells")
    true(group not in {g["group_id"] for g in admin.list_groups()}, "the group is still there")


@check()
def admin_offsets_and_records(server):
    topic = create_topic(server, "python-list-offsets")
    # The highest time is not the last record's.
    records = [Record(None, b"v", (), EPOCH_MS + at, 0) for at in (0, 10, 500, 20, 30)]
    write(server, topic, records)
    admin, partition = kafka_python.admin(server), TopicPartition(topic, 0)

    def offset(spec, **settings):
        return admin.list_partition_offsets({partition: spec}, **settings)[partition]

    equal(offset(OffsetSpec.EARLIEST).offset, 0, "the earliest")
    equal(offset(OffsetSpec.LATEST).offset, 5, "the latest")
    equal(offset(OffsetSpec.EARLIEST_LOCAL).offset, 0, "the earliest on this machine")
    highest = offset(OffsetSpec.MAX_TIMESTAMP)
    equal((highest.offset, highest.timestamp), (2, EPOCH_MS + 500), "of the highest time")
    equal(offset(EPOCH_MS + 5).offset, 1, "by time")
    equal(
        offset(OffsetSpec.LATEST, isolation_level=IsolationLevel.READ_COMMITTED).offset, 5,
        "the latest that is stable")
    told = admin.delete_records({partition: 3})
    equal(told[partition]["low_watermark"], 3, "the first after deletion")
    equal([r.offset for r in read(server, topic)], [3, 4], "what is left")
    raises(errors.KafkaError, lambda: admin.delete_records({partition: 99}), "beyond the end")


@check()
def admin_cluster(server):
    admin = kafka_python.admin(server)
    told = admin.describe_cluster()
    equal([broker["port"] for broker in told["brokers"]], [server.port], "brokers")
    equal(told["controller_id"], told["brokers"][0]["broker_id"], "the controller")
    true(told["cluster_id"], "the cluster has no id")
    topic = create_topic(server, "python-directories")
    write(server, topic, numbered(10, partition=0))
    directories = admin.describe_log_dirs(topic_partitions=[topic])
    text = repr(directories)
    true(str(server.data) in text and topic in text, f"directories: {text}")


@check()
def admin_transactions(server):
    topic, name = create_topic(server, "python-open"), "python-open"
    partition = TopicPartition(topic, 0)
    admin = kafka_python.admin(server)
    sender = kafka_python.producer(server, transactional_id=name, transaction_timeout_ms=50_000)
    sender.init_transactions()
    sender.begin_transaction()
    send(sender, topic, numbered(3, partition=0))
    listed = {t.transactional_id: t for found in admin.list_transactions().values() for t in found}
    equal(listed[name].state.value, "Ongoing", "the state in the list")
    told = admin.describe_transactions([name])[name]
    equal(
        (told.state.value, told.transaction_timeout_ms, set(told.topic_partitions)),
        ("Ongoing", 50_000, {partition}), "the description")
    true(abs(told.transaction_start_time_ms / 1000 - time.time()) < 60, "when it began")
    producer, = admin.describe_producers([partition])[partition].active_producers
    equal(
        (producer.producer_id, producer.producer_epoch, producer.last_sequence,
         producer.current_transaction_start_offset),
        (told.producer_id, told.producer_epoch, 2, 0), "the producer")
    equal(admin.find_hanging_transactions(), [], "transactions that hang")
    sender.commit_transaction()
    soon(
        lambda: admin.describe_transactions([name])[name].state.value == "CompleteCommit",
        "it is committed")
    producer, = admin.describe_producers([partition])[partition].active_producers
    equal(producer.current_transaction_start_offset, -1, "where a transaction is open")
    raises(
        errors.KafkaError, lambda: admin.describe_transactions(["python-nobody"]),
        "describing what there is not")
    sender.close()
