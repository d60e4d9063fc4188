"""The rules for template.yaml, in addition to those of SAM and cfn-lint. Those for functions are in function_rules.py, for
the API's access in authorization.py, for announcements in announcement_rules.py, for people who deploy in stack_rules.py,
and for companies in company_rules.py.

Every rule reads the expanded template, where what SAM makes can be seen too, and yields one sentence for each breach.
"""

import json
import re

import announcement_rules
import authorization
import company_rules
import function_rules
import stack_rules
from template_expansion import as_list, of_type, parsed, referred

LONGEST_RETENTION_SECONDS = 14 * 24 * 3600

# Systems Manager refuses documents of more than 64 KB with their parameters; this limit leaves room for what it adds.
LARGEST_DOCUMENT_CHARS = 60 * 1024


def queues_lose_nothing(template):
    queues = of_type(template, "AWS::SQS::Queue")
    feeds = {}  # dead-letter queue: its sources
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
    for name, pipe in of_type(template, "AWS::Pipes::Pipe").items():
        for source in pipe["Properties"]["SourceParameters"].values():
            queue = referred(source.get("DeadLetterConfig", {}).get("Arn")) if isinstance(source, dict) else None
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
        # Messages of several queues each go back to their own queue.
        if len({feeder in queues for feeder in feeds.get(name, [])}) > 1:
            yield f"{name}: fed by {' and '.join(feeds[name])}; SQS can redrive only messages from queues"


def queues_take_only_from_their_rules(template):
    queues = of_type(template, "AWS::SQS::Queue")
    rules = {}  # queue: the rules for which EventBridge writes to it
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        for target in rule["Properties"]["Targets"]:
            for arn in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")):
                if referred(arn) in queues:
                    rules.setdefault(referred(arn), set()).add(name)
    let_in = {}
    for name, policy in of_type(template, "AWS::SQS::QueuePolicy").items():
        queues = [referred(queue) for queue in policy["Properties"]["Queues"]]
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            sources = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", [])
            if (
                statement["Principal"] != {"Service": "events.amazonaws.com"}
                or statement["Action"] != "sqs:SendMessage"
                or [referred(statement["Resource"])] != queues
                or not sources
            ):
                yield f"{name}: lets in more, or other, than EventBridge for some rules to its one queue"
            let_in.setdefault(queues[0], set()).update(referred(source) for source in as_list(sources))
    for queue in sorted(rules.keys() | let_in.keys()):
        for rule in sorted(rules.get(queue, set()) - let_in.get(queue, set())):
            yield f"{queue}: its policy does not let in {rule}, which writes to it"
        for rule in sorted(let_in.get(queue, set()) - rules.get(queue, set())):
            yield f"{queue}: its policy lets in {rule}, which does not write to it"


def named_in(template, value):
    """The resources that a value names, by Ref, Fn::GetAtt or Fn::Sub."""
    names = set()
    if isinstance(value, list):
        names = set().union(*(named_in(template, item) for item in value))
    elif isinstance(value, dict):
        text = value["Fn::Sub"] if isinstance(value.get("Fn::Sub"), str) else ""
        names = {referred(value), *re.findall(r"\$\{(\w+)", text)}.union(*(named_in(template, item) for item in value.values()))
    return names & template["Resources"].keys()


def made_before(template, name):
    """The resources that CloudFormation makes, and changes, before this one."""
    found, left = set(), {name}
    while left:
        resource = template["Resources"][left.pop()]
        named = named_in(template, resource.get("Properties", {})) | set(as_list(resource.get("DependsOn", [])))
        left |= named - found
        found |= named
    return found


# What an update narrows in older stacks, and what must be complete by then.
NARROWED_AFTER = {"CommandStatusRule": "FleetAnswersQueuePolicy"}


def events_come_when_they_are_let_in(template):
    """EventBridge does not try an event again that it may not deliver. So the schedules, which send commands to hosts, and the
    pipe, which announces, are made after the rules for the events that follow, and after the policies of their targets."""
    policies = of_type(template, "AWS::SQS::QueuePolicy", "AWS::Logs::ResourcePolicy")
    causes = {"aws.ssm": of_type(template, "AWS::Scheduler::Schedule"), "dcv-session-broker": of_type(template, "AWS::Pipes::Pipe")}
    for rule, resource in of_type(template, "AWS::Events::Rule").items():
        targets = named_in(template, [target["Arn"] for target in resource["Properties"]["Targets"]])
        needed = {rule, *(name for name, policy in policies.items() if targets & named_in(template, policy["Properties"]))}
        for source in resource["Properties"].get("EventPattern", {}).get("source", []):
            for cause in causes.get(source, ()):
                for late in sorted(needed - made_before(template, cause)):
                    yield f"{cause}: may begin before {late}, and lose events of {rule}"
    for name, complete in NARROWED_AFTER.items():
        if complete not in made_before(template, name):
            yield f"{name}: an update may narrow it before {complete}, and lose events"


# A stream's shard serves two readers; a third would cause throttling for all.
READERS_OF_A_STREAM = 2


def streams_have_few_readers(template):
    readers = {}  # table: the readers of its stream
    for name, mapping in of_type(template, "AWS::Lambda::EventSourceMapping").items():
        readers.setdefault(referred(mapping["Properties"]["EventSourceArn"]), []).append(name)
    for name, pipe in of_type(template, "AWS::Pipes::Pipe").items():
        readers.setdefault(referred(pipe["Properties"]["Source"]), []).append(name)
    for table, names in readers.items():
        if table in of_type(template, "AWS::DynamoDB::Table") and len(names) > READERS_OF_A_STREAM:
            yield f"{table}: its stream has more readers than {READERS_OF_A_STREAM}: {', '.join(names)}"


# Tables that may be lost: the hosts' next inventories fill this one again.
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
                yield f"{name}: is deleted with the stack, or by a replacement"
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
    queues_lose_nothing,
    queues_take_only_from_their_rules,
    events_come_when_they_are_let_in,
    streams_have_few_readers,
    table_outlives_mistakes,
    documents_fit,
]


EVERY = ALL + authorization.ALL + function_rules.ALL + announcement_rules.ALL + stack_rules.ALL + company_rules.ALL


def breaches(text, expanded):
    """The breaches of the rules in an expanded template."""
    said = [f"{sentence} ({rule.__name__})" for rule in EVERY for sentence in rule(expanded)]
    return said + list(function_rules.roles_are_of_the_template(parsed(text), expanded))
