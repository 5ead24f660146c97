"""Long names made short, each still its own."""

from hypothesis import given
from hypothesis import strategies as st

from snnviz.plots.names import shorten, width_of


def test_short_names_stay():
    names = ["conv1", "layer4.1.conv2", "слой"]
    assert shorten(names, 18) == {name: name for name in names}


def test_shared_parts_are_left_out():
    names = [f"features.{i}.conv.0.0" for i in range(3)]
    assert list(shorten(names, 14).values()) == ["…0…", "…1…", "…2…"]


def test_shared_words_are_abbreviated():
    names = [f"net.denseblock{i}.denselayer{i + 7}.conv" for i in (1, 2)]
    assert list(shorten(names, 14).values()) == ["…den…1.den…8…", "…den…2.den…9…"]


def test_the_middle_of_other_long_names_is_left_out():
    assert shorten(["a_very_long_name_of_a_layer", "h"], 12) == {
        "a_very_long_name_of_a_layer": "a_v…_a_layer",
        "h": "h",
    }


def test_names_that_differ_in_the_middle_stay_apart():
    names = [f"{'a' * 20}{i}{'b' * 20}" for i in range(3)]
    short = shorten(names, 12)
    assert len(set(short.values())) == 3


def test_a_line_break_is_a_space():
    assert shorten(["two\nlines"], 18) == {"two\nlines": "two lines"}


def test_letters_of_chinese_count_twice():
    assert (width_of("卷积"), width_of("ab")) == (4, 2)
    assert width_of(shorten(["卷积" * 20], 18)["卷积" * 20]) <= 18


@given(st.lists(st.text("ab.c_1", min_size=1, max_size=40), min_size=1, unique=True))
def test_no_two_names_become_the_same(names):
    short = shorten(names, 10)
    assert list(short) == names
    assert len(set(short.values())) == len(names)
