"""Feature hashing: reduces the many incoming weights of a wide layer to fewer numbers."""

import math

import torch
from torch import Tensor

MOST_INPUTS = 1024  # how many numbers a reader gets for a neuron's incoming weights


def random_signs(fan_in: int) -> Tensor:
    """(parts, MOST_INPUTS): +1 or -1 for each incoming weight, divided by sqrt(parts)."""
    parts = math.ceil(fan_in / MOST_INPUTS)
    generator = torch.Generator().manual_seed(fan_in)
    signs = torch.randint(0, 2, (parts, MOST_INPUTS), generator=generator) * 2.0 - 1.0
    return signs / math.sqrt(parts)


def hashed(incoming: Tensor, signs: Tensor, out: Tensor | None = None) -> Tensor:
    """Sums parts of the fan-in with random signs: (neurons, fan_in) -> (neurons, MOST_INPUTS).

    `out` is memory for the result, if there is no gradient.

    Source: feature hashing (Weinberger et al. 2009); it keeps inner products on average.
    """
    first, *others = incoming.split(signs.shape[1], 1)
    total = torch.mul(first, signs[0], out=out)
    for part, sign in zip(others, signs[1:], strict=True):
        count = part.shape[1]
        total[:, :count].addcmul_(part, sign[:count])  # in place: memory takes the time
    return total
