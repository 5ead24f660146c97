"""The neuron grid in JupyterLab: looked at, clicked, and run by the keyboard alone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from snnviz.lab.session.status import percent
from tests.browser.conftest import Kept
from tests.browser.jupyter import (
    DARK,
    LIGHT,
    open_notebook,
    run_code,
    save_notebook,
    screenshot,
    set_theme,
    wait_for,
    wait_till_said,
)
from tests.browser.pictures import pictures

GRID = """\
import numpy as np
from ipywidgets import VBox
from snnviz.lab.page import hear_as_asked
from snnviz.lab.page.frame import Frame
from snnviz.lab.neurons.grid import Grid
from snnviz.lab.neurons.numbering import encode
groups = {"conv1": 20, "conv2": 50, "fc1": 500}
rng = np.random.default_rng(0)
factors = {name: rng.gamma(6, 1 / 6, n) for name, n in groups.items()}
off = rng.random(500) < 0.5
off[:4] = True, False, True, False
factors["fc1"] = np.where(off, 0, 2 * factors["fc1"])
factors["fc1"][1], factors["fc1"][3] = 1, 0.001
since = np.zeros(570, "<i4")
since[70:] = np.where(off, -3, 0)
since[71] = 5
marks = np.zeros(570, "u1")
marks[[72, 73, 74, 75]] = 1, 2, 4, 1
got = []
grid = Grid(groups, factors=encode(groups, factors), flipped=since.tobytes(),
            marks=marks.tobytes(), moment="epoch 4")
grid.on_msg(lambda _, content, buffers: got.append(content))
hear_as_asked(VBox([Frame(), grid]).add_class("snnviz-lab"))"""

PAGE = """\
def bytes_of(array, kind="<f4"):
    return np.asarray(array, kind).tobytes()
def images(n):
    x, y = np.meshgrid(np.arange(28), np.arange(28))
    return [255 * ((x - 14) ** 2 + (y - 14) ** 2 < (4 + k) ** 2) for k in range(n)]
over_time = [1, 1.02, 0.9, 1.4, 0, 0, 0, 0.6, 1.1, 1.6, 1.6, 1.6]
kinds = {
    "image": {"kind": "image", "count": 1, "height": 28, "width": 28, "shown_of": 1,
              "data": bytes_of(np.sin(np.arange(784) / 60) / 8)},
    "kernels": {"kind": "kernels", "count": 20, "height": 5, "width": 5, "shown_of": 64,
                "data": bytes_of(rng.normal(0, 0.1, 500))},
    "row": {"kind": "row", "count": 1, "height": 1, "width": 800, "shown_of": 1152,
            "data": bytes_of(rng.normal(0, 0.03, 800))},
}
def page(neuron, kind="kernels", **more):
    return {
        "neuron": neuron, "group": "fc1", "index": neuron - 70, "factor": over_time[-1],
        "at": "step 512", "pinned": None,
        "epochs": {"factors": bytes_of(over_time),
                   "stages": [[1, 2, "warm-up"], [3, 10, "alternating"], [11, 12, "frozen"]]},
        "norm": 1.234, "norm_rank": "12th of 500", "fan_in": 800, "writers": ["fc1"],
        "chain": {"reads": "descriptors", "activation": "unit_mean", "score": 2.0,
                  "waterline": 0.4, "factor": 1.6, "scores": bytes_of(rng.normal(1, 2, 500)),
                  "descriptors": [
                      {"name": "length", "sentence": "its length", "value": -0.35, "read": 1.234},
                      {"name": "mean_cosine", "sentence": "cosine", "value": 0.01, "read": -0.5}]},
        "reads": ["conv2"], "feeds": ["fc2"], "weights": kinds[kind],
        "answers": {"data": bytes_of(images(8), "u1"), "count": 8, "height": 28, "width": 28,
                    "channels": 1, "labels": ["Ankle boot", "Trouser"] * 4,
                    "values": list(np.linspace(9.5, 4, 8)), "of": 1000},
        "notes": ["A note."], **more,
    }"""

READOUT = ".snnviz-readout"


@pytest.fixture
def grid(kept: Kept) -> Page:
    """A page with a grid of 570 neurons in three groups."""
    page = kept.notebook([GRID, PAGE])
    wait_for(page, ".snnviz-total", "neurons on")
    return page


def cell_at(page: Page, group: int, neuron: int) -> tuple[float, float]:
    """The middle of a neuron's cell on the page, found from the sizes of canvas and group."""
    page.locator(".snnviz-block-name:visible").nth(group).scroll_into_view_if_needed()
    return tuple(
        page.evaluate(
            """([group, neuron]) => {
                const block = [...document.querySelectorAll(".snnviz-block")][group];
                const canvas = block.querySelector("canvas"), box = canvas.getBoundingClientRect();
                const said = block.querySelector("span").textContent;
                const n = Number(said.match(/of ([\\d,]+)/)[1].replace(",", ""));
                for (let step = 5; step <= 20; step++) {
                    const cols = Math.round(box.width / step), rows = Math.round(box.height / step);
                    if (cols * step !== box.width || rows * step !== box.height) continue;
                    if (cols * (rows - 1) >= n || cols * rows < n) continue;
                    return [box.left + (neuron % cols + 0.5) * step,
                            box.top + (Math.floor(neuron / cols) + 0.5) * step];
                }
            }""",
            [group, neuron],
        )
    )


