"""Each fault of a make command in README.md can be found."""

import unittest
import unittest.mock

import make_commands
import readme_check


class MakeCommandsTest(unittest.TestCase):
    def setUp(self):
        self.commands = make_commands.Commands()

    def test_of_blocks(self):
        for command, expected in {
            "make": None, "make run": None, "make test   # with a word on it": None, "make sam-build sam-invoke": None,
            "make deploy STACK=studio ARCHITECTURE=x86_64 PARAMETERS='ForceMode=purge' TAGS='CostCenter=42'": None,
            "make smoke URL=http://127.0.0.1:8080": None, "make doctor HOSTS='i-1 i-2'": None, "make redrive": None,
            "STORE=dynamodb make run": None,
            "aws s3 ls": "not a make target", "make nothing": "no target nothing", "make deploy STAKC=studio": "nothing reads STAKC",
            "STOER=dynamodb make run": "nothing reads STOER", "make deploy ARCHITECTURE=mips": "ARCHITECTURE is mips",
            "make deploy PARAMETERS='ForcedMode=purge'": "no parameter ForcedMode", "make profile": "no check is known to run make profile",
            "make clean": "no check is known to run make clean",
        }.items():
            with self.subTest(command):
                faults = list(self.commands.faults(command, True))
                if expected is None:
                    self.assertEqual(faults, [])
                else:
                    self.assertEqual(len(faults), 1, faults)
                    self.assertIn(expected, faults[0])

    def test_of_a_check_that_does_not_run_it_any_more(self):
        self.commands.checks.remove("stack-test")
        self.assertIn("no check is known to run make deploy: make deploy", list(self.commands.faults("make deploy", True)))
        self.enterContext(unittest.mock.patch.dict(make_commands.RUN_BY, run=("readme", "Makefile", "nothing like it")))
        self.assertFalse(self.commands.is_run("run"))

    def test_of_lines(self):
        for line, expected in {
            "| `make doctor` | `HOSTS='i-... i-...'` examines these |": [], "| `make delete-stack` | `TABLE=delete` |": [],
            "| `make smoke` | `URL=http://127.0.0.1:8080`, `TOKEN`, `TOKEN_URL` |": [], "`make sim SEED=...` and `TOKEN=... make run`": [],
            "`READY`, `PORT`, `STACK`, `BUILT` and `make` alone": [],
            "| `make redrive` | `TABLE=delete` |": ["nothing reads TABLE: TABLE=delete"], "`make docter`": ["the Makefile has no target docter: make docter"],
            "| `make smoke` | `TOKEM` |": ["nothing reads TOKEM: TOKEM"], "All take `STAKC`": ["nothing reads STAKC: STAKC"],
        }.items():
            with self.subTest(line):
                self.assertEqual([fault for _, fault in self.commands.inline(line)], expected)


class PrintedTest(unittest.TestCase):
    TOLD = "19:51:39.135  SessionId123   DELETING  delete-sessions   i-1  of user1\n19:51:39.164  SessionId123   DELETED   session-stream    i-1  closed\n"

    def test_what_make_run_prints(self):
        printed = "listening\n07:00:00.000  SessionId123  DELETING  delete-sessions  i-1  of user1\nmore\n07:00:00.001  SessionId123  DELETED  session-stream  i-1  closed\n"
        self.assertTrue(readme_check.in_order(self.TOLD, printed))
        for old, new in (("DELETING", "UNKNOWN"), ("closed", "absent"), ("i-1", "i-2"), ("07:00:00.000", "yesterday")):
            self.assertFalse(readme_check.in_order(self.TOLD, printed.replace(old, new)), new)
        self.assertFalse(readme_check.in_order(self.TOLD, "\n".join(reversed(printed.splitlines()))))

    def test_blocks_say_what_they_are(self):
        self.assertEqual(list(readme_check.nameless("```sh make\nmake\n```\n\n```\nprinted\n```\n")), [5])


class LinksTest(unittest.TestCase):
    def test_what_leads_nowhere(self):
        text = "# On call: what now?\n[a](#on-call-what-now) [b](../../README.md#try-it) [c](https://example.com#x)\n[d](#off-call) [e](../../README.md#tri-it)\n[f](nothing.md)\n"
        self.assertEqual(list(readme_check.dead_links("internal/operate/RUNBOOK.md", text)), [(3, "#off-call"), (3, "../../README.md#tri-it"), (4, "nothing.md")])


if __name__ == "__main__":
    unittest.main()
