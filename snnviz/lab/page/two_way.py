"""Widgets that the page changes in one thread while the lab shows something in them in another.

ipywidgets takes a message of the page with `hold_trait_notifications`: while that lasts, the widget
itself keeps back what is told of it. What another thread sets meanwhile may then never be sent, and
the message may end with "dictionary changed size during iteration" and be lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets as t


class TwoWay(widgets.Widget):
    """A widget of which two threads may set different traits at a time."""

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Takes what the page has set, one trait after the other, each told at once."""
        with self._lock_property(**sync_data):
            for name, value in sync_data.items():
                if name in self.keys:
                    read = self.trait_metadata(name, "from_json", self._trait_from_json)
                    self.set_trait(name, read(value, self))

    @contextmanager
    def hold_sync(self) -> Iterator[None]:
        """What is set in the block is sent in one message at its end. For one thread at a time."""
        if self._holding_sync:
            yield
            return
        self._holding_sync = True
        try:
            yield
        finally:
            self._holding_sync = False
            held = set(self._states_to_send)
            self._states_to_send.difference_update(held)  # others may add meanwhile
            self.send_state(held)


class ScriptWidget(TwoWay, anywidget.AnyWidget):
    """A widget with a script of ours, whose `initialize` is `hear` (hearing.js)."""

    asked = t.Int(0, help="how often the page has looked whether it came late").tag(sync=True)


class Dropdown(TwoWay, widgets.Dropdown):
    """A menu."""


class IntSlider(TwoWay, widgets.IntSlider):
    """A slider over whole numbers."""


class Text(TwoWay, widgets.Text):
    """A line of text."""


class FileUpload(TwoWay, widgets.FileUpload):
    """A button that takes a file."""
