"""Deploys this project's stack to MiniStack, as a new user would, and uses it. Each step is printed with its time; the first
failure ends the test."""

import contextlib
import json
import pathlib
import platform
import shutil
import socket
import subprocess
import time

import breakages
import cloud
import path
import second
import template_expansion
from deployed import Stack, expect
from servers import ROOT

REGION, OF_PROFILE = "eu-central-1", "eu-west-1"
PROCESSOR = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


@contextlib.contextmanager
def step(name):
    began = time.monotonic()
    outcome = "FAILED"
    try:
        yield
        outcome = "ok"
    finally:
        print(f"{outcome:6} {time.monotonic() - began:5.1f} s  {name}", flush=True)


class User:
    """Runs make commands, without a terminal, and with a profile of another region than the shell's."""

    def __init__(self, aws):
        self.environment = aws.user(REGION, OF_PROFILE)
        self.samconfig = pathlib.Path(shutil.copy(ROOT / "samconfig.toml", aws.folder))

    def make(self, *arguments, succeeds=True, **environment):
        command = ["make", "--no-print-directory", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
        expect((done.returncode == 0) == succeeds, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def deploy(self, stack, parameters, *settings):
        pairs = " ".join(f"{name}='{value}'" for name, value in parameters.items())
        self.make("deploy", f"STACK={stack}", f"SAMCONFIG={self.samconfig}", f"PARAMETERS={pairs}", *settings)


def packed(studio, folder):
    """The build that the first make deploy has put into S3, for other stacks: with the template in JSON, which SAM reads far
    faster."""
    folder.mkdir()
    original = studio.client("cloudformation").get_template(StackName="studio", TemplateStage="Original")["TemplateBody"]
    (folder / "template.yaml").write_text(json.dumps(template_expansion.read(original)))
    return f"BUILT={folder}"


def deployed(aws, user):
    """The first stack, from nothing."""
    with step("make deploy, which builds"):
        user.deploy("studio", {}, f"ARCHITECTURE={PROCESSOR}")
        studio = Stack(aws, "studio", REGION)
        expect(user.samconfig.read_text() == (ROOT / "samconfig.toml").read_text(), "samconfig.toml has changed")
        # The build is for one processor, so a parameter cannot change the stack to the other.
        architecture = studio.template()["Parameters"]["Architecture"]
        expect((architecture["AllowedValues"], architecture["Default"]) == ([PROCESSOR], PROCESSOR), architecture)
    for of_path in path.STEPS:
        with step(of_path.__name__):
            of_path(studio, path.PATIENCE)
    return studio


def break_it(studio):
    for breakage, expected in breakages.BREAKAGES.items():
        with step(f"a stack {breakage.__name__.replace('_', ' ')}: the step {expected.__name__} notices it"):
            said = breakages.see_red(studio, breakage, expected)
        print(f"{'':16}as it must: {said[:100]}")


def change(aws, user, studio, built):
    with step("make deploy changes parameters, and the records stay"):
        settings = {"LogLevel": "debug", "CloseIdleAfterMinutes": "10"}
        user.deploy("studio", settings, built)
        changed = Stack(aws, "studio", REGION)
        expect(changed.parameters == studio.parameters | settings, changed.parameters)
        expect(changed.record(path.SESSION)["State"] == "DELETED", changed.record(path.SESSION))
        expect(changed.variables("CleanupFunction")["LOG_LEVEL"] == "debug", changed.variables("CleanupFunction"))
        path.schedules(changed, path.PATIENCE)  # including the schedule of idle sessions, which was off


def second_stack(aws, user, studio, built):
    with step("make deploy of a second stack, with other settings"):
        login, settings = second.settings(studio)
        with user.samconfig.open("a") as file:
            file.write(second.section(studio))
        user.deploy(second.NAME, settings, built)
        another = Stack(aws, second.NAME, REGION)
        second.check_settings(another, settings)
        second.check_resources(another)
        second.check_queues(another)
    with step("use of the second stack"):
        second.use(another, login)
    with step("make smoke of the second stack, with tokens of another issuer"):
        expect("the whole path works" in user.make("smoke", f"STACK={second.NAME}", **login), "")
    with step("make delete-stack of the second stack, which keeps the table"):
        told = user.make("delete-stack", f"STACK={second.NAME}", f"CONFIRM={second.NAME}")
        expect(f"stack {second.NAME} is deleted" in told, told)
        expect(another.record(path.SESSION)["State"] == "READY", "the table is gone")


def operate(user, studio):
    with step("make smoke"):
        expect("the whole path works" in user.make("smoke", "STACK=studio"), "")
    with step("make doctor"):
        told = user.make("doctor", "STACK=studio")
        expect(f"in {REGION}," in told and "0 faults" in told and "answered no inventory" not in told, told)
    with step("make delete-stack"):
        user.make("delete-stack", "STACK=studio", "CONFIRM=other", succeeds=False)
        told = user.make("delete-stack", "STACK=studio", "CONFIRM=studio", "TABLE=delete")
        expect("stack studio is deleted" in told, told)
        tables = studio.client("dynamodb").list_tables()["TableNames"]
        expect(not any(name.startswith("studio-") for name in tables), tables)


def check(aws):
    user = User(aws)
    studio = deployed(aws, user)
    break_it(studio)
    built = packed(studio, aws.folder / "built")
    change(aws, user, studio, built)
    second_stack(aws, user, studio, built)
    operate(user, studio)
    with step("nothing was made in the profile's region"):
        elsewhere = studio.session.client("cloudformation", region_name=OF_PROFILE, endpoint_url=aws.endpoint)
        stacks = elsewhere.list_stacks()["StackSummaries"]
        expect(stacks == [], stacks)


def main():
    socket.setdefaulttimeout(300)  # an emulator that does not answer is a failure, with its output
    began = time.monotonic()
    with contextlib.ExitStack() as ends:
        with step("start MiniStack and the simulated hosts"):
            aws = ends.enter_context(cloud.running())
        try:
            check(aws)
        except Exception:
            print(f"MiniStack said:\n{aws.log()[-5000:]}")
            raise
    print(f"stack-test: done in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
