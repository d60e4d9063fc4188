"""A deployed stack, as its clients, its hosts and AWS show it."""

import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import cloud

class Failure(Exception):
    """A step did not find what it expected."""


class Late(Failure):
    """The same, but it may still come."""


def expect(condition, found):
    if not condition:
        raise Failure(found)


def eventually(look, patience, what=None):
    """The first answer of look that is true. what it means is told if there is none in time."""
    deadline = time.monotonic() + patience
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise Late(f"not within {patience} s: {what or look.__doc__ or look.__name__}")
        time.sleep(0.1)


class Stack:
    def __init__(self, aws, name, region):
        self.aws, self.name, self.region = aws, name, region
        self.session = boto3.Session(cloud.KEY["AWS_ACCESS_KEY_ID"], cloud.KEY["AWS_SECRET_ACCESS_KEY"], region_name=region)
        described = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}
        self.parameters = {p["ParameterKey"]: p["ParameterValue"] for p in described["Parameters"]}
        self.web = urllib.request.build_opener(
            urllib.request.ProxyHandler({"https": aws.proxy}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=aws.folder / "authority.pem")))
        self.token = None

    def client(self, service):
        return self.session.client(service, endpoint_url=self.aws.endpoint)

    def template(self):
        """The template after the transforms."""
        return self.client("cloudformation").get_template(StackName=self.name, TemplateStage="Processed")["TemplateBody"]

    def physical(self, kind):
        """The physical names of resources of that type, by logical ID."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        resources = [r for page in pages for r in page["StackResourceSummaries"]]
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources if r["ResourceType"] == kind}

    def variables(self, function):
        name = self.physical("AWS::Lambda::Function")[function]
        return self.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def preflight(self, operation, origin):
        """The origin from which a browser may call it; the request has no token."""
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        try:
            with self.web.open(urllib.request.Request(f"{self.outputs['ApiUrl']}/{operation}", headers=headers, method="OPTIONS")) as answer:
                return answer.headers.get("Access-Control-Allow-Origin")
        except urllib.error.HTTPError as refused:
            return refused.headers.get("Access-Control-Allow-Origin")

    def post(self, url, body, **headers):
        """The status and the body of the answer."""
        try:
            with self.web.open(urllib.request.Request(url, body, headers, method="POST")) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read() or b"{}")

    def secret(self):
        ids = {"UserPoolId": self.outputs["UserPoolId"], "ClientId": self.outputs["ClientId"]}
        return self.client("cognito-idp").describe_user_pool_client(**ids)["UserPoolClient"]["ClientSecret"]

    def ask_for_token(self, url, client, secret, scope):
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope}).encode()
        return self.post(url, form, Authorization=f"Basic {basic}", **{"Content-Type": "application/x-www-form-urlencoded"})

    def call(self, operation, body, token=None):
        return self.post(f"{self.outputs['ApiUrl']}/{operation}", json.dumps(body).encode(), Authorization=f"Bearer {token or self.token}")

    def sessions(self, **asked):
        status, answer = self.call("describeSessions", asked)
        expect(status == 200, (status, answer))
        return {s["Id"]: s for s in answer["Sessions"]}

    def put_session(self, session_id, owner, host):
        """Lists a session as READY."""
        record = {
            "SessionId": session_id, "Owner": owner, "HostId": host, "LiveHostId": host, "State": "READY", "Type": "virtual",
            "CreationTime": "2026-01-01T00:00:00Z",
        }
        self.client("dynamodb").put_item(
            TableName=self.outputs["SessionsTableName"], Item={name: {"S": value} for name, value in record.items()})

    def record(self, session_id):
        key = {"SessionId": {"S": session_id}}
        item = self.client("dynamodb").get_item(TableName=self.outputs["SessionsTableName"], Key=key).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def lines(self, group):
        """The lines of a log group that are JSON."""
        events = self.client("logs").filter_log_events(logGroupName=group)["events"]
        return [json.loads(e["message"]) for e in events if e["message"].startswith("{")]

    def log(self, function):
        return self.lines(f"/aws/lambda/{self.name}/{function}")

    def announced(self, kind, session_id):
        """The announcements of a session in the audit trail."""
        trail = self.lines(self.outputs["AuditLogGroupName"])
        return [e["detail"] for e in trail if e["detail-type"] == kind and e["detail"]["SessionId"] == session_id]
