"""The commands that README gives for other languages do what it says."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from interop.checks import check
from interop.expect import Failed, equal, true
from interop.server import Server

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"
SECTION = "Use it from your language"
# Where README has the server listen.
ADDRESS = "127.0.0.1:9092"
CLIENTS = ("kcat", "confluent_kafka", "aiokafka", "from kafka import")


def blocks():
    """The section's fenced blocks: language and text."""
    text = README.read_text()
    # To the next heading of its level, or the end. A comment of a shell is no heading.
    found = re.search(rf"^## {SECTION}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise Failed(f"README has no section '## {SECTION}'")
    return re.findall(r"^```(\w*)\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)


@check()
def commands_do_what_readme_says(server):
    """Blocks run in their order; a block of text is what the block before it prints."""
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(server.tally, folder)
        try:
            for language, text in blocks():
                if language == "text":
                    equal(reader.printed.strip(), text.strip(), "what is printed")
                elif language == "python":
                    reader.run([sys.executable, "-c", reader.here(text)])
                elif language == "sh":
                    reader.shell(text)
            reader.end()
        finally:
            reader.clean_up()
    for name in CLIENTS:
        true(name in reader.commands, f"the section has no command with '{name}'")


class Reader:
    """Does what README says, in a folder of its own."""

    def __init__(self, tally, folder):
        self.tally, self.folder = tally, folder
        self.server, self.printed, self.commands = None, "", ""

    def here(self, text):
        """The text with the address that the server really has."""
        self.commands += text
        return text.replace(ADDRESS, self.server.address) if self.server else text

    def shell(self, text):
        """Runs lines one by one, but starts the server where they say so."""
        for line in self.here(text).replace("\\\n", " ").splitlines():
            if line.startswith("tally serve"):
                words = shlex.split(line)
                data = words[words.index("--data") + 1]
                self.server = Server(self.tally)
                self.server.data = pathlib.Path(self.folder, data)
                self.server.start()
            else:
                self.run(["sh", "-e", "-c", line])

    def run(self, arguments):
        # `tally` is the one that is checked.
        path = os.pathsep.join([os.path.dirname(self.tally), os.environ["PATH"]])
        done = subprocess.run(
            arguments, cwd=self.folder, env=os.environ | {"PATH": path}, capture_output=True,
            text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(
                f"{arguments[-1]}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
        self.printed = done.stdout

    def end(self):
        true(self.server is not None, "the section does not start the server")
        self.server.stop()
        self.server.verify()

    def clean_up(self):
        if self.server and self.server.is_alive():
            self.server.kill()
