"""A copy of a network from which another trainer can begin."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from snnviz.structure.probe import copied


def copy_network(network: nn.Module, epoch_end: Mapping[str, Any]) -> nn.Module:
    """A copy of a trainer's network, with finite parameters even if training has diverged.

    Args:
        network: the trainer's.
        epoch_end: the trainer's state at the last epoch's end, which was sound.
    """
    copy = copied(network)
    if not all(bool(parameter.isfinite().all()) for parameter in copy.parameters()):
        copy.load_state_dict(epoch_end["network"])
    return copy
