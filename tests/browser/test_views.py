"""The lab's figures in JupyterLab: tabs and side by side, runs, choices, saving, the theme."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Kept
from tests.browser.jupyter import (
    run_code,
    wait_for,
    wait_till_said,
)
from tests.browser.pictures import pictures

ROOT = Path(__file__).parents[2]
CARDS = (
    "learning_curves",
    "switch_map",
    "neurons_on",
    "factor_distribution",
    "size_accuracy",
    "classes",
    "events",
)

# Two runs that were made up, and a thread that shows them as the lab's own does.
VIEWS = f"""\
import sys, threading
import ipywidgets
sys.path.insert(0, {str(ROOT)!r})
from snnviz.lab.page import hear_as_asked
from snnviz.lab.parts import make_style
from snnviz.lab.views.cards import Views
from snnviz.lab.views.shown import in_colours
from tests.lab.views.pretence import idle_status, pretended_classes, pretended_run

wake = threading.Event()
views = Views(wake=wake.set)
histories = {{"first": pretended_run(10, seed=0), "more steps": pretended_run(14, seed=1)}}
runs = in_colours(histories, {{"first": pretended_classes()}})
shown, moment = list(runs), None

def refresh(mine):
    while globals().get("views") is mine:  # until another test makes its own
        more = mine.show(idle_status(), shown, moment)
        wake.wait(0.01 if more else 0.2)
        wake.clear()

