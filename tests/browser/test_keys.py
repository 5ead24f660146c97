"""Whose a key is, the lab's or the notebook's; and what a reader of the page's names hears."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Kept
from tests.browser.jupyter import (
    open_notebook,
    run_code,
    save_notebook,
    wait_for,
    wait_till_said,
)
from tests.browser.test_lab import LAB, begun, unfold

# One of each kind that the lab has.
CONTROLS = {
    "button": ".snnviz-play",
    "undo": ".snnviz-undo",
    "preset": ".snnviz-preset-dense",
    "timeline": ".snnviz-tl-pad",
    "phase": ".snnviz-tl-band",
    "fold": ".snnviz-fold-button",
    "projection": ".snnviz-project",
    "hints": ".snnviz-pointers-button",
    "time machine": ".snnviz-moment .noUi-handle",
    "replay speed": ".snnviz-speed select",
    "fork's name": ".snnviz-fork-name input",
    "neurons": ".snnviz-blocks",
    "group": ".snnviz-block-name",
    "keys": ".snnviz-keys-button",
    "sort": ".snnviz-sort",
    "select": ".snnviz-tool",
    "layout": ".snnviz-modes button",
    "choice": ".snnviz-card .snnviz-choose-metric select",
    "field": ".snnviz-task_steps [type=text]",
    "slider": ".snnviz-task_steps [type=range]",
    "field's choice": ".snnviz-task_decay select",
}
CELLS = """() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const hasFocus = cell => cell.node.contains(document.activeElement);
    return [notebook.widgets.length, notebook.mode,
            ...notebook.widgets.map(cell => cell.model.type + hasFocus(cell))];
}"""


@pytest.fixture
def lab(kept: Kept) -> Page:
    """A page with a lab that has two finished epochs, and a cell below it."""
    page = kept.notebook([begun(2), LAB, "1 + 1"])
    wait_for(page, ".snnviz-status", "Paused")
    unfold(page, "schedule", "main settings", "time machine")
    page.locator(".snnviz-tools-button:visible").click()
    return page


def focus(page: Page, css: str) -> Locator:
    """Takes the focus there, once JupyterLab is done with it."""
    control = page.locator(f"{css}:visible").first
    control.focus()
    page.wait_for_timeout(100)
    control.focus()
    expect(control).to_be_focused()
    return control


def test_plain_keys_are_the_labs(lab: Page) -> None:
    run_code(lab, "lab.session.set_schedule(task_lr=0.04)")  # something to undo by hand
    handle = focus(lab, ".snnviz-task_steps [type=range]")
    handle.press("ArrowRight")
    expect(lab.locator(".snnviz-undo:visible")).to_be_enabled()
    before = None
    for name, css in CONTROLS.items():
        control = focus(lab, css)
        before = before or lab.evaluate(CELLS)
        for key in ("b", "x", "d", "d", "m", "0", "0", "j", "Shift+M"):
            lab.keyboard.press(key)
        assert lab.evaluate(CELLS) == before, f"keys at the {name} reached the notebook"
        if name == "fork's name":
            assert control.input_value() == "bxddm00jM"
        expect(control).to_be_focused()
    for name in ("time machine", "replay speed", "choice", "field's choice", "slider", "timeline"):
        control = focus(lab, CONTROLS[name])
        lab.keyboard.press("ArrowDown")
        lab.wait_for_timeout(200)
        assert lab.evaluate(CELLS) == before, f"ArrowDown at the {name} reached the notebook"
        expect(control).to_be_focused()


def test_keys_of_the_notebook_stay_its_own(lab: Page, folder: Path) -> None:
    """What is pressed together with Ctrl; and all of them after Escape."""
    n = lab.evaluate(CELLS)[0]
    name = focus(lab, ".snnviz-fork-name input")
    lab.keyboard.type("one")
    lab.keyboard.press("Control+z")
    expect(name).not_to_have_value("one")  # and no cell is brought back
    for css in (".snnviz-play", ".snnviz-speed select", ".snnviz-blocks"):
        focus(lab, css)
        lab.keyboard.press("Escape")
        cell = lab.locator(".jp-Cell:has(.snnviz-lab)")
        expect(cell).to_be_focused()
    lab.keyboard.press("b")
    assert lab.evaluate(CELLS)[0] == n + 1
    focus(lab, ".snnviz-play")
    file = folder / "kept.ipynb"
    changed = file.stat().st_mtime_ns
    lab.keyboard.press("Control+s")
    for _ in range(300):  # a minute, on a machine that others keep busy
        if file.stat().st_mtime_ns > changed:
            return
        lab.wait_for_timeout(200)
    raise AssertionError("Ctrl+S did not save the notebook")


def test_dropdowns_by_keyboard(lab: Page) -> None:
    run_code(lab, "lab.fork(name='other')")
    focus(lab, ".snnviz-run select").press("ArrowUp")
    wait_till_said(lab, "print(list(lab.runs)[0])", "run")
    focus(lab, ".snnviz-choose-metric select").press("ArrowDown")
    image = lab.locator(".snnviz-card-learning_curves img")
    expect(image).to_have_attribute("alt", re.compile("loss by epoch"))
    focus(lab, ".snnviz-speed select").press("ArrowDown")
    wait_till_said(lab, "print(lab._parts.machine.speed.value)", "5")
    focus(lab, ".snnviz-moment .noUi-handle").press("ArrowLeft")
    wait_for(lab, ".snnviz-moment-readout", "epoch 1 of 2")


def test_keys_after_a_reload(lab: Page, folder: Path) -> None:
    save_notebook(lab)
    open_notebook(lab, f"{folder.name}/kept.ipynb")
    wait_for(lab, ".snnviz-status", "Paused")
    wait_for(lab, ".snnviz-neurons canvas")
    focus(lab, ".snnviz-play")
    before = lab.evaluate(CELLS)
    for key in ("b", "x", "ArrowDown"):
        lab.keyboard.press(key)
    assert lab.evaluate(CELLS) == before


def test_every_control_has_a_name(lab: Page) -> None:
    for name in ("more settings", "save and load"):
        lab.get_by_role("button", name=name).click()
    lab.locator(".snnviz-more:visible").first.click()
    lab.locator(".snnviz-saving:visible").get_by_label("width", exact=True).select_option("inches:")
    grid = lab.locator(".snnviz-neurons:visible")
    grid.locator(".snnviz-block canvas").last.click(position={"x": 8, "y": 8})
    expect(grid).to_contain_text("Connections")
    lab.wait_for_timeout(500)
    client = lab.context.new_cdp_session(lab)
    client.send("DOM.enable")
    document = client.send("DOM.getDocument")["root"]["nodeId"]
    inside = client.send("DOM.querySelector", {"nodeId": document, "selector": ".snnviz-lab"})[
        "nodeId"
    ]
    roles = {"button", "slider", "textbox", "combobox", "checkbox", "tab", "application"}
    roles |= {"spinbutton", "progressbar", "radio", "link", "image", "group", "tabpanel", "region"}
    tree = client.send("Accessibility.queryAXTree", {"nodeId": inside})["nodes"]
    seen = [node for node in tree if node.get("role", {}).get("value") in roles]
    assert {"slider", "combobox", "textbox", "button"} <= {node["role"]["value"] for node in seen}
    nameless = [
        (node["role"]["value"], node["backendDOMNodeId"])
        for node in seen
        if not node["ignored"] and not node.get("name", {}).get("value", "").strip()
    ]
    described = [
        (role, client.send("DOM.getOuterHTML", {"backendNodeId": at})["outerHTML"][:200])
        for role, at in nameless
    ]
    assert described == []
    handle = lab.locator(".snnviz-moment:visible").get_by_role("slider")
    expect(handle).to_have_accessible_name("epoch that is shown")
    field = lab.locator(".snnviz-fork-name:visible input")
    expect(field).to_have_accessible_name(re.compile("name of the fork"))


def test_keys_in_notebook_7(lab: Page, folder: Path) -> None:
    """It hears of a key before the lab does, JupyterLab after it."""
    save_notebook(lab)
    lab.goto(f"/notebooks/{quote(folder.name)}/kept.ipynb")
    wait_for(lab, ".snnviz-status", "Paused", timeout=90)
    wait_for(lab, ".snnviz-neurons canvas")
    cells = lab.locator(".jp-Notebook:visible .jp-Cell")
    there = cells.count()
    assert there >= 3
    for css in (".snnviz-play", ".snnviz-speed select", ".snnviz-tl-pad", ".snnviz-blocks"):
        control = focus(lab, css)
        for key in ("b", "x", "m", "ArrowDown"):
            lab.keyboard.press(key)
        lab.wait_for_timeout(200)
        expect(cells).to_have_count(there)
        expect(control).to_be_focused()
    focus(lab, ".snnviz-play")
    lab.keyboard.press("Escape")
    lab.keyboard.press("b")
    expect(cells).to_have_count(there + 1)
