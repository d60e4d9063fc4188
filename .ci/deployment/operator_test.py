"""`make smoke` and `make doctor` against the system on one machine, as an operator types them."""

import os
import subprocess
import unittest

import local_aws
from servers import ROOT

HOST, OTHER = "i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60002"  # of the demo fleet


def make(*arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", "--no-print-directory", *arguments], cwd=ROOT, env=inherited | environment, capture_output=True, text=True, timeout=300)


class OperatorTest(unittest.TestCase):
    def setUp(self):
        self.system = self.enterContext(local_aws.local_system())
        self.url = f"URL=http://127.0.0.1:{self.system.port}"

    def test_smoke(self):
        before = self.system.control("GET", "sessions")
        done = make("smoke", self.url)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for line in ("ok      get an access token", "ok      wait for DELETED", "ok      the whole path works"):
            self.assertIn(line, done.stdout)
        self.assertEqual(self.system.control("GET", "sessions"), before)

    def test_smoke_of_what_is_not_there(self):
        done = make("smoke", "URL=http://127.0.0.1:1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("FAILED  get an access token", done.stdout)
        self.assertIn("look at ", done.stdout)

    def doctor(self, *arguments):
        return make("doctor", self.url, *arguments, AWS_ENDPOINT_URL_SSM=f"http://127.0.0.1:{self.system.ssm_port}",
                    AWS_ENDPOINT_URL_EC2=f"http://127.0.0.1:{self.system.ec2_port}")

    def test_doctor(self):
        done = self.doctor()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("0 faults", done.stdout)
        for ail, mend, named, says in (
            (["untag"], ["tag"], True, f"FAULT   {HOST} lacks the tag DcvFleet=default"),
            (["untag"], ["tag"], False, f"note    the fleet leaves out {HOST}"),
            (["silence"], ["speak"], False, f"FAULT   {HOST} is ConnectionLost"),
            (["unmanage"], ["manage"], False, f"FAULT   {HOST} is not managed by Systems Manager: its instance profile"),
            (["unmanage", "take-profile"], ["manage", "give-profile"], False, f"FAULT   {HOST} is not managed by Systems Manager: it has no instance profile"),
            (["downgrade"], ["upgrade"], False, f"note    {HOST} has the agent 3.2"),
            (["stop"], ["start"], False, f"note    {HOST} is stopped"),
        ):
            with self.subTest(says):
                for action in ail:
                    self.system.control("POST", f"hosts/{HOST}/{action}")
                done = self.doctor(*([f"HOSTS={HOST} {OTHER}"] if named else []))
                self.assertEqual(done.returncode != 0, says.startswith("FAULT"), done.stdout + done.stderr)
                self.assertIn(says, done.stdout)
                self.assertIn(f"ok      {OTHER}: Linux", done.stdout)
                for action in mend:
                    self.system.control("POST", f"hosts/{HOST}/{action}")
        self.assertIn("0 faults", self.doctor().stdout)


if __name__ == "__main__":
    unittest.main()
