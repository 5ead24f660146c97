"""The lab in class: on the whole screen, and so slow that phases can be seen."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import jupyter
from tests.browser.accessibility import violations
from tests.browser.conftest import Kept
from tests.browser.jupyter import (
    LIGHT,
    THEMES,
    run_code,
    screenshot,
    set_theme,
    wait_for,
    wait_till_said,
)
from tests.browser.test_lab import LAB, trainer_cell, unfold

PLAN = "epochs=30, warmup_epochs=0, switcher_lr=0.02"
SMALL = f"{trainer_cell(train=1000, test=200, plan=PLAN)}\ntrainer.run(epochs=2)\n{LAB}"
SIZES = [(1280, 720), (853, 480), (1920, 1080)]
SHOWN = (
    ".snnviz-play",
    ".snnviz-step-epoch",
    ".snnviz-progress",
    ".snnviz-scale",
    ".snnviz-tabs",
    ".snnviz-card-learning_curves img",
)
HIDDEN = (
    ".snnviz-time-machine",
    ".snnviz-stages",
    ".snnviz-title",
    ".snnviz-fold-button",
    ".snnviz-keys-button",
    ".snnviz-modes",
    ".snnviz-notice",
)
STATE = """() => {
    const lab = document.querySelector(".snnviz-lab");
    return {
        enlarged: Number(lab.dataset.enlarged ?? 1),
        full: document.fullscreenElement === lab,
        above: lab.matches(":popover-open"),
        inert: document.querySelectorAll("[inert]").length,
        cells: window.jupyterapp.shell.currentWidget.content.widgets.length,
    };
}"""
# What can be seen, and does not lie within the window as a whole.
CUT = """() => [...document.querySelectorAll(".snnviz-lab *")]
    .filter(each => each.checkVisibility() && !each.closest(".snnviz-spoken, .snnviz-frame"))
    .map(each => [each, each.getBoundingClientRect()])
    .filter(([, box]) => box.width > 1 && box.height > 1)
    .filter(([, box]) => box.left < -1 || box.top < -1 ||
        box.right > innerWidth + 1 || box.bottom > innerHeight + 1)
    .map(([each]) => each.className || each.tagName)"""
FOCUSED = "() => document.activeElement.className || document.activeElement.textContent"


def made(kept: Kept) -> Page:
    page = kept.notebook([SMALL])
    wait_for(page, ".snnviz-status", "Paused")
    return page


@pytest.fixture
def lab(kept: Kept) -> Iterator[Page]:
    """A lab that is not projected, one for all tests, which leave it as it was."""
    page = kept.page or made(kept)
    set_theme(page, LIGHT)
    page.set_viewport_size(jupyter.VIEWPORT)
    yield page
    if kept.page and page.evaluate(STATE)["enlarged"] > 1:
        page.locator(".snnviz-project:visible").click()


def project(page: Page) -> None:
    page.locator(".snnviz-project:visible").click()
    expect(page.locator(".snnviz-lab[data-enlarged]")).to_be_visible()
    page.wait_for_timeout(300)


def is_usual(page: Page) -> bool:
    """Whether nothing is left of it."""
    now = page.evaluate(STATE)
    return now["enlarged"] == 1 and not now["full"] and not now["above"] and now["inert"] == 0


@pytest.mark.parametrize("theme", THEMES)
def test_it_shows_what_a_class_looks_at(lab: Page, theme: str) -> None:
    set_theme(lab, theme)
    project(lab)
    assert lab.evaluate(STATE)["full"]
    for width, height in SIZES:
        lab.set_viewport_size({"width": width, "height": height})
        lab.wait_for_timeout(700)
        screenshot(lab, f"projection_{width}_{theme.split()[1].lower()}")
        for css in SHOWN:
            expect(lab.locator(f".snnviz-lab {css}:visible")).to_have_count(1)
        for css in HIDDEN:
            expect(lab.locator(f".snnviz-lab {css}:visible")).to_have_count(0)
        assert lab.evaluate(CUT) == []
        letters = lab.locator(".snnviz-progress").evaluate(
            "e => parseFloat(getComputedStyle(e).fontSize)"
        )
        assert letters >= max(15, height / 40)
        tabs = lab.locator(".snnviz-tabs button").evaluate_all(
            "all => all.map(each => Math.round(each.getBoundingClientRect().top))"
        )
        assert len(set(tabs)) == 1, "the tabs stand in several rows"
    assert violations(lab, ".snnviz-lab") == []


def test_squares_are_larger_and_the_mouse_finds_them(lab: Page) -> None:
    canvas = lab.locator(".snnviz-neurons:visible .snnviz-block canvas").last
    usual = canvas.bounding_box()
    project(lab)
    lab.set_viewport_size({"width": 1920, "height": 1080})
    lab.wait_for_timeout(500)
    box = canvas.bounding_box()
    assert usual is not None
    assert box is not None
    assert box["width"] * box["height"] > 1.5 * usual["width"] * usual["height"]
    lab.mouse.move(box["x"] + 3, box["y"] + 3)
    readout = lab.locator(".snnviz-readout:visible")
    expect(readout).to_contain_text("fc1 · 0 ·")
    lab.mouse.move(box["x"] + box["width"] - 5, box["y"] + 3)
    shown = lab.locator(".snnviz-hovered").bounding_box()
    assert shown is not None
    assert shown["x"] < box["x"] + box["width"] - 5 < shown["x"] + shown["width"] + 4
    lab.mouse.click(box["x"] + 3, box["y"] + 3)  # there is no room for its page
    expect(lab.locator(".snnviz-page:visible")).to_have_count(0)


def test_tab_goes_round_in_it(lab: Page) -> None:
    project(lab)
    seen = []
    for _ in range(40):
        lab.keyboard.press("Tab")
        at = lab.evaluate("() => [document.activeElement.checkVisibility(), "
                          "Boolean(document.activeElement.closest('.snnviz-lab')), "
                          "document.activeElement === document.body]")  # fmt: skip
        assert at[2] or (at[0] and at[1])
        seen.append(lab.evaluate(FOCUSED))
    assert any("snnviz-play" in name for name in seen)
    assert any("snnviz-blocks" in name for name in seen)
    assert any("snnviz-project" in name for name in seen)


@pytest.mark.parametrize("refused", [False, True])
def test_ways_in_and_out(lab: Page, refused: bool) -> None:
    if refused:
        lab.evaluate("() => { Element.prototype.requestFullscreen = () => Promise.reject('no'); }")
    cells = lab.evaluate(STATE)["cells"]
    for leave in ("p", "Escape", "button"):
        lab.locator(".snnviz-play:visible").focus()
        lab.wait_for_timeout(200)
        lab.locator(".snnviz-play:visible").focus()
        lab.keyboard.press("p")
        expect(lab.locator(".snnviz-lab[data-enlarged]")).to_be_visible()
        lab.wait_for_timeout(300)
        now = lab.evaluate(STATE)
        assert (now["full"], now["above"]) == (not refused, refused)
        assert now["inert"] > 0
        lab.evaluate("() => document.activeElement.blur()")  # keys are still the lab's
        for key in ("b", "x", "d", "d"):
            lab.keyboard.press(key)
        if leave == "button":
            lab.locator(".snnviz-project:visible").click()
        else:
            lab.keyboard.press(leave)
        expect(lab.locator(".snnviz-lab[data-enlarged]")).to_have_count(0)
        lab.wait_for_timeout(300)
        assert is_usual(lab)
        assert lab.evaluate(STATE)["cells"] == cells


def test_p_is_a_letter_where_one_types(lab: Page) -> None:
    unfold(lab, "time machine")
    name = lab.locator(".snnviz-fork-name input")
    name.focus()
    lab.wait_for_timeout(200)
    name.focus()
    lab.keyboard.type("pp")
    expect(name).to_have_value("pp")
    assert is_usual(lab)
    name.fill("")
    unfold(lab, "time machine")


def test_forced_colours(lab: Page) -> None:
    project(lab)
    lab.emulate_media(forced_colors="active")
    lab.wait_for_timeout(300)
    screenshot(lab, "projection_forced_colours")
    expect(lab.locator(".snnviz-scale")).to_be_in_viewport()
    border = lab.locator(".snnviz-project").evaluate("e => getComputedStyle(e).borderTopWidth")
    assert border == "1px"
    lab.emulate_media(forced_colors="none")


def test_speed(lab: Page) -> None:
    unfold(lab, "more")
    menu = lab.locator(".snnviz-pace select")
    menu.select_option("1 step in 2 seconds")
    wait_till_said(lab, "print(lab.speed)", "0.5")
    done = int(run_code(lab, "print(lab.trainer.position.step)"))
    lab.locator(".snnviz-play:visible").click()
    wait_for(lab, ".snnviz-status", "Playing")
    lab.locator(".snnviz-pause:visible").click()
    wait_for(lab, ".snnviz-status", "Paused")
    made = int(run_code(lab, "print(lab.trainer.position.step)")) - done
    assert 1 <= made <= 10, "it was slowed"
    run_code(lab, "lab.speed = 7")
    expect(menu).to_have_value("7 steps a second")
    screenshot(lab, "speed")
    run_code(lab, "lab.speed = None")
    unfold(lab, "more")
