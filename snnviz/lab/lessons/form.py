"""How a question is shown: its text, a place for the answer, a button, and the reply below."""

from html import escape

import ipywidgets as widgets

from snnviz.lab.lessons.questions import Choice, Number, Reply

SIGNS = {True: "✓", False: "✗"}  # beside the words, not instead of them


def make_form(question: Choice | Number) -> widgets.VBox:
    """The widgets of a question, which check an answer when the button is pressed."""
    wide = widgets.Layout(width="auto", max_width="46rem")
    field = _make_field(question, wide)
    button = widgets.Button(description="Check").add_class("snnviz-check")
    reply = widgets.HTML(layout=wide).add_class("snnviz-reply")

    def check(_: widgets.Button) -> None:
        reply.value = _write_reply(question.check(field.value))

    button.on_click(check)
    text = widgets.HTML(f"<b>{escape(question.text)}</b>", layout=wide)
    return widgets.VBox([text, field, button, reply]).add_class("snnviz-question")


def _make_field(question: Choice | Number, layout: widgets.Layout) -> widgets.DOMWidget:
    if isinstance(question, Number):
        return widgets.Text(placeholder="a number", layout=widgets.Layout(width="12rem"))
    # Nothing is chosen at first, or the first answer would look like a suggestion.
    return widgets.RadioButtons(options=list(question.options), value=None, layout=layout)


def _write_reply(reply: Reply) -> str:
    return f'<span role="status">{SIGNS[reply.right]} {escape(repr(reply))}</span>'
