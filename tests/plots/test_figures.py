"""Files for a paper: width, fonts, bytes, names."""

import re
import zlib

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import snnviz.figures
from snnviz import plots
from snnviz.history import History
from snnviz.plots import figures


def make_history(epochs: int = 4, groups: dict[str, int] | None = None) -> History:
    """Half of the neurons go off at random times; the others drift."""
    rng = np.random.default_rng(0)
    history = History(groups or {"conv1": 4, "fc1": 30})
    when = {g: rng.uniform(0, 2 * epochs, n) for g, n in history.groups.items()}
    size = {g: rng.gamma(9, 1 / 9, n) for g, n in history.groups.items()}
    for epoch in range(1, epochs + 1):
        for step in range(20 * (epoch - 1) + 1, 20 * epoch + 1):
            history.add_step(
                step=step, epoch=epoch, phase="task", loss=1 / step, accuracy=rng.random(), lr=0.1
            )
        drift = {g: rng.normal(1, 0.02, n) for g, n in history.groups.items()}
        factors = {g: size[g] * drift[g] * (when[g] > epoch) for g in size}
        columns = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")
        values: dict[str, float] = dict.fromkeys(columns, 0.5)
        values |= dict.fromkeys(("neurons_on", "neurons", "parameters", "macs"), 1)
        history.add_epoch(factors, epoch=epoch, step=20 * epoch, **values)
    return history


PLOTS = (plots.learning_curves, plots.switch_map, plots.neurons_on)


def media_box(path) -> list[float]:
    return [float(x) for x in re.search(rb"/MediaBox \[ ([^\]]+) \]", path.read_bytes())[1].split()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plot", "width", "inches"),
    [
        (plots.learning_curves, "single", 3.4),
        (plots.switch_map, "single", 3.4),
        (plots.neurons_on, "single", 3.4),
        (plots.switch_map, "double", 7.0),
        (plots.neurons_on, 5.25, 5.25),
    ],
)
def test_the_width_is_exact_and_the_height_in_proportion(plot, width, inches, tmp_path):
    ax = plot(make_history())
    shape = ax.figure.get_figheight() / ax.figure.get_figwidth()
    pdf, svg, png = figures.save(ax, "figure", width=width, folder=tmp_path)
    left, bottom, right, top = media_box(pdf)
    assert (left, bottom) == (0, 0)
    assert right == pytest.approx(72 * inches, abs=1e-3)
    assert top == pytest.approx(72 * inches * shape, abs=1e-3)
    assert float(re.search(r'<svg[^>]* width="([\d.]+)pt"', svg.read_text())[1]) == (
        pytest.approx(72 * inches)
    )
    with Image.open(png) as image:
        assert image.width == round(600 * inches)


@pytest.mark.slow
def test_a_setting_of_tight_does_not_change_the_width(tmp_path):
    ax = plots.neurons_on(make_history())
    with matplotlib.rc_context({"savefig.bbox": "tight"}):
        (pdf,) = figures.save(ax, "figure", ["pdf"], folder=tmp_path)
    assert media_box(pdf)[2] == pytest.approx(72 * 3.4)


def test_fonts_are_truetype_and_svg_text_is_text(tmp_path):
    pdf, svg = figures.save(
        plots.neurons_on(make_history()), "figure", ("pdf", "svg"), folder=tmp_path
    )
    content = pdf.read_bytes()
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
    objects = content + b"".join(map(unpacked, streams))
    assert b"/FontFile2" in objects  # an embedded TrueType font
    assert b"/Type3" not in objects
    assert ">all together " in svg.read_text()
    assert "'DejaVu Sans'" in svg.read_text()
    assert "sans-serif" in svg.read_text()


def unpacked(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


@pytest.mark.slow
@pytest.mark.parametrize("plot", PLOTS)
def test_same_data_same_bytes(plot, tmp_path):
    first = plot(make_history())
    one = figures.save(first, "figure", folder=tmp_path / "one")
    again = figures.save(first, "figure", folder=tmp_path / "again")
    afresh = figures.save(plot(make_history()), "figure", folder=tmp_path / "afresh")
    for a, b, c in zip(one, again, afresh, strict=True):
        assert a.read_bytes() == b.read_bytes() == c.read_bytes()
        assert b"CreationDate" not in a.read_bytes()
        assert b"<dc:date>" not in a.read_bytes()


@pytest.mark.slow
def test_other_data_other_bytes(tmp_path):
    one = figures.save(plots.switch_map(make_history(3)), "one", folder=tmp_path)
    two = figures.save(plots.switch_map(make_history(4)), "two", folder=tmp_path)
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(one, two, strict=True))


@pytest.mark.slow
def test_a_map_of_many_neurons_is_a_small_file(tmp_path):
    history = make_history(30, {"conv1": 20, "conv2": 50, "fc1": 500})
    for path in figures.save(plots.switch_map(history), "map", ("pdf", "svg"), folder=tmp_path):
        assert path.stat().st_size < 100_000


