"""An HTTP API with a Body: MiniStack creates the API without the routes, integrations, authorizers and origins of the
OpenAPI document, which is all that SAM writes. It keeps a stage's limits under CloudFormation's names and as texts, which
its API does not read."""

import json

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method")


def fill():
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update = handlers["create"], handlers["update"]

    def create_with_body(logical_id, properties, stack):
        api, attributes = create(logical_id, named(properties), stack)
        take(api, properties.get("Body"))
        return api, attributes

    def update_with_body(physical_id, old, new, stack, logical_id=None):
        api, attributes = update(physical_id, old, named(new), stack, logical_id)
        for made in (apigateway._routes, apigateway._integrations, apigateway._authorizers):
            made.pop(api, None)
        take(api, new.get("Body"))
        return api, attributes

    stage = provisioners._apigw_v2_stage_props

    def stage_with_limits(properties):
        limits = properties.get("DefaultRouteSettings", {})
        return stage(properties) | {"defaultRouteSettings": {name[0].lower() + name[1:]: float(limit) for name, limit in limits.items()}}

    handlers |= {"create": create_with_body, "update": update_with_body}
    provisioners._apigw_v2_stage_props = stage_with_limits


def named(properties):
    info = (properties.get("Body") or {}).get("info", {})
    return {"Name": info["title"], **properties} if "title" in info else properties


def take(api, document):
    document = document or {}
    apigateway._apis[api]["corsConfiguration"] = document.get("x-amazon-apigateway-cors")
    authorizers = {}
    for name, scheme in document.get("components", {}).get("securitySchemes", {}).items():
        wanted = scheme["x-amazon-apigateway-authorizer"]
        assert wanted["type"] == "jwt", wanted
        authorizers[name] = made(apigateway._create_authorizer(api, {
            "name": name, "authorizerType": "JWT", "identitySource": [wanted["identitySource"]],
            "jwtConfiguration": wanted["jwtConfiguration"],
        }))["authorizerId"]
    for path, operations in document.get("paths", {}).items():
        for method in METHODS:
            if method in operations:
                route(api, method, path, operations[method], authorizers)


def route(api, method, path, operation, authorizers):
    wanted = operation["x-amazon-apigateway-integration"]
    integration = made(apigateway._create_integration(api, {
        "integrationType": "AWS_PROXY", "integrationUri": wanted["uri"], "payloadFormatVersion": wanted["payloadFormatVersion"],
    }))["integrationId"]
    settings = {"routeKey": f"{method.upper()} {path}", "target": f"integrations/{integration}"}
    for requirement in operation.get("security", []):
        for name, scopes in requirement.items():
            settings |= {"authorizationType": "JWT", "authorizerId": authorizers[name], "authorizationScopes": scopes}
    made(apigateway._create_route(api, settings))


def made(answer):
    status, _, body = answer
    if status >= 400:
        raise ValueError(f"HTTP API: {body!r}")
    return json.loads(body)
