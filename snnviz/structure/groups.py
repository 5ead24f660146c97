"""Switch groups: neurons with one factor each, and how factors act on a network.

A factor multiplies its neuron's pre-activation, after the norm where there is one. That is the
same as multiplying parameters: the norm's scale and shift, or the layer's weight and bias. So the
task network runs with `run_scaled(network, scaled_parameters(...), images)`;
the user's module is never edited. `tracing.py` finds out which neurons form a group.

Some factors multiply the weights that read their neurons instead: where nothing else could hold
them, or where a neuron gives something for 0, as behind a sigmoid. What is off is not read then.

In training, some other factors multiply the weights that read their neurons, where this is the
same function of all parameters and factors and so has the same gradients (`moves.py`). There is one
exception, a factor of exactly 0: in front of a ReLU its gradient is 0, and after the ReLU it need
not be. This makes no difference, because the switcher's activations have gradient 0 there.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

Factors = Mapping[str, Tensor]  #: {group: factors (neurons,)}
Place = slice | Tensor  # where a layer's factors are in the vector of all factors


@dataclass(frozen=True, eq=False)
class Member:
    """Channels (or units) of one layer that are neurons of a group."""

    layer: str
    channels: np.ndarray  # (k,) of the layer
    neurons: np.ndarray  # (k,) of the group

    def covers(self, channels: int) -> bool:
        """Whether these are all of a layer's channels, with the neurons in the same order."""
        return self._in_order and len(self.channels) == channels

    @cached_property
    def _in_order(self) -> bool:
        whole = np.arange(len(self.channels))
        return np.array_equal(self.channels, whole) and np.array_equal(self.neurons, whole)


@dataclass(frozen=True, eq=False)
class Number:
    """An attribute of a module that counts channels, such as the sizes of a split."""

    module: str
    attribute: str  # "name", or "name.place" in a list
    call: str  # where it counts; in each other call it counts the same
    neurons: np.ndarray  # (k,): the group's neurons among the channels that it counts


@dataclass(frozen=True, eq=False)
class SwitchGroup:
    """Neurons with one factor each, which are switched together wherever they appear.

    Attributes:
        name: the name of the (first) layer that writes the neurons.
        neurons: how many.
        writers: layers whose output units or channels are these neurons.
        norms: for each writer the norm directly after it, or None.
        readers: layers that take the neurons as input.
        scaled: layers whose parameters the factors multiply: norms, or writers without one.
        mixed_by: class of a norm that mixes the neurons, so that they can be weighted but not
            removed; "" if there is no such norm.
        moved: "always" if the factors multiply the weights of the readers instead. So it is where
            no parameter gives the neurons a factor, or where they give something when they get 0.
        heads: whether each neuron is a head of an attention layer.
    """

    name: str
    neurons: int
    writers: tuple[str, ...]
    norms: tuple[str | None, ...]
    readers: tuple[str, ...]
    scaled: tuple[str, ...]
    written_as: tuple[Member, ...] = field(repr=False)
    read_as: tuple[Member, ...] = field(repr=False)
    scaled_as: tuple[Member, ...] = field(repr=False)
    carried_as: tuple[Member, ...] = field(repr=False)  # norms and the like, scaled or not
    numbers: tuple[Number, ...] = field(default=(), repr=False)
    mixed_by: str = ""
    moved: Literal["", "switcher", "both", "always"] = ""
    heads: bool = False


@dataclass(frozen=True, eq=False)
class LayerCost:
    """What one layer costs, and which neurons this depends on."""

    name: str
    units: int  # output units or channels
    inputs: int  # input units or channels that each of them reads; 0 for a norm
    reads_in: int  # number of parts of a grouped convolution
    per_connection: int  # weights for each pair of input and output: the kernel's size
    per_unit: int  # other parameters for each output: a bias, a norm's scale and shift
    positions: float  # image positions at which the weights are used; of an attention the mean
    written: tuple[tuple[str, np.ndarray], ...]  # (group, the neurons among the outputs)
    read: tuple[tuple[str, np.ndarray], ...]  # (group, the neurons among the inputs)
    gains: int = 0  # of the other parameters, those that go with the first input


