"""The commands that README gives for other languages do what it says."""

import os
import pathlib
import re
import subprocess
import sys

from interop.checks import check
from interop.expect import Failed, equal, true
from interop.server import Server

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"
SECTION = "Use it from your language"
# Where README has the server listen.
ADDRESS = "127.0.0.1:9092"


def blocks():
    """The section's fenced blocks: language and text."""
    text = README.read_text()
    found = re.search(rf"^(#+) {SECTION}$(.*?)(?=^\1 |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise Failed(f"README has no section '{SECTION}'")
    return re.findall(r"^```(\w*)\n(.*?)^```$", found[2], re.MULTILINE | re.DOTALL)


@check()
def commands_do_what_readme_says(server):
    """Blocks run in their order; a block of language text is what the one before it prints."""
    told = blocks()
    with Server(server.tally) as own:
        printed, count = "", 0
        for language, text in told:
            text = text.replace(ADDRESS, own.address)
            if language == "text":
                equal(printed.strip(), text.strip(), "what is printed")
            elif language in ("sh", "python"):
                printed = run(own, language, text)
                count += 1
        true(count > 0, "the section has no commands")
        for word in ("kcat", "confluent_kafka", "aiokafka", "kafka"):
            true(any(word in text for _, text in told), f"the section says nothing of {word}")


def run(server, language, text):
    if language == "sh":
        # The server runs already, and the clients are installed.
        lines = [
            line for line in text.splitlines()
            if not line.lstrip().startswith(("tally serve", "pip ", "sudo ", "apt"))]
        arguments = ["sh", "-e", "-c", "\n".join(lines)]
    else:
        arguments = [sys.executable, "-c", text]
    folder = os.path.dirname(server.tally)
    # `tally` and `python3` are those of the suite.
    path = os.pathsep.join([folder, os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=60, env=os.environ | {"PATH": path})
    if done.returncode != 0:
        raise Failed(f"{text}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
