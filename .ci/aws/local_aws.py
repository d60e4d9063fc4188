"""What the functions find behind their endpoints: the sessions table in DynamoDB Local, and the simulated Systems
Manager of internal/local with its hosts."""

import contextlib
import http.client
import http.server
import json
import subprocess
import tempfile
import threading
import time
import urllib.request

import boto3
import template_expansion
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from servers import ROOT, free_port, process


class Table:
    """The tables as template.yaml defines them; what is read and written is the sessions table."""

    def __init__(self, port):
        self.client = boto3.client(
            "dynamodb", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id="local", aws_secret_access_key="local",
        )
        template = template_expansion.expand((ROOT / "template.yaml").read_text())
        for name in ("SessionsTable", "HostsTable"):
            p = template["Resources"][name]["Properties"]
            keys = ("BillingMode", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
            settings = {k: p[k] for k in keys}
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
def dynamodb_local():
    port = free_port()
    jars = subprocess.run([".ci/tools/fetch", "dynamodb-local"], cwd=ROOT, check=True, capture_output=True, text=True)
    jars = jars.stdout.strip()
    command = ["java", f"-Djava.library.path={jars}", "-cp", f"{jars}/*",
               "software.amazon.dynamodb.services.local.main.ServerRunner",
               "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with process("DynamoDB Local", command, port):
        yield port, Table(port)


class Fleet:
    """The hosts of internal/local."""

    def __init__(self, port, ssm_port, ec2_port):
        self.port, self.ssm_port, self.ec2_port = port, ssm_port, ec2_port

    def control(self, method, path, body=None):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/local/{path}", data, method=method)
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def host_ids(self):
        return [host["HostId"] for host in self.control("GET", "hosts")]

    def host_of(self, session_id):
        """The host that a session runs on, and the session as the host tells it; None where it does not run."""
        for host in self.control("GET", "hosts"):
            for session in host["Sessions"]:
                if session["Id"] == session_id:
                    return host["HostId"], session
        return None, None


@contextlib.contextmanager
def local_system():
    port, ssm_port, ec2_port = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        build = ["go", "build", "-buildvcs=false", "-o", f"{folder}/local", "./internal/local"]
        subprocess.run(build, cwd=ROOT, check=True)
        ports = {"PORT": port, "SSM_PORT": ssm_port, "EC2_PORT": ec2_port}
        # Its own functions have a table of their own, and are not to meddle with the hosts.
        idle = {f"{task}_EVERY": "24h" for task in ("DELETIONS", "INVENTORY", "IDLE")}
        ports = {name: str(number) for name, number in ports.items()}
        with process("the local system", [f"{folder}/local"], ec2_port, **ports, **idle):
            yield Fleet(port, ssm_port, ec2_port)


class Proxy:
    """Stands between the functions and Systems Manager or EC2: lets containers reach a server that listens on the
    loopback only, and remembers the commands that were sent."""

    def __init__(self, address, port):
        log = self
        self.command_ids = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                upstream = http.client.HTTPConnection("127.0.0.1", port)
                upstream.request("POST", self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
                if answer.status == 200 and self.headers["X-Amz-Target"] == "AmazonSSM.SendCommand":
                    log.command_ids.append(json.loads(content)["Command"]["CommandId"])
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        try:
            self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        except OSError:  # an engine in a virtual machine, which forwards to the loopback
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def wait_for_command(ssm_port, command_id, seconds=60):
    """The invocations of a command, once every one has ended."""
    ssm = boto3.client(
        "ssm", endpoint_url=f"http://127.0.0.1:{ssm_port}", region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        invocations = ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
        if invocations and all(i["Status"] not in ("Pending", "InProgress", "Delayed") for i in invocations):
            return invocations
        time.sleep(0.2)
    raise AssertionError(f"command {command_id} did not end within {seconds} s")
