"""Servers that checks start and stop."""

import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
SECONDS_TO_START = 300

# A check that gets SIGTERM (.ci/checks, a cancelled CI) stops its servers first.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))

# Servers of this machine are not behind a company's proxy in the environment.
os.environ["no_proxy"] = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1,localhost")))
os.environ["NO_PROXY"] = os.environ["no_proxy"]


def built(name):
    """A program of internal/, built: the file. Of several checks, the first builds it, and the others find that it is
    there."""
    file = ROOT / "build" / "checks" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{file}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["go", "build", "-buildvcs=false", "-ldflags=-s", "-o", file, f"./internal/{name}"], cwd=ROOT, check=True)
    return file


held = []  # until this process ends


def free_port():
    """A port for a server to open, again and again if need be. No other program gets it meanwhile: a socket has its address,
    and does not listen. Linux lets a server that sets SO_REUSEADDR, as they all do, listen there; other systems do not."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    if sys.platform == "linux":
        held.append(s)
    return s.getsockname()[1]


def answers(port):
    """The local system opens its port before it has started; it answers later."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=SECONDS_TO_START)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def process(what, command, port, **environment):
    """Runs a server until the end of the block; it has started when it answers HTTP on the port. Yields a function for what
    it has printed so far."""
    with tempfile.NamedTemporaryFile("w+") as output:
        printed = pathlib.Path(output.name).read_text
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not answers(port):
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
