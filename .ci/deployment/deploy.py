"""Builds and deploys a stack; `make deploy` runs it, and its variables are make's.

The first time, at a terminal, SAM asks for the region and each parameter, and keeps the answers in samconfig.toml, in a
section named after the stack. From then on that section is what is deployed: parameters and tags given to make are taken
into it. Where there is none (a pipeline, say), parameters that are not given stay as they are in the stack, or are the
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

# CloudFormation hands a stack's tags on to everything in it that can have tags.
TAGS_OF_ALL = {"Project": "dcv-session-broker"}

ARCHITECTURE = "arm64"  # unless chosen


def variable(name):
    return os.environ.get(name, "").strip()


def pairs(text, kind):
    """What samconfig.toml has as SAM's list of Key=Value: a text, or a list of texts."""
    return dict(kind.convert(text, None, None)) if text else {}


def pair(argument):
    key, equals, value = argument.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{argument} is not Key=Value")
    return key, "" if value == '""' else value


def quoted(values):
    """The same, as an argument for each. SAM takes the quotes off again, and the backslash before one in between."""
    return ['{}="{}"'.format(key, value.replace('"', '\\"')) for key, value in values.items()]


class Build:
    """A folder with a template: one that `sam build` or `make release` made, or this checkout."""

    def __init__(self, folder):
        self.template = pathlib.Path(folder, "template.yaml")
        if not self.template.exists():
            sys.exit(f"deploy: {folder} has no template.yaml: BUILT is a folder that a release was unpacked into")
        self.content = yaml_parse(self.template.read_text())
        self.architectures = self.content["Parameters"]["Architecture"]["AllowedValues"]

    def check_names(self, parameters):
        """Ends the program where the template has no such parameter: SAM would ignore it, and say nothing."""
        for name in parameters:
            if name not in self.content["Parameters"]:
                near = difflib.get_close_matches(name, self.content["Parameters"], 1)
                sys.exit(f"deploy: the template has no parameter {name}" + (f": is it {near[0]}?" if near else ""))

    def pin(self, architecture):
        """Has CloudFormation refuse the other processor, which SAM's questions offer still: nothing here is built for it."""
        self.content["Parameters"]["Architecture"] |= {"AllowedValues": [architecture], "Default": architecture}
        self.template.write_text(yaml_dump(self.content))


class Section:
    """What samconfig.toml has for a stack."""

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
    """Ends the program if nothing can be deployed: a build takes minutes."""
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
        if session.get_credentials() is None:
            sys.exit("deploy: there are no credentials for AWS: set AWS_PROFILE, or log in (aws sso login)")
        if session.region_name:
            session.client("sts").get_caller_identity()
        elif not guided:  # else SAM asks for it
            sys.exit("deploy: there is no region: set AWS_REGION, or AWS_PROFILE to a profile that has one")
        return session
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as refusal:
        sys.exit(f"deploy: AWS did not take the credentials: {refusal}")


def check_index_step(session, stack, parameters, template):
    """Ends the program if a step of IndexStep would be skipped. DynamoDB refuses that too, minutes later and in other words."""
    try:
        (there,) = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return  # there is no such stack, or nobody may look
    if there["StackStatus"] == "REVIEW_IN_PROGRESS":
        return  # nothing of it was made
    deployed = {p["ParameterKey"]: p.get("ParameterValue") for p in there.get("Parameters", [])}
    if reason := skipped_index_step(stack, deployed, parameters, template):
        sys.exit(f"deploy: {reason}")


def skipped_index_step(stack, deployed, parameters, template):
    """Why the update skips a step of the stack, which was deployed with those parameters; nothing if it does not."""
    now = int(deployed.get("IndexStep", "0"))  # stacks from before the parameter are at the first
    named = parameters.get("IndexStep") or deployed.get("IndexStep") or "4"
    wanted = int(named) if named.isdigit() else now  # CloudFormation says what it can be
    older = "IndexStep" not in template["Parameters"]
    if older and now > 0:
        return (
            f"the indexes of {stack} are at step {now}, and the release that is to be deployed knows step 0 only: deploy the "
            f"newer one with PARAMETERS='IndexStep={now - 1}' first, down to 0 (internal/operate/DEPLOYING.md, \"Moving the indexes\")"
        )
    if older or abs(wanted - now) <= 1:
        return None
    following = now + 1 if wanted > now else now - 1
    if "IndexStep" not in deployed:
        following = 0  # the new release first, and no index with it
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

    region = variable("AWS_REGION") or variable("AWS_DEFAULT_REGION")  # of which SAM knows the second, and only if none is saved
    session = check_credentials(region or section.settings.get("region"), section.settings.get("profile"), guided)
    folder = variable("BUILT")
    build = Build(folder or ".")
    build.check_names(dict(given.parameters))  # samconfig.toml may have those of a newer release
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
        command.append("--no-confirm-changeset")  # nobody is there to be asked
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
