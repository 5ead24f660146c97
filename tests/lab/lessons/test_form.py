"""A question's widgets: choosing, checking, and what is said."""

from typing import Any

import ipywidgets as widgets
import pytest

from snnviz.lab.lessons import Choice, Number
from snnviz.lab.lessons.form import make_form

CHOICE = Choice("1 < 2?", {"<b>": "Yes, & always.", "no": "Count on."}, right="<b>")


def show(question: Choice | Number) -> widgets.VBox:
    options = list(question.options) if isinstance(question, Choice) else None
    return make_form(question.text, options, question.check)


def answer(form: Any, value: object) -> str:
    """What is said after a click on Check."""
    _, field, button, reply = form.children
    field.value = value
    button.click()
    return reply.value


def test_a_choice_begins_with_none_and_can_be_tried_again() -> None:
    form = show(CHOICE)
    text, field, *_ = form.children
    assert isinstance(field, widgets.RadioButtons)
    assert (field.options, field.value) == (("<b>", "no"), None)
    assert text.value == "<b>1 &lt; 2?</b>"
    assert answer(form, "no").endswith(">✗ Not yet. Count on.</div>")
    assert answer(form, "<b>").endswith(">✓ Correct. Yes, &amp; always.</div>")
    assert 'role="status"' in form.children[-1].value


def test_nothing_chosen_is_told_what_to_choose() -> None:
    assert "Choose one of: &lt;b&gt;; no." in answer(show(CHOICE), None)


def test_a_number_is_typed() -> None:
    form = show(Number("2 + 2?", 4, "Two twice.", lambda x: "Less." if x > 4 else "More."))
    assert "✗ Not yet. Less." in answer(form, "5")
    assert "✓ Correct. Two twice." in answer(form, "4")
    assert "Answer with a number" in answer(form, "")


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (CHOICE, "1 < 2?\n- <b>\n- no"),
        (Number("2 + 2?", 4, "Two twice.", lambda x: "Count on."), "2 + 2?"),
    ],
)
def test_a_question_shows_itself(
    question: Choice | Number, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    question._ipython_display_()
    (bundle,) = shown
    assert bundle["text/plain"] == words
    assert "application/vnd.jupyter.widget-view+json" in bundle
