"""Members of a cluster on this machine, with a coordination store in SQLite."""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys

TICKS = os.sysconf("SC_CLK_TCK")


class Member:
    """A `tally serve` in a directory of its own."""

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.data = os.path.join(cluster.directory, f"data-{number}")
        # An address of its own: nobody's connection takes its port while it is away.
        self.address = f"127.80.{cluster.number}.{number}:9092"
        self.process = None

    def launch(self):
        errors = os.path.join(self.cluster.directory, f"errors-{self.number}")
        with open(errors, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [self.cluster.tally, "serve", "--data", self.data, "--listen", self.address,
                 "--cluster", self.cluster.store, "--node-id", str(self.number)],
                env={**os.environ, **self.cluster.settings},
                stdout=subprocess.PIPE, stderr=log, text=True)

    def wait(self):
        if not self.process.stdout.readline().startswith("Listening on"):
            sys.exit(f"bench-cluster: member {self.number} did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)

    def cpu(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def log_bytes(self, topic):
        return sum(map(os.path.getsize, glob.glob(f"{self.data}/{topic}-*/*.log")))


class Cluster:
    """Some members; as a context manager they are started, and removed at the end."""

    count = 0

    def __init__(self, tally, parent, members=3, **settings):
        Cluster.count += 1
        self.number = Cluster.count
        self.tally = tally
        self.directory = os.path.join(parent, f"cluster-{self.number}")
        os.makedirs(self.directory)
        self.store = f"sqlite:{self.directory}/cluster.db"
        names = {name: str(value) for name, value in settings.items()}
        self.settings = {f"TALLY_{name.upper()}": value for name, value in names.items()}
        self.members = [Member(self, number) for number in range(1, members + 1)]

    def __enter__(self):
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait()
        return self

    def __exit__(self, kind, error, trace):
        for member in self.members:
            if member.process and member.process.poll() is None:
                member.kill()
        shutil.rmtree(self.directory)

    @property
    def addresses(self):
        return ",".join(member.address for member in self.members)

    def run(self, *arguments):
        return subprocess.run(
            [self.tally, "cluster", *map(str, arguments), "--cluster", self.store],
            check=True, capture_output=True, text=True).stdout

    def status(self, *arguments):
        """What stands of each partition."""
        return [json.loads(row) for row in self.run("status", "--json", *arguments).splitlines()]

    def cpu(self):
        return sum(member.cpu() for member in self.members)
