"""HTML that changes often."""

from pathlib import Path

import anywidget
import traitlets

from snnviz.lab.page.scripts import join_script


class Readout(anywidget.AnyWidget):
    """Shows its value, painted together with what else is new: each frame costs training time."""

    _esm = join_script(Path(__file__).with_name("readout.js"))

    value = traitlets.Unicode(help="HTML").tag(sync=True)
