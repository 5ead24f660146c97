"""The lab in Notebook 7, the plain page beside JupyterLab: it opens, trains, and shows a neuron."""

from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser import jupyter
from tests.browser.jupyter import screenshot
from tests.browser.test_lab import LAB, TRAINER


def test_the_lab_in_notebook_7(page: Page, folder: Path) -> None:
    jupyter.write_notebook(folder / "lab.ipynb", [f"{TRAINER}\n{LAB}"])
    page.set_viewport_size({"width": 1400, "height": 2600})
    page.goto(f"/notebooks/{quote(folder.name)}/lab.ipynb")
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60e3)
    _run_first_cell(page)
    status = page.locator(".snnviz-status:visible")
    expect(status).to_contain_text("Paused", timeout=90e3)
    expect(page.locator(".jp-RenderedImage:visible")).to_have_count(0)  # while the lab lives
    page.locator(".snnviz-step-epoch:visible").click()
    expect(status).to_contain_text("epoch 2/30", timeout=60e3)
    expect(status).to_contain_text("Paused")
    grid = page.locator(".snnviz-neurons:visible")
    grid.locator("canvas").last.click(position={"x": 8, "y": 8})
    expect(grid).to_contain_text("What it reads and feeds", timeout=20e3)
    # It is not shut into a box that scrolls, as Notebook 7 does with long outputs.
    area = page.locator(".jp-Cell-outputArea:has(.snnviz-lab)")
    heights = area.evaluate(
        "area => [area.clientHeight, area.querySelector('.snnviz-lab').clientHeight]"
    )
    assert heights[0] >= heights[1] > 1000
    screenshot(page, "notebook_7", ".snnviz-lab")


def _run_first_cell(page: Page) -> None:
    """Presses until the cell runs: a notebook that is still connecting swallows the keys."""
    prompt = page.locator(".jp-CodeCell .jp-InputPrompt").first
    for _ in range(20):
        page.locator(".jp-CodeCell .cm-content").first.click(timeout=60e3)
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(3000)
        if "[ ]" not in prompt.inner_text():
            return
    raise AssertionError(f"the cell did not run: its prompt says {prompt.inner_text()!r}")
