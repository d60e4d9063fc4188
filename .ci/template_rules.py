"""What template.yaml must keep to, beyond what SAM and cfn-lint know.

Every rule reads the expanded template, where what SAM makes can be seen too, and yields one sentence for each breach.
"""

import json
import re

# Actions that know no resource, so that "*" is all a policy can say.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
ACTIONS_WITHOUT_RESOURCE = {
    "ssm:DescribeInstanceInformation",
    "ec2:DescribeInstances",
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
}

# Resources that end in "*" for a reason: what they end in, and whether a condition must narrow them.
OPEN_RESOURCES = {
    ":instance/*": "the fleet's nodes, narrowed by their tag",
    ":managed-instance/*": "the fleet's nodes outside EC2, narrowed by their tag",
    "/stream/*": "the table's streams, past ones among them",
}
NARROWED = (":instance/*", ":managed-instance/*")

# Without these a stream's mapping retries a bad record for a day, and holds up all behind it.
STREAM_BOUNDS = ("BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "FilterCriteria")

GATEWAY_TIMEOUT_SECONDS = 30
QUEUE_DEFAULT_VISIBILITY_SECONDS = 30
LONGEST_RETENTION_SECONDS = 14 * 24 * 3600

# Systems Manager refuses documents of more than 64 KB, parameters pasted in; this leaves room for what it adds.
LARGEST_DOCUMENT_CHARS = 60 * 1024


def of_type(template, *types):
    return {name: r for name, r in template["Resources"].items() if r["Type"] in types}


def referred(value):
    """The logical ID that a Ref, GetAtt or Sub of one resource names."""
    if not isinstance(value, dict):
        return None
    if "Ref" in value:
        return value["Ref"]
    if "Fn::GetAtt" in value:
        attribute = value["Fn::GetAtt"]
        return attribute.split(".")[0] if isinstance(attribute, str) else attribute[0]
    return None


def as_list(value):
    return value if isinstance(value, list) else [value]


def api_needs_authorization(template):
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        body = api["Properties"].get("Body", {})
        schemes = body.get("components", {}).get("securitySchemes", {})
        for path, methods in body.get("paths", {}).items():
            for method, operation in methods.items():
                named = [scheme for choice in operation.get("security", []) for scheme in choice]
                if not named or any(scheme not in schemes for scheme in named):
                    yield f"{name}: {method.upper()} {path} has no authorizer: anybody can call it"
                if any(not choice for choice in operation.get("security", [])):
                    yield f"{name}: {method.upper()} {path} can be called without its authorizer"
        if not api["Properties"].get("FailOnWarnings"):
            yield f"{name}: set FailOnWarnings, or errors in the API's definition are dropped"
    for name, route in of_type(template, "AWS::ApiGatewayV2::Route").items():
        if route["Properties"].get("AuthorizationType", "NONE") == "NONE":
            yield f"{name}: the route has no authorizer"
    for name, url in of_type(template, "AWS::Lambda::Url").items():
        if url["Properties"].get("AuthType") != "AWS_IAM":
            yield f"{name}: the function's URL is open to anybody"
    for name, permission in of_type(template, "AWS::Lambda::Permission").items():
        if "SourceArn" not in permission["Properties"]:
            yield f"{name}: without SourceArn, the service may invoke the function for anybody"


def functions_are_bounded(template):
    groups = of_type(template, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        if "RetentionInDays" not in group["Properties"]:
            yield f"{name}: no RetentionInDays, so the log is kept (and billed) for ever"
    roles = {}
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        p = function["Properties"]
        if referred(p.get("LoggingConfig", {}).get("LogGroup")) not in groups:
            yield f"{name}: LoggingConfig names no log group of this template"
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


def roles_are_least_privilege(template):
    for name, role in of_type(template, "AWS::IAM::Role").items():
        if role["Properties"].get("ManagedPolicyArns"):
            yield f"{name}: attaches a managed policy; write out what is needed"
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield from statement_is_narrow(f"{name}, {statement.get('Sid', 'a statement')}", statement)


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
            for action in set(actions) - ACTIONS_WITHOUT_RESOURCE:
                yield f"{where}: {action} is allowed on every resource"
        elif "*" in text:
            ending = next((e for e in OPEN_RESOURCES if text.endswith(e)), None)
            if ending is None or text.count("*") > 1:
                yield f"{where}: {text} is open"
            elif ending in NARROWED and not statement.get("Condition"):
                yield f"{where}: {text} is not narrowed by a condition"


def queues_lose_nothing(template):
    queues = of_type(template, "AWS::SQS::Queue")
    feeds = {}  # dead-letter queue: what feeds it
    for name, queue in queues.items():
        target = referred(queue["Properties"].get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        if target:
            feeds.setdefault(target, []).append(name)
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        for target in rule["Properties"]["Targets"]:
            queue = referred(target.get("DeadLetterConfig", {}).get("Arn"))
            if queue not in queues:
                yield f"{name}: its target {target['Id']} has no dead-letter queue"
            feeds.setdefault(queue, []).append(name)
    for name, mapping in of_type(template, "AWS::Lambda::EventSourceMapping").items():
        queue = referred(mapping["Properties"].get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        if queue:
            feeds.setdefault(queue, []).append(name)
    for name, queue in queues.items():
        p = queue["Properties"]
        if not p.get("SqsManagedSseEnabled") and "KmsMasterKeyId" not in p:
            yield f"{name}: is not encrypted"
        if name not in feeds:
            if "RedrivePolicy" not in p:
                yield f"{name}: has no dead-letter queue, and is none"
        elif p.get("MessageRetentionPeriod") != LONGEST_RETENTION_SECONDS:
            yield f"{name}: a dead-letter queue keeps messages as long as SQS can: {LONGEST_RETENTION_SECONDS} s"
        if len(feeds.get(name, [])) > 1:
            yield f"{name}: fed by {' and '.join(feeds[name])}; SQS can redrive only what came from one place"


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
            if visibility < 6 * function["Timeout"]:
                yield (
                    f"{source}: VisibilityTimeout {visibility} is less than six times "
                    f"the function's time-out of {function['Timeout']} s"
                )
            continue
        for setting in STREAM_BOUNDS:
            if p.get(setting) in (None, False, -1):
                yield f"{name}: {setting} is not set"
        if referred(p.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")) not in queues:
            yield f"{name}: what it gives up on goes nowhere"
        if p.get("StartingPosition") != "TRIM_HORIZON":
            yield f"{name}: records written while it is made or switched off are missed"


# Tables that may be lost: the hosts' next inventory fills this one again.
MADE_ANEW = {"HostsTable"}


def table_outlives_mistakes(template):
    for name, table in of_type(template, "AWS::DynamoDB::Table").items():
        p = table["Properties"]
        if not p.get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name}: is not encrypted with a key of KMS"
        if not p.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name}: has no point-in-time recovery"
        if name not in MADE_ANEW:
            if table.get("DeletionPolicy") != "RetainExceptOnCreate" or table.get("UpdateReplacePolicy") != "Retain":
                yield f"{name}: goes with the stack, or with a replacement"
            if "DeletionProtectionEnabled" not in p:
                yield f"{name}: has no deletion protection"
        if p.get("BillingMode") != "PAY_PER_REQUEST":
            yield f"{name}: costs while idle, and throttles when busy"


def documents_fit(template):
    for name, document in of_type(template, "AWS::SSM::Document").items():
        p = document["Properties"]
        if p.get("UpdateMethod") != "NewVersion":
            yield f"{name}: an update would give it another name, and late events would match nothing"
        text = json.dumps(p["Content"], separators=(",", ":"))
        size = len(text)
        for parameter, spec in p["Content"].get("parameters", {}).items():
            pattern = spec.get("allowedPattern")
            if pattern is None:
                yield f"{name}: parameter {parameter} has no allowedPattern: anything could be pasted into the script"
            elif not (pattern.startswith("^") and pattern.endswith("$")):
                yield f"{name}: the pattern of {parameter} is not bound at both ends"
            elif re.search(r"\(\?[=!<]", pattern):
                yield f"{name}: the pattern of {parameter} looks ahead or behind, which the agent's regexp (RE2) cannot"
            if spec.get("interpolationType") != "ENV_VAR":
                yield f"{name}: parameter {parameter} is pasted into the script even by agents that need not"
            pasted = len(re.findall(r"\{\{\s*" + re.escape(parameter) + r"\s*\}\}", text))
            size += pasted * longest(spec)
        if size > LARGEST_DOCUMENT_CHARS:
            yield f"{name}: {size} characters with its parameters pasted in, more than {LARGEST_DOCUMENT_CHARS}"
        for step in p["Content"]["mainSteps"]:
            if not step["inputs"].get("timeoutSeconds"):
                yield f"{name}: step {step['name']} has no time-out"


def longest(parameter):
    """Characters that a parameter can have: its maxChars, or what a pattern of one bounded repeat allows."""
    if "maxChars" in parameter:
        return int(parameter["maxChars"])
    bounded = re.search(r"\{(?:\d+,)?(\d+)\}\$$", parameter.get("allowedPattern", ""))
    return int(bounded.group(1)) if bounded else LARGEST_DOCUMENT_CHARS


ALL = [
    api_needs_authorization,
    functions_are_bounded,
    roles_are_least_privilege,
    queues_lose_nothing,
    mappings_are_bounded,
    table_outlives_mistakes,
    documents_fit,
]


def breaches(template):
    return [f"{sentence} ({rule.__name__})" for rule in ALL for sentence in rule(template)]
