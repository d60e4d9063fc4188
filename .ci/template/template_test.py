"""The expanded template passes every check, and each check fails on a template that is broken for it."""

import json
import pathlib
import re
import unittest

import company_rules
import regions
import template_expansion
import template_rules
from intrinsics import Stack
from template_expansion import of_type

ROOT = pathlib.Path(__file__).parents[2]
TEMPLATE = (ROOT / "template.yaml").read_text()

# The fault, a pattern with its replacement (for all matches), and the complaint.
BREAKAGES = [
    ("an authorizer nobody defined", r"DefaultAuthorizer: AccessToken", "DefaultAuthorizer: IdToken", "not defined"),
    ("a log without end", r"\n      RetentionInDays: .*", "", "no RetentionInDays"),
    ("a log group of Lambda's own making", r"\n      LoggingConfig: .*", "", "names no log group"),
    ("a log without the level debug", r", ApplicationLogLevel: TRACE", "", "lines that LogLevel asks for"),
    ("a shared role", r"GetAtt HostEventsRole.Arn", "GetAtt DeleteSessionsRole.Arn", "shares its role"),
    ("a role of SAM's", r"\n      Role: .*", "", "managed policy"),
    ("the other processor", r"Architectures: .*", "Architectures: [arm64]", "the parameter Architecture"),
    ("a wait longer than the gateway's", r"Timeout: 29", "Timeout: 31", "not below the gateway's"),
    ("an action on everything", r"Resource: !GetAtt SessionsTable.Arn", "Resource: '*'", "allowed on every resource"),
    ("commands to any node", r"\n +Condition:\n +StringEquals: .*", "", "not narrowed by a condition"),
    ("commands of any document", r"document/\$\{CloseDocument\}", "document/*", "is open"),
    ("an action that does not exist", r"sts:AssumeRole", "sts:AssumeARole", "W3037"),
    ("a queue that shows messages too soon", r"VisibilityTimeout: 181", "VisibilityTimeout: 179", "3 times"),
    ("a queue that loses messages", r"\n      RedrivePolicy:\n.*\n.*", "", "has no dead-letter queue"),
    ("a rule that loses events", r"\n          DeadLetterConfig: .*", "", "has no dead-letter queue"),
    ("one dead-letter queue for all", r"Arn: !GetAtt CommandStatusRuleDeadLetterQueue.Arn",
     "Arn: !GetAtt HostEventsDeadLetterQueue.Arn", "redrive only"),
    ("a short-lived dead letter", r"MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 60", "as long as SQS"),
    ("a queue in the clear", r"\n      SqsManagedSseEnabled: .*\n      KmsMasterKeyId: .*", "\n      DelaySeconds: 0", "not encrypted"),
    ("a table without a key", r"\n      SSESpecification:\n(?:        .*\n)+", "\n", "not encrypted"),
    ("a table without a past", r"\n      PointInTimeRecoverySpecification: .*", "", "point-in-time"),
    ("a table that goes with the stack", r"\n    DeletionPolicy: .*", "", "is deleted with the stack"),
    ("a trail that goes with the stack", r"(?<=AWS::Logs::LogGroup)(\n    Condition: Announce)\n    DeletionPolicy: .*", "\n    Condition: Announce", "audit trail is deleted"),
    ("a trail in a later one's way", r"\{Id: !Select \[2, !Split \[/, !Ref AWS::StackId\]\]\}\n      RetentionInDays",
     "{Id: 1}\n      RetentionInDays", "could not create its own"),
    ("batches that fail whole", r"\n +FunctionResponseTypes: .*", "", "fails its whole batch"),
    ("retries without end", r"\n +MaximumRetryAttempts: 10", "", "MaximumRetryAttempts is not set"),
    ("a batch that is never parted", r"\n +BisectBatchOnFunctionError: true", "", "BisectBatchOnFunctionError"),
    ("failures that go nowhere", r"\n +DestinationConfig:\n.*", "", "are lost"),
    ("a document that changes its name", r"\n      UpdateMethod: NewVersion", "", "another name"),
    ("a parameter too long for its document", r"maxChars: \d+", "maxChars: 61000", "with its parameters pasted in"),
    ("a pattern that hosts cannot read", r"allowedPattern: '\^", "allowedPattern: '^(?=a)", "looks ahead"),
    ("a parameter that may be anything", r"\n +allowedPattern: .*", "", "has no allowedPattern"),
    ("a step without end", r"\n +timeoutSeconds: .*", "", "has no time-out"),
    ("a queue that a rule cannot write to", r"aws:SourceArn: \[.*\]", "aws:SourceArn: !GetAtt CommandStatusRule.Arn",
     "does not let in InstanceStateRule"),
    ("a queue that takes from one rule too many", r"aws:SourceArn: !GetAtt InstanceStateRule.Arn",
     "aws:SourceArn: [!GetAtt CommandStatusRule.Arn, !GetAtt InstanceStateRule.Arn]", "does not write to it"),
    ("a queue that takes from any rule", r"\n +Condition:\n +ArnEquals: .*", "", "lets in more"),
    ("a schedule before its hosts can answer", r"DependsOn: \[HostEventsQueuePolicy, ", "DependsOn: [", "CleanupFunctionDeletions: may begin before HostEventsQueuePolicy"),
    ("a pipe before its audit trail", r"DependsOn: \[AuditRule, AuditLogPolicy\]", "DependsOn: AuditRule", "EndedSessionsPipe: may begin before AuditLogPolicy"),
    ("an update in which no rule has the fleet's answers", r"\n    DependsOn: FleetAnswersQueuePolicy", "", "may narrow it before FleetAnswersQueuePolicy"),
    ("a pipe that loses events", r"\n +DeadLetterConfig: \{Arn: !GetAtt EndedSessionsFailureQueue.Arn\}", "",
     "are lost"),
    ("a pipe that gives up before the morning", r"MaximumRecordAgeInSeconds: 82800", "MaximumRecordAgeInSeconds: 3600", "gone for a night"),
    ("a pipe whose retries end", r"MaximumRetryAttempts: -1", "MaximumRetryAttempts: 10000", "retries may end"),
    ("a pipe that tries for as long as the stream lasts", r"\n +MaximumRecordAgeInSeconds: 82800", "", "before the pipe gives it up"),
    ("a pipe that tries for longer", r"MaximumRecordAgeInSeconds: 82800", "MaximumRecordAgeInSeconds: 86400", "before the pipe gives it up"),
    ("a pipe that misses what came before", r"( +)StartingPosition: TRIM_HORIZON\n( +)# An announcement", "          StartingPosition: LATEST\n          # An announcement",
     "EndedSessionsPipe: records that are written while"),
    ("a batch of which one fails all", r"BatchSize: 1\n", "BatchSize: 10\n", "repeats others"),
    ("a pipe without its function", r"\n      Enrichment: .*", "", "is no function of this template"),
    ("a function that no pipe calls", r"\n      Enrichment: .*", "", "EndedSessionsFunction: nothing in this template calls it"),
    ("a function that works longer than its pipe waits", r"Timeout: 30\n(?= +MemorySize: 256\n.*EndedSessionsLogGroup)", "Timeout: 300\n",
     "for which EndedSessionsPipe waits"),
    ("a pipe's role for any service", r"Principal: \{Service: pipes.amazonaws.com\}", "Principal: {Service: lambda.amazonaws.com}", "can take its role"),
    ("a pipe's role for any account", r"\n +Condition: \{StringEquals: \{aws:SourceAccount: .*", "", "can take its role"),
    ("a pipe that may call another function", r"Action: lambda:InvokeFunction\n( +)Resource: !GetAtt EndedSessionsFunction.Arn",
     "Action: lambda:InvokeFunction\n                Resource: !GetAtt CleanupFunction.Arn", "which it does not do"),
    *((f"a pipe that may not {action}", action, replacement, f"EndedSessionsPipe: does {action}") for action, replacement in (
        ("dynamodb:DescribeStream", "dynamodb:DescribeTable"),
        ("dynamodb:GetRecords", "dynamodb:GetItem"),
        ("dynamodb:GetShardIterator", "dynamodb:GetItem"),
        ("dynamodb:ListStreams", "dynamodb:ListTables"),
        ("lambda:InvokeFunction", "lambda:GetFunction"),
        ("events:PutEvents", "events:PutRule"),
        ("sqs:SendMessage", "sqs:GetQueueUrl"),
    )),
    ("an audit trail without streams", r'"Action": \["logs:CreateLogStream", ', '"Action": [', "events.amazonaws.com logs:CreateLogStream"),
    ("an audit trail without events", r', "logs:PutLogEvents"\], "Resource": "\$\{Audit', '], "Resource": "${Audit', "events.amazonaws.com logs:PutLogEvents"),
    ("an audit trail closed to EventBridge", r'"events.amazonaws.com", "delivery', '"delivery', "allows events.amazonaws.com"),
    ("an audit trail that anything may be done to", r'"logs:PutLogEvents"\], "Resource": "\$\{Audit', '"logs:PutLogEvents", "logs:DeleteLogStream"], "Resource": "${Audit',
     "which no rule needs"),
    ("a policy of another log group", r'"Resource": "\$\{AuditLogGroup.Arn\}"', '"Resource": "${CleanupLogGroup.Arn}"', "the events are lost"),
    ("any host stopped", r"\n +ec2:ResourceTag/DcvStopWhenEmpty: 'true'", "", "not tagged for it"),
    ("hosts stopped without being asked to", r"\n    Condition: StopEmpty", "", "StopEmptyHosts is off"),
    ("a schedule with a role of SAM's", r"\n            RoleArn: !GetAtt CleanupSchedulesRole.Arn\n(?=            ScheduleExpression: rate\(1 minute\)\n +Input: '\{\"task\": \"stop)",
     "\n", "CleanupFunctionStopRole: is a role that SAM makes"),
    ("schedules that run another function", r"(Sid: RunCleanup\n.*\n.*\n +)Resource: .*", "Sid: RunCleanup\n                Effect: Allow\n                Action: lambda:InvokeFunction\n                Resource: !GetAtt HostEventsFunction.Arn",
     "CleanupFunctionIdle: its role allows lambda:InvokeFunction on"),
    ("schedules' role for any account", r"(scheduler.amazonaws.com\}\n.*)\n +Condition: .*", "scheduler.amazonaws.com}\n            Action: sts:AssumeRole",
     "others than scheduler of this account"),
    ("a schedule that only one stack can have", r"OmitName: true", "OmitName: false", "set OmitName"),
    ("runs of long ago", r"RetryPolicy: \{MaximumEventAgeInSeconds: 60", "RetryPolicy: {MaximumEventAgeInSeconds: 600",
     "out of date"),
    ("runs that fail, again and again", r"\n +EventInvokeConfig: .*", "", "out of date"),
    ("a run that lasts until the next", r"Timeout: 55", "Timeout: 60", "between two runs"),
    ("a rate that is refused", r"rate\(1 minute\)", "rate(1 minutes)", "EventBridge Scheduler refuses"),
    ("a parameter of no group", r"Parameters: \[FleetTagValue\]", "Parameters: []", "is in 0 groups"),
    ("a parameter of two groups", r"Parameters: \[FleetTagValue\]", "Parameters: [FleetTagValue, ForceMode]", "is in 2 groups"),
    ("a group of what is no parameter", r"Parameters: \[FleetTagValue\]", "Parameters: [FleetTagValue, Fleet]", "is no parameter"),
    ("a parameter without a label", r"\n      ForceMode: \{default: .*", "", "ForceMode: has no label"),
    ("a parameter without a description", r"\n    Description: The least severe .*", "", "LogLevel: has no description"),
    ("a parameter that must be given", r"\n    Default: purge", "", "ForceMode: has no default"),
    ("a parameter of any value", r"\n    AllowedValues: \[purge.*", "", "ForceMode: may have any value"),
    ("a parameter without an upper bound", r"\n    MaxValue: 1440", "", "may have any value"),
    ("a table that only one stack can have", r"BillingMode: PAY_PER_REQUEST", "TableName: sessions\n      BillingMode: PAY_PER_REQUEST",
     "TableName would be the same"),
    ("a queue that only one stack can have", r"VisibilityTimeout: 181", "QueueName: host-events\n      VisibilityTimeout: 181",
     "QueueName would be the same"),
    ("a log group that only one stack can have", r"/aws/lambda/\$\{AWS::StackName\}/cleanup", "/aws/lambda/cleanup", "LogGroupName would be"),
    ("a domain that only one stack can have", r"\n      Domain: !Sub\n.*\n.*", "\n      Domain: dcv", "Domain would be the same"),
    ("data that nobody thought of", r"\n  HostsTable:\n", "\n  Files: {Type: AWS::EFS::FileSystem, Properties: {Encrypted: true}}\n  HostsTable:\n",
     "how AWS::EFS::FileSystem is encrypted"),
    ("a bucket in the clear", r"\n  HostsTable:\n", "\n  Files: {Type: AWS::S3::Bucket, Properties: {}}\n  HostsTable:\n", "Files: its data is not encrypted"),
    ("commands in one partition only", r"arn:\$\{AWS::Partition\}:ssm", "arn:aws:ssm", "arn:aws:ssm is of one partition"),
    ("an API without a log", r"\n        DestinationArn: !GetAtt HttpApiLogGroup.Arn", "\n        DestinationArn: !GetAtt SessionsTable.Arn", "has no access log"),
    ("a queue that takes from anybody", r"Principal: \{Service: events.amazonaws.com\}", "Principal: '*'", "accepts any principal"),
    ("a policy of every queue", r"Resource: !GetAtt HostEventsQueue.Arn\n            Condition", "Resource: '*'\n            Condition",
     "allowed on every resource"),
    ("a policy outside the roles", r"\n  HostsTable:\n", "\n  More: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: {Statement: []}}}\n  HostsTable:\n",
     "belong into the role"),
    ("a function that nobody calls", r"\n      Events:\n        Confirmations:\n(?:          .*\n)*", "\n", "nothing in this template calls it"),
    ("a time-out that is left to Lambda", r"\n      Timeout: 55", "", "has no Timeout of its own"),
    ("a caller nobody knows", r"\n        Deletions:\n          Type: ScheduleV2\n(?:          .*\n)*",
     "\n        Deletions:\n          Type: Schedule\n          Properties: {Schedule: rate(1 minute)}\n", "no rule here knows how long events.amazonaws.com"),
    ("records given up while they are worked on", r"MaximumRecordAgeInSeconds: 3600\n( +DestinationConfig)", "MaximumRecordAgeInSeconds: 30\n            DestinationConfig",
     "is not below MaximumRecordAgeInSeconds"),
    ("a pipe in a region without", r"\n      - !Equals \[!Ref AWS::Region, il-central-1\]", "", "E3006: Resource type 'AWS::Pipes::Pipe' does not exist in 'il-central-1'"),
    ("a queue for a pipe that is not there", r"(?<=EndedSessionsFailureQueue:\n    Type: AWS::SQS::Queue)\n    Condition: Announce", "",
     "EndedSessionsFailureQueue: is made in il-central-1, where nothing uses it"),
    ("a user pool with an Issuer", r"(?<=UserPool:\n    Type: AWS::Cognito::UserPool)\n    Condition: UseUserPool", "", "UserPool: is made in us-east-1 with an Issuer"),
    ("a rate that is refused for one value", r"MinValue: 2\n", "MinValue: 1\n", "EventBridge Scheduler refuses"),
]


