"""Questions: right answers, hints for wrong ones, and answers that are none."""

import math

import pytest

from snnviz.lab.lessons import Choice, Number
from tests.helpers import message_of

DEAD = Choice("Dead?", {"yes": "It has factor 0.", "no": "Look at its factor."}, right="yes")
SUM = Number("2 + 2?", 4, "Two twice.", lambda x: f"{x:g} is not it.", within=0.01)


@pytest.mark.parametrize(
    ("answer", "right", "said"),
    [
        ("yes", True, "Correct. It has factor 0."),
        ("no", False, "Not yet. Look at its factor."),
        (None, False, "Not yet. Choose one of: yes; no."),
        (["yes"], False, "Not yet. Choose one of: yes; no."),
    ],
)
def test_a_choice(answer: object, right: bool, said: str) -> None:
    reply = DEAD.check(answer)
    assert (reply.right, repr(reply)) == (right, said)


@pytest.mark.parametrize("answer", [4, 4.0, "4", " 4.005 ", "4 %"])
def test_a_number_that_is_right(answer: object) -> None:
    assert repr(SUM.check(answer)) == "Correct. Two twice."


@pytest.mark.parametrize("answer", [5, "5", 4.02, -4])
def test_a_number_that_is_wrong(answer: object) -> None:
    assert repr(SUM.check(answer)) == f"Not yet. {float(str(answer)):g} is not it."  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [None, "", "four", math.nan, math.inf, "1,5", []])
def test_what_is_no_number(answer: object) -> None:
    assert repr(SUM.check(answer)) == "Not yet. Answer with a number alone, such as 1250 or 0.5."


def test_the_right_answer_is_one_of_the_options() -> None:
    said = message_of(lambda: Choice("?", {"a": "", "b": ""}, right="c"))
    assert said == "right must be one of 'a', 'b', got 'c'. Give one of the options."