threading.Thread(target=refresh, args=[views], daemon=True).start()
hear_as_asked(ipywidgets.VBox([make_style(), views.widget]).add_class("snnviz-lab"))"""


@pytest.fixture
def views(kept: Kept) -> Page:
    """A page with the figures of two runs."""
    page = kept.notebook([VIEWS])
    page.set_viewport_size({"width": 1900, "height": 1400})
    expect(card(page, "size_accuracy").locator("img")).to_have_attribute(
        "alt", re.compile("Size and accuracy of first, more steps")
    )
    return page


def card(page: Page, name: str) -> Locator:
    return page.locator(f".snnviz-card-{name}")


def alt(page: Page, name: str, words: str) -> None:
    """Waits until a figure says these words of itself."""
    expect(card(page, name).locator("img")).to_have_attribute("alt", re.compile(re.escape(words)))


def seen(page: Page) -> list[str]:
    return [name for name in CARDS if card(page, name).is_visible()]


def tab(page: Page, name: str) -> Locator:
    return page.locator(".snnviz-tabs").get_by_role("tab", name=name)


def choose(page: Page, name: str, choice: str, option: str) -> None:
    card(page, name).get_by_label(choice, exact=True).select_option(option)


def test_side_by_side_where_there_is_room_and_tabs_where_not(views: Page) -> None:
    assert seen(views) == list(CARDS)
    for width, mode in ((900, "tabs"), (2500, "side")):
        views.set_viewport_size({"width": width, "height": 1400})
        expect(views.locator(f".snnviz-views[data-mode={mode}]")).to_be_visible()
        views.wait_for_timeout(1500)  # until the figures have taken their places
        pictures(views, f"views_{width}", ".snnviz-lab")
        widths = views.locator(".snnviz-lab").evaluate(
            "lab => [lab, ...lab.querySelectorAll('.widget-box, .snnviz-bar-row')]"
            ".map(box => [box.scrollWidth, box.clientWidth, box.className])"
        )
        assert [box for box in widths if box[0] > box[1] + 1] == []
    views.set_viewport_size({"width": 1900, "height": 1400})
    pictures(views, "views_1600", ".snnviz-lab")


def test_tabs_by_mouse_and_keyboard(views: Page) -> None:
    views.get_by_role("button", name="Tabs", exact=True).click()
    expect(views.locator(".snnviz-tabs [aria-selected=true]")).to_have_text("Curves")
    assert seen(views) == ["learning_curves"]
    expect(card(views, "learning_curves")).to_have_role("tabpanel")
    tab(views, "Switch map").click()
    expect(card(views, "switch_map")).to_be_visible()
    views.keyboard.press("ArrowRight")
    expect(tab(views, "Neurons on")).to_be_focused()
    expect(card(views, "neurons_on")).to_be_visible()
    views.keyboard.press("End")
    expect(card(views, "events")).to_be_visible()
    views.keyboard.press("ArrowRight")
    assert seen(views) == ["learning_curves"]
    said = "print(views.bar.mode, views.bar.visible_cards)"
    wait_till_said(views, said, "tabs ['learning_curves']")
    # A tab that is not seen is drawn when it is.
    run_code(views, "moment = 2; wake.set()")
    alt(views, "learning_curves", "first 85.0 %, more steps 85.2 %")
    tab(views, "Factors").click()
    alt(views, "factor_distribution", "factor after epoch 2")
    views.get_by_role("button", name="Side by side").click()
    expect(card(views, "events")).to_be_visible()
    assert seen(views) == list(CARDS)


def test_runs_are_hidden_and_shown(views: Page) -> None:
    button = views.get_by_role("button", name="first", exact=True)
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    alt(views, "learning_curves", "Learning curves of more steps: accuracy, % by epoch.")
    alt(views, "switch_map", "Switch map of more steps:")
    button.focus()
    views.keyboard.press("Enter")
    alt(views, "learning_curves", "Learning curves of first, more steps:")


def test_choices_redraw(views: Page) -> None:
    choose(views, "learning_curves", "run", "more steps")
    alt(views, "learning_curves", "test 91.4 %")
    choose(views, "learning_curves", "metric", "loss")
    alt(views, "learning_curves", "loss by epoch")
    choose(views, "events", "event", "schedule and other")
    rows = card(views, "events").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_have_text(re.compile("4.*150.*schedule: task_lr: 0.05 → 0.01"))


def test_a_moment(views: Page) -> None:
    run_code(views, "moment = 4; wake.set()")
    alt(views, "neurons_on", "first 97 %")
    alt(views, "factor_distribution", "factor after epoch 4")
    expect(card(views, "events").locator("td").first).to_have_text("4")
    pictures(views, "views_moment", ".snnviz-lab")


def test_figures_and_data_are_saved(views: Page, folder: Path) -> None:
    mine = card(views, "switch_map")
    expect(mine.get_by_role("button", name="Save figure")).to_be_hidden()
    more = mine.get_by_role("button", name="Save …")
    more.focus()
    views.keyboard.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    mine.get_by_role("button", name="SVG").click()
    expect(mine.get_by_role("button", name="SVG")).to_have_attribute("aria-pressed", "false")
    mine.get_by_label("width", exact=True).select_option("two columns, 7 in")
    pictures(views, "views_saving", ".snnviz-lab")
    mine.get_by_role("button", name="Save figure").click()
    wait_for(views, ".snnviz-saved", "Saved figures/switch_map_first.pdf")
    files = folder / "figures"
    assert {path.name for path in files.iterdir()} == {
        "switch_map_first.pdf",
        "switch_map_first.png",
    }
    box = re.search(
        rb"/MediaBox\s*\[\s*0 0 ([\d.]+)", (files / "switch_map_first.pdf").read_bytes()
    )
    assert box is not None
    assert float(box[1]) == pytest.approx(7 * 72)
    mine.get_by_role("button", name="Save data, CSV").click()
    wait_for(views, ".snnviz-saved", "Saved figures/switch_map_first.csv")
    assert (
        (files / "switch_map_first.csv")
        .read_text()
        .startswith("run,epoch,group,neuron,factor,off\n")
    )
    run_code(views, "views.save_all(); views.wait()")
    wait_for(views, ".snnviz-saved", "figures/size_accuracy_runs.pdf")
    views.get_by_role("link", name="figures/factor_distribution_first.pdf").click()
    views.locator(".lm-TabBar-tabLabel", has_text="factor_distribution_first.pdf").wait_for()
