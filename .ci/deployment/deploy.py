"""Builds and deploys a stack; `make deploy` runs it, and its variables are make's.

The first time, at a terminal, SAM asks for the region and each parameter, and keeps the answers in samconfig.toml, in a
section named after the stack. Later runs deploy that section: parameters and tags given to make are added to it. Where there
is none (a pipeline, say), parameters that are not given stay as they are in the stack, or are the
template's defaults. The region is the environment's, if it names one, as for every other command.
"""

import argparse
import difflib
import os
import pathlib
import subprocess
import sys

import boto3
import botocore.exceptions
import tomlkit
from samcli.cli.types import CfnParameterOverridesType, CfnTags
from samcli.yamlhelper import yaml_dump, yaml_parse

SAM = pathlib.Path(sys.executable).parent / "sam"

# CloudFormation passes a stack's tags on to all its resources that can have tags.
TAGS_OF_ALL = {"Project": "dcv-session-broker"}

ARCHITECTURE = "arm64"  # unless chosen


def variable(name):
    return os.environ.get(name, "").strip()


def pairs(text, kind):
    """SAM's list of Key=Value in samconfig.toml: a text, or a list of texts."""
    return dict(kind.convert(text, None, None)) if text else {}


def pair(argument):
    key, equals, value = argument.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{argument} is not Key=Value")
    return key, "" if value == '""' else value


def quoted(values):
    """The same, as an argument for each. SAM removes the quotes, and a backslash before a quote inside."""
    return ['{}="{}"'.format(key, value.replace('"', '\\"')) for key, value in values.items()]


class Build:
    """A folder with a template: the result of `sam build` or `make release`, or this checkout."""

    def __init__(self, folder):
        self.template = pathlib.Path(folder, "template.yaml")
        if not self.template.exists():
            sys.exit(f"deploy: {folder} has no template.yaml: BUILT must be the folder of an unpacked release")
        self.content = yaml_parse(self.template.read_text())
        self.architectures = self.content["Parameters"]["Architecture"]["AllowedValues"]

    def check_names(self, parameters):
        """Ends the program if the template has no such parameter: SAM would ignore it without a message."""
        for name in parameters:
            if name not in self.content["Parameters"]:
                near = difflib.get_close_matches(name, self.content["Parameters"], 1)
                sys.exit(f"deploy: the template has no parameter {name}" + (f": is it {near[0]}?" if near else ""))

    def pin(self, architecture):
        """Makes CloudFormation refuse the other processor, which SAM's questions still offer: the build is not for it."""
        self.content["Parameters"]["Architecture"] |= {"AllowedValues": [architecture], "Default": architecture}
        self.template.write_text(yaml_dump(self.content))


class Section:
    """The section of a stack in samconfig.toml."""

    def __init__(self, file, stack):
        self.file, self.stack = pathlib.Path(file), stack
        self.document = tomlkit.parse(self.file.read_text()) if self.file.exists() else tomlkit.document()
        settings = self.document.get(stack, {}).get("deploy", {}).get("parameters")
        self.exists = settings is not None
        self.settings = settings or {}
        self.parameters = pairs(self.settings.get("parameter_overrides"), CfnParameterOverridesType())
        self.tags = pairs(self.settings.get("tags"), CfnTags())

    def keep(self, parameters, tags):
        if self.exists and (parameters != self.parameters or tags != self.tags):
            self.settings["parameter_overrides"] = " ".join(quoted(parameters))
            self.settings["tags"] = " ".join(quoted(tags))
            self.file.write_text(tomlkit.dumps(self.document))


def check_credentials(region, profile, guided):
    """Ends the program before the build, which takes minutes, if AWS cannot be called."""
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
        if session.get_credentials() is None:
            sys.exit("deploy: there are no credentials for AWS: set AWS_PROFILE, or log in (aws sso login)")
        if session.region_name:
            session.client("sts").get_caller_identity()
        elif not guided:  # otherwise SAM asks for it
            sys.exit("deploy: there is no region: set AWS_REGION, or AWS_PROFILE to a profile that has one")
        return session
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as refusal:
        sys.exit(f"deploy: AWS did not take the credentials: {refusal}")


