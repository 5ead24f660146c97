"""What a network costs: parameters, MACs, bytes, time."""

import statistics
import time

import torch
from torch import Tensor, nn

from snnviz.export.vocabulary import prepare_tensors, tensors_of
from snnviz.structure import Size
from snnviz.structure.layers import rows_of
from snnviz.structure.probe import count_positions

_LATENCY_BATCHES = (1, 128)


def size_of(network: nn.Module, example: Tensor) -> Size:
    with count_positions(network) as positions, torch.no_grad():
        network(example[:1])
    layers = {name: network.get_submodule(name) for name in positions}
    macs = sum(round(rows_of(layers[name]).numel() * n) for name, n in positions.items())
    return Size(sum(p.numel() for p in network.parameters()), macs)


def bytes_of(network: nn.Module) -> int:
    """Size of the weights file that `save_compact` would write."""
    from safetensors.torch import save

    return len(save(prepare_tensors(tensors_of(network, recurse=True))))


@torch.no_grad()
def latency_ratios(before: nn.Module, after: nn.Module, example: Tensor) -> dict[int, float]:
    """Median ratio over pairs, measured in turn because the machine's speed may drift."""
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
