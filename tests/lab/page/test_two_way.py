"""Widgets that two threads change at a time."""

import itertools
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import traitlets

from snnviz.lab.neurons.grid import Grid
from snnviz.lab.page.two_way import ScriptWidget


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_what_is_set_meanwhile_is_sent_at_once(sent: list) -> None:
    """While a message of the page is read, another thread shows something."""

    def read(value: int, widget: Any) -> int:
        thread = threading.Thread(target=setattr, args=(widget, "shown", 5))
        thread.start()
        thread.join()
        assert sent[-1][1] == {"shown": 5}
        return value

    class Example(ScriptWidget):
        chosen = traitlets.Int(0).tag(sync=True, from_json=read)
        shown = traitlets.Int(0).tag(sync=True)

    example, told = Example(), []
    example.observe(told.append, "chosen")
    sent.clear()
    example.set_state({"chosen": 2, "unknown": 3})
    assert (example.chosen, example.shown) == (2, 5)
    assert [change["new"] for change in told] == [2]
    assert len(sent) == 1, "the page knows what it has chosen"


def test_nothing_is_lost_between_page_and_refresher(sent: list, hasty: None) -> None:
    grid, over, wrong = Grid({"a": 50}), threading.Event(), []

    def click() -> None:
        for k in itertools.cycle(range(50)):
            if over.is_set():
                return
            try:
                grid.set_state({"opened": k, "selected": [k]})
            except Exception as error:
                wrong.append(error)

    page = threading.Thread(target=click, daemon=True)
    page.start()
    lost = []
    try:
        for step in range(1000):
            sent.clear()
            with grid.hold_sync():
                grid.moment, grid.page = f"now, step {step}", {"neuron": step}
            states = [state for _, state in sent]
            if not any(state.get("page") == {"neuron": step} for state in states):
                lost.append(step)
    finally:
        over.set()
        page.join()
    assert (lost, wrong) == ([], [])
