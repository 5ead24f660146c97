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
    """Torch-Pruning's `GroupNormPruner`: shrinks groups as it trains, prunes, trains on without.

    Args:
        start: what to train.
        strength: of the penalty (`reg`).
        size: share of the parameters that is left; None: as in the reference.
        prune_at: the share of the epochs after which neurons go.
    """
    weight = check_setting("strength", strength, 0)
    example = start.data.batch("train", torch.arange(2))[0]
    shrinkage = partial(shrink_groups, example=example, strength=weight)
    learners = partial(Learners, shrinkage=shrinkage)
    return train_and_prune(start, group_norms, size, prune_at, learners)


def shrink_groups(learners: Learners, example: Tensor, strength: float) -> Callable[[], None]:
    """Has Torch-Pruning add the penalty's slope to the gradients of each task step."""
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
    written = {name for group in learners.groups for name in group.writers}
    return [
        module
        for name, module in learners.network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and name not in written
    ]


def group_norms(trainer: AlternatingTrainer) -> Scores:
    """The L2 norms of all weights of a neuron, those that read it as well."""
    import torch_pruning as tp

    return score_groups(trainer, tp.importance.MagnitudeImportance(p=2))
