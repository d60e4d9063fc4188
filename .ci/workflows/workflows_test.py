"""The workflows for GitHub Actions are valid, run the same checks as `make ci`, and have only the permissions that they
need."""

import pathlib
import re
import subprocess
import unittest

import yaml

ROOT = pathlib.Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"

# GitHub's own actions; another one would get the job's permissions.
ACTIONS = r"actions/(checkout|setup-go|setup-java|setup-python)@v[0-9]+"

# The only workflow that another one may call.
CHECKS = "./.github/workflows/ci.yml"

# The permissions of a job in addition to reading the repository.
MAY_WRITE = {"release.yml": {"contents"}}


def complaints(name, workflow):
    # YAML reads "on" as true.
    if not workflow.get("on", workflow.get(True)):
        yield "nothing starts it"
    written = {scope for scope, may in (workflow.get("permissions") or {"all": "write"}).items() if may != "read"}
    if written != MAY_WRITE.get(name, set()):
        yield f"may write {sorted(written)}"
    for job_name, job in workflow["jobs"].items():
        if "uses" in job:
            if job != {"uses": CHECKS}:
                yield f"{job_name}: does something other than call {CHECKS}: {job}"
            continue
        if not re.fullmatch(r"ubuntu-\d\d\.\d\d", job.get("runs-on", "")):
            yield f"{job_name}: runs on {job.get('runs-on')}, which changes by itself"
        if "timeout-minutes" not in job:
            yield f"{job_name}: may hang for hours"
        # A failure must fail the job, and those that need it.
        if {"if", "continue-on-error"} & {key for part in (job, *job["steps"]) for key in part}:
            yield f"{job_name}: may go on, or be left out, where something has failed"
        if "permissions" in job:
            yield f"{job_name}: has permissions of its own"
        for step in job["steps"]:
            if ("uses" in step) == ("run" in step):
                yield f"{job_name}: a step uses an action or runs a script: {step}"
            if not re.fullmatch(ACTIONS, step.get("uses", "actions/checkout@v1")):
                yield f"{job_name}: {step['uses']} is no action of GitHub's by its major version"
            script = step.get("run", "")
            if "${{" in script:
                yield f"{job_name}: an expression is pasted into the script {script!r}; pass it in env"
            parsed = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
            if parsed.returncode != 0:
                yield f"{job_name}: {parsed.stderr.strip()}"


def scripts(workflow):
    return [step.get("run", "") for job in workflow["jobs"].values() for step in job.get("steps", [])]


def unchecked(workflow):
    """The jobs that publish without waiting for the checks."""
    checks = {name for name, job in workflow["jobs"].items() if job.get("uses") == CHECKS}
    for name, job in workflow["jobs"].items():
        needs = job.get("needs", [])
        publishes = any(re.search(r"\bgh\b", step.get("run", "")) for step in job.get("steps", []))
        if publishes and not checks & ({needs} if isinstance(needs, str) else set(needs)):
            yield name


class WorkflowsTest(unittest.TestCase):
    def read(self, name):
        return yaml.safe_load((WORKFLOWS / name).read_text())

    def test_they_are_in_order(self):
        self.assertEqual({file.name for file in WORKFLOWS.iterdir()}, {"ci.yml", "release.yml"})
        for file in WORKFLOWS.iterdir():
            self.assertEqual(list(complaints(file.name, self.read(file.name))), [], file.name)

    def test_checks_are_everybodys(self):
        runs = [script for script in scripts(self.read("ci.yml")) if re.search(r"(^|\s)\.ci/run$", script.strip())]
        self.assertEqual(len(runs), 1)
        self.assertIn("exec make ci", (ROOT / ".ci" / "run").read_text())
        workflow = self.read("ci.yml")
        self.assertEqual(workflow[True], {"push": {"branches": ["main"]}, "pull_request": None, "workflow_call": None})

    def test_a_release_is_built_as_everybody_can(self):
        said = "\n".join(scripts(self.read("release.yml")))
        self.assertIn("make release", said)
        self.assertIn('.ci/deployment/notes "$VERSION" >build/notes.md\n', said)
        self.assertIn("--notes-file build/notes.md build/release/*", said)
        for shortcut in ("SAME_CACHE", "PLATFORMS"):
            self.assertNotIn(shortcut, said)
        made = (ROOT / ".ci" / "deployment" / "release").read_text()
        self.assertIn("PLATFORMS:-" + " ".join(f"{system}/{processor}" for system in ("linux", "darwin", "windows") for processor in ("amd64", "arm64")), made)
        self.assertEqual(self.read("release.yml")[True], {"push": {"tags": ["v*"]}})

    # For functions of an earlier version that run together with today's, and for the notes of a release.
    def test_they_have_the_whole_history(self):
        steps = [step for file in WORKFLOWS.iterdir() for job in self.read(file.name)["jobs"].values() for step in job.get("steps", [])]
        self.assertEqual([step.get("with") for step in steps if "checkout" in step.get("uses", "")], [{"fetch-depth": 0}] * 2)

    def test_nothing_is_released_unchecked(self):
        self.assertTrue(any("gh release create" in script for script in scripts(self.read("release.yml"))))
        self.assertEqual(list(unchecked(self.read("release.yml"))), [])
        text = (WORKFLOWS / "release.yml").read_text()
        for old, new in (("    needs: checks\n", ""), (f"    uses: {CHECKS}", "    uses: ./.github/workflows/another.yml")):
            self.assertIn(old, text)
            self.assertEqual(list(unchecked(yaml.safe_load(text.replace(old, new)))), ["release"])

    # Faults that otherwise only GitHub would report: unknown names, keys in the wrong place.
    def test_github_understands_them(self):
        linter = subprocess.run([".ci/tools/fetch", "actionlint"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        done = subprocess.run([linter, "-no-color", *WORKFLOWS.iterdir()], cwd=ROOT, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_each_complaint_can_be_made(self):
        text = (WORKFLOWS / "ci.yml").read_text()
        for old, new, expected in (
            ("contents: read", "contents: write", "may write ['contents']"),
            ("permissions:\n  contents: read\n", "", "may write ['all']"),
            ("ubuntu-24.04", "ubuntu-latest", "changes by itself"),
            ("    timeout-minutes: 90\n", "", "may hang"),
            ("actions/checkout@v4", "actions/checkout@main", "by its major version"),
            ("actions/checkout@v4", "somebody/checkout@v4", "by its major version"),
            (".ci/run", '.ci/run "${{ github.ref }}"', "is pasted into the script"),
            (".ci/run", ".ci/run )", "syntax error"),
            ("    steps:", "    permissions: {contents: write}\n    steps:", "permissions of its own"),
            ("    steps:", "    if: always()\n    steps:", "where something has failed"),
            ("      - name: Every check", "      - continue-on-error: true\n        name: Every check", "where something has failed"),
            ("jobs:", "jobs:\n  other:\n    uses: somebody/else/.github/workflows/ci.yml@v1", "does something other"),
        ):
            with self.subTest(new):
                self.assertIn(old, text)
                said = list(complaints("ci.yml", yaml.safe_load(text.replace(old, new))))
                self.assertTrue(any(expected in sentence for sentence in said), said)


if __name__ == "__main__":
    unittest.main()
