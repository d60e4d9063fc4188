"""A company's requirements hold with each of its parameters, and each rule about them can fail."""

import fnmatch
import json
import re
import unittest

import authorization
import company_rules
import template_expansion
from intrinsics import Stack
from template_expansion import of_type
from template_test import TEMPLATE, each_is_noticed

# The fault, a pattern with its replacement (for all matches), and the complaint.
BREAKAGES = [
    ("a role out of bounds", r"(  EndedSessionsPipeRole:\n(?:    .*\n)+?) +PermissionsBoundary: .*\n", r"\1", "EndedSessionsPipeRole: PermissionsBoundaryArn"),
    ("roles always out of bounds", r"HasBoundary: !Not \[(.*)\]", r"HasBoundary: \1", "has a boundary that no parameter names"),
    ("a table of another key", r"KMSMasterKeyId: !If \[HasKey, ", "KMSMasterKeyId: !If [UseUserPool, ", "SessionsTable: with no key"),
    ("a queue of two keys", r"!If \[HasKey, false, true\]", "true", "HostEventsQueue: with KmsKeyArn"),
    ("a log group of AWS's key", r"(!Ref AuditRetentionDays\n) +KmsKeyId: .*", r"\1", "AuditLogGroup: with KmsKeyArn"),
    ("a pipe without its key", r"(EndedSessionsFailureQueue.Arn\n) +- !If\n +- HasKey\n(?: .*\n)+?( +- !Ref AWS::NoValue\n)", r"\1", "EndedSessionsPipeRole: may not use"),
    ("a function outside", r"    VpcConfig: !If\n(?:      .*\n)+", "", "is not in the VPC"),
    ("groups by half", r"InVpc: !And .*", "InVpc: !Equals [!Ref VpcSubnetIds, '']", "is not in the VPC"),
    ("interfaces for a function's own code", r"\n +Condition: \{'Null': .*", "", "CleanupRole: does not allow Lambda"),
    ("a queue in the clear", r"(Resource: !GetAtt EndedSessionsFailureQueue.Arn\n +Condition: .*)'false'", r"\1'true'", "EndedSessionsFailureQueue: takes requests without TLS"),
    ("a queue of two policies", r"Queues: \[!Ref EndedSessionsFailureQueue\]", "Queues: [!Ref SessionStreamFailureQueue]", "SessionStreamFailureQueue: has 2 policies"),
    ("pages of any origin", r"AllowOrigins: .*", "AllowOrigins: ['*']", "does not answer the pages of AllowedOrigins"),
    ("a page that may not send its token", r"AllowHeaders: \[authorization, ", "AllowHeaders: [", "does not answer the pages of AllowedOrigins"),
    ("pages that nobody has named", r"\n        - HasOrigins\n", "\n        - UseUserPool\n", "does not answer the pages of AllowedOrigins"),
    ("a preflight that needs a token", r"( +)Method: POST\n( +Path: /deleteSessions)", r"\1Method: ANY\n\2", "/deleteSessions takes preflights"),
    ("an API without a limit", r"\n      DefaultRouteSettings: .*", "", "do not limit it"),
    ("a limit that leaves nothing", r"Default: 50\n", "Default: 100\n", "of an account's 1000 executions"),
    ("too few for cleanup", r"\[Reserve, 10, ", "[Reserve, 4, ", "CleanupFunction: reserves"),
    ("executions reserved for nobody", r"Reserve: !Equals \[!Ref ReserveConcurrency, 'true'\]", "Reserve: !Equals [!Ref ReserveConcurrency, 'false']", "although the parameter is off"),
    ("executions that are always reserved", r"(  ReserveConcurrency:\n(?: {4,}.*\n)*? +Default: )'false'", r"\1'true'", "although the parameter is off"),
    ("none for host-events", r"\n +ReservedConcurrentExecutions: !If \[Reserve, 7, .*", "", "HostEventsFunction: executions may be reserved"),
]

# Values of parameters, and whether they are accepted.
VALUES = {
    "PermissionsBoundaryArn": [
        ("arn:aws:iam::123456789012:policy/platform/boundary", True), ("arn:aws-cn:iam::aws:policy/PowerUserAccess", True),
        ("arn:aws:iam::123456789012:role/boundary", False), ("boundary", False),
    ],
    "KmsKeyArn": [(company_rules.KEY, True), ("arn:aws:kms:us-east-1:123456789012:alias/studio", False), ("alias/studio", False)],
    "AllowedOrigins": [
        ("https://portal.example.com,https://other.example.com:8443", True), ("http://localhost:3000", True),
        ("*", False), ("https://*", False), ("https://portal.example.com/", False), ("http://portal.example.com", False), ("https://a.example,", False),
    ],
}


