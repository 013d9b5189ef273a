"""Runs the loads of kafka_bench against `tally serve` and prints a table.

Each figure stands beside the processor time of client and server in the same run: where the client
took more, it is the limit. Beside the throughput of loopback TCP and of the embedded engine.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

RECORDS = {100: 2_000_000, 1000: 500_000}
CONNECTIONS = 10
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A `tally serve` in a directory of its own."""

    def __init__(self, tally, directory):
        self.tally = tally
        self.data = os.path.join(directory, "data")
        self.process = None
        self.address = ""

    def create(self, topic, partitions, durability):
        subprocess.run(
            [self.tally, "topics", "create", topic, "--partitions", str(partitions), "--config",
             f"tally.durability={durability}", "--data", self.data],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        """Milliseconds until it was ready."""
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [self.tally, "serve", "--data", self.data, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().split()[-1]
        return (time.monotonic() - begin) * 1000

    def stop(self):
        self.process.terminate()
        if self.process.wait(60) != 0:
            sys.exit("bench-server: the server did not end well")

    def cpu(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """Resident memory that is the server's own, in MiB: without pages of mapped files."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            values = dict(line.split(":", 1) for line in status)
        return int(values["RssAnon"].split()[0]) / 1024


def line(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


class Bench:
    """Runs the client and prints a line for each run."""

    def __init__(self, client, server):
        self.client = client
        self.server = server

    def run(self, *arguments):
        done = subprocess.run(
            [self.client, *map(str, arguments)], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def load(self, name, mode, topic, *arguments):
        before = self.server.cpu()
        found = self.run(mode, self.server.address, topic, *arguments)
        server = self.server.cpu() - before
        line(
            name, f"{found['perSecond'] / 1000:,.0f} k/s", f"{found['megabytesPerSecond']:,.0f}",
            f"{server:.2f} s", f"{found['clientCPU']:.2f} s",
            f"{server / max(found['clientCPU'], 0.01):.2f}")

    def throughput(self):
        line("load", "records", "MB/s", "server CPU", "client CPU", "ratio")
        line("---", "---", "---", "---", "---", "---")
        for size, count in RECORDS.items():
            for codec in ("none", "lz4"):
                topic = f"{size}-{codec}"
                for acks in ("1", "all"):
                    self.load(
                        f"produce {size} B, {codec}, acks={acks}", "produce", topic, count, size,
                        codec, acks, 1)
                self.load(f"consume {size} B, {codec}", "consume", topic, count, 1)
        for many in (CONNECTIONS, 10 * CONNECTIONS):
            self.load(
                f"produce 1000 B, none, acks=1, {many} connections", "produce", "many",
                RECORDS[1000], 1000, "none", "1", many)
            self.load(
                f"consume 1000 B, {many} connections", "consume", "many", RECORDS[1000] // 2,
                many)

    def latency(self):
        line("latency at 10,000 records/s of 100 B", "p50", "p99", "p99.9")
        line("---", "---", "---", "---")
        for acks, durability, linger in (
                ("1", "buffered", "0"), ("1", "buffered", "0.5"), ("1", "synced", "0.5"),
                ("all", "synced", "0.5")):
            found = self.run(
                "latency", self.server.address, f"latency-{durability}", 10_000, 10, 100, acks,
                linger)
            for key, name in (("ack", "answer"), ("endToEnd", "end to end")):
                line(
                    f"{name}, acks={acks}, {durability}, linger {linger} ms",
                    *(f"{found[key + q]:.2f} ms" for q in ("P50", "P99", "P999")))

    def idle(self):
        host, port = self.server.address.rsplit(":", 1)
        before = self.server.memory()
        holder = subprocess.Popen(
            [self.client, "idle", host, port, "1000"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        holder.stdout.readline()
        after = self.server.memory()
        holder.stdin.close()
        holder.wait()
        print(f"Memory of its own: {before:.0f} MiB, with 1,000 idle connections {after:.0f} MiB")


def main():
    tally, client = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as directory:
        server = Server(tally, directory)
        os.makedirs(server.data)
        print(f"Ready on an empty directory after {server.start():.0f} ms")
        server.stop()
        for size in RECORDS:
            for codec in ("none", "lz4"):
                server.create(f"{size}-{codec}", 1, "synced")
        server.create("many", 10 * CONNECTIONS, "synced")
        server.create("latency-synced", 1, "synced")
        server.create("latency-buffered", 1, "buffered")
        server.start()
        bench = Bench(client, server)
        bench.idle()
        print()
        bench.latency()
        print()
        bench.throughput()
        print()
        found = bench.run("tcp", 2000)
        print(f"Loopback TCP alone: {found['megabytesPerSecond']:,.0f} MB/s")
        server.stop()
    print("The same engine embedded:", flush=True)
    subprocess.run([tally, "bench", "--only", "produce", "--runs", "3"], check=True)


main()
