"""What if: the network with some neurons switched by hand, on test images, class by class."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnviz.training import AlternatingTrainer, pins

# {group: {neuron: on}}, or for short {group: neurons that are off}
Changes = Mapping[str, Mapping[int, bool] | Sequence[int]]

BATCH = 500
PATIENCE = 1.5  # seconds that an evaluation may take; what is left then is left out


@dataclass(frozen=True)
class Scores:
    """How many images of each class there were, and how many of them were right."""

    images: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """Of all images, 0 to 1."""
        return sum(self.right) / max(sum(self.images), 1)

    def of_class(self, i: int) -> float | None:
        """Accuracy of one class; None if no image is of it."""
        return self.right[i] / self.images[i] if self.images[i] else None


@dataclass(frozen=True)
class Trial:
    """A what-if and its result. Training does not use any of it.

    Attributes:
        changes: the neurons that are switched by hand, and how.
        already: those of them that were so before, {group: neurons}.
        before: with the current factors.
        after: with the changes.
        step: steps done when it was tried.
        classes: names.
        of: test images there are; fewer are used where the network is slow.
    """

    changes: dict[str, dict[int, bool]]
    before: Scores
    after: Scores
    step: int
    classes: tuple[str, ...]
    of: int
    already: Mapping[str, frozenset[int]] = field(default_factory=dict)


def check_changes(groups: Mapping[str, int], changes: Changes) -> dict[str, dict[int, bool]]:
    """The changes, written out.

    Raises:
        ValueError: there is no such group or neuron, or they are of another form.
    """
    form = "changes must be {group: {neuron: on}} or {group: [neurons that are off]}, got"
    if not isinstance(changes, Mapping):
        raise ValueError(f"{form} {changes!r}.")
    found = {}
    for group, neurons in changes.items():
        if not isinstance(neurons, Mapping | Sequence) or isinstance(neurons, str):
            raise ValueError(f"{form} {neurons!r} for {group!r}.")
        chosen = pins.choose_neurons(groups, group, list(neurons))
        wanted = neurons if isinstance(neurons, Mapping) else dict.fromkeys(chosen, False)
        found[group] = {i: bool(wanted[i]) for i in chosen}
    return found


def evaluate_changes(
    trainer: AlternatingTrainer, changes: Mapping[str, Mapping[int, bool]]
) -> Trial:
    """Evaluates the network with and without the changes, on the same test images."""
    factors = {name: s.clone() for name, s in trainer.factors.items()}
    already = {}
    for group, neurons in changes.items():
        was = (factors[group] > 0).tolist()
        already[group] = frozenset(i for i, on in neurons.items() if was[i] == on)
        for i in neurons.keys() - already[group]:
            # A neuron that is on keeps its own factor; one that comes on gets a factor of 1.
            factors[group][i] = float(neurons[i])
    before = score(trainer, trainer.factors)
    after = score(trainer, factors, sum(before.images))
    kept = {group: dict(neurons) for group, neurons in changes.items() if neurons}
    data = trainer.data
    step, of = trainer.position.step, len(data.test)
    return Trial(kept, before, after, step, data.classes, of, already)


@torch.no_grad()
def score(
    trainer: AlternatingTrainer, factors: Mapping[str, Tensor], most: int | None = None
) -> Scores:
    """Counts correct answers by class: of `most` test images, or of as many as time allows."""
    data, began = trainer.data, time.perf_counter()
    # In random order, for test images may be sorted by class.
    order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(0))[:most]
    counts = torch.zeros(2, data.n_classes, dtype=torch.int64, device=data.device)
    for index in order.split(BATCH):
        images, labels = data.batch("test", index)
        right = trainer.learners.logits(images, factors).argmax(1) == labels
        counts[0].index_add_(0, labels, torch.ones_like(labels))
        counts[1].index_add_(0, labels, right.long())
        if most is None and time.perf_counter() - began > PATIENCE:
            break
    found, hits = counts.tolist()
    return Scores(tuple(found), tuple(hits))
