"""Checks the make commands in the documents: each target exists, each variable is read by something, and those in blocks,
which users copy, are run by a check."""

import pathlib
import re
import shlex
import subprocess

from servers import ROOT

# Where `make ci` runs a target that is not a check itself: the check, and the file and text that runs it.
RUN_BY = {
    "": ("readme", ".ci/readme/readme_check.py", '["make"]'),
    "run": ("readme", ".ci/readme/readme_check.py", '["make", "run"]'),
    "test": ("test-all", "Makefile", "REQUIRE_ALL=1 .ci/go/test\n"),
    "deploy": ("stack-test", ".ci/stack/stack_test.py", 'make("deploy"'),
    "smoke": ("stack-test", ".ci/stack/stack_test.py", 'make("smoke"'),
    "doctor": ("stack-test", ".ci/stack/stack_test.py", 'make("doctor"'),
    "redrive": ("operation", ".ci/deployment/operator_test.py", 'make("redrive"'),
    "delete-stack": ("stack-test", ".ci/stack/stack_test.py", 'make("delete-stack"'),
}

# Words in capitals that are no variables, and variables that other programs read.
NO_VARIABLES = {"CREATING", "READY", "DELETING", "DELETED", "UNKNOWN", "GET", "PUT", "POST", "DELETE", "OPTIONS"}
READ_BY_OTHERS = {"GODEBUG"}

INLINE = re.compile(r"`((?:[A-Z_]+=\S* )*make(?: [^`]*)?|[A-Z][A-Z_]+(?:=[^`]*)?)`")
SETTING = re.compile(r"([A-Z][A-Z_]*)=(.*)", re.DOTALL)


def parse(command):
    """Its targets, and the variables before and after make. None if it is not a make command."""
    words = shlex.split(command, comments=True)
    settings = {}
    while words and (setting := SETTING.fullmatch(words[0])):
        settings[setting[1]] = setting[2]
        words.pop(0)
    if not words or words.pop(0) != "make":
        return None
    targets = []
    for word in words:
        if setting := SETTING.fullmatch(word):
            settings[setting[1]] = setting[2]
        else:
            targets.append(word)
    return targets, settings


def dry(targets, settings):
    done = subprocess.run(["make", "-n", *targets, *(f"{name}={value}" for name, value in settings.items())], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def files(*patterns):
    return "\n".join(file.read_text() for pattern in patterns for file in sorted(ROOT.glob(pattern)) if file.is_file() and "__pycache__" not in file.parts)


class Commands:
    def __init__(self, makefile=None, template=None):
        self.makefile = makefile or (ROOT / "Makefile").read_text()
        template = template or (ROOT / "template.yaml").read_text()
        section = re.search(r"^Parameters:\n(.*?)^\S", template, re.MULTILINE | re.DOTALL)[1]
        self.parameters = set(re.findall(r"^  (\w+):", section, re.MULTILINE))
        self.programs = files("internal/local/*.go", "internal/operate/*.go", "internal/bench/*.go", ".ci/*", ".ci/*/*")
        self.targets = set(" ".join(re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", self.makefile, re.MULTILINE)).replace("\\", " ").split())
        self.checks = set(dry(["ci"], {})[1].split(".ci/checks ", 1)[1].split())

    def is_read(self, targets, name, value):
        """Whether make passes the variable on, or a program reads it."""
        shown = value or "as-README.md-says"
        status, printed, _ = dry(targets, {name: shown})
        return status == 0 and shown in printed or f'"{name}"' in self.programs or f"${{{name}" in self.programs or name in READ_BY_OTHERS

    def faults(self, command, to_be_run):
        """The faults of a command in a block (to_be_run) or a line."""
        parsed = parse(command)
        if parsed is None:
            yield f"not a make target: {command}"
            return
        targets, settings = parsed
        if unknown := [target for target in targets if target not in self.targets]:
            yield f"the Makefile has no target {', '.join(unknown)}: {command}"
            return
        status, _, errors = dry(targets, {name: value for name, value in settings.items() if "..." not in value})
        if status:
            yield errors
        for name, value in settings.items():
            if not self.is_read(targets, name, value):
                yield f"nothing reads {name}: {command}"
        for pair in shlex.split(settings.get("PARAMETERS", "")):
            if pair.partition("=")[0] not in self.parameters:
                yield f"template.yaml has no parameter {pair.partition('=')[0]}: {command}"
        if to_be_run:
            for target in targets or [""]:
                if not self.is_run(target):
                    yield f"no check is known to run make {target}: {command}"

    def is_run(self, target):
        if target in self.checks:
            return True
        check, file, does = RUN_BY.get(target, ("", "", ""))
        return check in self.checks and does in (ROOT / file).read_text()

    def inline(self, text):
        """The faults of texts in backticks, each with its line. In a row of a table they are about the command at its
        beginning."""
        for number, line in enumerate(text.splitlines(), 1):
            of = []
            if row := re.match(r"\| `(make [a-z-]+)` \|", line):
                of = parse(row[1])[0]
            for found in INLINE.findall(line):
                if re.match(r"(?:\S+=\S* )*make\b", found):
                    yield from ((number, fault) for fault in self.faults(found, False))
                    continue
                name, _, value = found.partition("=")
                if found in NO_VARIABLES or name in READ_BY_OTHERS:
                    continue
                # Outside such a row it may belong to any target.
                if not (self.is_read(of, name, value.strip("'")) if of else f"$({name})" in self.makefile or f'"{name}"' in self.programs):
                    yield number, f"nothing reads {name}: {found}"
