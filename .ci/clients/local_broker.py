"""The local system with a token that clients must have, and a function that waits for it."""

import time

import local_system

TOKEN = "token-of-the-tests"
SECONDS_TO_WAIT = 300  # far longer than anything here takes


def running(**settings):
    return local_system.running(TOKEN=TOKEN, **settings)


def until(what, question):
    """Calls the function until its result is true, and returns it."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {SECONDS_TO_WAIT} s: {what}")
        time.sleep(0.05)
    return answer
