"""What a company asks for holds with each of its parameters, and each rule on it can fail."""

import json
import re
import unittest

import authorization
import company_rules
import template_expansion
from intrinsics import Stack
from template_test import ROOT, TEMPLATE

# What is broken, how (a pattern and what to put for it, everywhere it is found), and what is said then.
BREAKAGES = [
    ("a role out of bounds", r"(  EndedSessionsPipeRole:\n.*\n.*\n) +PermissionsBoundary: .*\n", r"\1", "EndedSessionsPipeRole: PermissionsBoundaryArn"),
    ("roles always out of bounds", r"HasBoundary: !Not \[(.*)\]", r"HasBoundary: \1", "has a boundary that nobody has named"),
    ("a queue in the clear", r"(Resource: !GetAtt EndedSessionsFailureQueue.Arn\n +Condition: .*)'false'", r"\1'true'", "EndedSessionsFailureQueue: takes requests without TLS"),
    ("a queue of two policies", r"Queues: \[!Ref EndedSessionsFailureQueue\]", "Queues: [!Ref SessionStreamFailureQueue]", "SessionStreamFailureQueue: has 2 policies"),
    ("pages of any origin", r"AllowOrigins: .*", "AllowOrigins: ['*']", "does not answer the pages of AllowedOrigins"),
    ("a page that may not send its token", r"AllowHeaders: \[authorization, ", "AllowHeaders: [", "does not answer the pages of AllowedOrigins"),
    ("pages that nobody has named", r"\n        - HasOrigins\n", "\n        - UseUserPool\n", "does not answer the pages of AllowedOrigins"),
    ("a preflight that needs a token", r"( +)Method: POST\n( +Path: /deleteSessions)", r"\1Method: ANY\n\2", "/deleteSessions takes preflights"),
    ("an API without a limit", r"\n      DefaultRouteSettings: .*", "", "do not limit it"),
    ("a limit that leaves nothing", r"Default: 50\n", "Default: 100\n", "of an account's 1000 executions"),
    ("too few for cleanup", r"\[Reserve, 10, ", "[Reserve, 4, ", "CleanupFunction: reserves"),
    ("none for host-events", r"\n +ReservedConcurrentExecutions: !If \[Reserve, 5, .*", "", "HostEventsFunction: functions are reserved"),
]

# Values of parameters, and whether they are taken.
VALUES = {
    "PermissionsBoundaryArn": [
        ("arn:aws:iam::123456789012:policy/platform/boundary", True), ("arn:aws-cn:iam::aws:policy/PowerUserAccess", True),
        ("arn:aws:iam::123456789012:role/boundary", False), ("boundary", False),
    ],
    "AllowedOrigins": [
        ("https://portal.example.com,https://other.example.com:8443", True), ("http://localhost:3000", True),
        ("*", False), ("https://*", False), ("https://portal.example.com/", False), ("http://portal.example.com", False), ("https://a.example,", False),
    ],
}


def complaints(text):
    template = template_expansion.expand(text)
    return [sentence for rule in company_rules.ALL for sentence in rule(template)]


def boundary():
    """The policy that DEPLOYING.md shows for PermissionsBoundaryArn."""
    text = (ROOT / "internal/operate/DEPLOYING.md").read_text()
    return json.loads(re.search(r"\*\*Permissions boundary.*?```json\n(.*?)```", text, re.DOTALL)[1])


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
        (statement,) = boundary()["Statement"]
        self.assertEqual(sorted(statement["Action"]), sorted(company_rules.actions_of_roles(template_expansion.expand(TEMPLATE))))

    def test_parameters_take_what_they_are_for(self):
        template = template_expansion.read(TEMPLATE)
        for name, values in VALUES.items():
            for value, taken in values:
                self.assertEqual(not list(authorization.refusals(template, {name: value})), taken, f"{name}={value}")

    def test_each_rule_can_fail(self):
        for what, pattern, replacement, expected in BREAKAGES:
            with self.subTest(what):
                broken, places = re.subn(pattern, replacement, TEMPLATE)
                self.assertGreater(places, 0, f"{pattern} is nowhere in template.yaml")
                said = complaints(broken)
                self.assertTrue(any(expected in sentence for sentence in said), f"nobody noticed {what}: {said}")


if __name__ == "__main__":
    unittest.main()
