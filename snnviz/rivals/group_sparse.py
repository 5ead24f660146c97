"""Group sparsity (Fang et al. 2023, DepGraph): a growing penalty on all weights of weak neurons."""

from typing import Any

import torch
from torch import Tensor

from snnviz.rivals.pruning import Scores, by_group, pruned
from snnviz.rivals.start import Start, number
from snnviz.training import Learners, Trainer


def group_sparse(
    start: Start, strength: float = 5e-4, size: float | None = None, prune_at: float = 0.5
) -> Trainer:
    """Torch-Pruning's `GroupNormPruner`: shrinks groups as it trains, prunes, trains on without.

    Args:
        start: what to train.
        strength: of the penalty (`reg`).
        size: share of the parameters that is left; None: as in the reference.
        prune_at: the share of the epochs after which neurons go.
    """
    weight = number("strength", strength, 0)
    example = start.data.batch("train", torch.arange(2))[0]

    class GroupSparse(GroupSparseLearners):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.prepare(example.to(self.device), weight)

    return pruned(start, group_norms, size, prune_at, GroupSparse)


class GroupSparseLearners(Learners):
    """Has Torch-Pruning add the penalty's slope to the gradients of each task step."""

    _pruner: Any = None

    def prepare(self, example: Tensor, strength: float) -> None:
        import torch_pruning as tp

        self._pruner = tp.pruner.GroupNormPruner(
            self.network,
            example,
            importance=tp.importance.MagnitudeImportance(p=2),
            reg=strength,
            ignored_layers=[module for _, module in self._not_switched()],
        )
        self.network.zero_grad(set_to_none=True)
        self.network.train()

    def stop_shrinking(self) -> None:
        self._pruner = None

    def _shrink(self) -> None:
        if self._pruner is not None:
            self._pruner.regularize(self.network)

    def _not_switched(self) -> list[tuple[str, torch.nn.Module]]:
        written = {name for group in self.groups for name in group.writers}
        kinds = (torch.nn.Linear, torch.nn.Conv2d)
        return [
            (name, module)
            for name, module in self.network.named_modules()
            if isinstance(module, kinds) and name not in written
        ]


def group_norms(trainer: Trainer) -> Scores:
    """The L2 norms of all weights of a neuron, those that read it as well."""
    import torch_pruning as tp

    return by_group(trainer, tp.importance.MagnitudeImportance(p=2))
