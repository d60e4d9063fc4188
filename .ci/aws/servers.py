"""Servers that checks start for themselves, and stop."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
SECONDS_TO_START = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def process(what, command, port, **environment):
    """Runs a server until the end of the block; it has started when it listens on the port. Yields a function for what it
    has printed so far."""
    with tempfile.NamedTemporaryFile("w+") as output:
        printed = pathlib.Path(output.name).read_text
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not listens(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{what} does not start:\n{printed()[-3000:]}")
                time.sleep(0.2)
            yield printed
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
