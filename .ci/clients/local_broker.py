"""The local system, on a port of its own and with a token that clients must have."""

import contextlib
import json
import subprocess
import tempfile
import time

import servers
import urllib3

TOKEN = "token-of-the-tests"
SECONDS_TO_WAIT = 60  # far longer than anything here takes


@contextlib.contextmanager
def running(**settings):
    """Settings are variables of `make run`, in addition to its own."""
    with tempfile.TemporaryDirectory(prefix="clients-") as folder:
        program = f"{folder}/local"
        subprocess.run(["go", "build", "-o", program, "./internal/local"], cwd=servers.ROOT, check=True)
        port = servers.free_port()
        settings = {"PORT": str(port), "TOKEN": TOKEN, "STORE": "memory", "STATE_DIR": f"{folder}/hosts"} | settings
        with servers.process("the local system", [program], port, **settings):
            yield Broker(f"http://127.0.0.1:{port}")


class Broker:
    """What a test does behind the API's back, through the control API."""

    def __init__(self, address):
        self.address = address
        self.http = urllib3.PoolManager()

    def control(self, method, path, body=None):
        answer = self.http.request(method, f"{self.address}/local{path}", json=body)
        if answer.status // 100 != 2:
            raise AssertionError(f"{method} /local{path}: {answer.status} {answer.data.decode()}")
        return json.loads(answer.data) if answer.data else None

    def start_session(self, host, session, owner):
        self.control("PUT", f"/hosts/{host}/sessions/{session}", {"Owner": owner})

    def running_on(self, host):
        hosts = self.control("GET", "/hosts")
        return [session["Id"] for h in hosts if h["HostId"] == host for session in h["Sessions"] or []]


def until(what, question):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {SECONDS_TO_WAIT} s: {what}")
        time.sleep(0.05)
    return answer
