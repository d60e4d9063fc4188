"""A stand-in for AWS: one address for every service that the checks call. It answers the calls of the checks and refuses
others. Programs use it through AWS_ENDPOINT_URL."""

import contextlib
import http.client
import http.server
import json
import re
import threading
import urllib.parse

from cloudformation import CloudFormation, response

BUCKET = "sam-artifacts"

# The query API does not send the service's name; its version identifies it (botocore/data/SERVICE/VERSION).
BY_VERSION = {"2010-05-15": "CloudFormation", "2011-06-15": "STS", "2010-05-08": "IAM", "2016-11-15": "EC2"}

# The calls that prepare a host, which only need an answer.
HOST_SETUP = {
    "CreateRole", "AttachRolePolicy", "CreateInstanceProfile", "AddRoleToInstanceProfile", "GetInstanceProfile",
    "AssociateIamInstanceProfile", "CreateTags",
}
RULE_SETUP = {"PutRolePolicy"}  # the role by which EventBridge Scheduler invokes cleanup


class Aws:
    def __init__(self):
        self.objects = {}  # of S3, by bucket and key
        self.stacks = CloudFormation(lambda key: self.objects[BUCKET + key.split(BUCKET, 1)[1]])
        self.dead_letters = self.put_back = 0
        self.client_secret = ""  # of the stack's client
        self.regions = set()  # that calls were signed for
        self.invoked = []  # function and payload of each call of Lambda
        self.ports = {}  # of services on this machine, which answer instead of the stand-in
        self.command_ids = []  # commands that Systems Manager on this machine accepted

    def environment(self):
        """The variables that make a program call the stand-in."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local", "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "SAM_CLI_TELEMETRY": "0",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "SAM_CLI_POLL_DELAY": "0.1",
        }

    def object_of(self, uri):
        """The object of an s3:// URI."""
        return self.objects[uri.removeprefix("s3://")]

    def answer(self, method, path, headers, body):
        """The status, the content type and the body of the answer."""
        if signed := re.search(r"Credential=[^/]+/\d+/([^/]+)/", headers.get("Authorization", "")):
            self.regions.add(signed[1])
        service, _, operation = headers.get("X-Amz-Target", "").partition(".")
        form = {}
        if not service and headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
            service, operation = BY_VERSION[form["Version"]], form["Action"]
        if service in self.ports:
            return self.from_this_machine(service, operation, path, headers, body)
        if form:
            status, answer = self.query(service, operation, form)
            return status, "text/xml", answer.encode()
        if service:
            answer = self.json(service, operation, json.loads(body))
            return 200, f"application/x-amz-json-1.{0 if service == 'AmazonSQS' else 1}", json.dumps(answer).encode()
        path = urllib.parse.unquote(urllib.parse.urlsplit(path).path)
        if path.startswith("/2015-03-31/functions/") and method == "GET":
            name = path.split("/")[3]
            configuration = {"FunctionName": name, "FunctionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}"}
            return 200, "application/json", json.dumps({"Configuration": configuration}).encode()
        if path.startswith("/schedules/"):
            target = json.loads(body)["Target"]
            self.invoked.append((target["Arn"], json.loads(target["Input"])))
            return 200, "application/json", b'{"ScheduleArn": "arn:aws:scheduler:us-east-1:123456789012:schedule/default/rule"}'
        if path.startswith("/2015-03-31/functions/"):
            self.invoked.append((path.split("/")[3], json.loads(body)))
            return 200, "application/json", b"null"
        if path.startswith("/v1/pipes/"):
            name = path.split("/")[3]
            assert name == self.stacks.outputs["EndedSessionsPipeName"], f"the stack has no pipe {name}"
            state = {"CurrentState": "STOPPED", "StateReason": "Nearly all executions failed"}
            return 200, "application/json", json.dumps(state).encode()
        status, content = self.s3(method, path.lstrip("/"), headers, body)
        return status, "application/octet-stream", content

    def query(self, service, action, form):
        if action in HOST_SETUP | RULE_SETUP:
            return 200, response(action, "")
        if service == "STS" and action == "GetCallerIdentity":
            return 200, response(action, "<Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/local</Arn>")
        if service == "CloudFormation":
            return self.stacks.answer(action, form)
        raise AssertionError(f"{service} {action} is not known")

    def json(self, service, operation, asked):
        outputs = self.stacks.outputs
        match service, operation:
            case "AmazonSQS", "PurgeQueue":
                assert asked["QueueUrl"] in outputs.values(), f"the stack has no queue {asked['QueueUrl']}"
                return {}
            case "AmazonSQS", _:
                return self.redrive(operation, asked)
            case "AWSCognitoIdentityProviderService", "DescribeUserPoolClient":
                assert (asked["UserPoolId"], asked["ClientId"]) == (outputs["UserPoolId"], outputs["ClientId"]), asked
                return {"UserPoolClient": {"ClientSecret": self.client_secret}}
            case "AmazonSSM", "SendCommand" | "CreateActivation":
                return {}
            case "AmazonSSM", "UpdateServiceSetting":
                assert asked["SettingId"] == "/ssm/managed-instance/default-ec2-instance-management-role", asked
                return {}
        raise AssertionError(f"{service} {operation} is not known")

    def redrive(self, operation, asked):
        """Moves are done immediately. SQS developer guide, "Learn how to configure a dead-letter queue redrive"."""
        arn = "arn:aws:sqs:us-east-1:123456789012:dead"
        if operation == "GetQueueAttributes":
            return {"Attributes": {"QueueArn": arn, "ApproximateNumberOfMessages": str(self.dead_letters)}}
        assert asked["SourceArn"] == arn, asked
        if operation == "StartMessageMoveTask":
            self.put_back, self.dead_letters = self.dead_letters, 0
            return {"TaskHandle": "task"}
        assert operation == "ListMessageMoveTasks", operation
        return {"Results": [{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": self.put_back}] if self.put_back else []}

    def s3(self, method, key, headers, body):
        if method == "PUT":
            assert headers.get("x-amz-content-sha256") != "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "chunks are not understood"
            self.objects[key] = body
            return 200, b""
        if method == "HEAD" and key == BUCKET:
            return 200, b""
        assert method in ("GET", "HEAD"), f"{method} {key} is not known"
        return (200, self.objects[key]) if key in self.objects else (404, b"")

    def from_this_machine(self, service, operation, path, headers, body):
        upstream = http.client.HTTPConnection("127.0.0.1", self.ports[service])
        upstream.request("POST", path, body, dict(headers))
        answer = upstream.getresponse()
        content = answer.read()
        if answer.status == 200 and (service, operation) == ("AmazonSSM", "SendCommand"):
            self.command_ids.append(json.loads(content)["Command"]["CommandId"])
        return answer.status, answer.headers["Content-Type"], content


@contextlib.contextmanager
def running(address="127.0.0.1"):
    aws = Aws()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # botocore waits for "100 Continue" before it sends an object
        disable_nagle_algorithm = True  # headers and body are two packets; without this the second waits 40 ms

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, kind, content = aws.answer(self.command, self.path, self.headers, body)
            except Exception as problem:  # it must appear in the check's output
                status, kind, content = 400, "text/plain", str(problem).encode()
                print(f"stand-in for AWS: {type(problem).__name__}: {problem}", flush=True)
            self.send_response(status)
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(content))), ("ETag", '"1"')):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any

        def log_message(self, *_):
            pass

    try:
        server = http.server.ThreadingHTTPServer((address, 0), Handler)
    except OSError:  # the address of a container engine in a virtual machine, which forwards to the loopback
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    aws.port = server.server_port
    aws.url = f"http://{address}:{aws.port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
