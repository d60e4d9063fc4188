"""`make deploy` without an account: what SAM uploads, and the change sets that it creates."""

import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

import deploy
import stand_in
import template_expansion
import template_rules
from servers import ROOT

# Field e_machine of an ELF file.
PROCESSORS = {0xB7: "arm64", 0x3E: "x86_64"}

# CloudFormation's quota for a template in S3.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
LARGEST_TEMPLATE_BYTES = 1_000_000

TEMPLATE = (ROOT / "template.yaml").read_text()
BUILT = (ROOT / ".aws-sam" / "arm64" / "template.yaml").read_text()
DEFAULTS = {name: str(p["Default"]) for name, p in template_expansion.read(TEMPLATE)["Parameters"].items()}


class DeploymentTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.folder = pathlib.Path(folder)
        self.samconfig = shutil.copy(ROOT / "samconfig.toml", folder)
        self.aws = self.enterContext(stand_in.running())

    def run_in_aws(self, *command, answers="", **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
        environment |= self.aws.environment() | variables
        set_ones = {name: value for name, value in environment.items() if value is not None}
        return subprocess.run(command, cwd=ROOT, env=set_ones, input=answers, capture_output=True, text=True, timeout=900)

    def of_no_functions(self):
        """A build of this template with empty functions, for tests of the requests only. SAM reads a template five times for
        a deployment, JSON far faster than YAML, and packs functions."""
        build = self.folder / "of-no-functions"
        for function in template_expansion.of_type(template_expansion.read(BUILT), "AWS::Serverless::Function").values():
            (build / function["Properties"]["CodeUri"]).mkdir(parents=True)
            (build / function["Properties"]["CodeUri"] / "bootstrap").touch()
        (build / "template.yaml").write_text(json.dumps(template_expansion.read(BUILT)))
        return build

    def deploy(self, *settings, built=".aws-sam/arm64", answers="", says="", **variables):
        """The change set that is executed. A message tells if the region of the deployment differs from that of the other
        commands."""
        done = self.run_in_aws("make", "deploy", "STACK=studio", f"BUILT={built}", f"SAMCONFIG={self.samconfig}", *settings, answers=answers, **variables)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-1000:])
        self.assertEqual((says in done.stdout, "other commands" in done.stdout), (True, says != ""), done.stdout)
        self.assertIs(self.aws.stacks.deployed["studio"], self.aws.stacks.change_sets[-1], done.stdout)
        return self.aws.stacks.change_sets[-1]

    def test_first_it_is_guided_and_then_samconfig_says(self):
        build = self.of_no_functions()
        # Stack, region, parameters; changes to be confirmed, roles, no rollback, saved where; and the change set itself.
        first = self.deploy("GUIDED=yes", built=build, answers="\n" * (2 + len(DEFAULTS) + 6) + "y\n")
        self.assertEqual((first["type"], first["capabilities"]), ("CREATE", ["CAPABILITY_IAM"]))
        self.assertEqual(first["parameters"], DEFAULTS)
        self.assertEqual(first["tags"], {"Project": "dcv-session-broker"})

        changed = self.deploy("PARAMETERS=ForceMode=best-effort 'FleetTagValue=the studio'", "TAGS=CostCenter=42", built=build)
        wanted = DEFAULTS | {"ForceMode": "best-effort", "FleetTagValue": "the studio"}
        self.assertEqual((changed["type"], changed["parameters"]), ("UPDATE", wanted))
        self.assertEqual(changed["tags"], {"Project": "dcv-session-broker", "CostCenter": "42"})

        # The region is the environment's, as for every other command, not the saved one.
        self.aws.regions.clear()
        again = self.deploy(built=build, AWS_REGION="eu-central-2")
        self.assertEqual(self.aws.regions, {"eu-central-2"})
        self.assertEqual((again["parameters"], again["tags"]), (wanted, changed["tags"]))

        own = self.deploy("PARAMETERS=Issuer=https://login.example.com Audience=one,two Scope=desktops", built=build)
        self.assertEqual([own["parameters"][name] for name in ("Issuer", "Audience", "Scope")], ["https://login.example.com", "one,two", "desktops"])
        # Without a region in the environment it is the saved one, and the other commands use the profile's.
        self.aws.regions.clear()
        elsewhere = self.folder / "config"
        elsewhere.write_text("[default]\nregion = eu-west-1\n")
        back = self.deploy('PARAMETERS=Issuer= Audience=\\"\\" Scope=dcv-session-manager/sm_scope', built=build, says="is in us-east-1; the other commands look in eu-west-1",
                           AWS_REGION=None, AWS_DEFAULT_REGION=None, AWS_CONFIG_FILE=str(elsewhere))
        self.assertEqual((back["parameters"], self.aws.regions), (wanted, {"us-east-1"}))

    def test_what_is_missing_is_said_before_anything_is_built(self):
        for variables, said in (
            ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}, "no credentials"),
            ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "no region"),
            ({"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}, "did not take the credentials"),
        ):
            with self.subTest(said):
                refused = self.run_in_aws("make", "deploy", "STACK=studio", f"SAMCONFIG={self.samconfig}", **variables)
                self.assertNotEqual(refused.returncode, 0)
                self.assertRegex(refused.stderr, f"(?m)^deploy: .*{said}")
                self.assertNotIn("Build", refused.stdout + refused.stderr)

    def test_a_skipped_step_of_the_indexes_is_refused(self):
        build = self.of_no_functions()
        self.deploy(built=build)
        values = self.aws.stacks.deployed["studio"]["values"]
        values.pop("IndexStep")  # a stack from before the parameter
        refused = self.run_in_aws("make", "deploy", "STACK=studio", f"BUILT={build}", f"SAMCONFIG={self.samconfig}")
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, "deploy: the indexes of studio are at step 0, .* PARAMETERS='IndexStep=0' before step 4")
        self.assertEqual(self.deploy("PARAMETERS=IndexStep=0", built=build)["parameters"]["IndexStep"], "0")

        self.aws.stacks.deployed["studio"]["values"]["IndexStep"] = "1"
        older = json.loads((build / "template.yaml").read_text())
        older["Parameters"].pop("IndexStep")
        (build / "template.yaml").write_text(json.dumps(older))
        refused = self.run_in_aws("make", "deploy", "STACK=studio", f"BUILT={build}", f"SAMCONFIG={self.samconfig}")
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, "deploy: the indexes of studio are at step 1, .* has only step 0: .* PARAMETERS='IndexStep=0' first")

    def test_which_steps_of_the_indexes_are_skipped(self):
        today, older = {"Parameters": {"IndexStep": {}}}, {"Parameters": {}}
        for deployed, given, template, following in (
            ("", "", today, "0"), ("", "2", today, "0"), ("", "0", today, None), ("", "", older, None),
            ("0", "", today, None), ("0", "1", today, None), ("0", "2", today, "1"), ("0", "", older, None),
            ("2", "", today, None), ("2", "4", today, "3"), ("2", "0", today, "1"), ("2", "", older, "1"),
            ("4", "", today, None), ("4", "3", today, None), ("4", "0", today, "3"), ("4", "0", older, "3"), ("", "next", today, None),
        ):  # fmt: skip
            with self.subTest(deployed=deployed, given=given, older=template is older):
                reason = deploy.skipped_index_step("studio", {"IndexStep": deployed} if deployed else {}, {"IndexStep": given} if given else {}, template)
                if following is None:
                    self.assertIsNone(reason)
                else:
                    self.assertRegex(reason, f"IndexStep={following}'")

    def test_a_parameter_that_there_is_not(self):
        for settings in (), (f"BUILT={self.of_no_functions()}",):
            with self.subTest(settings=settings):
                refused = self.run_in_aws(
                    "make", "deploy", "STACK=studio", f"SAMCONFIG={self.samconfig}", "PARAMETERS=LogLevel=debug ForceMod=best-effort", *settings)
                self.assertNotEqual(refused.returncode, 0)
                self.assertRegex(refused.stderr, "(?m)^deploy: the template has no parameter ForceMod: is it ForceMode\\?$")
                self.assertEqual(self.aws.stacks.change_sets, [])
                self.assertNotIn("Build", refused.stdout + refused.stderr)

    def test_a_folder_that_nothing_was_built_in(self):
        refused = self.run_in_aws("make", "deploy", "STACK=studio", "BUILT=nope", f"SAMCONFIG={self.samconfig}")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("deploy: nope has no template.yaml", refused.stderr)
        self.assertNotIn("Traceback", refused.stderr)

    def test_what_is_deployed_is_what_was_checked(self):
        self.check_template(self.deploy()["template"], "arm64")

    def test_packages_of_both_processors(self):
        for architecture in ("arm64", "x86_64"):
            with self.subTest(architecture):
                packaged = self.folder / "packaged.yaml"
                done = self.run_in_aws(
                    str(pathlib.Path(sys.executable).parent / "sam"), "package", "--template-file", f".aws-sam/{architecture}/template.yaml",
                    "--s3-bucket", stand_in.BUCKET, "--output-template-file", str(packaged))
                self.assertEqual(done.returncode, 0, done.stderr[-1000:])
                self.check_template(packaged.read_text(), architecture)

    def check_template(self, text, architecture):
        """It passes the same checks as template.yaml, and each of its functions exists, for this processor."""
        self.assertLess(len(text.encode()), LARGEST_TEMPLATE_BYTES)
        functions = template_expansion.of_type(template_expansion.read(text), "AWS::Serverless::Function")
        self.assertEqual(len(functions), len(list((ROOT / "functions").iterdir())))
        for name, function in functions.items():
            package = zipfile.ZipFile(io.BytesIO(self.aws.object_of(function["Properties"]["CodeUri"])))
            self.assertEqual(package.namelist(), ["bootstrap"], name)
            self.assertTrue(package.getinfo("bootstrap").external_attr >> 16 & 0o111, f"{name} cannot be executed")
            self.assertEqual(processor(package.read("bootstrap")), architecture, name)
        expanded = template_expansion.expand(text, Architecture=architecture)
        self.assertEqual(template_rules.breaches(text, expanded), [])
        self.assertEqual(template_expansion.lint(json.dumps(expanded, sort_keys=True)), [])

    def test_a_release_is_deployed_as_it_is(self):
        for archive in sorted((ROOT / "build" / "release").glob("dcv-session-broker-*.tar.gz")):
            architecture = "x86_64" if "x86_64" in archive.name else "arm64"
            with self.subTest(archive.name), tarfile.open(archive) as packed:
                packed.extractall(self.folder, filter="data")
                release = self.folder / archive.name.removesuffix(".tar.gz")
                change_set = self.deploy(built=release)
                self.assertEqual(change_set["parameters"], {"Architecture": architecture})
                self.check_template(change_set["template"], architecture)
                other = {"arm64": "x86_64", "x86_64": "arm64"}[architecture]
                refused = self.run_in_aws("make", "deploy", "STACK=studio", f"BUILT={release}", f"ARCHITECTURE={other}", f"SAMCONFIG={self.samconfig}")
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn(f"was built for {architecture}", refused.stderr)
                self.assertEqual(template_expansion.read(change_set["template"])["Parameters"]["Architecture"]["AllowedValues"], [architecture])
                self.assertEqual(versions(change_set["template"]), {"local"})
        self.assertEqual(len(list((ROOT / "build" / "release").glob("dcv-session-broker-*.tar.gz"))), 2)

    def test_the_program_of_a_release_says_which_it_is(self):
        (archive,) = (ROOT / "build" / "release").glob("dcvbroker-*.tar.gz")  # .ci/deployment/check packs it for this platform
        with tarfile.open(archive) as packed:
            packed.extractall(self.folder, filter="data")
        program = self.folder / archive.name.removesuffix(".tar.gz") / "dcvbroker"
        said = subprocess.run([program, "version"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(said, "dcvbroker local\n")


def versions(template):
    """The versions that the stack and its functions name."""
    expanded = template_expansion.expand(template)
    functions = template_expansion.of_type(expanded, "AWS::Lambda::Function").values()
    return {expanded["Outputs"]["Version"]["Value"]} | {f["Properties"]["Environment"]["Variables"]["VERSION"] for f in functions}


def processor(program):
    assert program[:4] == b"\x7fELF", program[:4]
    return PROCESSORS[int.from_bytes(program[18:20], "little")]


if __name__ == "__main__":
    unittest.main()
