"""template.yaml in the form that CloudFormation gets, and cfn-lint's result for it.

`sam validate --lint` lints the template before SAM expands it, when cfn-lint cannot see the policies, mappings and
authorizers that will be made, and leaves many of its rules out.
"""

import copy
import functools
import json
import logging
import os

import yaml

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the translator asks; nothing is sent anywhere

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import intrinsics_multi_constructor  # noqa: E402

logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)  # it warns that it cannot publish its metrics


class NoManagedPolicies:
    """Replaces the translator's lookup of AWS's managed policies, none of which is used here."""

    def load(self):
        return {}


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The loader of samtranslator.yaml_helper, based on libyaml: it takes a tenth of the time. SAM's commands, which read
    template.yaml in other checks, use the loader in Python."""


Loader.add_multi_constructor("!", intrinsics_multi_constructor)


@functools.cache
def parsed(text):
    return yaml.load(text, Loader)


def read(text):
    """The parsed template, without expansion."""
    return copy.deepcopy(parsed(text))


def expand(text, **parameters):
    """The expanded template, with these parameters, and defaults for the others."""
    template = read(text)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"  # a local path would have to be uploaded first
    defaults = {name: p["Default"] for name, p in template["Parameters"].items() if "Default" in p}
    return transform(template, defaults | parameters, NoManagedPolicies())


@functools.cache
def lint(text):
    """cfn-lint's errors and warnings, one sentence each, for every region that is named. Suggestions are left out. Results
    are cached: parameters that SAM leaves to CloudFormation do not change the expanded template."""
    import regions  # the import takes seconds, and not every caller lints
    from cfnlint.api import ManualArgs, lint as cfn_lint

    found = cfn_lint(text, config=ManualArgs(regions=[alike[0] for alike in regions.kinds(json.loads(text))]))
    return [f"{m.rule.id}: {m.message}, at {'/'.join(map(str, m.path))}" for m in found]


def of_type(template, *types):
    return {name: r for name, r in template["Resources"].items() if r["Type"] in types}


def referred(value):
    """The logical ID that a Ref, GetAtt or Sub of one resource names."""
    if not isinstance(value, dict):
        return None
    if "Ref" in value:
        return value["Ref"]
    if "Fn::GetAtt" in value:
        attribute = value["Fn::GetAtt"]
        return attribute.split(".")[0] if isinstance(attribute, str) else attribute[0]
    return None


def as_list(value):
    return value if isinstance(value, list) else [value]
