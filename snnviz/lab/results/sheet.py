"""A sheet below the buttons that shows a result, until it is closed."""

from pathlib import Path

import traitlets as t

from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget

HERE = Path(__file__).parent


class Sheet(ScriptWidget):
    """Shows HTML or lines of code, which are copied as they come, if the browser allows it."""

    _esm = join_script(HERE / "sheet.js")
    _css = join_styles(HERE / "sheet.css")

    title = t.Unicode().tag(sync=True)
    html = t.Unicode(help="made by the lab, with whatever is a user's escaped").tag(sync=True)
    code = t.Unicode(help="plain text").tag(sync=True)
    shown = t.Int(0, help="raised whenever something new is shown").tag(sync=True)
    opened = t.Bool(False).tag(sync=True)

    def present(self, title: str, html: str = "", code: str = "") -> None:
        """Opens it with this in it."""
        with self.hold_sync():  # one message
            self.title, self.html, self.code = title, html, code
            self.opened, self.shown = True, self.shown + 1
