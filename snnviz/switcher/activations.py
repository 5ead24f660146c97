"""Functions that turn scores into factors."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from snnviz.switcher.layout import Layout


def unit_mean(z: Tensor) -> Tensor:
    """s = relu(z - tau), with tau such that the mean of s is 1.

    The neurons of a group compete for a fixed total, and those below the waterline tau are off
    exactly. The gradient by the scores of those that are on is that by their factors less its mean.

    Args:
        z: scores (n,).

    Returns:
        Factors (n,) with mean 1.

    Source: sparsemax (Martins & Astudillo 2016, algorithm 1), scaled from sum 1 to sum n.
    """
    return unit_means(z, Layout((len(z),), z))


def unit_means(z: Tensor, groups: Layout) -> Tensor:
    """`unit_mean` of every group at once: z is (neurons of all groups,)."""
    with torch.no_grad():  # computes only the support, which has no gradient
        padded = torch.cat([z, z.new_full((1,), -math.inf)])[groups.padded]  # (groups, most)
        top = padded.amax(1, keepdim=True)
        # Sums stay accurate for large scores, and the factors do not change.
        descending = torch.sort(padded - top, descending=True).values
        waterline = (
            descending.cumsum(1) - groups.sizes
        ) / groups.ranks  # tau if this many neurons were on
        last = (descending > waterline).sum(1, keepdim=True) - 1
        tau = waterline.gather(1, last.clamp_min(0))  # NaN scores leave `last` at -1
        top, tau = (groups.members @ torch.cat([top, tau], 1)).unbind(1)
        support = (z - top > tau).to(z.dtype)
        count = groups.sums @ support  # (groups,)
    z = z - top
    tau = (groups.sums @ (z * support) - groups.sizes.squeeze(1)) / count
    return F.relu(z - groups.members @ tau) * support


def hard_sigmoid(z: Tensor) -> Tensor:
    """s = 1 + z, clipped to between 0 and 1."""
    # Not `clamp`: its gradient at z = 0 is 0 in some releases, where a new switcher starts.
    return torch.where(z > 0, torch.ones_like(z), F.relu(1 + z))


def relu(z: Tensor) -> Tensor:
    """s = relu(1 + z), without an upper limit."""
    return F.relu(1 + z)


# All of them map 0 to 1, so that a new switcher changes nothing. Users may add their own.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "unit_mean": unit_mean,
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
}


def factors_of(z: Tensor, activation: str, groups: Layout) -> Sequence[Tensor]:
    """Factors (neurons,) of each group, from the scores (neurons of all groups,)."""
    if ACTIVATIONS[activation] is unit_mean:
        return unit_means(z, groups).split(groups.counts)
    return [ACTIVATIONS[activation](part) for part in z.split(groups.counts)]
