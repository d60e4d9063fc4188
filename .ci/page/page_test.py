"""The page of the local system in Chromium: what a user sees and does."""

import contextlib
import os
import re
import subprocess
import tempfile
import unittest

import local_system
from browser import chromium, expect, window
from servers import built

TOKEN = "token-of-the-test"
HOST = "i-0a1b2c3d4e5f60003"  # of the demo fleet, with render-7 and a session that is not listed
HOSTILE = "<img src=x onerror=alert(1)>\u202e'$(touch x)\""


def setUpModule():
    global broker, browser, programs
    running = contextlib.ExitStack()
    unittest.addModuleCleanup(running.close)
    programs = running.enter_context(tempfile.TemporaryDirectory())
    os.symlink(built("operate"), f"{programs}/dcvbroker")
    browser = running.enter_context(chromium())
    broker = running.enter_context(local_system.running(TOKEN=TOKEN, DELETIONS_EVERY="24h", INVENTORY_EVERY="24h"))


def paste(line):
    """The output of a command line of the page in a terminal."""
    environment = os.environ | {"TOKEN": TOKEN, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], cwd=programs, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class PageTest(unittest.TestCase):
    def open(self, **options):
        page = self.enterContext(window(browser, broker.address, **options))
        self.addCleanup(lambda: self.assertEqual(page.wrong, []))
        return page

    def start(self, host, session, owner="user1"):
        broker.control("PUT", f"hosts/{host}/sessions/{session}", {"Owner": owner})

    def test_a_deletion_that_gets_stuck_and_is_rescued(self):
        self.start(HOST, "lost-one")
        page = self.open()
        column = page.locator(".column", has_text=HOST)
        panel, row = page.locator("#panel"), page.locator("#open-rows tr", has_text="lost-one")

        column.get_by_role("button", name=HOST).click()
        lose = panel.get_by_role("button", name="lose-events", exact=True)
        lose.click()
        expect(lose).to_have_attribute("aria-pressed", "true")
        expect(column.locator(".says")).to_have_text("lose-events")

        column.get_by_role("button", name="lost-one").click()
        panel.get_by_role("button", name="Delete", exact=True).click()
        expect(row.locator("td").nth(2)).to_have_text("closing")
        expect(row).to_contain_text(re.compile("tried again in .* s"))
        left = row.locator("td", has_text="tried again in")
        expect(left).not_to_have_text(left.inner_text())  # it counts down
        expect(column.locator(".closing")).to_contain_text("lost-one")

        page.get_by_role("button", name="System").click()
        panel.get_by_role("button", name="+2m", exact=True).click()
        panel.get_by_role("button", name="deletions", exact=True).click()
        expect(row.locator("td").nth(2)).to_have_text("stuck")
        expect(row).to_contain_text("brought no answer")
        expect(row.locator("td").nth(3)).to_have_text("2")

        column.get_by_role("button", name=HOST).click()
        lose.click()
        expect(lose).to_have_attribute("aria-pressed", "false")
        page.get_by_role("button", name="System").click()
        panel.get_by_role("button", name="+10m", exact=True).click()
        panel.get_by_role("button", name="deletions", exact=True).click()
        expect(row).to_have_count(0)
        expect(column.locator(".ended")).to_contain_text("lost-one")

        column.get_by_role("button", name="lost-one").click()
        story = panel.locator(".story > li")
        expect(story.last).to_contain_text("it has ended")
        expect(story.last).to_contain_text("by session-stream")
        self.assertIn("its deletion is requested by local", panel.locator(".story").inner_text())
        expect(panel.locator("dd", has_text="does not run")).to_be_visible()

        page.get_by_role("button", name="System").click()
        expect(panel.locator(".calls tr", has_text="delete-sessions").first).to_be_visible()
        lines = page.locator("#requests li", has_text="delete lost-one").locator("code")
        expect(lines.nth(0)).to_have_text(re.compile(r'^curl -s http://127\.0\.0\.1:\d+/deleteSessions -H "Authorization: Bearer \$TOKEN" .*"SessionId":"lost-one"'))
        expect(lines.nth(1)).to_have_text(re.compile(r"^dcvbroker --url http://127\.0\.0\.1:\d+ delete .*lost-one$"))

    def test_force_ends_what_its_host_does_not_close(self):
        host = "i-0000000000000000e"
        self.start(host, "forced-one")
        broker.control("POST", f"hosts/{host}/break")
        page = self.open()
        column = page.locator(".column", has_text=host)
        column.get_by_role("button", name="forced-one").click()
        page.locator("#panel").get_by_role("button", name="Delete by force").click()
        expect(page.locator("#said")).to_contain_text("forced-one: DELETING")
        expect(column.locator(".ended")).to_contain_text("forced-one")
        expect(page.locator("#panel dd", has_text="runs")).to_be_visible()

    def test_by_keyboard_alone(self):
        host = "i-0000000000000000a"
        for session in ("key-1", "key-2"):
            self.start(host, session)
        page = self.open()
        press, focused = page.keyboard.press, page.locator(":focus")
        press("/")
        page.keyboard.type("key-")
        expect(page.locator(".column:visible")).to_have_count(1)
        for _ in range(20):
            press("Tab")
            if focused.evaluate("e => e.matches('.host')"):
                break
        expect(focused).to_contain_text(host)
        press("ArrowDown")
        press("ArrowDown")
        expect(focused).to_contain_text("key-2")
        self.assertNotEqual(focused.evaluate("e => getComputedStyle(e).outlineStyle"), "none")
        press("Enter")
        expect(focused).to_have_text("key-2")
        self.assertEqual(focused.evaluate("e => e.id"), "panel-title")
        for _ in range(20):
            press("Tab")
            if focused.evaluate("e => e.id") == "grace":
                break
        page.keyboard.type("5 minutes")
        press("Tab")
        page.keyboard.type("Please save your work.")
        for _ in range(3):
            press("Tab")
            if focused.inner_text() == "Delete":
                break
        press("Enter")
        row = page.locator("#open-rows tr", has_text="key-2")
        expect(row).to_contain_text("grace period")
        expect(page.locator("#said")).to_contain_text("delete key-2: DELETING, closing begins at")
        for _ in range(5):
            press("Tab")
            if focused.inner_text() == "Cancel deletion":
                break
        press("Space")
        expect(row).to_have_count(0)
        expect(page.locator("#said")).to_contain_text("READY")
        press("Escape")
        expect(focused).to_contain_text("key-2")
        expect(page.locator("#panel")).to_be_hidden()

    def test_names_are_text(self):
        host = "i-0000000000000000b"
        self.start(host, "named", HOSTILE)
        broker.control("PUT", f"hosts/{host}/sessions/%3Cimg%20src=x%3E%E2%80%AE'$(x)%22", {"Owner": HOSTILE})
        page = self.open()
        card = page.locator(".column", has_text=host).locator(".card", has_text="<img")
        expect(card.first).to_contain_text("\\u{202e}")
        card.first.click()
        page.locator("#panel").get_by_role("button", name="Dry run", exact=True).click()
        expect(page.locator("#said")).to_contain_text("dry run: DELETING")
        self.assertEqual(page.locator("img").count(), 0)
        self.assertNotIn("\u202e", page.locator("body").inner_text())
        curl, dcvbroker = page.locator("#requests code").all_inner_texts()
        self.assertEqual(paste(curl)[1].count('"DryRun":true'), 1)
        self.assertEqual(paste(dcvbroker)[0], 0, paste(dcvbroker)[1])
        self.assertEqual(os.listdir(programs), ["dcvbroker"])

    def test_dark_and_light(self):
        grounds = set()
        for scheme in ("light", "dark"):
            page = self.open(color_scheme=scheme)
            ground, ink = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
            bright = lambda colour: sum(map(int, re.findall(r"\d+", colour)[:3])) / 3  # noqa: E731
            self.assertEqual(bright(ground) > bright(ink), scheme == "light", scheme)
            grounds.add(ground)
        self.assertEqual(len(grounds), 2)

    def test_two_hundred_hosts_in_a_narrow_window(self):
        for i in range(200):
            self.start(f"i-1{i:016d}", f"desk-{i:03d}", f"person{i}")
        page = self.open(viewport={"width": 360, "height": 640})
        expect(page.locator("#hosts-count")).to_have_text(re.compile(r"^2\d\d$"))
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 360)
        page.get_by_role("searchbox").fill("person137")
        expect(page.locator(".column:visible")).to_have_count(1)
        expect(page.locator(".column:visible")).to_contain_text("desk-137")
        page.locator(".column:visible .card").click()
        expect(page.locator("#panel")).to_contain_text("person137")
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 360)


