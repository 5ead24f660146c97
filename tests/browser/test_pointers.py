"""The hints for the first time: where they point, that they take nothing, and how they go."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Kept
from tests.browser.jupyter import DARK, LIGHT, screenshot, set_theme, wait_for
from tests.browser.test_layout import PLACES
from tests.browser.test_projection import SMALL

MARK = "() => localStorage.getItem('snnviz-pointers')"
FORGET = "() => localStorage.removeItem('snnviz-pointers')"
SAID = ("Play trains", "Each square is a neuron", "What if these", "Go back to an epoch")
BUBBLE = ".snnviz-pointer:visible"
# How far the bubble is from what it points to, and how much of it lies outside the lab.
WHERE = """css => {
    const [bubble, part, lab] = [".snnviz-pointer", css, ".snnviz-lab"].map(
        each => document.querySelector(each).getBoundingClientRect());
    const gap = Math.max(part.top - bubble.bottom, bubble.top - part.bottom, 0);
    const out = Math.max(lab.left - bubble.left, bubble.right - lab.right, 0);
    return [gap, out];
}"""
# Whether the bubble is in the window and covers nothing of these parts.
IS_FREE = """parts => {
    const measure = css => document.querySelector(css).getBoundingClientRect();
    const bubble = measure(".snnviz-pointer");
    return bubble.left >= 0 && bubble.right <= window.innerWidth
        && bubble.top >= 0 && bubble.bottom <= window.innerHeight
        && parts.map(measure).every(part => bubble.right <= part.left || bubble.left >= part.right
            || bubble.bottom <= part.top || bubble.top >= part.bottom);
}"""
# How many pixels of the line of status the bubble covers.
COVERED = """() => {
    const [bubble, line] = [".snnviz-pointer", ".snnviz-progress"].map(
        each => document.querySelector(each).getBoundingClientRect());
    const high = Math.min(bubble.bottom, line.bottom) - Math.max(bubble.top, line.top);
    const wide = Math.min(bubble.right, line.right) - Math.max(bubble.left, line.left);
    return Math.max(high, 0) * Math.max(wide, 0);
}"""


def first_time(kept: Kept, cell: str = SMALL) -> Page:
    """A page whose browser has not seen the hints, with a lab."""
    if kept.page is None:
        kept.notebook(["1"])
    assert kept.page is not None
    kept.page.evaluate(FORGET)
    page = kept.notebook([cell])
    wait_for(page, ".snnviz-status", "Paused")
    return page


def press(page: Page, name: str) -> None:
    page.locator(BUBBLE).get_by_role("button", name=name).click()


def opener(page: Page) -> Locator:
    return page.locator(".snnviz-pointers-button:visible")


def test_four_hints_and_then_no_more(kept: Kept) -> None:
    page = first_time(kept)
    bubble = page.locator(BUBBLE)
    expect(bubble).to_contain_text(SAID[0])
    assert not page.evaluate("() => Boolean(document.activeElement.closest('.snnviz-lab'))")
    page.wait_for_timeout(1000)
    assert violations(page, ".snnviz-lab") == []
    places = page.evaluate(PLACES)
    parts = (".snnviz-play", ".snnviz-block canvas", ".snnviz-grid-foot", ".snnviz-fork")
    for k, (said, css) in enumerate(zip(SAID, parts, strict=True), 1):
        expect(bubble).to_contain_text(said)
        expect(bubble).to_contain_text(f"{k} of 4")
        screenshot(page, f"pointer_{k}")
        gap, out = page.evaluate(WHERE, css)
        assert gap <= (12 if k > 1 else 60)  # it lies beyond the line of status, if need be
        assert out == 0
        assert page.evaluate(COVERED) == 0
        press(page, "Done" if k == 4 else "Next")
    expect(bubble).to_have_count(0)
    assert page.evaluate(PLACES) == places
    assert page.evaluate(MARK) == "dismissed"
    page = kept.notebook([SMALL])
    wait_for(page, ".snnviz-status", "Paused")
    page.wait_for_timeout(1000)
    expect(page.locator(BUBBLE)).to_have_count(0)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (853, 480), (600, 720)])
def test_no_hint_covers_the_squares(kept: Kept, width: int, height: int) -> None:
    page = first_time(kept, SMALL.replace("trainer.run(epochs=2)\n", ""))  # it prints a wide line
    press(page, "Dismiss")
    page.set_viewport_size({"width": width, "height": height})
    if width < 1000:
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.wait_for_function(f"() => window.innerWidth === {width}")
    page.locator(".snnviz-lab").evaluate("lab => lab.scrollIntoView()")
    opener(page).click()
    for k, said in enumerate(SAID, 1):
        expect(page.locator(BUBBLE)).to_contain_text(said)
        # The first has no other room than below the line of status.
        parts = [".snnviz-progress", *([".snnviz-blocks"] if k > 1 else [])]
        page.wait_for_function(IS_FREE, arg=parts)  # the page scrolls, and the hint follows
        screenshot(page, f"pointer_{k}_{width}")
        press(page, "Done" if k == 4 else "Next")
    page.evaluate("() => window.jupyterapp.shell.expandLeft()")


def test_play_moves_on_to_the_next(kept: Kept) -> None:
    """What the first hint asks for is done; the others stay until they are read."""
    page = first_time(kept)
    bubble = page.locator(BUBBLE)
    for _ in range(2):
        expect(bubble).to_contain_text(SAID[0])
        page.locator(".snnviz-play:visible").click()
        expect(bubble).to_contain_text(SAID[1])
        wait_for(page, ".snnviz-status", "Playing")
        page.locator(".snnviz-play:visible").click()
        expect(bubble).to_contain_text("2 of 4")
        page.locator(".snnviz-pause:visible").click()
        wait_for(page, ".snnviz-status", "Paused")
        opener(page).click()
        expect(bubble).to_have_count(0)
        opener(page).click()
    press(page, "Dismiss")


def test_they_come_back_and_go_by_keyboard(kept: Kept) -> None:
    page = kept.page or first_time(kept)
    if page.locator(BUBBLE).count():
        press(page, "Dismiss")
    set_theme(page, DARK)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.set_viewport_size({"width": 853, "height": 480})
    opener(page).focus()
    page.wait_for_timeout(200)
    opener(page).focus()
    page.keyboard.press("Enter")
    expect(page.locator(BUBBLE)).to_contain_text(SAID[0])
    expect(opener(page)).to_be_focused()
    screenshot(page, "pointer_dark")
    assert page.evaluate(COVERED) == 0
    assert violations(page, ".snnviz-lab") == []
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(BUBBLE)).to_contain_text(SAID[1])
    expect(page.locator(BUBBLE).get_by_role("button", name="Next")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(BUBBLE)).to_have_count(0)
    expect(opener(page)).to_be_focused()
    set_theme(page, LIGHT)
    page.evaluate("() => window.jupyterapp.shell.expandLeft()")


@pytest.mark.parametrize("stored", [True, False])
def test_dismissed_for_good(kept: Kept, stored: bool) -> None:
    """Also where nothing can be stored: then as long as the page lives."""
    page = first_time(kept)
    expect(page.locator(BUBBLE)).to_be_visible()
    if not stored:
        page.evaluate(
            """() => ["getItem", "setItem"].forEach(name => {
                const usual = Storage.prototype[name];
                Storage.prototype[name] = function (key, ...more) {
                    if (key === "snnviz-pointers") throw new Error("no room");
                    return usual.call(this, key, ...more);
                };
            })"""
        )
    press(page, "Dismiss")
    expect(page.locator(BUBBLE)).to_have_count(0)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator(".snnviz-pointers-button").wait_for()
    page.wait_for_timeout(3000)
    expect(page.locator(BUBBLE)).to_have_count(0)
    if not stored:
        kept.leave()


def test_a_lab_with_fewer_parts(kept: Kept) -> None:
    page = first_time(kept, SMALL.replace("Lab(trainer)", "Lab(trainer, show=['buttons'])"))
    expect(page.locator(BUBBLE)).to_contain_text("1 of 1")
    press(page, "Done")
    page = first_time(kept, SMALL.replace("Lab(trainer)", "Lab(trainer, show=['buttons'])"))
    page.locator(".snnviz-play:visible").click()
    expect(page.locator(BUBBLE)).to_have_count(0)
    page = first_time(kept, SMALL.replace("Lab(trainer)", "Lab(trainer, show=['neurons'])"))
    page.wait_for_timeout(1000)
    expect(page.locator(BUBBLE)).to_have_count(0)
