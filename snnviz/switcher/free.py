"""Free factors: a replacement for the switcher that reads nothing. Each neuron has its own score.

The advantage of a switcher over free factors comes from reading weights.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from snnviz.structure import NeuronWeights
from snnviz.switcher.activations import ACTIVATIONS
from snnviz.switcher.config import SwitcherConfig


class FreeFactors(nn.Module):
    """Gives every neuron a factor that does not depend on its weights.

    Args:
        neurons: {group: number of neurons}.
        config: activation and gain, as for a switcher.
    """

    def __init__(self, neurons: Mapping[str, int], config: SwitcherConfig) -> None:
        super().__init__()
        self.config, self.groups = config, tuple(neurons)
        self.scores = nn.ParameterList(torch.zeros(n) for n in neurons.values())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Raises ValueError: each score belongs to a neuron of this network alone."""
        raise ValueError(
            'switcher must be one that reads weights to be saved, got reads="nothing": its factors '
            "belong to the neurons of this network alone. Save the run instead: "
            "trainer.save_to(folder)."
        )

    def read(self, weights: Mapping[str, NeuronWeights]) -> None:
        """Nothing is read."""

    def factors(self, readings: None = None) -> dict[str, Tensor]:
        """{group: factors (neurons,)}; all of them 1 at the start."""
        scores = self.compute_scores(readings).split([len(own) for own in self.scores])
        activation = ACTIVATIONS[self.config.activation]
        return dict(zip(self.groups, map(activation, scores), strict=True))

    def compute_scores(self, readings: None = None) -> Tensor:
        """(neurons of all groups,): the scores that become factors."""
        return torch.cat([own * self.config.gain_of(len(own)) for own in self.scores])
