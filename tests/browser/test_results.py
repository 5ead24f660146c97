"""What is taken along from the lab: the smaller network, files, code, a dense twin."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Kept
from tests.browser.jupyter import run_code, screenshot, wait_for, wait_till_said
from tests.browser.test_lab import LAB, TRAINER, begun, click, unfold


@pytest.fixture
def lab(kept: Kept) -> Page:
    """A page with a lab that has a finished epoch of alternation."""
    page = kept.notebook([begun(1), LAB])
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    wait_for(page, ".snnviz-status", "Paused")
    unfold(page, "more")
    return page


def test_compact_and_export(lab: Page, folder: Path) -> None:
    click(lab, "compact")
    table = wait_for(lab, ".snnviz-sizes")
    expect(table.locator("th[scope=row]")).to_have_text(
        ["neurons", "parameters", "MACs for an image", "bytes on disk"]
        + [f"time for {n}, ms" for n in ("1 image", "128 images")]
    )
    screenshot(lab, "results_compact")
    lab.get_by_role("button", name="Sort, select").click()
    assert violations(lab, ".snnviz-lab") == []
    said = "print(sum(p.numel() for p in lab.compacted.network.parameters()))"
    parameters = f"{int(run_code(lab, said)):,}"
    expect(table.locator("tr", has_text="parameters").locator("td").nth(1)).to_have_text(parameters)
    lab.keyboard.press("Tab")  # from the button to the sheet
    click(lab, "export")
    sheet = wait_for(lab, ".snnviz-sheet-body", "networks/run_step_")
    assert (folder / "networks").is_dir()
    expect(sheet.locator("li b")).to_contain_text([re.compile(r"_\d+$"), ".pt2"])
    sheet.get_by_role("button", name="close the result (Esc)").focus()
    lab.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(lab.locator(".snnviz-twin:visible")).to_be_focused()


def test_copy_as_python(lab: Page) -> None:
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    grid = lab.locator(".snnviz-neurons:visible [role=application]")
    grid.focus()
    grid.press("o")
    wait_for(lab, ".snnviz-whatif-result", "conv1 · 0 was off")
    grid.press("k")
    wait_for(lab, ".snnviz-whatif-result", "Kept")
    done = int(run_code(lab, "print(trainer.position.step)"))
    click(lab, "step-batch")
    wait_till_said(lab, "print(trainer.position.step)", str(done + 1))
    click(lab, "copy-code")
    lines = wait_for(lab, ".snnviz-sheet-body pre", "lab.step").inner_text()
    wait_for(lab, ".snnviz-sheet-said", "Copied.")
    assert violations(lab, ".snnviz-lab") == []
    assert lab.evaluate("() => navigator.clipboard.readText()") == lines
    assert lines.splitlines()[2:] == [
        "lab.what_if({'conv1': [0]})",
        "lab.keep()",
        'lab.step("batch"); lab.wait()',
    ]
    wait_till_said(lab, "print(lab.code)", lines)


def test_a_dense_twin_beside_the_run(lab: Page) -> None:
    click(lab, "twin")
    wait_for(lab, ".snnviz-notice", "dense trains without a switcher")
    twin = lab.locator(".snnviz-twin-grid:visible .snnviz-total")
    expect(twin).to_have_text("570 of 570 neurons on (100 %) · dense, epoch 1")
    expect(lab.locator(".snnviz-card-learning_curves img")).to_have_attribute(
        "alt", re.compile("Learning curves of run, dense")
    )
    click(lab, "step-epoch")
    expect(twin).to_have_text("570 of 570 neurons on (100 %) · dense, epoch 2")
    expect(lab.locator(".snnviz-run:visible select :checked")).to_have_text("run")
    cell = lab.locator(".snnviz-twin-grid:visible .snnviz-block canvas").last
    cell.scroll_into_view_if_needed()
    screenshot(lab, "results_twin")
    cell.click(position={"x": 8, "y": 8})  # it is only to look at
    expect(lab.locator(".snnviz-page.snnviz-is-open")).to_have_count(0)


def test_classes(lab: Page) -> None:
    lab.get_by_role("button", name="Tabs", exact=True).or_(
        lab.get_by_role("button", name="One", exact=True)
    ).click()
    lab.locator(".snnviz-tabs").get_by_role("tab", name="Classes").click()
    image = lab.locator(".snnviz-card-classes img")
    expect(image).to_have_attribute("alt", re.compile("Classes of run: .*after epoch 1.*best"))
    lab.locator(".snnviz-card-classes").get_by_label("show", exact=True).select_option("confusion")
    expect(image).to_have_attribute("alt", re.compile("true class"))
    run_code(lab, "lab.show_epoch(0)")
    expect(lab.locator(".snnviz-card-classes .snnviz-hint")).to_contain_text("Press Now")


COUNTED = """\
from snnviz.lab.session import hand
calls, classify = [], hand.classify
hand.classify = lambda trainer: calls.append(trainer.position.step) or classify(trainer)"""


def test_classes_that_nobody_sees_are_not_predicted(kept: Kept) -> None:
    """Of a large network that would take minutes, and pressing Play would come after it."""
    page = kept.notebook([TRAINER, COUNTED, LAB])
    page.locator(".snnviz-card-learning_curves img:visible").wait_for()
    assert run_code(page, "print(calls)") == "[]"
    page.locator(".snnviz-tabs").get_by_role("tab", name="Classes").click()
    page.locator(".snnviz-card-classes img:visible").wait_for()
    assert run_code(page, "hand.classify = classify\nprint(calls)") == "[0]"