@pytest.mark.slow
def test_the_figure_and_the_settings_stay_as_they_were(tmp_path):
    ax = plots.switch_map(make_history())
    figure, params = ax.figure, dict(matplotlib.rcParams)
    before = (*figure.get_size_inches(), figure.dpi, figure.canvas, figure._repr_png_())
    figures.save(figure, "figure", width="double", folder=tmp_path)
    after = (*figure.get_size_inches(), figure.dpi, figure.canvas, figure._repr_png_())
    assert after == before
    assert dict(matplotlib.rcParams) == params


def test_they_stay_so_after_an_error_too_and_nothing_is_written(tmp_path, monkeypatch):
    ax = plots.neurons_on(make_history())
    params, render = dict(matplotlib.rcParams), figures._render

    def fail_at_png(figure, kind):
        if kind == "png":
            raise RuntimeError("no")
        return render(figure, kind)

    monkeypatch.setattr(figures, "_render", fail_at_png)
    with pytest.raises(RuntimeError, match="no"):
        figures.save(ax, "figure", width=9, folder=tmp_path)
    assert ax.figure.get_figwidth() == 3.4
    assert dict(matplotlib.rcParams) == params
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "figure.pdf").write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(figures.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(Figure(), "figure", "pdf", folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.pdf"]
    assert (tmp_path / "figure.pdf").read_text() == "old"


def test_paths_come_in_the_order_of_the_formats(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = figures.save(Figure(), "a b-1", ["png", "pdf", "png"])
    assert [str(path) for path in paths] == ["figures/a b-1.png", "figures/a b-1.pdf"]
    assert all(path.is_file() for path in paths)
    assert len(list(tmp_path.glob("figures/*"))) == 2


def test_any_figure_can_be_saved_a_pyplot_one_too(tmp_path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 4))
    (pdf,) = figures.save(axes[1], "figure", "pdf", folder=tmp_path)
    assert media_box(pdf)[2:] == pytest.approx([72 * 3.4, 72 * 1.7])
    assert tuple(figure.get_size_inches()) == (8, 4)


PLAIN = "name must be a name that a file can have on every system, got {!r}, which "
ELSEWHERE = "To save in another place, give folder=."


@pytest.mark.parametrize(
    "name", ["", " ", "../map", "a/b", "a\\b", "/map", ".", "..", ".map", "a\nb", "a\0b", "C:map"]
)
def test_names_that_are_paths_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="name must") as error:
        figures.save(Figure(), name, folder=tmp_path / "new")
    assert str(error.value).startswith(PLAIN.format(name))
    assert str(error.value).endswith(ELSEWHERE)
    assert not (tmp_path / "new").exists()


WIDTH = "width must be 'single', 'double' or a number of inches above 0 and up to 50, got {!r}. "
WIDTH += "Journals give the widths of their columns."


@pytest.mark.parametrize("width", [0, -1, float("nan"), float("inf"), 86, "wide", "", True, None])
def test_widths_that_are_none_are_refused(width, tmp_path):
    with pytest.raises(ValueError, match="width must") as error:
        figures.save(Figure(), "figure", width=width, folder=tmp_path / "new")
    assert str(error.value) == WIDTH.format(width)
    assert not (tmp_path / "new").exists()


def removed():
    ax = Figure().add_subplot()
    ax.remove()
    return ax


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"name": "map.pdf"},
            ValueError,
            "name must come without an ending, got 'map.pdf'. Use name='map', formats=('pdf',).",
        ),
        (
            {"formats": ("pdf", "gif")},
            ValueError,
            "formats must be some of 'pdf', 'svg', 'png', got 'gif'. "
            "For another format, use matplotlib's own figure.savefig.",
        ),
        (
            {"formats": ()},
            ValueError,
            "formats must be some of 'pdf', 'svg', 'png', got (). "
            "For another format, use matplotlib's own figure.savefig.",
        ),
        (
            {"formats": None},
            ValueError,
            "formats must be some of 'pdf', 'svg', 'png', got None. "
            "For another format, use matplotlib's own figure.savefig.",
        ),
        (
            {"figure": removed()},
            TypeError,
            "figure must be a matplotlib Figure or Axes, got Axes, which were removed from their "
            "figure. Give the Axes that a function of snnviz.plots returned.",
        ),
        (
            {"figure": "map"},
            TypeError,
            "figure must be a matplotlib Figure or Axes, got str. "
            "Give the Axes that a function of snnviz.plots returned.",
        ),
    ],
)
def test_other_slips_are_refused(arguments, kind, message, tmp_path):
    given = {"figure": Figure(), "name": "figure", "folder": tmp_path / "new"} | arguments
    with pytest.raises(kind) as error:
        figures.save(**given)
    assert str(error.value) == message
    assert not (tmp_path / "new").exists()


def test_the_short_import_is_the_same_function():
    assert snnviz.figures.save is figures.save
