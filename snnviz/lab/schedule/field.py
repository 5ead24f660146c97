"""One field of a form: a label, an input, perhaps a slider, and what is wrong with it."""

from pathlib import Path
from typing import Any

import traitlets

from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget

HERE = Path(__file__).parent


class Field(ScriptWidget):
    """An input that hands on its content, right or wrong; its owner says which.

    `typed` changes with every key, `value` on Enter, when the focus leaves, or with the slider.
    `kind` is "count", "rate" (its slider is logarithmic), "share" (its slider has steps of 0.01,
    and the right end is off: None), "number", "choice" or "flag".
    """

    _esm = join_script(HERE / "field.js")
    _css = join_styles(HERE / "editor.css", HERE / "field.css")

    name = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    kind = traitlets.Unicode("count").tag(sync=True)
    options = traitlets.List(help="of a choice").tag(sync=True)
    span = traitlets.List(help="least and most of the slider; none without").tag(sync=True)
    value = traitlets.Any(help="what it is set to").tag(sync=True)
    typed = traitlets.Any(None, allow_none=True, help="not yet set; None: nothing").tag(sync=True)
    error = traitlets.Unicode(help="why it is refused").tag(sync=True)
    hint = traitlets.Unicode(help="a word besides").tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.add_class("snnviz-field")

    @property
    def description(self) -> str:
        """Its label, under the name that other widgets have for it."""
        return self.label
