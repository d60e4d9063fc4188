"""The rules that the contract cannot express, and one check of our own."""

import ast
import threading

import schemathesis

MAX_ID_BYTES = 256
IDS = ("SessionId", "Owner", "RequestId", "HostId", "Value")

# Until 3.11.8, CPython counts the depth of the syntax tree that it builds in one place for all threads, and ends with
# a SystemError when two build one at the same time: https://github.com/python/cpython/issues/106905.
parse, one_at_a_time = ast.parse, threading.RLock()


def parse_alone(*arguments, **named):
    with one_at_a_time:
        return parse(*arguments, **named)


ast.parse = parse_alone


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes valid requests of those that are valid by the contract: it limits an ID's characters, but not its bytes, it does
    not say which fields of entries exclude each other, and a NextToken must come from an answer."""
    if not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, list):
        case.body = list(without_contradictions(with_short_ids(entry) for entry in case.body))
    elif isinstance(case.body, dict):
        case.body = {name: value for name, value in case.body.items() if name != "NextToken"}
        if ids := case.body.get("SessionIds"):
            case.body["SessionIds"] = [shortened(text) for text in ids]
        if filters := case.body.get("Filters"):
            case.body["Filters"] = [with_short_ids(pair) for pair in filters]


def with_short_ids(fields):
    ids = {name: shortened(fields[name]) for name in IDS if isinstance(fields.get(name), str)}
    return fields | ids


def without_contradictions(entries):
    """Force excludes a grace period, a message needs one, and entries for one session must be equal."""
    first = {}
    for entry in entries:
        waits = entry.get("GracePeriodSeconds") and not entry.get("Force")
        left_out = {"GracePeriodSeconds", "Message"} if not waits else {}
        fit = {name: value for name, value in entry.items() if name not in left_out}
        yield first.setdefault((entry["SessionId"], entry["Owner"]), fit)


def shortened(text):
    return text.encode()[:MAX_ID_BYTES].decode(errors="ignore")


@schemathesis.check
def other_methods_have_no_route(context, response, case):
    method = response.request.method
    if method != case.operation.method.upper():
        assert response.status_code == 404, f"{method} is answered {response.status_code}"
