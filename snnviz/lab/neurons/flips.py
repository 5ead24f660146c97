"""Since when each neuron is off or on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snnviz.history import History

KEPT_EVERY = 50  # epochs between two states that `Flips` remembers


class Flips:
    """Since when each neuron is off or on; follows a history as it grows, or goes back.

    A neuron's number is -e if it went off in epoch e, e if it came back then, and 0 if it was on
    from the start. The sign lets the page tell a neuron that is off now, in the current epoch,
    from one that was off at the last epoch's end.
    """

    def __init__(self) -> None:
        self._seen: list[dict[str, np.ndarray]] = []  # the very objects: they tell what is new
        self._since = np.zeros(0, np.int32)  # after the last epoch in `_seen`
        self._kept: list[np.ndarray] = []  # after 0, KEPT_EVERY, … epochs

    def at(self, history: History, epoch: int | None = None) -> bytes:
        """The numbers after an epoch (0: the start), or after the last one, as int32.

        Raises:
            ValueError: that epoch is not finished.
        """
        self._follow(history)
        done = len(self._seen)
        if epoch is None or epoch == done:
            return self._since.astype("<i4").tobytes()
        if not 0 <= epoch <= done:
            raise ValueError(f"epoch must be from 0 to {done}, the epochs finished, got {epoch}.")
        start = epoch // KEPT_EVERY
        since = self._kept[start]
        for e in range(start * KEPT_EVERY, epoch):
            since = _next(since, self._seen[e], e + 1)
        return since.astype("<i4").tobytes()

    def _follow(self, history: History) -> None:
        now = history.epoch_factors()
        n = sum(history.groups.values())
        same = _common(self._seen, now) if len(self._since) == n else 0
        if same < len(self._seen) or not self._kept or len(self._since) != n:
            start = same // KEPT_EVERY
            self._kept = self._kept[: start + 1] if same else [np.zeros(n, np.int32)]
            self._since, self._seen = self._kept[-1], now[: start * KEPT_EVERY if same else 0]
        for values in now[len(self._seen) :]:
            self._seen.append(values)
            self._since = _next(self._since, values, len(self._seen))
            if len(self._seen) % KEPT_EVERY == 0:
                self._kept.append(self._since)


def _common(old: Sequence[Any], new: Sequence[Any]) -> int:
    """How many epochs two lists share from the start on: a history loses only its end."""
    same = min(len(old), len(new))
    while same and old[same - 1] is not new[same - 1]:
        same -= 1
    return same


def _next(since: np.ndarray, factors: Mapping[str, np.ndarray], epoch: int) -> np.ndarray:
    off = np.concatenate([values == 0 for values in factors.values()])
    sign = np.where(off, np.int32(-epoch), np.int32(epoch))
    return np.where(off == (since < 0), since, sign)
