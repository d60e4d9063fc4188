"""Texts for booleans: CloudFormation converts a parameter's text to the property's type; MiniStack keeps the text, which its
tables then show."""

from ministack.services.cloudformation import provisioners


def fill():
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create, update = handlers["create"], handlers["update"]

    def create_typed(logical_id, properties, stack):
        return create(logical_id, typed(properties), stack)

    def update_typed(physical_id, old, new, *rest):
        return update(physical_id, typed(old), typed(new), *rest)

    handlers |= {"create": create_typed, "update": update_typed}


def typed(value):
    if isinstance(value, dict):
        return {name: typed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
