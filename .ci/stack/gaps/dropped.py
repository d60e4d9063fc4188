"""Properties that MiniStack's CloudFormation leaves out, though the services have them: a role's permissions boundary, which
then counts, and a function's reserved concurrency."""

from ministack.services import iam, lambda_svc
from ministack.services.cloudformation import provisioners


def fill():
    completed("AWS::IAM::Role", bound)
    completed("AWS::Lambda::Function", reserve)


def completed(kind, complete):
    """Has complete(physical_id, properties) follow each create and update."""
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
