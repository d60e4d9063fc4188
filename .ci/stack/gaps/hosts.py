"""Hosts: MiniStack's Systems Manager runs no command, and its EC2 does not have our instances. The simulated ones of
internal/local answer instead (SSM_URL, EC2_URL). Events of commands go to MiniStack's default bus, which the
simulation has no connection with: it is asked until a command has ended. EC2's events do not.

The simulation knows the documents of template.yaml under their logical IDs. A command is passed on only if the document of
the stack has the same content. Policies are asked for the document of a command; for the tags of its nodes they are not."""

import asyncio
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request

from ministack import app
from ministack.core import iam_actions
from ministack.core.responses import get_account_id, get_region, set_request_account_id, set_request_region
from ministack.services import ec2, eventbridge, ssm

from . import documents

PASSED_ON = {
    "SendCommand", "ListCommands", "ListCommandInvocations", "GetCommandInvocation", "DescribeInstanceInformation",
    "GetServiceSetting", "CancelCommand",
}
ENDED = {"Success", "Failed", "TimedOut", "Cancelled"}
SECONDS_BETWEEN_QUESTIONS = 0.1

sent = {}  # the name of the document by command ID
sending = threading.Lock()  # while a command that the simulation lists already is not in sent


def fill():
    app._loaded_modules["ssm"] = SystemsManager()
    app._loaded_modules["ec2"] = Ec2()
    resource = iam_actions.extract_resource_arn

    def extract_resource_arn(service, method, path, headers, body, query, region, account):
        if service == "ssm" and headers.get("x-amz-target") == "AmazonSSM.SendCommand":
            return f"arn:aws:ssm:{region}:{account}:document/{json.loads(body)['DocumentName']}"
        return resource(service, method, path, headers, body, query, region, account)

    iam_actions.extract_resource_arn = extract_resource_arn


def post(url, headers, body):
    request = urllib.request.Request(url, body, {n: headers[n] for n in ("content-type", "x-amz-target") if n in headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, {"Content-Type": answer.headers["Content-Type"]}, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, {"Content-Type": refused.headers["Content-Type"]}, refused.read()


def ask_systems_manager(operation, asked):
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AmazonSSM.{operation}"}
    status, headers, body = post(os.environ["SSM_URL"], headers, json.dumps(asked).encode())
    return status, headers, json.loads(body)


class Service:
    """A service of MiniStack, except for the calls that answer handles."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return getattr(self.module, name)

    async def handle_request(self, method, path, headers, body, query):
        answer = await asyncio.to_thread(self.answer, headers, body)
        return answer or await self.module.handle_request(method, path, headers, body, query)


class SystemsManager(Service):
    def __init__(self):
        super().__init__(ssm)

    def answer(self, headers, body):
        operation = headers.get("x-amz-target", "").removeprefix("AmazonSSM.")
        asked = json.loads(body or b"{}")
        if operation in ("DescribeDocument", "GetDocument"):
            if asked["Name"] not in documents.documents:
                return refusal("InvalidDocument", asked["Name"])
            description, whole = documents.described(asked["Name"])
            answer = {"Document": description} if operation == "DescribeDocument" else whole
            return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
        if operation not in PASSED_ON:
            return None
        name = asked.get("DocumentName")
        if operation == "SendCommand":
            if fault := unlike(name):
                return refusal("InvalidDocument", fault)
            asked["DocumentName"] = documents.documents[name]["LogicalId"]
        for wanted in asked.get("Filters", []):
            if operation == "ListCommands" and wanted["key"] == "DocumentName":
                name = wanted["value"]
                wanted["value"] = documents.documents[name]["LogicalId"]
        if operation == "SendCommand":
            with sending:
                status, headers, answered = ask_systems_manager(operation, asked)
                if status == 200:
                    sent[answered["Command"]["CommandId"]] = name
            if status == 200:
                told = answered["Command"]["CommandId"], get_account_id(), get_region()
                threading.Thread(target=follow, args=told, daemon=True).start()
        else:
            status, headers, answered = ask_systems_manager(operation, asked)
        with sending:
            for command in [*answered.get("Commands", []), *answered.get("CommandInvocations", []), answered.get("Command"), answered]:
                if command and "CommandId" in command:
                    command["DocumentName"] = sent[command["CommandId"]]
        if operation == "ListCommands":
            answered["Commands"] = [command for command in answered["Commands"] if name in (None, command["DocumentName"])]
        return status, headers, json.dumps(answered).encode()


def unlike(name):
    """Why hosts cannot run a document, or None."""
    if name not in documents.documents:
        return f"there is no document {name}"
    document = documents.documents[name]
    status, _, there = ask_systems_manager("GetDocument", {"Name": document["LogicalId"]})
    if status != 200 or json.loads(there["Content"]) != document["Content"]:
        return f"{name} is another document than {document['LogicalId']} of template.yaml"
    return None


def refusal(code, message):
    return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps({"__type": code, "message": message}).encode()


def put(account, region, source, kind, resources, detail):
    set_request_account_id(account)
    set_request_region(region)
    eventbridge._put_events({"Entries": [{
        "Source": source, "DetailType": kind, "Resources": resources, "Detail": json.dumps(detail),
    }]}, allow_aws_source=True)


def follow(command, account, region):
    """Sends an event for each invocation of a command when it has ended."""
    told = set()
    while True:
        _, _, answered = ask_systems_manager("ListCommandInvocations", {"CommandId": command})
        invocations = answered.get("CommandInvocations", [])  # for a tag that no host has there are none
        for invocation in invocations:
            host = invocation["InstanceId"]
            if invocation["Status"] in ENDED and host not in told:
                told.add(host)
                instance = f"arn:aws:ec2:{region}:{account}:instance/{host}"
                put(account, region, "aws.ssm", "EC2 Command Invocation Status-change Notification", [instance], {
                    "command-id": command, "document-name": sent[command], "instance-id": host, "status": invocation["Status"],
                    "requested-date-time": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(invocation["RequestedDateTime"])),
                })
        if len(told) == len(invocations):
            return
        time.sleep(SECONDS_BETWEEN_QUESTIONS)


class Ec2(Service):
    def __init__(self):
        super().__init__(ec2)

    def answer(self, headers, body):
        action = re.search(r"(?:^|&)Action=(\w+)", (body or b"").decode())
        if action and action[1] in ("DescribeInstances", "StopInstances"):
            return post(os.environ["EC2_URL"], headers, body)
        return None
