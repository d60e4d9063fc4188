"""Reads `go test -json` and prints what `go test` would, every 20 seconds the running tests, and at the end how many tests
passed, failed and skipped themselves. Ends in an error if any failed; with --all, for runs that must leave nothing out, also
if any skipped itself. An event of the action "error" stands for a `go test` that ended in one, which it may do before it
comes to any test."""

import collections
import json
import re
import sys
import threading
import time

EVERY = 20  # seconds

count = collections.Counter()
output = collections.defaultdict(list)
skipped, with_failures = [], set()
errors = 0
running = {}  # (package, test): None, in the order in which they began
began = time.monotonic()


def progress():
    """Prints for each package the test that has run longest, and how many others run in it."""
    tests = collections.defaultdict(list)
    for package, test in list(running):
        if not any(other.startswith(test + "/") for of, other in list(running) if of == package):
            tests[package.rpartition("/")[2]].append(test)
    now = (f"{package} {some[0]}" + (f" and {len(some) - 1} more" if some[1:] else "") for package, some in tests.items())
    return f"... {time.monotonic() - began:.0f} s, {count.total()} tests done, running: {'; '.join(now) or 'the Go compiler'}"


def keep_telling():
    while True:
        time.sleep(EVERY)
        print(progress(), flush=True)


threading.Thread(target=keep_telling, daemon=True).start()
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
    elif action == "run":
        running[package, test] = None
    elif action in ("pass", "fail", "skip"):
        running.pop((package, test), None)
        said = "".join(output.pop((package, test), []))
        if test is None:  # the package as a whole; one without tests skips itself
            if action == "fail" and package not in with_failures:  # it was not built, or did not end
                count["fail"] += 1
                said = "".join("".join(rest) for (of, _), rest in output.items() if of == package) + said
            if action != "skip":
                print(said.replace("PASS\n", ""), end="", flush=True)
            continue
        count[action] += 1
        if action == "fail":
            with_failures.add(package)
            print(said, end="", flush=True)
        if action == "skip":
            skipped.append(f"skipped itself: {package} {test}\n{said}")

complete = not skipped or "--all" not in sys.argv
if not complete:
    print("".join(skipped), end="")
print(f"go test: {count['pass']} passed, {count['fail']} failed, {count['skip']} skipped")
if errors and not count["fail"]:
    print("go test ended in an error, and no test failed: see above")
sys.exit(errors > 0 or count["fail"] > 0 or not complete or count["pass"] == 0)
