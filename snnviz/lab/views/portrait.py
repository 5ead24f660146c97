"""The lab's picture in the notebook's file: what is left where no kernel runs (GitHub, nbviewer).

It is an output of its own below the lab, which hides it as long as it lives (see page/rows.css).
"""

import threading
import time
import uuid
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

from snnviz.lab.session.status import Status
from snnviz.lab.views.picture import last_state
from snnviz.lab.views.shown import Shown

EVERY = 60.0  # seconds at least, while training
SHARE = 0.005  # of Python's time at most, while training: a picture takes about a second
QUIET = 1.5  # seconds without a change, while paused: whoever clicks step after step need not wait


class Displayed(Protocol):
    """A lab, as far as its picture is concerned."""

    widget: Any

    def close(self) -> None: ...


class Portrait:
    """Draws the lab's state when training pauses, and now and then while it goes on."""

    def __init__(self) -> None:
        self._id = f"snnviz-{uuid.uuid4().hex}"
        self._publisher: Any = None  # of the kernel; None: not displayed
        self._drawn: tuple | None = None
        self._next = float("-inf")  # not before, while training
        self._seen: tuple | None = None  # not yet drawn
        self._quiet_from = 0.0  # if it does not change until then, it is drawn
        self._lock = threading.Lock()

    def display(self, lab: Displayed) -> None:
        """Shows the lab as output of the cell that runs, and its picture below it."""
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        shell = get_ipython()
        if shell is None:
            print(repr(lab))
            return
        display(lab.widget)
        if getattr(shell, "kernel", None) is None:
            return  # a terminal shows no pictures
        _take_over(_cell_of(shell), lab)
        with self._lock:
            display(_bundle(None), raw=True, display_id=self._id)
            self._publisher, self._drawn = shell.display_pub, None

    def show(self, status: Status, runs: Sequence[Shown], at_once: bool = False) -> bool:
        """Brings the picture up to date, if it is time; whether it will soon be.

        Args:
            at_once: without waiting whether something else changes.
        """
        if self._publisher is None:
            return False
        at = (status.generation, status.position, status.activity, tuple(r.name for r in runs))
        with self._lock:
            if at == self._drawn:
                return False
            now = time.monotonic()
            if status.running:
                if now < self._next:
                    return False
            elif self._drawn and status.activity != "closed" and not at_once:
                if at != self._seen:
                    self._seen, self._quiet_from = at, now + QUIET
                if now < self._quiet_from:
                    return True
            self._drawn, began = at, time.thread_time()
            picture = last_state(status, runs, status.factors)
            pause = max(EVERY, (time.thread_time() - began) / SHARE)
            self._next = time.monotonic() + pause
            # By its id alone, so that it does not matter in which thread or cell this is.
            self._publisher.publish(
                data=_bundle(picture), transient={"display_id": self._id}, update=True
            )
        return False


def _cell_of(shell: Any) -> str | None:
    """The id of the cell that runs, where the front end tells it."""
    parent = shell.kernel.get_parent() or {}
    return parent.get("metadata", {}).get("cellId")


def _take_over(cell: str | None, lab: Displayed) -> None:
    """Closes the lab that this cell showed when it ran before: nobody could reach it any more."""
    if cell is None:
        return
    before = _IN_CELL.get(cell)
    _IN_CELL[cell] = lab
    if before is not None and before is not lab and before not in _IN_CELL.values():
        # Its current step may take a while, and this cell need not wait.
        threading.Thread(target=before.close, name="snnviz-close", daemon=True).start()


_IN_CELL: weakref.WeakValueDictionary[str, Displayed] = weakref.WeakValueDictionary()


def _bundle(picture: bytes | None) -> dict[str, Any]:
    from base64 import b64encode

    data: dict[str, Any] = {"text/plain": "The lab's last state, as a picture"}
    if picture:
        data["image/png"] = b64encode(picture).decode()
    return data
