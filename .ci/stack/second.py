"""A second stack beside the first, with another value for every parameter: a new one gets its value here."""

import json
import time

import path
from deployed import Stack, eventually, expect

NAME, SCOPE, DOMAIN = "second", "desktops/use", "second-issuer"


def settings(studio):
    """The parameters, and how its clients get their tokens. What they name, another issuer among it, is made here."""
    cognito = studio.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
    identifier, scope = SCOPE.split("/")
    cognito.create_resource_server(UserPoolId=pool, Identifier=identifier, Name="another", Scopes=[{"ScopeName": scope, "ScopeDescription": "use"}])
    cognito.create_user_pool_domain(UserPoolId=pool, Domain=DOMAIN)
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="another", GenerateSecret=True, AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["client_credentials"], AllowedOAuthScopes=[SCOPE])["UserPoolClient"]
    login = {
        "TOKEN_URL": f"https://{DOMAIN}.auth.{studio.region}.amazoncognito.com/oauth2/token", "CLIENT_ID": client["ClientId"],
        "CLIENT_SECRET": client["ClientSecret"],
    }
    return login, {
        "FleetTagValue": "the second",
        "Issuer": f"https://cognito-idp.{studio.region}.amazonaws.com/{pool}",
        "Audience": f"another,{client['ClientId']}",
        "Scope": SCOPE,
        "MaxBatchSize": "2",
        "GiveUpAfterMinutes": "5",
        "ForceMode": "best-effort",
        "GracePeriodSeconds": "60",
        "GraceMessage": "Save now",
        "MaxSessionHours": "12",
        "InventoryMinutes": "2",
        "SilentAfterMinutes": "5",
        "MaxSessionsPerHost": "2",
        "EndSessionsOfStoppedHosts": "false",
        "CloseIdleAfterMinutes": "10",
        "StopEmptyHosts": "true",
        "StopEmptyAfterMinutes": "5",
        "AlarmTopicArn": studio.client("sns").create_topic(Name="alarms")["TopicArn"],
        "OldestDeletionAlarmMinutes": "3",
        "EventBusArn": studio.client("events").create_event_bus(Name="ends")["EventBusArn"],
        "AuditRetentionDays": "7",
        "LogLevel": "debug",
        "LogRetentionDays": "1",
        "DeletionProtection": "false",
    }


def check_settings(stack, settings):
    """Every parameter has a value of its own."""
    parameters = stack.template()["Parameters"]
    same = [name for name, p in parameters.items() if name != "Architecture" and stack.parameters[name] == str(p.get("Default"))]
    expect(not same, f"parameters with their defaults: give them another value in {__file__}: {same}")
    expect(stack.parameters.items() >= settings.items(), stack.parameters)


def use(stack, login):
    """What its settings change for its clients."""
    status, answer = stack.ask_for_token(login["TOKEN_URL"], login["CLIENT_ID"], login["CLIENT_SECRET"], SCOPE)
    expect(status == 200, (status, answer))
    stack.token = answer["access_token"]
    entry = {"SessionId": path.SESSION, "Owner": path.OWNER}
    status, answer = stack.call("deleteSessions", [entry] * 3)
    expect(status == 400, f"MaxBatchSize: {answer}")

    stack.put_session(path.SESSION, path.OWNER, path.HOST)
    status, answer = stack.call("deleteSessions", [entry | {"Reason": "why"}])
    [marked] = answer["SuccessfulList"]
    expect(60 >= seconds_until(marked["CloseAt"]) > 0, f"GracePeriodSeconds: {answer}")
    [detail, *_] = eventually(lambda: stack.announced("DCV Session Deletion Scheduled", path.SESSION), path.PATIENCE)
    expect(detail["CloseAt"] == marked["CloseAt"], f"EventBusArn: {detail}")
    status, answer = stack.call("cancelDeletions", [entry])
    expect(status == 200 and answer["UnsuccessfulList"] == [], answer)
    eventually(lambda: stack.announced("DCV Session Deletion Cancelled", path.SESSION), path.PATIENCE)
    path.schedules(stack, path.PATIENCE)


def seconds_until(text):
    return time.mktime(time.strptime(text.split(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time()
