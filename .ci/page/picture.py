"""Takes the picture of the page for README.md: the demo fleet, with a stuck deletion, one in its grace period, and some that
have ended."""

import sys

import local_system
from browser import chromium, expect, window

FLEET = {
    "i-0a1b2c3d4e5f60001": [("render-12", "user5")],
    "i-0a1b2c3d4e5f60002": [("cad-station", "user6"), ("training-3", "user7")],
    "i-0a1b2c3d4e5f60003": [("simulation", "user2")],
    "i-0a1b2c3d4e5f60004": [("render-8", "user5"), ("compositing", "user8")],
    "i-0a1b2c3d4e5f60005": [("grading", "user9")],
}


def delete(page, host, session, grace=None, message=None):
    page.locator(".column", has_text=host).get_by_role("button", name=session).click()
    if grace:
        page.get_by_label("Grace period").select_option(grace)
        page.get_by_label("Message to its users").fill(message)
    page.locator("#panel").get_by_role("button", name="Delete", exact=True).click()


def main(file):
    with local_system.running(DELETIONS_EVERY="24h", INVENTORY_EVERY="24h") as broker, chromium() as browser:
        for host, sessions in FLEET.items():
            for session, owner in sessions:
                broker.start_session(host, session, owner)
        broker.control("PUT", "hosts/i-0a1b2c3d4e5f60002/sessions/cad-station/connections")
        broker.control("POST", "cleanup/inventory")
        with window(browser, broker.address, viewport={"width": 1440, "height": 860}) as page:
            delete(page, "i-0a1b2c3d4e5f60001", "SessionId123")
            expect(page.locator(".ended")).to_contain_text(["SessionId123"])
            delete(page, "i-0a1b2c3d4e5f60002", "cad-station", "600", "Maintenance tonight. Please save your work.")
            broker.control("POST", "hosts/i-0a1b2c3d4e5f60004/break")
            delete(page, "i-0a1b2c3d4e5f60004", "render-8")
            stuck = page.locator("#open-rows tr", has_text="render-8")
            expect(stuck).to_contain_text("stuck")
            broker.control("POST", "hosts/i-0a1b2c3d4e5f60005/silence")
            stuck.get_by_role("button").click()
            expect(page.locator(".story")).to_contain_text("attempt 1")
            expect(page.locator("tr", has_text="cad-station")).to_contain_text("grace period")
            page.screenshot(path=file)


main(sys.argv[1])