def complaints(text, **parameters):
    """The complaints of the rules about a template, or, without any, cfn-lint's."""
    try:
        expanded = template_expansion.expand(text, **parameters)
    except Exception as refusal:  # the transform's errors have no common class
        return [str(refusal)]
    return template_rules.breaches(text, expanded) or template_expansion.lint(json.dumps(expanded))


def each_is_noticed(test, breakages, complaints):
    for what, pattern, replacement, expected in breakages:
        with test.subTest(what):
            broken, places = re.subn(pattern, replacement, TEMPLATE)
            test.assertGreater(places, 0, f"{pattern} is nowhere in template.yaml")
            if not any(expected in sentence for sentence in complaints(broken)):
                test.fail(f"not noticed: {what}: {list(complaints(broken))}")


class TemplateTest(unittest.TestCase):
    maxDiff = None

    def test_passes_with_its_defaults(self):
        self.assertEqual(complaints(TEMPLATE), [])

    def test_passes_with_other_parameters(self):
        for parameters in (
            {"Architecture": "x86_64"},
            {"LogLevel": "debug", "DeletionProtection": "false"},
            {"Issuer": "https://login.example.com/", "Audience": "one,two", "Scope": "desktops"},
            {"CloseIdleAfterMinutes": 60, "EndSessionsOfStoppedHosts": "false", "InventoryMinutes": 2},
            {"MaxSessionHours": 12},
            {"AllowedOrigins": "https://portal.example.com", "ApiRateLimit": 10, "ApiBurstLimit": 20},
            {"PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary", "ReserveConcurrency": "true"},
            {"KmsKeyArn": company_rules.KEY, "VpcSubnetIds": "subnet-0a1b2c3d4e5f60001", "VpcSecurityGroupIds": "sg-0a1b2c3d4e5f60003"},
            {"StopEmptyHosts": "true", "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:on-call"},
            {"EventBusArn": "arn:aws:events:us-east-1:123456789012:event-bus/studio", "AuditRetentionDays": 3653},
        ):
            self.assertEqual(complaints(TEMPLATE, **parameters), [], parameters)

    def test_regions_have_what_is_said_of_them(self):
        expanded = template_expansion.expand(TEMPLATE)
        said = regions.table()
        self.assertGreater(len(regions.named()), 30)
        for region in regions.named():
            missing = {resource["Type"] for resource in expanded["Resources"].values()} - regions.schemas(region).keys()
            services = {kind.split("::")[1] for kind in missing}
            has = {(): "everything", ("Pipes",): "no announcements", ("Cognito",): "no user pool"}.get(tuple(services))
            self.assertIn(region, said.get(has, []), f"cfn-lint has there no {sorted(missing)}")
            stack = Stack(expanded, {}, region)
            for kind in ("AWS::Pipes::Pipe", "AWS::Cognito::UserPool"):
                made = any(stack.creates(name) for name in of_type(expanded, kind))
                self.assertEqual(made, kind not in missing, f"the conditions for {kind} in {region}")

    def test_dashboards_are_json_in_every_region(self):
        expanded = template_expansion.expand(TEMPLATE)
        for alike in regions.kinds(expanded):
            stack = Stack(expanded, {}, alike[0])
            widgets = json.loads(stack.resolve(expanded["Resources"]["Dashboard"]["Properties"]["DashboardBody"]))["widgets"]
            alarms = next(widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm")
            made = [name for name in of_type(expanded, "AWS::CloudWatch::Alarm") if stack.creates(name)]
            self.assertEqual(sorted(alarms), sorted(made), alike[0])

    def test_outputs_have_the_addresses_of_their_region(self):
        expanded = template_expansion.expand(TEMPLATE)
        outputs = {}
        for region in ("eu-west-1", "us-gov-west-1", "cn-north-1"):
            stack = Stack(expanded, {}, region)
            made = {name: o["Value"] for name, o in expanded["Outputs"].items() if "Condition" not in o or stack.condition(o["Condition"])}
            outputs[region] = [stack.resolve(made[name]).split("/")[2] if name in made else None for name in ("ApiUrl", "TokenUrl", "DashboardUrl")]
        self.assertEqual(outputs, {
            "eu-west-1": ["HttpApi.execute-api.eu-west-1.amazonaws.com", "UserPoolDomain.auth.eu-west-1.amazoncognito.com", "eu-west-1.console.aws.amazon.com"],
            "us-gov-west-1": ["HttpApi.execute-api.us-gov-west-1.amazonaws.com", "UserPoolDomain.auth-fips.us-gov-west-1.amazoncognito.com", "us-gov-west-1.console.amazonaws-us-gov.com"],
            "cn-north-1": ["HttpApi.execute-api.cn-north-1.amazonaws.com.cn", None, "cn-north-1.console.amazonaws.cn"],
        })

    def test_samples_are_what_schedules_send(self):
        schedules = of_type(template_expansion.expand(TEMPLATE), "AWS::Scheduler::Schedule").values()
        inputs = [schedule["Properties"]["Target"]["Input"] for schedule in schedules]
        sent = [json.loads(text["Fn::Sub"].replace("${MaxSessionHours}", "12") if isinstance(text, dict) else text) for text in inputs]
        samples = {file.stem: json.loads(file.read_text()) for file in (ROOT / "events").glob("cleanup-*.json")}
        rules = {name: event for name, event in samples.items() if name.startswith("cleanup-close-")}  # events of schedules that users add
        self.assertTrue(rules)
        self.assertTrue(all(event["task"] == "close" for event in rules.values()))
        self.assertEqual(samples, {f"cleanup-{event['task']}": event for event in sent} | rules)

    def test_each_check_can_fail(self):
        each_is_noticed(self, BREAKAGES, complaints)


if __name__ == "__main__":
    unittest.main()
