"""Makes many widgets known to the page at once, in few messages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets

_LOCK = threading.Lock()


class Shared(widgets.Layout):
    """The layout of many widgets, which none of them may change."""

    def notify_change(self, change: Any) -> None:
        """Refuses what would change all of them."""
        if change["name"] in self.keys:
            raise TypeError("This layout is of many widgets. Set a widget.layout of its own first.")
        super().notify_change(change)


@contextmanager
def made_together() -> Iterator[None]:
    """Widgets that are made in this block are sent to the page at its end, as they are then.

    One by one, each would be sent when it is made, and again whenever something of it is set; and
    each would bring a layout and a style of its own. Those that have not been touched in the block
    are one and the same afterwards. So where a layout is changed later, set it in the block too.
    """
    made: list[widgets.Widget] = []
    thread = threading.current_thread()
    kind: Any = widgets.Widget
    send = kind.open

    def hold(widget: widgets.Widget) -> None:
        made.append(widget) if threading.current_thread() is thread else send(widget)

    with _LOCK:
        kind.open = hold
        try:
            yield
        finally:
            kind.open = send
    looks: dict[type, widgets.Widget] = {}
    for widget in made:
        _share(widget, looks)
    for widget in made:
        _send(widget)


def _send(widget: widgets.Widget) -> None:
    """Sends a widget, and before it what it names."""
    for name in widget.keys:
        value = getattr(widget, name)
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, widgets.Widget) and part.comm is None:
                _send(part)
    widget.open()


def _share(widget: widgets.Widget, looks: dict[type, widgets.Widget]) -> None:
    """Gives a widget the layout and the style of the others, where it has none of its own."""
    for name in ("layout", "style"):
        trait: Any = widget.traits().get(name)
        if trait is None or widget.trait_has_value(name):
            continue
        kind = trait.klass
        if kind not in looks:
            looks[kind] = Shared() if kind is widgets.Layout else kind()
        setattr(widget, name, looks[kind])
