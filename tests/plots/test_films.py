"""Films of a run: their frames, and that nothing is left of one that could not be made."""

import itertools
import os
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from snnviz.history import History
from snnviz.plots import figures, films
from snnviz.plots.cells import draw_neurons
from snnviz.plots.paper import PaperFigure
from tests.helpers import message_of
from tests.plots.test_figures import make_history

HISTORY = make_history(3)

# Takes the place of ffmpeg: writes how it was called and how much it was given, or fails.
STAND_IN = f"""#!{sys.executable}
import sys
if "-version" in sys.argv:
    sys.exit(0)
data = sys.stdin.buffer.read()
with open(sys.argv[-1], "w") as file:
    print(len(data), *sys.argv[1:-1], file=file)
sys.exit(STATUS)
"""
posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in is a script")


def texts(figure: PaperFigure) -> list[str]:
    return [text.get_text() for text in figure.texts]


@pytest.mark.slow
@pytest.mark.parametrize(("shows", "frames"), [("neurons", 4), ("switch_map", 3)])
def test_a_gif_has_a_frame_for_each_epoch_and_holds_the_last(
    shows: Any, frames: int, tmp_path: Path
) -> None:
    file = figures.animate(HISTORY, tmp_path / "new" / "film.gif", shows, per_second=4)
    assert list(file.parent.iterdir()) == [file]
    lengths, seen = [], []
    with Image.open(file) as film:
        assert film.size == (980, 560)
        for k in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(k)
            lengths.append(film.info["duration"])
            seen.append(np.asarray(film.convert("L"), float))
    assert lengths == [250] * (frames - 1) + [2250]
    assert all((one != other).any() for one, other in itertools.pairwise(seen))


def test_a_frame_shows_its_epoch() -> None:
    figure = PaperFigure(figsize=(films.WIDTH, films.HEIGHT))
    films._draw_cells(figure, HISTORY, 2)
    alone = PaperFigure(figsize=(films.WIDTH, films.HEIGHT))
    draw_neurons(alone.add_axes(films.CELLS), HISTORY.factors_at(2))
    for image, other in zip(figure.axes[0].images, alone.axes[0].images, strict=True):
        if image.get_label() in HISTORY.groups:
            np.testing.assert_array_equal(image.get_array(), other.get_array())
    on = sum(int((values[1] > 0).sum()) for values in HISTORY.factors.values())
    assert texts(figure) == [f"epoch 2 of 3 · {on} of 34 neurons on · test accuracy 50.0 %"]
    start = PaperFigure(figsize=(films.WIDTH, films.HEIGHT))
    films._draw_cells(start, HISTORY, 0)
    assert texts(start) == ["the start · 34 of 34 neurons on"]
    scales = {str(figure.axes[0].images[0].get_clim()), str(start.axes[0].images[0].get_clim())}
    assert len(scales) == 1


def test_the_map_grows_within_the_same_limits() -> None:
    limits, columns = set(), []
    for epoch in (1, 3):
        figure = PaperFigure(figsize=(films.WIDTH, films.HEIGHT))
        films._draw_map(figure, HISTORY, epoch)
        limits.add((*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim()))
        image = figure.axes[0].images[0].get_array()
        assert image is not None
        columns.append(image.shape[1])
    assert len(limits) == 1
    assert columns == [1, 3]


def stand_in(folder: Path, status: int) -> str:
    program = folder / "ffmpeg"
    program.write_text(STAND_IN.replace("STATUS", str(status)))
    program.chmod(0o755)
    return str(program)


@posix
@pytest.mark.slow
def test_an_mp4_is_made_by_the_users_ffmpeg(tmp_path: Path) -> None:
    with matplotlib.rc_context({"animation.ffmpeg_path": stand_in(tmp_path, 0)}):
        file = figures.animate(HISTORY, tmp_path / "film.mp4", per_second=1)
    size, *words = file.read_text().split()
    assert int(size) == 6 * 980 * 560 * 4  # the start, three epochs, and two more of the last
    assert {"h264", "yuv420p", "980x560"} <= set(words)


@posix
@pytest.mark.slow
def test_nothing_is_left_when_ffmpeg_fails(tmp_path: Path) -> None:
    program = stand_in(tmp_path, 1)
    (film := tmp_path / "film.mp4").write_text("older")
    with matplotlib.rc_context({"animation.ffmpeg_path": program}):
        said = message_of(lambda: figures.animate(HISTORY, film), RuntimeError)
    assert said == (
        f"ffmpeg could not write {str(film)!r}; it may lack H.264. Install a whole ffmpeg, or "
        f"write a GIF: path={str(film.with_suffix('.gif'))!r}."
    )
    assert film.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} == {"film.mp4", "ffmpeg"}


def test_what_cannot_be_filmed_is_refused(tmp_path: Path) -> None:
    with matplotlib.rc_context({"animation.ffmpeg_path": "no-such-ffmpeg"}):
        said = message_of(lambda: figures.animate(HISTORY, tmp_path / "a.mp4"), FileNotFoundError)
    assert said == (
        "an .mp4 file needs the program ffmpeg, which was not found. Install it (Debian and "
        "Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg; conda install ffmpeg), or "
        f"write a GIF: path={str(tmp_path / 'a.gif')!r}."
    )
    film: Any = figures.animate
    assert message_of(lambda: film(HISTORY, "a.avi")) == (
        "path must end in .gif or .mp4, got 'a.avi'."
    )
    assert message_of(lambda: film(HISTORY, "a.gif", "factors")) == (
        "shows must be one of 'neurons', 'switch_map', got 'factors'."
    )
    assert "per_second must be a number from 0.1 to 50" in message_of(
        lambda: film(HISTORY, "a.gif", per_second=0)
    )
    assert "at least one finished epoch" in message_of(lambda: film(History({"a": 1}), "a.gif"))
    assert "history must be a snnviz.History" in message_of(lambda: film(3, "a.gif"), TypeError)
    assert "which has the character ':'" in message_of(lambda: film(HISTORY, tmp_path / "b:c.gif"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    path = tmp_path / "plain" / "a.gif"
    said = message_of(lambda: figures.animate(HISTORY, path), FileExistsError)
    assert said == (
        f"path must be a place where files can be written, got {str(path)!r} (File exists). "
        "Choose another one."
    )
    assert [each.name for each in tmp_path.rglob("*")] == ["plain"]
