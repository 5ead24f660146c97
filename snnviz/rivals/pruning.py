"""Pruning by a score: train, turn the lowest neurons off for good, train on with the others.

What is turned off is held off by a pin, so that it is off in the history too. A pin gives the same
gradients as if the neuron had been taken out; the time of the steps behind it stays.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.rivals.start import Start, check_setting
from snnviz.structure import Factors, Switches, SwitchGroup, scaled_parameters
from snnviz.structure.probe import copied
from snnviz.training.learners import Learners
from snnviz.training.trainer import AlternatingTrainer

Scores = dict[str, np.ndarray]  # {group: (neurons,)}, the lowest go first
Score = Callable[[AlternatingTrainer], Scores]


def magnitude(start: Start, size: float | None = None, prune_at: float = 0.5) -> AlternatingTrainer:
    """By the L1 norm of the weights that lead into and out of a neuron (Torch-Pruning).

    Norms are divided by their group's mean, so that groups of all fan-ins compare.
    """
    return train_and_prune(start, score_by_l1, size, prune_at)


def random(start: Start, size: float | None = None, prune_at: float = 0.5) -> AlternatingTrainer:
    """By lot."""

    def draw_scores(trainer: AlternatingTrainer) -> Scores:
        rng = np.random.default_rng(start.seed)
        return {name: rng.random(n) for name, n in trainer.history.groups.items()}

    return train_and_prune(start, draw_scores, size, prune_at)


def train_and_prune(
    start: Start,
    score: Score,
    size: float | None,
    prune_at: float,
    learners: Callable[..., Learners] = Learners,
    task_step: Callable[..., Tensor] | None = None,
) -> AlternatingTrainer:
    """Trains, prunes, trains on: as many examples in all as without pruning.

    Args:
        start: what to train.
        score: says at that moment which neurons go first.
        size: share of the parameters that is left (0 to 1); None: as many as in the reference.
        prune_at: the share of the epochs (0 to 1) after which neurons are turned off.
        learners: makes the learners, which stop shrinking at that moment.
        task_step: in place of the trainer's own.
    """
    trainer = start.trainer(schedule=start.alone, learners=learners, task_step=task_step)
    target = target_parameters(start, trainer.switches, size)
    epochs = start.schedule.epochs
    before = min(max(round(check_setting("prune_at", prune_at, 0, 1) * epochs), 1), epochs)
    trainer.run(before, progress=False)
    off = find_lowest(trainer.switches, score(trainer), target)
    for group, neurons in off.items():
        trainer.pin(group, neurons, on=False)
    if trainer.finished:
        raise ValueError(
            f"settings.prune_at must leave at least one of {epochs} epochs to train on, "
            f"got {prune_at:g}."
        )
    trainer.learners.stop_shrinking()
    trainer.run(progress=False)
    return trainer


def target_parameters(start: Start, switches: Switches, size: float | None) -> int:
    """How many parameters are to be left.

    Raises:
        ValueError: `size` is no share, or there is neither a size nor a reference.
    """
    if size is not None:
        return round(check_setting("size", size, 0, 1) * switches.parameters)
    if start.reference is None:
        raise ValueError(
            "settings.size must say which share of the parameters is to be left (0 to 1), "
            "where there is no switched run to be as small as."
        )
    return switches.size(start.reference).parameters


def find_lowest(switches: Switches, scores: Scores, target: int) -> dict[str, list[int]]:
    """The neurons of least score that go, so that the size comes nearest to the target.

    One neuron of each group stays, that of the highest score.
    """
    names = list(scores)
    ranked = [
        (scores[name][i], g, i)
        for g, name in enumerate(names)
        for i in _leave_out_best(scores[name])
    ]
    ranked.sort()

    def factors(k: int) -> dict[str, np.ndarray]:
        left = {name: np.ones(len(values)) for name, values in scores.items()}
        for _, g, i in ranked[:k]:
            left[names[g]][i] = 0
        return left

    least, most = 0, len(ranked)  # the fewest that make it as small as the target
    while least < most:
        k = (least + most) // 2
        if switches.size(factors(k)).parameters <= target:
            most = k
        else:
            least = k + 1
    near = [k for k in (least - 1, least) if k >= 0]
    best = min(near, key=lambda k: abs(switches.size(factors(k)).parameters - target))
    off = {name: np.flatnonzero(values == 0).tolist() for name, values in factors(best).items()}
    return {name: neurons for name, neurons in off.items() if neurons}


def score_groups(trainer: AlternatingTrainer, importance: Callable[..., Tensor | None]) -> Scores:
    """Torch-Pruning's importance of every neuron of every switch group.

    It is asked of a copy in which the factors are folded in.
    """
    import torch_pruning as tp

    network = fold_factors(trainer.network, trainer.switches, trainer.factors)
    example = trainer.data.batch("train", torch.arange(2))[0]
    graph = tp.DependencyGraph().build_dependency(network, example_inputs=example)
    found: Scores = {}
    for name, group in trainer.switches.groups.items():
        layer: Any = network.get_submodule(group.writers[0])
        prune = (
            tp.prune_conv_out_channels if layer.weight.ndim > 2 else tp.prune_linear_out_channels
        )
        channels = list(range(len(layer.weight)))
        scores = importance(graph.get_pruning_group(layer, prune, idxs=channels))
        if scores is None:
            raise ValueError(f"Torch-Pruning finds nothing to judge the neurons of {name!r} by.")
        found[name] = _by_neuron(group, scores.detach().cpu().numpy())
    return found


def fold_factors(network: nn.Module, switches: Switches, factors: Factors) -> nn.Module:
    """A copy whose parameters hold the factors."""
    copy = copied(network)
    with torch.no_grad():
        for name, value in scaled_parameters(network, switches, factors).items():
            copy.get_parameter(name).copy_(value)
    return copy


def score_by_l1(trainer: AlternatingTrainer) -> Scores:
    import torch_pruning as tp

    return score_groups(trainer, tp.importance.MagnitudeImportance(p=1))


def _by_neuron(group: SwitchGroup, scores: np.ndarray) -> np.ndarray:
    """Scores of a layer's channels as those of the group's neurons: sums where several are one."""
    member = group.written_as[0]
    found = np.zeros(group.neurons)
    np.add.at(found, member.neurons, scores[member.channels])
    return found


def _leave_out_best(scores: np.ndarray) -> Mapping[int, None]:
    best = int(np.argmax(scores))
    return dict.fromkeys(i for i in range(len(scores)) if i != best)
