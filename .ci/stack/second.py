"""A second stack beside the first, with another value for every parameter: a new one gets its value here."""

import json
import time

import path
from deployed import Stack, eventually, expect

NAME, SCOPE, DOMAIN, ORIGIN = "second", "desktops/use", "second-issuer", "http://localhost:3000"
EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


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
        "AllowedOrigins": f"https://portal.example.com,{ORIGIN}",
        "ApiRateLimit": "7",
        "ApiBurstLimit": "8",
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
        "ReserveConcurrency": "true",
        "PermissionsBoundaryArn": studio.client("iam").create_policy(PolicyName="boundary", PolicyDocument=EVERYTHING)["Policy"]["Arn"],
    }


def check_settings(stack, settings):
    """Every parameter has a value of its own."""
    parameters = stack.template()["Parameters"]
    same = [name for name, p in parameters.items() if name != "Architecture" and stack.parameters[name] == str(p.get("Default"))]
    expect(not same, f"parameters with their defaults: give them another value in {__file__}: {same}")
    expect(stack.parameters.items() >= settings.items(), stack.parameters)


def check_resources(stack):
    """What its settings change for AWS."""
    iam, functions = stack.client("iam"), stack.client("lambda")
    for role in stack.physical("AWS::IAM::Role").values():
        boundary = iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary", {})
        expect(boundary.get("PermissionsBoundaryArn") == stack.parameters["PermissionsBoundaryArn"], f"PermissionsBoundaryArn: {role}")
    for function in "CleanupFunction", "HostEventsFunction":
        found = functions.get_function_concurrency(FunctionName=stack.physical("AWS::Lambda::Function")[function])
        expect(found.get("ReservedConcurrentExecutions", 0) > 0, f"ReserveConcurrency: {function}: {found}")
    api = stack.physical("AWS::ApiGatewayV2::Api")["HttpApi"]
    [stage] = stack.client("apigatewayv2").get_stages(ApiId=api)["Items"]
    limits = stage["DefaultRouteSettings"]
    expect((limits["ThrottlingRateLimit"], limits["ThrottlingBurstLimit"]) == (7, 8), f"ApiRateLimit, ApiBurstLimit: {limits}")


def use(stack, login):
    """What its settings change for its clients."""
    for origin, expected in (ORIGIN, ORIGIN), ("https://other.example.com", None):
        allowed = stack.preflight("deleteSessions", origin)
        expect(allowed == expected, f"AllowedOrigins: {origin}: {allowed}")
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
