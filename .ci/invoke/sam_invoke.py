"""Runs every sample event through its function with `sam local`: unchanged, and, if it is about something that must have
happened before, once more with the names of what really happened.

The functions are the ones that `sam build` made, in containers; the table is in DynamoDB Local; commands reach the
simulated hosts of internal/local, which run the scripts of the documents for real.
"""

import contextlib
import datetime
import http.client
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile
import time

import boto3
import container_engine
import dynamodb_local
import local_system
import stand_in
from servers import ROOT, free_port, process

PROCESSOR = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
SAM = pathlib.Path(sys.executable).parent / "sam"

NOT_THERE = {"SessionId": "SessionIdabc", "FailureReason": "The requested dcvSession does not exist"}


# A session of the demo fleet without a record.
UNLISTED = "unlisted"


def time_text(ago=datetime.timedelta()):
    """A time that long ago, as the broker writes it."""
    at = datetime.datetime.now(datetime.timezone.utc) - ago
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def requester(event):
    """The requester in the record: the token's subject, which for client credentials is the client."""
    return event["requestContext"].get("authorizer", {}).get("jwt", {}).get("claims", {}).get("sub", "unknown")


def wait_for_command(ssm_port, command_id, seconds=300):
    """Waits until every invocation of a command has ended, and returns them."""
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


