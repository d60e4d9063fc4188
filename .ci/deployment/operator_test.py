"""`dcvbroker` from an empty folder, `make smoke` and `make doctor` against the system on one machine, and `make redrive`
against a stand-in for AWS, as an operator runs them."""

import os
import subprocess
import tempfile
import time
import unittest

import local_system
import stand_in
from servers import ROOT

HOST, OTHER = "i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60002"  # of the demo fleet


def make(*arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", "--no-print-directory", *arguments], cwd=ROOT, env=inherited | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)


def said_by(done):
    return done.returncode, done.stdout + done.stderr


class OperatorTest(unittest.TestCase):
    def setUp(self):
        self.system = self.enterContext(local_system.idle())
        self.url = f"URL={self.system.address}"

    def test_dcvbroker(self):
        self.assertEqual(make("dcvbroker").returncode, 0)
        empty = self.enterContext(tempfile.TemporaryDirectory())

        def dcvbroker(*arguments):
            environment = {"PATH": os.environ["PATH"], "HOME": empty, "DCVBROKER_URL": self.system.address}
            return subprocess.run([ROOT / "build" / "dcvbroker", *arguments], cwd=empty, env=environment, capture_output=True, text=True, timeout=900)

        done = dcvbroker("get", "SessionId123")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, rf"(?m)^SessionId123  user1  {HOST}  READY ")
        done = dcvbroker("delete", "SessionId123", "SessionIdabc", "--wait")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("SessionIdabc: The requested dcvSession does not exist\n", done.stderr)
        self.assertIn("1 of 1 ended\n", done.stderr)
        self.assertEqual(dcvbroker("delete", "--host", OTHER, "--older-than", "0s").returncode, 0)
        self.assertEqual(dcvbroker("get", "--url", "http://127.0.0.1:1").returncode, 3)
        self.assertEqual(os.listdir(empty), [])

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
        return make("doctor", self.url, *arguments)

    def await_inventory(self):
        """The inventories show whether the hosts' dcv answers."""
        self.system.control("POST", "cleanup/inventory")
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            hosts = self.system.control("GET", "inventories")
            if all(not hosts.get(host, {}).get("CompleteAt", "0001").startswith("0001") for host in (HOST, OTHER)):
                return
            time.sleep(0.1)
        self.fail(f"not answered: {hosts}")

    def test_doctor(self):
        self.await_inventory()
        done = self.doctor()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("0 faults", done.stdout)
        for breaks, repairs, named, says in (
            (["untag"], ["tag"], True, f"FAULT   {HOST} lacks the tag DcvFleet=default"),
            (["untag"], ["tag"], False, f"note    the fleet does not include {HOST}"),
            (["silence"], ["speak"], False, f"FAULT   {HOST} is ConnectionLost"),
            (["unmanage"], ["manage"], False, f"FAULT   {HOST} is not managed by Systems Manager: its instance profile"),
            (["unmanage", "take-profile"], ["manage", "give-profile"], False, f"FAULT   {HOST} is not managed by Systems Manager: it has no instance profile"),
            (["downgrade"], ["upgrade"], False, f"note    {HOST} has the agent 3.2"),
            (["stop"], ["start"], False, f"note    {HOST} is stopped"),
        ):
            with self.subTest(says):
                for action in breaks:
                    self.system.control("POST", f"hosts/{HOST}/{action}")
                done = self.doctor(*([f"HOSTS={HOST} {OTHER}"] if named else []))
                self.assertEqual(done.returncode != 0, says.startswith("FAULT"), done.stdout + done.stderr)
                said = " ".join(done.stdout.split())
                self.assertIn(" ".join(says.split()), said)
                self.assertIn(f"ok {OTHER}: Linux", said)
                for action in repairs:
                    self.system.control("POST", f"hosts/{HOST}/{action}")
        self.assertIn("0 faults", self.doctor().stdout)


class StackTest(unittest.TestCase):
    def setUp(self):
        self.aws = self.enterContext(stand_in.running())
        self.environment = self.aws.environment()
        self.aws.stacks.deployed["studio"] = {"type": "CREATE"}
        self.aws.stacks.outputs["HostEventsDeadLetterQueueUrl"] = "https://sqs.us-east-1.amazonaws.com/123456789012/dead"

    def test_redrive(self):
        self.aws.dead_letters = 2
        status, said = said_by(make("redrive", "STACK=studio", **self.environment))
        self.assertEqual((status, self.aws.dead_letters), (0, 0), said)
        self.assertIn("2 put back", said)
        self.assertIn("no dead letters", said_by(make("redrive", "STACK=studio", **self.environment))[1])
        self.assertNotEqual(said_by(make("redrive", "STACK=another", **self.environment))[0], 0)

    def test_delete_stack_asks(self):
        status, said = said_by(make("delete-stack", "STACK=studio", **self.environment))
        self.assertNotEqual(status, 0)
        self.assertIn("This deletes the stack studio (", said)
        self.assertIn("give --confirm studio (make: CONFIRM=studio)", said)


if __name__ == "__main__":
    unittest.main()