class PageOfAStackTest(unittest.TestCase):
    """The page of dcvbroker page, for an API like a stack's."""

    @classmethod
    def setUpClass(cls):
        program = subprocess.Popen(
            [f"{programs}/dcvbroker", "page", "--url", broker.address, "--every", "2s"], cwd=programs, env=os.environ | {"TOKEN": TOKEN},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for end in (program.stdout.close, program.wait, program.terminate):
            cls.addClassCleanup(end)
        cls.address = program.stdout.readline().strip()

    def test_a_deletion_is_asked_about_and_seen(self):
        host = "i-0000000000000000c"
        broker.start_session(host, "of-a-stack", "user1")
        page = self.enterContext(window(browser, self.address))
        self.addCleanup(lambda: self.assertEqual(page.wrong, []))
        self.assertNotIn("#", page.url)
        page.locator(".card", has_text="of-a-stack").click()
        panel = page.locator("#panel")
        expect(panel.get_by_role("button", name="Connect a user")).to_have_count(0)
        panel.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("button", name="Keep it").click()
        expect(page.locator("#requests-count")).to_have_text("0")
        panel.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator(".ended")).to_contain_text(["of-a-stack"])
        self.assertIsNone(broker.host_of("of-a-stack")[0])
        panel.get_by_role("button", name="Explain it").click()
        expect(panel.get_by_label("Explanation")).to_contain_text("What happened")
        page.locator(".column", has_text=host).get_by_role("button", name=host).click()
        expect(panel).to_contain_text("Drain it")
        drained = "i-0000000000000000d"
        broker.start_session(drained, "drained", "user1")
        page.locator(".column", has_text=drained).get_by_role("button", name=drained).click()
        panel.get_by_role("button", name="Dry run", exact=True).click()
        expect(page.locator("#said")).to_contain_text("dry run: 1 DELETING")
        for line in panel.locator(".outcome code").all_inner_texts():
            status, printed = paste(line)
            self.assertEqual(status, 0, printed)
            self.assertIn("drained", printed)
        expect(panel.get_by_role("button", name="silence")).to_have_count(0)
        panel.get_by_role("button", name="Delete all of them").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
        expect(page.locator(".column", has_text=drained).locator(".ended")).to_contain_text("drained")

    def test_a_deletion_that_waits_is_cancelled(self):
        broker.start_session("i-0000000000000000f", "kept", "user1")
        page = self.enterContext(window(browser, self.address))
        self.addCleanup(lambda: self.assertEqual(page.wrong, []))
        page.locator(".card", has_text="kept").click()
        panel, row = page.locator("#panel"), page.locator("#open-rows tr", has_text="kept")
        panel.locator("#grace").select_option(label="5 minutes")
        panel.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(row).to_contain_text("grace period")
        panel.get_by_role("button", name="Cancel deletion").click()
        expect(row).to_have_count(0)
        expect(page.locator("#said")).to_contain_text("READY")

    def test_without_its_secret(self):
        page = self.enterContext(window(browser, self.address.partition("#")[0], state="locked"))
        expect(page.locator("#link")).to_contain_text("open the address that dcvbroker printed")
        expect(page.locator(".card")).to_have_count(0)


class RestartTest(unittest.TestCase):
    def test_a_server_that_is_started_again_is_seen(self):
        with contextlib.ExitStack() as first:
            one = first.enter_context(local_system.running())
            page = self.enterContext(window(browser, one.address))
            expect(page.locator(".card", has_text="render-7")).to_be_visible()
            first.close()
            expect(page.locator("#link")).to_have_attribute("data-state", "away")
            with local_system.running(PORT=one.address.rpartition(":")[2]) as two:
                two.start_session("i-0a1b2c3d4e5f60009", "after-it", "user1")
                expect(page.locator("#link")).to_contain_text("started again")
                expect(page.locator(".card", has_text="after-it")).to_be_visible()


if __name__ == "__main__":
    unittest.main()
