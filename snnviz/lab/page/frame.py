"""What the page does for the lab as a whole."""

from pathlib import Path

from snnviz.lab.page.scripts import join_script
from snnviz.lab.page.two_way import ScriptWidget


class Frame(ScriptWidget):
    """Keeps keys that are for the lab from the notebook, and measures the bar that stays in sight.

    It does so for the `snnviz-lab` that it is in. It shows nothing.
    """

    _esm = join_script(Path(__file__).with_name("frame.js"))

    def __init__(self) -> None:
        super().__init__()
        self.add_class("snnviz-frame")
