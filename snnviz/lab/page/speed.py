"""How fast the lab trains, for those who want to follow it."""

import threading
from collections.abc import Callable

from snnviz.lab.page.pieces import put
from snnviz.lab.page.two_way import Dropdown
from snnviz.lab.session.status import Status

FASTEST = "as fast as it can"
SPEEDS: dict[str, float | None] = {
    FASTEST: None,
    "10 steps a second": 10.0,
    "2 steps a second": 2.0,
    "1 step in 2 seconds": 0.5,
}


class SpeedChoice:
    """A menu of speeds; `choose` is called with the one that is chosen."""

    def __init__(self, choose: Callable[[float | None], None]) -> None:
        self._writer: threading.Thread | None = None
        self._speeds = dict(SPEEDS)
        self.widget = Dropdown(options=[*SPEEDS], description="speed")
        self.widget.add_class("snnviz-pace")

        def chosen(change: dict) -> None:
            if threading.current_thread() is not self._writer:
                choose(self._speeds[change["new"]])

        self.widget.observe(chosen, "value")

    def show(self, status: Status) -> None:
        """The speed that is used; one that a cell has set is added."""
        names = {speed: name for name, speed in SPEEDS.items()}
        name = names.get(status.speed, f"{status.speed:g} steps a second" if status.speed else "")
        self._writer = threading.current_thread()
        try:
            self._speeds[name] = status.speed
            if name not in self.widget.options:
                self.widget.options = [*SPEEDS, name]
            put(self.widget, value=name, disabled=status.activity == "closed")
        finally:
            self._writer = None
