"""The lab in Notebook 7, the plain page beside JupyterLab: it opens, trains, and shows a neuron."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import jupyter
from tests.browser.jupyter import open_notebook, run_all, screenshot
from tests.browser.test_lab import LAB, TRAINER


def test_the_lab_in_notebook_7(page: Page, folder: Path) -> None:
    jupyter.write_notebook(folder / "lab.ipynb", [f"{TRAINER}\n{LAB}"])
    page.set_viewport_size({"width": 1400, "height": 2600})
    open_notebook(page, f"{folder.name}/lab.ipynb", at="/notebooks/{}")
    run_all(page)
    status = page.locator(".snnviz-status:visible")
    expect(status).to_contain_text("Paused", timeout=90e3)
    expect(page.locator(".jp-RenderedImage:visible")).to_have_count(0)  # while the lab lives
    page.locator(".snnviz-step-epoch:visible").click()
    expect(status).to_contain_text("epoch 2/30")
    expect(status).to_contain_text("Paused")
    grid = page.locator(".snnviz-neurons:visible")
    grid.locator(".snnviz-block canvas").last.click(position={"x": 8, "y": 8})
    expect(grid).to_contain_text("Connections")
    # It is not shut into a box that scrolls, as Notebook 7 does with long outputs.
    area = page.locator(".jp-Cell-outputArea:has(.snnviz-lab)")
    heights = area.evaluate(
        "area => [area.clientHeight, area.querySelector('.snnviz-lab').clientHeight]"
    )
    assert heights[0] >= heights[1] > 1000
    screenshot(page, "notebook_7", ".snnviz-lab")
