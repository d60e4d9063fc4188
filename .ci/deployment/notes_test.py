"""The notes of a release, for repositories that the test makes."""

import os
import pathlib
import subprocess
import tempfile
import unittest

NOTES = pathlib.Path(__file__).parent / "notes"


class NotesTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        # Without the settings of this machine.
        someone = {f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "GIT_CONFIG_NOSYSTEM": "1", **someone}
        self.git("init", "--quiet", "--initial-branch=main")

    def run_here(self, *command, **variables):
        return subprocess.run(command, cwd=self.folder, env=self.environment | variables, capture_output=True, text=True)

    def git(self, *arguments):
        done = self.run_here("git", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)

    def commit(self, *paragraphs):
        self.git("commit", "--quiet", "--allow-empty", *(part for text in paragraphs for part in ("-m", text)))

    def notes(self, tag, **variables):
        done = self.run_here(str(NOTES), tag, **variables)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        heading, _, commits = done.stdout.partition("\n\n")
        return heading, commits.partition("\n\n")[2].splitlines()

    def test_each_commit_since_the_release_before_with_its_reason(self):
        self.commit("The beginning")
        self.git("tag", "v1.0.0")
        self.commit("A host that is full is asked again", "Its answer was thought complete.\nIt has one more line.")
        self.git("tag", "nightly")
        self.git("checkout", "--quiet", "-b", "side")
        self.commit("On the side")
        self.git("checkout", "--quiet", "main")
        self.commit("Quotes \"of\" all 'kinds' $(id) and 100%", "First.", "Second.")
        self.git("merge", "--quiet", "--no-ff", "-m", "Merge the side", "side")
        self.git("tag", "v1.1.0")
        self.commit("Not released yet")
        heading, commits = self.notes("v1.1.0")
        self.assertEqual(heading, "Changes since v1.0.0:")
        self.assertCountEqual([line for line in commits if line.startswith("- ")], [
            "- Quotes \"of\" all 'kinds' $(id) and 100%", "- On the side", "- A host that is full is asked again"])
        self.assertEqual(commits[-3:], ["- A host that is full is asked again", "  Its answer was thought complete.", "  It has one more line."])
        at = commits.index("- Quotes \"of\" all 'kinds' $(id) and 100%")
        self.assertEqual([line for line in commits[at:at + 4] if line.strip()], ["- Quotes \"of\" all 'kinds' $(id) and 100%", "  First.", "  Second."])
        self.assertEqual(self.notes("v1.0.0"), ("The first release.", ["- The beginning"]))

    def test_releases_before_one_do_not_shorten_its_notes(self):
        for subject, tag in ("One", "v1.0.0"), ("Two", "v1.1.0-rc.1"), ("Three", "v1.1.0-rc.2"), ("Four", "v1.1.0"):
            self.commit(subject)
            self.git("tag", tag)
        self.assertEqual(self.notes("v1.1.0"), ("Changes since v1.0.0:", ["- Four", "- Three", "- Two"]))
        self.assertEqual(self.notes("v1.1.0-rc.2"), ("Changes since v1.1.0-rc.1:", ["- Three"]))

    def test_markdown_shows_what_was_written(self):
        self.commit("dcvbroker drain <host> takes *all* of [its] sessions", "`-y` & a_b_c, and \\\\server.")
        self.git("tag", "v1.0.0")
        self.assertEqual(self.notes("v1.0.0")[1], [
            r"- dcvbroker drain \<host\> takes \*all\* of \[its\] sessions", r"  \`-y\` \& a\_b\_c, and \\\\server."])

    def test_no_longer_than_github_takes(self):
        for n in range(30):
            self.commit(f"Change {n:02}", "x" * 100)
        self.git("tag", "v1.0.0")
        for longest, last in ((10_000, "  " + "x" * 100), (1000, "- Change 00"), (300, "- and ")):
            with self.subTest(longest):
                heading, commits = self.notes("v1.0.0", LONGEST_NOTES=str(longest))
                self.assertLessEqual(len("\n".join((heading, *commits))), longest)
                self.assertEqual(commits[0], "- Change 29")
                self.assertTrue(commits[-1].startswith(last), commits[-1])
        told = sum(line.startswith("- Change") for line in commits)
        self.assertEqual(commits[-1], f"- and {30 - told} earlier commits")

    def test_what_cannot_be_told_is_an_error(self):
        self.commit("One")
        self.commit("Two")
        self.git("tag", "v1.0.0")
        done = self.run_here(str(NOTES), "v9.9.9")
        self.assertEqual((done.returncode, done.stderr), (1, "notes: there is no v9.9.9\n"))
        self.git("clone", "--quiet", "--depth", "1", f"file://{self.folder}", "shallow")
        self.folder = os.path.join(self.folder, "shallow")
        done = self.run_here(str(NOTES), "v1.0.0")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("lacks commits", done.stderr)


if __name__ == "__main__":
    unittest.main()
