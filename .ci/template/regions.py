"""The regions that internal/operate/DEPLOYING.md names, and which of them are equal for template.yaml.

cfn-lint checks any number of regions in one run. With all of them a run takes minutes, since conditions depend on them; with
one of each kind a third longer than with one alone.
"""

import pathlib
import re

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from intrinsics import Stack

DEPLOYING = pathlib.Path(__file__).parents[2] / "internal/operate/DEPLOYING.md"
NAME = re.compile(r"`((?:us|ca|mx|sa|eu|af|me|il|ap|cn)(?:-gov)?-[a-z]+-\d)`")


def table():
    """The rows of the section on regions: the first cell, and the regions that the row names."""
    _, _, section = DEPLOYING.read_text().partition("\n## Regions\n")
    section = section.partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| ")]
    return {what.strip(): NAME.findall(regions) for what, regions in rows if NAME.search(regions)}


def named():
    return [region for regions in table().values() for region in regions]


def schemas(region):
    """cfn-lint's name for the schema of each type of resource in the region. Without data it uses us-east-1's."""
    if not (PROVIDER_SCHEMA_MANAGER._providers_dir / f"{region}.json").exists():
        raise LookupError(f"cfn-lint has no data of the region {region}")
    return PROVIDER_SCHEMA_MANAGER._load_provider_module(region)


def kinds(template):
    """The named regions, in lists of those between which nothing differs for the expanded template: neither the schema of
    any type that it has, nor any condition."""
    types = sorted({resource["Type"] for resource in template["Resources"].values()})
    alike = {}
    for region in named():
        stack = Stack(template, {}, region)
        met = tuple(stack.condition(name) for name in template["Conditions"])
        known = schemas(region)
        alike.setdefault((met, *(known.get(kind) for kind in types)), []).append(region)
    return list(alike.values())
