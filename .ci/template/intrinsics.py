"""CloudFormation's functions, evaluated for one set of parameters, as far as the rules need them."""


def partition_of(region):
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def pseudo(region):
    """The values of CloudFormation's pseudo parameters."""
    partition = partition_of(region)
    return {
        "AWS::AccountId": "123456789012",
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::StackId": f"arn:{partition}:cloudformation:{region}:123456789012:stack/name/51af3dc0-da77-11e4-872e-1234567db123",
        "AWS::StackName": "name",
        "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
    }


# The value of AWS::NoValue: a property with it is left out.
NO_VALUE = object()


class Unresolved(Exception):
    """A value that CloudFormation would refuse, or that this module does not support."""


class Stack:
    """An expanded template with values for its parameters; the others have their defaults."""

    def __init__(self, template, parameters, region="us-east-1"):
        self.template = template
        self.pseudo = pseudo(region)
        declared = template.get("Parameters", {})
        self.parameters = {name: p["Default"] for name, p in declared.items() if "Default" in p} | parameters

    def condition(self, name):
        return self.resolve(self.template["Conditions"][name])

    def creates(self, resource):
        declared = self.template["Resources"].get(resource)
        return declared is not None and ("Condition" not in declared or self.condition(declared["Condition"]))

    def resolve(self, value):
        """The value without functions. A resource is its logical ID."""
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Condition":
                return self.condition(argument)
            if name == "Ref" or name.startswith("Fn::"):
                return self.call(name.removeprefix("Fn::"), argument)
        items = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item is not NO_VALUE}

    def call(self, name, argument):
        if name == "If":  # the other branch may refer to a resource that is not created
            condition, yes, no = argument
            return self.resolve(yes if self.condition(condition) else no)
        if name == "Ref":
            return self.named(argument)
        if name == "Sub" and isinstance(argument, str):
            return self.fill(argument)
        arguments = self.resolve(argument)
        if name == "Sub":
            text, own = arguments
            return self.fill(text, own)
        if name == "GetAtt":
            resource = arguments.split(".")[0] if isinstance(arguments, str) else arguments[0]
            return f"attribute of {self.named(resource)}"
        if name == "Equals":
            return str(arguments[0]) == str(arguments[1])
        if name == "Not":
            return not arguments[0]
        if name == "And":
            return all(arguments)
        if name == "Or":
            return any(arguments)
        if name == "Split":
            return arguments[1].split(arguments[0])
        if name == "Join":
            return arguments[0].join(arguments[1])
        raise Unresolved(f"Fn::{name} is not known here")

    def named(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        for values in (self.pseudo, self.parameters):
            if name in values:
                return values[name]
        if not self.creates(name):
            raise Unresolved(f"{name} is not created")
        return name

    def fill(self, text, own={}):
        before, opening, rest = text.partition("${")
        if not opening:
            return text
        name, _, after = rest.partition("}")
        value = own[name] if name in own else self.named(name.split(".")[0])
        return before + str(value) + self.fill(after, own)