def click(page: Page, group: int, neuron: int, *keys: str) -> None:
    x, y = cell_at(page, group, neuron)
    for key in keys:
        page.keyboard.down(key)
    page.mouse.click(x, y)
    for key in keys:
        page.keyboard.up(key)


def colours(page: Page, group: int, neuron: int) -> list[list[int]]:
    """The different colours of a cell, the commonest first."""
    x, y = cell_at(page, group, neuron)
    return page.evaluate(
        """([group, x, y]) => {
            const canvas = document.querySelectorAll(".snnviz-block canvas")[group];
            const box = canvas.getBoundingClientRect();
            const pen = canvas.getContext("2d");
            const data = pen.getImageData(x - box.left - 9, y - box.top - 9, 18, 18).data;
            const counts = new Map();
            for (let k = 0; k < data.length; k += 4) {
                if (!data[k + 3]) continue; // the gap between cells
                const colour = data.slice(k, k + 3).join();
                counts.set(colour, (counts.get(colour) ?? 0) + 1);
            }
            return [...counts].sort((a, b) => b[1] - a[1]).map(([c]) => c.split(",").map(Number));
        }""",
        [group, x, y],
    )


def value(page: Page, name: str, wanted: str) -> None:
    """Asserts a trait of the grid; what the page says takes a moment to the kernel."""
    got = run_code(page, f"print(grid.{name})")
    for _ in range(20):
        if got == wanted:
            break
        page.wait_for_timeout(100)
        got = run_code(page, f"print(grid.{name})")
    assert got == wanted


def looked_at(page: Page, name: str) -> None:
    """The grid on a higher page, and pictures of it."""
    page.set_viewport_size({"width": 1400, "height": 1500})
    pictures(page, f"grid_{name}", ".snnviz-grid")
    page.wait_for_timeout(500)  # until the canvases have the new size


def focus(page: Page) -> Locator:
    area = page.locator(".snnviz-blocks:visible")
    area.focus()
    expect(area).to_be_focused()
    return area


# --- looked at --------------------------------------------------------------------------------


