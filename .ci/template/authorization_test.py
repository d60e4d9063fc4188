"""No choice of the authentication parameters opens a route, and each way to open one is noticed."""

import unittest

import authorization
import template_expansion
from intrinsics import Stack
from template_test import TEMPLATE, each_is_noticed

# The combinations that make a stack: the user pool's one, and an issuer with its audiences and any scope.
ADMITTED = [
    {"Issuer": "", "Audience": "", "Scope": "dcv-session-manager/sm_scope"},
    *(
        {"Issuer": "https://login.example.com/tenant/", "Audience": audience, "Scope": scope}
        for audience in ("one", "one,two")
        for scope in ("dcv-session-manager/sm_scope", "desktops")
    ),
]

def another(resource):
    """Another resource, as a pattern and its replacement."""
    return r"\nOutputs:\n", rf"\n  Another:\n    {resource}\n\nOutputs:\n"


ROUTE = r"(            Method: POST\n            Path: /deleteSessions\n)"

# The fault, a pattern with its replacement (for all matches), and the complaint.
BREAKAGES = [
    ("no authorizer", r"\n +DefaultAuthorizer: .*", "", "POST /deleteSessions has no authorizer"),
    ("a route that leaves it out", ROUTE, r"\1            Auth: {Authorizer: NONE}\n", "has no authorizer"),
    ("a route of any method that leaves it out", ROUTE,
     r"            Method: ANY\n            Path: /deleteSessions\n            Auth: {Authorizer: NONE}\n", "ANY-METHOD /deleteSessions has no"),
    ("a catch-all that leaves it out", ROUTE, "            Auth: {Authorizer: NONE}\n", "$default has no"),
    ("a preflight that leaves it out", ROUTE,
     r"            Method: OPTIONS\n            Path: /deleteSessions\n            Auth: {Authorizer: NONE}\n", "OPTIONS /deleteSessions has no"),
    ("another kind of authorizer", r"DefaultAuthorizer: AccessToken", "EnableIamAuthorizer: true\n        DefaultAuthorizer: AWS_IAM",
     "has no authorizer of tokens"),
    ("no scope", r"\n +AuthorizationScopes: \[!Ref Scope\]", "", "requires no scope"),
    ("a list of no scopes", r"AuthorizationScopes: \[!Ref Scope\]", "AuthorizationScopes: []", "requires no scope"),
    ("a route of another scope", ROUTE, r"\1            Auth: {AuthorizationScopes: [openid]}\n", "requires another scope"),
    ("a scope that is empty for an issuer", r"AuthorizationScopes: \[!Ref Scope\]",
     "AuthorizationScopes: [!If [UseUserPool, !Ref Scope, '']]", "has an empty value"),
    ("a scope that may be empty", r"AllowedPattern: '\[!#-.*", "AllowedPattern: '.*'", "has an empty value"),
    ("parameters that nothing compares", r"\nRules:\n(?:  .*\n)*", "\n", "audience has an empty value"),
    ("an issuer without an audience", r"\n  OwnIssuer:\n(?:    .*\n)*", "\n", "audience has an empty value"),
    ("an audience that nobody uses", r"\n      - Assert: !Equals \[!Ref Audience, ''\]\n.*", "", "is admitted"),
    ("a scope that the pool does not have", r"\n      - Assert: !Equals \[!Ref Scope, .*\n.*", "", "is admitted"),
    ("an audience with nothing between its commas", r"AllowedPattern: '\(\[!-\+.*", "AllowedPattern: '[!-~]*'", "admits ,"),
    ("a user pool in China", r"\n      - Assert: !Not \[!Or .*\n.*", "", "without an Issuer a stack is made in cn-north-1"),
    ("an issuer refused in China", r"(\n  UserPool:\n    RuleCondition: ).*", r"\1!Not [!Equals [!Ref Issuer, 'x']]", "an Issuer is refused in cn-north-1"),
    ("the wrong way round", r"(UseUserPool: !And\n    - )!Equals (.*)", r"\1!Not [!Equals \2]", "is empty"),
    ("a pool that is not made", r"  UserPool:\n(.*\n)    Condition: UseUserPool", r"  UserPool:\n\1    Condition: CloseIdle",
     "UserPool is not created"),
    ("a client of nothing", r"\[!Ref UserPoolClient\]", "[]", "audience is empty"),
    ("a URL of a function", r"\n      Timeout: 29", r"\n      Timeout: 29\n      FunctionUrlConfig: {AuthType: NONE}", "goes around"),
    ("errors that nobody sees", r"FailOnWarnings: true", "FailOnWarnings: false", "set FailOnWarnings"),
    ("a route of its own", *another("Type: AWS::ApiGatewayV2::Route\n    Properties: {ApiId: !Ref HttpApi, RouteKey: 'GET /x'}"),
     "has no authorizer, or requires no scope"),
    ("an API that is a route", *another("Type: AWS::ApiGatewayV2::Api\n    Properties: {Name: q, ProtocolType: HTTP, Target: !GetAtt DeleteSessionsFunction.Arn}"),
     "Target makes a route"),
    ("another kind of API", *another("Type: AWS::ApiGateway::RestApi\n    Properties: {Name: o}"), "is another API"),
    ("a permission for anybody's API", *another("Type: AWS::Lambda::Permission\n    Properties: {Action: 'lambda:InvokeFunction', FunctionName: !Ref DeleteSessionsFunction, Principal: apigateway.amazonaws.com}"),
     "without SourceArn"),
    ("a permission for anybody", *another("Type: AWS::Lambda::Permission\n    Properties: {Action: 'lambda:InvokeFunction', FunctionName: !Ref DeleteSessionsFunction, Principal: '*', SourceArn: 'arn:aws:*'}"),
     "anybody may invoke the function"),
    ("a URL for IAM", r"\n      Timeout: 29", r"\n      Timeout: 29\n      FunctionUrlConfig: {AuthType: AWS_IAM}", "goes around"),
]


