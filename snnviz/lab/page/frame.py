"""What the page does for the lab as a whole."""

from pathlib import Path

import anywidget


class Frame(anywidget.AnyWidget):
    """Keeps keys that are for the lab from the notebook, and says how high what sticks is.

    Of the `snnviz-lab` that it stands in. It shows nothing.
    """

    _esm = Path(__file__).with_name("frame.js")

    def __init__(self) -> None:
        super().__init__()
        self.add_class("snnviz-frame")
