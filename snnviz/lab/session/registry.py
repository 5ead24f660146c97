"""A trainer has one session at most; and all sessions end with Python."""

import atexit
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SESSIONS: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
_OPEN: weakref.WeakSet[Any] = weakref.WeakSet()
_OPENING = threading.Lock()
TAKEN = "Another lab runs this trainer now; continue there."


@contextmanager
def only_session(trainer: Any, session: Any) -> Iterator[None]:
    """Closes the session that the trainer had before; the block makes this one ready."""
    with _OPENING:  # else two that open at once might both go on
        before = _SESSIONS.get(trainer)
        if before is not None and (other := before()) is not None:
            other.close(because=TAKEN)
        yield
        _SESSIONS[trainer] = weakref.ref(session)
        _OPEN.add(session)


@atexit.register
def _close_all() -> None:
    """A thread that still computes while Python takes itself apart may crash it."""
    for session in list(_OPEN):
        session.close(timeout=10)