class Story:
    """The sample events in a sensible order, each as a separate check."""

    def __init__(self, table, fleet, aws, invoke):
        self.table, self.fleet, self.aws, self.invoke = table, fleet, aws, invoke
        self.host_id, self.session = fleet.host_of("SessionId123")
        self.told = set()
        assert self.host_id, "the local system has no session SessionId123"

    def list_session(self):
        """Writes the record of a session that has just been listed."""
        self.table.put(
            SessionId="SessionId123", Owner="user1", HostId=self.host_id, LiveHostId=self.host_id,
            Type=self.session["Type"], CreationTime=self.session["CreationTime"], State="READY", NumOfConnections=0,
        )

    def event(self, name):
        self.told.add(name)
        return json.loads((ROOT / "events" / f"{name}.json").read_text())

    def answer(self, name, function="DeleteSessionsFunction"):
        """The status and the body of the answer to an HTTP event."""
        response = self.invoke(function, self.event(name))
        return response["statusCode"], json.loads(response["body"])

    def stream_record_of_now(self, name):
        event = self.event(name)
        event["Records"][0]["dynamodb"]["NewImage"] = self.table.image("SessionId123")
        return event

    def delete_malformed(self):
        self.list_session()
        status, body = self.answer("delete-malformed")
        assert status == 400 and len(body["errors"]) >= 4, (status, body)
        assert self.table.get("SessionId123")["State"] == "READY"

    def delete(self, name="delete"):
        self.list_session()
        sent = len(self.aws.command_ids)
        status, body = self.answer(name)
        assert status == 200, (status, body)
        assert body["SuccessfulList"] == [{"SessionId": "SessionId123", "State": "DELETING"}], body
        assert body["UnsuccessfulList"] == [NOT_THERE], body
        record = self.table.get("SessionId123")
        assert (record["State"], record["AttemptId"]) == ("DELETING", body["RequestId"]), record
        assert record["DeletionRequestedBy"] == requester(self.event(name)), record
        assert len(self.aws.command_ids) == sent + 1, self.aws.command_ids

    def describe(self, name, state):
        """Checks that one session is shown, in that state."""
        status, body = self.answer(name, "DescribeSessionsFunction")
        assert status == 200 and "NextToken" not in body, (status, body)
        [shown] = [s for s in body["Sessions"] if s["Id"] == "SessionId123"]
        assert (shown["State"], shown["Owner"], shown["Server"]["Id"]) == (state, "user1", self.host_id), shown
        assert shown["CreationTime"] == self.session["CreationTime"], shown
        return shown

    def describe_host(self):
        shown = self.describe("describe-host", "DELETING")
        record = self.table.get("SessionId123")
        for detail in ("DeletionRequestedBy", "DeletionRequestId", "AttemptedAt"):
            assert shown[detail] == record[detail], (shown, record)

    def describe_malformed(self):
        status, body = self.answer("describe-malformed", "DescribeSessionsFunction")
        assert status == 400 and len(body["errors"]) == 4, (status, body)

    def command_status_of_an_unknown_command(self):
        event = self.event("command-status")
        answer = self.invoke("HostEventsFunction", event)
        assert answer["batchItemFailures"] == [{"itemIdentifier": event["Records"][0]["messageId"]}], answer

    def command_status(self, host_id):
        """Tells host-events that a host has done its part of the last command."""
        command_id = self.aws.command_ids[-1]
        wait_for_command(self.fleet.ssm_port, command_id)
        event = self.event("command-status")
        body = json.loads(event["Records"][0]["body"])
        body["detail"] |= {"command-id": command_id, "instance-id": host_id}
        event["Records"][0]["body"] = json.dumps(body)
        answer = self.invoke("HostEventsFunction", event)
        assert not answer["batchItemFailures"], answer

    def command_status_of_that_delete(self):
        self.command_status(self.host_id)
        record = self.table.get("SessionId123")
        assert record.get("Confirmation") == "closed", record
        assert self.fleet.host_of("SessionId123") == (None, None), "the session still runs on its host"

    def stream_record_of_another_attempt(self, name="stream-confirmed"):
        before = self.table.get("SessionId123")
        answer = self.invoke("SessionStreamFunction", self.event(name))
        assert not answer["batchItemFailures"], answer
        assert self.table.get("SessionId123") == before, "a record of an earlier deletion changed a later one"

    def ended_session(self):
        [detail] = self.invoke("EndedSessionsFunction", self.event("ended-session"))
        known = {name: detail[name] for name in ("SessionId", "Owner", "HostId", "Confirmation", "HostEmpty")}
        assert known == {
            "SessionId": "SessionId123", "Owner": "user1", "HostId": "i-0123456789abcdef0", "Confirmation": "closed", "HostEmpty": True,
        }, detail

    def ended_session_on_a_host_in_use(self):
        """For the session's host, on which another session lives now."""
        event = self.event("ended-session")
        event[0]["dynamodb"]["NewImage"] = self.table.image("SessionId123")
        another = {"SessionId": "another", "Owner": "user2", "HostId": self.host_id, "LiveHostId": self.host_id, "State": "READY"}
        self.table.put(**another)
        [detail] = self.invoke("EndedSessionsFunction", event)
        assert (detail["HostId"], detail["HostEmpty"]) == (self.host_id, False), detail
        self.table.put(**{name: value for name, value in another.items() if name != "LiveHostId"})
        [detail] = self.invoke("EndedSessionsFunction", event)
        assert (detail["HostId"], detail["HostEmpty"]) == (self.host_id, True), detail
        self.table.remove("another")

    def stream_confirmed(self, name="stream-confirmed"):
        answer = self.invoke("SessionStreamFunction", self.stream_record_of_now(name))
        assert not answer["batchItemFailures"], answer
        record = self.table.get("SessionId123")
        assert record["State"] == "DELETED" and "ExpiresAt" in record and "DueLane" not in record, record

    def delete_dry_run(self):
        self.list_session()
        before, sent = self.table.get("SessionId123"), len(self.aws.command_ids)
        status, body = self.answer("delete-dry-run")
        assert status == 200 and body["DryRun"] is True, (status, body)
        [hit] = body["SuccessfulList"]
        assert (hit["Session"]["State"], hit["Session"]["HostId"]) == ("READY", self.host_id), body
        assert self.table.get("SessionId123") == before, "a dry run changed the record"
        assert len(self.aws.command_ids) == sent, "a dry run sent a command"

    def delete_grace_period(self):
        self.list_session()
        sent = len(self.aws.command_ids)
        status, body = self.answer("delete-grace-period")
        [entry] = body["SuccessfulList"]
        record = self.table.get("SessionId123")
        assert (status, entry["State"], entry["CloseAt"]) == (200, "DELETING", record["CloseAt"]), (status, body, record)
        assert (record["State"], record["Attempts"], record["Message"][:11]) == ("DELETING", 0, "Maintenance"), record
        assert len(self.aws.command_ids) == sent + 1, self.aws.command_ids
        invocations = wait_for_command(self.fleet.ssm_port, self.aws.command_ids[-1])
        assert [i["DocumentName"] for i in invocations] == ["NotifyDocument"], invocations
        assert self.fleet.host_of("SessionId123") != (None, None), "the session was closed before its close time"

    def cancel(self, name, cancelled):
        """For a deletion whose close time is in ten minutes."""
        self.list_session()
        listed, closes = self.table.get("SessionId123"), time_text(-datetime.timedelta(minutes=10))
        waits = listed | {
            "State": "DELETING", "StateBefore": "READY", "CloseAt": closes, "DeletionRequestedAt": time_text(),
            "DeletionRequestId": "earlier", "AttemptId": "earlier", "Attempts": 0, "NextAttemptAt": closes, "DueLane": "wait-0",
            "NoticeId": "earlier", "NoticeAt": time_text(datetime.timedelta(minutes=1)),
        }
        self.table.put(**waits)
        sent = len(self.aws.command_ids)
        status, body = self.answer(name, "CancelDeletionsFunction")
        assert status == 200 and body.get("DryRun", False) is not cancelled, (status, body)
        assert body["SuccessfulList"] == [{"SessionId": "SessionId123", "State": "READY"}], body
        assert body["UnsuccessfulList"] == [NOT_THERE], body
        record = self.table.get("SessionId123")
        if not cancelled:
            assert record == waits, "a dry run changed the record"
            assert len(self.aws.command_ids) == sent, "a dry run sent a command"
            return
        assert record["CancelledBy"] == body["RequestId"], record
        assert {name: record[name] for name in record if name not in ("CancelledAt", "CancelledBy", "NoticeAt")} == listed, record
        [told] = wait_for_command(self.fleet.ssm_port, self.aws.command_ids[-1])
        assert len(self.aws.command_ids) == sent + 1 and told["DocumentName"] == "NotifyDocument", (self.aws.command_ids, told)

    def delete_forced(self):
        self.list_session()
        sent = len(self.aws.command_ids)
        status, body = self.answer("delete-forced")
        assert status == 200 and body["UnsuccessfulList"] == [], (status, body)
        assert body["SuccessfulList"] == [{"SessionId": "SessionId123", "State": "DELETING"}], body
        assert self.table.get("SessionId123")["Confirmation"] == "forced"
        assert len(self.aws.command_ids) == sent, "a forced delete sent a command"

    def cleanup(self, task, document, host_ids):
        """Runs a task that must send one command to these hosts; returns the command's comment."""
        sent = len(self.aws.command_ids)
        assert self.invoke("CleanupFunction", self.event(f"cleanup-{task}")) is None
        assert len(self.aws.command_ids) == sent + 1, self.aws.command_ids
        invocations = wait_for_command(self.fleet.ssm_port, self.aws.command_ids[-1])
        assert {i["InstanceId"] for i in invocations} == set(host_ids), invocations
        assert all(i["DocumentName"] == document and i["Status"] == "Success" for i in invocations), invocations
        return invocations[0]["Comment"]

    def cleanup_deletions(self):
        self.session = self.fleet.start_session(self.host_id, "SessionId123", "user1")
        self.list_session()
        earlier = time_text(datetime.timedelta(minutes=5))
        self.table.put(**self.table.get("SessionId123") | {
            "State": "DELETING", "DeletionRequestedAt": earlier, "DeletionRequestId": "earlier", "AttemptId": "earlier",
            "Attempts": 1, "AttemptedAt": earlier, "NextAttemptAt": earlier, "DueLane": "0",
        })
        comment = self.cleanup("deletions", "CloseDocument", [self.host_id])
        record = self.table.get("SessionId123")
        assert (record["State"], record["Attempts"]) == ("DELETING", 2), record
        assert comment == f"close {record['AttemptId']}" and record["NextAttemptAt"] > time_text(), (comment, record)
        assert self.fleet.host_of("SessionId123") == (None, None), "the session still runs on its host"

    def cleanup_inventory(self):
        comment = self.cleanup("inventory", "InventoryDocument", self.fleet.host_ids())
        assert comment.startswith("inventory "), comment

    def command_status_of_that_inventory(self):
        host_id, _ = self.fleet.host_of(UNLISTED)
        assert UNLISTED not in self.table.sessions(), f"{UNLISTED} is listed before any inventory was applied"
        self.command_status(host_id)
        record = self.table.get(UNLISTED)
        assert (record["State"], record["LiveHostId"]) == ("READY", host_id), record

    def cleanup_idle(self):
        comment = self.cleanup("idle", "IdleDocument", self.fleet.host_ids())
        assert comment.startswith("idle "), comment

    def cleanup_stop(self):
        assert self.invoke("CleanupFunction", self.event("cleanup-stop")) is None
        host = next(h for h in self.fleet.control("GET", "hosts") if h["HostId"] == self.host_id)
        assert host["State"] == "running", f"a host was stopped, which is off by default: {host}"

    def cleanup_close_dry_run(self):
        self.session = self.fleet.start_session(self.host_id, "SessionId123", "user1")
        self.list_session()
        record = self.table.get("SessionId123") | {"CreationTime": "2026-11-22T08:30:00Z", "HostId": "i-0123456789abcdef0"}
        self.table.put(**record | {"LiveHostId": "i-0123456789abcdef0"})
        before, sent = self.table.get("SessionId123"), len(self.aws.command_ids)
        answer = self.invoke("CleanupFunction", self.event("cleanup-close-dry-run"))
        assert [(s["sessionId"], s["result"]) for s in answer["sessions"]] == [("SessionId123", "would delete")], answer
        assert self.table.get("SessionId123") == before, "a dry run changed the record"
        assert len(self.aws.command_ids) == sent, "a dry run sent a command"

    def cleanup_close(self, event="cleanup-close", rule="rule MaxSessionHours"):
        self.list_session()
        self.table.put(**self.table.get("SessionId123") | {"CreationTime": time_text(datetime.timedelta(hours=13))})
        answer = self.invoke("CleanupFunction", self.event(event))
        assert [s["result"] for s in answer["sessions"] if s["sessionId"] == "SessionId123"] == ["deleting"], answer
        record = self.table.get("SessionId123")
        assert (record["State"], record["DeletionRequestedBy"], record["DeletionRequestId"]) == ("DELETING", rule, answer["requestId"]), record

    def instance_stopped(self, host_id=None):
        event = self.event("instance-stopped")
        if host_id:
            body = json.loads(event["Records"][0]["body"])
            body["detail"]["instance-id"] = host_id
            event["Records"][0]["body"] = json.dumps(body)
        answer = self.invoke("HostEventsFunction", event)
        assert not answer["batchItemFailures"], answer

    def instance_really_stopped(self):
        self.list_session()
        seen = {"FirstSeenAt": time_text(datetime.timedelta(minutes=5))}
        self.table.put(**self.table.get("SessionId123") | seen)
        self.instance_stopped(self.host_id)
        record = self.table.get("SessionId123")
        assert record["State"] == "READY", f"the host is alive, and yet: {record}"
        self.fleet.control("POST", f"hosts/{self.host_id}/stop")
        self.instance_stopped(self.host_id)
        record = self.table.get("SessionId123")
        assert (record["State"], record.get("Confirmation")) == ("DELETING", "host-gone"), record

    def checks(self):
        return [
            ("delete-malformed.json: every fault is named, nothing is done", self.delete_malformed),
            ("delete-dry-run.json: tells what the next one does, and does nothing", self.delete_dry_run),
            ("delete-grace-period.json: waits, and its user is told", self.delete_grace_period),
            ("delete.json: marked, and the host told", self.delete),
            ("describe.json: DELETING", lambda: self.describe("describe", "DELETING")),
            ("describe-host.json: DELETING, with details", self.describe_host),
            ("describe-malformed.json: every fault is named", self.describe_malformed),
            ("command-status.json as it stands: goes back to the queue", self.command_status_of_an_unknown_command),
            ("stream-confirmed.json as it stands: changes nothing", self.stream_record_of_another_attempt),
            ("command-status.json of that delete: confirmed", self.command_status_of_that_delete),
            ("stream-confirmed.json of that delete: DELETED", self.stream_confirmed),
            ("ended-session.json: is announced, its host is empty", self.ended_session),
            ("ended-session.json of that delete: its host is empty once the last has left it", self.ended_session_on_a_host_in_use),
            ("describe-owner.json: DELETED", lambda: self.describe("describe-owner", "DELETED")),
            ("describe-all.json: DELETED", lambda: self.describe("describe-all", "DELETED")),
            ("delete-base64.json: as delete.json", lambda: self.delete("delete-base64")),
            ("cancel-deletions-dry-run.json: tells what the next one does, and does nothing",
             lambda: self.cancel("cancel-deletions-dry-run", False)),
            ("cancel-deletions.json: the session is what it was, and its host told", lambda: self.cancel("cancel-deletions", True)),
            ("delete-forced.json: takes over, sends nothing", self.delete_forced),
            ("stream-forced.json as it stands: changes nothing",
             lambda: self.stream_record_of_another_attempt("stream-forced")),
            ("stream-forced.json of that delete: DELETED", lambda: self.stream_confirmed("stream-forced")),
            ("cleanup-deletions.json: a due deletion is claimed and sent again", self.cleanup_deletions),
            ("cleanup-inventory.json: every host is asked", self.cleanup_inventory),
            ("command-status.json of that inventory: lists what was not", self.command_status_of_that_inventory),
            ("cleanup-idle.json: every host is told", self.cleanup_idle),
            ("cleanup-stop.json: no host is stopped, unless that is switched on", self.cleanup_stop),
            ("cleanup-close-dry-run.json: tells what would be deleted, and does nothing", self.cleanup_close_dry_run),
            ("cleanup-close.json: a session of that age is marked, and its host told", self.cleanup_close),
            ("cleanup-close-all.json: any session is marked, and its host told to warn the user", lambda: self.cleanup_close("cleanup-close-all", "rule new image")),
            ("instance-stopped.json as it stands, of a host without records: is no failure", self.instance_stopped),
            ("instance-stopped.json of a host that runs, then of one that stopped: its session ends",
             self.instance_really_stopped),
            ("every sample event was told of", self.nothing_left_out),
        ]

    def nothing_left_out(self):
        left_out = {file.stem for file in (ROOT / "events").iterdir()} - self.told
        assert not left_out, left_out