def test_every_neuron_in_view(grid: Page) -> None:
    expect(grid.locator(".snnviz-block-name")).to_have_text(
        ["conv120 of 20 on", "conv250 of 50 on", re.compile(r"^fc1\d+ of 500 on$")]
    )
    on = int(run_code(grid, "print(sum((f > 0).sum() for f in factors.values()))"))
    expect(grid.locator(".snnviz-total")).to_have_text(
        f"{on} of 570 neurons on ({percent(on, 570)} %) · epoch 4"
    )
    legend = grid.locator(".snnviz-legend")
    expect(legend.first).to_have_text(re.compile(r"^factor01≥ \d+off$"))
    expect(legend.last).to_have_text("pinnedtried offtried onselected")
    area = grid.locator(".snnviz-blocks").bounding_box()
    assert area is not None
    assert area["height"] < 560
    assert colours(grid, 2, 0) == [[232, 232, 232], *colours(grid, 2, 0)[1:]]
    assert len(colours(grid, 2, 0)) > 1, "off is crossed out"
    assert colours(grid, 2, 1) == [[125, 124, 120]], "a factor of 1 is the scale's middle"
    assert colours(grid, 2, 3)[0] in ([0, 34, 78], [17, 17, 17]), "just above 0 is no off"
    looked_at(grid, "start")


def test_the_mouse_points_and_opens(grid: Page) -> None:
    hint = "Each square is a neuron. Point at one; click it to open its page."
    expect(grid.locator(READOUT)).to_have_text(hint)
    for neuron, said in {
        0: "fc1 · 0 · factor 0.00 · off since epoch 3",
        1: "fc1 · 1 · factor 1.00 · on since epoch 5",
        2: "fc1 · 2 · factor 0.00 · off since epoch 3 · pinned off",
        3: "fc1 · 3 · factor 1·10⁻³ · never off · tried off (what-if only)",
    }.items():
        grid.mouse.move(*cell_at(grid, 2, neuron))
        expect(grid.locator(READOUT)).to_have_text(said)
        expect(grid.locator(".snnviz-hovered")).to_be_visible()
    grid.mouse.move(0, 0)
    expect(grid.locator(READOUT)).to_have_text(hint)

    expect(grid.locator(".snnviz-page.snnviz-is-open")).to_have_count(0)
    click(grid, 2, 1)
    value(grid, "opened", "71")
    value(grid, "selected", "[71]")
    expect(grid.locator(".snnviz-page h3")).to_have_text("fc1 · 1")
    expect(grid.locator(".snnviz-chip")).to_have_text("loading …")
    run_code(grid, "grid.page = page(71)")
    expect(grid.locator(".snnviz-chip")).to_have_text("on")
    click(grid, 2, 3)
    value(grid, "opened", "73")
    expect(grid.locator(".snnviz-page")).to_have_attribute("aria-busy", "true")
    grid.get_by_role("button", name="close the page (Esc)").click()
    value(grid, "opened", "-1")
    expect(grid.locator(".snnviz-page.snnviz-is-open")).to_have_count(0)


def test_the_mouse_selects(grid: Page) -> None:
    click(grid, 1, 3)
    click(grid, 1, 6, "Shift")
    value(grid, "selected", "[23, 24, 25, 26]")
    click(grid, 1, 1, "Shift")
    value(grid, "selected", "[21, 22, 23]")
    click(grid, 2, 0, "Control")
    value(grid, "selected", "[21, 22, 23, 70]")
    click(grid, 1, 2, "Control")
    value(grid, "selected", "[21, 23, 70]")
    expect(grid.locator(READOUT)).to_contain_text("3 selected")
    click(grid, 2, 2, "Shift")  # from the anchor in another group: starts a new selection
    value(grid, "selected", "[72]")
    value(grid, "opened", "23")

    grid.get_by_role("button", name="conv1 20 of 20 on").click()
    value(grid, "selected", str(list(range(20))))
    grid.get_by_role("button", name="conv2 50 of 50 on").click(modifiers=["Control"])
    value(grid, "selected", str(list(range(70))))

    plain = colours(grid, 2, 1)
    run_code(grid, "grid.selected = [70, 71]")
    expect(grid.locator(READOUT)).to_contain_text("2 selected")
    assert colours(grid, 2, 1) != plain
    looked_at(grid, "selected")


# --- by the keyboard alone --------------------------------------------------------------------


