"""What the lab announces by itself: the first neurons that go off, and that come back."""

from collections.abc import Mapping

import numpy as np

from snnviz.lab.page.names import drop_prefix
from snnviz.lab.session.status import Status

Off = dict[str, np.ndarray]


class Herald:
    """Compares each state with the one before it; `news` is the last event in words, or ""."""

    def __init__(self) -> None:
        self.news = ""
        self._seen: tuple[object, int] | None = None  # the run, and how often it went back
        self._off: Off = {}  # {group: (neurons,)}, in the state before
        self._gone: set[str] = set()  # groups in which a neuron has gone off
        self._back = False  # whether a neuron has come back on

    def look(self, status: Status, run: object = None) -> None:
        """Takes in the newest state.

        Args:
            status: the session's.
            run: which run it is of; another one begins afresh.
        """
        labels = drop_prefix(status.factors)
        off = {labels[name]: np.asarray(s) == 0 for name, s in status.factors.items()}
        key = (run, status.generation)
        if key != self._seen:
            self._seen, self._back, self.news = key, False, ""
            self._gone = {name for name, those in off.items() if those.any()}
        elif said := self._compare(off):
            self.news = f"{said} (step {status.position.step})."
        self._off = off

    def _compare(self, off: Off) -> str:
        for name, those in off.items():
            if those.any() and name not in self._gone:
                first = not self._gone
                self._gone.add(name)
                return _describe_first(name, np.flatnonzero(those), first)
        back = _find_back(self._off, off)
        if back and not self._back:
            self._back = True
            return f"{back} is the first to come back on"
        return ""


def _describe_first(group: str, neurons: np.ndarray, first: bool) -> str:
    of = "" if first else f" of {group}"
    if len(neurons) == 1:
        return f"{group} · {neurons[0]} is the first{of} to go off"
    return f"{len(neurons)} neurons of {group} are the first{of} to go off"


def _find_back(before: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]) -> str:
    for group, off in now.items():
        if group not in before:
            continue
        came = np.flatnonzero(before[group] & ~off)
        if len(came):
            return f"{group} · {came[0]}"
    return ""
