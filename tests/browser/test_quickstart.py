"""The quick start as a user meets it: in JupyterLab, run from top to bottom."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.jupyter import open_notebook, run_all, run_code, screenshot, wait_for

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "00_quickstart.ipynb"


def test_the_quickstart_in_jupyterlab(page: Page, folder: Path) -> None:
    text = QUICKSTART.read_text(encoding="utf-8")
    smaller = text.replace('NETWORK = \\"lenet5\\"', 'NETWORK = \\"mlp\\"')
    smaller = smaller.replace("EPOCHS = 5 ", "EPOCHS = 2 ")
    smaller = smaller.replace("QUICK_EPOCHS = 8 ", "QUICK_EPOCHS = 3 ")
    assert len({text, smaller, text.replace("EPOCHS = 5 ", "")}) == 3, "the constants have changed"
    (folder / QUICKSTART.name).write_text(smaller, encoding="utf-8")
    open_notebook(page, f"{folder.name}/{QUICKSTART.name}")
    run_all(page, timeout=240)
    wait_for(page, ".snnviz-status", re.compile("Done"))
    wait_for(page, ".jp-OutputArea-output", "2 of 2 epochs are done.")  # below the cell that waited
    assert run_code(page, "print(len(trainer.history.epochs))") == "3"
    assert (folder / "figures" / "neurons_on.pdf").is_file()
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.locator(".snnviz-lab:visible").last.scroll_into_view_if_needed()
    screenshot(page, "quickstart")


def test_two_clicks_to_the_first_neuron_that_is_off(page: Page, folder: Path) -> None:
    """Run the first cells, press Play: the lab of the third code cell soon announces it.

    JupyterLab has scrolled to the next cell by then, so Play also brings the neurons into sight.
    Whoever then runs the next cells, or ran all of them, still sees the small run to its end.
    """
    page.set_viewport_size({"width": 1280, "height": 720})
    text = QUICKSTART.read_text(encoding="utf-8")
    (folder / QUICKSTART.name).write_text(text, encoding="utf-8")
    open_notebook(page, f"{folder.name}/{QUICKSTART.name}")
    _run_cells(page, 0, 3)
    wait_for(page, ".snnviz-status", "Paused")
    page.locator(".snnviz-play:visible").click()
    said = wait_for(page, ".snnviz-event", re.compile("first to go off"), timeout=120).inner_text()
    expect(page.locator(".snnviz-blocks:visible")).to_be_in_viewport(ratio=0.5)
    step = re.search(r"step (\d+)", said)
    assert step is not None
    assert int(step[1]) < 100, said
    assert page.locator(".snnviz-event").get_attribute("aria-live") == "polite"
    screenshot(page, "quickstart_first")
    _run_cells(page, 3, 6)  # a reader goes on: the small run is not taken away from him
    seen = run_code(page, "print(len(quick.trainer.history.epochs), trainer.position.step)", 300)
    assert seen == "8 0"
    wait_for(page, ".snnviz-status", re.compile("Done"))


def _run_cells(page: Page, first: int, end: int) -> None:
    """Run the code cells from `first` to before `end` as Shift+Enter does."""
    page.evaluate(
        """async ([first, end]) => {
            const {content} = window.jupyterapp.shell.currentWidget;
            const code = content.widgets.filter(cell => cell.model.type === "code");
            for (const cell of code.slice(first, end)) {
                content.activeCellIndex = content.widgets.indexOf(cell);
                await window.jupyterapp.commands.execute("notebook:run-cell-and-select-next");
            }
        }""",
        [first, end],
    )
