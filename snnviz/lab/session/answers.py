"""Waiting in a cell for what a session's thread does with its trainer."""

import queue
from collections.abc import Callable
from typing import TypeVar

from snnviz.lab.session.session import Session
from snnviz.training import AlternatingTrainer

T = TypeVar("T")


def wait_for_answer(session: Session, action: Callable[[AlternatingTrainer], T], call: str) -> T:
    """What comes of an action in the session's thread, between two steps; or its error.

    Args:
        call: the lab's method that does the same, for `session.deeds`.
    """
    found: queue.Queue[T | Exception] = queue.Queue()
    session.ask(action, found.put, call)
    if isinstance(made := found.get(), Exception):
        raise made
    return made
