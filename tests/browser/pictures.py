"""Pictures for people to look at, in both themes, in tests/artefacts/.

Only with SNNVIZ_PICTURES=yes in the environment: no test reads them, and to wait until all is drawn
in each theme takes some minutes for all of them.
"""

import os
from collections.abc import Sequence

from playwright.sync_api import Page

from tests.browser.jupyter import LIGHT, THEMES, screenshot, set_theme

WANTED = os.environ.get("SNNVIZ_PICTURES", "no") not in ("", "no", "0")


def pictures(page: Page, name: str, css: str, themes: Sequence[str] = THEMES) -> None:
    """One of what `css` selects in each theme; then the page is light again."""
    if not WANTED:
        return
    for theme in themes:
        set_theme(page, theme)
        page.wait_for_timeout(2000)  # until all figures are drawn, and JupyterLab's splash is gone
        page.locator(css).first.scroll_into_view_if_needed()
        screenshot(page, f"{name}_{theme.split()[1].lower()}", css)
    set_theme(page, LIGHT)
