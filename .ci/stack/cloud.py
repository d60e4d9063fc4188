"""A simulated AWS: MiniStack (emulator.py) with simulated hosts (internal/local), and what a new user has: a profile in a
configuration, credentials, and certificates."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import urllib.request

import local_system
from servers import ROOT, free_port, process

ACCOUNT = "123456789012"
KEY = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEOFAKEY000", "AWS_SECRET_ACCESS_KEY": "secret"}


class Cloud:
    def __init__(self, port, proxy, folder, fleet, log):
        self.endpoint, self.proxy, self.folder, self.fleet, self.log = f"http://127.0.0.1:{port}", proxy, pathlib.Path(folder), fleet, log

    def user(self, region, of_profile):
        """The environment of a user whose profile names one region and whose shell another."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        (home / "config").write_text(f"[profile work]\nregion = {of_profile}\n")
        keys = "".join(f"{name.lower()} = {value}\n" for name, value in KEY.items())
        (home / "credentials").write_text(f"[work]\n{keys}")
        of_go = ("GOCACHE", "GOMODCACHE", "GOFLAGS", "CGO_ENABLED")
        go = dict(zip(of_go, subprocess.run(["go", "env", *of_go], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()))
        return go | {
            "PATH": os.environ["PATH"], "HOME": str(home), "AWS_CONFIG_FILE": str(home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"), "AWS_PROFILE": "work", "AWS_REGION": region,
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_POLL_DELAY": "0.2",
            "HTTPS_PROXY": self.proxy, "NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": str(self.folder / "authority.pem"),
        }

    def fire(self, schedule):
        """Fires the schedules whose names have the prefix."""
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/_stack/schedules/{schedule}", b"", method="POST"))


@contextlib.contextmanager
def running():
    python = subprocess.run([".ci/tools/fetch", "stack"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    port, proxy = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="stack-test-", ignore_cleanup_errors=True) as folder, local_system.idle() as fleet:
        settings = KEY | {
            "GATEWAY_PORT": str(port), "HTTPS_PORT": str(proxy), "CERTIFICATES": folder, "TMPDIR": folder, "STATE_DIR": f"{folder}/state",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "BIND_HOST": "127.0.0.1", "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true", "MINISTACK_APIGW_JWKS_TIMEOUT_SECONDS": "60",  # seconds for the keys of tokens; 5 are too few on a busy machine
            "CALL_TIMEOUT_SECONDS": "60",  # of the functions: MiniStack answers slowly while it deploys
            "IOT_MTLS_ENABLED": "false", "LOG_LEVEL": "WARNING", "PYTHONDONTWRITEBYTECODE": "1",
            "SSM_URL": f"http://127.0.0.1:{fleet.ssm_port}", "EC2_URL": f"http://127.0.0.1:{fleet.ec2_port}",
        }
        with process("MiniStack", [f"{python}/bin/python", ".ci/stack/emulator.py"], port, **settings) as log:
            yield Cloud(port, f"http://127.0.0.1:{proxy}", folder, fleet, log)
