"""Clients of a cluster of three, while a member is killed and comes back: each goes on with the
producer or consumer that it has, no record is missing, and none is there twice."""

import asyncio
import subprocess
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from interop.checks import Stage, check_each
from interop.clients import aio, confluent, kafka_python, kcat
from interop.clients.confluent import SECONDS
from interop.expect import Failed, equal, soon
from interop.records import values

FAMILIES = {client.NAME: client for client in (kcat, confluent, aio, kafka_python)}
PARTITIONS = 3
# As long as it takes to kill a member, to have others lead, and to start it again.
WRITING_SECONDS = 14
PAUSE_SECONDS = 0.02
ENDING_SECONDS = 60


def create_topic(server, topic):
    """A topic of which each member leads a partition, and of which two have each record that is
    acknowledged."""
    admin = confluent.admin(server)
    config = {"min.insync.replicas": "2"}
    admin.create_topics([NewTopic(topic, PARTITIONS, 3, config=config)])[topic].result(SECONDS)
    # As with Kafka, members that were not asked hear of it moments later, and kcat ends where the
    # one that leads has not.
    for address in server.address.split(","):
        soon(lambda address=address: knows(address, topic), f"{address} has {topic}")
    return topic


def knows(address, topic):
    """Whether a member itself knows a topic: a client that is new asks nobody else."""
    return topic in AdminClient({"bootstrap.servers": address}).list_topics(timeout=SECONDS).topics


def steadily():
    """Numbers as text, one after the other, for as long as it takes."""
    end, number = time.monotonic() + WRITING_SECONDS, 0
    while time.monotonic() < end:
        yield f"{number}"
        number += 1
        time.sleep(PAUSE_SECONDS)


def write_confluent(server, topic):
    problems = []

    def delivered(error, message):
        if error is not None:
            problems.append(error)

    sender = confluent.producer(server, enable_idempotence=True)
    count = 0
    for text in steadily():
        sender.produce(topic, text, partition=count % PARTITIONS, on_delivery=delivered)
        sender.poll(0)
        count += 1
    left = sender.flush(ENDING_SECONDS)
    if left or problems:
        raise Failed(f"{left} records were not sent; errors: {problems[:3]}")
    return count


def write_kafka_python(server, topic):
    sender = kafka_python.producer(server, enable_idempotence=True)
    promises = [
        sender.send(topic, text.encode(), partition=number % PARTITIONS)
        for number, text in enumerate(steadily())]
    sender.flush(ENDING_SECONDS)
    for promise in promises:
        promise.get(1)
    sender.close(SECONDS)
    return len(promises)


def write_aio(server, topic):
    async def run():
        promises = []
        async with aio.producer(server, enable_idempotence=True) as sender:
            end = time.monotonic() + WRITING_SECONDS
            while time.monotonic() < end:
                number = len(promises)
                promises.append(await sender.send(
                    topic, f"{number}".encode(), partition=number % PARTITIONS))
                await asyncio.sleep(PAUSE_SECONDS)
            for promise in promises:
                await asyncio.wait_for(promise, ENDING_SECONDS)
        return len(promises)

    return asyncio.run(run())


def write_kcat(server, topic):
    with subprocess.Popen(
            kcat.command(
                server, "-P", "-t", topic, "-X", "enable.idempotence=true", "-X", "linger.ms=5"),
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        count = 0
        for text in steadily():
            process.stdin.write(f"{text}\n")
            count += 1
        _, told = process.communicate(timeout=ENDING_SECONDS)
    if process.returncode != 0:
        raise Failed(f"kcat ended with {process.returncode}: {told[-2000:]}")
    return count


WRITERS = {
    "kcat": write_kcat, "confluent": write_confluent, "aio": write_aio,
    "kafka_python": write_kafka_python}


@check_each(FAMILIES, Stage.FAILOVER, timeout=150)
def producer_goes_on(server, family):
    topic = create_topic(server, f"cluster-write-{family}")
    count = WRITERS[family](server, topic)
    found = sorted(map(int, values(confluent.read(server, topic))))
    equal(found, list(range(count)), "what is there")
    again = sorted(map(int, values(FAMILIES[family].read(server, topic))))
    equal(again, found, "what the family itself reads")


def read_confluent(server, topic, is_done):
    reader = confluent.consumer(server)
    reader.assign([TopicPartition(topic, at, OFFSET_BEGINNING) for at in range(PARTITIONS)])
    found = []
    while not is_done(len(found)):
        message = reader.poll(0.5)
        if message is not None and message.error() is None:
            found.append(message.value().decode())
    reader.close()
    return found


def read_kafka_python(server, topic, is_done):
    reader = kafka_python.consumer(server)
    places = [kafka_python.TopicPartition(topic, at) for at in range(PARTITIONS)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    found = []
    while not is_done(len(found)):
        for messages in reader.poll(500).values():
            found += [message.value.decode() for message in messages]
    reader.close()
    return found


def read_aio(server, topic, is_done):
    async def run():
        found = []
        async with aio.consumer(server, topic) as reader:
            while not is_done(len(found)):
                for messages in (await reader.getmany(timeout_ms=500)).values():
                    found.extend(message.value.decode() for message in messages)
        return found

    return asyncio.run(run())


def read_kcat(server, topic, is_done):
    command = kcat.command(server, "-C", "-t", topic, "-o", "beginning", "-q", "-u")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        found = []
        reading = threading.Thread(
            target=lambda: found.extend(line.strip() for line in process.stdout))
        reading.start()
        while not is_done(len(found)):
            time.sleep(0.2)
        process.terminate()
        reading.join(SECONDS)
    return found


READERS = {
    "kcat": read_kcat, "confluent": read_confluent, "aio": read_aio,
    "kafka_python": read_kafka_python}


@check_each(FAMILIES, Stage.FAILOVER, timeout=150)
def consumer_goes_on(server, family):
    """It reads from before the member is killed until it has all, and nothing twice."""
    topic = create_topic(server, f"cluster-read-{family}")
    written = []

    def write():
        written.append(write_confluent(server, topic))

    writing = threading.Thread(target=write)
    writing.start()
    limit = time.monotonic() + WRITING_SECONDS + ENDING_SECONDS

    def is_done(count):
        if time.monotonic() > limit:
            raise Failed(f"{count} records of {written} were read in time")
        return bool(written) and count >= written[0]

    found = READERS[family](server, topic, is_done)
    writing.join()
    equal(sorted(map(int, found)), list(range(written[0])), "what was read")
