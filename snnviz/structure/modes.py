"""Runs a copy of the user's network in a mode, and leaves everything else as it was."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from snnviz.devices import seeded

_DROPOUTS = (
    F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout,
    torch.dropout, torch.alpha_dropout, torch.feature_dropout,
)  # fmt: skip


class _NoDropout(TorchFunctionMode):
    """Dropout returns what it is given: it draws other numbers for other numbers of channels."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func is F.scaled_dot_product_attention:
            kwargs = {key: value for key, value in kwargs.items() if key != "dropout_p"}
            args = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args
        if func is F.multi_head_attention_forward and len(args) > 10:
            args = (*args[:10], 0.0, *args[11:])
        return func(*args, **kwargs)


@contextmanager
def in_mode(network: nn.Module, mode: str, example: Tensor, seed: int = 0) -> Iterator[None]:
    """Runs a copy of the user's network in a mode; its buffers, and torch's random state, stay."""
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
        if mode == "training" and buffer is not None
    ]
    modes = [(module, module.training) for module in network.modules()]
    network.train(mode == "training")
    try:
        with (
            seeded(seed, example.device),
            _NoDropout(),
            torch.no_grad(),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # the user gets those of the first run
            yield
    finally:
        for module, training in modes:
            module.training = training
        for module, name, buffer, value in buffers:
            module._buffers[name] = buffer.copy_(value)
