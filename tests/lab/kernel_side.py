"""What the protocol test runs within a kernel: a lab on a tiny trainer, under observation."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from ipykernel._version import __version__ as kernel_version

from snnviz.lab import Lab
from tests.lab.monkey import tiny_trainer
from tests.lab.watching import Ledger

BUTTONS = ("play", "pause", "step-batch", "step-phase", "step-epoch", "reset")
FIELDS = ("task_steps", "switcher_steps", "epochs")


class Observed:
    """A lab, who calls its callbacks, and who is at its networks."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        trainer = tiny_trainer()
        self.ledger = Ledger(trainer, 0, self.faults)
        self.ledger.calm = True
        with self.ledger.guard.opening():
            self.lab = Lab(trainer)
        self.callers: list[tuple[str, str]] = []  # button, thread
        for name in BUTTONS:
            self._find(name).on_click(lambda _, name=name: self._called(name))

    def models(self) -> dict[str, str]:
        """{name: model id} of buttons and fields."""
        return {name: self._find(name).model_id for name in (*BUTTONS, *FIELDS)}

    def report(self) -> dict[str, Any]:
        """What has come of it so far."""
        session = self.lab.session
        return {
            "sent": session._inbox.sent,
            "handled": session.status.handled,
            "step": session.status.position.step,
            "made": self.ledger.made,
            "activity": session.status.activity,
            "generation": session.status.generation,
            "planned": {name: getattr(session.status.planned, name) for name in FIELDS},
            "callers": self.callers,
            "main": threading.main_thread().name,
            "faults": self.faults,
        }

    def idle(self, timeout: float = 30) -> None:
        """Waits until nothing is to be done."""
        self.lab.session.wait(timeout=timeout)

    def play_and_wait(self, begun: str, seconds: float) -> str:
        """As a cell does that wants to see the end."""
        self.lab.play()
        while not self.lab.session.status.position.step:
            time.sleep(0.01)
        Path(begun).touch()
        try:
            self.lab.wait(timeout=seconds)
        except TimeoutError:
            return "gave up"
        return "done"

    def close(self) -> None:
        """Ends it, and looks at the history."""
        self.lab.close()
        self.ledger.guard.release()
        self.ledger.check(complete=True)

    def _called(self, name: str) -> None:
        self.callers.append((name, threading.current_thread().name))

    def _find(self, name: str) -> Any:
        found = [w for w in _all(self.lab.widget) if f"snnviz-{name}" in w._dom_classes]
        assert len(found) == 1, f"{len(found)} widgets are snnviz-{name}"
        return found[0]


def busy_until(file: str, there: Callable[[], bool], timeout: float = 30) -> None:
    """Keeps the cell busy until there is such a file, and the callbacks are there."""
    deadline = time.monotonic() + timeout
    while not (Path(file).exists() and there()) and time.monotonic() < deadline:
        time.sleep(0.01)


async def waits_until(file: str, there: Callable[[], bool], timeout: float = 30) -> None:
    """The same, but the event loop goes on meanwhile."""
    deadline = time.monotonic() + timeout
    while not (Path(file).exists() and there()) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


def ipykernel_version() -> str:
    """Of the code that runs."""
    return kernel_version


def _all(widget: widgets.Widget) -> Iterator[widgets.DOMWidget]:
    if isinstance(widget, widgets.DOMWidget):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from _all(child)
