"""The thread that brings the page up to date: soon after something is new, and not too often."""

import atexit
import threading
import time
from collections.abc import Callable

from snnviz.lab.session import Session, cores
from snnviz.training import AlternatingTrainer

REFRESH_EVERY = 0.2  # seconds at least between two writes to the page
PLAYING_EVERY = 1.0  # while it plays, unless something is done by hand
# The same where training calculates on every core, one of which drawing the page would hold up,
# and with it all the others, which wait for it. `benchmarks/lab.py` measures how much.
PLAYING_EVERY_BUSY = 3.0
PAGE_FIRST = 1.0  # seconds at most that figures wait for the page: drawing one holds it up


class Refresher:
    """Once it is started, this thread alone writes to the widgets, until the lab is closed.

    Args:
        show: brings the page up to date, and returns whether something still waits. It is told
            whether figures are to be drawn even if the page is not there.
        session: gives the session that is active.
    """

    def __init__(self, show: Callable[[bool], bool], session: Callable[[], Session]) -> None:
        self._show, self._session = show, session
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="snnviz-refresh", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def hurry(self) -> None:
        """Something was done by hand, and should be seen soon. Called in any thread."""
        self._hurry.set()
        self._wake.set()

    def wake(self) -> None:
        """Something is new. Called in any thread."""
        self._wake.set()

    def join(self) -> None:
        """Waits until the thread has shown the end."""
        self._thread.join()

    def _refresh(self) -> None:
        waits, open_, began = True, True, time.monotonic()
        while waits or open_:
            # What is left when the lab is closed is shown at once: somebody waits for the end.
            self._wake.wait(None if not waits else REFRESH_EVERY if open_ else 0)
            self._wake.clear()
            self._hurry.clear()
            open_ = self._session().status.activity != "closed"
            late = time.monotonic() > began + PAGE_FIRST or not open_
            # At Python's exit the kernel's sockets may be closed.
            waits = not _EXITING.is_set() and self._show(late)
            if open_:
                time.sleep(REFRESH_EVERY)
            at = self._session().status
            if at.activity == "playing" and not at.slowed:
                self._hurry.wait(_playing_every(self._session().trainer) - REFRESH_EVERY)


def _playing_every(trainer: AlternatingTrainer) -> float:
    spare = cores.count_spare_threads(trainer.device)
    return PLAYING_EVERY if spare else PLAYING_EVERY_BUSY


_EXITING = threading.Event()
atexit.register(_EXITING.set)
