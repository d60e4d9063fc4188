"""CloudFormation as `sam deploy`, the aws command and the operator's commands call it: it keeps each change set that is
created, and answers that each is complete."""

import datetime
import urllib.parse
from xml.sax.saxutils import escape

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"

# The stack of SAM's bucket.
MANAGED = (
    "<StackStatus>CREATE_COMPLETE</StackStatus><Tags><member><Key>ManagedStackSource</Key><Value>AwsSamCli</Value></member></Tags>"
    "<Outputs><member><OutputKey>SourceBucket</OutputKey><OutputValue>sam-artifacts</OutputValue></member></Outputs>"
)


class CloudFormation:
    def __init__(self, object_at):
        """object_at returns what is in S3 at the path of an address."""
        self.object_at = object_at
        self.change_sets = []  # the fields of each CreateChangeSet
        self.deployed = {}  # the change set last executed, by stack
        self.outputs = {}  # of every stack

    def answer(self, action, form):
        """The status and the body."""
        stack = form.get("StackName", "")
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        answers = {
            "ExecuteChangeSet": lambda: self.execute(stack),
            "DescribeStackEvents": lambda: f"<StackEvents><member><EventId>{now}</EventId><StackId>{stack}</StackId>"
            f"<StackName>{stack}</StackName><LogicalResourceId>{stack}</LogicalResourceId><PhysicalResourceId>{stack}</PhysicalResourceId><ResourceType>AWS::CloudFormation::Stack</ResourceType>"
            f"<ResourceStatus>{self.status(stack)}</ResourceStatus><Timestamp>{now}</Timestamp></member></StackEvents>",
            "DescribeStacks": lambda: self.describe(stack),
            "GetTemplateSummary": lambda: "<Parameters>" + "".join(
                f"<member><ParameterKey>{name}</ParameterKey></member>" for name in self.deployed[stack]["names"]) + "</Parameters>",
            "ListStackResources": lambda: "<StackResourceSummaries></StackResourceSummaries>",
            "CreateChangeSet": lambda: self.change_set(form),
            "DescribeChangeSet": lambda: "<Status>CREATE_COMPLETE</Status><ExecutionStatus>AVAILABLE</ExecutionStatus><Changes><member>"
            "<Type>Resource</Type><ResourceChange><Action>Add</Action><LogicalResourceId>SessionsTable</LogicalResourceId>"
            "<ResourceType>AWS::DynamoDB::Table</ResourceType></ResourceChange></member></Changes>",
        }
        if action not in answers:
            return 400, failure("InvalidAction", f"{action} is not expected here")
        result = answers[action]()
        if result is None:
            return 400, failure("ValidationError", f"Stack with id {stack} does not exist")
        return 200, response(action, result)

    def describe(self, stack):
        if stack == "aws-sam-cli-managed-default":
            inner = MANAGED
        elif stack in self.deployed:
            outputs = "".join(f"<member><OutputKey>{k}</OutputKey><OutputValue>{v}</OutputValue></member>" for k, v in self.outputs.items())
            parameters = "".join(
                f"<member><ParameterKey>{k}</ParameterKey><ParameterValue>{escape(v)}</ParameterValue></member>"
                for k, v in self.deployed[stack].get("values", {}).items())
            inner = (f"<StackStatus>{self.status(stack)}</StackStatus><StackId>{escape(stack)}</StackId><Outputs>{outputs}</Outputs>"
                     f"<Parameters>{parameters}</Parameters>")
        else:
            return None
        return f"<Stacks><member><StackName>{escape(stack)}</StackName>{inner}</member></Stacks>"

    def status(self, stack):
        return f"{self.deployed[stack]['type']}_COMPLETE" if stack in self.deployed else "REVIEW_IN_PROGRESS"

    def execute(self, stack):
        before = self.deployed.get(stack, {"values": {"IndexStep": "4"}})["values"]  # the template's default
        self.deployed[stack] = self.change_sets[-1]
        self.deployed[stack]["values"] = before | self.deployed[stack]["parameters"]
        return ""

    def change_set(self, form):
        template = self.object_at(urllib.parse.urlsplit(form["TemplateURL"]).path).decode()
        asked = {"stack": form["StackName"], "type": form["ChangeSetType"], "template": template, "names": []}
        asked["capabilities"] = [form[f] for f in sorted(form) if f.startswith("Capabilities.member.")]
        for what, key in (("Parameters", "ParameterKey"), ("Tags", "Key")):
            asked[what.lower()] = {}
            n = 1
            while name := form.get(f"{what}.member.{n}.{key}"):
                value = form.get(f"{what}.member.{n}.{key.replace('Key', 'Value')}")
                asked["names"] += [name] if what == "Parameters" else []
                if value is not None:  # without a value it does not change
                    asked[what.lower()][name] = value
                n += 1
        self.change_sets.append(asked)
        return "<Id>arn:aws:cloudformation:us-east-1:123456789012:changeSet/name/1</Id><StackId>arn:aws:cloudformation:us-east-1:123456789012:stack/name/1</StackId>"


def response(action, result):
    return f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{result}</{action}Result></{action}Response>'


def failure(code, message):
    return (f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>'
            "</Error></ErrorResponse>")
