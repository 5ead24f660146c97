"""The weights of each group's neurons, which the switcher reads."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.structure.groups import Member, SwitchGroup


class NeuronWeights(NamedTuple):
    """The weights of a group's neurons, which the switcher reads."""

    incoming: Tensor  # (neurons, fan_in): weights into each neuron, of all writers
    scale: Tensor  # (neurons,): the norm's scale, or 1
    shift: Tensor  # (neurons,): the norm's shift, or the bias, or 0


def neuron_weights(network: nn.Module, group: SwitchGroup) -> NeuronWeights:
    """The weights of a group's neurons, attached to the network's parameters."""
    incoming, scales, shifts = [], [], []
    for member, norm in zip(group.written_as, group.norms, strict=True):
        layer: Any = network.get_submodule(member.layer)
        last: Any = network.get_submodule(norm) if norm else layer
        # This order of dimensions needs no copy of the weights of a channels_last convolution.
        rows = layer.weight.movedim(1, -1).flatten(1)  # (channels, fan_in)
        ones = rows.new_ones(len(rows))
        scale = last.weight if norm else ones  # (channels,)
        shift = last.bias if last.bias is not None else 0 * ones
        if not member.covers(group.neurons) or len(rows) != group.neurons:
            rows, scale, shift = _by_neuron(member, group.neurons, rows, scale, shift)
        incoming.append(rows)  # (neurons, fan_in)
        scales.append(scale)
        shifts.append(shift)
    if len(incoming) == 1:
        return NeuronWeights(incoming[0], scales[0], shifts[0])
    return NeuronWeights(
        torch.cat(incoming, 1), torch.stack(scales).mean(0), torch.stack(shifts).mean(0)
    )


def outgoing_lengths(network: nn.Module, group: SwitchGroup) -> Tensor:
    """(neurons,): the norm of all weights that read each neuron, attached to the parameters."""
    squares: list[Tensor] = []
    for member in group.read_as:
        layer: Any = network.get_submodule(member.layer)
        weight = layer.weight
        if weight.ndim < 2:
            continue  # a norm reads it: its scale is not a connection
        parts = getattr(layer, "groups", 1)
        split = weight.reshape(parts, -1, *weight.shape[1:]).movedim(2, 1)  # (parts, in, out, …)
        channels = split.flatten(2).square().sum(2).flatten()  # (inputs,)
        index = torch.from_numpy(member.neurons).to(weight.device)
        chosen = channels[torch.from_numpy(member.channels).to(weight.device)]
        squares.append(chosen.new_zeros(group.neurons).index_add(0, index, chosen))
    if not squares:
        return next(network.parameters()).new_ones(group.neurons)
    # The gradient of a square root at 0 is infinite.
    return torch.stack(squares).sum(0).clamp_min(1e-30).sqrt()


def _by_neuron(
    member: Member, neurons: int, rows: Tensor, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sorts channels by neuron: one row holds all channels of a neuron, padded with 0."""
    index = torch.from_numpy(_channels_by_neuron(member, neurons, len(rows))).to(rows.device)
    parts = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])[index].flatten(1)
    padded = torch.cat([torch.stack([scale, shift], 1), rows.new_zeros(1, 2)])[index].mean(1)
    return parts, padded[:, 0], padded[:, 1]


@lru_cache(maxsize=1024)
def _channels_by_neuron(member: Member, neurons: int, channels: int) -> np.ndarray:
    """(neurons, most channels of a neuron): its channels, padded with the number `channels`."""
    most = int(np.bincount(member.neurons, minlength=neurons).max())
    place = np.full((neurons, most), channels)
    filled = np.zeros(neurons, dtype=int)
    for channel, neuron in zip(member.channels, member.neurons, strict=True):
        place[neuron, filled[neuron]] = channel
        filled[neuron] += 1
    return place