def test_the_keyboard_moves_selects_and_opens(grid: Page) -> None:
    focus(grid)
    expect(grid.locator(READOUT)).to_contain_text("conv1 · 0 · factor")
    for key, said in [
        ("ArrowRight", "conv1 · 1 ·"),
        ("End", "conv1 · 19 ·"),
        ("ArrowRight", "conv2 · 0 ·"),
        ("PageDown", "fc1 · 0 ·"),
        ("PageDown", "fc1 · 0 ·"),
        ("ArrowLeft", "conv2 · 49 ·"),
        ("Home", "conv2 · 0 ·"),
        ("ArrowUp", "conv1 · 19 ·"),
        ("PageUp", "conv1 · 19 ·"),
        ("Home", "conv1 · 0 ·"),
        ("ArrowLeft", "conv1 · 0 ·"),
    ]:
        grid.keyboard.press(key)
        expect(grid.locator(READOUT)).to_contain_text(said)
        expect(grid.locator(".snnviz-spoken")).to_contain_text(said)
        expect(grid.locator(".snnviz-spoken")).to_contain_text("epoch 4")
    grid.keyboard.press("ArrowDown")
    grid.keyboard.press("ArrowUp")
    expect(grid.locator(READOUT)).to_contain_text("conv1 · 0 ·")

    grid.keyboard.press("Space")
    grid.keyboard.press("ArrowRight")
    grid.keyboard.press("ArrowRight")
    grid.keyboard.press("Space")
    value(grid, "selected", "[0, 2]")
    focus(grid)
    grid.keyboard.press("Space")
    grid.keyboard.press("ArrowRight")
    grid.keyboard.press("Shift+ArrowRight")
    grid.keyboard.press("Shift+ArrowRight")
    value(grid, "selected", "[3, 4, 5]")
    focus(grid)
    grid.keyboard.press("Control+a")
    value(grid, "selected", str(list(range(20))))

    focus(grid)
    grid.keyboard.press("PageDown")
    grid.keyboard.press("Enter")
    value(grid, "opened", "20")
    value(grid, "selected", "[20]")
    focus(grid)
    grid.keyboard.press("Escape")
    value(grid, "opened", "-1")
    value(grid, "selected", "[20]")
    focus(grid)
    grid.keyboard.press("Escape")
    value(grid, "selected", "[]")

    cells = grid.locator(".jp-Cell:visible")
    there = cells.count()
    focus(grid)
    for key in "abx":  # which insert and cut cells where the notebook hears them
        grid.keyboard.press(key)
    grid.wait_for_timeout(300)
    expect(cells).to_have_count(there)
    expect(grid.locator(".snnviz-blocks")).to_be_focused()


def test_the_keyboard_reaches_names_and_the_page(grid: Page) -> None:
    focus(grid)
    grid.keyboard.press("Tab")  # the first group's name, then from name to name
    expect(grid.locator(".snnviz-block-name").nth(0)).to_be_focused()
    grid.keyboard.press("ArrowRight")
    expect(grid.locator(".snnviz-block-name").nth(1)).to_be_focused()
    grid.keyboard.press("Enter")
    expect(grid.locator(".snnviz-spoken")).to_have_text("all 50 neurons of conv2 selected")
    value(grid, "selected", str(list(range(20, 70))))

    run_code(grid, "grid.page = page(71)\ngrid.opened = 71")
    expect(grid.locator(".snnviz-page h3")).to_have_text("fc1 · 1")
    focus(grid)
    for _ in range(4):  # name, sort, keys, the page's first button
        grid.keyboard.press("Tab")
    expect(grid.get_by_role("button", name="previous neuron")).to_be_focused()
    grid.keyboard.press("Tab")
    grid.keyboard.press("Enter")
    expect(grid.locator(".snnviz-page h3")).to_have_text("fc1 · 2")
    grid.keyboard.press("Escape")
    expect(grid.locator(".snnviz-page.snnviz-is-open")).to_have_count(0)
    expect(grid.locator(".snnviz-blocks")).to_be_focused()


