"""A second stack in the same account, with another value for every parameter: add the value of a new parameter here."""

import time

import company_rules
import path
from deployed import Stack, eventually, expect

NAME, SCOPE, DOMAIN, ORIGIN, BUCKET = "second", "desktops/use", "second-issuer", "http://localhost:3000", "artifacts-of-the-company"


def settings(studio):
    """The parameters, and how its clients get their tokens. It makes what they name, such as another issuer."""
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
        "GracePeriodSeconds": "1800",
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
        "IndexStep": "3",
        "ReserveConcurrency": "true",
        "KmsKeyArn": studio.client("kms").create_key()["KeyMetadata"]["Arn"],
        **network(studio.client("ec2")),
        "PermissionsBoundaryArn": studio.client("iam").create_policy(PolicyName="boundary", PolicyDocument=company_rules.shown_boundary())["Policy"]["Arn"],
    }


def section(studio):
    """Of samconfig.toml: what is deployed goes through a bucket of the company's."""
    studio.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": studio.region})
    return f'[{NAME}.deploy.parameters]\ncapabilities = "CAPABILITY_IAM"\ns3_bucket = "{BUCKET}"\n'


def network(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
    group = ec2.create_security_group(VpcId=vpc, GroupName="functions", Description="functions")["GroupId"]
    return {"VpcSubnetIds": ",".join(subnets), "VpcSecurityGroupIds": group}


def check_settings(stack, settings):
    """Every parameter has another value than its default."""
    parameters = stack.template()["Parameters"]
    same = [name for name, p in parameters.items() if name != "Architecture" and stack.parameters[name] == str(p.get("Default"))]
    expect(not same, f"parameters with their defaults: give them another value in {__file__}: {same}")
    expect(stack.parameters.items() >= settings.items(), stack.parameters)


def check_resources(stack):
    """The settings' effects in AWS."""
    expect(stack.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] > 0, f"s3_bucket: nothing is in {BUCKET}")
    iam, functions = stack.client("iam"), stack.client("lambda")
    for role in stack.physical("AWS::IAM::Role").values():
        boundary = iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary", {})
        expect(boundary.get("PermissionsBoundaryArn") == stack.parameters["PermissionsBoundaryArn"], f"PermissionsBoundaryArn: {role}")
    for function in "CleanupFunction", "HostEventsFunction":
        found = functions.get_function_concurrency(FunctionName=stack.physical("AWS::Lambda::Function")[function])
        expect(found.get("ReservedConcurrentExecutions", 0) > 0, f"ReserveConcurrency: {function}: {found}")
    for function in stack.physical("AWS::Lambda::Function").values():
        found = functions.get_function_configuration(FunctionName=function).get("VpcConfig", {})
        expect(",".join(found.get("SubnetIds", [])) == stack.parameters["VpcSubnetIds"], f"VpcSubnetIds: {function}: {found}")
        expect(found["SecurityGroupIds"] == [stack.parameters["VpcSecurityGroupIds"]], f"VpcSecurityGroupIds: {function}: {found}")
    key = stack.parameters["KmsKeyArn"]
    for table in stack.physical("AWS::DynamoDB::Table").values():
        found = stack.client("dynamodb").describe_table(TableName=table)["Table"].get("SSEDescription", {})
        expect(found.get("KMSMasterKeyArn") == key, f"KmsKeyArn: {table}: {found}")
    groups = stack.client("logs").describe_log_groups()["logGroups"]
    for group in stack.physical("AWS::Logs::LogGroup").values():
        [found] = [g for g in groups if g["logGroupName"] == group]
        expect(found.get("kmsKeyId") == key, f"KmsKeyArn: {found}")
    api = stack.physical("AWS::ApiGatewayV2::Api")["HttpApi"]
    [stage] = stack.client("apigatewayv2").get_stages(ApiId=api)["Items"]
    limits = stage["DefaultRouteSettings"]
    expect((limits["ThrottlingRateLimit"], limits["ThrottlingBurstLimit"]) == (7, 8), f"ApiRateLimit, ApiBurstLimit: {limits}")


def check_queues(stack):
    """They refuse requests without TLS, as all from here are sent."""
    sqs = stack.client("sqs")
    for queue in stack.physical("AWS::SQS::Queue").values():
        try:
            found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
        except sqs.exceptions.ClientError as refused:
            found = refused.response["Error"]["Code"]
        expect(found == "AccessDenied", f"{queue}: {found}")


def use(stack, login):
    """The settings' effects for clients."""
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
    expect(1800 >= seconds_until(marked["CloseAt"]) > 0, f"GracePeriodSeconds: {answer}")
    [detail, *_] = eventually(lambda: stack.announced("DCV Session Deletion Scheduled", path.SESSION), path.PATIENCE, "the deletion is announced")
    expect(detail["CloseAt"] == marked["CloseAt"], f"EventBusArn: {detail}")
    status, answer = stack.call("cancelDeletions", [entry])
    expect(status == 200 and answer["UnsuccessfulList"] == [], answer)
    eventually(lambda: stack.announced("DCV Session Deletion Cancelled", path.SESSION), path.PATIENCE, "the cancel is announced")
    path.schedules(stack, path.PATIENCE)


def seconds_until(text):
    return time.mktime(time.strptime(text.split(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time()
