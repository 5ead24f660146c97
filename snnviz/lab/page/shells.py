"""Where the kernel hears what is done to the lab's widgets."""

from collections.abc import Iterator
from typing import Any, TypeVar

import ipywidgets as widgets

W = TypeVar("W", bound=widgets.Widget)


def hear_as_asked(widget: W) -> W:
    """Has the kernel hear a widget, and all in it, on the shell that the page asks for.

    From version 7.4 on, ipykernel hears a widget on the shell that was at it last. That may be the
    one that a cell keeps busy; or one whose page has been closed, and then clicks are lost. What
    is put into it later is heard so too.
    """
    for part in _all(widget):
        if hasattr(part.comm, "_reply_subshell_for"):
            part.comm._reply_subshell_for = _as_asked  # type: ignore[union-attr]
        if part.has_trait("children"):
            part.observe(_hear_children, "children")  # once, however often it is called
    return widget


def _hear_children(change: dict[str, Any]) -> None:
    for child in change["new"]:
        hear_as_asked(child)


def _as_asked(data: Any, asked: str | None) -> str | None:
    return asked


def _all(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _all(child)
