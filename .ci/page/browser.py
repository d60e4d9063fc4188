"""Chromium, driven by Playwright, for the page's test and its picture."""

import contextlib
import shutil

from playwright.sync_api import expect, sync_playwright

# Debian's, or those of GitHub's machines: Ubuntu has no package.
CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)

# Far longer than anything here takes: a time-out means a fault.
expect.set_options(timeout=300_000)


@contextlib.contextmanager
def chromium():
    if not CHROMIUM:
        raise SystemExit("there is no chromium-headless-shell, chromium or google-chrome: as root, .ci/tools/fetch debian installs the first")
    with sync_playwright() as playwright:
        # As root, as in CI, its sandbox does not start; it shows nothing but this page.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def window(browser, address, state="live", **options):
    """A new window with the page, and a list of its faults: errors, violations of its policy, and requests to other
    servers."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | options)
    context.set_default_timeout(300_000)
    page = context.new_page()
    page.wrong = []
    origin = "/".join(address.split("/")[:3]) + "/"

    def refuse(route):  # the page needs its own server, and nothing else
        page.wrong.append("asked for " + route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith(origin) and not url.startswith("data:"), refuse)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    page.goto(address)
    expect(page.locator("#link")).to_have_attribute("data-state", state)
    try:
        yield page
    finally:
        context.close()
