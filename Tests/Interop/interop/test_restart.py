"""The server is stopped and started again on the same directory: all is there still."""

import collections
import hashlib
import json

from confluent_kafka import OFFSET_BEGINNING, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import ConfigResource, ResourceType

from interop.checks import Stage, check, check_each
from interop.clients import aio, confluent, kafka_python, kcat
from interop.clients.confluent import SECONDS
from interop.expect import equal
from interop.records import Record, numbered, values

FAMILIES = {client.NAME: client for client in (kcat, confluent, aio, kafka_python)}


def picture(server):
    """All that clients can see: topics, their settings and records, and the groups' offsets."""
    admin = confluent.admin(server)
    topics = admin.list_topics(timeout=SECONDS).topics
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
    settings = {
        resource.name: {name: entry.value for name, entry in told.result(SECONDS).items()}
        for resource, told in admin.describe_configs(resources).items()}
    groups = {}
    for group in admin.list_consumer_groups().result(SECONDS).valid:
        asked = [ConsumerGroupTopicPartitions(group.group_id)]
        found = admin.list_consumer_group_offsets(asked)[group.group_id].result(SECONDS)
        groups[group.group_id] = sorted(
            f"{at.topic} {at.partition} {at.offset} {at.metadata}" for at in found.topic_partitions)
    return {
        "settings": settings, "groups": groups,
        "records": records(server, topics, "read_uncommitted"),
        "committed records": records(server, topics, "read_committed")}


def records(server, topics, isolation):
    """How many records each partition has, and a checksum of them."""
    partitions = [
        TopicPartition(name, number, OFFSET_BEGINNING)
        for name, topic in topics.items() for number in topic.partitions]
    counts, sums = collections.Counter(), collections.defaultdict(hashlib.sha256)
    reader = confluent.consumer(server, isolation_level=isolation, enable_partition_eof=True)
    reader.assign(partitions)
    for message in confluent.messages_until_ends(reader, len(partitions)):
        place = f"{message.topic()} {message.partition()}"
        counts[place] += 1
        sums[place].update(repr(confluent.record(message)).encode())
    reader.close()
    return {place: f"{count} {sums[place].hexdigest()}" for place, count in counts.items()}


@check(Stage.BEFORE_RESTART, timeout=120)
def picture_is_taken(server):
    topic = confluent.create_topic(server, "restart-before", partitions=2, retention_ms=3_600_000)
    confluent.write(server, topic, numbered(100), "lz4")
    committed = ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 1, 5, "so far")])
    admin = confluent.admin(server)
    admin.alter_consumer_group_offsets([committed])[topic].result(SECONDS)
    taken = picture(server)
    equal(taken["groups"][topic], [f"{topic} 1 5 so far"], "the group in the picture")
    (server.directory / "picture.json").write_text(json.dumps(taken))


@check(Stage.AFTER_RESTART, timeout=120)
def all_is_there_still(server):
    before = json.loads((server.directory / "picture.json").read_text())
    after = picture(server)
    # A group without offsets and members is nothing to keep.
    before["groups"] = {group: offsets for group, offsets in before["groups"].items() if offsets}
    for what, expected in before.items():
        for name, told in expected.items():
            equal(after[what].get(name), told, f"{what} of {name}")
        if what != "groups":
            equal(sorted(after[what]), sorted(expected), what)


@check_each(FAMILIES, Stage.LAST)
def works_after_restart(server, family):
    client = FAMILIES[family]
    topic = confluent.create_topic(server, f"restart-{family}")
    client.write(server, topic, [Record(b"k", b"v-%d" % i, partition=0) for i in range(10)])
    equal(
        values(client.read(server, topic)), [f"v-{i}" for i in range(10)], "what is written")


@check(Stage.LAST)
def transactions_go_on_after_restart(server):
    """Names of producers, and their epochs, outlive the server."""
    topic = confluent.create_topic(server, "restart-transactions")
    for transactional_id in ("confluent-transactions", "restart-new"):
        sender = confluent.producer(server, transactional_id=transactional_id)
        sender.init_transactions(SECONDS)
        sender.begin_transaction()
        confluent.send(sender, topic, [Record(None, transactional_id.encode())])
        sender.commit_transaction(SECONDS)
    equal(
        values(confluent.read(server, topic, committed=True)),
        ["confluent-transactions", "restart-new"], "what is committed")
