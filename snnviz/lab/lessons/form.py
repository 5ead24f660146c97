"""How a question is shown: its text, a place for the answer, a button, and the reply below."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets

from snnviz.lab.lessons.reply import Reply
from snnviz.lab.page import hear_as_asked

SIGNS = {True: "✓", False: "✗"}  # beside the words, not instead of them


def make_form(
    question: str, options: Sequence[str] | None, check: Callable[[Any], Reply]
) -> widgets.VBox:
    """The widgets of a question, which check an answer when the button is pressed.

    Args:
        question: its text.
        options: the answers to choose from; None: a number is typed.
        check: gives the reply to an answer.
    """
    wide = widgets.Layout(width="auto", max_width="46rem")
    field: Any = widgets.Text(placeholder="a number", layout=widgets.Layout(width="12rem"))
    if options is not None:
        # Nothing is chosen at first, or the first answer would look like a suggestion.
        field = widgets.RadioButtons(options=list(options), value=None, layout=wide)
    button = widgets.Button(description="Check").add_class("snnviz-check")
    reply = widgets.HTML(layout=wide).add_class("snnviz-reply")

    def answer(_: object) -> None:
        found = check(field.value)
        text = f"{SIGNS[found.right]} {escape(repr(found))}"
        reply.value = f'<div role="status" style="line-height: 1.5">{text}</div>'

    button.on_click(answer)
    text = widgets.HTML(f"<b>{escape(question)}</b>", layout=wide)
    form = widgets.VBox([text, field, button, reply]).add_class("snnviz-question")
    return hear_as_asked(form)
