"""The bar above the figures: tabs or side by side, and which runs are shown."""

from pathlib import Path

import traitlets

from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget

HERE = Path(__file__).parent
STYLES = ("cards", "bar", "events", "saving")
AUTO, TABS, SIDE = "auto", "tabs", "side by side"
WIDE_FROM = 1300  # pixels of the lab, from which figures stand side by side of themselves
ROOM_FROM = (480, 720)  # pixels of the figures' own place, from which one alone is drawn wider


class Bar(ScriptWidget):
    """What a hand does here is a trait; the page itself hides and shows the cards."""

    _esm = join_script(HERE / "bar.js")
    _css = join_styles(*(HERE / f"{name}.css" for name in STYLES))

    cards = traitlets.List().tag(sync=True)  # [name, title, title in a word] each
    runs = traitlets.List().tag(sync=True)  # [name, colour] each
    alts = traitlets.Dict().tag(sync=True)  # {card: its figure in words}
    wide_from = traitlets.Int(WIDE_FROM).tag(sync=True)
    room_from = traitlets.List([*ROOM_FROM]).tag(sync=True)
    # Both ways:
    mode = traitlets.Enum([AUTO, TABS, SIDE], AUTO).tag(sync=True)
    tab = traitlets.Unicode().tag(sync=True)
    hidden = traitlets.List().tag(sync=True)  # names of runs
    # What the page says of itself:
    there = traitlets.Bool(False).tag(sync=True)  # it shows the bar, or has once
    wide = traitlets.Bool(True).tag(sync=True)
    room = traitlets.Int(2, min=0, max=2).tag(sync=True)  # how many of `room_from` its place has
    dark = traitlets.Bool(False).tag(sync=True)

    @property
    def visible_cards(self) -> list[str]:
        """The cards that can be seen."""
        names = [name for name, *_ in self.cards]
        tabs = self.mode == TABS or (self.mode == AUTO and not self.wide)
        return [name for name in names if name == self.tab] if tabs else names
