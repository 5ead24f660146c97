"""Pruning by a score: train, switch the lowest neurons off for good, and train the others further.

A pin holds a neuron off, so that it is off in the history too. The gradients are the same as if the
neuron had been removed; a step takes as long as before.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.rivals.start import Start, check_setting
from snnviz.structure import Factors, Switches, SwitchGroup, scaled_parameters
from snnviz.structure.layers import inputs_of, units_of
from snnviz.structure.probe import copied
from snnviz.training.learners import Learners
from snnviz.training.trainer import AlternatingTrainer

Scores = dict[str, np.ndarray]  # {group: (neurons,)}; neurons with the lowest go first
Score = Callable[[AlternatingTrainer], Scores]


def magnitude(start: Start, size: float | None = None, prune_at: float = 0.5) -> AlternatingTrainer:
    """Removes the neurons whose incoming and outgoing weights have the smallest L1 norm.

    Torch-Pruning divides each norm by the mean of its group, so that groups are comparable.
    """
    return train_and_prune(start, score_by_l1, size, prune_at)


def random(start: Start, size: float | None = None, prune_at: float = 0.5) -> AlternatingTrainer:
    """Removes neurons at random."""

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
    """Trains, prunes, and trains further: in all, as many examples as without pruning.

    Args:
        start: what to train.
        score: computes at that moment which neurons go first.
        size: share of the parameters to keep (0 to 1); None: as in the reference, or without one
            the schedule's.
        prune_at: share of the epochs (0 to 1) after which neurons are switched off.
        learners: makes the learners, which stop shrinking at that moment.
        task_step: replaces the trainer's own.
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
    """Number of parameters to keep.

    Raises:
        ValueError: `size` is not a share, or there is neither a size nor a reference.
    """
    plan = start.schedule
    if size is None and start.reference is None and plan.size_of == "parameters":
        size = plan.size
    if size is not None:
        return round(check_setting("size", size, 0, 1) * switches.parameters)
    if start.reference is None:
        raise ValueError(
            "settings.size is missing. Give the share of the parameters to keep (0 to 1), or the "
            "switched run whose size to take: reference=..."
        )
    return switches.size(start.reference).parameters


def find_lowest(switches: Switches, scores: Scores, target: int) -> dict[str, list[int]]:
    """The neurons with the lowest scores whose removal brings the size nearest to the target.

    In each group, the neuron with the highest score stays.
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

    least, most = 0, len(ranked)  # the smallest number that reaches the target
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

    It is computed on a copy into whose parameters the factors are folded.
    """
    network = fold_factors(trainer.network, trainer.switches, trainer.factors)
    example = trainer.data.batch("train", torch.arange(2))[0]
    coupled = find_coupled_layers(network, trainer.switches, example)
    found: Scores = {}
    for name, layers in coupled.items():
        scores = importance(layers)
        if scores is None:
            raise ValueError(f"Torch-Pruning has no score for the neurons of group {name!r}.")
        group = trainer.switches.groups[name]
        found[name] = sum_channels(group, scores.detach().cpu().numpy())
    return found


def find_coupled_layers(network: nn.Module, switches: Switches, example: Tensor) -> dict[str, Any]:
    """{group: what Torch-Pruning would prune together with all of its channels}.

    Of heads, for which it has nothing, what reads them.
    """
    import torch_pruning as tp

    graph = tp.DependencyGraph().build_dependency(network, example_inputs=example)
    found = {}
    for name, group in switches.groups.items():
        if group.heads:
            found[name] = _what_reads(network.get_submodule(group.readers[0]))
            continue
        layer: Any = network.get_submodule(group.writers[0])
        prune = (
            tp.prune_conv_out_channels if layer.weight.ndim > 2 else tp.prune_linear_out_channels
        )
        found[name] = graph.get_pruning_group(layer, prune, idxs=list(range(units_of(layer))))
    return found


def _what_reads(layer: Any) -> Any:
    import torch_pruning as tp

    channels, places = inputs_of(layer), layer.weight.shape[2:]
    given = layer.weight.new_zeros(1, channels, *places)
    graph = tp.DependencyGraph().build_dependency(layer, example_inputs=given)
    prune = tp.prune_conv_in_channels if places else tp.prune_linear_in_channels
    return graph.get_pruning_group(layer, prune, idxs=list(range(channels)))


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


def sum_channels(group: SwitchGroup, scores: np.ndarray) -> np.ndarray:
    """Scores of neurons from those of a layer's channels: the sum, where a neuron has several."""
    member = (group.read_as if group.heads else group.written_as)[0]
    found = np.zeros(group.neurons)
    np.add.at(found, member.neurons, scores[member.channels])
    return found


def _leave_out_best(scores: np.ndarray) -> Mapping[int, None]:
    best = int(np.argmax(scores))
    return dict.fromkeys(i for i in range(len(scores)) if i != best)
