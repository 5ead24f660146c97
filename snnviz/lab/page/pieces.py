"""Small widgets that the lab's parts are put together from."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets


def button(
    text: str, name: str, tooltip: str, action: Callable[[], object], icon: str = ""
) -> widgets.Button:
    """A button with the class `snnviz-<name>`."""
    made = widgets.Button(description=text, tooltip=tooltip, icon=icon)
    made.on_click(lambda _: action())
    return made.add_class(f"snnviz-{name}")


def box(name: str, children: Sequence[widgets.Widget]) -> widgets.Box:
    """A box with the class `snnviz-<name>`."""
    return widgets.Box(list(children)).add_class(f"snnviz-{name}")


def put(widget: Any, **values: Any) -> None:
    """Writes those traits whose value is another one."""
    for name, value in values.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)