def test_keys_send_wishes(grid: Page) -> None:
    focus(grid)
    for key in "onkl":
        grid.keyboard.press(key)
    grid.keyboard.press("?")
    expect(grid.locator(".snnviz-keys")).to_contain_text("try the selected neurons off")
    grid.keyboard.press("?")
    expect(grid.locator(".snnviz-keys")).to_be_hidden()
    said = "[('off', [0]), ('on', [0]), ('keep', [0]), ('let go', [0])]"
    code = "[(each['do'], each['neurons']) for each in got]"
    wait_till_said(grid, code, said)
    value(grid, "selected", "[0]")
    grid.get_by_role("button", name="Keys").click()
    expect(grid.locator(".snnviz-keys")).to_be_visible()
    looked_at(grid, "keys")


# --- while training goes on -------------------------------------------------------------------


def test_what_changes_is_drawn_and_the_focus_stays(grid: Page) -> None:
    focus(grid)
    grid.keyboard.press("End")
    run_code(
        grid,
        "factors['conv1'][:] = 0\nfactors['fc1'][:] = 1\n"
        "grid.moment, grid.factors = 'now, step 9', encode(groups, factors)",
    )
    expect(grid.locator(".snnviz-block-name").nth(0)).to_have_text("conv10 of 20 on")
    expect(grid.locator(".snnviz-total")).to_contain_text(
        "550 of 570 neurons on (96 %) · now, step"
    )
    run_code(grid, "factors['conv1'][1:] = 1\ngrid.factors = encode(groups, factors)")
    expect(grid.locator(".snnviz-total")).to_contain_text("569 of 570 neurons on (99 %)")
    run_code(grid, "factors['conv1'][:] = 0\ngrid.factors = encode(groups, factors)")
    expect(grid.locator(".snnviz-total")).to_contain_text("550 of 570 neurons on (96 %)")
    assert colours(grid, 0, 5)[0] == [232, 232, 232]
    assert colours(grid, 2, 9) == [[125, 124, 120]]
    grid.mouse.move(*cell_at(grid, 0, 5))
    expect(grid.locator(READOUT)).to_have_text("conv1 · 5 · factor 0.00 · just off")
    grid.mouse.move(*cell_at(grid, 2, 0))
    expect(grid.locator(READOUT)).to_have_text("fc1 · 0 · factor 1.00 · just back on")

    set_theme(grid, DARK)
    grid.wait_for_function("document.querySelector('.snnviz-grid.snnviz-dark')")
    assert colours(grid, 0, 5)[0] == [47, 47, 47]
    assert colours(grid, 2, 9) == [[125, 124, 120]]
    set_theme(grid, LIGHT)


