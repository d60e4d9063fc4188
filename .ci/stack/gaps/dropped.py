"""Properties that MiniStack's CloudFormation leaves out, though the services have them: a role's permissions boundary, which
then has an effect; a function's reserved concurrency and its network; a table's key."""

from ministack.services import dynamodb, iam, lambda_svc
from ministack.services.cloudformation import provisioners


def fill():
    completed("AWS::IAM::Role", bound)
    completed("AWS::Lambda::Function", reserve)
    completed("AWS::Lambda::Function", connect)
    completed("AWS::DynamoDB::Table", encrypt)


def completed(kind, complete):
    """Calls complete(physical_id, properties) after each create and update."""
    handlers = provisioners._RESOURCE_HANDLERS[kind]
    create, update = handlers["create"], handlers["update"]

    def create_whole(logical_id, properties, stack):
        made = create(logical_id, properties, stack)
        complete(made[0], properties)
        return made

    def update_whole(physical_id, old, new, *rest):
        made = update(physical_id, old, new, *rest)
        complete(made[0], new)
        return made

    handlers |= {"create": create_whole, "update": update_whole}


def bound(role, properties):
    iam._roles[role]["PermissionsBoundary"] = properties.get("PermissionsBoundary")


def reserve(function, properties):
    if "ReservedConcurrentExecutions" in properties:
        status, _, body = lambda_svc._put_function_concurrency(function, {"ReservedConcurrentExecutions": properties["ReservedConcurrentExecutions"]})
        assert status < 400, body


def connect(function, properties):
    lambda_svc._functions[function]["config"]["VpcConfig"] = lambda_svc._vpc_config_with_id(properties.get("VpcConfig"))


def encrypt(table, properties):
    dynamodb._tables[table]["SSEDescription"] = dynamodb._sse_description_from_spec(properties.get("SSESpecification"))
