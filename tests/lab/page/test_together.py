"""Many widgets made known to the page at once."""

import ipywidgets as widgets
import pytest

from snnviz.lab.page import made_together


def make() -> widgets.Box:
    box = widgets.Box()  # before its children
    button = widgets.Button(description="a").add_class("snnviz-a")
    button.tooltip = "first"
    hidden = widgets.HTML("b").add_class("snnviz-b")
    hidden.layout.display = "none"
    box.children = [button, hidden, widgets.Button(description="c")]
    return box


def test_the_page_gets_each_widget_once_as_it_is_at_the_end(sent: list) -> None:
    with made_together():
        box = make()
        assert not sent
    assert {kind for kind, _ in sent} == {"comm_open"}
    by_name = {state["_model_name"]: state for _, state in sent}
    assert len([1 for _, state in sent if state["_model_name"] == "ButtonModel"]) == 2
    assert by_name["HTMLModel"]["_dom_classes"] == ("snnviz-b",)
    assert next(state["tooltip"] for _, state in sent if state.get("description") == "a") == "first"
    # What a widget names has been sent before it.
    assert by_name["BoxModel"] is sent[-1][1]
    assert by_name["BoxModel"]["children"] == [f"IPY_MODEL_{w.model_id}" for w in box.children]
    # One layout for all that have none of their own, and one style for the two buttons.
    layouts = [state["display"] for _, state in sent if state["_model_name"] == "LayoutModel"]
    assert sorted(layouts, key=str) == [None, "none"]
    assert len([1 for _, state in sent if state["_model_name"] == "ButtonStyleModel"]) == 1


def test_a_layout_of_many_cannot_be_changed(sent: list) -> None:
    with made_together():
        box = make()
    with pytest.raises(TypeError, match="layout is of many widgets"):
        box.layout.display = "none"
    before = len(sent)
    box.children[1].layout.display = None
    assert [state for _, state in sent[before:]] == [{"display": None}]


def test_widgets_are_sent_at_once_again_after_an_error(sent: list) -> None:
    with pytest.raises(ZeroDivisionError), made_together():
        widgets.HTML(str(1 / 0))
    before = len(sent)
    widgets.HTML("late")
    assert sent[before:]
