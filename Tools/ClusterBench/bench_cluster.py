"""Runs loads against clusters of `tally serve` processes on this machine, and prints tables.

All members share the machine's processors and its disk, which three machines would not: the
figures say what replication costs, not what three machines do. Before the first record of an epoch
each replica syncs that epoch: where thousands of partitions have their first, TALLY_BENCH_DIR on a
file system in memory tells apart what the disk takes.
"""

import argparse
import concurrent.futures
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import wire
from members import Cluster

LEASE_SECONDS = 3
TARGET_SECONDS = 1.0


def line(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def head(*cells):
    print()
    line(*cells)
    line(*["---"] * len(cells))


class Bench:
    """Runs the loads one after the other."""

    def __init__(self, options, parent):
        self.options = options
        self.parent = parent

    def cluster(self, members=3, **settings):
        defaults = {
            "broker_session_timeout_ms": LEASE_SECONDS * 1000,
            "leader_imbalance_check_interval_seconds": 0}
        return Cluster(self.options.tally, self.parent, members, **defaults | settings)

    def client(self, *arguments):
        done = subprocess.run(
            [self.options.client, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"bench-cluster: {done.stderr}")
        return json.loads(done.stdout)

    def create(self, cluster, topic, assignment, durability):
        wire.create_topic(
            cluster.members[0].address, topic, assignment, {"tally.durability": durability})
        self.wait_for_leaders(cluster, topic, len(assignment))

    def wait_for_leaders(self, cluster, topic, count):
        """Until each partition has taken a record, which is the first of its epoch."""
        with Writers(cluster.members, topic, range(count)) as writers:
            writers.write_all(120)

    # MARK: Loads

    def throughput(self):
        count = self.options.records
        head("acks=all, 1 KB, replicas, durability", "records", "MB/s", "CPU of all members",
             "CPU a record", "client CPU")
        for durability in self.options.durability:
            base = None
            for replicas in self.options.replicas:
                with self.cluster() as cluster:
                    topic = f"load-{replicas}"
                    self.create(
                        cluster, topic, [list(range(1, replicas + 1))], durability)
                    before = cluster.cpu()
                    found = self.client(
                        "produce", cluster.addresses, topic, count, 1000, "none", "all", 1)
                    used = cluster.cpu() - before
                each = used / count * 1e6
                more = "" if base is None else f" ({each - base:+.2f})"
                base = each if base is None else base
                line(
                    f"{replicas}, {durability}", f"{found['perSecond'] / 1000:,.0f} k/s",
                    f"{found['megabytesPerSecond']:,.0f}", f"{used:.2f} s",
                    f"{each:.2f} µs{more}", f"{found['clientCPU']:.2f} s")

    def latency(self):
        seconds = self.options.seconds
        head("acks=all, 10,000 records/s of 1 KB, replicas, durability", "p50", "p99", "p99.9")
        for durability in self.options.durability:
            for replicas in self.options.replicas:
                with self.cluster() as cluster:
                    topic = f"latency-{replicas}"
                    self.create(
                        cluster, topic, [list(range(1, replicas + 1))], durability)
                    found = self.client(
                        "latency", cluster.addresses, topic, 10_000, seconds, 1000, "all", "0.5")
                for key, name in (("ack", "answer"), ("endToEnd", "end to end")):
                    line(
                        f"{name}, {replicas}, {durability}",
                        *(f"{found[key + q]:.2f} ms" for q in ("P50", "P99", "P999")))

    def catch_up(self):
        """An empty member takes a replica of a topic with a leader and a follower.

        Memory that a virtual machine has never touched costs ten times as much as other: files are
        written before, and removed, which leaves memory that it has, and says how fast that is.
        """
        alone = self.client("tcp", 2000)["megabytesPerSecond"]
        head("an empty follower catches up, durability", "bytes", "time", "MB/s",
             f"share of loopback TCP alone ({alone:,.0f} MB/s)", "share of writing files alone")
        for durability in self.options.durability:
            with self.cluster() as cluster:
                topic, partitions = "catch-up", 4
                self.create(cluster, topic, [[1, 2]] * partitions, durability)
                for _ in range(max(1, self.options.megabytes // 400)):
                    self.client(
                        "produce", cluster.addresses, topic,
                        min(self.options.megabytes, 400) * 1000, 1000, "none", "1", partitions)
                wanted = cluster.members[0].log_bytes(topic)
                self.wait_for_bytes(cluster.members[1], topic, wanted)
                self.write_files(wanted)
                files = self.write_files(wanted)
                cluster.run("reassign", topic, "--to", "1,2,3")
                begin = time.monotonic()
                self.wait_for_bytes(cluster.members[2], topic, wanted)
                elapsed = time.monotonic() - begin
            rate = wanted / elapsed / 1e6
            line(
                durability, f"{wanted / 1e6:,.0f} MB", f"{elapsed:.2f} s", f"{rate:,.0f}",
                f"{rate / alone:.2f}", f"{rate / files:.2f} ({files:,.0f} MB/s)")

    def write_files(self, count):
        """MB/s of two threads that write files, as two connections of a follower do."""
        block = b"x" * (1 << 20)

        def write(path):
            with open(path, "wb", buffering=0) as file:
                for _ in range(count // len(block) // 2):
                    file.write(block)

        paths = [os.path.join(self.parent, f"file-{number}") for number in range(2)]
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(write, paths))
        rate = count / (time.monotonic() - begin) / 1e6
        for path in paths:
            os.remove(path)
        return rate

    def wait_for_bytes(self, member, topic, wanted):
        deadline = time.monotonic() + 300
        while (found := member.log_bytes(topic)) < wanted:
            if time.monotonic() > deadline:
                sys.exit(f"bench-cluster: member {member.number} has {found} of {wanted} bytes")
            time.sleep(0.01)

    def failover(self):
        head(f"kill -9 of a leader, lease {LEASE_SECONDS} s, partitions that it led",
             "first acknowledged", "beyond the lease", "each has taken one", "beyond the lease",
             "files open")
        for count in self.options.partitions:
            with self.cluster() as cluster:
                topic = "failover"
                begin = time.monotonic()
                self.create(cluster, topic, [[1, 2, 3]] * count, "buffered")
                print(f"  {count:,} partitions are there after {time.monotonic() - begin:.1f} s",
                      file=sys.stderr, flush=True)
                self.wait_until_in_sync(cluster)
                files = cluster.members[0].descriptors()
                first, last = self.fail(cluster, topic, count)
            line(
                f"{count:,}", f"{first:.2f} s", self.beyond(first), f"{last:.2f} s",
                self.beyond(last), f"{files:,}")

    @staticmethod
    def beyond(seconds):
        more = seconds - LEASE_SECONDS
        return f"{more:.2f} s" + (" (too long)" if more > TARGET_SECONDS else "")

    def wait_until_in_sync(self, cluster):
        deadline = time.monotonic() + 120
        while left := len(cluster.status("--problems")):
            if time.monotonic() > deadline:
                sys.exit(f"bench-cluster: {left} partitions are not in sync")
            time.sleep(0.5)

    def fail(self, cluster, topic, count):
        """Kills the leader of all; seconds until one, and until each took a record."""
        with Writers(cluster.members[1:], topic, range(count)) as writers:
            begin = time.monotonic()
            cluster.members[0].kill()
            # One partition is asked for until there is an answer, so that asking for thousands
            # does not keep those from their work who are to take over.
            writers.write_one(120)
            first = time.monotonic() - begin
            writers.write_all(120)
            return first, time.monotonic() - begin


class Writers:
    """Some connections to each of some members, as producers have them, that write one record to
    each partition wherever it is led."""

    CONNECTIONS, REQUEST = 8, 100

    def __init__(self, members, topic, partitions):
        self.topic = topic
        self.left = set(partitions)
        self.pool = concurrent.futures.ThreadPoolExecutor(self.CONNECTIONS)
        self.members = [
            [wire.Connection(member.address) for member in members]
            for _ in range(self.CONNECTIONS)]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.pool.shutdown()
        for connections in self.members:
            for connection in connections:
                connection.close()

    def write(self, connections, partitions):
        """Returns which of them took a record."""
        taken = set()
        for connection in connections:
            asked = [partition for partition in partitions if partition not in taken]
            if asked:
                taken.update(wire.produce(connection, self.topic, asked, 10_000))
        return taken

    def write_one(self, seconds):
        self.write_all(seconds, {min(self.left)})

    def write_all(self, seconds, wanted=None):
        wanted = self.left if wanted is None else wanted
        deadline = time.monotonic() + seconds
        while wanted & self.left:
            if time.monotonic() > deadline:
                sys.exit(f"bench-cluster: {len(self.left)} partitions cannot be written to")
            asked = sorted(wanted & self.left)
            parts = [asked[at:at + self.REQUEST] for at in range(0, len(asked), self.REQUEST)]
            for at in range(0, len(parts), self.CONNECTIONS):
                some = parts[at:at + self.CONNECTIONS]
                for taken in self.pool.map(self.write, self.members, some):
                    self.left -= taken
            time.sleep(0.005)


def main():
    parser = argparse.ArgumentParser(prog="bench-cluster", description=__doc__)
    parser.add_argument("tally")
    parser.add_argument("client")
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--seconds", type=int, default=10, help="of each run of latencies")
    parser.add_argument("--megabytes", type=int, default=800, help="to be caught up with")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--durability", nargs="+", default=["buffered", "synced"], choices=["buffered", "synced"])
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 100, 1000, 4000])
    parser.add_argument(
        "--only", nargs="+", default=["latency", "throughput", "catch_up", "failover"],
        choices=["latency", "throughput", "catch_up", "failover"])
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    parent = tempfile.mkdtemp(prefix="tally-bench-", dir=os.environ.get("TALLY_BENCH_DIR"))
    try:
        bench = Bench(options, parent)
        for name in options.only:
            getattr(bench, name)()
    finally:
        shutil.rmtree(parent, ignore_errors=True)


main()
