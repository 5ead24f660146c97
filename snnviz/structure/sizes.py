"""How many neurons of each group are left when a network is to have a certain size."""

import itertools
from collections.abc import Mapping

import numpy as np

from snnviz.structure.groups import Switches

SIZES = ("parameters", "macs", "neurons")
_HALVINGS = 30  # of the interval that the share of neurons is in
_CLOSE = 0.001  # of the size that is asked for; nearer than that it need not be
_FAR = 0.01  # of it; further than that, two groups are changed together
_MOST_CHANGES = 40  # of single neurons, once the share of neurons is found


def keep_counts(switches: Switches, size: float, size_of: str = "parameters") -> dict[str, int]:
    """{group: neurons to keep}, the same share of each group, for a size as near as can be.

    Groups whose neurons cannot be removed keep all of them; each other group keeps at least one.

    Args:
        switches: of the network.
        size: share of the whole network that is to be left, above 0 and at most 1.
        size_of: "parameters", "macs" or "neurons".
    """
    counted = _Counted(switches, size_of)
    low, high = 0.0, 1.0  # shares of neurons: too few or just enough, and enough
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if counted.size(counted.share(middle)) < size else (low, middle)
    tried = (counted.share(low), counted.share(high))
    best = min(tried, key=lambda counts: abs(counted.size(counts) - size))
    return _refined(counted, best, size)


def smallest_size(switches: Switches, size_of: str = "parameters") -> float:
    """The share of the network that is left when each group keeps one neuron."""
    counted = _Counted(switches, size_of)
    return counted.size(counted.share(0.0))


def _refined(counted: "_Counted", counts: dict[str, int], size: float) -> dict[str, int]:
    """A neuron more or less in one group at a time, as long as that comes nearer to the size.

    A small network may need one in two groups, so that one of them loses what the other gains.
    """

    def error(counts: Mapping[str, int]) -> float:
        return abs(counted.size(counts) - size)

    for _ in range(_MOST_CHANGES):
        here = error(counts)
        if here <= _CLOSE * size:
            break
        nearest = min(counted.neighbours(counts), key=error, default=counts)
        if error(nearest) >= here > _FAR * size:
            pairs = itertools.chain(*map(counted.neighbours, counted.neighbours(counts)))
            nearest = min(pairs, key=error, default=counts)
        if error(nearest) >= here:
            break
        counts = nearest
    return counts


class _Counted:
    """What is left of a network, by how many neurons its groups keep."""

    def __init__(self, switches: Switches, size_of: str) -> None:
        self._switches, self._of = switches, size_of
        groups = switches.groups.values()
        self._neurons = {group.name: group.neurons for group in groups}
        self.removable = {group.name: group.neurons for group in groups if not group.mixed_by}
        self._whole = self._measure(self._neurons)

    def share(self, share: float) -> dict[str, int]:
        kept = {name: min(max(round(share * n), 1), n) for name, n in self.removable.items()}
        return self._neurons | kept

    def neighbours(self, counts: dict[str, int]) -> list[dict[str, int]]:
        """The counts with a neuron more or less in one group."""
        return [
            counts | {name: counts[name] + step}
            for name, n in self.removable.items()
            for step in (-1, 1)
            if 1 <= counts[name] + step <= n
        ]

    def size(self, counts: Mapping[str, int]) -> float:
        """As a share of the whole network."""
        return self._measure(counts) / self._whole

    def _measure(self, counts: Mapping[str, int]) -> int:
        if self._of == "neurons":
            return sum(counts.values())
        masks = {name: np.arange(n) < counts[name] for name, n in self._neurons.items()}
        found = self._switches.size({name: mask.astype(np.float32) for name, mask in masks.items()})
        return found.macs if self._of == "macs" else found.parameters
