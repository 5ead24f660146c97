"""HTML that changes often."""

from pathlib import Path

import traitlets

from snnviz.lab.page.scripts import join_script
from snnviz.lab.page.two_way import ScriptWidget


class Readout(ScriptWidget):
    """Shows its value, painted together with what else is new: each frame costs training time."""

    _esm = join_script(Path(__file__).with_name("readout.js"))

    value = traitlets.Unicode(help="HTML").tag(sync=True)
