"""Matplotlib's own settings while a figure for a paper is made, drawn or saved.

The user's settings (a dark style, another font, LaTeX) would otherwise change the figure.
Matplotlib reads settings from one global place, so they are exchanged there and then restored.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes

from snnviz.plots.fonts import use_fonts_that_have_the_letters

_P = ParamSpec("_P")

_OURS: dict[str, Any] = {
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.fonttype": "none",  # text stays text: it can be edited, searched and read aloud
    "svg.hashsalt": "snnviz",  # otherwise a random one
}
_NO_STYLE = {"backend", "backend_fallback", "interactive", "toolbar", "timezone", "webagg.port"}

_LOCK = threading.Lock()
_users = 0  # threads and nested calls that need our settings now
_before: dict[str, tuple[Any, Any]] = {}  # {setting: (the user's value, our value)}


@contextmanager
def paper_settings() -> Iterator[None]:
    """Exchanges the settings that differ from matplotlib's defaults, and restores them.

    Several threads may be inside at once, because all want the same settings: the first one
    exchanges them and the last one restores them. With default settings almost nothing changes.
    A setting that somebody else has changed in the meantime keeps its new value.
    """
    global _users
    with _LOCK:
        if _users == 0:
            _exchange()
        _users += 1
    try:
        yield
    finally:
        with _LOCK:
            _users -= 1
            if _users == 0:
                _restore()


def _exchange() -> None:
    settings: dict[str, Any] = matplotlib.rcParams  # type: ignore[assignment]
    ours = {k: v for k, v in matplotlib.rcParamsDefault.items() if not _is_no_style(k)} | _OURS
    for name, value in ours.items():
        if settings[name] != value:
            _before[name] = settings[name], value
            settings[name] = value


def _restore() -> None:
    settings: dict[str, Any] = matplotlib.rcParams  # type: ignore[assignment]
    for name, (theirs, ours) in _before.items():
        if settings[name] == ours:
            settings[name] = theirs
    _before.clear()


def _is_no_style(name: str) -> bool:
    """Whether a setting is about windows, or programs that make films, not how a figure looks."""
    others = ("animation.", "keymap.", "docstring.", "macosx.", "tk.")
    return name in _NO_STYLE or name.startswith(others)


def figure_for_paper(plot: Callable[_P, Axes]) -> Callable[_P, Axes]:
    """For a plot function: without `ax`, the user's settings do not change the new figure."""
    signature = inspect.signature(plot)

    @functools.wraps(plot)
    def draw(*args: _P.args, **kwargs: _P.kwargs) -> Axes:
        if signature.bind(*args, **kwargs).arguments.get("ax") is not None:
            return plot(*args, **kwargs)
        with paper_settings():
            axes = plot(*args, **kwargs)
            use_fonts_that_have_the_letters(axes)
        return axes

    return draw
