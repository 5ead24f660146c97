"""What can be folded away, and the strips of one line that open."""

from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets
import traitlets

from snnviz.lab.page.pieces import box
from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget

HERE = Path(__file__).parent


class Fold(ScriptWidget):
    """A button that shows and hides what is folded away after it in the same box (see `fold`)."""

    _esm = join_script(HERE / "fold.js")
    _css = join_styles(HERE / "fold.css")

    label = traitlets.Unicode().tag(sync=True)
    opened = traitlets.Bool(False).tag(sync=True)


def fold(
    label: str,
    children: Sequence[widgets.Widget],
    on_fold: Callable[[], None] = lambda: None,
    line: Sequence[widgets.Widget] = (),
) -> widgets.Box:
    """A button, what stands beside it all the time, and what it shows and hides.

    Args:
        label: of the button.
        children: what is folded away at first.
        on_fold: called whenever it is opened or closed.
        line: what stands beside the button.
    """
    button = Fold(label=label)
    button.observe(lambda _: on_fold(), "opened")
    return box("fold", [button, *line, box("folded", children)])
