"""python -m interop TALLY: runs all checks, or those whose names contain what --only says."""

import argparse
import importlib
import pathlib
import resource
import shutil
import sys
import time

from interop import checks
from interop.checks import Running, Stage
from interop.cluster import Cluster
from interop.expect import Failed
from interop.server import Server

# A connection is a descriptor here and one in the server, which inherits the limit.
DESCRIPTORS = 8192

MODULES = (
    "test_kcat", "test_confluent", "test_aio", "test_kafka_python", "test_cross", "test_embedded",
    "test_server", "test_restart", "test_readme", "test_cluster")
# What the suite does to a cluster while clients are at work: after how many seconds, and what.
KILLED_AFTER, STARTED_AFTER = 5, 10


class Suite:
    """Runs checks against one server, and tells of each."""

    def __init__(self, server, chosen, jobs):
        self.server = server
        self.chosen = chosen
        self.jobs = jobs
        self.passed = 0
        self.failed = []

    def run(self):
        if not self.step("server.starts", self.server.start):
            return
        self.stage(Stage.FIRST, self.jobs)
        self.stage(Stage.BEFORE_RESTART, 1)
        self.step("server.stops", self.server.stop)
        if self.step("server.starts again", self.server.start):
            self.stage(Stage.AFTER_RESTART, 1)
            self.stage(Stage.LAST, self.jobs)
            self.step("server.stops again", self.server.stop)
        # Clients try again: of an answer that could not be made nobody else may tell.
        self.step("server.has ended no client's connection", self.server.check_connections)
        self.step("server.wrote what inspect --verify finds clean", self.server.verify)

    def run_cluster(self):
        """The checks of a cluster, which loses a member meanwhile and gets it back."""
        if not self.step("server.three members start", self.server.start):
            return
        self.stage(Stage.FAILOVER, len(self.chosen), [
            (KILLED_AFTER, "server.a member is killed", self.server.kill_one),
            (STARTED_AFTER, "server.it is started again", self.server.start_one_again)])
        self.step("server.all replicas are in sync again", self.server.wait_until_in_sync)
        self.step("server.all stop", self.server.stop)
        self.step("server.each wrote what inspect --verify finds clean", self.server.verify)

    def stage(self, stage, jobs, events=()):
        """Runs the checks of a stage, and meanwhile what is due after so many seconds."""
        began, events = time.monotonic(), list(events)
        waiting = [check for check in self.chosen if check.stage == stage]
        under_way = []
        was_alive = self.server.is_alive()
        while waiting or under_way or events:
            if events and time.monotonic() - began >= events[0][0]:
                self.step(*events.pop(0)[1:])
            while waiting and len(under_way) < jobs:
                under_way.append(Running(waiting.pop(0), self.server))
            for running in list(under_way):
                is_over, problem = running.poll()
                if is_over:
                    under_way.remove(running)
                    self.tell(running.check.title, running.seconds, problem)
            time.sleep(0.02)
        if was_alive and not self.server.is_alive():
            self.tell("server.lives on", 0, f"it has ended\n{self.server.stderr()}")

    def step(self, title, action):
        """What the suite does itself is a check too."""
        began = time.monotonic()
        problem = None
        try:
            action()
        except Failed as error:
            problem = str(error)
        self.tell(title, time.monotonic() - began, problem)
        return problem is None

    def tell(self, title, seconds, problem):
        family, _, name = title.partition(".")
        word = "ok" if problem is None else "FAILED"
        print(f"{family:<13} {name:<58} {word:<6} {seconds:6.1f} s", flush=True)
        if problem is None:
            self.passed += 1
            return
        self.failed.append(title)
        for line in problem.splitlines():
            print(f"    | {line}")
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(prog="interop", description=__doc__)
    parser.add_argument("tally", type=pathlib.Path, help="the program")
    parser.add_argument(
        "--only", action="append", default=[], help="a part of FAMILY.CHECK; may be repeated")
    parser.add_argument("--jobs", type=int, default=4, help="how many checks run at a time")
    parser.add_argument("--keep", action="store_true", help="keep the server's directory")
    parser.add_argument(
        "--cluster", action="store_true", help="the checks of a cluster of three, and only they")
    parser.add_argument("--list", action="store_true", help="print the checks' names, and end")
    arguments = parser.parse_args()

    for module in MODULES:
        importlib.import_module(f"interop.{module}")
    chosen = [
        check for check in checks.ALL
        if (check.stage == Stage.FAILOVER) == arguments.cluster
        and (not arguments.only or any(part in check.title for part in arguments.only))]
    if arguments.list:
        print("\n".join(check.title for check in chosen))
        return 0
    if not chosen:
        parser.error("no check has such a name")

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = DESCRIPTORS if allowed == resource.RLIM_INFINITY else min(DESCRIPTORS, allowed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))

    began = time.monotonic()
    server = (Cluster if arguments.cluster else Server)(arguments.tally.resolve())
    suite = Suite(server, chosen, arguments.jobs)
    try:
        if arguments.cluster:
            suite.run_cluster()
        else:
            suite.run()
    finally:
        if server.is_alive():
            server.kill()
    print(f"\n{suite.passed} ok, {len(suite.failed)} failed, {time.monotonic() - began:.0f} s")
    for title in suite.failed:
        print(f"failed: {title}")
    if suite.failed or arguments.keep:
        print(f"The server's directory is {server.directory}")
    else:
        shutil.rmtree(server.directory)
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
