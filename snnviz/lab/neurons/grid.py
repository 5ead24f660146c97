"""The neuron grid: every neuron of the network as a cell, and the page of the one that is opened.

Neurons are numbered through all groups in their order. `grid.js` draws them; what it is given is
made here, by pure functions.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import anywidget
import numpy as np
import traitlets as t

from snnviz.history import History

PINNED, TRIED_OFF, TRIED_ON = 1, 2, 4  # bits of a neuron's mark

Deed = Literal["off", "on", "keep", "let go"]
DEEDS = ("off", "on", "keep", "let go")
KEPT_EVERY = 50  # epochs between two states that `Flips` remembers


class Grid(anywidget.AnyWidget):
    """All neurons in view. Made once, and then only its traits are written.

    When the user presses O, N, K or L, it sends {"do": one of `DEEDS`, "neurons": [...]} (see
    `wish`). The neurons come along, for `selected` may arrive later than the message.
    """

    _esm = Path(__file__).with_name("grid.js")
    _css = Path(__file__).with_name("grid.css")

    groups = t.List(help="[name, neurons] of each group; fixed").tag(sync=True)
    factors = t.Bytes(help="float32, see `encode`").tag(sync=True)
    flipped = t.Bytes(help="int32, see `Flips`").tag(sync=True)
    marks = t.Bytes(help="uint8: PINNED, TRIED_OFF, TRIED_ON or their sum").tag(sync=True)
    moment = t.Unicode(help="what is shown, as in 'epoch 4'").tag(sync=True)
    selected = t.List(t.Int(), help="neurons, in order").tag(sync=True)
    opened = t.Int(-1, help="the neuron whose page is open; -1: none").tag(sync=True)
    page = t.Dict(help="what is known of the opened neuron; {} until it is").tag(sync=True)

    def __init__(self, groups: Mapping[str, int], **traits: Any) -> None:
        n = sum(groups.values())
        empty = {
            "factors": np.ones(n, "<f4").tobytes(),
            "flipped": np.zeros(n, "<i4").tobytes(),
            "marks": bytes(n),
        }
        self._n = n
        super().__init__(groups=[list(item) for item in groups.items()], **{**empty, **traits})
        self.add_class("snnviz-neurons")

    @t.validate("factors", "flipped", "marks")
    def _right_length(self, proposal: Any) -> bytes:
        name, value = proposal["trait"].name, proposal["value"]
        wanted = self._n * {"factors": 4, "flipped": 4, "marks": 1}[name]
        if len(value) != wanted:
            raise t.TraitError(
                f"{name} must be {wanted} bytes for {self._n} neurons, got {len(value)}."
            )
        return value

    @t.validate("selected")
    def _known_neurons(self, proposal: Any) -> list[int]:
        value = sorted(set(proposal["value"]))
        if value and not 0 <= value[0] <= value[-1] < self._n:
            raise t.TraitError(
                f"selected must hold neurons from 0 to {self._n - 1}, "
                f"got {value[0]} to {value[-1]}."
            )
        return value

    @t.validate("opened")
    def _known_neuron(self, proposal: Any) -> int:
        value = proposal["value"]
        if not -1 <= value < self._n:
            raise t.TraitError(
                f"opened must be a neuron from 0 to {self._n - 1}, or -1 for none, got {value}."
            )
        return value


class Name(NamedTuple):
    """A neuron as people call it."""

    group: str
    neuron: int


def names(groups: Mapping[str, int], index: int) -> Name:
    """Group and place in it of a neuron that is numbered through all groups.

    Raises:
        ValueError: there is no such neuron.

    >>> names({"conv1": 20, "fc1": 500}, 30)
    Name(group='fc1', neuron=10)
    """
    ends = list(accumulate(groups.values()))
    if not ends or not 0 <= index < ends[-1]:
        last = ends[-1] - 1 if ends else "none"
        raise ValueError(f"index must be a neuron from 0 to {last}, got {index}.")
    place = bisect_right(ends, index)
    group = list(groups)[place]
    return Name(group, index - ends[place] + groups[group])


def index_of(groups: Mapping[str, int], group: str, neuron: int) -> int:
    """The number through all groups, from the group and the place in it.

    Raises:
        ValueError: there is no such group, or it has no such neuron.

    >>> index_of({"conv1": 20, "fc1": 500}, "fc1", 10)
    30
    """
    if group not in groups:
        known = ", ".join(map(repr, groups))
        raise ValueError(f"group must be one of {known}, got {group!r}.")
    if not 0 <= neuron < groups[group]:
        raise ValueError(
            f"neuron must be from 0 to {groups[group] - 1} in group {group!r}, got {neuron}."
        )
    order = list(groups)
    return sum(groups[name] for name in order[: order.index(group)]) + neuron


def encode(groups: Mapping[str, int], factors: Mapping[str, Any]) -> bytes:
    """Factors {group: (neurons,)} as the grid takes them.

    Raises:
        ValueError: a group is missing, or its shape is not (neurons,).
    """
    parts = []
    for group, n in groups.items():
        if group not in factors:
            raise ValueError(f"factors must have all groups, and {group!r} is missing.")
        part = np.asarray(factors[group])
        if part.shape != (n,):
            raise ValueError(f"factors[{group!r}] must have shape ({n},), got {part.shape}.")
        parts.append(part)
    return np.concatenate(parts).astype("<f4").tobytes() if parts else b""


class Flips:
    """Since when each neuron is off or on; follows a history as it grows, or goes back.

    A neuron's number is -e if it went off in epoch e, e if it came back then, and 0 if it was on
    from the start. The sign lets the page tell a neuron that is off now, in the epoch under way,
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


def wish(content: Any, neurons: int) -> tuple[Deed, list[int]] | None:
    """What a message of the page asks for, and of which neurons; None if it is none of its wishes.

    Args:
        content: what `Grid.on_msg` hands on.
        neurons: how many the grid has.
    """
    if not isinstance(content, dict) or content.get("do") not in DEEDS:
        return None
    asked = content.get("neurons")
    if not isinstance(asked, list) or not asked:
        return None
    if not all(type(k) is int and 0 <= k < neurons for k in asked):
        return None
    return cast(Deed, content["do"]), sorted(set(asked))
