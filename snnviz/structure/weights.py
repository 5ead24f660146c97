"""What the switcher can know of a network: the weights of each group's neurons."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.structure.groups import Member, SwitchGroup
from snnviz.structure.layers import bias_of, parts_of, rows_of

_PIECE = 2**18  # weights that are squared at a time
LEAST_LENGTH = 1e-12  # shorter ones count as this: a logarithm and a quotient need one above 0


@dataclass(frozen=True, eq=False)
class NeuronWeights:
    """The weights of the n neurons of a group.

    Attributes:
        rows: weights into each neuron, of each layer that writes it.
        scale: of the norm behind it, or 1.
        shift: of the norm behind it, or the layer's bias, or 0.
        outgoing: length of all weights by which other layers read it; 1 where none does.
    """

    rows: tuple[Tensor, ...]  # of each layer (n, fan_in)
    scale: Tensor  # (n,)
    shift: Tensor  # (n,)
    outgoing: Tensor  # (n,)

    @cached_property
    def incoming(self) -> Tensor:
        """(n, fan_in): the weights into each neuron, of all layers that write it."""
        return self.rows[0] if len(self.rows) == 1 else torch.cat(self.rows, 1)

    @cached_property
    def length(self) -> Tensor:
        """(n,): of the incoming weights, above 0."""
        # Not of `incoming`: where several layers write the neurons, that is a copy.
        lengths = [torch.linalg.vector_norm(part, dim=1) for part in self.rows]
        if len(lengths) > 1:
            lengths = [torch.linalg.vector_norm(torch.stack(lengths), dim=0)]
        return lengths[0].clamp_min(LEAST_LENGTH)

    def map(self, function: Callable[[Tensor], Tensor]) -> "NeuronWeights":
        """Each of the tensors through a function."""
        rest = (self.scale, self.shift, self.outgoing)
        return NeuronWeights(tuple(map(function, self.rows)), *map(function, rest))


def neuron_weights(network: nn.Module, group: SwitchGroup) -> NeuronWeights:
    """The weights of a group's neurons, attached to the network's parameters."""
    incoming, scales, shifts = [], [], []
    for member, norm in zip(group.written_as, group.norms, strict=True):
        layer: Any = network.get_submodule(member.layer)
        last: Any = network.get_submodule(norm) if norm else layer
        # In this order the weights of a channels_last convolution need not be copied.
        rows = rows_of(layer).movedim(1, -1).flatten(1)  # (channels, fan_in)
        ones = rows.new_ones(len(rows))
        scale = last.weight if norm else ones  # (channels,)
        bias = bias_of(last)
        shift = 0 * ones if bias is None else bias
        if not member.covers(group.neurons) or len(rows) != group.neurons:
            rows, scale, shift = _by_neuron(member, group.neurons, rows, scale, shift)
        incoming.append(rows)  # (neurons, fan_in)
        scales.append(scale)
        shifts.append(shift)
    outgoing = outgoing_lengths(network, group)
    if len(incoming) == 1:
        return NeuronWeights((incoming[0],), scales[0], shifts[0], outgoing)
    scale, shift = torch.stack(scales).mean(0), torch.stack(shifts).mean(0)
    return NeuronWeights(tuple(incoming), scale, shift, outgoing)


def outgoing_lengths(network: nn.Module, group: SwitchGroup) -> Tensor:
    """(neurons,): length of all weights by which other layers read each neuron, attached."""
    squares: list[Tensor] = []
    for member in group.read_as:
        layer: Any = network.get_submodule(member.layer)
        if layer.weight.ndim < 2:
            continue  # a norm that reads: its scale is no connection
        found = _squares_by_input(layer)  # (inputs,)
        if not member.covers(group.neurons) or len(found) != group.neurons:
            index = _channels_by_neuron(member, group.neurons, len(found))
            padded = torch.cat([found, found.new_zeros(1)])
            found = padded[torch.from_numpy(index).to(found.device)].sum(1)
        squares.append(found)
    if not squares:
        return next(network.parameters()).new_ones(group.neurons)
    total = squares[0] if len(squares) == 1 else torch.stack(squares).sum(0)
    # A root's slope at 0 is infinite.
    return total.clamp_min(1e-30).sqrt()


def _squares_by_input(layer: Any) -> Tensor:
    """(inputs,): the sum of the squares of the weights by which a layer reads each input."""
    # Not `vector_norm`, which takes ten times as long where the dimension that stays is the last
    # one in memory, as it is in linear layers and in channels_last convolutions. And in pieces, for
    # new memory for the squares of all weights would take most of the time.
    weight, parts = rows_of(layer), parts_of(layer)
    if parts > 1:
        split = weight.square().unflatten(0, (parts, -1))  # (parts, outputs of one, inputs, ...)
        return split.sum((1, *range(3, split.ndim))).flatten()
    outputs = max(_PIECE * len(weight) // max(weight.numel(), 1), 1)
    first, *others = weight.split(outputs)
    sums = first.square()  # of the outputs of all pieces, place by place
    for piece in others:
        sums[: len(piece)].addcmul_(piece, piece)
    return sums.sum((0, *range(2, weight.ndim)))


def _by_neuron(
    member: Member, neurons: int, rows: Tensor, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sorts channels by neuron: those of one neuron stand side by side, 0 where there is none."""
    index = torch.from_numpy(_channels_by_neuron(member, neurons, len(rows))).to(rows.device)
    parts = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])[index].flatten(1)
    padded = torch.cat([torch.stack([scale, shift], 1), rows.new_zeros(1, 2)])[index].mean(1)
    return parts, padded[:, 0], padded[:, 1]


@lru_cache(maxsize=1024)
def _channels_by_neuron(member: Member, neurons: int, channels: int) -> np.ndarray:
    """(neurons, most channels of one): its channels, and `channels` where it has fewer."""
    most = int(np.bincount(member.neurons, minlength=neurons).max())
    place = np.full((neurons, most), channels)
    filled = np.zeros(neurons, dtype=int)
    for channel, neuron in zip(member.channels, member.neurons, strict=True):
        place[neuron, filled[neuron]] = channel
        filled[neuron] += 1
    return place
