"""The lab while a cell waits for training: the page is loaded again, and clicked."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.jupyter import (
    open_notebook,
    run_all,
    run_code,
    save_notebook,
    screenshot,
    wait_for,
    wait_till_said,
    write_notebook,
)
from tests.browser.test_lab import LAB, TRAINER

START = """async () => {
    const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.length - 1;
    await app.commands.execute("notebook:insert-cell-below");
    const source = "lab.play()\\nlab.wait(timeout=600)\\nprint('over')";
    notebook.activeCell.model.sharedModel.setSource(source);
    app.commands.execute("notebook:run-cell");
}"""


def test_a_page_that_is_loaded_again_while_a_cell_waits(page: Page, folder: Path) -> None:
    write_notebook(folder / "waits.ipynb", [TRAINER, LAB])
    open_notebook(page, f"{folder.name}/waits.ipynb")
    run_all(page)
    wait_for(page, ".snnviz-status", "Paused")
    run_code(page, "lab.set_schedule(epochs=1000)")
    page.evaluate(START)
    wait_for(page, ".snnviz-status", "Playing")
    save_notebook(page)
    page.reload()
    wait_for(page, ".snnviz-status", "Playing")
    wait_for(page, ".snnviz-neurons canvas")
    screenshot(page, "loaded_again_while_waiting")
    expect(page.locator(".jp-Notebook:visible")).not_to_contain_text("Loading widget")
    page.locator(".snnviz-pause:visible").click()
    wait_for(page, ".snnviz-status", "Paused")
    wait_till_said(page, "print(lab.session.status.activity)", "idle")  # so the cell is over
