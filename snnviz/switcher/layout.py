"""The positions of each group's neurons in a list of all groups' neurons."""

import numpy as np
import torch
from torch import Tensor

_LEAST_SPREAD = 1e-5  # smaller differences within a group are ignored


class Layout:
    """The positions of each group's neurons in a list of all groups' neurons, as matrices.

    With them, taking means within groups and spreading them over neurons are matrix products: one
    operation for all groups, and the same result in every run on a device.
    """

    def __init__(self, counts: tuple[int, ...], like: Tensor) -> None:
        self.counts, self._kind = counts, (like.device, like.dtype, type(like))
        group = np.repeat(np.arange(len(counts)), counts)  # (N,)
        sizes, ranks = np.array(counts)[:, None], np.arange(1, max(counts) + 1)
        first = np.cumsum(counts)[:, None] - sizes
        padded = np.where(ranks <= sizes, first + ranks - 1, len(group))
        members = (group[:, None] == np.arange(len(counts))).astype(np.float32)
        self.padded = torch.from_numpy(padded).to(
            like.device
        )  # (groups, most): N where a group has no such neuron
        self.members = torch.from_numpy(members).to(like)  # (N, groups): 1 for a neuron's own group
        self.sums = self.members.T.contiguous()  # (groups, N)
        self.sizes = torch.from_numpy(sizes).to(like)  # (groups, 1)
        self.ranks = torch.from_numpy(ranks).to(like)  # (most,)

    def fits(self, counts: tuple[int, ...], like: Tensor) -> bool:
        return self.counts == counts and self._kind == (like.device, like.dtype, type(like))

    def means(self, x: Tensor) -> Tensor:
        """(N, k) -> (groups, k)"""
        return self.sums @ x / self.sizes

    def centred(self, x: Tensor) -> Tensor:
        """(N, k): each value minus its group's mean."""
        return x - self.members @ self.means(x)

    def standardised(self, x: Tensor) -> Tensor:
        """(N, k): with mean 0 and standard deviation 1 in each group; 0 where all are equal."""
        centred = self.centred(x)
        # The square root has an infinite slope at 0.
        variance = self.means(centred.square()).clamp_min(1e-30)
        return centred / (self.members @ (variance.sqrt() + _LEAST_SPREAD))
