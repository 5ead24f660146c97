"""How a neuron gets its factor: from what the switcher reads, to the score, to the factor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnviz import checks
from snnviz.structure import NeuronWeights
from snnviz.switcher.activations import ACTIVATIONS, unit_mean
from snnviz.switcher.descriptors import describe_neurons
from snnviz.switcher.free import FreeFactors
from snnviz.switcher.layout import Layout
from snnviz.switcher.switcher import Switcher

WITH_SCORES = (Switcher, FreeFactors)


@dataclass(frozen=True, eq=False)
class Explanation:
    """How the switcher gets from the weights of the n neurons of a group to their factors.

    With `unit_mean` a factor is relu(score - waterline): a neuron is off if its score is not above
    the waterline.

    Attributes:
        group: its name.
        reads: what the switcher reads, as in `SwitcherConfig`.
        activation: from scores to factors, as in `SwitcherConfig`.
        descriptors: names of the descriptors.
        values: the neurons' own descriptors (n, descriptors).
        standardised: the same with mean 0 and standard deviation 1 within the group.
        inputs: what the switcher reads instead of the weights (n, descriptors): `standardised`, or
            for a control another neuron's or random numbers. None: it reads no descriptors.
        scores: the switcher's scores, multiplied by the gain (n,).
        waterline: the score above which a neuron is on; None without `unit_mean`.
        factors: the factors that follow (n,).
        stays: where the schedule asks for a size, which neurons it leaves (n,); all others are off.
        least: the least factor of a neuron that stays: s = least + (1 - least) · activation.
    """

    group: str
    reads: str
    activation: str
    descriptors: tuple[str, ...]
    values: Tensor
    standardised: Tensor
    inputs: Tensor | None
    scores: Tensor
    waterline: float | None
    factors: Tensor
    stays: Tensor | None = None
    least: float = 0.0

    def factors_from(self, scores: Tensor) -> Tensor:
        """Factors of neurons that stay and have other scores; all else of the group is as it is.

        The waterline stays where it is. An activation without a waterline gets the scores alone.
        """
        if self.waterline is None:
            active = ACTIVATIONS[self.activation](scores.flatten()).reshape(scores.shape)
        else:
            active = torch.relu(scores - self.waterline)
        return self.least + (1 - self.least) * active if self.least else active


@torch.no_grad()
def explain(
    switcher: Any,
    weights: Mapping[str, NeuronWeights],
    stays: Mapping[str, Tensor] | None = None,
    least: float = 0.0,
) -> dict[str, Explanation]:
    """How a switcher gets from these weights to factors: {group: explanation}, on the CPU.

    Args:
        switcher: a `Switcher`, or `FreeFactors` for these groups.
        weights: {group: the weights of its neurons}.
        stays: {group: the neurons that a size leaves (n,) bool}; None: no size is asked for.
        least: the least factor of a neuron that stays.

    Raises:
        TypeError: it gives factors without scores, as the gates of `snnviz.rivals` do.
    """
    advice = "Give the switcher of a trainer made by snnviz.Trainer."
    checks.kind_of("switcher", switcher, WITH_SCORES, "a switcher that gives scores", advice)
    config, own = switcher.config, next(switcher.parameters()).dtype
    readings = switcher.read(weights)
    factors = switcher.factors(readings)
    known = [
        describe_neurons(group.map(lambda part: part.to(own)), config.descriptors)
        for group in weights.values()
    ]
    values = torch.cat(known).cpu()
    layout = Layout(tuple(map(len, known)), values)
    counts = layout.counts
    inputs = readings.values.cpu().split(counts) if isinstance(switcher, Switcher) else None
    parts = zip(
        weights,
        values.split(counts),
        layout.standardised(values).split(counts),
        inputs or [None] * len(counts),
        switcher.compute_scores(readings).cpu().split(counts),
        strict=True,
    )
    made = {}
    for group, own_values, standardised, read, scores in parts:
        activation = ACTIVATIONS[config.activation]
        mask = None if stays is None else stays[group]
        if mask is None:
            active = given = factors[group].cpu()
        else:  # the activation sees only those that stay
            active = torch.zeros_like(scores)
            active[mask] = activation(scores[mask])
            given = torch.where(mask, least + (1 - least) * active, 0)
        told = group, config.reads, config.activation, config.descriptors
        level = waterline(scores, active) if activation is unit_mean else None
        made[group] = Explanation(
            *told, own_values, standardised, read, scores, level, given, mask, least
        )
    return made


def waterline(scores: Tensor, factors: Tensor) -> float:
    """tau of `unit_mean`, for which the factors are relu(scores - tau)."""
    on = factors > 0
    return float((scores[on].double() - factors[on].double()).mean())


@torch.no_grad()
def partial_dependence(
    switcher: Switcher, explained: Explanation, descriptor: str, at: Tensor
) -> tuple[Tensor, Tensor]:
    """How score and factor depend on one descriptor, if the others stay as they are.

    For each point, one neuron at a time gets this value of the descriptor and keeps its other
    descriptors; the rest of the group, and so the waterline, stays as it is. The results are means
    over the neurons of the group; where a size is asked for, over those that stay.

    Args:
        descriptor: one of `explained.descriptors`.
        at: its values, standardised (points,).

    Returns:
        The mean score and the mean factor at each point (points,), on the CPU.

    Source: partial dependence (Friedman 2001, section 8.2).
    """
    if explained.inputs is None:
        raise ValueError(
            f"explained must be of a switcher that reads descriptors, got one that reads "
            f"{explained.reads!r}."
        )
    column = explained.descriptors.index(descriptor)
    device = next(switcher.parameters()).device
    gain = switcher.config.gain_of(len(explained.scores))
    inputs = explained.inputs if explained.stays is None else explained.inputs[explained.stays]
    scores, factors = [], []
    for value in at.tolist():
        changed = inputs.clone()
        changed[:, column] = value
        z = switcher.layers(changed.to(device)).squeeze(1).cpu() * gain
        scores.append(z.mean())
        factors.append(explained.factors_from(z).mean())
    return torch.stack(scores), torch.stack(factors)
