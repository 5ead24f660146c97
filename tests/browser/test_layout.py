"""Where the lab's parts lie: what is in sight, what stays where it is, and what is cut."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from snnviz.lab.views.screen import DPI, MIDDLE, WIDTH
from tests.browser import jupyter
from tests.browser.conftest import Kept
from tests.browser.jupyter import DARK, LIGHT, run_code, screenshot, set_theme, wait_for
from tests.browser.test_lab import LAB, begun, unfold

# From where the lab begins, so that scrolling does not count.
PLACES = """() => {
    const lab = document.querySelector(".snnviz-lab").getBoundingClientRect();
    const parts = [".snnviz-notice", ".snnviz-blocks", ".snnviz-grid-foot", ".snnviz-views",
        ".snnviz-cards"];
    return parts.map(css => {
        const box = document.querySelector(".snnviz-lab " + css).getBoundingClientRect();
        // What has happened to neurons stands beside the notice, and takes some of its width.
        const width = css === ".snnviz-notice" ? 0 : Math.round(box.width);
        return [css, Math.round(box.x - lab.x), Math.round(box.y - lab.y), width];
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
        ".snnviz-notice",
        "You see the end of epoch 1.",
    ),
)
# How many neurons are in sight without scrolling.
IN_SIGHT = """() => {
    const window = document.querySelector(".jp-WindowedPanel-outer, .jp-Notebook");
    const end = window.getBoundingClientRect().bottom;
    return [...document.querySelectorAll(".snnviz-block")].reduce((sum, block) => {
        const box = block.querySelector("canvas").getBoundingClientRect();
        const share = Math.min(Math.max((end - box.top) / box.height, 0), 1);
        return sum + share * Number(block.textContent.match(/(\\d+) on$/)[1]);
    }, 0);
}"""
# Texts of the lab that lie on one another.
OVERLAPS = """() => {
    const lab = document.querySelector(".snnviz-lab");
    const walker = document.createTreeWalker(lab, NodeFilter.SHOW_TEXT);
    const found = [];
    const sticky = node => node.parentElement.closest(".snnviz-top, .snnviz-progress");
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const style = getComputedStyle(node.parentElement);
        const hidden = node.parentElement.closest("style, select, svg, .snnviz-spoken");
        if (!node.textContent.trim() || hidden || !node.parentElement.checkVisibility()) continue;
        if (node.parentElement.closest(".snnviz-stages, .snnviz-scale-bar")) continue;  // clipped
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const box of range.getClientRects())
            if (box.width > 1)
                found.push([node.textContent.trim().slice(0, 40), box, sticky(node)]);
    }
    const over = [];
    for (const [i, [a, p, up]] of found.entries())
        for (const [b, q, too] of found.slice(i + 1)) {
            const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
            const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
            if (wide > 1 && high > 4 && !up === !too) over.push(`${a} | ${b}`);
        }
    return over;
}"""


def made(kept: Kept) -> Page:
    """A page with a lab that has two finished epochs."""
    page = kept.notebook([begun(2), LAB])
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


@pytest.mark.parametrize("size", [(1280, 720), (853, 480)])
def test_neurons_are_in_sight_on_a_small_screen(lab: Page, size: tuple[int, int]) -> None:
    """A laptop's, and a projector's at 150 %."""
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": size[0], "height": size[1]})
    lab.wait_for_timeout(500)
    to_the_top(lab)
    screenshot(lab, f"layout_{size[0]}")
    for css in (".snnviz-play", ".snnviz-progress", ".snnviz-grid-head .snnviz-legend"):
        expect(lab.locator(f"{css}:visible")).to_be_in_viewport(ratio=0.99)
    line = lab.locator(".snnviz-progress:visible").bounding_box()
    assert line is not None
    assert line["height"] < 40, "the status takes more than a line"
    assert lab.evaluate(IN_SIGHT) > (569 if size[1] > 600 else 200)
    neurons, figure = (
        lab.locator(f"{css}:visible").bounding_box() for css in (".snnviz-grid", ".snnviz-card")
    )
    assert neurons is not None
    assert figure is not None
    assert figure["x"] > neurons["x"] + neurons["width"], "the figure is not beside the neurons"


@pytest.mark.parametrize("width", [520, 600, 700, 853, 1100, 1280, 1600])
def test_no_label_lies_on_another(lab: Page, width: int) -> None:
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": width, "height": 720})
    lab.wait_for_timeout(500)
    to_the_top(lab)
    assert lab.evaluate(OVERLAPS) == []


def test_neurons_and_time_machine_are_in_sight_with_the_buttons(lab: Page) -> None:
    for sidebar in ("with", "without"):
        if sidebar == "without":
            lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
            lab.wait_for_timeout(500)
        to_the_top(lab)
        screenshot(lab, f"layout_{sidebar}_sidebar")
        for css in (".snnviz-play", ".snnviz-progress", ".snnviz-stages", ".snnviz-time-machine"):
            expect(lab.locator(f"{css}:visible")).to_be_in_viewport(ratio=0.99)
        assert lab.evaluate(IN_SIGHT) > 569, f"neurons in sight, {sidebar} a sidebar"


@pytest.mark.parametrize("sidebar", ["with", "without"])
@pytest.mark.parametrize(("width", "lines"), [(853, 2), (1280, 1), (1400, 1)])
def test_one_or_all_figures_stands_beside_the_tabs(
    lab: Page, width: int, lines: int, sidebar: str
) -> None:
    if sidebar == "without":
        lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": width, "height": 720})
    lab.wait_for_timeout(500)
    to_the_top(lab)
    screenshot(lab, f"layout_tabs_{width}_{sidebar}")
    tabs, modes = (
        lab.locator(f".snnviz-{name}:visible button").evaluate_all(
            "all => all.map(each => Math.round(each.getBoundingClientRect().top))"
        )
        for name in ("tabs", "modes")
    )
    assert len(set(tabs)) <= lines
    assert set(modes) == {tabs[0]}


def test_the_main_settings_unfold(lab: Page) -> None:
    unfold(lab, "schedule")
    fold = lab.get_by_role("button", name="main settings")
    expect(lab.locator(".snnviz-task_steps:visible")).to_have_count(0)
    fold.click()
    for name in ("task_steps", "switcher_steps", "task_lr", "switcher_lr"):
        expect(lab.locator(f".snnviz-{name}:visible [type=range]")).to_be_visible()
    fold.click()
    expect(lab.locator(".snnviz-task_steps:visible")).to_have_count(0)
    unfold(lab, "schedule")
    expect(lab.locator(".snnviz-editor:visible")).to_have_count(0)


def test_the_state_stays_in_sight(lab: Page) -> None:
    lab.set_viewport_size({"width": 1400, "height": 600})  # the lab does not fit into it
    lab.evaluate("() => document.querySelector('.snnviz-lab').scrollIntoView({block: 'end'})")
    line = lab.locator(".snnviz-progress:visible")
    expect(line).to_be_in_viewport(ratio=1)
    expect(line).to_contain_text("Paused")
    expect(line).to_contain_text("epoch 3/30")
    expect(line).to_contain_text(re.compile("(task|switcher) phase"))
    gap = lab.evaluate(  # both at one moment, for the notebook may still move
        """() => {
            const [top, line] = [".snnviz-top", ".snnviz-progress"].map(
                css => document.querySelector(".snnviz-lab " + css).getBoundingClientRect());
            return line.top - top.bottom;
        }"""
    )
    assert gap == pytest.approx(0, abs=1)


def test_nothing_is_cut_and_arrows_are_seen(lab: Page) -> None:
    """Each choice fits into its dropdown, and the arrow is light on a dark page."""
    unfold(lab, "time machine")
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
    unfold(lab, "time machine")


@pytest.mark.parametrize(("screen", "width"), [(1280, WIDTH), (1400, MIDDLE)])
def test_a_figure_in_a_tab_has_its_place_and_is_not_blown_up(
    lab: Page, screen: int, width: float
) -> None:
    lab.set_viewport_size({"width": screen, "height": 1000})
    image = lab.locator(".snnviz-card-learning_curves img")
    expect(lab.locator(".snnviz-views[data-mode=tabs]")).to_be_visible()
    lab.wait_for_function(
        "([image, width]) => image.naturalWidth === width",
        arg=[image.element_handle(), round(width * DPI[width])],
    )
    inch = image.evaluate("image => image.clientWidth - 16") / width
    assert 12 < 8 / 72 * inch < 14.5  # pixels of a letter of 8 points
    card = lab.locator(".snnviz-card-learning_curves").evaluate("card => card.clientWidth")
    assert width * inch > 0.85 * card


def test_facts_behind_more_do_not_touch(lab: Page) -> None:
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": 1280, "height": 900})
    unfold(lab, "more")
    to_the_top(lab)
    assert lab.evaluate(OVERLAPS) == []
    unfold(lab, "more")


@pytest.mark.parametrize("width", [820, 900])
def test_the_buttons_stand_in_one_row(lab: Page, width: int) -> None:
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": width, "height": 1000})
    lab.wait_for_timeout(500)
    css = ".snnviz-buttons :is(.jupyter-button, .snnviz-project):visible"
    tops = lab.locator(css).evaluate_all("all => all.map(each => each.getBoundingClientRect().top)")
    assert len(tops) == 6
    assert max(tops) - min(tops) < 5


@pytest.mark.parametrize("width", [900, 1400])
def test_nothing_moves_when_something_is_said(own_lab: Page, width: int) -> None:
    lab = own_lab
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    lab.set_viewport_size({"width": width, "height": 1000})
    lab.locator(".snnviz-neurons:visible .snnviz-block canvas").last.click(
        position={"x": 8, "y": 8}
    )
    expect(lab.locator(".snnviz-neurons:visible")).to_contain_text("Connections")
    lab.locator(".snnviz-whatif:visible").wait_for()
    unfold(lab, "more")
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
    stays("a notice")
    for what, code, css, said in SAID:
        run_code(lab, code)
        wait_for(lab, css, said)
        stays(what)
    # So slow that it has not come to its end when a busy machine has looked at it.
    run_code(lab, "lab._parts.machine.speed.options = [('slow', 0.001)]")
    lab.locator(".snnviz-replay:visible").click()
    wait_for(lab, ".snnviz-replay", "Stop")
    stays("a replay")
    lab.locator("button.snnviz-now:visible").click()
    lab.locator(".snnviz-save:visible").click()
    wait_for(lab, ".snnviz-saved", "Saved figures/learning_curves")
    stays("what was saved")
