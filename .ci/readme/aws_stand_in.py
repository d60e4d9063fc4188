"""What the aws command of README.md finds behind its endpoint: a deployed stack, as far as the text asks about it. Its API
and its token endpoint are the local system's, its table is in DynamoDB Local."""

import contextlib
import http.client
import http.server
import json
import threading
import urllib.parse

XML = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks>
<member><StackName>{name}</StackName><StackId>{name}</StackId><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>{outputs}</Outputs></member>
</Stacks></DescribeStacksResult></DescribeStacksResponse>"""


# What the checklist for hosts does, of which the aws command has checked the form.
TAKEN = {
    "CreateRole", "AttachRolePolicy", "CreateInstanceProfile", "AddRoleToInstanceProfile", "GetInstanceProfile",
    "AssociateIamInstanceProfile", "CreateTags",
}


class Stack:
    """A stack of that name. outputs are the template's, by key; tasks is called with cleanup's payload."""

    def __init__(self, name, outputs, secret, dynamodb_port, invoke):
        self.name, self.outputs, self.secret = name, outputs, secret
        self.dynamodb_port, self.invoke = dynamodb_port, invoke

    def answer(self, path, headers, body):
        target = headers.get("X-Amz-Target", "")
        if target.startswith("DynamoDB_"):
            return self.from_dynamodb(headers, body)
        if target == "AWSCognitoIdentityProviderService.DescribeUserPoolClient":
            asked = json.loads(body)
            assert (asked["UserPoolId"], asked["ClientId"]) == (self.outputs["UserPoolId"], self.outputs["ClientId"]), asked
            return "application/x-amz-json-1.1", json.dumps({"UserPoolClient": {"ClientSecret": self.secret}}).encode()
        if path.startswith("/2015-03-31/functions/"):
            self.invoke(urllib.parse.unquote(path.split("/")[3]), json.loads(body))
            return "application/json", b"null"
        if path.startswith("/v1/pipes/"):
            assert path.split("/")[3] == self.outputs["EndedSessionsPipeName"], f"the stack has no pipe {path!r}"
            return "application/json", json.dumps({"CurrentState": "STOPPED", "StateReason": "Nearly all executions failed"}).encode()
        form = urllib.parse.parse_qs(body.decode())
        action = form.get("Action", [""])[0]
        if action in TAKEN:
            return "text/xml", f"<{action}Response><{action}Result/></{action}Response>".encode()
        if target == "AmazonSQS.PurgeQueue":
            url = json.loads(body)["QueueUrl"]
            assert url in self.outputs.values(), f"the stack has no queue {url!r}"
            return "application/x-amz-json-1.0", b"{}"
        if target == "AmazonSSM.SendCommand":
            return "application/x-amz-json-1.1", b"{}"
        if form.get("Action") == ["DescribeStacks"] and form.get("StackName") == [self.name]:
            outputs = "".join(
                f"<member><OutputKey>{k}</OutputKey><OutputValue>{v}</OutputValue></member>" for k, v in self.outputs.items()
            )
            return "text/xml", XML.format(name=self.name, outputs=outputs).encode()
        raise AssertionError(f"README.md asks AWS something that its check does not know: {path} {target} {form}")

    def from_dynamodb(self, headers, body):
        upstream = http.client.HTTPConnection("127.0.0.1", self.dynamodb_port)
        upstream.request("POST", "/", body, {k: headers[k] for k in ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")})
        answer = upstream.getresponse()
        return answer.headers["Content-Type"], answer.read()


@contextlib.contextmanager
def serving(stack):
    """Yields the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, (kind, content) = 200, stack.answer(self.path, self.headers, body)
            except Exception as problem:  # it must reach whoever reads the check's output
                status, kind, content = 400, "text/plain", str(problem).encode()
                print(f"stand-in for AWS: {problem}", flush=True)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
