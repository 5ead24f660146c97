"""Tensors of a network that its `state_dict()` leaves out: a run needs them as well to go on.

These are buffers that are not persistent, and tensors that a module holds as ordinary attributes,
also within lists, tuples and dicts.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_OWN = set(vars(nn.Module()))  # attributes of every module


def find_unregistered(network: nn.Module) -> dict[str, Tensor]:
    """{path: tensor}: all dense tensors that `state_dict()` leaves out, computed ones aside."""
    known = {id(tensor) for tensor in network.state_dict(keep_vars=True).values()}
    found: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        own = {k: v for k, v in vars(module).items() if k not in _OWN}
        for path, tensor in _tensors_in(module._buffers | own, name):
            plain = tensor.layout == torch.strided and not tensor.is_complex()
            if plain and tensor.is_leaf and id(tensor) not in known:
                found[path] = tensor
                known.add(id(tensor))
    return found


def copy_of(network: nn.Module, paths: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the tensors at these paths, those that still have their shape."""
    now = find_unregistered(network)
    return {
        path: now[path].detach().clone()
        for path, before in paths.items()
        if path in now and now[path].shape == before.shape
    }


@torch.no_grad()
def put_back(network: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Restores what `copy_of` returned; warns of tensors for which it cannot be done."""
    now, lost = find_unregistered(network), []
    for path, value in values.items():
        here = now.get(path)
        if here is None or here.shape != value.shape or here.dtype != value.dtype:
            lost.append(path)
        elif not torch.equal(here, value.to(here.device)):
            here.copy_(value)
    if lost:
        warnings.warn(
            f"network cannot get back {', '.join(lost)}, which its state_dict() leaves out: the "
            "tensor is missing or has another shape, so the outputs may differ from those of the "
            "run. Register such tensors with register_buffer(name, tensor).",
            stacklevel=2,
        )


def _tensors_in(value: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, Mapping | list | tuple):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in parts:
            yield from _tensors_in(part, f"{path}.{key}".lstrip("."))
