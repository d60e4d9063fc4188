"""The tables of template.yaml in DynamoDB Local."""

import contextlib
import subprocess

import boto3
import template_expansion
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from intrinsics import Stack
from servers import ROOT, free_port, process


class Table:
    """The tables as template.yaml defines them with its defaults. The methods read and write the sessions table."""

    def __init__(self, port):
        self.client = boto3.client(
            "dynamodb", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id="local", aws_secret_access_key="local",
        )
        stack = Stack(template_expansion.expand((ROOT / "template.yaml").read_text()), {})
        for name in ("SessionsTable", "HostsTable"):
            p = stack.template["Resources"][name]["Properties"]
            keys = ("BillingMode", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
            settings = {k: stack.resolve(p[k]) for k in keys}
            if "StreamSpecification" in p:
                settings["StreamSpecification"] = {"StreamEnabled": True} | p["StreamSpecification"]
            self.client.create_table(TableName=name, **settings)

    def put(self, **record):
        item = {k: TypeSerializer().serialize(v) for k, v in record.items()}
        self.client.put_item(TableName="SessionsTable", Item=item)

    def remove(self, session_id):
        self.client.delete_item(TableName="SessionsTable", Key={"SessionId": {"S": session_id}})

    def image(self, session_id):
        key = {"SessionId": {"S": session_id}}
        return self.client.get_item(TableName="SessionsTable", Key=key, ConsistentRead=True)["Item"]

    def get(self, session_id):
        return {k: TypeDeserializer().deserialize(v) for k, v in self.image(session_id).items()}

    def sessions(self):
        """The IDs of all sessions."""
        return {item["SessionId"]["S"] for item in self.client.scan(TableName="SessionsTable")["Items"]}


@contextlib.contextmanager
def running():
    port = free_port()
    jars = subprocess.run([".ci/tools/fetch", "dynamodb-local"], cwd=ROOT, check=True, capture_output=True, text=True)
    jars = jars.stdout.strip()
    command = ["java", f"-Djava.library.path={jars}", "-cp", f"{jars}/*",
               "software.amazon.dynamodb.services.local.main.ServerRunner",
               "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with process("DynamoDB Local", command, port):
        yield port, Table(port)
