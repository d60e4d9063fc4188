"""Reads `go test -json` and prints what `go test` would, then how many tests passed, failed and skipped themselves.
Ends in an error if any failed, or skipped itself: this is for runs that must leave nothing out."""

import collections
import json
import sys

count = collections.Counter()
output = collections.defaultdict(list)
skipped, broken = [], False

for line in sys.stdin:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        print(line, end="")
        continue
    action, package, test = event["Action"], event.get("Package"), event.get("Test")
    if action in ("output", "build-output"):
        output[package or event.get("ImportPath"), test].append(event["Output"])
    elif action == "build-fail":
        broken = True
        print("".join(output.pop((event["ImportPath"], None), [])), end="")
    elif action in ("pass", "fail", "skip"):
        said = "".join(output.pop((package, test), []))
        if test is None:  # the package as a whole; one without tests skips itself
            broken = broken or action == "fail"
            print(said.replace("PASS\n", ""), end="", flush=True)
            continue
        count[action] += 1
        if action == "fail":
            print(said, end="", flush=True)
        if action == "skip":
            skipped.append(f"{package} {test}: {said.strip().splitlines()[-2:]}")

for test in skipped:
    print(f"skipped itself, though nothing may be left out: {test}")
print(f"go test: {count['pass']} passed, {count['fail']} failed, {count['skip']} skipped")
sys.exit(broken or count["fail"] > 0 or count["skip"] > 0 or count["pass"] == 0)