def complaints(text):
    template = template_expansion.expand(text)
    return [sentence for rule in company_rules.ALL for sentence in rule(template)]


def services(function):
    """The services that a function calls: for each there is a variable of the SDK that the local system sets."""
    variables = function.get("Environment", {}).get("Variables", {})
    return {name.removeprefix("AWS_ENDPOINT_URL_").lower() for name in variables if name.startswith("AWS_ENDPOINT_URL_")}


class CompanyTest(unittest.TestCase):
    maxDiff = None

    def test_holds(self):
        self.assertEqual(complaints(TEMPLATE), [])

    def test_pages_of_the_named_origins_are_answered(self):
        for origins in ("", "https://portal.example.com,https://other.example.com"):
            template = template_expansion.expand(TEMPLATE, AllowedOrigins=origins)
            body = template["Resources"]["HttpApi"]["Properties"]["Body"]
            cors = Stack(template, {"AllowedOrigins": origins}).resolve({"cors": body["x-amazon-apigateway-cors"]}).get("cors")
            self.assertEqual(cors, company_rules.CORS | {"allowOrigins": origins.split(",")} if origins else None)

    def test_the_boundary_that_is_shown_allows_what_roles_do(self):
        (statement,) = json.loads(company_rules.shown_boundary())["Statement"]
        self.assertEqual(sorted(statement["Action"]), sorted(company_rules.actions_of_roles(template_expansion.expand(TEMPLATE))))

    def test_the_key_policy_that_is_shown_lets_services_in(self):
        text = company_rules.DEPLOYING.read_text()
        policy = json.loads(re.search(r"### A key of your own.*?```json\n(.*?)```", text, re.DOTALL)[1])
        by_sid = {statement["Sid"]: statement for statement in policy["Statement"]}
        self.assertEqual(by_sid["EventsIntoQueues"]["Principal"], {"Service": "events.amazonaws.com"})
        self.assertEqual(by_sid["EventsIntoQueues"]["Action"], ["kms:Decrypt", "kms:GenerateDataKey"])
        # The key's policy has every action that the roles have on the key.
        shown = by_sid["TablesAndQueuesWhileRolesChange"]["Action"]
        self.assertEqual([a for a in company_rules.USE_OF_A_KEY if not any(fnmatch.fnmatch(a, pattern) for pattern in shown)], [])
        self.assertEqual(by_sid["Logs"]["Action"], shown)

    def test_the_endpoints_that_are_shown_are_those_of_the_functions(self):
        text = company_rules.DEPLOYING.read_text()
        shown = {service: set(callers.split(", ")) for service, callers in re.findall(r"\| `com.amazonaws.REGION.(\w+)` \|.*\| (.*) \|", text)}
        written = template_expansion.read(TEMPLATE)
        called = {service: {"all"} for service in services(written["Globals"]["Function"])}
        for function in of_type(written, "AWS::Serverless::Function").values():
            for service in services(function["Properties"]):
                called.setdefault(service, set()).add(function["Properties"]["CodeUri"].split("/")[1])
        self.assertEqual(shown, called)

    def test_parameters_take_what_they_are_for(self):
        template = template_expansion.read(TEMPLATE)
        for name, values in VALUES.items():
            for value, taken in values:
                self.assertEqual(not list(authorization.refusals(template, {name: value})), taken, f"{name}={value}")
        for subnets, groups, taken in (
            ("subnet-0a1b2c3d4e5f60001,subnet-0a1b2c3d", "sg-0a1b2c3d4e5f60003", True), ("", "", True), ("subnet-0a1b2c3d", "", False),
            ("", "sg-0a1b2c3d", False), ("subnet-0a1b2c3d,", "sg-0a1b2c3d", False), ("subnet-0a1b2c3d", "vpc-0a1b2c3d", False),
            (",".join(["subnet-0a1b2c3d"] * 16), ",".join(["sg-0a1b2c3d"] * 5), True),  # as many as a function can have
            (",".join(["subnet-0a1b2c3d"] * 17), "sg-0a1b2c3d", False), ("subnet-0a1b2c3d", ",".join(["sg-0a1b2c3d"] * 6), False),
        ):
            refused = list(authorization.refusals(template, {"VpcSubnetIds": subnets, "VpcSecurityGroupIds": groups}))
            self.assertEqual(not refused, taken, (subnets, groups))

    def test_each_rule_can_fail(self):
        each_is_noticed(self, BREAKAGES, complaints)


if __name__ == "__main__":
    unittest.main()
