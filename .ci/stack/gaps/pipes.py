"""Pipes with a filter, an enrichment and a bus: MiniStack's have none of these. Records that cannot be delivered stay in the
stream and are tried again; bounds of retries and dead letters are not emulated."""

import json
import logging

from ministack.services import dynamodb, eventbridge, lambda_svc, pipes
from ministack.services.cloudformation import provisioners

log = logging.getLogger("pipes")


def fill():
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Pipes::Pipe"]
    create, update, deliver = handlers["create"], handlers["update"], pipes._deliver_batch

    def create_whole(logical_id, properties, stack):
        name, attributes = create(logical_id, properties, stack)
        pipes._pipes[name]["Properties"] = properties
        return name, attributes

    def update_whole(physical_id, old, new, stack, logical_id=None):
        name, attributes = update(physical_id, old, new, stack, logical_id)
        pipes._pipes[name]["Properties"] = new
        return name, attributes

    def deliver_batch(pipe, records):
        properties = pipe.get("Properties", {})
        if ":event-bus/" not in pipe["Target"] or "Enrichment" not in properties:
            return deliver(pipe, records)
        return all(announce(pipe["Target"], properties, record) for record in records if passes(record, properties))

    handlers |= {"create": create_whole, "update": update_whole}
    pipes._deliver_batch = deliver_batch


def passes(record, properties):
    patterns = [json.loads(f["Pattern"]) for f in properties["SourceParameters"]["FilterCriteria"]["Filters"]]
    return any(eventbridge._matches_detail(record, alternative) for p in patterns for alternative in eventbridge._compile_pattern(p))


def announce(bus, properties, record):
    function, _, _ = lambda_svc._get_func_record_for_ref(properties["Enrichment"])
    result = lambda_svc._execute_function(function, [record])
    if result.get("error"):
        log.warning("the enrichment of a pipe failed: %s", result.get("body"))
        return False
    details = result["body"]
    if isinstance(details, str):
        details = json.loads(details)
    wanted = properties["TargetParameters"]["EventBridgeEventBusParameters"]
    for detail in details:
        kind = wanted["DetailType"]
        kind = detail[kind.removeprefix("$.")] if kind.startswith("$.") else kind
        eventbridge._put_events({"Entries": [{
            "EventBusName": bus, "Source": wanted["Source"], "DetailType": kind, "Detail": json.dumps(detail),
        }]})
    return True
