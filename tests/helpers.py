"""What tests of many files ask: what an error said, whether two runs were the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snnviz.history import History


def message_of(call: Callable[[], Any], error: type[BaseException] = ValueError) -> str:
    """What the error says that `call` raises; no subclass of `error`, unless it is a ValueError."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error or error is ValueError
    return str(caught.value)


def example(shape: tuple[int, ...] = (3, 8, 8), n: int = 2) -> Tensor:
    """Random images, the same at every call."""
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def assert_same_history(one: History, other: History, notes: bool = True) -> None:
    """Byte for byte, except for how long it took."""
    assert one.groups == other.groups
    assert one._steps == other._steps
    assert [row[:-1] for row in one.epoch_rows()] == [row[:-1] for row in other.epoch_rows()]
    if notes:
        assert one._notes == other._notes
    for group, factors in one.factors.items():
        assert factors.tobytes() == other.factors[group].tobytes()


class Trap:
    """If something unpickles it, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)
