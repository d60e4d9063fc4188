"""Servers are reached with any proxy in the environment, and each ends with its check."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

import servers

SERVED = """
import sys, time, servers
port = servers.free_port()
with servers.process("a server", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port):
    print(port, flush=True)
    time.sleep(600)
"""


class ServersTest(unittest.TestCase):
    def test_check_that_is_told_to_end_stops_its_server(self):
        environment = os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parent), "http_proxy": "http://127.0.0.1:9"}
        check = subprocess.Popen([sys.executable, "-c", SERVED], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        port = check.stdout.readline().strip()
        check.send_signal(signal.SIGTERM)
        said = check.communicate(timeout=120)[1]
        self.assertTrue(port, said)
        self.assertEqual((check.returncode, said), (1, "told to end\n"))
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(port))).close()

    @unittest.skipUnless(sys.platform == "linux", "other systems do not let a server listen where a socket has the address")
    def test_port_of_a_server_is_given_to_no_other_program(self):
        port = servers.free_port()
        with self.assertRaises(OSError), socket.socket() as other:
            other.bind(("127.0.0.1", port))
        for _ in range(2):  # it may be started again
            with servers.process("a server", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port):
                pass


if __name__ == "__main__":
    unittest.main()
