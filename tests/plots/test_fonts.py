"""Names in other scripts: a font that has their letters, or a warning."""

import warnings

import pytest
from matplotlib import font_manager

from snnviz import figures, plots
from snnviz.plots import fonts
from tests.plots.extremes import extreme

CHINESE = {"卷积一": 20, "全连接": 30}


@pytest.fixture
def only_matplotlibs_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = font_manager.fontManager.ttflist
    own = [entry for entry in entries if "mpl-data" in str(entry.fname)]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    fonts._fallbacks.cache_clear()
    yield
    fonts._fallbacks.cache_clear()


def test_greek_and_cyrillic_need_no_other_font():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plots.neurons_on(extreme(2, {"στρώμα": 5, "слой": 6}))
        ax.figure.draw_without_rendering()
    assert {tuple(text.get_fontfamily()) for text in ax.texts} == {plots.FONT}


@pytest.mark.slow
@pytest.mark.usefixtures("only_matplotlibs_fonts")
def test_letters_that_no_font_has_give_one_warning_and_boxes(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ax = plots.switch_map(extreme(2, CHINESE))
        figures.save(ax, "figure", ("pdf", "svg", "png"), folder=tmp_path)
    assert [str(warning.message) for warning in caught] == [
        "No installed font has the letters '一全卷接积连', so boxes are drawn in their place. "
        "Install a font that has them, for example Noto Sans CJK for Chinese, Japanese and "
        "Korean, and restart Python."
    ]
    assert fonts.LAST_RESORT in ax.get_yticklabels()[0].get_fontfamily()
    assert "卷积一" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


@pytest.mark.usefixtures("only_matplotlibs_fonts")
def test_a_font_that_has_the_letters_is_found():
    letter = frozenset("\u1d25")
    assert fonts._letters_in(font_manager.findfont(plots.FONT[0]), letter) == frozenset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, other, *rest = fonts.family_for(letter | {"a"})
        ax = plots.neurons_on(extreme(2, {"ᴥ": 5, "a": 6}))
        ax.figure.draw_without_rendering()
    assert (first, *rest) == plots.FONT
    assert fonts._letters_in(font_manager.findfont(other), letter) == letter
    assert {tuple(text.get_fontfamily()) for text in ax.texts} == {(first, other, *rest)}
