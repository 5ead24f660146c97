"""On which shell the kernel hears what the page says of a widget."""

from typing import Any

import comm
import ipywidgets as widgets
import pytest
from comm.base_comm import BaseComm
from ipywidgets.widgets.widget import _instances

from snnviz.lab import Lab
from snnviz.lab.lessons.form import make_form
from snnviz.lab.lessons.reply import Reply
from snnviz.lab.page import hear_as_asked
from tests.lab.conftest import make_trainer


@pytest.fixture(autouse=True)
def _routed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel hears each widget where it was changed last, as ipykernel does from 7.4 on."""

    class Routed(BaseComm):
        def publish_msg(self, *_: Any, **__: Any) -> None:
            """Nobody listens."""

        def _reply_subshell_for(self, data: Any, default: str | None) -> str | None:
            return "of a page that is closed"

    monkeypatch.setattr(comm, "create_comm", Routed)


def heard_elsewhere(made: list[widgets.Widget]) -> list[widgets.Widget]:
    """Those of which messages reach another shell than the page asks for."""
    return [w for w in made if w.comm._reply_subshell_for({}, "asked") != "asked"]


def test_also_what_is_put_into_a_box_later() -> None:
    box, late, later = widgets.Box(), widgets.Box(), widgets.Button()
    assert heard_elsewhere([box, late, later]) == [box, late, later]
    assert hear_as_asked(box) is box
    box.children = [late]
    assert heard_elsewhere([box, late, later]) == [later]
    late.children = [later]
    assert heard_elsewhere([later]) == []


def test_a_question() -> None:
    form = make_form("2 + 2?", ["4", "5"], lambda answer: Reply(answer == "4", ""))
    assert heard_elsewhere([form, *form.children]) == []


@pytest.mark.slow
def test_all_of_a_lab() -> None:
    before = set(_instances)
    lab = Lab(make_trainer())
    lab.dense_twin()
    lab.step("epoch")
    lab.wait()
    lab._parts.show(late=True)
    lab.close()
    made = [widget for key, widget in _instances.items() if key not in before]
    shown = [child for widget in made for child in getattr(widget, "children", ())]
    assert any("snnviz-twin-grid" in widget._dom_classes for widget in shown)
    assert heard_elsewhere([lab.widget, *shown]) == []
