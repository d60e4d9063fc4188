"""The use of a stack, in steps: from a token to DELETED. Each raises Failure if the stack fails."""

import json
import time

from deployed import Failure, Late, eventually, expect

HOST, SESSION, OWNER = "i-0a1b2c3d4e5f60001", "SessionId123", "user1"  # of the demo fleet
RULED = "SessionOfARule"
REFUSED, NO_HOST = "SessionOfNoHost", "i-0a1b2c3d4e5f6ffff"  # Systems Manager does not know it
SCOPE = "dcv-session-manager/sm_scope"

PATIENCE = 300
# For a broken stack a shorter wait is enough: a good one needs far less.
IMPATIENCE = 5


def token(stack, patience):
    url, client = stack.outputs["TokenUrl"], stack.outputs["ClientId"]
    status, answer = stack.ask_for_token(url, client, "wrong", SCOPE)
    expect(status == 400 and answer["error"] == "invalid_client", (status, answer))
    status, answer = stack.ask_for_token(url, client, stack.secret(), SCOPE)
    expect(status == 200 and answer["token_type"] == "Bearer", (status, answer))
    stack.token = answer["access_token"]


def api(stack, patience):
    """Only calls with a token are accepted."""
    head, body, signature = stack.token.split(".")
    for forged in ("x", f"{head}.{body}.{signature[::-1]}"):
        status, answer = stack.call("describeSessions", {}, token=forged)
        expect(status == 401, (status, answer))
    stack.sessions()


def inventory(stack, patience):
    """The schedule sends an inventory to every host, and their sessions are listed."""
    done(stack, "inventory", patience)

    def listed():
        """the session is READY"""
        shown = stack.sessions(Filters=[{"Key": "owner", "Value": OWNER}])
        return SESSION in shown and shown[SESSION]["State"] == "READY"

    eventually(listed, patience)
    expect(SESSION in stack.sessions(Filters=[{"Key": "host", "Value": HOST}]), "the filter host does not find it")
    [shown] = stack.sessions(SessionIds=[SESSION], Details=True).values()
    expect("LastSeenTime" in shown, shown)


def deletion(stack, patience):
    """Entries of another owner, or of a host that cannot be told, change nothing; the right one is marked, and its host closes
    it."""
    stack.put_session(REFUSED, "other", NO_HOST)
    for operation in "deleteSessions?dryRun=true", "deleteSessions":
        status, answer = stack.call(operation, [{"SessionId": REFUSED, "Owner": "other"}])
        expect(status == 200 and len(answer["UnsuccessfulList"]) == 1, (operation, status, answer))
    hosts = stack.client("dynamodb").scan(TableName=stack.outputs["HostsTableName"])["Items"]
    expect(f"refused-{NO_HOST}" in [h["HostId"]["S"] for h in hosts], f"the refused host is not noted: {hosts}")
    status, answer = stack.call("deleteSessions", [{"SessionId": SESSION, "Owner": "other"}])
    expect(status == 200 and "does not exist" in answer["UnsuccessfulList"][0]["FailureReason"], (status, answer))
    status, answer = stack.call("deleteSessions", [{"SessionId": SESSION, "Owner": OWNER}])
    expect(status == 200 and answer["SuccessfulList"] == [{"SessionId": SESSION, "State": "DELETING"}], (status, answer))

    def confirmed():
        """the host has closed the session, and the record says so"""
        return stack.record(SESSION).get("Confirmation") == "closed" and stack.aws.fleet.host_of(SESSION) == (None, None)

    eventually(confirmed, patience)


def deleted(stack, patience):
    """By the table's stream; and the end is announced."""
    eventually(lambda: stack.sessions(SessionIds=[SESSION])[SESSION]["State"] == "DELETED", patience, "the session is DELETED")


def announcement(stack, patience):
    [detail, *_] = eventually(lambda: stack.announced("DCV Session Ended", SESSION), patience, "its end is announced")
    found = {name: detail[name] for name in ("Stack", "Owner", "HostId", "Confirmation")}
    expect(found == {"Stack": stack.name, "Owner": OWNER, "HostId": HOST, "Confirmation": "closed"}, detail)
    expect("HostEmpty" in detail, f"the other sessions of the host could not be read: {detail}")


def faults(lines):
    """The lines of level ERROR, except of tasks that ran out of time: on a busy machine MiniStack answers some calls late. A
    task that never has enough time is never done."""
    return [line for line in lines if line.get("level") == "ERROR" and "deadline exceeded" not in line.get("Cause", "")]


def done(stack, task, patience):
    """Cleanup, invoked by the task's schedule, runs it, without a failure. The schedule fires again and again: the last
    lines of an invocation may be in MiniStack's log only with the next one."""

    def logged():
        lines = stack.log("cleanup")
        if failed := faults(lines):
            raise Failure(failed)
        return any((line.get("msg"), line.get("Task")) == ("task done", task) for line in lines)

    deadline = time.monotonic() + patience
    while True:
        stack.aws.fire(f"{stack.name}-CleanupFunction{task.capitalize()}")
        try:
            return eventually(logged, min(patience, 3))
        except Late:
            if time.monotonic() > deadline:
                raise


def schedules(stack, patience):
    """The other schedules that are on have an input that cleanup understands."""
    expected = ["deletions", "inventory"]
    expected += ["idle"] if stack.parameters["CloseIdleAfterMinutes"] != "0" else []
    expected += ["close"] if stack.parameters["MaxSessionHours"] != "0" else []
    expected += ["stop"] if stack.parameters["StopEmptyHosts"] == "true" else []
    for task in expected:
        done(stack, task, patience)


def rule(stack, patience):
    """Rules select by host, by owner, or of all sessions, and delete what they select."""
    stack.aws.fleet.start_session(HOST, RULED, OWNER)
    stack.aws.fire(f"{stack.name}-CleanupFunctionInventory")
    eventually(lambda: RULED in stack.sessions(Filters=[{"Key": "host", "Value": HOST}]), patience, "the session is listed")
    for select, dry in ({"hosts": [HOST]}, True), ({"all": True}, True), ({"owners": [OWNER]}, False):
        event = {"task": "close", "name": "stack-test", "select": select, "dryRun": dry}
        answer = stack.client("lambda").invoke(FunctionName=stack.outputs["CleanupFunctionName"], Payload=json.dumps(event))
        answer = json.load(answer["Payload"])
        expect(RULED in [s["sessionId"] for s in answer.get("sessions", [])], (select, answer))
    eventually(lambda: stack.sessions(SessionIds=[RULED])[RULED]["State"] == "DELETED", patience, "the session is DELETED")


STEPS = (token, api, inventory, deletion, deleted, announcement, schedules, rule)
