"""Ways to break the template, each with the step of path.py that has to fail then: a step that does not notice proves
nothing. They change the template after the SAM transform."""

import copy
import json

import path
from deployed import Failure, Stack, expect


def without_permission(resources):
    """delete-sessions may not write to the sessions table."""
    for statement in statements(resources["DeleteSessionsRole"]):
        if "dynamodb:PartiQLUpdate" in statement.get("Action", ""):  # a list, or a single one
            statement["Action"] = "dynamodb:PartiQLSelect"


def with_another_filter(resources):
    """session-stream receives no confirmation."""
    [wanted] = resources["SessionStreamFunctionConfirmations"]["Properties"]["FilterCriteria"]["Filters"]
    wanted["Pattern"] = wanted["Pattern"].replace('"Confirmation"', '"Confirmed"')


def with_another_scope(resources):
    for operations in resources["HttpApi"]["Properties"]["Body"]["paths"].values():
        for operation in operations.values():
            operation["security"] = [{"AccessToken": ["dcv-session-manager/another"]}]


def with_another_input(resources):
    """The schedule of inventories has an unknown task."""
    target = resources["CleanupFunctionInventory"]["Properties"]["Target"]
    target["Input"] = target["Input"].replace('"inventory"', '"inventories"')


BREAKAGES = {
    without_permission: path.deletion, with_another_filter: path.deleted, with_another_scope: path.api,
    with_another_input: path.inventory,
}


def statements(role):
    return [s for policy in role["Properties"]["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def see_red(studio, breakage, expected):
    """Deploys another stack, broken, and expects one step to fail. Returns the failure's text."""
    template = studio.template()
    before = copy.deepcopy(template["Resources"])
    breakage(template["Resources"])
    expect(template["Resources"] != before, "the breakage changes nothing: the template has changed")
    name = breakage.__name__.replace("_", "-")
    s3, cloudformation = studio.client("s3"), studio.client("cloudformation")
    [bucket] = [b["Name"] for b in s3.list_buckets()["Buckets"]]  # sam's
    s3.put_object(Bucket=bucket, Key=name, Body=json.dumps(template))
    cloudformation.create_stack(
        StackName=name, TemplateURL=f"{studio.aws.endpoint}/{bucket}/{name}", Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in studio.parameters.items()])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 1500})
    broken = Stack(studio.aws, name, studio.region)
    studio.aws.fleet.start_session(path.HOST, path.SESSION, path.OWNER)
    for step in path.STEPS:
        if step is not expected:
            step(broken, path.PATIENCE)
            continue
        try:
            step(broken, path.IMPATIENCE)
        except Failure as failure:
            return str(failure)
        break
    raise Failure(f"{expected.__name__} does not fail")
