"""A run that another trainer trains: the session shows what that one saves, and trains nothing.

All of it runs in the session's thread, between two steps.
"""

from collections.abc import Callable
from typing import Any

from snnviz.history import History
from snnviz.lab.session.hand import Hand
from snnviz.lab.session.states import PastStates
from snnviz.lab.session.status import Notice
from snnviz.training import AlternatingTrainer


class Following:
    """What a session knows of the other trainer.

    Attributes:
        why: why nothing can be trained here; "": it can.
        notice: what to say of it.
        turns: how often the other trainer went back.
    """

    def __init__(self, trainer: AlternatingTrainer, states: PastStates, hand: Hand) -> None:
        self._trainer, self._states, self._hand = trainer, states, hand
        self.why, self.turns = "", 0
        self.notice: Notice | None = None

    def tell(self, why: str, words: str) -> None:
        """Says how it is with the other trainer; `why`: why nothing can be trained here."""
        self.why, self.notice = why, Notice("news", words)

    def gate(self, action: Callable[..., None], *given: Any) -> None:
        """Does what changes the run, unless another trainer trains it."""
        if self.why:
            self.notice = Notice("refused", self.why)
        else:
            action(*given)

    def take_up(self, read: Callable[[], None]) -> None:
        """Shows what the other trainer has saved.

        Args:
            read: brings the session's trainer to that state.
        """
        before = self._trainer.history
        read()
        same = count_same_epochs(before, self._trainer.history)
        if same < before.n_epochs:
            self.turns += 1
            self._states.went_back(same)
            self._hand.went_back(same)
        self._states.keep()
        self._hand.epoch_ended()


def count_same_epochs(one: History, other: History) -> int:
    """How many epochs two histories of a run have in common."""
    pairs = list(zip(one.epoch_rows(), other.epoch_rows(), strict=False))
    return next((k for k, (a, b) in enumerate(pairs) if a != b), len(pairs))
