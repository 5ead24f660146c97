"""Neurons numbered through all groups, in their order, and bytes in that order for the page."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np


class Name(NamedTuple):
    """A neuron as people call it."""

    group: str
    neuron: int


def name_neuron(groups: Mapping[str, int], index: int) -> Name:
    """Group and place in it of a neuron that is numbered through all groups.

    Raises:
        ValueError: there is no such neuron.

    >>> name_neuron({"conv1": 20, "fc1": 500}, 30)
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
