"""A program like those in Session Manager's developer guide ("Example API request", DeleteSessions, DescribeSessions):
the same package, classes, parameters and steps, with the broker's address and credentials as arguments."""

import base64
import json

import swagger_client
import urllib3
from swagger_client.models.delete_session_request_data import DeleteSessionRequestData
from swagger_client.models.describe_sessions_request_data import DescribeSessionsRequestData
from swagger_client.models.key_value_pair import KeyValuePair


class Program:
    def __init__(self, broker, client_id, client_secret):
        self.broker, self.client_id, self.client_secret = broker, client_id, client_secret

    def access_token(self):
        credentials = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        answer = urllib3.request(
            "POST", f"{self.broker}/oauth2/token", body="grant_type=client_credentials",
            headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"},
        )
        if answer.status != 200:
            raise PermissionError(answer.data.decode())
        return json.loads(answer.data)["access_token"]

    def sessions_api(self):
        configuration = swagger_client.Configuration()
        configuration.host = self.broker
        configuration.verify_ssl = False
        api = swagger_client.SessionsApi(swagger_client.ApiClient(configuration))
        api.api_client.set_default_header(header_name="Authorization", header_value=f"Bearer {self.access_token()}")
        return api

    def delete_sessions(self, sessions_to_delete, force=False):
        request = []
        for session_id, owner in sessions_to_delete:
            request.append(DeleteSessionRequestData(session_id=session_id, owner=owner, force=force))
        return self.sessions_api().delete_sessions(body=request)

    def describe_sessions(self, session_ids=None, next_token=None, tags=None, owner=None):
        filters = []
        for tag in tags or []:
            filters.append(KeyValuePair(key="tag:" + tag["Key"], value=tag["Value"]))
        if owner:
            filters.append(KeyValuePair(key="owner", value=owner))
        request = DescribeSessionsRequestData(session_ids=session_ids, filters=filters, next_token=next_token)
        return self.sessions_api().describe_sessions(body=request)
