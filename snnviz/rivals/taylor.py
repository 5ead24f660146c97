"""Taylor (Molchanov et al. 2019): neurons whose removal changes the loss least, to first order."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from snnviz.rivals.pruning import Scores, find_coupled_layers, sum_channels, train_and_prune
from snnviz.rivals.start import Start, check_setting
from snnviz.training.learners import Learners
from snnviz.training.trainer import AlternatingTrainer


def taylor(
    start: Start, size: float | None = None, prune_at: float = 0.5, momentum: float = 0.99
) -> AlternatingTrainer:
    """Removes the neurons whose weights, set to 0, change the loss least to first order.

    The gradients are those of the task steps before pruning, so that no further images are seen.

    Args:
        start: what to train.
        size: share of the parameters to keep; None: as in the reference.
        prune_at: share of the epochs after which neurons are removed.
        momentum: weight of the earlier steps in the running mean of the scores (0 to 1); 0.99
            averages over about the last hundred steps.
    """
    share = check_setting("momentum", momentum, 0, 0.9999)
    scores = RunningScores(start.data.batch("train", torch.arange(2))[0], share)
    # The learners call what `shrinkage` makes after the backward pass of each task step.
    learners = partial(Learners, shrinkage=scores.observe)
    return train_and_prune(start, scores.read, size, prune_at, learners)


class RunningScores:
    """A running mean over task steps of Torch-Pruning's first-order importance.

    Of a neuron with incoming weights w and outgoing weights v, a step gives the mean of
    |sum of w dL/dw| and |sum of v dL/dv| (equation 10 of the paper without the square).
    """

    def __init__(self, example: Tensor, momentum: float) -> None:
        self._example, self._momentum = example, momentum
        self._means: dict[str, Tensor] = {}
        self._weight = 0.0  # of all steps so far, in the means

    def observe(self, learners: Learners) -> Callable[[], None]:
        """A function that adds the scores of the step whose gradients the network holds."""
        import torch_pruning as tp

        network = learners.network
        example = self._example.to(learners.device)
        coupled = find_coupled_layers(network, learners.switches, example)
        network.zero_grad(set_to_none=True)
        network.train()
        unchanged: Any = None  # the mean over steps is normalised, not each step
        importance = tp.importance.TaylorImportance(multivariable=True, normalizer=unchanged)

        def add() -> None:
            self._weight = self._momentum * self._weight + (1 - self._momentum)
            for name, layers in coupled.items():
                scores = importance(layers)
                if scores is None:
                    raise ValueError(
                        f"Torch-Pruning has no score for the neurons of group {name!r}."
                    )
                before = self._means.get(name, torch.zeros_like(scores))
                self._means[name] = before.lerp(scores, 1 - self._momentum)

        return add

    def read(self, trainer: AlternatingTrainer) -> Scores:
        """The means, divided by the mean of their group, so that groups are comparable."""
        found: Scores = {}
        for name, group in trainer.switches.groups.items():
            mean = self._means[name].cpu().numpy() / self._weight
            scores = sum_channels(group, mean)
            found[name] = scores / max(scores.mean(), 1e-30)
        return found