def check_index_step(session, stack, parameters, template):
    """Ends the program if a step of IndexStep would be skipped. DynamoDB also refuses that, but minutes later and in other
    words."""
    try:
        (there,) = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return  # there is no such stack, or it may not be read
    if there["StackStatus"] == "REVIEW_IN_PROGRESS":
        return  # it has no resources
    deployed = {p["ParameterKey"]: p.get("ParameterValue") for p in there.get("Parameters", [])}
    if reason := skipped_index_step(stack, deployed, parameters, template):
        sys.exit(f"deploy: {reason}")


def skipped_index_step(stack, deployed, parameters, template):
    """Why the update skips a step of a stack that was deployed with those parameters; nothing if it does not."""
    now = int(deployed.get("IndexStep", "0"))  # stacks from before the parameter are at the first
    named = parameters.get("IndexStep") or deployed.get("IndexStep") or "4"
    wanted = int(named) if named.isdigit() else now  # CloudFormation refuses other values
    older = "IndexStep" not in template["Parameters"]
    if older and now > 0:
        return (
            f"the indexes of {stack} are at step {now}, and the release to deploy has only step 0: deploy the "
            f"newer one with PARAMETERS='IndexStep={now - 1}' first, then down to step 0 (internal/operate/DEPLOYING.md, \"Moving the indexes\")"
        )
    if older or abs(wanted - now) <= 1:
        return None
    following = now + 1 if wanted > now else now - 1
    if "IndexStep" not in deployed:
        following = 0  # the new release first, without a change of an index
    return (
        f"the indexes of {stack} are at step {now}, and an update makes or deletes one index only: deploy with "
        f"PARAMETERS='IndexStep={following}' before step {wanted} (internal/operate/DEPLOYING.md, \"Moving the indexes\")"
    )


def tell_region(section):
    """The other commands do not know samconfig.toml."""
    saved, theirs = section.settings.get("region"), boto3.Session().region_name
    if saved and saved != theirs:
        print(f"deploy: stack {section.stack} is in {saved}; the other commands look in {theirs or 'no region'}: set AWS_REGION={saved} for them")


def main():
    arguments = argparse.ArgumentParser()
    for what in ("parameters", "tags"):
        arguments.add_argument(f"--{what}", nargs="*", type=pair, default=[])
    given = arguments.parse_args()
    stack, file = variable("STACK"), variable("SAMCONFIG")
    section = Section(file, stack)
    parameters = section.parameters | dict(given.parameters)
    tags = TAGS_OF_ALL | section.tags | dict(given.tags)
    guided = {"yes": True, "no": False, "": not section.exists and sys.stdin.isatty()}[variable("GUIDED")]

    region = variable("AWS_REGION") or variable("AWS_DEFAULT_REGION")  # SAM uses only the second, and only if no region is saved
    session = check_credentials(region or section.settings.get("region"), section.settings.get("profile"), guided)
    folder = variable("BUILT")
    build = Build(folder or ".")
    build.check_names(dict(given.parameters))  # samconfig.toml may have parameters of a newer release
    if session.region_name:
        check_index_step(session, stack, parameters, build.content)

    architecture = variable("ARCHITECTURE") or parameters.get("Architecture", ARCHITECTURE)
    if folder:
        if len(build.architectures) == 1:
            if variable("ARCHITECTURE") not in ("", *build.architectures):
                sys.exit(f"deploy: {folder} was built for {build.architectures[0]}, not for {architecture}")
            (architecture,) = build.architectures
    else:
        subprocess.run([SAM, "build", "--parameter-overrides", f"Architecture={architecture}"], check=True)
        build = Build(".aws-sam/build")
        build.pin(architecture)
    parameters["Architecture"] = architecture
    section.keep(parameters, tags)
    command = [
        SAM, "deploy", "--template-file", str(build.template), "--stack-name", stack,
        "--config-file", str(pathlib.Path(file).resolve()), "--config-env", stack if section.exists or guided else "default",
        "--no-fail-on-empty-changeset", "--tags", *quoted(tags), "--parameter-overrides", *quoted(parameters),
    ]
    if region:
        command += ["--region", region]
    if not guided and not sys.stdin.isatty():
        command.append("--no-confirm-changeset")  # there is no terminal to ask on
    if guided:
        command += ["--guided", "--confirm-changeset"]
    status = subprocess.run(command).returncode
    if status == 0 and not region:
        tell_region(Section(file, stack))
    sys.exit(status)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