def complaints(text):
    """What opens a route, under any accepted combination of the parameters, and what is wrongly accepted."""
    written = template_expansion.read(text)
    defaults = {name: p["Default"] for name, p in written["Parameters"].items()}
    for audience in (",", "one,", ",one", "one,,two", " ", "one two"):
        if not list(authorization.refusals(written, {"Issuer": "https://a.example", "Audience": audience, "Scope": "s"})):
            yield f"Audience admits {audience}"
    for region in ("cn-north-1", "cn-northwest-1"):  # where user pools do not exist
        made = [parameters["Issuer"] for parameters in ADMITTED if not list(authorization.refusals(written, defaults | parameters, region))]
        if "" in made:
            yield f"without an Issuer a stack is made in {region}"
        if len(made) < sum(parameters["Issuer"] != "" for parameters in ADMITTED):
            yield f"an Issuer is refused in {region}"
    for parameters in authorization.combinations():
        if list(authorization.refusals(written, defaults | parameters)):
            if parameters in ADMITTED:
                yield f"{parameters} is refused"
            continue
        if parameters not in ADMITTED:
            yield f"{parameters} is admitted"
        template = template_expansion.expand(text, **parameters)
        yield from authorization.every_route_wants_a_token(template)
        yield from authorization.authorizers_ask_for_something(template, defaults | parameters)


class AuthorizationTest(unittest.TestCase):
    maxDiff = None

    def test_no_parameters_open_a_route(self):
        self.assertEqual(list(complaints(TEMPLATE)), [])

    def test_issuer_audience_and_resources_are_those_of_the_parameters(self):
        pool = {"UserPool", "UserPoolClient", "UserPoolDomain", "ResourceServer"}
        for parameters in ADMITTED:
            template = template_expansion.expand(TEMPLATE, **parameters)
            stack = Stack(template, {"CloseIdleAfterMinutes": 0} | parameters)
            api = template["Resources"]["HttpApi"]["Properties"]["Body"]
            (scheme,) = api["components"]["securitySchemes"].values()
            jwt = stack.resolve(scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"])
            own = parameters["Issuer"] != ""
            with self.subTest(parameters):
                self.assertEqual(jwt, {
                    "issuer": parameters["Issuer"] or "https://cognito-idp.us-east-1.amazonaws.com/UserPool",
                    "audience": parameters["Audience"].split(",") if own else ["UserPoolClient"],
                })
                self.assertEqual({name for name in template["Resources"] if stack.creates(name)} & pool, set() if own else pool)
                outputs = {name for name, o in template["Outputs"].items() if "Condition" not in o or stack.condition(o["Condition"])}
                self.assertEqual({"TokenUrl", "ClientId", "UserPoolId"} <= outputs, not own)

    def test_the_pool_has_the_scope_that_clients_ask_for(self):
        resources = template_expansion.expand(TEMPLATE)["Resources"]
        server, client, pool = (resources[n]["Properties"] for n in ("ResourceServer", "UserPoolClient", "UserPool"))
        scope = f"{server['Identifier']}/{server['Scopes'][0]['ScopeName']}"
        self.assertEqual(scope, "dcv-session-manager/sm_scope")
        self.assertEqual(client["AllowedOAuthScopes"], [scope])
        self.assertEqual(client["AllowedOAuthFlows"], ["client_credentials"])
        self.assertTrue(client["GenerateSecret"] and client["AllowedOAuthFlowsUserPoolClient"])
        self.assertTrue(pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"])

    def test_each_way_to_open_a_route_is_noticed(self):
        each_is_noticed(self, BREAKAGES, complaints)


if __name__ == "__main__":
    unittest.main()
