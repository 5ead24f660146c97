"""Group sparsity (Fang et al. 2023, DepGraph): a growing penalty on all weights of weak neurons."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from snnviz.rivals.pruning import Scores, score_groups, train_and_prune
from snnviz.rivals.start import Start, check_setting
from snnviz.training.learners import Learners
from snnviz.training.trainer import AlternatingTrainer


def group_sparse(
    start: Start, strength: float = 5e-4, size: float | None = None, prune_at: float = 0.5
) -> AlternatingTrainer:
    """Torch-Pruning's `GroupNormPruner`: trains with the penalty, prunes, and trains without it.

    Args:
        start: what to train.
        strength: strength of the penalty (`reg`).
        size: share of the parameters to keep; None: as in the reference.
        prune_at: share of the epochs after which neurons are removed.
    """
    weight = check_setting("strength", strength, 0)
    example = start.data.batch("train", torch.arange(2))[0]
    shrinkage = partial(shrink_groups, example=example, strength=weight)
    learners = partial(Learners, shrinkage=shrinkage)
    return train_and_prune(start, score_by_l2, size, prune_at, learners)


def shrink_groups(learners: Learners, example: Tensor, strength: float) -> Callable[[], None]:
    """Lets Torch-Pruning add the penalty's gradient in each task step."""
    import torch_pruning as tp

    network = learners.network
    pruner = tp.pruner.GroupNormPruner(
        network,
        example.to(learners.device),
        importance=tp.importance.MagnitudeImportance(p=2),
        reg=strength,
        ignored_layers=_layers_not_switched(learners),
    )
    network.zero_grad(set_to_none=True)
    network.train()
    return partial(pruner.regularize, network)


def _layers_not_switched(learners: Learners) -> list[nn.Module]:
    # Torch-Pruning has no groups of heads.
    written = {name for group in learners.groups if not group.heads for name in group.writers}
    return [
        module
        for name, module in learners.network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and name not in written
    ]


def score_by_l2(trainer: AlternatingTrainer) -> Scores:
    """The L2 norm of all weights of a neuron, outgoing ones included."""
    import torch_pruning as tp

    return score_groups(trainer, tp.importance.MagnitudeImportance(p=2))
