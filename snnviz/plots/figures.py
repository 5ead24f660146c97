"""Saves figures for a paper: exact width, embedded fonts, the same bytes for the same data."""

import io
import math
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnviz import files
from snnviz.plots.films import animate
from snnviz.plots.paper import DOUBLE, SINGLE
from snnviz.plots.settings import paper_settings

__all__ = ["DPI", "MAX_WIDTH", "WIDTHS", "animate", "save"]

WIDTHS = {"single": SINGLE, "double": DOUBLE}  # inches
MAX_WIDTH = 50  # inches; more is probably a mistake in the unit (millimetres, points)
MAX_HEIGHT = 9.0  # inches that a figure may grow to when it is made wider: the height of a page
DPI = 600  # of PNG files, and of the heatmaps and faint lines inside PDF and SVG files

# Without dates, so that the same data gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}
_RENDERING = threading.Lock()


def save(
    figure: Figure | Axes,
    name: str,
    formats: Sequence[str] = ("pdf", "svg", "png"),
    width: Literal["single", "double"] | float = "single",
    folder: str | os.PathLike[str] = "figures",
) -> list[Path]:
    """Saves a figure at exactly this width, with its height in proportion; returns the paths.

    A figure that is made wider becomes at most 9 inches high, so that it fits on a page. Text keeps
    its size in points, and the figure object keeps its size. The user's matplotlib settings do not
    change the files. Nothing is written if the
    figure cannot be drawn, and no file is left half-written. PDF files embed their fonts. In SVG
    files text stays text, in DejaVu Sans or, if the reader lacks it, another sans-serif font.

    Args:
        figure: a figure, or any Axes of it.
        name: the name of the files, without an ending.
        formats: any of "pdf", "svg", "png".
        width: "single" (3.4 inches), "double" (7.0 inches) or a number of inches.
        folder: the folder for the files; it is created if it does not exist.

    Raises:
        TypeError: `figure` is neither a figure nor Axes.
        ValueError: the name is a path, or there is no such format or width.
    """
    figure = _whole_figure(figure)
    name, formats, inches = _check_name(name), _check_formats(formats), _check_width(width)
    folder = files.home_path("folder", folder)
    files.check_new_names("folder", folder)
    with _RENDERING, _size(figure, inches), paper_settings():
        contents = {kind: _render(figure, kind) for kind in formats}
    with files.writing("folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(folder / f"{name}.{kind}", content) for kind, content in contents.items()]


def _render(figure: Figure, kind: str) -> bytes:
    _begin_layout(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=_METADATA[kind])
    return buffer.getvalue()


def _begin_layout(figure: Figure) -> None:
    """Puts Axes back to where their layout starts.

    The layout depends on the ticks and these on the layout before, so without this a figure that
    has been drawn in another size would be saved a little differently.
    """
    if figure.get_layout_engine() is not None:
        for ax in figure.axes:
            place = ax.get_subplotspec()
            if place is not None and ax.get_in_layout():
                ax.set_subplotspec(place)


@contextmanager
def _size(figure: Figure, inches: float) -> Iterator[None]:
    before = figure.get_size_inches()
    height = before[1] * inches / before[0]
    if inches > before[0]:
        height = min(height, max(MAX_HEIGHT, before[1]))
    # forward=False: a window that shows the figure keeps its size.
    figure.set_size_inches(inches, height, forward=False)
    try:
        yield
    finally:
        figure.set_size_inches(*before, forward=False)


def _write(path: Path, content: bytes) -> Path:
    """Writes the content into a temporary file, which then gets the name in one step."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _whole_figure(figure: Any) -> Figure:
    whole = figure.get_figure(root=True) if isinstance(figure, Axes) else figure
    if not isinstance(whole, Figure):
        got = type(figure).__name__
        got += ", which were removed from their figure" if isinstance(figure, Axes) else ""
        raise TypeError(
            f"figure must be a matplotlib Figure or Axes, got {got}. "
            "Give the Axes that a function of snnviz.plots returned."
        )
    return whole


def _check_name(name: str) -> str:
    files.check_name("name", name, "To save in another place, give folder=.")
    stem, dot, ending = name.rpartition(".")
    if dot and ending.lower() in _METADATA:
        raise ValueError(
            f"name must come without an ending, got {name!r}. "
            f"Use name={stem!r}, formats=({ending.lower()!r},)."
        )
    return name


def _check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    listed = isinstance(formats, Iterable) and not isinstance(formats, str)
    kinds: tuple[Any, ...] = tuple(formats) if listed else (formats,)
    bad = [kind for kind in kinds if kind not in _METADATA]
    if bad or not kinds:
        raise ValueError(
            f"formats must be some of 'pdf', 'svg', 'png', got {(bad[0] if bad else kinds)!r}. "
            "For another format, use matplotlib's own figure.savefig."
        )
    return tuple(dict.fromkeys(kinds))


def _check_width(width: str | float) -> float:
    inches = WIDTHS.get(width, math.nan) if isinstance(width, str) else width
    number = isinstance(inches, Real) and not isinstance(inches, bool)
    if not number or not 0 < inches <= MAX_WIDTH:  # NaN fails both comparisons
        raise ValueError(
            f"width must be 'single', 'double' or a number of inches above 0 and up to "
            f"{MAX_WIDTH}, got {width!r}. Journals give the widths of their columns."
        )
    return float(inches)