def test_the_page_of_a_neuron(grid: Page) -> None:
    for kind in ("image", "row", "kernels"):
        run_code(grid, f"grid.page = page(71, {kind!r})\ngrid.opened = 71")
        expect(grid.locator(".snnviz-page.snnviz-is-open h3")).to_have_text("fc1 · 1")
        said = {
            "image": "arranged like the image",
            "row": "one square per weight, 800 of 1,152 shown",
            "kernels": "one kernel per input channel, 20 of 64 shown",
        }[kind]
        expect(grid.locator(".snnviz-weights small")).to_have_text(said)
        looked_at(grid, f"page_{kind}")
    page = grid.locator(".snnviz-page")
    expect(page.locator(".snnviz-factor-history svg")).to_have_attribute(
        "aria-label",
        "factor over 12 epochs: 1.00 after the first, 1.60 after the last; off after 3 of them; "
        "switched off or on 2 times",
    )
    expect(page.locator(".snnviz-off-band")).to_have_count(1)
    expect(page.locator(".snnviz-strip")).to_have_count(3)
    expect(page.locator(".snnviz-factor-history rect title").nth(4)).to_have_text(
        "epoch 5 · off · alternating"
    )
    expect(page.locator(".snnviz-layer")).to_have_text(["conv2", "fc2"])
    expect(page.locator("dt")).to_have_text(["factor", "incoming weights", "their norm"])
    expect(page.locator("dd")).to_have_text(["1.60, step 512", "800", "1.23, 12th of 500"])
    chain = page.locator(".snnviz-chain")
    expect(chain.locator("thead th")).to_have_text(["descriptor", "value", "in its group"])
    expect(chain.locator("tbody tr")).to_have_text(["length−0.35+1.23 σ", "mean cosine0.01−0.50 σ"])
    expect(chain.locator("svg text")).to_have_text(["score 2.00", "waterline 0.40"])
    expect(chain.locator("p")).to_have_text("Factor: 2.00 − 0.40 = 1.60.")
    expect(page.locator(".snnviz-pictures canvas")).to_have_count(20)
    expect(page.locator(".snnviz-weight-scale")).to_have_text(re.compile(r"^−0\.\d\d\+0\.\d\d$"))
    expect(page.locator(".snnviz-answers li")).to_have_count(8)
    expect(page.locator(".snnviz-answers li").first).to_have_text("Ankle boot9.50")
    expect(page.locator(".snnviz-answers h4")).to_contain_text("the strongest of 1,000 test images")
    expect(page.locator(".snnviz-notes li")).to_have_text("A note.")

    run_code(grid, "over_time[-1] = 0\ngrid.page = page(71, pinned=0, answers=None, notes=[])")
    expect(page.locator(".snnviz-chip")).to_have_text("pinned off")
    expect(page.locator(".snnviz-now")).to_have_text("off")
    expect(page.locator(".snnviz-off-band")).to_have_count(2)
    expect(page.locator(".snnviz-answers")).to_have_count(0)
    expect(page.locator("dd").first).to_have_text("0.00, step 512, pinned off by hand")
    run_code(grid, "grid.page = page(71, epochs={'factors': b'', 'stages': []})")
    chart = page.locator(".snnviz-factor-history svg")
    expect(chart).to_have_text("no epoch finished yet")


OTHER_CHAINS = {
    "off": (
        "score=-1.5, factor=0.0",
        "in its group",
        ["The score is not above the waterline, so the neuron is off."],
    ),
    "below zero": (
        "score=-1.5, waterline=-3.0, factor=1.5",
        "in its group",
        [
            "Factor: −1.50 − (−3.00) = 1.50.",
            "In use is 1.60, until the next switcher phase reads the weights again.",
        ],
    ),
    "shuffled": (
        "reads='shuffled'",
        "read instead",
        [
            "This switcher reads the descriptors of another neuron.",
            "Factor: 2.00 − 0.40 = 1.60.",
        ],
    ),
    "no waterline": (
        "activation='relu', waterline=None, score=0.6",
        "in its group",
        ["relu makes a factor of 1.60 from the score 0.60."],
    ),
}


def test_where_a_factor_comes_from(grid: Page) -> None:
    box = grid.locator(".snnviz-page .snnviz-chain")
    for name, (changes, column, said) in OTHER_CHAINS.items():
        used = "0.0" if name == "off" else "1.6"
        run_code(
            grid,
            f"told = page(71)\ntold['chain'] |= dict({changes})\ntold['factor'] = {used}\n"
            "grid.page = told\ngrid.opened = 71",
        )
        expect(box.locator("p")).to_have_text(said)
        expect(box.locator("thead th").last).to_have_text(column)
        expect(box.locator("svg")).to_have_count(int(name != "no waterline"))
        looked_at(grid, f"chain_{name.replace(' ', '_')}")
    run_code(grid, "grid.page = page(71, pinned=1)")
    expect(box.locator("p").last).to_have_text(
        "In use is 1.60, because the neuron is pinned by hand."
    )
    run_code(grid, "grid.page = page(71, chain=None)")
    expect(box).to_have_count(0)


def test_no_sideways_scroll_at_any_width(grid: Page) -> None:
    run_code(grid, "grid.page = page(71)\ngrid.opened = 71")
    for width in (900, 1400, 2500):
        grid.set_viewport_size({"width": width, "height": 1500})
        grid.wait_for_timeout(500)
        screenshot(grid, f"grid_{width}", ".snnviz-grid")
        boxes = grid.locator(".snnviz-grid").evaluate(
            """root => ["grid-head", "grid-main", "blocks", "page", "grid"].map(name => {
                const box = name === "grid" ? root : root.querySelector(`.snnviz-${name}`);
                return [name, box.scrollWidth - box.clientWidth];
            })"""
        )
        assert [box for box in boxes if box[1] > 1] == [], f"{width} pixels"


