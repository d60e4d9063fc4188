"""The requirements of a company's platform team for template.yaml: every role within its boundary, data encrypted with its
key, functions in its network, and TLS for everything. And those for its API: preflights of browsers are answered without a
token, and a limit leaves executions for other functions.

As in template_rules.py, every rule yields one sentence for each breach.
"""

import pathlib
import re

from function_rules import policies_of
from intrinsics import Stack
from template_expansion import as_list, of_type, referred

BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"

DEPLOYING = pathlib.Path(__file__).parents[2] / "internal/operate/DEPLOYING.md"


def shown_boundary():
    """The policy that DEPLOYING.md shows for PermissionsBoundaryArn, a text."""
    return re.search(r"\*\*Permissions boundary.*?```json\n(.*?)```", DEPLOYING.read_text(), re.DOTALL)[1]


def roles_are_within_the_boundary(template):
    bounded, unbounded = Stack(template, {"PermissionsBoundaryArn": BOUNDARY}), Stack(template, {})
    for name, role in of_type(template, "AWS::IAM::Role").items():
        if bounded.resolve(role["Properties"]).get("PermissionsBoundary") != BOUNDARY:
            yield f"{name}: PermissionsBoundaryArn does not bound it"
        if "PermissionsBoundary" in unbounded.resolve(role["Properties"]):
            yield f"{name}: has a boundary that no parameter names"


def actions_of_roles(template):
    return {
        action
        for role in of_type(template, "AWS::IAM::Role")
        for policy in policies_of(template, role)
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
    }


def refuses_the_clear(statement, queue):
    return (
        statement["Effect"] == "Deny" and statement["Principal"] == "*" and statement["Action"] == "sqs:*"
        and referred(statement["Resource"]) == queue
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    )


def queues_want_tls(template):
    policies = {}  # queue: its policies. A second one replaces the first
    for policy in of_type(template, "AWS::SQS::QueuePolicy").values():
        for queue in policy["Properties"]["Queues"]:
            policies.setdefault(referred(queue), []).append(policy["Properties"]["PolicyDocument"])
    for queue in of_type(template, "AWS::SQS::Queue"):
        of_queue = policies.get(queue, [])
        if len(of_queue) > 1:
            yield f"{queue}: has {len(of_queue)} policies, of which SQS keeps one"
        if not any(refuses_the_clear(statement, queue) for document in of_queue for statement in document["Statement"]):
            yield f"{queue}: takes requests without TLS"


# Requests of these routes would go to the authorizer, and browsers send no token with a preflight.
CATCH_PREFLIGHTS = {"options", "x-amazon-apigateway-any-method"}

CORS = {"allowMethods": ["POST"], "allowHeaders": ["authorization", "content-type"], "maxAge": 600}


def browsers_need_no_token_to_ask(template):
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        body = api["Properties"]["Body"]
        condition, cors, _ = body.get("x-amazon-apigateway-cors", {}).get("Fn::If", ("", {}, {}))
        # SAM inserts the parameter's value when it expands the template: company_test.py checks that.
        if condition != "HasOrigins" or "Fn::Split" not in cors.get("allowOrigins", {}) or cors | CORS != cors:
            yield f"{name}: does not answer the pages of AllowedOrigins, and only these"
        for path, methods in body["paths"].items():
            if path == "$default" or CATCH_PREFLIGHTS & methods.keys():
                yield f"{name}: {path} takes preflights, which have no token, to its authorizer"


# The executions of a new account, and the duration of a request for which the template's limits are made.
EXECUTIONS_OF_AN_ACCOUNT = 1000
SLOW_REQUEST_SECONDS = 3


def api_leaves_functions_for_others(template):
    defaults = {name: template["Parameters"][name]["Default"] for name in ("ApiRateLimit", "ApiBurstLimit")}
    for name, stage in of_type(template, "AWS::ApiGatewayV2::Stage").items():
        settings = stage["Properties"].get("DefaultRouteSettings", {})
        if settings != {"ThrottlingRateLimit": {"Ref": "ApiRateLimit"}, "ThrottlingBurstLimit": {"Ref": "ApiBurstLimit"}}:
            yield f"{name}: ApiRateLimit and ApiBurstLimit do not limit it"
        api = template["Resources"][referred(stage["Properties"]["ApiId"])]
        routes = sum(len(methods) for methods in api["Properties"]["Body"]["paths"].values())
        at_once = routes * (defaults["ApiBurstLimit"] + SLOW_REQUEST_SECONDS * defaults["ApiRateLimit"])
        if at_once > EXECUTIONS_OF_AN_ACCOUNT * 0.8:
            yield f"{name}: slow requests may take {at_once} of an account's {EXECUTIONS_OF_AN_ACCOUNT} executions"


