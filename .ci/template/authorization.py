"""With any parameters, a function of the API can be called only with a token of the right issuer, audience and scope.

As in template_rules.py, every rule yields one sentence for each breach.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html says what the gateway checks.
"""

import itertools
import re

from intrinsics import Stack, Unresolved
from template_expansion import of_type

# The parameters that decide about access, each with its relevant values.
CHOICES = {
    "Issuer": ["", "https://login.example.com/tenant/"],
    "Audience": ["", "one", "one,two"],
    "Scope": ["", "dcv-session-manager/sm_scope", "desktops"],
}

# Keys of a path in an OpenAPI document that are not methods.
NOT_METHODS = {"parameters", "summary", "description", "servers"}


def combinations():
    return [dict(zip(CHOICES, values)) for values in itertools.product(*CHOICES.values())]


def refusals(template, parameters, region="us-east-1"):
    """Why CloudFormation refuses these parameters: their patterns and the section Rules."""
    for name, value in parameters.items():
        if not re.fullmatch(template["Parameters"][name].get("AllowedPattern", ".*"), str(value)):
            yield f"{name} cannot be {value!r}"
    stack = Stack(template, parameters, region)
    for rule in template.get("Rules", {}).values():
        if stack.resolve(rule.get("RuleCondition", True)):
            for assertion in rule["Assertions"]:
                if not stack.resolve(assertion["Assert"]):
                    yield assertion["AssertDescription"]


def every_route_wants_a_token(template):
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        p = api["Properties"]
        schemes = p.get("Body", {}).get("components", {}).get("securitySchemes", {})
        if not p.get("Body", {}).get("paths"):
            yield f"{name}: has no routes that can be read here"
        for route, operation in routes(p):
            yield from (f"{name}: {route} {fault}" for fault in lets_in_anybody(operation, schemes))
        if not p.get("FailOnWarnings"):
            yield f"{name}: set FailOnWarnings, or errors in the API's definition are dropped"
        for shortcut in ("Target", "RouteKey"):
            if shortcut in p:
                yield f"{name}: {shortcut} makes a route without an authorizer"
    for name, route in of_type(template, "AWS::ApiGatewayV2::Route").items():
        if route["Properties"].get("AuthorizationType") != "JWT" or not route["Properties"].get("AuthorizationScopes"):
            yield f"{name}: the route has no authorizer, or requires no scope"
    for name in of_type(template, "AWS::Lambda::Url"):
        yield f"{name}: a function's URL goes around the authorizer"
    for name in of_type(template, "AWS::ApiGateway::RestApi"):
        yield f"{name}: is another API, whose authorizers are not checked here"
    for name, permission in of_type(template, "AWS::Lambda::Permission").items():
        if permission["Properties"].get("Principal") in ("*", {"AWS": "*"}):
            yield f"{name}: anybody may invoke the function"
        if "SourceArn" not in permission["Properties"]:
            yield f"{name}: without SourceArn, the service may invoke the function for anybody"


def routes(api):
    for path, methods in api.get("Body", {}).get("paths", {}).items():
        for method, operation in methods.items():
            if method not in NOT_METHODS:
                yield f"{method.upper()} {path}", operation


def lets_in_anybody(operation, schemes):
    """The faults of the alternatives of a route's security, each of which is enough for access."""
    choices = operation.get("security", [])
    if not choices:
        yield "has no authorizer: anybody can call it"
    for choice in choices:
        if not choice:
            yield "can be called without its authorizer"
        for scheme, scopes in choice.items():
            authorizer = schemes.get(scheme, {}).get("x-amazon-apigateway-authorizer", {})
            if authorizer.get("type") != "jwt":
                yield f"has no authorizer of tokens: {scheme} is none"
            if not scopes:
                yield "requires no scope: any token of the issuer is accepted"


def authorizers_ask_for_something(template, parameters):
    """What is missing in the authorizers with these parameters and conditions."""
    stack = Stack(template, parameters)
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        body = api["Properties"].get("Body", {})
        for scheme, definition in body.get("components", {}).get("securitySchemes", {}).items():
            jwt = definition.get("x-amazon-apigateway-authorizer", {}).get("jwtConfiguration", {})
            for what in ("issuer", "audience"):
                yield from (f"{scheme}: {what} {fault}" for fault in faults(stack, jwt.get(what)))
        for route, operation in routes(api["Properties"]):
            for choice in operation.get("security", []):
                for scopes in choice.values():
                    for fault in faults(stack, scopes):
                        yield f"{name}: {route}: its scopes {fault}"
                    if fault_free(stack, scopes) and stack.resolve(scopes) != [parameters["Scope"]]:
                        yield f"{name}: {route} requires another scope than the parameter's"


def fault_free(stack, value):
    return not list(faults(stack, value))


def faults(stack, value):
    """Why a text, or a list of texts, is empty."""
    try:
        resolved = stack.resolve(value)
    except Unresolved as why:
        yield f"cannot be worked out: {why}"
        return
    if not resolved:
        yield "is empty"
    elif any(not isinstance(text, str) or not text.strip() for text in ([resolved] if isinstance(resolved, str) else resolved)):
        yield "has an empty value"


ALL = [every_route_wants_a_token]
