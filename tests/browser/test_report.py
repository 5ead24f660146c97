"""An exported file, opened from disk without a network: slider, replay, keys, themes, safety."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from snnviz.history import History
from snnviz.lab import export_html
from snnviz.lab.neurons.flips import Flips
from tests.browser.accessibility import violations
from tests.browser.jupyter import screenshot
from tests.lab.conftest import make_trainer
from tests.lab.report.test_export import EVIL, named_run
from tests.lab.views.pretence import pretended_run

EPOCHS = 8


class Opened:
    """A page without a network, and what went wrong in it."""

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context(
            offline=True, viewport={"width": 1280, "height": 720}, color_scheme="light"
        )
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error.stack)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, file: Path) -> Page:
        self.page.goto(file.as_uri())
        expect(self.page.locator(".snnviz-total")).to_contain_text("neurons on")
        return self.page


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Opened]:
    """A page that must stay without errors, and load nothing but the file."""
    opened = Opened(chromium)
    yield opened
    opened.context.close()
    assert opened.wrong == []
    others = [url for url in opened.asked if not url.startswith(("file:", "data:"))]
    assert others == []


@pytest.fixture(scope="module")
def history() -> History:
    return pretended_run(EPOCHS)


@pytest.fixture(scope="module")
def file(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_html(history, tmp_path_factory.mktemp("report") / "a.html", name="first")


def show(page: Page, epoch: int) -> None:
    """Moves the slider as a hand would."""
    page.locator("input[type=range]").fill(str(epoch))
    words = f"epoch {epoch} of {EPOCHS}" if epoch else "the start"
    expect(page.locator(".snnviz-time output")).to_contain_text(words)


def decimals(value: float) -> str:
    """As page/numbers.js writes a factor of ordinary size."""
    return f"{value:.2f}"


def test_what_is_shown_is_the_history_at_every_epoch(
    opened: Opened, file: Path, history: History
) -> None:
    page = opened.open(file)
    neurons = (0, 19, 20, 75, 200, 369)
    names = [(group, i) for group, n in history.groups.items() for i in range(n)]
    for epoch in range(EPOCHS + 1):
        show(page, epoch)
        at = history.factors_at(epoch)
        for block, (group, values) in enumerate(at.items()):
            words = f"{np.count_nonzero(values)} of {len(values)} on"
            assert page.locator(".snnviz-block-name span").nth(block).inner_text() == words, group
        since = np.frombuffer(Flips().at(history, epoch), "<i4")
        page.locator(".snnviz-blocks").focus()
        for neuron in neurons:
            group, index = names[neuron]
            page.evaluate(POINT, [list(history.groups).index(group), index])
            factor, when = at[group][index], since[neuron]
            state = (
                f"{'off' if when < 0 else 'on'} since epoch {abs(when)}" if when else "never off"
            )
            assert page.locator(".snnviz-readout").inner_text() == (
                f"{group} · {index} · factor {decimals(factor)} · {state}"
            )


# Moves the mouse over a neuron's cell.
POINT = """([group, index]) => {
    const block = document.querySelectorAll(".snnviz-block")[group];
    const canvas = block.querySelector("canvas"), box = canvas.getBoundingClientRect();
    const n = Number(block.querySelector("span").textContent.match(/of (\\d+)/)[1]);
    const fits = (step) => {
        const cols = Math.round(box.width / step), rows = Math.round(box.height / step);
        return Math.abs(cols * step - box.width) < 0.01 && Math.abs(rows * step - box.height) < 0.01
            && cols * (rows - 1) < n && cols * rows >= n;
    };
    const step = [...Array(21).keys()].slice(5).find(fits);
    const cols = Math.round(box.width / step);
    canvas.dispatchEvent(new PointerEvent("pointermove", {
        bubbles: true,
        clientX: box.left + (index % cols + 0.5) * step,
        clientY: box.top + (Math.floor(index / cols) + 0.5) * step,
    }));
}"""


def test_slider_replay_and_timeline_by_keyboard(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    said = page.locator(".snnviz-time output")
    page.locator("input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    expect(said).to_contain_text(f"epoch {EPOCHS - 1} of {EPOCHS}")
    expect(page.locator(".snnviz-total")).to_contain_text(f"epoch {EPOCHS - 1}")
    assert page.locator("[data-figure=switch_map] i").is_visible()
    page.keyboard.press("Home")
    expect(said).to_contain_text("the start")
    page.locator(".snnviz-time select").select_option("30")
    page.get_by_role("button", name="Replay").press("Enter")
    expect(said).to_contain_text(f"epoch {EPOCHS} of {EPOCHS}")
    expect(page.get_by_role("button", name="Replay")).to_be_visible()
    assert page.get_by_role("button", name="End").is_disabled()
    page.locator(".snnviz-tl-pad").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(said).to_contain_text(f"epoch {EPOCHS - 2} of {EPOCHS}")
    page.get_by_role("button", name="End").click()
    expect(said).to_contain_text(f"epoch {EPOCHS} of {EPOCHS}")


def test_keys_of_the_grid_open_a_neuron(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    page.locator(".snnviz-blocks").focus()
    for key in ("PageDown", "ArrowRight", "o", "Enter"):  # O tries nothing here
        page.keyboard.press(key)
    part = page.locator(".snnviz-page")
    expect(part.locator("h3")).to_have_text("conv2 · 1")
    story = re.compile(f"factor over {EPOCHS} epochs: .* after the last")
    expect(part.locator("svg").first).to_have_attribute("aria-label", story)
    page.keyboard.press("?")
    assert "try the selected" not in page.locator(".snnviz-keys").inner_text()
    page.keyboard.press("?")
    page.keyboard.press("Escape")
    expect(part.locator("h3")).to_be_hidden()


def test_both_themes(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    colour = "getComputedStyle(document.body).backgroundColor"
    figure = page.locator("[data-figure=switch_map]")
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    expect(figure.locator(".snnviz-on-dark")).to_be_visible()
    assert page.evaluate(colour) != light
    assert page.locator(".snnviz-grid.snnviz-dark").count() == 1
    page.get_by_role("button", name="Light theme").click()
    expect(figure.locator(".snnviz-on-light")).to_be_visible()
    assert page.evaluate(colour) == light
    loaded = "images => images.every((image) => image.complete && image.naturalWidth > 0)"
    assert page.locator("figure img").evaluate_all(loaded)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (853, 480), (600, 800)])
def test_nothing_is_wider_than_the_page(
    opened: Opened, file: Path, width: int, height: int
) -> None:
    opened.page.set_viewport_size({"width": width, "height": height})
    page = opened.open(file)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_long_names_keep_their_ends(opened: Opened, tmp_path: Path) -> None:
    """The layers of a transformer differ there."""
    names = [f"encoder.layers.encoder_layer_{i}.mlp.{j}" for i in (1, 10) for j in (0, 3)]
    page = opened.open(export_html(named_run(*names, "fc"), tmp_path / "long.html"))
    headings = page.locator(".snnviz-block-name b")
    assert headings.all_text_contents() == [*names, "fc"]
    for heading in headings.all():
        start, end = heading.locator("i").all()
        outer, inner = heading.bounding_box(), end.bounding_box()
        assert outer
        assert inner
        assert inner["x"] + inner["width"] <= outer["x"] + outer["width"] + 1
        cut = start.evaluate("start => start.scrollWidth > start.clientWidth")
        assert cut == (heading.text_content() != "fc")
    screenshot(page, "long_names")


def test_names_do_nothing(opened: Opened, tmp_path: Path) -> None:
    page = opened.page
    page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; };")
    opened.open(export_html(named_run(*EVIL), tmp_path / "evil.html", name=EVIL[0]))
    assert page.locator("h1").inner_text() == EVIL[0]
    assert page.locator(".snnviz-block-name b").all_text_contents() == list(EVIL)
    page.locator(".snnviz-blocks").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".snnviz-page h3")).to_have_text(f"{EVIL[0]} · 0")
    assert page.locator("img:not([src^='data:image/svg'])").count() == 0
    assert page.evaluate("window.hits") == 0


def test_the_policy_holds(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    add = """(text) => new Promise((done) => {
        const told = (event) => done(event.violatedDirective);
        document.addEventListener("securitypolicyviolation", told);
        const script = document.createElement("script");
        script.textContent = "window.hits = 1;";
        document.body.append(script);
    })"""
    assert page.evaluate(add, "") == "script-src-elem"
    assert page.evaluate("window.hits") is None
    assert len(opened.wrong) == 1  # the browser tells of it
    assert "Content Security Policy" in opened.wrong.pop()


def test_a_neuron_shows_its_weights(opened: Opened, tmp_path: Path) -> None:
    trainer = make_trainer(epochs=1)
    trainer.run(progress=False)
    page = opened.open(export_html(trainer, tmp_path / "run.html"))
    page.locator(".snnviz-blocks").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".snnviz-facts")).to_contain_text("incoming weights")
    expect(page.locator(".snnviz-chain")).to_contain_text("waterline")
    expect(page.locator(".snnviz-weights canvas").first).to_be_visible()
    assert "784 weights" in str(
        page.locator(".snnviz-weights [role=img]").get_attribute("aria-label")
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_that_axe_finds(
    opened: Opened, file: Path, scheme: Literal["light", "dark"]
) -> None:
    page = opened.open(file)
    page.emulate_media(color_scheme=scheme)
    page.locator(".snnviz-block canvas").first.click(position={"x": 8, "y": 8})
    assert violations(page, "html") == []
