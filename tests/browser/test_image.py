"""The card with one image: picked and drawn by hand, and the squares that light up."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import jupyter
from tests.browser.accessibility import violations
from tests.browser.conftest import Kept
from tests.browser.jupyter import DARK, LIGHT, THEMES, run_code, screenshot, set_theme, wait_for
from tests.browser.test_projection import SMALL, project

# The colours of all squares of the last group, in order.
SQUARES = """() => {
    const canvas = [...document.querySelectorAll(".snnviz-neurons .snnviz-block canvas")].at(-1);
    return canvas.toDataURL();
}"""


def wait_for_change(page: Page, before: str) -> None:
    """Wait until the squares are not those of before, a result of `SQUARES`, any more."""
    page.wait_for_function(f"before => ({SQUARES})() !== before", arg=before)


@pytest.fixture
def card(kept: Kept) -> Page:
    """A page with the card of one image open, one for all tests."""
    page = kept.page or kept.notebook([SMALL])
    wait_for(page, ".snnviz-status", "Paused")
    page.set_viewport_size(jupyter.VIEWPORT)
    set_theme(page, LIGHT)
    page.get_by_role("tab", name="One image").click()
    page.locator(".snnviz-image:visible").wait_for()
    return page


def test_pick_an_image(card: Page) -> None:
    expect(card.locator(".snnviz-image .snnviz-hint")).to_contain_text("Pick a test image or draw")
    factors = card.evaluate(SQUARES)
    card.locator(".snnviz-image select").select_option("Trouser")
    expect(card.locator(".snnviz-image figcaption")).to_have_text("test image 2: Trouser")
    card.get_by_role("button", name="Next image").click()
    expect(card.locator(".snnviz-image figcaption")).to_have_text("test image 3: Trouser")
    expect(card.locator(".snnviz-image-said p")).to_contain_text("The network says")
    expect(card.locator(".snnviz-image-said li")).to_have_count(5)
    expect(card.locator(".snnviz-scale")).to_contain_text("strongest of its group")
    wait_for_change(card, factors)
    canvas = card.locator(".snnviz-neurons:visible .snnviz-block canvas").first
    canvas.hover(position={"x": 4, "y": 4})
    expect(card.locator(".snnviz-readout:visible")).to_contain_text("answer")
    for theme in THEMES:
        set_theme(card, theme)
        card.wait_for_timeout(1000)
        screenshot(card, f"image_{theme.split()[1].lower()}", ".snnviz-lab")
        assert violations(card, ".snnviz-lab") == []
    set_theme(card, LIGHT)
    card.get_by_role("tab", name="Learning curves").click()
    expect(card.locator(".snnviz-scale")).to_contain_text("factor")
    card.get_by_role("tab", name="One image").click()
    expect(card.locator(".snnviz-scale")).to_contain_text("strongest of its group")
    card.get_by_role("button", name="Back to factors").click()
    expect(card.locator(".snnviz-scale")).to_contain_text("factor")
    card.mouse.move(0, 0)
    card.wait_for_function(f"factors => ({SQUARES})() === factors", arg=factors)


def test_draw_one(card: Page) -> None:
    card.get_by_role("button", name="Draw", exact=True).click()
    expect(card.locator(".snnviz-image figcaption")).to_have_text("your image")
    empty = card.evaluate(SQUARES)
    box = card.locator(".snnviz-image canvas").bounding_box()
    assert box is not None
    card.mouse.move(box["x"] + 50, box["y"] + 30)
    card.mouse.down()
    card.mouse.move(box["x"] + 50, box["y"] + 140, steps=8)
    card.mouse.move(box["x"] + 120, box["y"] + 140, steps=8)
    card.mouse.up()
    code = "import numpy as np\nprint(int(lab._parts.image._answer.image.sum()) > 255 * 25)"
    jupyter.wait_till_said(card, code, "True")
    wait_for_change(card, empty)
    screenshot(card, "image_drawn", ".snnviz-lab")
    before = card.evaluate(SQUARES)
    run_code(card, "lab.step('epoch'); lab.wait()")
    expect(card.locator(".snnviz-progress")).to_contain_text("epoch 4/30")
    wait_for_change(card, before)  # it looked again when the network had learnt


def test_on_the_whole_screen(card: Page) -> None:
    run_code(card, "answer = lab.show_image(7)")
    expect(card.locator(".snnviz-image figcaption")).to_contain_text("test image 7")
    set_theme(card, DARK)
    project(card)
    for width, height in ((853, 480), (1920, 1080)):
        card.set_viewport_size({"width": width, "height": height})
        card.wait_for_timeout(500)
        screenshot(card, f"image_projected_{width}")
        expect(card.locator(".snnviz-image-said li").last).to_be_in_viewport()
    card.locator(".snnviz-project:visible").click()
