"""Runs the commands of all documents. A block of shell commands says how, in the word behind its language:

    sh local    in order, against `make run`; a block of JSON or text that follows is what they print
    sh await    the same, again and again until they print it: for what takes a moment
    sh aws      in order, in one shell a file, with the real aws command against a stand-in for AWS (.ci/aws/stand_in.py)
    sh try      run by internal/local (TestWhatReadmeHasToTry), which sets the clock ahead
    sh make     make and make run are run here; of the others make_commands.py knows the check of `make ci` that runs them
    text run    what `make run` has printed meanwhile, other lines in between

What else the documents say of make, in their lines, must exist.
In what is printed, times and UUIDs stand for any, and "..." at the end of a text for any rest."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

import make_commands
import stand_in
from servers import ROOT, free_port, process

NO_SOURCES = {".git", ".tools", ".aws-sam", "build"}
TOKEN, SECRET = "token-of-readme", "secret-of-readme"
WRITTEN_FOR = "http://127.0.0.1:8080"
SECONDS_TO_WAIT = 300
# For older regions this aws command uses another address for SQS, regardless of AWS_ENDPOINT_URL
# (awscli/customizations/overridesslcommonname.py).
REGION = "eu-central-2"
QUEUES = f"https://sqs.{REGION}.amazonaws.com/123456789012/"
FENCE = re.compile(r"^ *```(\w+)(?: (\w+))?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
ANY = [
    re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
    re.compile(r"\d\d:\d\d:\d\d\.\d+"),
]


def documents():
    """All documents. README.md is the first, since the others continue it."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NO_SOURCES]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files if name.endswith(".md")]
    return sorted(found, key=lambda file: (file != "README.md", file))


def blocks(text):
    """Each block as (line, language, word, content)."""
    for match in FENCE.finditer(text):
        yield text[: match.start()].count("\n") + 1, *match.groups()


def nameless(text):
    """The lines of blocks without a language: nothing checks those."""
    fences = [(text[: match.start()].count("\n") + 1, match[1]) for match in re.finditer(r"^ *```(.*)$", text, re.MULTILINE)]
    return (line for line, language in fences[::2] if not language)


def anchors(text):
    """GitHub's names of a text's headings in links."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*?) *$", text, re.MULTILINE)}


def dead_links(file, text):
    """A file's links to files and headings of this project that do not exist, with their lines."""
    for match in re.finditer(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = match[1].partition("#")
        if ":" in path:
            continue
        target = (ROOT / file).parent / path if path else ROOT / file
        if not target.exists() or anchor and anchor not in anchors(target.read_text() if path else text):
            yield text[: match.start()].count("\n") + 1, match[1]


def in_order(told, printed):
    """Whether each line of told is printed, in this order."""
    lines = iter(printed.splitlines())
    return all(any(matches("text", line, other) for other in lines) for line in told.splitlines() if line.strip())


def as_told(told, printed):
    """Compares values of JSON, or texts."""
    if isinstance(told, dict) and isinstance(printed, dict):
        return told.keys() == printed.keys() and all(as_told(told[k], printed[k]) for k in told)
    if isinstance(told, list) and isinstance(printed, list):
        return len(told) == len(printed) and all(map(as_told, told, printed))
    if isinstance(told, str) and isinstance(printed, str):
        return re.fullmatch(pattern(told), printed) is not None
    return told == printed


def pattern(told):
    """A text as a regular expression."""
    told, rest = (told[:-3], ".*") if told.endswith("...") else (told, "")
    expression, at = "", 0
    either = re.compile("|".join(f"({a.pattern})" for a in ANY))
    for match in either.finditer(told):
        expression += re.escape(told[at : match.start()])
        expression += next(a.pattern for a in ANY if a.fullmatch(match.group()))
        at = match.end()
    return expression + re.escape(told[at:]) + rest


def matches(language, told, printed):
    if language != "json":
        return as_told(re.sub(r" +", " ", told.strip()), re.sub(r" +", " ", printed.strip()))
    try:
        return as_told(json.loads(told), json.loads(printed))
    except json.JSONDecodeError:
        return False


def shell(commands, **environment):
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, capture_output=True, text=True, env=os.environ | environment
    )
    return run.returncode, run.stdout, run.stderr


