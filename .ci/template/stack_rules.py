"""The rules for people who deploy template.yaml: parameters explain themselves, no name conflicts with another stack's, and
all data is encrypted.

As in template_rules.py, every rule yields one sentence for each breach.
"""

import json
import re

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from company_rules import KEY
from intrinsics import Stack
from template_expansion import of_type, referred

REGION = "us-east-1"

# A parameter's value is bounded by one of these lists.
BOUNDS = (["AllowedValues"], ["AllowedPattern"], ["MinValue", "MaxValue"])

# Names that are unique in an account, or globally, but are not the resource's physical ID in CloudFormation.
NAMES = {
    "AWS::SQS::Queue": ["QueueName"],
    "AWS::SNS::Topic": ["TopicName"],
    "AWS::Events::Rule": ["Name"],
    "AWS::Cognito::UserPoolDomain": ["Domain"],
}

# The encryption of each kind of resource. A function is called with the properties; a text says why there is nothing to set.
# Add a missing kind before it is used.
ENCRYPTION = {
    "AWS::DynamoDB::Table": lambda p: p.get("SSESpecification", {}).get("SSEEnabled") is True,
    "AWS::SQS::Queue": lambda p: p.get("SqsManagedSseEnabled") is True or "KmsMasterKeyId" in p,
    "AWS::SNS::Topic": lambda p: "KmsMasterKeyId" in p,
    "AWS::S3::Bucket": lambda p: "BucketEncryption" in p,
    "AWS::Logs::LogGroup": "CloudWatch Logs encrypts log groups, always",
    "AWS::Lambda::Function": "Lambda encrypts environments and packages, always; no secret is in them",
    "AWS::Cognito::UserPool": "Cognito encrypts its data, always",
    "AWS::Cognito::UserPoolClient": "as its pool",
    "AWS::SSM::Document": "this repository's own text",
    "AWS::Events::EventBus": "EventBridge encrypts what it holds, always",
    "AWS::Events::Archive": "EventBridge encrypts what it holds, always",
    "AWS::CloudWatch::Alarm": "holds no data",
    "AWS::CloudWatch::CompositeAlarm": "holds no data",
    "AWS::CloudWatch::Dashboard": "holds no data",
    "AWS::Logs::MetricFilter": "holds no data",
    "AWS::Logs::QueryDefinition": "holds no data",
    "AWS::Logs::ResourcePolicy": "holds no data",
    "AWS::Pipes::Pipe": "holds no data",
    "AWS::ApiGatewayV2::Api": "holds no data",
    "AWS::ApiGatewayV2::Stage": "holds no data",
    "AWS::Cognito::UserPoolDomain": "holds no data",
    "AWS::Cognito::UserPoolResourceServer": "holds no data",
    "AWS::Events::Rule": "holds no data",
    "AWS::Events::EventBusPolicy": "holds no data",
    "AWS::IAM::Policy": "holds no data",
    "AWS::IAM::Role": "holds no data",
    "AWS::Lambda::EventInvokeConfig": "holds no data",
    "AWS::Lambda::EventSourceMapping": "holds no data",
    "AWS::Lambda::Permission": "holds no data",
    "AWS::SNS::TopicPolicy": "holds no data",
    "AWS::SQS::QueuePolicy": "holds no data",
    "AWS::Scheduler::Schedule": "its input is this repository's own text",
}


def parameters_explain_themselves(template):
    interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface", {})
    grouped = [name for group in interface.get("ParameterGroups", []) for name in group["Parameters"]]
    labels = interface.get("ParameterLabels", {})
    for name, parameter in template["Parameters"].items():
        if grouped.count(name) != 1:
            yield f"{name}: is in {grouped.count(name)} groups of the interface, not in one"
        if not labels.get(name, {}).get("default"):
            yield f"{name}: has no label in the interface"
        if not parameter.get("Description"):
            yield f"{name}: has no description"
        if "Default" not in parameter:
            yield f"{name}: has no default, so that no stack can be created without a value"
        if not any(all(key in parameter for key in keys) for keys in BOUNDS):
            yield f"{name}: may have any value: give it AllowedValues, an AllowedPattern, or MinValue and MaxValue"
    for name in sorted((set(grouped) | set(labels)) - set(template["Parameters"])):
        yield f"{name}: is in the interface, but is no parameter"


