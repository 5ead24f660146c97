"""Ctrl-C, and the signals with which clusters and terminals end a program."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from snnviz import distributed
from snnviz.cli.answers import INTERRUPTED
from snnviz.cli.terminal import write_at_once
from snnviz.runs import Trainer

# SIGHUP says that the terminal is gone; Windows has none.
HANGUP: int | None = getattr(signal, "SIGHUP", None)
ENDING = [signal.SIGTERM] if HANGUP is None else [signal.SIGTERM, HANGUP]

_AGREE_EVERY = 16  # steps after which several processes agree whether to stop


@contextmanager
def like_ctrl_c() -> Iterator[None]:
    """Within it, the signals that end a program raise KeyboardInterrupt, unless they are handled
    or ignored already (as SIGHUP is under `nohup`)."""
    before = {n: signal.getsignal(n) for n in ENDING if signal.getsignal(n) is signal.SIG_DFL}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interruptions:
    """The first signal asks training to stop after the step; a second Ctrl-C or SIGTERM ends it.

    Args:
        how: the command that resumes the run.
    """

    def __init__(self, how: Callable[[], str]) -> None:
        self.asked = False
        self._how = how
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruptions":
        for number in (signal.SIGINT, *ENDING):
            # What a shell has a background job ignore stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            write_at_once("\nFinishing the step and saving … (Ctrl-C again quits immediately)\n")
        elif number != HANGUP:  # the system and the shell may both send that one
            write_at_once(f"\nStopped. All finished epochs are safe. To go on: {self._how()}\n")
            os._exit(INTERRUPTED)

    def agreed(self, trainer: Trainer) -> bool:
        """Whether to stop here: all of several processes or none, whichever of them was asked."""
        if not distributed.several():
            return self.asked
        if trainer.position.step % _AGREE_EVERY:  # it takes time: they wait for one another
            return False
        agreed = distributed.any_of(self.asked)
        self.asked = self.asked or agreed
        return agreed