class Sam:
    """The SAM CLI, which invokes functions. It takes seconds to load, so only the first event of each function goes through
    `sam local invoke`; the others go through a `sam local start-lambda`, which also runs each in its own container."""

    def __init__(self, folder, image, environment):
        self.folder = folder
        variables = folder / "variables.json"
        variables.write_text(json.dumps({"Parameters": environment}))
        self.options = [
            "--template", ROOT / ".aws-sam" / PROCESSOR / "template.yaml", "--env-vars", variables, "--invoke-image", image,
            "--skip-pull-image", "--add-host", "host.docker.internal:host-gateway", "--parameter-overrides", f"Architecture={PROCESSOR}",
        ]
        self.invoked = set()

    @contextlib.contextmanager
    def running(self):
        self.port = free_port()
        with process("sam local start-lambda", [SAM, "local", "start-lambda", "--port", str(self.port), *self.options], self.port) as printed:
            self.printed = printed
            yield

    def alone(self, function, event):
        """Whether it was invoked, its answer, and its other output."""
        event_file = self.folder / "event.json"
        event_file.write_text(event)
        done = subprocess.run([SAM, "local", "invoke", function, "--event", event_file, *self.options], cwd=self.folder, capture_output=True, text=True)
        return done.returncode == 0, done.stdout, done.stderr

    def served(self, function, event):
        """The same."""
        before = len(self.printed())
        server = http.client.HTTPConnection("127.0.0.1", self.port)
        server.request("POST", f"/2015-03-31/functions/{function}/invocations", event)
        answer = server.getresponse()
        said = answer.read().decode()
        return answer.status == 200, said, self.printed()[before:]

    def invoke(self, function, event):
        run = self.served if function in self.invoked else self.alone
        self.invoked.add(function)
        for _ in range(3):
            went, said, logged = run(function, json.dumps(event))
            # SAM's runtime emulator sometimes dies on its own (a nil pointer in its rapidcore, when the first request
            # comes as it starts), before the function has seen anything.
            if "rapidcore.(*Server).Invoke" not in logged:
                break
        try:
            answer = json.loads(said)
        except json.JSONDecodeError:
            answer = "not JSON"
        # A function without an answer answers null, a pipe's a list.
        if not went or not (answer is None or isinstance(answer, (dict, list))) or "errorMessage" in (answer or {}):
            raise AssertionError(f"{function} failed: {said}\n{logged}")
        return answer


def main():
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
    }
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # through the blocks below, which stop servers
    passed = failed = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(container_engine.running())
        image = container_engine.image()
        dynamodb_port, table = stack.enter_context(dynamodb_local.running())
        fleet = stack.enter_context(local_system.idle())
        aws = stack.enter_context(stand_in.running(container_engine.host_address(image)))
        aws.ports = {"DynamoDB_20120810": dynamodb_port, "AmazonSSM": fleet.ssm_port, "EC2": fleet.ec2_port}
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = f"http://host.docker.internal:{aws.port}"
        sam = Sam(folder, image, {
            **{f"AWS_ENDPOINT_URL_{service}": address for service in ("DYNAMODB", "SSM", "EC2")},
            "CLOSE_IDLE_AFTER_MINUTES": "60",
        })
        stack.enter_context(sam.running())
        for what, check in Story(table, fleet, aws, sam.invoke).checks():
            try:
                check()
                passed += 1
                print(f"ok    {what}", flush=True)
            except Exception as failure:  # one event's failure must not hide the others'
                failed += 1
                print(f"FAIL  {what}\n      {type(failure).__name__}: {failure}", flush=True)
    print(f"sam local invoke: {passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
