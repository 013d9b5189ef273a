"""The server is stopped and started again on the same directory: all is there still."""

import hashlib
import json

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import ConfigResource, ResourceType

from interop.checks import Stage, check, check_each
from interop.clients import aio, confluent, kafka_python, kcat
from interop.clients.confluent import SECONDS
from interop.expect import equal, true
from interop.records import Record, values

FAMILIES = {client.NAME: client for client in (kcat, confluent, aio, kafka_python)}


def picture(server):
    """All that clients can see: topics, their settings and records, and the groups' offsets."""
    admin = confluent.admin(server)
    topics = {}
    for name in sorted(admin.list_topics(timeout=SECONDS).topics):
        resource = ConfigResource(ResourceType.TOPIC, name)
        settings = admin.describe_configs([resource])[resource].result(SECONDS)
        topics[name] = {
            "settings": {key: entry.value for key, entry in sorted(settings.items())},
            "records": records_of(server, name, committed=False),
            "committed": records_of(server, name, committed=True)}
    groups = {}
    for group in admin.list_consumer_groups().result(SECONDS).valid:
        asked = [ConsumerGroupTopicPartitions(group.group_id)]
        found = admin.list_consumer_group_offsets(asked)[group.group_id].result(SECONDS)
        groups[group.group_id] = sorted(
            f"{at.topic} {at.partition} {at.offset} {at.metadata}" for at in found.topic_partitions)
    return {"topics": topics, "groups": groups}


def records_of(server, topic, committed):
    """How many records a topic has, and a checksum of them."""
    records = sorted(
        confluent.read(server, topic, committed), key=lambda r: (r.partition, r.offset))
    return f"{len(records)} {hashlib.sha256(repr(records).encode()).hexdigest()}"


@check(Stage.BEFORE_RESTART, timeout=240)
def picture_is_taken(server):
    taken = picture(server)
    true(taken["topics"], "there are no topics")
    (server.directory / "picture.json").write_text(json.dumps(taken))


@check(Stage.AFTER_RESTART, timeout=240)
def all_is_there_still(server):
    before = json.loads((server.directory / "picture.json").read_text())
    after = picture(server)
    equal(sorted(after["topics"]), sorted(before["topics"]), "topics")
    for topic, expected in before["topics"].items():
        equal(after["topics"][topic], expected, f"the topic {topic}")
    # A group without offsets and members is nothing to keep.
    kept = {group: offsets for group, offsets in before["groups"].items() if offsets}
    equal({group: after["groups"].get(group) for group in kept}, kept, "groups and their offsets")


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
