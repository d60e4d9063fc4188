"""Reads `go test -json` and prints what `go test` would, then how many tests passed, failed and skipped themselves.
Ends in an error if any failed, or skipped itself: this is for runs that must leave nothing out. An event of the action
"error" stands for a `go test` that ended in one, which it may do before it comes to any test."""

import collections
import json
import re
import sys

count = collections.Counter()
output = collections.defaultdict(list)
skipped, with_failures = [], set()
errors = 0

for line in sys.stdin:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        print(line, end="")
        continue
    action, package, test = event["Action"], event.get("Package"), event.get("Test")
    if action in ("output", "build-output"):
        if not re.match(r"=== (RUN|PAUSE|CONT|NAME) ", event["Output"]):
            output[package or event.get("ImportPath"), test].append(event["Output"])
    elif action == "error":
        errors += 1
    elif action == "build-fail":
        print("".join(output.pop((event["ImportPath"], None), [])), end="")
    elif action in ("pass", "fail", "skip"):
        said = "".join(output.pop((package, test), []))
        if test is None:  # the package as a whole; one without tests skips itself
            if action == "fail" and package not in with_failures:  # it was not built, or did not come to its end
                count["fail"] += 1
                said = "".join("".join(rest) for (of, _), rest in output.items() if of == package) + said
            print(said.replace("PASS\n", ""), end="", flush=True)
            continue
        count[action] += 1
        if action == "fail":
            with_failures.add(package)
            print(said, end="", flush=True)
        if action == "skip":
            skipped.append(f"skipped itself: {package} {test}\n{said}")

print("".join(skipped), end="")
print(f"go test: {count['pass']} passed, {count['fail']} failed, {count['skip']} skipped")
if errors and not count["fail"]:
    print("go test ended in an error, and no test failed: see above")
sys.exit(errors > 0 or count["fail"] > 0 or count["skip"] > 0 or count["pass"] == 0)
