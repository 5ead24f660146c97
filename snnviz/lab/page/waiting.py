"""What a cell that waits for training says meanwhile: how far it is, and where to look."""

import time
from typing import Any

from snnviz.lab.page.listening import Listener
from snnviz.lab.session import Session
from snnviz.lab.session.status import Status

EVERY = 1.0  # seconds between two lines


def wait_in_cell(session: Session, epochs: int | None, timeout: float | None) -> None:
    """Blocks the cell as `session.wait` does, with a bar below it, and goes on hearing the page."""
    progress, listener = Progress(epochs), Listener()

    def meanwhile() -> None:
        progress.show(session.status)
        listener.listen()

    try:
        session.wait(epochs, timeout, meanwhile)
    finally:
        listener.end()
        progress.end(session.status)


class Progress:
    """A bar below the cell that runs, in a notebook; nothing elsewhere."""

    def __init__(self, epochs: int | None) -> None:
        from IPython.core.getipython import get_ipython

        self._epochs = epochs
        self._next = float("-inf")
        self._handle: Any = None
        self._there = getattr(get_ipython(), "kernel", None) is not None

    def show(self, status: Status) -> None:
        """Brings it up to date, if it is time."""
        now = time.monotonic()
        if not self._there or now < self._next:
            return
        self._next = now + EVERY
        self._write(progress_html(status, self._epochs))

    def end(self, status: Status) -> None:
        """Says in a line how far training has come."""
        if self._handle is not None:
            plan, at = status.schedule, status.position
            self._write(f"<p>{at.epoch} of {plan.epochs} epochs are done.</p>")

    def _write(self, html: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


def progress_html(status: Status, epochs: int | None = None) -> str:
    """A bar and two sentences.

    Args:
        status: the session's.
        epochs: what is waited for; None: the schedule's end.
    """
    at, plan = status.position, status.schedule
    until = min(epochs or plan.epochs, plan.epochs)
    share = min((at.epoch + at.batch / max(status.batches_per_epoch, 1)) / max(until, 1), 1)
    phase = "" if status.finished else f", {status.phase} phase"
    return (
        f'<progress max="1" value="{share:.3f}" aria-label="epochs done"></progress> '
        f"<b>Training: epoch {min(at.epoch + 1, until)} of {until}{phase}.</b> "
        "Look at the lab above: a neuron that goes off is crossed out. "
        "<small>This cell waits for the end. If you interrupt it, training goes on.</small>"
    )
