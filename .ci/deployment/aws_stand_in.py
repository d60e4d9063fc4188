"""What `sam package`, `sam deploy`, `make redrive` and `make delete-stack` talk to in AWS, as far as they do: S3, which keeps
what is put into it; CloudFormation, which remembers what it was to change, and says that it is done; SQS with one queue of
dead letters."""

import contextlib
import datetime
import http.server
import json
import threading
import urllib.parse
from xml.sax.saxutils import escape

BUCKET = "sam-artifacts"
NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"

# The stack that SAM keeps its bucket in.
MANAGED = (
    "<StackStatus>CREATE_COMPLETE</StackStatus><Tags><member><Key>ManagedStackSource</Key><Value>AwsSamCli</Value></member></Tags>"
    f"<Outputs><member><OutputKey>SourceBucket</OutputKey><OutputValue>{BUCKET}</OutputValue></member></Outputs>"
)


class Aws:
    def __init__(self):
        self.objects = {}  # by bucket and key
        self.change_sets = []  # the fields of each CreateChangeSet
        self.deployed = {}  # the change set last executed, by stack
        self.outputs = {}  # of every stack
        self.dead_letters = self.put_back = 0
        aws = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body)), "ETag": '"1"'} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def body(self):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def key(self):
                return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")

            def do_PUT(self):
                assert self.headers.get("x-amz-content-sha256") != "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "chunks are not understood"
                aws.objects[self.key()] = self.body()
                self.answer(200)

            def do_HEAD(self):
                self.answer(200 if self.key() in aws.objects or self.key() == BUCKET else 404)

            def do_GET(self):
                found = aws.objects.get(self.key())
                self.answer(404 if found is None else 200, found or b"")

            def do_POST(self):
                service, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
                if service == "AmazonSQS":
                    answer = aws.sqs(operation, json.loads(self.body()))
                    self.answer(200, json.dumps(answer).encode(), **{"Content-Type": "application/x-amz-json-1.0"})
                    return
                form = dict(urllib.parse.parse_qsl(self.body().decode(), keep_blank_values=True))
                status, answer = aws.cloudformation(form)
                self.answer(status, answer.encode(), **{"Content-Type": "text/xml"})

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def environment(self):
        """What makes a program take this for AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local", "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "SAM_CLI_TELEMETRY": "0",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "SAM_CLI_POLL_DELAY": "0.1",
        }

    def cloudformation(self, form):
        action, stack = form["Action"], form.get("StackName", "")
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        answers = {
            "GetCallerIdentity": lambda: "<Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/local</Arn>",
            "ExecuteChangeSet": lambda: self.execute(stack),
            "DescribeStackEvents": lambda: f"<StackEvents><member><EventId>{now}</EventId><StackId>{stack}</StackId>"
            f"<StackName>{stack}</StackName><LogicalResourceId>{stack}</LogicalResourceId><PhysicalResourceId>{stack}</PhysicalResourceId><ResourceType>AWS::CloudFormation::Stack</ResourceType>"
            f"<ResourceStatus>{self.status(stack)}</ResourceStatus><Timestamp>{now}</Timestamp></member></StackEvents>",
            "DescribeStacks": lambda: self.describe(stack),
            "GetTemplateSummary": lambda: "<Parameters>" + "".join(
                f"<member><ParameterKey>{name}</ParameterKey></member>" for name in self.deployed[stack]["names"]) + "</Parameters>",
            "ListStackResources": lambda: "<StackResourceSummaries></StackResourceSummaries>",
            "DeleteStack": lambda: "" if self.deployed.pop(stack, None) else None,
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
        return 200, f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{result}</{action}Result></{action}Response>'

    def describe(self, stack):
        if stack == "aws-sam-cli-managed-default":
            inner = MANAGED
        elif stack in self.deployed:
            outputs = "".join(f"<member><OutputKey>{k}</OutputKey><OutputValue>{v}</OutputValue></member>" for k, v in self.outputs.items())
            inner = f"<StackStatus>{self.status(stack)}</StackStatus><StackId>{escape(stack)}</StackId><Outputs>{outputs}</Outputs>"
        else:
            return None
        return f"<Stacks><member><StackName>{escape(stack)}</StackName>{inner}</member></Stacks>"

    def sqs(self, operation, asked):
        """Moves are done at once. SQS developer guide, "Learn how to configure a dead-letter queue redrive"."""
        arn = "arn:aws:sqs:us-east-1:123456789012:dead"
        if operation == "GetQueueAttributes":
            return {"Attributes": {"QueueArn": arn, "ApproximateNumberOfMessages": str(self.dead_letters)}}
        assert asked["SourceArn"] == arn, asked
        if operation == "StartMessageMoveTask":
            self.put_back, self.dead_letters = self.dead_letters, 0
            return {"TaskHandle": "task"}
        assert operation == "ListMessageMoveTasks", operation
        return {"Results": [{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": self.put_back}] if self.put_back else []}

    def status(self, stack):
        return f"{self.deployed[stack]['type']}_COMPLETE" if stack in self.deployed else "REVIEW_IN_PROGRESS"

    def execute(self, stack):
        self.deployed[stack] = self.change_sets[-1]
        return ""

    def change_set(self, form):
        asked = {"stack": form["StackName"], "type": form["ChangeSetType"], "template": self.template(form["TemplateURL"]), "names": []}
        asked["capabilities"] = [form[f] for f in sorted(form) if f.startswith("Capabilities.member.")]
        for what, key in (("Parameters", "ParameterKey"), ("Tags", "Key")):
            asked[what.lower()] = {}
            n = 1
            while name := form.get(f"{what}.member.{n}.{key}"):
                value = form.get(f"{what}.member.{n}.{key.replace('Key', 'Value')}")
                asked["names"] += [name] if what == "Parameters" else []
                if value is not None:  # or it stays as it is
                    asked[what.lower()][name] = value
                n += 1
        self.change_sets.append(asked)
        return "<Id>arn:aws:cloudformation:us-east-1:123456789012:changeSet/name/1</Id><StackId>arn:aws:cloudformation:us-east-1:123456789012:stack/name/1</StackId>"

    def template(self, url):
        return self.objects[BUCKET + urllib.parse.urlsplit(url).path.split(BUCKET, 1)[1]].decode()

    def object_of(self, uri):
        """What an s3:// URI names."""
        return self.objects[uri.removeprefix("s3://")]


def failure(code, message):
    return (f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>'
            "</Error></ErrorResponse>")


@contextlib.contextmanager
def running():
    aws = Aws()
    threading.Thread(target=aws.server.serve_forever, daemon=True).start()
    try:
        yield aws
    finally:
        aws.server.shutdown()
        aws.server.server_close()
