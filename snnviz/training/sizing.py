"""A size that is asked for: how many neurons of each group stay, and which.

This is an extension, not in the paper. A ramp in the schedule says how many neurons stay, and the
switcher's scores say which. The activation then sees only those that stay, so that `unit_mean`
gives a mean of 1 over them and not over the whole group.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnviz.structure import Switches
from snnviz.structure.sizes import keep_counts, smallest_size
from snnviz.switcher.activations import factors_of
from snnviz.switcher.layout import Layout
from snnviz.training.schedule import Position, Schedule

Counts = dict[str, int]  # {group: neurons}
Masks = dict[str, Tensor]  # {group: (neurons,) bool, on the CPU}: the neurons that stay

# The least factor of a neuron that stays once the size is reached, for with 0 it would be off and
# the size be missed. A neuron with this factor still learns, and can rise again.
LEAST_FACTOR = 0.1
_TOLERANCE = 1.01  # a size that is missed by no more than this counts as reached


class Wanted:
    """How many neurons of each group a schedule's size leaves; computed once for each size."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._known: dict[tuple[float, str], Counts] = {}

    def counts(self, schedule: Schedule) -> Counts | None:
        """{group: neurons} at the end of the ramp; None where no size is asked for."""
        if schedule.size is None:
            return None
        key = schedule.size, schedule.size_of
        if key not in self._known:
            self._known = {key: keep_counts(self._switches, *key)}
        return self._known[key]

    def check(self, schedule: Schedule, pins: Mapping[str, Tensor]) -> None:
        """Checks that the network can have the schedule's size, with these pins.

        Raises:
            ValueError: it cannot.
        """
        check_size(schedule, self._switches)
        for name, wanted in (self.counts(schedule) or {}).items():
            n, on, off = len(pins[name]), int((pins[name] > 0).sum()), int((pins[name] == 0).sum())
            if on <= wanted <= n - off:
                continue
            pinned = f"{on} are pinned on" if on > wanted else f"{off} are pinned off"
            raise ValueError(
                f"schedule.size is {schedule.size:g} of the {schedule.size_of}, which leaves "
                f"{wanted} of the {n} neurons of {name!r}, but {pinned}. Release some of them with "
                "unpin, or use another size."
            )


def check_size(schedule: Schedule, switches: Switches) -> None:
    """Checks that the network can become as small as the schedule asks.

    Raises:
        ValueError: it cannot.
    """
    if schedule.size is None:
        return
    smallest = smallest_size(switches, schedule.size_of)
    if smallest > schedule.size * _TOLERANCE:
        raise ValueError(
            f"schedule.size must be at least {np.ceil(smallest * 1000) / 1000:g} of the "
            f"{schedule.size_of} for this network, because every group keeps a neuron, and layers "
            f"without switches stay whole; got {schedule.size:g}. Use a larger size, or another "
            "schedule.size_of."
        )


def check_learns(schedule: Schedule, images: int, at: Position) -> None:
    """Checks that a switcher which tells no neurons apart yet will have a step to learn in.

    Raises:
        ValueError: it has none, and which neurons stay would depend on their order alone.
    """
    if schedule.size is None or schedule.through_switcher:
        return
    size = min(schedule.batch_size, images)
    batches = images // size  # in an epoch
    begin = max(at.epoch + at.batch / batches, schedule.warmup_epochs)
    left = round((schedule.epochs - schedule.freeze_epochs - begin) * batches)
    if left <= schedule.task_steps:
        raise ValueError(
            "schedule.size needs a switcher that has learned which neurons to keep, and with "
            f"task_steps={schedule.task_steps} it would have no step: the epochs in which it "
            f"learns have only {max(left, 0)} batches of {size} images. Use fewer task_steps, "
            "smaller batches or more epochs, or begin with a switcher that has learned."
        )