class Check:
    def __init__(self):
        self.faults = []
        self.run = 0
        self.commands = make_commands.Commands()

    def fault(self, place, message):
        """place is a line of a file: FILE:LINE."""
        self.faults.append(f"{place}: {message}")

    def local(self, place, commands, told, address, patient):
        commands = commands.replace(WRITTEN_FOR, address)
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while True:
            status, printed, errors = shell(commands, DCVBROKER_URL=address)
            right = status == 0 and (told is None or matches(*told, printed))
            if right or not patient or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if not right:
            self.fault(place, f"exit status {status}, and printed\n{printed}{errors}")
        self.run += 1

    def make(self, place, commands):
        for command in filter(str.strip, commands.splitlines()):
            for fault in self.commands.faults(command, True):
                self.fault(place, fault)
            if make_commands.parse(command) == ([], {}):
                listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True)
                if listed.returncode or "make run " not in listed.stdout:
                    self.fault(place, f"make lists no targets: {listed.stdout}{listed.stderr}")
        self.run += 1

    def printed(self, place, told, output):
        """output is a function for what `make run` has printed so far."""
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while not in_order(told, output()):
            if time.monotonic() > deadline:
                self.fault(place, f"make run has printed\n{output()}")
                break
            time.sleep(0.2)
        self.run += 1

    def aws(self, files):
        """files has, for each file, the place and the commands of each block."""
        port, dynamodb_port = free_port(), free_port()
        address = f"http://127.0.0.1:{port}"
        settings = {"PORT": str(port), "DYNAMODB_PORT": str(dynamodb_port), "STORE": "dynamodb", "TOKEN": TOKEN, "LOG": os.devnull}
        with (
            process("make run", ["make", "run"], port, **settings), tempfile.TemporaryDirectory() as folder,
            stand_in.running() as aws,
        ):
            aws.stacks.deployed["dcv-session-broker"] = {"type": "CREATE"}
            aws.stacks.outputs = outputs_of_the_template(address)
            aws.client_secret = SECRET
            aws.ports["DynamoDB_20120810"] = dynamodb_port
            for found in files:
                script = "\n".join(f"echo {place} >&2\n{commands}" for place, commands in found)
                status, printed, errors = shell(script, **aws.environment() | {"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION, "AWS_PAGER": "", "HOME": folder})
                if status:
                    self.fault(found[0][0], f"exit status {status}, and printed\n{printed}{errors}")
                self.run += len(found)
        for name, payload in aws.invoked:
            if "task" not in payload:
                self.fault("a block", f"{name} is invoked with {payload}, which is no task")


def outputs_of_the_template(address):
    """The stack's outputs by key, so that a name that the template does not have is not found."""
    text = (ROOT / "template.yaml").read_text()
    names = re.findall(r"^  (\w+):$", text[text.index("\nOutputs:") :], re.MULTILINE)
    outputs = {name: name for name in names}
    outputs |= {name: f"{QUEUES}{name}" for name in names if name.endswith("QueueUrl")}
    return outputs | {
        "ApiUrl": address, "TokenUrl": f"{address}/oauth2/token", "SessionsTableName": "SessionsTable",
    }


def check_file(check, file, output, address):
    """Checks all of a file except its blocks for aws, which it returns."""
    text = (ROOT / file).read_text()
    found, of_aws = list(blocks(text)), []
    for line in nameless(text):
        check.fault(f"{file}:{line}", "a block must name its language")
    for line, fault in check.commands.inline(text):
        check.fault(f"{file}:{line}", fault)
    for line, link in dead_links(file, text):
        check.fault(f"{file}:{line}", f"leads nowhere: {link}")
    for n, (line, language, word, content) in enumerate(found):
        place = f"{file}:{line}"
        if (language, word) == ("text", "run"):
            check.printed(place, content, output)
        if language != "sh":
            continue
        follows = found[n + 1] if n + 1 < len(found) else None
        told = (follows[1], follows[3]) if follows and follows[1] in ("json", "text") and not follows[2] else None
        match word:
            case "local" | "await":
                check.local(place, content, told, address, word == "await")
            case "try":
                pass
            case "make":
                check.make(place, content)
            case "aws":
                of_aws.append((place, content))
            case _:
                check.fault(place, "a block of commands must say how it is checked (.ci/readme/readme_check.py)")
    return of_aws


def main():
    check = Check()
    files = documents()
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with process("make run", ["make", "run"], port, PORT=str(port), STATE_DIR=f"{folder}/hosts", LOG=f"{folder}/log") as output:
            of_aws = [check_file(check, file, output, f"http://127.0.0.1:{port}") for file in files]
    check.aws(list(filter(None, of_aws)))
    print(*check.faults, sep="\n", end="\n" if check.faults else "")
    print(f"{len(files)} documents: {check.run} blocks of commands run, {len(check.faults)} faults")
    sys.exit(bool(check.faults) or check.run == 0)


if __name__ == "__main__":
    main()
