"""The checks: how they are declared, and how one of them is run.

Every check runs in a process of its own. So a client that hangs in a call can be ended, and
threads that a client leaves behind disturb nobody.
"""

import enum
import os
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from typing import Callable

from interop.expect import Failed

TIMEOUT_SECONDS = 90


class Stage(enum.IntEnum):
    """When a check runs. Checks of a stage run side by side."""

    FIRST = 1
    # Nobody else is at work, before and after the server was stopped and started again.
    BEFORE_RESTART = 2
    AFTER_RESTART = 3
    LAST = 4
    # Of a cluster, of which a member is killed meanwhile.
    FAILOVER = 5


@dataclass(frozen=True)
class Check:
    family: str
    name: str
    body: Callable
    stage: Stage
    timeout: float

    @property
    def title(self):
        return f"{self.family}.{self.name}"


ALL: list[Check] = []


def check(stage=Stage.FIRST, timeout=TIMEOUT_SECONDS):
    """Declares a function of the server to be a check of the family its module is named after."""

    def declare(body):
        family = body.__module__.rpartition(".")[2].removeprefix("test_")
        ALL.append(Check(family, body.__name__, body, stage, timeout))
        return body

    return declare


def check_each(choices, stage=Stage.FIRST, timeout=TIMEOUT_SECONDS):
    """Declares one check for each choice, which the function takes after the server."""

    def declare(body):
        family = body.__module__.rpartition(".")[2].removeprefix("test_")
        for choice in choices:

            def run(server, choice=choice):
                return body(server, choice)

            named = "-".join(map(str, choice)) if isinstance(choice, tuple) else choice
            ALL.append(Check(family, f"{body.__name__}[{named}]", run, stage, timeout))
        return body

    return declare


def told(error):
    """An error, and which lines of the suite led to it; the clients' own lines say little."""
    here = os.path.dirname(__file__)
    lines = [
        f"{os.path.relpath(frame.filename, here)}:{frame.lineno}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(here) and frame.filename != __file__]
    kind = "" if isinstance(error, Failed) else f"{type(error).__qualname__}: "
    return "\n".join([*lines, f"{kind}{error}"])


class Running:
    """A check under way."""

    def __init__(self, check, server):
        self.check = check
        self.began = time.monotonic()
        self.output = tempfile.TemporaryFile()
        sys.stdout.flush()
        self.process = os.fork()
        if self.process == 0:
            self._run(server)

    def _run(self, server):
        code = 1
        try:
            # A group of processes: programs that the check has started end with it.
            os.setsid()
            os.dup2(self.output.fileno(), 1)
            os.dup2(self.output.fileno(), 2)
            self.check.body(server)
            code = 0
        except BaseException as error:
            print(told(error))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit: no thread of a client may keep the process.
            os._exit(code)

    def poll(self):
        """Returns the outcome when there is one: None for success, else what went wrong."""
        process, status = os.waitpid(self.process, os.WNOHANG)
        if process != 0:
            self._end_group()
            code = os.waitstatus_to_exitcode(status)
            return True, None if code == 0 else self._told(f"ended with {code}")
        if self.seconds > self.check.timeout:
            self._end_group()
            os.waitpid(self.process, 0)
            return True, self._told(f"no end within {self.check.timeout} s")
        return False, None

    def _end_group(self):
        try:
            os.killpg(self.process, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _told(self, reason):
        self.output.seek(0)
        text = self.output.read().decode(errors="replace").strip()
        # A client that tries again and again says the same again and again.
        lines = []
        for line in text.splitlines():
            if line not in lines[-6:]:
                lines.append(line)
        return "\n".join(lines[-60:] + [f"({reason})"])

    @property
    def seconds(self):
        return time.monotonic() - self.began
