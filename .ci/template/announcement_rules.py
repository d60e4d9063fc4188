"""The rules for template.yaml's announcements, from the table's stream to the event bus and the audit trail: pipes lose
nothing for a night, roles of pipes allow exactly what a pipe does, log groups accept what rules send them.

As in template_rules.py, every rule yields one sentence for each breach.
"""

import json

from company_rules import USE_OF_A_KEY
from function_rules import role_allows_just, role_is_taken_only_by, statements_of, text_of
from template_expansion import as_list, of_type, referred

# A stream keeps a record for 24 hours. A pipe tries until shortly before, so that records that it gives up still get to its
# queue, and at least for a night, in which no one may fix the cause.
SHORTEST_TRY_SECONDS = 12 * 3600
LONGEST_TRY_SECONDS = 24 * 3600 - 1800

# Without another bound, retries end with the record's age (EventBridge user guide, "Amazon EventBridge Pipes error
# handling and troubleshooting": whichever is met first). How many fit into it is not documented.
WITHOUT_BOUND = -1

# How long a pipe waits for its enrichment. Not confirmed: AWS does not document it.
ENRICHMENT_SECONDS = 300


def parameters_of(pipe):
    return pipe["Properties"]["SourceParameters"].get("DynamoDBStreamParameters", {})


def pipes_outlast_a_night(template):
    queues = of_type(template, "AWS::SQS::Queue")
    for name, pipe in of_type(template, "AWS::Pipes::Pipe").items():
        stream = parameters_of(pipe)
        if referred(stream.get("DeadLetterConfig", {}).get("Arn")) not in queues:
            yield f"{name}: records that it gives up are lost"
        age = stream.get("MaximumRecordAgeInSeconds", WITHOUT_BOUND)
        if age == WITHOUT_BOUND or age > LONGEST_TRY_SECONDS:
            yield f"{name}: the stream drops a record before the pipe gives it up, so its queue never gets it"
        elif age < SHORTEST_TRY_SECONDS:
            yield f"{name}: gives up after {age} s, so a bus or a permission that is gone for a night loses events"
        if stream.get("MaximumRetryAttempts", WITHOUT_BOUND) != WITHOUT_BOUND:
            yield f"{name}: its retries may end before a night is over"
        if stream.get("BatchSize", 100) != 1:
            yield f"{name}: one record that fails repeats others"
        if stream.get("StartingPosition") != "TRIM_HORIZON":
            yield f"{name}: records that are written while it is created or switched off are missed"


def enrichments_end_before_their_pipes(template):
    functions = of_type(template, "AWS::Lambda::Function")
    for name, pipe in of_type(template, "AWS::Pipes::Pipe").items():
        function = referred(pipe["Properties"].get("Enrichment"))
        if function not in functions:
            yield f"{name}: its enrichment is no function of this template"
        elif functions[function]["Properties"].get("Timeout", 3) >= ENRICHMENT_SECONDS:
            yield f"{function}: Timeout is not below the {ENRICHMENT_SECONDS} s for which {name} waits"


def done_by(pipe):
    """The actions of a pipe from a stream with its role (EventBridge user guide, "Amazon EventBridge Pipes permissions")."""
    p = pipe["Properties"]
    table = referred(p["Source"])
    for action in ("DescribeStream", "GetRecords", "GetShardIterator"):
        yield f"dynamodb:{action}", text_of(p["Source"])
    yield "dynamodb:ListStreams", text_of("*")
    yield "lambda:InvokeFunction", text_of(p.get("Enrichment"))
    yield "events:PutEvents", text_of(p["Target"])
    yield "sqs:SendMessage", text_of(parameters_of(pipe).get("DeadLetterConfig", {}).get("Arn"))
    yield from ((action, text_of({"Ref": "KmsKeyArn"})) for action in USE_OF_A_KEY)


def roles_of_pipes_allow_what_pipes_do(template):
    for name, pipe in of_type(template, "AWS::Pipes::Pipe").items():
        role = referred(pipe["Properties"]["RoleArn"])
        yield from role_allows_just(template, role, name, done_by(pipe))
        yield from role_is_taken_only_by(template, role, name, "pipes")


# Which services write what rules send to a log group, and with which actions (EventBridge user guide, "Use
# resource-based policies for Amazon EventBridge", CloudWatch Logs permissions).
WRITERS = ("events.amazonaws.com", "delivery.logs.amazonaws.com")
WRITES = ("logs:CreateLogStream", "logs:PutLogEvents")


def log_groups_of_rules(template):
    """The rules that send to each log group."""
    sent = {}
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        for target in rule["Properties"]["Targets"]:
            text = target["Arn"].get("Fn::Sub", "") if isinstance(target["Arn"], dict) else target["Arn"]
            _, is_group, group = text.partition(":log-group:")
            if is_group:
                sent.setdefault(group.strip("${}"), []).append(name)
    return sent


def trails_outlive_stacks(template):
    for name in log_groups_of_rules(template):
        group = of_type(template, "AWS::Logs::LogGroup")[name]
        if group.get("DeletionPolicy") != "RetainExceptOnCreate" or group.get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: the audit trail is deleted with the stack, or by a replacement"
        if "AWS::StackId" not in text_of(group["Properties"].get("LogGroupName", "")):
            yield f"{name}: a later stack of the same name could not create its own, since this one stays"


def log_groups_take_what_rules_send(template):
    sent = log_groups_of_rules(template)
    allowed = {
        (writer, action, resource)
        for policy in of_type(template, "AWS::Logs::ResourcePolicy").values()
        for statement in statements_of(policy["Properties"]["PolicyDocument"])
        if statement["Effect"] == "Allow" and "Condition" not in statement
        for writer in as_list(statement["Principal"].get("Service", []))
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    needed = {(w, action, f"${{{group}.Arn}}"): rules for group, rules in sent.items() for w in WRITERS for action in WRITES}
    for writer, action, resource in sorted(needed.keys() - allowed):
        rules = " and ".join(needed[writer, action, resource])
        yield f"{rules}: no policy of CloudWatch Logs allows {writer} {action} on {resource}: the events are lost"
    for writer, action, resource in sorted(allowed - needed.keys()):
        yield f"a policy of CloudWatch Logs allows {writer} {action} on {resource}, which no rule needs"


ALL = [
    pipes_outlast_a_night,
    enrichments_end_before_their_pipes,
    roles_of_pipes_allow_what_pipes_do,
    trails_outlive_stacks,
    log_groups_take_what_rules_send,
]