class Size(NamedTuple):
    """The size of a network without the neurons that are off.

    Attributes:
        parameters: their number.
        macs: multiply-accumulate operations of convolutions and linear layers, for one image.
    """

    parameters: int
    macs: int


@dataclass(frozen=True, eq=False)
class Switches:
    """Everything that can be switched in a network.

    Attributes:
        groups: {name: group}, in the order of the network's layers.
        left_alone: {layer: why its neurons are not switched}.
        layers: what each layer costs.
        parameters: of the whole network.
    """

    groups: dict[str, SwitchGroup]
    left_alone: dict[str, str]
    layers: tuple[LayerCost, ...] = field(repr=False)
    parameters: int

    def size(self, factors: Mapping[str, np.ndarray] | None = None) -> Size:
        """Parameters and MACs without the off neurons; of the whole network without factors."""
        off = self.removable(factors or {})
        parameters, macs = self.parameters, 0
        for layer in self.layers:
            units = layer.units - _count(off, layer.written)
            gone = _count(off, layer.read)
            inputs = layer.inputs - gone // layer.reads_in
            weights = units * inputs * layer.per_connection
            whole = layer.units * (layer.inputs * layer.per_connection + layer.per_unit)
            per_unit = layer.per_unit - (layer.gains if gone else 0)
            parameters += weights + units * per_unit - whole
            macs += round(weights * layer.positions)
        return Size(parameters, macs)

    def removable(self, factors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """{group: (neurons,) bool}: the neurons that are off and can be removed."""
        return {
            name: (np.asarray(values) == 0) & (not self.groups[name].mixed_by)
            for name, values in factors.items()
        }

    @cached_property
    def _places(self) -> dict[str, "_Places"]:
        """Where the factors act in a step of each phase, and outside training ("")."""
        moved = {
            "": {name for name, g in self.groups.items() if g.moved == "always"},
            "task": {name for name, g in self.groups.items() if g.moved in ("both", "always")},
            "switcher": {name for name, g in self.groups.items() if g.moved},
        }
        return {phase: self._places_with(names) for phase, names in moved.items()}

    def _places_with(self, moved: Container[str]) -> "_Places":
        units = {layer.name: layer.units for layer in self.layers}
        inputs = {layer.name: layer.inputs * layer.reads_in for layer in self.layers}
        places, first = _Places({}, {}), 1  # after a leading 1
        for group in self.groups.values():
            if group.name in moved:
                for member in group.read_as:
                    _put(places.inputs, member, inputs[member.layer], first)
            else:
                for member in group.scaled_as:
                    _put(places.outputs, member, units[member.layer], first)
            first += group.neurons
        return places

    def to(self, device: torch.device) -> "Switches":
        """Moves what `scaled_parameters` looks up to the device, so that no step copies it."""
        for side in (side for places in self._places.values() for side in places):
            for name, place in side.items():
                if isinstance(place, Tensor):
                    side[name] = place.to(device)
        return self


class _Places(NamedTuple):
    """By layer, where its channels' factors are in the vector (1, all factors …)."""

    outputs: dict[str, Place]
    inputs: dict[str, Place]


def _put(places: dict[str, Place], member: Member, channels: int, first: int) -> None:
    """Records where a layer's factors are: those of the group begin at `first`."""
    if member.covers(channels):
        places[member.layer] = slice(first, first + channels)
        return
    place = places.setdefault(member.layer, torch.zeros(channels, dtype=torch.int64))
    assert isinstance(place, Tensor)
    place[torch.from_numpy(member.channels)] = torch.from_numpy(first + member.neurons)


def _count(off: Mapping[str, np.ndarray], places: Iterable[tuple[str, np.ndarray]]) -> int:
    return sum(int(off[group][neurons].sum()) for group, neurons in places if group in off)
