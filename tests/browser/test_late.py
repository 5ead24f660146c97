"""A page whose scripts come late, as on a busy machine or over a slow line."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.jupyter import open_notebook, run_all, screenshot, wait_for, write_notebook
from tests.browser.test_lab import LAB, begun

# anywidget gives each widget's script two seconds; here they are over at once.
NO_TIME = "AbortSignal.timeout = () => ({ addEventListener: (_, act) => act() });"


def test_a_lab_whose_scripts_come_late_hears_the_kernel(page: Page, folder: Path) -> None:
    page.add_init_script(NO_TIME)
    write_notebook(folder / "late.ipynb", [begun(2), LAB])
    open_notebook(page, f"{folder.name}/late.ipynb")
    run_all(page)
    wait_for(page, ".snnviz-status", "Paused")
    expect(page.get_by_role("tab", name="Learning curves")).to_be_visible()
    page.locator(".snnviz-neurons:visible .snnviz-block canvas").last.click(
        position={"x": 8, "y": 8}
    )
    expect(page.locator(".snnviz-neurons:visible")).to_contain_text("Connections")
    page.locator(".snnviz-step-batch:visible").click()
    expect(page.locator(".snnviz-total:visible")).to_contain_text("now, step")
    page.get_by_role("tab", name="One image").click()
    page.locator(".snnviz-image:visible select").select_option("Trouser")
    expect(page.locator(".snnviz-image figcaption")).to_contain_text("Trouser")
    expect(page.locator(".snnviz-scale:visible")).to_contain_text("strongest of its group")
    screenshot(page, "late", ".snnviz-lab")
