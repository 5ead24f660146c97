"""Films: how neurons switch off from epoch to epoch, as GIF or MP4."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.animation import FFMpegWriter, PillowWriter

from snnviz import checks, files
from snnviz.history import EPOCH_COLUMNS
from snnviz.plots.cells import draw_neurons
from snnviz.plots.maps import switch_map
from snnviz.plots.paper import DARK, DOUBLE, FONT, LABEL_SIZE, PaperFigure, check_history
from snnviz.plots.scale import factor_norm
from snnviz.plots.settings import paper_settings

if TYPE_CHECKING:
    from snnviz.history import History

WIDTH, HEIGHT = DOUBLE, 4.0  # inches
DPI = 140  # so that the pixels are even numbers, as MP4 needs them
CELLS = (0.02, 0.03, 0.96, 0.86)  # left, bottom, width, height, in shares of the picture
LINE = 0.95  # where the line of words is, from the bottom
HOLD = 2.0  # seconds for which the last frame stays
SLOWEST, FASTEST = 0.1, 50  # epochs a second; browsers show no GIF faster than this

Shown = Literal["neurons", "switch_map"]
Draw = Callable[[PaperFigure, "History", int], None]


def animate(
    history: History,
    path: str | os.PathLike[str],
    shows: Shown = "neurons",
    *,
    per_second: float = 2.0,
) -> Path:
    """Writes a film of a run, with a frame for each epoch; returns its path.

    The colours mean the same in all frames. The file is written completely or not at all.

    Args:
        path: the file, which ends in .gif or .mp4. An MP4 needs the program ffmpeg.
        shows: "neurons" (all of them as a grid, from the start on) or "switch_map", which grows.
        per_second: epochs a second.

    Raises:
        TypeError: `history` is not a History.
        ValueError: the path has another ending, no epoch is finished, or there is no such `shows`
            or speed.
        OSError: the file cannot be written.
        FileNotFoundError: an MP4 is asked for, and there is no ffmpeg.
        RuntimeError: ffmpeg fails.
    """
    check_history("history", history)
    file = files.home_path("path", path)
    files.check_new_names("path", file)
    checks.one_of("shows", shows, _DRAW)
    per_second = checks.number("per_second", per_second, SLOWEST, FASTEST)
    if history.n_epochs == 0:
        raise ValueError(
            "history must have at least one finished epoch to be shown, got none. Train first."
        )
    writer = _make_writer(file, per_second)
    first = 0 if shows == "neurons" else 1
    epochs = [*range(first, history.n_epochs), *[history.n_epochs] * (1 + round(HOLD * per_second))]
    beside = file.with_name(f".{uuid.uuid4().hex}{file.suffix}")
    figure = PaperFigure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white")
    try:
        with files.writing("path", file), paper_settings():
            file.parent.mkdir(parents=True, exist_ok=True)
            with writer.saving(figure, str(beside), DPI):
                for epoch in epochs:
                    figure.clear()
                    _DRAW[shows](figure, history, epoch)
                    writer.grab_frame()
            os.replace(beside, file)
    except (CalledProcessError, BrokenPipeError) as error:
        raise RuntimeError(
            f"ffmpeg could not write {str(file)!r}; it may lack H.264. Install a whole ffmpeg, or "
            f"write a GIF: path={str(file.with_suffix('.gif'))!r}."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return file


def _make_writer(file: Path, per_second: float) -> Any:
    ending = file.suffix.lower()
    if ending == ".gif":
        return PillowWriter(fps=per_second)  # type: ignore[arg-type]
    if ending != ".mp4":
        raise ValueError(f"path must end in .gif or .mp4, got {str(file)!r}.")
    if not FFMpegWriter.isAvailable():
        raise FileNotFoundError(
            "an .mp4 file needs the program ffmpeg, which was not found. Install it (Debian and "
            "Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg; conda install ffmpeg), "
            f"or write a GIF: path={str(file.with_suffix('.gif'))!r}."
        )
    return FFMpegWriter(fps=per_second, codec="h264")  # type: ignore[arg-type]


def _draw_cells(figure: PaperFigure, history: History, epoch: int) -> None:
    factors = history.factors
    norm = factor_norm(np.concatenate([values.ravel() for values in factors.values()]))
    _write_line(figure, history, epoch)
    draw_neurons(figure.add_axes(CELLS), history.factors_at(epoch), norm)


def _draw_map(figure: PaperFigure, history: History, epoch: int) -> None:
    figure.set_layout_engine("constrained", rect=(0, 0, 0.98, 0.92))
    _write_line(figure, history, epoch)
    switch_map(history.until(epoch), ax=figure.add_subplot(), within=history)


def _write_line(figure: PaperFigure, history: History, epoch: int) -> None:
    words = f"epoch {epoch} of {history.n_epochs}" if epoch else "the start"
    on = sum(int((values != 0).sum()) for values in history.factors_at(epoch).values())
    facts = [words, f"{on:,} of {sum(history.groups.values()):,} neurons on"]
    if epoch:
        row = history.epoch_rows()[epoch - 1]
        facts.append(f"test accuracy {100 * row[EPOCH_COLUMNS.index('test_accuracy')]:.1f} %")
    style: dict[str, Any] = {"fontfamily": FONT, "parse_math": False, "color": DARK}
    figure.text(0.02, LINE, " · ".join(facts), fontsize=LABEL_SIZE + 1, va="center", **style)


_DRAW: dict[str, Draw] = {"neurons": _draw_cells, "switch_map": _draw_map}
