"""Runs the loads of kafka_bench against `tally serve` and prints a table.

Each figure stands beside the processor time of client and server in the same run: where the client
took more, it is the limit. Beside the throughput of loopback TCP and of the embedded engine, and,
for producing, beside what a loop in C takes that reads the same bytes from a socket, a megabyte at
a time, writes them to a file and syncs it.
"""

import glob
import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request

RECORDS = {100: 2_000_000, 1000: 500_000}
CONNECTIONS = 10
IDLE = 10_000
REQUEST = 1_000_000
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A `tally serve` in a directory of its own."""

    def __init__(self, tally, directory):
        self.tally = tally
        self.data = os.path.join(directory, "data")
        self.process = None
        self.address = ""
        self.metrics = ""

    def create(self, topic, partitions, durability):
        subprocess.run(
            [self.tally, "topics", "create", topic, "--partitions", str(partitions), "--config",
             f"tally.durability={durability}", "--data", self.data],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        """Milliseconds until it was ready."""
        begin = time.monotonic()
        errors = os.path.join(os.path.dirname(self.data), "errors")
        with open(errors, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [self.tally, "serve", "--data", self.data, "--listen", "127.0.0.1:0",
                 "--metrics-listen", "127.0.0.1:0"],
                env={**os.environ, "TALLY_MAX_CONNECTIONS": str(IDLE + 1000)},
                stdout=subprocess.PIPE, stderr=log, text=True)
        self.address = self.process.stdout.readline().split()[-1]
        ready = (time.monotonic() - begin) * 1000
        with open(errors, encoding="utf-8") as log:
            self.metrics = next(
                line.split()[-1] for line in log if line.startswith("Metrics: "))
        return ready

    def stop(self):
        self.process.terminate()
        if self.process.wait(60) != 0:
            sys.exit("bench-server: the server did not end well")

    def cpu(self):
        """Seconds of processor time so far: the program's own, and the kernel's for it."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) / TICKS, int(fields[12]) / TICKS

    def log_bytes(self):
        """Bytes of all logs."""
        return sum(map(os.path.getsize, glob.glob(f"{self.data}/*/*.log")))

    def times(self, request):
        """How many requests took at most how many seconds, from when they were there until their
        answers had gone out."""
        with urllib.request.urlopen(self.metrics) as response:
            lines = response.read().decode().splitlines()
        start = f'tally_server_request_seconds_bucket{{request="{request}",le="'
        found = {}
        for text in lines:
            if text.startswith(start):
                bound, count = text[len(start):].split('"} ')
                found[float(bound.replace("+Inf", "inf"))] = int(count)
        return found

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
        before, stored = self.server.cpu(), self.server.log_bytes()
        found = self.run(mode, self.server.address, topic, *arguments)
        own, kernel = (now - then for now, then in zip(self.server.cpu(), before))
        floor = self.floor(self.server.log_bytes() - stored)
        line(
            name, f"{found['perSecond'] / 1000:,.0f} k/s", f"{found['megabytesPerSecond']:,.0f}",
            f"{own:.2f} + {kernel:.2f} s", f"{found['clientCPU']:.2f} s",
            f"{(own + kernel) / max(found['clientCPU'], 0.01):.2f}", floor)

    def floor(self, byte_count):
        """Seconds of processor time that reading, writing and syncing take by themselves."""
        if byte_count == 0:
            return ""
        path = os.path.join(self.server.data, "..", "floor")
        return f"{self.run('floor', path, byte_count, REQUEST)['cpu']:.2f} s"

    def throughput(self):
        line("load", "records", "MB/s", "server CPU", "client CPU", "ratio", "bare loop")
        line(*["---"] * 7)
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
            before = self.server.times("Produce")
            found = self.run(
                "latency", self.server.address, f"latency-{durability}", 10_000, 10, 100, acks,
                linger)
            for key, name in (("ack", "answer"), ("endToEnd", "end to end")):
                line(
                    f"{name}, acks={acks}, {durability}, linger {linger} ms",
                    *(f"{found[key + q]:.2f} ms" for q in ("P50", "P99", "P999")))
            after = self.server.times("Produce")
            times = {bound: after[bound] - before[bound] for bound in after}
            line(
                f"in the server, acks={acks}, {durability}, linger {linger} ms",
                *(f"{quantile(times, q):.2f} ms" for q in (0.5, 0.99, 0.999)))

    def idle(self, count):
        host, port = self.server.address.rsplit(":", 1)
        before = self.server.memory()
        holder = subprocess.Popen(
            [self.client, "idle", host, port, str(count)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        seconds = json.loads(holder.stdout.readline())["seconds"]
        after = self.server.memory()
        holder.stdin.close()
        holder.wait()
        print(
            f"Memory of its own: {before:.0f} MiB, with {count:,} idle connections {after:.0f} MiB; "
            f"they came in {seconds:.2f} s")


def quantile(times, share):
    """Milliseconds that a share of the requests took at most, within their class by proportion."""
    wanted, low, below = share * times[float("inf")], 0.0, 0
    for bound, count in sorted(times.items()):
        if count >= wanted:
            if bound == float("inf"):
                return low * 1000
            return (low + (bound - low) * (wanted - below) / max(count - below, 1)) * 1000
        low, below = bound, count
    return low * 1000


def touch_memory():
    """Has the machine give its memory: what a virtual one has never touched costs the first who
    writes there, and that would be the kernel's cache of the logs."""
    with open("/proc/meminfo", encoding="ascii") as text:
        values = dict(line.split(":", 1) for line in text)
    count = min(6 << 30, (int(values["MemAvailable"].split()[0]) << 10) // 2)
    piece = b"x" * (1 << 20)
    with mmap.mmap(-1, count) as memory:
        for _ in range(count >> 20):
            memory.write(piece)


def main():
    tally, client = sys.argv[1:3]
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    touch_memory()
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
        bench.idle(1000)
        if limit >= IDLE + 2000:
            bench.idle(IDLE)
        else:
            print(f"ulimit -Hn is {limit}: {IDLE:,} idle connections were not tried")
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
