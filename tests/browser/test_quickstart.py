"""The quick start as a user meets it: in JupyterLab, run from top to bottom."""

import re
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.jupyter import open_notebook, run_all, run_code, screenshot, wait_for

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "00_quickstart.ipynb"


def test_the_quickstart_in_jupyterlab(page: Page, folder: Path) -> None:
    text = QUICKSTART.read_text(encoding="utf-8")
    smaller = text.replace('NETWORK = \\"lenet5\\"', 'NETWORK = \\"mlp\\"')
    smaller = smaller.replace("EPOCHS = 5 ", "EPOCHS = 2 ")
    assert len({text, smaller, text.replace("EPOCHS = 5 ", "")}) == 3, "the constants have changed"
    (folder / QUICKSTART.name).write_text(smaller, encoding="utf-8")
    open_notebook(page, f"{folder.name}/{QUICKSTART.name}")
    run_all(page, timeout=240)
    wait_for(page, ".snnviz-status", re.compile("Done"))
    assert run_code(page, "print(len(trainer.history.epochs))") == "3"
    assert (folder / "figures" / "neurons_on.pdf").is_file()
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.locator(".snnviz-lab:visible").scroll_into_view_if_needed()
    screenshot(page, "quickstart")
