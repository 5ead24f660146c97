"""What a network costs: parameters, MACs, bytes, time."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.export.vocabulary import as_saved, held_by
from snnviz.structure import Size
from snnviz.structure.probe import positions_used

_LATENCY_BATCHES = (1, 128)


def size_of(network: nn.Module, example: Tensor) -> Size:
    with positions_used(network) as positions, torch.no_grad():
        network(example[:1])
    weights: dict[str, Any] = {name: network.get_submodule(name) for name in positions}
    macs = sum(weights[name].weight.numel() * n for name, n in positions.items())
    return Size(sum(p.numel() for p in network.parameters()), macs)


def bytes_of(network: nn.Module) -> int:
    """Of the file of tensors that `save_compact` writes of it."""
    from safetensors.torch import save

    return len(save(as_saved(held_by(network, recurse=True))))


@torch.no_grad()
def latency_ratios(before: nn.Module, after: nn.Module, example: Tensor) -> dict[int, float]:
    """Median ratio over pairs, the two in turn, for the machine's speed may drift."""
    ratios = {}
    for size in _LATENCY_BATCHES:
        images = example[torch.arange(size, device=example.device) % len(example)]
        pairs = []
        for _ in range(6):
            large = _seconds(before, images)
            pairs.append(_seconds(after, images) / large)
        ratios[size] = statistics.median(pairs[1:])
    return ratios


def _seconds(network: nn.Module, images: Tensor) -> float:
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    began = time.perf_counter()
    for _ in range(3):
        network(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - began
