"""The order of batches: which images each one takes, by seeded shuffling without an end."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snnviz.checks import whole
from snnviz.devices import standard_settings


class BatchOrder:
    """Seeded shuffling of n rows, epoch after epoch; its only state is a counter.

    Batch k of epoch e consists of the rows k*b to (k+1)*b of a permutation drawn from (seed, e).
    The last n % b rows of a permutation are skipped in that epoch. If there are fewer rows than
    batch_size, every batch has n rows.

    >>> order = BatchOrder(n=10, batch_size=4, seed=0)
    >>> order.batches_per_epoch, len(order.next()[0]), order.state_dict()
    (2, 4, {'seed': 0, 'drawn': 1})
    """

    def __init__(self, n: int, batch_size: int, seed: int = 0) -> None:
        n, batch_size = whole("n", n, 1), whole("batch_size", batch_size, 1)
        self.n, self.batch_size = n, min(batch_size, n)
        self.load_state_dict({"seed": seed, "drawn": 0})

    @property
    def batches_per_epoch(self) -> int:
        return self.n // self.batch_size

    def next(self) -> tuple[Tensor, torch.Generator]:
        """The rows (b,) of the next batch, int64 on the CPU, and a generator for augmenting it."""
        epoch, k = divmod(self.drawn, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._draw_order(epoch)
        rows = self._order[k * self.batch_size : (k + 1) * self.batch_size]
        generator = _make_generator(self.seed, 1, self.drawn)
        self.drawn += 1
        return rows, generator

    @standard_settings()  # an order drawn in inference mode could not be used in training
    def _draw_order(self, epoch: int) -> Tensor:
        generator = _make_generator(self.seed, 0, epoch)
        return torch.randperm(self.n, generator=generator, device="cpu")  # (n,)

    def state_dict(self) -> dict[str, int]:
        return {"seed": self.seed, "drawn": self.drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues where `state_dict` was called; n and batch_size must be the same as then."""
        self.seed, self.drawn = (whole(key, state.get(key), 0) for key in ("seed", "drawn"))
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64, device="cpu")


def _make_generator(seed: int, use: int, number: int) -> torch.Generator:
    """A CPU generator for each number, hashed so that similar seeds give unrelated ones."""
    state = np.random.SeedSequence((seed, use, number)).generate_state(1, np.uint64)
    return torch.Generator("cpu").manual_seed(int(state[0]))
