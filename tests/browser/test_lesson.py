"""The lesson as a student meets it: few controls, and questions that answer."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.jupyter import open_notebook, run_all, screenshot

LESSON = Path(__file__).parents[2] / "notebooks" / "class" / "lesson.ipynb"
SMALLER = {'NETWORK = \\"lenet5\\"': 'NETWORK = \\"mlp\\"', "= 50_000": "= 57_000"}


def test_the_lesson_in_jupyterlab(page: Page, folder: Path) -> None:
    text = LESSON.read_text(encoding="utf-8")
    for constant, value in SMALLER.items():
        assert constant in text
        text = text.replace(constant, value)
    (folder / LESSON.name).write_text(text, encoding="utf-8")
    open_notebook(page, f"{folder.name}/{LESSON.name}")
    page.set_viewport_size({"width": 1280, "height": 900})
    run_all(page, timeout=240)

    expect(page.locator(".snnviz-lab .snnviz-panel")).to_be_attached()
    expect(page.locator(".snnviz-lab .snnviz-views")).to_have_count(0)
    asked = page.locator(".snnviz-question")
    expect(asked).to_have_count(7)
    guess = asked.first
    guess.scroll_into_view_if_needed()
    guess.locator("input").fill("50")
    guess.locator(".snnviz-check").click()
    reply = guess.locator(".snnviz-reply")
    expect(reply).to_contain_text("✗ Not yet. 50 % would be right if there were two kinds.")
    guess.locator("input").fill("10")
    guess.locator(".snnviz-check").click()
    expect(reply).to_contain_text("✓ Correct.")
    screenshot(page, "lesson_number")

    why = asked.nth(1)
    why.scroll_into_view_if_needed()
    expect(why.locator("input:checked")).to_have_count(0)
    why.get_by_text("penalty").click()
    why.locator(".snnviz-check").click()
    expect(why.locator(".snnviz-reply")).to_contain_text("✗ Not yet. Many methods have one")
    screenshot(page, "lesson_choice")
    page.locator(".snnviz-lab").scroll_into_view_if_needed()
    screenshot(page, "lesson_lab")
