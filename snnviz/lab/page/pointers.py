"""Four short hints for those who see the lab for the first time."""

from pathlib import Path

from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget

HERE = Path(__file__).parent


class Pointers(ScriptWidget):
    """A button with a question mark, and bubbles that point to parts of the lab, one at a time.

    They come by themselves until they are dismissed, which the browser remembers. The kernel knows
    nothing of it.
    """

    _esm = join_script(HERE / "pointers.js")
    _css = join_styles(HERE / "pointers.css")

    def __init__(self) -> None:
        super().__init__()
        self.add_class("snnviz-pointers")
