"""A `tally serve` process with a data directory of its own."""

import os
import pathlib
import selectors
import shutil
import signal
import subprocess
import tempfile
import time

from interop.expect import Failed

START_SECONDS = 30
STOP_SECONDS = 30


class Server:
    """Starts and stops the server, as often as wanted, on the same data directory.

    As a context manager it is started on entry; on exit it is stopped, what it wrote is verified,
    and its directory is removed.
    """

    def __init__(self, tally, directory=None, **settings):
        self.tally = str(tally)
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="tally-interop-"))
        self.data = self.directory / "data"
        self.log = self.directory / "stderr.log"
        self.settings = settings
        self.host, self.port = "127.0.0.1", 0
        self.process = None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def start(self):
        """Returns when clients can connect. A server that is started again keeps its port."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TALLY_")
        }
        for name, value in self.settings.items():
            environment[f"TALLY_{name.upper()}"] = str(value)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.tally, "serve", "--listen", f"{self.host}:{self.port}"]
                + ["--data", str(self.data)],
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True)
        line = self._first_line()
        # "Listening on HOST:PORT", and perhaps more words.
        words = line.split()
        if words[:2] != ["Listening", "on"]:
            raise Failed(f"the server's first line is {line!r}\n{self.stderr()}")
        self.port = int(words[2].rstrip(".,").rpartition(":")[2])

    def _first_line(self):
        # Read byte by byte: what comes after the line stays in the pipe.
        end = time.monotonic() + START_SECONDS
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(end - time.monotonic(), 0)):
                    self.kill()
                    raise Failed(f"no first line within {START_SECONDS} s\n{self.stderr()}")
                byte = os.read(self.process.stdout.fileno(), 1)
                if not byte:
                    code = self.process.wait()
                    raise Failed(f"the server ended with exit code {code}\n{self.stderr()}")
                line += byte
        return line.decode().strip()

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def memory(self):
        """Bytes of memory that are the server's own: without pages of mapped files."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            values = dict(line.split(":", 1) for line in status)
        return int(values["RssAnon"].split()[0]) << 10

    def stop(self):
        """Asks the server to end, and expects that it does so in order."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"still there {STOP_SECONDS} s after SIGTERM\n{self.stderr()}") from None
        if code != 0:
            raise Failed(f"the server ended with exit code {code}\n{self.stderr()}")

    def kill(self):
        """Ends the server as a crash would."""
        self.process.kill()
        self.process.wait()

    def verify(self):
        """Expects that `tally inspect --verify` finds nothing wrong with what was written."""
        self.run("inspect", "--verify", str(self.data))

    def run(self, *arguments, **options):
        """Runs another of tally's commands; returns what it prints."""
        done = subprocess.run(
            [self.tally, *arguments], capture_output=True, text=True, timeout=120, **options)
        if done.returncode != 0:
            raise Failed(
                f"tally {' '.join(arguments)}: exit code {done.returncode}\n"
                f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def check_connections(self):
        """Expects that it has ended no connection for a reason worth telling."""
        told = [line for line in self.log.read_text().splitlines() if "connection" in line]
        if told:
            raise Failed("the server tells of connections:\n" + "\n".join(told[-20:]))

    def stderr(self):
        """The end of what the server told on standard error."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "server's stderr:\n" + text[-4000:]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.stop()
            self.verify()
            shutil.rmtree(self.directory)
        elif self.is_alive():
            self.kill()
