"""kcat: each call is a process."""

import itertools
import json
import operator
import subprocess

from interop.expect import Failed
from interop.records import Record

NAME = "kcat"
SECONDS = 30


def command(server, *arguments):
    # -F: whoever runs the checks may have settings of his own.
    return ["kcat", "-F", "/dev/null", "-b", server.address, "-m", "20", *map(str, arguments)]


def run(server, *arguments, stdin="", fails=False):
    """Runs kcat to its end; returns what it prints (where it must fail: what it tells)."""
    done = subprocess.run(
        command(server, *arguments), input=stdin, capture_output=True, text=True, timeout=SECONDS)
    if (done.returncode != 0) != fails:
        raise Failed(
            f"kcat {' '.join(map(str, arguments))}: exit code {done.returncode}\n"
            f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stderr if fails else done.stdout


def write(server, topic, records, codec="none", settings=()):
    """Writes records. kcat cannot choose times, and has one set of headers for a call."""
    place = operator.attrgetter("partition", "headers")
    for (partition, headers), group in itertools.groupby(records, place):
        arguments = ["-P", "-t", topic, "-K", "\t", "-Z", "-z", codec]
        if partition is not None:
            arguments += ["-p", partition]
        for name, value in headers:
            arguments += ["-H", f"{name}={value.decode()}"]
        run(server, *arguments, *settings, stdin="".join(map(line, group)))


def line(record):
    value = (record.value or b"").decode()
    return f"{value}\n" if record.key is None else f"{record.key.decode()}\t{value}\n"


def read(server, topic, committed=False, settings=()):
    """Reads all that a topic has at present."""
    isolation = "read_committed" if committed else "read_uncommitted"
    printed = run(
        server, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J",
        "-X", f"isolation.level={isolation}", *settings)
    return parse(printed)


def parse(printed):
    """Records from lines of JSON, which kcat prints with -J."""
    return [record(json.loads(text)) for text in printed.splitlines() if text]


def record(message):
    def coded(text):
        return None if text is None else text.encode()

    # Names and values in turn.
    told = iter(message.get("headers", ()))
    headers = tuple((name, coded(value)) for name, value in zip(told, told))
    return Record(
        coded(message["key"]), coded(message["payload"]), headers, message["ts"],
        message["partition"], message["offset"])
