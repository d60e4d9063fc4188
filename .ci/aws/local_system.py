"""The local system (internal/local): a broker with simulated hosts, Systems Manager and EC2."""

import contextlib
import json
import tempfile
import urllib.request

from servers import built, free_port, process


class LocalSystem:
    """A running local system, through its control API."""

    def __init__(self, port, ssm_port, ec2_port):
        self.address = f"http://127.0.0.1:{port}"
        self.ssm_port, self.ec2_port = ssm_port, ec2_port

    def control(self, method, path, body=None):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.address}/local/{path}", data, method=method)
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def host_ids(self):
        return [host["HostId"] for host in self.control("GET", "hosts")]

    def host_of(self, session_id):
        """The host that a session runs on, and the session as the host shows it; None if it does not run."""
        for host in self.control("GET", "hosts"):
            for session in host["Sessions"] or []:
                if session["Id"] == session_id:
                    return host["HostId"], session
        return None, None

    def start_session(self, host, session, owner):
        return self.control("PUT", f"hosts/{host}/sessions/{session}", {"Owner": owner})


@contextlib.contextmanager
def running(**settings):
    """Settings are variables of `make run`, in addition to the ports."""
    with tempfile.TemporaryDirectory(prefix="local-system-") as folder:
        local = built("local")
        port, ssm_port, ec2_port = int(settings.get("PORT") or free_port()), free_port(), free_port()
        settings = {
            "PORT": str(port), "SSM_PORT": str(ssm_port), "EC2_PORT": str(ec2_port), "STORE": "memory", "STATE_DIR": f"{folder}/hosts", "LOG": "-", "LOG_LEVEL": "warn",
        } | settings
        with process("the local system", [local], port, **settings):
            yield LocalSystem(port, ssm_port, ec2_port)


def idle():
    """A local system whose functions, which have their own table, do not use the hosts."""
    return running(**{f"{task}_EVERY": "24h" for task in ("DELETIONS", "INVENTORY", "IDLE")})