def named(page: Page, group: int, place: int) -> str:
    """The neuron at a place, as the readout names it."""
    page.mouse.move(*cell_at(page, group, place))
    text = page.locator(READOUT).inner_text().split(" · factor")[0]
    page.mouse.move(0, 0)
    return text


def test_sorted_and_filtered(grid: Page) -> None:
    """What is first and last, and what no longer is there; keys, mouse and selecting follow."""
    ordered = run_code(grid, "print(*np.argsort(-factors['fc1'], kind='stable'))").split()
    off = run_code(grid, "print(*np.flatnonzero(factors['fc1'] == 0))").split()
    grid.get_by_role("button", name="Sort, select").click()
    grid.locator(".snnviz-sort").select_option("factor")
    value(grid, "sort", "factor")
    assert [named(grid, 2, k) for k in (0, 1, 499)] == [f"fc1 · {ordered[k]}" for k in (0, 1, 499)]
    click(grid, 2, 0)
    click(grid, 2, 2, "Shift")
    wanted = sorted(70 + int(k) for k in ordered[:3])
    value(grid, "selected", str(wanted))
    area = focus(grid)
    area.press("ArrowLeft")
    expect(grid.locator(READOUT)).to_contain_text(f"fc1 · {ordered[1]} ·")
    area.press("End")
    expect(grid.locator(READOUT)).to_contain_text(f"fc1 · {ordered[499]} ·")
    grid.get_by_role("button", name="next neuron").focus()
    grid.keyboard.press("Enter")
    value(grid, "opened", str(70 + int(ordered[1])))
    looked_at(grid, "sorted")

    area = focus(grid)
    area.press("s")  # went off last
    value(grid, "sort", "off")
    assert named(grid, 2, 0) == f"fc1 · {off[0]}"
    area.press("f")
    value(grid, "only_off", "True")
    assert named(grid, 2, len(off) - 1) == f"fc1 · {off[-1]}"
    grid.mouse.move(*cell_at(grid, 2, 499))  # nothing is there
    expect(grid.locator(READOUT)).not_to_contain_text("fc1")
    expect(grid.get_by_role("button", name="Only off")).to_have_attribute("aria-pressed", "true")
    grid.get_by_role("button", name=re.compile("^fc1")).click()
    value(grid, "selected", str([70 + int(k) for k in off]))
    area = focus(grid)
    area.press("Home")
    area.press("ArrowUp")  # no other group has a neuron that is off
    expect(grid.locator(READOUT)).to_contain_text(f"fc1 · {off[0]} ·")
    looked_at(grid, "only_off")
    area.press("f")
    area.press("s")
    value(grid, "sort", "number")
    assert named(grid, 2, 7) == "fc1 · 7"


def test_the_weakest_and_taps_are_selected(grid: Page) -> None:
    said = (
        "flat = np.concatenate(list(factors.values()))\non = np.flatnonzero(flat)\n"
        "few = on[np.argsort(flat[on], kind='stable')][:-(-len(on) // 10)]\n"
        "print(sorted(few.tolist()))"
    )
    wanted = run_code(grid, said)
    grid.get_by_role("button", name="Sort, select").click()
    grid.get_by_role("button", name="Weakest 10 %").click()
    value(grid, "selected", wanted)
    grid.get_by_role("button", name="None").click()
    value(grid, "selected", "[]")
    grid.get_by_role("button", name="Tap selects").click()
    touch = grid.context.new_cdp_session(grid)
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for group, neuron in ((0, 3), (2, 9), (0, 3), (1, 1)):
        x, y = cell_at(grid, group, neuron)
        touch.send(
            "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
        )
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        grid.wait_for_timeout(400)  # a double tap is another thing
    value(grid, "selected", "[21, 79]")
    value(grid, "opened", "-1")
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    run_code(grid, "grid.factors = np.ones(570, '<f4').tobytes()")
    expect(grid.locator(".snnviz-lab")).to_contain_text("570 of 570 neurons on")  # it has come
    focus(grid).press("w")
    expect(grid.locator(READOUT)).to_contain_text("All factors are equal so far")
    value(grid, "selected", "[21, 79]")


