"""What axe-core finds in a page: violations of WCAG 2.2, levels A and AA."""

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


def violations(page: Page, css: str, but: tuple[str, ...] = ()) -> list[str]:
    """One line for each violation and element, within the elements of `css`.

    Args:
        but: elements inside these are not looked at.
    """
    page.evaluate(AXE_SCRIPT)
    result = page.evaluate(
        """async ([css, but, rules]) => {
            const where = {include: [css], exclude: but.map(each => [each])};
            const asked = {runOnly: {type: "tag", values: rules}};
            const {violations, passes} = await axe.run(where, asked);
            return {violations, passed: passes.map(each => each.id)};
        }""",
        [css, list(but), list(RULES)],
    )
    assert "color-contrast" in result["passed"], "nothing was looked at"
    found: list[dict[str, Any]] = result["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} ({' '.join(map(str, node['target']))})"
        + "".join(f" {any_of['message']}" for any_of in node["any"])
        for each in found
        for node in each["nodes"]
    ]
