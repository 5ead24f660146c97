"""Pages without a violation of WCAG 2.2 AA that axe-core knows of, in the light and the dark."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Kept
from tests.browser.jupyter import LIGHT, THEMES, screenshot, set_theme, wait_for
from tests.browser.test_lab import LAB, begun, unfold


@pytest.fixture
def lab(kept: Kept) -> Page:
    """A lab with everything open that can be folded away, and a neuron's page."""
    page = kept.notebook([begun(1), LAB])
    wait_for(page, ".snnviz-status", "Paused")
    unfold(page, "more", "schedule", "time machine")
    page.locator(".snnviz-neurons:visible .snnviz-block canvas").last.click(
        position={"x": 8, "y": 8}
    )
    wait_for(page, ".snnviz-neurons", "Connections")
    return page


def test_the_lab(lab: Page) -> None:
    found = []
    for theme in THEMES:
        set_theme(lab, theme)
        lab.wait_for_timeout(1000)
        found += [f"{theme}: {line}" for line in violations(lab, ".snnviz-lab")]
    assert found == []


def test_the_way_past_the_buttons(lab: Page) -> None:
    skip = lab.locator(".snnviz-lab .snnviz-skip")
    expect(skip).to_have_count(1)
    skip.focus()
    assert skip.bounding_box()["height"] > 20  # type: ignore[index]
    skip.press("Enter")
    assert lab.evaluate("() => document.activeElement.className") == "snnviz-blocks"


def test_forced_colours(lab: Page) -> None:
    """What a background shows otherwise is still to be seen."""
    set_theme(lab, LIGHT)
    lab.emulate_media(forced_colors="active")
    lab.evaluate("() => document.querySelector('.snnviz-lab').scrollIntoView()")
    lab.wait_for_timeout(500)
    screenshot(lab, "forced_colours")
    shades = lab.evaluate(
        """() => [".snnviz-bar", ".snnviz-bar > div"]
            .map(css => document.querySelector(".snnviz-lab " + css))
            .map(element => getComputedStyle(element).backgroundColor)"""
    )
    assert shades[0] != shades[1]
    lab.emulate_media(forced_colors="none")


def test_what_axe_would_find(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content(
        "<html lang=en><title>x</title><p>Read this.</p>"
        "<p style='color: #aaa; background: #fff'>Faint.</p><button></button>"
    )
    assert [line.split(":")[0] for line in violations(page, "html")] == [
        "button-name",
        "color-contrast",
    ]
    page.close()
