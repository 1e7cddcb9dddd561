"""Every page in a real browser, by keyboard and by mouse, as a screen reader finds its parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from burnish.run_folder import RunFolder
from burnish.web.app import Place

from .conftest import CHROMIUM, served, write_training

expect.set_options(timeout=30_000)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: make browser"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(place: Place, chromium: Browser) -> Iterator[Page]:
    """A page that was let in, and whose console must stay empty: nothing runs into the page's own policy."""
    faults: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)  # a machine at work on other things is slow, not wrong
    page = context.new_page()
    page.on(
        "console",
        lambda message: (
            faults.append(message.text) if message.type == "error" and "net::ERR_FAILED" not in message.text else None
        ),
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append("a dialog: " + dialog.message))
    with served(place) as link:
        page.goto(link)
        yield page
        context.close()
    assert faults == []


def enter(page: Page, name: str = "Ana") -> None:
    field = page.get_by_role("textbox", name="Your name").or_(page.get_by_role("combobox", name="Your name"))
    expect(field).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(field).to_have_count(0)  # a page asked for before the name's own page has come would be aborted by it
    page.wait_for_load_state()


def press(page: Page, key: str) -> None:
    """Press a key once the page listens to keys."""
    expect(page.locator("body[data-ready]")).to_be_attached()
    page.keyboard.press(key)


def test_labelling_by_keyboard_alone(place: Place, page: Page) -> None:
    enter(page)
    expect(page.get_by_role("heading", name="Which answer is better?")).to_be_visible()
    progress = page.get_by_role("progressbar", name="Your progress")
    expect(progress).to_have_attribute("value", "0")
    kept = []
    for number, key in enumerate(("a", "b", "t", "x", "s"), 1):
        press(page, key)
        expect(progress).to_have_attribute("value", str(number))
        kept.append(place.store.standing("pairs")[-1].vote.choice)
    assert kept[2:] == ["tie", "both_bad", "skip"]
    press(page, "u")
    expect(page.get_by_role("status").first).to_have_text("Taken back. Judge it again, or skip it.")
    press(page, "r")
    reason = page.get_by_role("textbox", name="Why?")
    expect(reason).to_be_focused()
    page.keyboard.type("a better tone")  # holds a, b, t: none of them may vote
    page.keyboard.press("Enter")
    expect(reason).not_to_be_focused()
    press(page, "b")
    expect(progress).to_have_attribute("value", "5")
    newest = place.store.standing("pairs")[-1].vote
    assert (newest.reason, newest.round) == ("a better tone", 1)
    assert newest.seconds is not None
    assert len(place.store.judgements("pairs")) == 6


def test_labelling_by_mouse_keys_off_and_hostile_text(place: Place, page: Page) -> None:
    enter(page)
    keys = page.get_by_role("checkbox", name="Keys")
    expect(page.locator("body[data-ready]")).to_be_attached()
    keys.uncheck()
    press(page, "a")
    page.reload()
    expect(keys).not_to_be_checked()
    assert place.store.judgements("pairs") == []
    for number in range(12):
        expect(page.get_by_role("progressbar")).to_have_attribute("value", str(number))
        expect(page.get_by_role("region", name="Answer A")).to_be_visible()
        page.get_by_role("button", name="A is better").click()
    expect(page.get_by_text("Nothing is left for you to judge.")).to_be_visible()
    page.get_by_role("link", name="See what the labels say").click()
    expect(page.get_by_role("row", name="Ana")).to_contain_text("12 of 12")
    assert page.locator("script:not([src]), img").count() == 0


def test_a_choice_waits_for_a_server_that_is_down(place: Place, page: Page) -> None:
    enter(page)
    expect(page.get_by_role("button", name="A is better")).to_be_visible()
    page.route("**/label/vote", lambda route: route.abort())
    press(page, "a")
    expect(page.locator("[data-status]")).to_contain_text("can’t be reached")
    assert place.store.judgements("pairs") == []
    page.unroute("**/label/vote")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "1")
    assert len(place.store.judgements("pairs")) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_run_is_followed_live(place: Place, page: Page) -> None:
    run = RunFolder(place.runs / "training")
    held, done = threading.Event(), threading.Event()

    def work() -> None:
        with run.locked():
            held.set()
            done.wait(30)

    worker = threading.Thread(target=work)
    worker.start()
    held.wait(10)
    try:
        page.get_by_role("link", name="Runs").click()
        expect(page.get_by_role("row", name="training")).to_contain_text("train")
        page.get_by_role("link", name="training").click()
        expect(page.get_by_text("Step 12 of 40")).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text="train")).to_have_attribute("aria-current", "step")
        expect(page.get_by_role("img", name="Loss")).to_be_visible()
        write_training(run, 13)
        expect(page.get_by_text("Step 13 of 40")).to_be_visible()
    finally:
        done.set()
        worker.join()
    expect(page.get_by_text("Done up to audit")).to_be_visible()


def test_calibrating_by_keyboard(place: Place, page: Page) -> None:
    page.get_by_role("link", name="Calibrate").click()
    page.get_by_role("link", name="evaluated").click()
    enter(page)
    page.get_by_role("button", name="Draw about 100 of each model").press("Enter")
    expect(page.get_by_role("region", name="Reply")).to_be_visible()
    for number, key in enumerate("rpcoi", 1):
        press(page, key)
        expect(page.get_by_role("progressbar")).to_have_attribute("value", str(number))
    page.get_by_role("button", name="Write the 5 labelled so far").click()
    expect(page.get_by_text("burnish evaluate calibrate")).to_be_visible()
    assert (place.runs / "evaluated/evaluate/labels.csv").is_file()


def test_comparing_and_voting(place: Place, page: Page) -> None:
    page.get_by_role("link", name="Compare").click()
    enter(page)
    page.get_by_label("One model").fill("base")
    page.get_by_label("The other").fill("tuned")
    page.get_by_role("textbox", name="Prompt").fill("<b>hello</b>")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("status")).to_have_text("Both are done. Which is better?")
    expect(page.get_by_role("region", name="Answer A")).to_contain_text("<b>hello</b> says")
    page.get_by_role("button", name="B is better").click()
    expect(page.get_by_role("status")).to_have_text("Kept as a label. Ask something else.")
    expect(page.get_by_role("heading", name="Answer B your choice: ")).to_be_visible()
    assert [vote.vote.choice in ("first", "second") for vote in place.store.standing("compare")] == [True]


def test_no_page_is_wider_than_a_phone(place: Place, page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    enter(page)
    for path in (
        "/label",
        "/label/results",
        "/calibrate",
        "/calibrate/run/evaluated",
        "/runs",
        "/runs/run/training",
        "/compare",
    ):
        page.goto("/".join(page.url.split("/")[:3]) + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, path