def count_kept(kept: Mapping[str, Tensor], wanted: Counts, done: float) -> Counts:
    """{group: neurons that stay} when this share of the ramp is over.

    Where fewer stay already (the ramp was moved, or neurons are pinned off), none come back until
    the ramp is below that; unless even the end of the ramp has more.
    """
    found = {}
    for name, mask in kept.items():
        n, last, now = len(mask), wanted[name], int(mask.sum())
        found[name] = min(n - round((n - last) * done), max(last, now))
    return found


def is_settled(kept: Mapping[str, Tensor], pins: Mapping[str, Tensor], counts: Counts) -> bool:
    """Whether these numbers of neurons stay already, with all pinned on and none pinned off."""
    for name, mask in kept.items():
        free = pins[name] < 0
        if int(mask.sum()) != counts[name] or not (free | (mask == (pins[name] > 0))).all():
            return False
    return True


def choose_kept(kept: Tensor, scores: np.ndarray, pins: Tensor, k: int) -> Tensor:
    """The k neurons of a group that stay: (neurons,) bool.

    First those pinned on, then those that stay already, then the others; within these, the highest
    scores first, and of equal ones the first neuron. Never those pinned off.

    Args:
        kept: (neurons,) bool, those that stay already.
        scores: (neurons,) of the switcher.
        pins: (neurons,) 1: pinned on, 0: pinned off, below 0: free.
        k: how many stay.
    """
    held = pins.numpy()
    rank = np.select([held == 0, held > 0, kept.numpy()], [3, 0, 1], 2)
    order = np.lexsort((-scores, rank))  # by rank, then by score; stable
    chosen = np.zeros(len(rank), bool)
    chosen[order[:k]] = True
    return torch.from_numpy(chosen & (rank < 3))


class Kept:
    """Turns scores into factors of the neurons that stay; all others have the factor 0.

    Args:
        masks: which neurons stay.
        least: the least factor of a neuron that stays: s = least + (1 - least) · activation(z). So
            a score of 0 still gives a factor of 1, and the mean of `unit_mean` is still 1.
        device: of the scores.
    """

    def __init__(self, masks: Masks, least: float, device: torch.device) -> None:
        self.masks, self.least = masks, least
        self._groups, self._neurons = tuple(masks), tuple(map(len, masks.values()))
        self._counts = tuple(int(mask.sum()) for mask in masks.values())
        self._index = torch.cat(list(masks.values())).nonzero().squeeze(1).to(device)
        self._layout: Layout | None = None

    def factors(self, z: Tensor, activation: str) -> dict[str, Tensor]:
        """{group: factors (neurons,)} from the scores (neurons of all groups,)."""
        inside = z.index_select(0, self._index)  # (neurons that stay,)
        if self._layout is None or not self._layout.fits(self._counts, inside):
            self._layout = Layout(self._counts, inside)
        s = torch.cat(list(factors_of(inside, activation, self._layout)))
        if self.least:
            s = self.least + (1 - self.least) * s
        factors = torch.zeros_like(z).index_copy(0, self._index, s).split(self._neurons)
        return dict(zip(self._groups, factors, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether the factors are those of the activation alone."""
        return not self.least and self._counts == self._neurons

    def is_same(self, other: "Kept") -> bool:
        """Whether both turn the same scores into the same factors."""
        same = (mask.equal(other.masks[name]) for name, mask in self.masks.items())
        return self.least == other.least and all(same)


def split_scores(z: Tensor, pins: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """{group: scores (neurons,)} from the scores (neurons of all groups,)."""
    parts = z.float().cpu().split([len(pin) for pin in pins.values()])
    return {name: part.numpy() for name, part in zip(pins, parts, strict=True)}


def describe_size(schedule: Schedule, wanted: Counts, pins: Mapping[str, Any]) -> str:
    """What the history says of a size that is reached: "0.5 of the parameters: 200 of 400 …"."""
    neurons = sum(map(len, pins.values()))
    return (
        f"{schedule.size:g} of the {schedule.size_of}: {sum(wanted.values())} of {neurons} neurons"
    )
