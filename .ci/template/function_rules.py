"""The rules for the functions of template.yaml: their bounds, roles, sources and schedules. Tests in Go compare their
variables, times and roles with what the programs need: internal/awsenv/template_test.go, and policies_test.go of
internal/local/system.

As in template_rules.py, every rule yields one sentence for each breach.
"""

import json
import re

from template_expansion import as_list, of_type, referred

# Actions without resources, for which a policy can only name "*".
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
ACTIONS_WITHOUT_RESOURCE = {
    "ssm:DescribeInstanceInformation": "lists nodes: which of the hosts can be reached",
    "ssm:GetCommandInvocation": "is asked by the ID of a command, which is no resource",
    "ssm:ListCommandInvocations": "as GetCommandInvocation",
    "ssm:ListCommands": "lists commands: whether the last inventories reached any host",
    "dynamodb:ListStreams": "whether a stream can be named is not certain",
    **dict.fromkeys((
        "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
    ), "of functions in a VPC, by Lambda: company_rules.py has their condition"),
    "ec2:DescribeInstances": "lists instances: which of the hosts are gone. No Describe of EC2 knows a resource",
}

# Resources that may end in "*": their ends, the reason, and whether a condition must narrow them.
OPEN_RESOURCES = {
    ":instance/*": "the fleet's nodes, narrowed by their tag",
    ":managed-instance/*": "the fleet's nodes outside EC2, narrowed by their tag",
}
NARROWED = (":instance/*", ":managed-instance/*")

