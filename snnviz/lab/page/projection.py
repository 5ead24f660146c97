"""The lab on the whole screen, in large type, for a class to look at."""

from pathlib import Path

from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget

HERE = Path(__file__).parent


class Projection(ScriptWidget):
    """A button (and the key P) that shows only what a class looks at, as large as the screen.

    All of it happens in the page: `projection.js` marks the lab, and `projection.css` hides and
    enlarges what is in it.
    """

    _esm = join_script(HERE / "projection.js")
    _css = join_styles(HERE / "projection.css")

    def __init__(self) -> None:
        super().__init__()
        self.add_class("snnviz-projection")
