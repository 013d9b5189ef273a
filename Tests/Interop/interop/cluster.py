"""Three `tally serve` processes that make one cluster."""

import pathlib
import tempfile

from interop.expect import soon
from interop.server import Server

MEMBERS = 3
LEASE_MS = 3000


class Cluster:
    """Looks to the suite and to the checks as one server does."""

    def __init__(self, tally):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tally-interop-cluster-"))
        self.servers = [
            Server(
                tally, self._folder(number), node_id=number,
                cluster_store=f"sqlite:{self.directory}/cluster.db",
                broker_session_timeout_ms=LEASE_MS, replica_lag_time_max_ms=LEASE_MS,
                leader_imbalance_check_interval_seconds=0)
            for number in range(1, MEMBERS + 1)]

    def _folder(self, number):
        folder = self.directory / f"member-{number}"
        folder.mkdir()
        return folder

    @property
    def address(self):
        """Where a client looks for the first member: at all of them."""
        return ",".join(server.address for server in self.servers)

    def start(self):
        for server in self.servers:
            server.start()

    def is_alive(self):
        return any(server.is_alive() for server in self.servers)

    def kill(self):
        for server in self.servers:
            if server.is_alive():
                server.kill()

    def problems(self):
        store = f"sqlite:{self.directory}/cluster.db"
        told = self.servers[0].run(
            "cluster", "status", "--json", "--problems", "--cluster", store)
        return told.splitlines()

    def kill_one(self):
        """Ends a member as a crash would. It leads a third of all partitions."""
        self.servers[0].kill()

    def start_one_again(self):
        self.servers[0].start()

    def wait_until_in_sync(self):
        soon(lambda: not self.problems(), "all replicas are in sync again", 60)

    def stop(self):
        for server in self.servers:
            server.stop()

    def verify(self):
        for server in self.servers:
            server.verify()

    def check_connections(self):
        """Those of members that are killed end as they do; nothing is to be said of it."""

    def stderr(self):
        return "\n".join(server.stderr() for server in self.servers)