def reserved_is_enough(template):
    """Enough for every schedule at the same time, and for the number of batches that the queues start."""
    started = {}  # function: runs at the same time
    for schedule in of_type(template, "AWS::Scheduler::Schedule").values():
        function = referred(schedule["Properties"]["Target"]["Arn"])
        started[function] = started.get(function, 0) + 1
    for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values():
        most = mapping["Properties"].get("ScalingConfig", {}).get("MaximumConcurrency")
        if most:
            function = referred(mapping["Properties"]["FunctionName"])
            started[function] = started.get(function, 0) + most
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        written = {"reserved": function["Properties"].get("ReservedConcurrentExecutions", {"Ref": "AWS::NoValue"})}
        if Stack(template, {}).resolve(written):
            yield f"{name}: has reserved executions although the parameter is off; a new account has too few for that"
        reserved = Stack(template, {"ReserveConcurrency": "true"}).resolve(written).get("reserved")
        if (name in started) != (reserved is not None):
            yield f"{name}: executions may be reserved only for functions that schedules and the hosts' queues start"
        elif reserved and reserved < started[name]:
            yield f"{name}: reserves {reserved}, and {started[name]} may run at the same time"


KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

# What the key of a table or queue must allow callers of DynamoDB and SQS, and their pollers.
USE_OF_A_KEY = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]

# The encryption of each kind of resource: with a key, and without.
ENCRYPTED_WITH = {
    "AWS::DynamoDB::Table": {
        KEY: {"SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}},
        "": {"SSESpecification": {"SSEEnabled": True}},
    },
    "AWS::SQS::Queue": {KEY: {"SqsManagedSseEnabled": False, "KmsMasterKeyId": KEY}, "": {"SqsManagedSseEnabled": True}},
    "AWS::Logs::LogGroup": {KEY: {"KmsKeyId": KEY}, "": {}},
}


def data_is_encrypted_with_the_key(template):
    for kind, wanted in ENCRYPTED_WITH.items():
        names = set().union(*wanted.values())
        for name, resource in of_type(template, kind).items():
            encryption = {p: value for p, value in resource["Properties"].items() if p in names}
            for key, settings in wanted.items():
                if Stack(template, {"KmsKeyArn": key}).resolve(encryption) != settings:
                    yield f"{name}: with {'KmsKeyArn' if key else 'no key'} it is encrypted otherwise"


def added_by(condition, template, role):
    """The statements that a role has only if the condition holds."""
    for policy in template["Resources"][role]["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement.get("Fn::If", [""])[0] == condition:
                yield statement["Fn::If"][1]


def roles_may_use_the_key(template):
    for role in of_type(template, "AWS::IAM::Role"):
        reads = any(a.startswith(("dynamodb:", "sqs:")) for p in policies_of(template, role) for s in p["PolicyDocument"]["Statement"] for a in as_list(s["Action"]))
        wanted = [{"Sid": "UseKey", "Effect": "Allow", "Action": USE_OF_A_KEY, "Resource": {"Ref": "KmsKeyArn"}}] if reads else []
        if list(added_by("HasKey", template, role)) != wanted:
            yield f"{role}: {'may not' if reads else 'need not'} use KmsKeyArn, which its tables and queues are encrypted with"


# Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC": what Lambda does with a function's
# role, and the condition key that prevents the function's own code from doing it.
NETWORK_INTERFACES = {
    "Sid": "HaveNetworkInterfaces",
    "Effect": "Allow",
    "Action": [
        "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
    ],
    "Resource": "*",
    "Condition": {"Null": {"lambda:SourceFunctionArn": "true"}},
}
SUBNETS, GROUPS = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"], ["sg-0a1b2c3d4e5f60003"]


def functions_are_in_the_vpc(template):
    inside = Stack(template, {"VpcSubnetIds": ",".join(SUBNETS), "VpcSecurityGroupIds": ",".join(GROUPS)})
    outside = Stack(template, {"VpcSubnetIds": "", "VpcSecurityGroupIds": ""})
    roles = set()
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        network = {"VpcConfig": function["Properties"].get("VpcConfig", {})}
        if inside.resolve(network) != {"VpcConfig": {"SubnetIds": SUBNETS, "SecurityGroupIds": GROUPS}} or outside.resolve(network):
            yield f"{name}: is not in the VPC that the parameters name, or in one that they do not"
        roles.add(referred(function["Properties"]["Role"]))
    for role in of_type(template, "AWS::IAM::Role"):
        if list(added_by("InVpc", template, role)) != ([NETWORK_INTERFACES] if role in roles else []):
            yield f"{role}: does not allow Lambda the network interfaces of a function in a VPC, or somebody else"


ALL = [
    data_is_encrypted_with_the_key,
    roles_may_use_the_key,
    functions_are_in_the_vpc,
    roles_are_within_the_boundary,
    queues_want_tls,
    browsers_need_no_token_to_ask,
    api_leaves_functions_for_others,
    reserved_is_enough,
]