def of_this_stack(value, template):
    """Whether a value differs between two stacks: it contains the stack's name, or that of a resource in it."""
    text = json.dumps(value)
    if "AWS::StackName" in text or "AWS::StackId" in text:
        return True
    return referred(value) in template["Resources"]


def names_are_no_other_stacks(template):
    for name, resource in template["Resources"].items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource["Type"]).schema
        identifier = NAMES.get(resource["Type"]) or [
            path.removeprefix("/properties/") for path in schema["primaryIdentifier"] if path not in schema.get("readOnlyProperties", [])
        ]
        given = {p: resource["Properties"][p] for p in identifier if p in resource.get("Properties", {})}
        if given and not any(of_this_stack(value, template) for value in given.values()):
            yield f"{name}: {' and '.join(given)} would be the same in a second stack"


def data_is_encrypted(template):
    for name, resource in template["Resources"].items():
        how = ENCRYPTION.get(resource["Type"])
        if how is None:
            yield f"{name}: nothing in stack_rules.py says how {resource['Type']} is encrypted at rest"
        elif callable(how) and not all(how(Stack(template, {"KmsKeyArn": key}).resolve(resource["Properties"])) for key in ("", KEY)):
            yield f"{name}: its data is not encrypted at rest"


# Cases in which resources are left out: pipes with what belongs to them, and the user pool.
LEFT_OUT = [({}, "il-central-1"), ({"Issuer": "https://login.example.com", "Audience": "one"}, REGION)]


def references(value, stack):
    """The names that a value refers to, with its conditions evaluated."""
    if isinstance(value, list):
        yield from (name for item in value for name in references(item, stack))
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key == "Fn::If":
            inner = inner[1] if stack.condition(inner[0]) else inner[2]
        elif key in ("Ref", "Fn::GetAtt"):
            yield referred(value)
        elif key == "Fn::Sub":
            yield from re.findall(r"\$\{(\w+)", inner if isinstance(inner, str) else inner[0])
        yield from references(inner, stack)


def used(template, stack):
    """The resources that others, or outputs, refer to."""
    made = [(name, r.get("Properties")) for name, r in template["Resources"].items() if stack.creates(name)]
    outputs = [("", o["Value"]) for o in template["Outputs"].values() if "Condition" not in o or stack.condition(o["Condition"])]
    return {other for name, value in made + outputs for other in references(value, stack) if other != name}


def what_is_left_out_leaves_nothing_behind(template):
    """For example a queue that only the pipe writes to."""
    everywhere = used(template, Stack(template, {}))
    for parameters, region in LEFT_OUT:
        stack = Stack(template, parameters, region)
        for name in sorted(everywhere - used(template, stack)):
            if name in template["Resources"] and stack.creates(name):
                yield f"{name}: is made in {region}{' with an Issuer' if parameters else ''}, where nothing uses it"


def arns_are_of_any_partition(template):
    """China and GovCloud have other partitions than aws."""
    for name, resource in template["Resources"].items():
        for arn in sorted(set(re.findall(r"arn:aws[a-z-]*:\w*", json.dumps(resource)))):
            yield f"{name}: {arn} is of one partition; write arn:${{AWS::Partition}}"


def logs_of_the_api_end(template):
    groups = of_type(template, "AWS::Logs::LogGroup")
    for name, stage in of_type(template, "AWS::ApiGatewayV2::Stage").items():
        if referred(stage["Properties"].get("AccessLogSettings", {}).get("DestinationArn")) not in groups:
            yield f"{name}: has no access log in a log group of this template"


ALL = [
    parameters_explain_themselves,
    names_are_no_other_stacks,
    data_is_encrypted,
    what_is_left_out_leaves_nothing_behind,
    arns_are_of_any_partition,
    logs_of_the_api_end,
]
