"""Limits on the sizes that a description gives in numbers.

Loading allocates no more than the weights. But a forward pass allocates what its calls ask for, so
a single number of a damaged file should not be able to ask for more memory than there is.
"""

import math
from collections.abc import Iterator
from typing import Any

LARGEST = 2**24  # a single size, such as the rows of padding or the end of a range
MOST = 2**31  # elements, of a size in which all numbers are given
FINEST = 2.0**-10  # step of a range

_SIZES = """
    torch.zeros torch.ones torch.full torch.eye torch.tile torch.broadcast_to
    repeat tile expand broadcast_to new_zeros new_ones new_full torchvision.shifted_window_attention
"""
_NUMBERS = """
    torch.arange torch.linspace torch.repeat_interleave repeat_interleave
    F.pad F.interpolate F.fold F.unfold F.affine_grid
    F.adaptive_avg_pool1d F.adaptive_avg_pool2d F.adaptive_avg_pool3d
    F.adaptive_max_pool1d F.adaptive_max_pool2d F.adaptive_max_pool3d
"""
_IN_SIZES, _IN_NUMBERS = frozenset(_SIZES.split()), frozenset(_NUMBERS.split())


def check_call(target: str, args: tuple, kwargs: dict[str, Any]) -> None:
    """Raises ValueError for a call that asks for too much by its numbers alone."""
    if target in _IN_SIZES or target in _IN_NUMBERS:
        # The value with which a tensor is filled is not a size.
        kept = {
            name: value for name, value in kwargs.items() if name not in ("value", "fill_value")
        }
        if target in ("torch.full", "new_full"):
            args = tuple(value for value in args if isinstance(value, tuple | list))
        elif target == "F.pad":
            args = args[:2]
        check_numbers(target, [*args, *kept.values()])
        sizes = [abs(n) for n in _numbers([*args, *kept.values()]) if isinstance(n, int) and n]
        if target in _IN_SIZES and math.prod(sizes) > MOST:
            raise ValueError(f"{target} asks for {math.prod(sizes)} elements, at most {MOST}")
    if target == "torch.arange":
        step = args[2] if len(args) > 2 else kwargs.get("step", 1)
        if isinstance(step, int | float) and not abs(step) >= FINEST:
            raise ValueError(f"{target} has a step of {step}, at least {FINEST}")


def check_numbers(where: str, values: Any) -> None:
    """Raises ValueError if one of the numbers in the values is larger than a size can be."""
    for number in _numbers(values):
        if not abs(number) <= LARGEST:
            raise ValueError(f"{where} has a size of {number}, at most {LARGEST}")


def _numbers(values: Any) -> Iterator[int | float]:
    if isinstance(values, int | float) and not isinstance(values, bool):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _numbers(value)