# Without these a stream's mapping retries a bad record for a day, and delays all later ones.
STREAM_BOUNDS = ("BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "FilterCriteria")

# Old runs of a schedule must not be repeated: after an outage they would all come at the same time.
LATEST_RUN_SECONDS = 60

GATEWAY_TIMEOUT_SECONDS = 30

QUEUE_DEFAULT_VISIBILITY_SECONDS = 30


def functions_are_bounded(template):
    groups = of_type(template, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        if "RetentionInDays" not in group["Properties"]:
            yield f"{name}: no RetentionInDays, so the log is kept (and billed) without end"
    roles = {}
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        p = function["Properties"]
        if referred(p.get("LoggingConfig", {}).get("LogGroup")) not in groups:
            yield f"{name}: LoggingConfig names no log group of this template"
        elif p["LoggingConfig"]["LogFormat"] != "Text" and p["LoggingConfig"].get("ApplicationLogLevel") != "TRACE":
            yield f"{name}: Lambda leaves out lines that LogLevel asks for, since its own level is INFO"
        role = referred(p.get("Role"))
        if role in roles:
            yield f"{name}: shares its role with {roles[role]}"
        roles[role] = name
        if p["Runtime"] != "provided.al2023" or p["Handler"] != "bootstrap":
            yield f"{name}: is not a custom runtime named bootstrap"
        if p.get("Architectures") != [{"Ref": "Architecture"}]:
            yield f"{name}: does not follow the parameter Architecture"
        if not 256 <= p.get("MemorySize", 128) <= 512:
            yield f"{name}: MemorySize is not between 256 and 512"
    behind_api = {
        referred(permission["Properties"]["FunctionName"])
        for permission in of_type(template, "AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    for name in behind_api:
        timeout = template["Resources"][name]["Properties"].get("Timeout", 3)
        if timeout >= GATEWAY_TIMEOUT_SECONDS:
            yield f"{name}: Timeout {timeout} is not below the gateway's {GATEWAY_TIMEOUT_SECONDS} s"


def policies_of(template, role):
    """A role's own policies, and those that a condition adds, with all statements that they may have."""
    added = of_type(template, "AWS::IAM::Policy").values()
    policies = template["Resources"][role]["Properties"].get("Policies", []) + [
        policy["Properties"] for policy in added if role in map(referred, policy["Properties"]["Roles"])
    ]
    for policy in policies:
        statements = [possible for statement in policy["PolicyDocument"]["Statement"] for possible in any_of(statement)]
        yield policy | {"PolicyDocument": policy["PolicyDocument"] | {"Statement": statements}}


def any_of(value):
    """All results of a value, for all its conditions."""
    if "Fn::If" not in value:
        return [] if value == {"Ref": "AWS::NoValue"} else [value]
    return [possible for branch in value["Fn::If"][1:] for possible in any_of(branch)]


# The tags that a host must have to be stopped, and the parameter that allows stopping.
STOPPABLE = {"ec2:ResourceTag/DcvStopWhenEmpty": "true", "ec2:ResourceTag/DcvFleet": {"Ref": "FleetTagValue"}}


def only_tagged_hosts_are_stopped(template):
    for name, resource in template["Resources"].items():
        text = json.dumps(resource)
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::Policy") and "ec2:StopInstances" in text:
            if resource.get("Condition") != "StopEmpty":
                yield f"{name}: hosts can be stopped although StopEmptyHosts is off"
            for statement in resource["Properties"].get("PolicyDocument", {}).get("Statement", []):
                if statement.get("Condition", {}).get("StringEquals") != STOPPABLE:
                    yield f"{name}: hosts can be stopped that are not tagged for it"


def statements_of(document):
    """The policy of a log group is a text, with placeholders."""
    if document and "Fn::Sub" in document:
        document = json.loads(document["Fn::Sub"])
    return document["Statement"] if document else []


def other_policies_are_as_narrow(template):
    """Policies of queues, topics and buses, and of resources that SAM might make."""
    for name in of_type(template, "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group"):
        yield f"{name}: policies belong into the role of their function"
    for name, policy in of_type(template, "AWS::IAM::Policy").items():
        if "Condition" not in policy:
            yield f"{name}: what is always allowed belongs into the role of its function"
    for name, resource in template["Resources"].items():
        for statement in statements_of(resource.get("Properties", {}).get("PolicyDocument")):
            if statement["Effect"] == "Deny":
                continue
            yield from statement_is_narrow(name, statement)
            if statement.get("Principal") in ("*", {"AWS": "*"}):
                yield f"{name}: accepts any principal"


def every_function_has_a_caller(template):
    """The caller must wait longer than the function's time-out. A function without a known caller has no such bound."""
    called = set()
    for kind, callee in (("Permission", "FunctionName"), ("EventSourceMapping", "FunctionName")):
        called |= {referred(r["Properties"][callee]) for r in of_type(template, f"AWS::Lambda::{kind}").values()}
    called |= {referred(s["Properties"]["Target"]["Arn"]) for s in of_type(template, "AWS::Scheduler::Schedule").values()}
    called |= {referred(p["Properties"].get("Enrichment")) for p in of_type(template, "AWS::Pipes::Pipe").values()}
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if "Timeout" not in function["Properties"]:
            yield f"{name}: has no Timeout of its own"
        if name not in called:
            yield f"{name}: nothing in this template calls it, so nothing bounds its time-out"
    for name, permission in of_type(template, "AWS::Lambda::Permission").items():
        if permission["Properties"]["Principal"] != "apigateway.amazonaws.com":
            yield f"{name}: no rule here knows how long {permission['Properties']['Principal']} waits for a function"


def roles_are_least_privilege(template):
    for name, role in of_type(template, "AWS::IAM::Role").items():
        if role["Properties"].get("ManagedPolicyArns"):
            yield f"{name}: attaches a managed policy; write the needed statements instead"
        for policy in policies_of(template, name):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield from statement_is_narrow(f"{name}, {statement.get('Sid', 'a statement')}", statement)


def roles_are_of_the_template(written, template):
    """No role is made by SAM. `written` is the template before its expansion."""
    for name in sorted(of_type(template, "AWS::IAM::Role").keys() - written["Resources"].keys()):
        yield f"{name}: is a role that SAM makes; name one of this template"


def text_of(resource):
    return json.dumps(resource, sort_keys=True)


def role_allows_just(template, role, whose, needed):
    """`needed` are pairs of an action and a resource in the form of text_of."""
    needed = set(needed)
    allowed = {
        (action, text_of(resource))
        for policy in policies_of(template, role)
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    for action, resource in sorted(needed - allowed):
        yield f"{whose}: does {action} on {resource}, which its role does not allow"
    for action, resource in sorted(allowed - needed):
        yield f"{whose}: its role allows {action} on {resource}, which it does not do"


def role_is_taken_only_by(template, role, whose, service):
    for statement in template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
        mine = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount") == {"Ref": "AWS::AccountId"}
        if statement["Principal"] != {"Service": f"{service}.amazonaws.com"} or not mine:
            yield f"{whose}: others than {service} of this account can take its role"


def roles_of_schedules_only_run_their_function(template):
    for name, schedule in of_type(template, "AWS::Scheduler::Schedule").items():
        target = schedule["Properties"]["Target"]
        role = referred(target["RoleArn"])
        yield from role_allows_just(template, role, name, [("lambda:InvokeFunction", text_of(target["Arn"]))])
        yield from role_is_taken_only_by(template, role, name, "scheduler")


def statement_is_narrow(where, statement):
    actions = as_list(statement.get("Action", []))
    if "NotAction" in statement or "NotResource" in statement:
        yield f"{where}: allows all but something"
    for action in actions:
        if "*" in action:
            yield f"{where}: the action {action} is open"
    for resource in as_list(statement.get("Resource", [])):
        text = resource if isinstance(resource, str) else json.dumps(resource.get("Fn::Sub", "")).strip('"')
        if text == "*":
            for action in sorted(set(actions) - set(ACTIONS_WITHOUT_RESOURCE)):
                yield f"{where}: {action} is allowed on every resource"
        elif "*" in text:
            ending = next((e for e in OPEN_RESOURCES if text.endswith(e)), None)
            if ending is None or text.count("*") > 1:
                yield f"{where}: {text} is open"
            elif ending in NARROWED and not statement.get("Condition"):
                yield f"{where}: {text} is not narrowed by a condition"


def mappings_are_bounded(template):
    queues = of_type(template, "AWS::SQS::Queue")
    for name, mapping in of_type(template, "AWS::Lambda::EventSourceMapping").items():
        p = mapping["Properties"]
        function = template["Resources"][referred(p["FunctionName"])]["Properties"]
        if "ReportBatchItemFailures" not in p.get("FunctionResponseTypes", []):
            yield f"{name}: one failed item fails its whole batch"
        source = referred(p["EventSourceArn"])
        if source in queues:
            visibility = queues[source]["Properties"].get("VisibilityTimeout", QUEUE_DEFAULT_VISIBILITY_SECONDS)
            # Six times is what Lambda asks for, so that a batch that Lambda throttles does not come back meanwhile. A source that
            # starts no more than is reserved is not throttled; where nothing is reserved, three times must do.
            least = 3 if p.get("ScalingConfig", {}).get("MaximumConcurrency") else 6
            if visibility < least * function["Timeout"]:
                yield (
                    f"{source}: VisibilityTimeout {visibility} is less than {least} times "
                    f"the function's time-out of {function['Timeout']} s"
                )
            continue
        # Lambda waits for a batch up to the function's time-out, and gives its records up at this age.
        if function["Timeout"] >= p.get("MaximumRecordAgeInSeconds", 0):
            yield f"{name}: the function's time-out of {function['Timeout']} s is not below MaximumRecordAgeInSeconds"
        for setting in STREAM_BOUNDS:
            if p.get(setting) in (None, False, -1):
                yield f"{name}: {setting} is not set"
        if referred(p.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")) not in queues:
            yield f"{name}: records that it gives up are lost"
        if p.get("StartingPosition") != "TRIM_HORIZON":
            yield f"{name}: records that are written while it is created or switched off are missed"


def schedules_are_bounded(template):
    late = {}  # function: Lambda's own retries
    for config in of_type(template, "AWS::Lambda::EventInvokeConfig").values():
        late[referred(config["Properties"]["FunctionName"])] = config["Properties"]
    for name, schedule in of_type(template, "AWS::Scheduler::Schedule").items():
        p = schedule["Properties"]
        target = p["Target"]
        function = referred(target["Arn"])
        if "Name" in p:
            yield f"{name}: has a name, which a second stack would have, too; set OmitName"
        retry = target.get("RetryPolicy", {})
        invoke = late.get(function, {})
        for what, setting, most in (
            (name, retry.get("MaximumEventAgeInSeconds"), LATEST_RUN_SECONDS),
            (name, retry.get("MaximumRetryAttempts"), 1),
            (function, invoke.get("MaximumEventAgeInSeconds"), LATEST_RUN_SECONDS),
            (function, invoke.get("MaximumRetryAttempts"), 0),
        ):
            if setting is None or setting > most:
                yield f"{what}: runs of {name} that are out of date are repeated: {setting}, more than {most}"
        period = seconds_between(p["ScheduleExpression"], template["Parameters"])
        if period is None:
            yield f"{name}: EventBridge Scheduler refuses {p['ScheduleExpression']}, for some parameters at least"
            continue
        timeout = template["Resources"][function]["Properties"].get("Timeout", 3)
        if timeout >= period:
            yield f"{function}: Timeout {timeout} is not below the {period} s between two runs of {name}"


def seconds_between(expression, parameters):
    """The shortest time between two runs; None for a rate that is refused, as rate(1 minutes) is."""
    text = expression.get("Fn::Sub", "") if isinstance(expression, dict) else expression
    rate = re.fullmatch(r"rate\((?:(\d+)|\$\{(\w+)\}) (minutes?)\)", text)
    if not rate:
        return None
    least = int(rate[1] or parameters[rate[2]].get("MinValue", 0))
    if least < 1 or (least == 1) != (rate[3] == "minute") or (rate[2] and rate[3] == "minute"):
        return None
    return 60 * least


ALL = [
    functions_are_bounded,
    roles_are_least_privilege,
    only_tagged_hosts_are_stopped,
    other_policies_are_as_narrow,
    every_function_has_a_caller,
    mappings_are_bounded,
    roles_of_schedules_only_run_their_function,
    schedules_are_bounded,
]
