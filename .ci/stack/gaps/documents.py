"""AWS::SSM::Document: MiniStack has no documents. They are kept as CloudFormation passes them, without validation."""

import hashlib
import json

from ministack.core.responses import AccountRegionScopedDict, get_account_id
from ministack.services.cloudformation import provisioners

documents = AccountRegionScopedDict()  # by name: the logical ID and the content


def fill():
    provisioners._RESOURCE_HANDLERS["AWS::SSM::Document"] = {
        "create": create, "update": update, "update_with_logical_id": True, "delete": delete,
    }


def create(logical_id, properties, stack):
    assert properties["UpdateMethod"] == "NewVersion", "with Replace an update makes a document with another name"
    name = provisioners._physical_name(stack, logical_id)
    documents[name] = {"LogicalId": logical_id, "Content": properties["Content"], "Version": 1}
    return name, {}


def update(physical_id, old, new, stack, logical_id):
    documents[physical_id] |= {"Content": new["Content"], "Version": documents[physical_id]["Version"] + 1}
    return physical_id, {}


def delete(physical_id, properties):
    documents.pop(physical_id, None)


def described(name):
    """The answer of DescribeDocument and GetDocument."""
    content = json.dumps(documents[name]["Content"])
    version = str(documents[name]["Version"])
    document = {
        "Name": name, "DocumentType": "Command", "DocumentFormat": "JSON", "DocumentVersion": version,
        "DefaultVersion": version, "LatestVersion": version, "SchemaVersion": "2.2", "Status": "Active",
        "Hash": hashlib.sha256(content.encode()).hexdigest(), "HashType": "Sha256", "Owner": get_account_id(),
    }
    return document, {**document, "Content": content}
