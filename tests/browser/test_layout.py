"""Where the lab's parts lie: what is in sight, what stays where it is, and what is cut."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import jupyter
from tests.browser.conftest import Kept
from tests.browser.jupyter import DARK, LIGHT, run_code, screenshot, set_theme, wait_for
from tests.browser.test_lab import LAB, TRAINER

# From where the lab begins, so that scrolling does not count.
PLACES = """() => {
    const lab = document.querySelector(".snnviz-lab").getBoundingClientRect();
    const parts = [".snnviz-status dl", ".snnviz-editor", ".snnviz-task_lr", ".snnviz-task_decay",
        ".snnviz-switcher_steps", ".snnviz-time-machine", ".snnviz-moment", ".snnviz-whatif",
        ".snnviz-blocks", ".snnviz-views", ".snnviz-cards"];
    return parts.map(css => {
        const box = document.querySelector(".snnviz-lab " + css).getBoundingClientRect();
        return [css, Math.round(box.x - lab.x), Math.round(box.y - lab.y), Math.round(box.width)];
    });
}"""
# What is done to the lab, and what it says of that, where.
SAID = (
    (
        "a what-if",
        "lab.what_if({'fc1': list(range(100))})",
        ".snnviz-whatif-result p",
        "What if 100 neurons of fc1 were off",
    ),
    (
        "a refusal",
        "lab.what_if({'fc1': list(range(500))})\nlab.keep()",
        ".snnviz-whatif-result [role=alert]",
        "Refused",
    ),
    (
        "the past",
        "lab.let_go()\nlab.show_epoch(1)",
        ".snnviz-editor-note",
        "For a fork from epoch 1",
    ),
)
IN_SIGHT = """() => {
    const window = document.querySelector(".jp-WindowedPanel-outer, .jp-Notebook");
    const end = window.getBoundingClientRect().bottom;
    return end - document.querySelector(".snnviz-blocks canvas").getBoundingClientRect().top;
}"""


def made(kept: Kept) -> Page:
    """A page with a lab that has two finished epochs."""
    begun = f"{TRAINER}\ntrainer.schedule = plan.replace(warmup_epochs=0)\ntrainer.run(epochs=2)"
    page = kept.notebook([begun, LAB])
    wait_for(page, ".snnviz-status", "Paused")
    wait_for(page, ".snnviz-moment-readout", "after epoch 2")
    return page


@pytest.fixture
def lab(kept: Kept) -> Page:
    """A lab for tests that look and leave it as it was: one for all of them."""
    page = kept.page or made(kept)
    set_theme(page, LIGHT)
    page.set_viewport_size(jupyter.VIEWPORT)
    page.evaluate("() => window.jupyterapp.shell.expandLeft()")
    page.wait_for_timeout(500)
    return page


@pytest.fixture
def own_lab(kept: Kept) -> Iterator[Page]:
    """A lab that no other test sees."""
    yield made(kept)
    kept.leave()


def to_the_top(page: Page) -> None:
    """Scrolls to where the lab begins."""
    page.evaluate("() => document.querySelector('.snnviz-lab').scrollIntoView({block: 'start'})")
    page.wait_for_timeout(500)


def test_neurons_and_time_machine_are_in_sight_with_the_buttons(lab: Page) -> None:
    for sidebar in ("with", "without"):
        if sidebar == "without":
            lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
            lab.wait_for_timeout(500)
        to_the_top(lab)
        screenshot(lab, f"layout_{sidebar}_sidebar")
        for css in (".snnviz-play", ".snnviz-progress", ".snnviz-timeline", ".snnviz-time-machine"):
            expect(lab.locator(f"{css}:visible")).to_be_in_viewport(ratio=0.99)
        assert lab.evaluate(IN_SIGHT) > 60, f"pixels of neurons in sight, {sidebar} a sidebar"


def test_the_main_settings_unfold(lab: Page) -> None:
    fold = lab.get_by_role("button", name="main settings")
    expect(lab.locator(".snnviz-task_steps:visible")).to_have_count(0)
    fold.click()
    for name in ("task_steps", "switcher_steps", "task_lr", "switcher_lr"):
        expect(lab.locator(f".snnviz-{name}:visible [type=range]")).to_be_visible()
    fold.click()
    expect(lab.locator(".snnviz-task_steps:visible")).to_have_count(0)


def test_the_state_stays_in_sight(lab: Page) -> None:
    lab.evaluate("() => document.querySelector('.snnviz-views').scrollIntoView({block: 'end'})")
    line = lab.locator(".snnviz-progress:visible")
    expect(line).to_be_in_viewport(ratio=1)
    expect(line).to_contain_text("Paused")
    expect(line).to_contain_text("epoch 3/30")
    expect(line).to_contain_text(re.compile("(task|switcher) phase"))
    boxes = [lab.locator(css).bounding_box() for css in (".snnviz-top", ".snnviz-progress")]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[1]["y"] == pytest.approx(boxes[0]["y"] + boxes[0]["height"], abs=1)


def test_nothing_is_cut_and_arrows_are_seen(lab: Page) -> None:
    """Each choice fits into its dropdown, and the arrow is light on a dark page."""
    for width in (900, 1400, 2500):
        lab.set_viewport_size({"width": width, "height": 1000})
        lab.wait_for_timeout(500)
        cut = lab.evaluate(
            """() => {
                const pen = document.createElement("canvas").getContext("2d");
                const all = [...document.querySelectorAll(".snnviz-lab select")];
                const room = box => {
                    const style = getComputedStyle(box);
                    pen.font = style.font;
                    const typed = box.tagName === "INPUT";
                    const text = typed ? box.placeholder : box.selectedOptions[0]?.text ?? "";
                    const free = box.clientWidth - parseFloat(style.paddingLeft) - (typed ? 0 : 18);
                    return free - pen.measureText(text).width;
                };
                all.push(document.querySelector(".snnviz-fork-name input"));
                const cut = all.filter(box => box.clientWidth && room(box) < 0);
                return cut.map(box => box.outerHTML);
            }"""
        )
        assert cut == []
    set_theme(lab, DARK)
    for css in (".snnviz-speed select", ".snnviz-choose-metric select"):
        arrow = lab.locator(css).first.evaluate("box => getComputedStyle(box).backgroundImage")
        assert "%23e0e0e0" in arrow


def test_a_figure_in_a_tab_is_not_blown_up(lab: Page) -> None:
    lab.set_viewport_size({"width": 1400, "height": 1000})
    image = lab.locator(".snnviz-card-learning_curves img")
    expect(lab.locator(".snnviz-views[data-mode=tabs]")).to_be_visible()
    lab.wait_for_timeout(1500)
    shown = image.evaluate("image => [image.clientWidth - 16, image.naturalWidth]")
    inches = shown[1] / 240  # see screen.py
    assert inches == pytest.approx(6.2, abs=0.1)
    assert 8 / 72 * shown[0] / inches < 14  # pixels of a letter of 8 points


def test_the_buttons_stand_in_one_row(lab: Page) -> None:
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": 900, "height": 1000})
    lab.wait_for_timeout(500)
    for css in (".snnviz-buttons button", ".snnviz-status dt"):
        tops = lab.locator(f"{css}:visible").evaluate_all(
            "all => all.map(each => Math.round(each.getBoundingClientRect().top))"
        )
        assert len(tops) >= 6
        assert len(set(tops)) == 1


@pytest.mark.parametrize("width", [900, 1400])
def test_nothing_moves_when_something_is_said(own_lab: Page, width: int) -> None:
    lab = own_lab
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": width, "height": 1000})
    lab.get_by_role("button", name="main settings").click()
    lab.wait_for_timeout(1500)
    before = lab.evaluate(PLACES)

    def stays(what: str) -> None:
        lab.wait_for_timeout(300)
        screenshot(lab, f"layout_{width}_{what.replace(' ', '_')}", ".snnviz-lab")
        moved = [
            pair for pair in zip(before, lab.evaluate(PLACES), strict=True) if pair[0] != pair[1]
        ]
        assert not moved, f"moved by {what}"

    run_code(lab, "lab.step('batch', 2)\nlab.wait()\nlab.set_schedule(task_steps=6)")
    wait_for(lab, ".snnviz-notice", "From the next round: task_steps 4 → 6")
    wait_for(lab, ".snnviz-task_steps .snnviz-hint", "still 4 in this round")
    stays("a notice")
    for what, code, css, said in SAID:
        run_code(lab, code)
        wait_for(lab, css, said)
        stays(what)
    run_code(lab, "lab._parts.machine.speed.value = 1")
    lab.locator(".snnviz-replay:visible").click()
    wait_for(lab, ".snnviz-replay", "Stop")
    stays("a replay")
    lab.locator(".snnviz-now:visible").click()
    lab.locator(".snnviz-save:visible").click()
    wait_for(lab, ".snnviz-saved", "Saved figures/learning_curves")
    stays("what was saved")
