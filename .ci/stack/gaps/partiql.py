"""PartiQL: MiniStack makes no stream record of a write by PartiQL, finds no key in a WHERE if a part has OR, and checks
policies for the operation, which is no action.

The actions are those of the statements: PartiQLUpdate and so on, on the table (DynamoDB developer guide, "IAM security
policies with PartiQL for DynamoDB"). MiniStack refuses the whole call where DynamoDB refuses one statement of it."""

import contextvars
import copy
import json

from ministack.core import iam_actions
from ministack.services import dynamodb

writing = contextvars.ContextVar("writing", default=False)


def fill():
    execute, store, conditions = dynamodb._execute_statement, dynamodb._set_item, dynamodb._pq_conditions
    checks = iam_actions.dynamodb_transaction_checks

    def execute_statement(data):
        token = writing.set(True)
        try:
            return execute(data)
        finally:
            writing.reset(token)

    def set_item(table, partition, sort, item):
        old = copy.deepcopy(table["items"].get(partition, {}).get(sort))
        result = store(table, partition, sort, item)
        if writing.get():
            dynamodb._emit_stream_event(table["TableName"], "MODIFY" if old else "INSERT", old, copy.deepcopy(item))
        return result

    def transaction_checks(action, body, region, account):
        asked = json.loads(body or b"{}")
        match action:
            case "dynamodb:BatchExecuteStatement":
                statements = asked["Statements"]
            case "dynamodb:ExecuteStatement":
                statements = [asked]
            case _:
                return checks(action, body, region, account)
        return sorted({of_statement(s, region, account) for s in statements})

    dynamodb._execute_statement = execute_statement
    dynamodb._set_item = set_item
    dynamodb._pq_conditions = lambda where: conditions(without_or(where) if where and where[0] == "and" else where)
    iam_actions.dynamodb_transaction_checks = transaction_checks


def without_or(node):
    """The parts of an AND that have no OR, joined; None if there is none."""
    if node[0] == "or":
        return None
    if node[0] != "and":
        return node
    left, right = without_or(node[1]), without_or(node[2])
    return ("and", left, right) if left and right else left or right


def of_statement(statement, region, account):
    """The action and the resource that a statement needs."""
    parsed = dynamodb._parse_partiql(statement["Statement"], statement.get("Parameters", []))
    resource = f"arn:aws:dynamodb:{region}:{account}:table/{parsed['table']}"
    if parsed.get("index"):
        resource += f"/index/{parsed['index']}"
    return f"dynamodb:PartiQL{parsed['op'].capitalize()}", resource
