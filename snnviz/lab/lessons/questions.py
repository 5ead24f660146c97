"""A question with its answer, and what is said of each wrong one. `form.py` shows it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snnviz import checks
from snnviz.lab.lessons.reply import Reply


@dataclass(frozen=True)
class Choice:
    """A question with answers to choose from.

    >>> ask = Choice("2 + 2?", {"4": "Two twice.", "22": "Add; do not join."}, right="4")
    >>> ask.check("22")
    Not yet. Add; do not join.

    Attributes:
        text: the question.
        options: {answer: what is said of it}: why it is right, or a hint.
        right: the right one of them.
    """

    text: str
    options: Mapping[str, str]
    right: str

    def __post_init__(self) -> None:
        checks.one_of("right", self.right, self.options, "Give one of the options.")

    def check(self, answer: Any) -> Reply:
        """What is said of this answer, which should be one of the options."""
        if answer not in list(self.options):
            return Reply(False, f"Choose one of: {'; '.join(self.options)}.")
        return Reply(answer == self.right, self.options[answer])

    def _ipython_display_(self) -> None:
        _show(self.text, list(self.options), self.check)


@dataclass(frozen=True)
class Number:
    """A question whose answer is a number.

    >>> ask = Number("2 + 2?", 4, "Two twice.", lambda x: "Less." if x > 4 else "More.")
    >>> ask.check(5)
    Not yet. Less.

    Attributes:
        text: the question.
        right: the answer.
        reply: what is said of it.
        hint: what is said of another number.
        within: how far from the answer a number may be.
    """

    text: str
    right: float
    reply: str
    hint: Callable[[float], str]
    within: float = 1e-9

    def check(self, answer: Any) -> Reply:
        """What is said of this answer, a number or its digits."""
        try:
            number = float(str(answer).strip().removesuffix("%"))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            return Reply(False, "Answer with a number alone, such as 1250 or 0.5.")
        right = abs(number - self.right) <= self.within
        return Reply(right, self.reply if right else self.hint(number))

    def _ipython_display_(self) -> None:
        _show(self.text, None, self.check)


def _show(text: str, options: list[str] | None, check: Callable[[Any], Reply]) -> None:
    from IPython.display import display

    from snnviz.lab.lessons.form import make_form

    form = make_form(text, options, check)._repr_mimebundle_() or {}
    # What is left where no kernel runs.
    words = "\n".join([text, *(f"- {option}" for option in options or ())])
    display({**form, "text/plain": words}, raw=True)
