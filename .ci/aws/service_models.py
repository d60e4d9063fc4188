"""Whether the simulated Systems Manager and EC2 are like their models, which botocore carries: AWS makes its SDKs of them.

Over the wire each operation that is simulated gets requests at each limit of the model and beyond it: lengths, counts,
ranges, patterns, required members, types. Beyond it must be refused as the services refuse it; at the limit it may be
refused for what it says, but not for its shape. And each answer, a refusal too, may have only what the model has.
"""

import json
import re
import sys
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree
import contextlib
import copy

import botocore.loaders
from botocore.model import ServiceModel

import local_system

HOST, OTHER = "i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60002"

# Beyond the model: errors of all operations (Systems Manager API reference, "Common Errors").
COMMON_ERRORS = {"ValidationException", "AccessDeniedException", "SerializationException"}

# The answer for parts of the services that are not simulated.
NOT_SIMULATED = "not on this machine"


def model(service):
    return ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message or ""


def post(address, body, **headers):
    request = urllib.request.Request(address, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


##### Systems Manager: JSON


class SystemsManager:
    def __init__(self, address):
        self.address, self.model = address, model("ssm")

    def call(self, operation, members):
        status, text = post(
            self.address, json.dumps(members).encode(),
            **{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{self.model.metadata['targetPrefix']}.{operation}"},
        )
        answer = json.loads(text)
        if status == 200:
            return answer
        assert status == 400, f"{operation}: answered {status}: {text}"
        raise Refused(answer["__type"], answer.get("message"))


def unlike(shape, value, path):
    """The differences between an answer and its shape."""
    kinds = {"string": str, "boolean": bool, "integer": int, "long": int, "timestamp": (int, float),
             "structure": dict, "map": dict, "list": list}
    if not isinstance(value, kinds[shape.type_name]) or isinstance(value, bool) != (shape.type_name == "boolean"):
        yield f"{path} is {value!r}, not a {shape.type_name}"
    elif shape.type_name == "structure":
        for name in value:
            if name not in shape.members:
                yield f"{path} has {name}, which the model does not"
            else:
                yield from unlike(shape.members[name], value[name], f"{path}.{name}")
        for name in shape.required_members:
            if name not in value:
                yield f"{path} lacks {name}"
    elif shape.type_name == "list":
        for item in value:
            yield from unlike(shape.member, item, f"{path}[]")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from unlike(shape.value, item, f"{path}.{name}")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{path} is {value!r}, not one of {shape.enum}"


def variants(shape, value):
    """Values at the limits of a shape and beyond them: (what, value, whether the model allows it).

    The given value is valid, or None if there is none.
    """
    limits = shape.metadata
    low, high = limits.get("min"), limits.get("max")
    if shape.type_name == "integer":
        for what, n, good in (("min", low, True), ("max", high, True), ("below min", low, False), ("above max", high, False)):
            if n is not None:
                yield what, n if good else n - 1 if n == low else n + 1, good
        yield "a text", "x", False
    elif shape.type_name == "string":
        fits = re.compile(limits["pattern"].replace(r"\p{L}\p{Z}\p{N}", r"\w\s")) if "pattern" in limits else None
        for n, good in ((low, True), (high, True), (low and low - 1, False), (high and high + 1, False)):
            if n is None or n == 0 and good:
                continue
            text = ((value or "x") + "1" * n)[:n]
            if good and fits and not fits.search(text):
                continue  # the pattern decides about the length
            yield f"{n} characters", text, good
        if fits and not fits.search("no \x07 such"):
            yield "other than the pattern", "no \x07 such", False
        if shape.enum:
            yield "none of the enumeration", "NoSuchThing", False
        yield "a number", 1, False
    elif shape.type_name == "list":
        if high and value:
            yield f"{high} items", many(shape, value, high), True
            yield f"{high + 1} items", many(shape, value, high + 1), False
        if low:
            yield "no items", [], False
        yield "no list", "x", False
        for what, item, good in variants(shape.member, value[0] if value else None):
            yield f"an item: {what}", [item], good
    elif shape.type_name == "structure":
        for name in shape.required_members:
            if value and name in value:
                yield f"without {name}", {k: v for k, v in value.items() if k != name}, False
        for name, member in shape.members.items():
            if value and name in value:
                for what, changed, good in variants(member, value[name]):
                    yield f"{name}: {what}", value | {name: changed}, good


def many(shape, value, n):
    """A list of that many items like the first of the value. Texts differ from each other."""
    first = value[0]
    if shape.member.type_name == "string":
        return [first] + [f"{first[:-4]}{i:04d}" if first.startswith("i-") else f"{first}{i}" for i in range(1000, 1000 + n - 1)]
    return [copy.deepcopy(first) for _ in range(n)]


def compare(ssm, operation, base):
    """Every fault in the answers to variants of a good request."""
    shape = ssm.model.operation_model(operation).input_shape
    declared = {error.name for error in ssm.model.operation_model(operation).error_shapes} | COMMON_ERRORS
    tried = [("a good request", base, True)]
    tried += [(f"without {name}", {k: v for k, v in base.items() if k != name}, False) for name in shape.required_members]
    tried += [("an unknown member", base | {"NoSuchMember": "x"}, None)]
    for name, member in shape.members.items():
        tried += [(f"{name}: {what}", base | {name: value}, good) for what, value, good in variants(member, base.get(name))]
    for what, request, good in tried:
        where = f"{operation}, {what}"
        try:
            answer = ssm.call(operation, request)
        except Refused as refusal:
            for_its_shape = refusal.code in ("ValidationException", "SerializationException")
            if refusal.code not in declared:
                yield f"{where}: {refusal.code} is no error of the operation"
            if NOT_SIMULATED in refusal.message:
                continue
            if good and for_its_shape or what == "a good request":
                yield f"{where}: the model allows it, but: {refusal}"
            if good is False and not for_its_shape:
                yield f"{where}: refused, but not because of its shape: {refusal}"
        else:
            yield from (f"{where}: {fault}" for fault in unlike(ssm.model.operation_model(operation).output_shape, answer, "the answer"))
            if good is False:
                yield f"{where}: the model forbids it, but it was accepted: {json.dumps(request)[:200]}"


def systems_manager(address):
    ssm = SystemsManager(address)
    sent = {
        "DocumentName": "CloseDocument", "InstanceIds": [HOST], "Comment": "x", "TimeoutSeconds": 60,
        "Parameters": {"sessions": [""], "voidAfter": ["1"]}, "MaxErrors": "100%", "MaxConcurrency": "100%",
        "DocumentVersion": "$DEFAULT",
    }
    command = ssm.call("SendCommand", sent)["Command"]["CommandId"]
    invocation = {"CommandId": command, "InstanceId": HOST}
    deadline = time.monotonic() + 300
    while ssm.call("ListCommandInvocations", invocation)["CommandInvocations"][0]["Status"] != "Success":
        assert time.monotonic() < deadline, "the command does not end"
        time.sleep(0.2)
    to_all = {k: v for k, v in sent.items() if k != "InstanceIds"} | {"Targets": [{"Key": "tag:DcvFleet", "Values": ["default"]}]}
    yield from compare(ssm, "SendCommand", sent)
    yield from compare(ssm, "SendCommand", to_all)
    yield from compare(ssm, "ListCommandInvocations", invocation | {"Details": True, "MaxResults": 50})
    yield from compare(ssm, "GetCommandInvocation", invocation | {"PluginName": "linux"})
    yield from compare(ssm, "CancelCommand", {"CommandId": command, "InstanceIds": [HOST]})
    yield from compare(ssm, "DescribeInstanceInformation", {"Filters": [{"Key": "InstanceIds", "Values": [HOST]}], "MaxResults": 50})
    yield from compare(ssm, "DescribeInstanceInformation", {"Filters": [{"Key": "tag:DcvFleet", "Values": ["default"]}]})


##### EC2: forms, answered in XML. Its model has no limits, only names and types.


def ec2(address):
    described = model("ec2").operation_model("DescribeInstances")

    def call(**form):
        body = urllib.parse.urlencode({"Action": "DescribeInstances", "Version": "2016-11-15"} | form).encode()
        status, text = post(address, body, **{"Content-Type": "application/x-www-form-urlencoded"})
        return status, xml.etree.ElementTree.fromstring(text)

    known = {member.serialization.get("name", name)[:1].upper() + member.serialization.get("name", name)[1:]
             for name, member in described.input_shape.members.items()}
    for sent in ("InstanceId", "Filter", "MaxResults", "NextToken", "IncludeManagedResources"):
        if sent not in known:
            yield f"DescribeInstances: {sent} is no member of the request, which has {sorted(known)}"
    status, answer = call(**{"Filter.1.Name": "instance-id", "Filter.1.Value.1": HOST, "MaxResults": "1000"})
    if status != 200 or not list(answer.iter(tag(answer, "instanceId"))):
        yield f"DescribeInstances: answered {status}"
    yield from unlike_xml(described.output_shape, answer, "the answer")
    for what, form, code in (
        ("an unknown instance", {"InstanceId.1": "i-0a1b2c3d4e5f6ffff"}, "InvalidInstanceID.NotFound"),
        ("a malformed ID", {"InstanceId.1": "console"}, "InvalidInstanceID.Malformed"),
        ("MaxResults 4", {"MaxResults": "4"}, "InvalidParameterValue"),
        ("MaxResults 1001", {"MaxResults": "1001"}, "InvalidParameterValue"),
        ("an unknown parameter", {"NoSuch": "1"}, "UnknownParameter"),
    ):
        status, answer = call(**form)
        if status != 400 or [e.text for e in answer.iter("Code")] != [code]:
            yield f"DescribeInstances, {what}: {status} {[e.text for e in answer.iter('Code')]}, not {code}"


def tag(answer, name):
    return answer.tag.partition("}")[0] + "}" + name


def unlike_xml(shape, element, path):
    if shape.type_name == "structure":
        members = {m.serialization.get("name", name): m for name, m in shape.members.items()}
        for child in element:
            name = child.tag.rpartition("}")[2]
            if name == "requestId":
                continue
            if name not in members:
                yield f"{path} has {name}, which the model does not"
            else:
                yield from unlike_xml(members[name], child, f"{path}.{name}")
    elif shape.type_name == "list":
        for child in element:
            if child.tag.rpartition("}")[2] != "item":
                yield f"{path} has {child.tag} in a list"
            yield from unlike_xml(shape.member, child, f"{path}[]")
    elif shape.type_name == "string" and shape.enum and element.text not in shape.enum:
        yield f"{path} is {element.text!r}, not one of {shape.enum}"


@contextlib.contextmanager
def services():
    """The addresses of both, with two hosts."""
    with local_system.idle() as system:
        for host in (HOST, OTHER):
            system.start_session(host, f"s-{host}", "user1")
        yield f"http://127.0.0.1:{system.ssm_port}/", f"http://127.0.0.1:{system.ec2_port}/"


def main():
    with services() as (ssm_address, ec2_address):
        faults = [*systems_manager(ssm_address), *ec2(ec2_address)]
    for fault in faults:
        print(fault)
    print(f"service models: {len(faults)} differences")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
