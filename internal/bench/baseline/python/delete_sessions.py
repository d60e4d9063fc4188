#!/usr/bin/env python3
"""The baseline in the language that such functions are usually written in: boto3, a session after the other.

The loop at the end is what Lambda's Python runtime is around a handler.
"""

import datetime
import json
import os
import urllib.request

import boto3
from botocore.config import Config

config = Config(region_name=os.environ["AWS_REGION"])
table = boto3.resource(
    "dynamodb", config=config, endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
).Table(os.environ["SESSIONS_TABLE"])
ssm = boto3.client("ssm", config=config, endpoint_url=os.environ["AWS_ENDPOINT_URL_SSM"])


def delete(entry):
    """Returns why it failed, if it did."""
    item = table.get_item(Key={"SessionId": entry["SessionId"]}, ConsistentRead=True).get("Item")
    if not item or item["Owner"] != entry["Owner"]:
        return "The requested dcvSession does not exist"
    table.update_item(
        Key={"SessionId": entry["SessionId"]},
        UpdateExpression="SET #state = :deleting, DeletionRequestedAt = :now",
        ConditionExpression="#owner = :owner",
        ExpressionAttributeNames={"#state": "State", "#owner": "Owner"},
        ExpressionAttributeValues={
            ":deleting": "DELETING",
            ":now": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            ":owner": entry["Owner"],
        },
    )
    ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[item["HostId"]],
        Parameters={"commands": [f"dcv close-session '{entry['SessionId']}'"]},
    )
    return ""


def handler(event, request_id):
    successful, unsuccessful = [], []
    for entry in json.loads(event["body"]):
        try:
            reason = delete(entry)
        except Exception as error:  # whatever it is, the others go on
            reason = str(error)
        if reason:
            unsuccessful.append({"SessionId": entry["SessionId"], "FailureReason": reason})
        else:
            successful.append({"SessionId": entry["SessionId"], "State": "DELETING"})
    answer = {"RequestId": request_id, "SuccessfulList": successful, "UnsuccessfulList": unsuccessful}
    return {"statusCode": 200, "body": json.dumps(answer)}


def main():
    base = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
    while True:
        with urllib.request.urlopen(f"{base}/next") as event:
            request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]
            answer = handler(json.load(event), request_id)
        with urllib.request.urlopen(f"{base}/{request_id}/response", json.dumps(answer).encode()) as taken:
            taken.read()


if __name__ == "__main__":
    main()