def test_a_neuron_that_never_fires_and_its_weights_over_time(grid: Page) -> None:
    run_code(
        grid,
        "told = page(71)\ntold['answers']['never'] = True\n"
        "told['lengths'] = {'epochs': [0, 1, 2], 'incoming': bytes_of([1, 1.5, 2]),"
        " 'outgoing': bytes_of([3, 2.5, 0.5])}\ngrid.page = told\ngrid.opened = 71",
    )
    said = "Its pre-activation is not above 0 on any of 1,000 test images."
    expect(grid.locator(".snnviz-answers")).to_have_text(f"Never fires{said}")
    expect(grid.locator(".snnviz-lengths svg")).to_have_attribute(
        "aria-label",
        "norm of the weights, epoch 0 to 2: incoming weights from 1.00 to 2.00, "
        "outgoing weights from 3.00 to 0.50",
    )
    expect(grid.locator(".snnviz-lengths circle")).to_have_count(6)


def test_a_page_reload_gives_the_grid_back(grid: Page, folder: Path) -> None:
    click(grid, 2, 1)
    value(grid, "opened", "71")
    save_notebook(grid)
    open_notebook(grid, f"{folder.name}/kept.ipynb")
    run_code(grid, "grid")
    wait_for(grid, ".snnviz-page h3", "fc1 · 1")
    assert colours(grid, 2, 0)[0] == [232, 232, 232]


def test_past_weights_as_small_pictures(grid: Page) -> None:
    """One for each kind of weights; the present comes last, and a gap is no weight."""
    run_code(
        grid,
        "lengths = {'epochs': [0, 1], 'incoming': bytes_of([1, 2]), 'outgoing': b''}\n"
        "def past(kind, epochs=(0, 2, 4), **more):\n"
        "    own = {**kinds[kind], 'epochs': list(epochs), 'kept': len(epochs), **more}\n"
        "    own['data'] = own['data'] * (len(epochs) + 1)\n"
        "    grid.page = page(71, lengths=lengths, past=own)\n"
        "grid.opened = 71",
    )
    part = grid.locator(".snnviz-lengths")
    small = part.locator(".snnviz-past-weights")
    for kind, size in (("image", (28, 28)), ("row", (29, 28)), ("kernels", (29, 23))):
        run_code(grid, f"past({kind!r})")
        of = ", 20 of 64 kernels" if kind == "kernels" else ""
        said = f"The incoming weights themselves, on one scale{of}:"
        expect(part.locator("p")).to_have_text(said)
        expect(small.locator("span")).to_have_text(["start", "epoch 2", "epoch 4", "now"])
        expect(small).to_have_attribute(
            "aria-label", "incoming weights: start, epoch 2, epoch 4, now"
        )
        shapes = small.locator("canvas").evaluate_all("all => all.map(c => [c.width, c.height])")
        assert shapes == [list(size)] * 4
        looked_at(grid, f"past_{kind}")
    # The kernels are 5 by 5, so the sixth line and column of pixels are empty.
    seen = small.locator("canvas").first.evaluate(
        """canvas => [[0, 0], [5, 0], [0, 5], [28, 22], [6, 6]].map(([x, y]) =>
            canvas.getContext("2d").getImageData(x, y, 1, 1).data[3])"""
    )
    assert seen == [255, 0, 0, 255, 255]
    run_code(grid, "past('row', range(0, 9), kept=40)")
    said = "The incoming weights themselves, on one scale, 9 of 40 saved epochs:"
    expect(part.locator("p")).to_have_text(said)
    run_code(grid, "past('row', ())")
    expect(small).to_have_count(0)
    expect(part.locator("p")).to_have_text(
        "No earlier state of this run was saved, so there are no weights to compare."
    )
