"""The user's matplotlib settings do not change our figures, and ours do not stay behind."""

import threading

import matplotlib
import matplotlib.style
import pytest

from snnviz import figures, plots
from snnviz.history import History
from snnviz.plots.settings import paper_settings
from tests.plots.extremes import extreme

PLOTS = {
    "learning_curves": plots.learning_curves,
    "switch_map": plots.switch_map,
    "neurons_on": plots.neurons_on,
    "size_accuracy": plots.size_accuracy,
    "compare_curves": plots.compare_curves,
    "factor_distribution": plots.factor_distribution,
}
SETTINGS = {
    "dark": "dark_background",
    "seaborn": "seaborn-v0_8-darkgrid",
    "ggplot": "ggplot",
    "LaTeX": {"text.usetex": True},
    "core fonts": {"pdf.use14corefonts": True, "ps.useafm": True},
    "colours": {"savefig.facecolor": "red", "savefig.transparent": True, "text.color": "red"},
    "margins": {"savefig.bbox": "tight", "figure.constrained_layout.w_pad": 1.0},
    "grid": {"axes.grid": True, "axes.formatter.use_mathtext": True, "xtick.minor.visible": True},
    "fonts": {"font.family": "serif", "font.size": 20.0, "xtick.direction": "in"},
    "sketch": {"path.sketch": (1, 100, 2), "svg.fonttype": "path", "lines.antialiased": False},
}


@pytest.fixture(scope="module")
def history() -> History:
    return extreme(3, {"conv1": 8, "fc1": 30})


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnviz.plots.figures.DPI", 60)  # more pixels would only take time


def contents(ax, folder) -> list[bytes]:
    return [path.read_bytes() for path in figures.save(ax, "figure", folder=folder)]


@pytest.fixture(scope="module", params=PLOTS.values(), ids=PLOTS)
def saved(request, history, tmp_path_factory) -> tuple:
    """A plot, Axes that it made under the usual settings, and what they look like in files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snnviz.plots.figures.DPI", 60)
        ax = request.param(history)
        return request.param, ax, contents(ax, tmp_path_factory.mktemp("usual"))


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_settings_do_not_change_a_saved_figure(saved, settings, history, tmp_path):
    plot, made_before, usual = saved
    with matplotlib.style.context(settings):
        before = dict(matplotlib.rcParams)
        ax = plot(history)
        ax.get_xticklabels()  # makes ticks
        assert contents(ax, tmp_path) == usual
        (png,) = figures.save(made_before, "before", "png", folder=tmp_path)
        assert png.read_bytes() == usual[-1]
        assert dict(matplotlib.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_what_happened_to_the_axes_before_does_not_change_the_files(plot, history, tmp_path):
    ax = plot(history)
    usual = contents(ax, tmp_path)
    ax.figure._repr_png_()
    figures.save(ax, "wide", "svg", width="double", folder=tmp_path)
    assert contents(ax, tmp_path) == usual


def test_a_shown_figure_ignores_the_settings(history):
    usual = plots.neurons_on(history)._repr_png_()
    with matplotlib.style.context("dark_background"):
        assert plots.neurons_on(history)._repr_png_() == usual


def test_the_last_one_out_restores_the_settings():
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with paper_settings():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=stay)
    with matplotlib.rc_context({"font.size": 20.0}):
        other.start()
        inside.wait(10)
        with paper_settings():
            assert matplotlib.rcParams["font.size"] == 10
        assert matplotlib.rcParams["font.size"] == 10  # the other thread is still drawing
        leave.set()
        other.join()
        assert matplotlib.rcParams["font.size"] == 20


def test_what_somebody_sets_meanwhile_stays():
    with matplotlib.rc_context({"font.size": 20.0, "axes.grid": True}):
        with paper_settings():
            matplotlib.rcParams["font.size"] = 15.0
        assert matplotlib.rcParams["font.size"] == 15
        assert matplotlib.rcParams["axes.grid"] is True


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_the_users_axes_keep_their_look(plot, history):
    """Fonts, spines, background and ticks are theirs, and our texts and lines can be seen."""
    import matplotlib.pyplot as plt

    with matplotlib.style.context(["dark_background", {"font.size": 14.0, "font.family": "serif"}]):
        figure, ax = plt.subplots(layout="constrained")
        look = [ax.get_facecolor(), ax.xaxis.label.get_size(), ax.xaxis.label.get_family()]
        size = ax.get_xticklabels()[0].get_size()
        assert plot(history, ax=ax) is ax
        assert look == [ax.get_facecolor(), ax.xaxis.label.get_size(), ax.xaxis.label.get_family()]
        assert {text.get_size() for text in [*ax.texts, *ax.get_xticklabels()]} == {size}
        assert {text.get_color() for text in ax.texts} <= {"white", plots.TASK, plots.SWITCHER}
        assert all(text.get_family() == ["serif"] for text in ax.texts)
        assert all(line.get_color() != plots.DARK for line in ax.lines)
        plt.close(figure)


@pytest.mark.parametrize("plot", [plots.switch_map, plots.factor_distribution])
def test_a_grid_of_the_users_style_does_not_cross_colours(plot, history):
    import matplotlib.pyplot as plt

    with matplotlib.style.context("seaborn-v0_8-darkgrid"):
        figure, ax = plt.subplots()
        plot(history, ax=ax)
        figure.canvas.draw()
        assert not any(line.get_visible() for line in ax.get_xgridlines() + ax.get_ygridlines())
        plt.close(figure)
