"""Switch groups: which neurons of a network can be switched, and how factors act on them.

A factor multiplies its neuron's pre-activation, after the norm where there is one. That is the
same as multiplying parameters: the norm's scale and shift, or the layer's weight and bias. So the
task network runs with `torch.func.functional_call(network, scaled_parameters(...), (images,))`;
the user's module is never edited.
"""

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Factors = Mapping[str, Tensor]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_WRITERS = (nn.Linear, *_CONVOLUTIONS)
# Norms that treat each channel by itself: a factor behind them folds into their scale and shift.
_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
_PROBE_IMAGES = 2


@dataclass(frozen=True)
class SwitchGroup:
    """Neurons with one factor each.

    Attributes:
        name: the name of the (first) layer that writes the neurons.
        neurons: how many.
        writers: layers whose output units or channels are these neurons.
        norms: for each writer the norm right behind it, or None.
        readers: layers that take the neurons as input.
    """

    name: str
    neurons: int
    writers: tuple[str, ...]
    norms: tuple[str | None, ...]
    readers: tuple[str, ...]

    @property
    def scaled(self) -> tuple[str, ...]:
        """The layers whose parameters the factors multiply."""
        pairs = zip(self.writers, self.norms, strict=True)
        return tuple(norm or writer for writer, norm in pairs)


@dataclass(frozen=True)
class _Layer:
    """What one layer costs, and which neurons decide about it."""

    units: int  # output units or channels
    inputs: int  # input units or channels that each of them reads; 0 for a norm
    per_connection: int  # weights for each pair of input and output: the kernel's size
    per_unit: int  # parameters for each output besides: a bias, a norm's scale and shift
    positions: int  # places of the image at which the weights are used
    written: str | None  # the group that the outputs belong to
    read: tuple[tuple[str, np.ndarray], ...]  # groups and, for each input read, the neuron


class Size(NamedTuple):
    """What is left of a network when the neurons that are off are taken away."""

    parameters: int
    macs: int  # multiply-accumulate operations of convolutions and linear layers, one image


@dataclass(frozen=True)
class Switches:
    """All that can be switched in a network.

    Attributes:
        groups: {name: group}, in the order of the network's layers.
        left_alone: {layer: why its neurons are not switched}.
    """

    groups: dict[str, SwitchGroup]
    left_alone: dict[str, str]
    _layers: tuple[_Layer, ...] = field(repr=False)
    _fixed_parameters: int = field(repr=False)

    def size(self, factors: Mapping[str, np.ndarray] | None = None) -> Size:
        """Parameters and MACs of the network without its off neurons; None: of the whole."""
        off = {name: values == 0 for name, values in (factors or {}).items()}
        parameters, macs = self._fixed_parameters, 0
        for layer in self._layers:
            units = layer.units
            if layer.written in off:
                units -= int(off[layer.written].sum())
            inputs = layer.inputs
            for group, neurons in layer.read:
                if group in off:
                    inputs -= int(off[group][neurons].sum())
            weights = units * inputs * layer.per_connection
            parameters += weights + units * layer.per_unit
            macs += weights * layer.positions
        return Size(parameters, macs)


def find_switches(network: nn.Module, example: Tensor) -> Switches:
    """Finds the switch groups of a network by tracing it on example images.

    Args:
        network: from images to class scores. It is copied, and left as it was.
        example: normalised images (n, channels, height, width); two are enough.

    Raises:
        ValueError: the network does not run on the example, cannot be traced, or has no neurons
            that can be switched.

    Source: dependency graphs of Fang et al. 2023 (DepGraph), through Torch-Pruning.
    """
    # Frozen parameters would cut the trace short, so the copy asks for every gradient.
    probe = copy.deepcopy(network).requires_grad_(True).eval()
    positions = _run(probe, example[:_PROBE_IMAGES])
    names = {module: name for name, module in probe.named_modules()}
    found: dict[str, SwitchGroup] = {}
    left_alone: dict[str, str] = {}
    reads: dict[str, list[tuple[str, np.ndarray]]] = {}
    shared = _shared_parameters(probe)
    for items in _traced_groups(probe, example[:_PROBE_IMAGES]):
        root = names[items[0].dep.target.module]
        reason = _obstacle(items, shared)
        if reason:
            left_alone[root] = reason
            continue
        group, inputs = _group_from(items, names)
        found[group.name] = group
        for reader, neurons in inputs.items():
            reads.setdefault(reader, []).append((group.name, neurons))
    if not found:
        listed = "; ".join(f"{layer}: {why}" for layer, why in left_alone.items())
        raise ValueError(
            "network has no neurons that can be switched"
            f" ({listed or 'it has no linear or convolution layer'})."
            " A network needs at least one hidden linear or convolution layer."
        )
    order = {name: i for i, name in enumerate(names.values())}
    groups = dict(sorted(found.items(), key=lambda pair: order[pair[0]]))
    layers = _layers(probe, groups, reads, positions)
    counted = sum(
        layer.units * (layer.inputs * layer.per_connection + layer.per_unit) for layer in layers
    )
    total = sum(p.numel() for p in network.parameters())
    return Switches(groups, left_alone, layers, total - counted)


def scaled_parameters(
    network: nn.Module, groups: Iterable[SwitchGroup], factors: Factors, constant: bool = False
) -> dict[str, Tensor]:
    """The network's parameters with the factors multiplied in: {name: tensor}.

    Names that are left out keep the network's own parameter when the result is given to
    `torch.func.functional_call`. A gradient with respect to the factors flows through it.

    Args:
        network: the task network.
        groups: its switch groups.
        factors: {group name: (neurons,)}.
        constant: take the network's parameters as constants, and name all of them.
    """
    scaled = {name: p.detach() for name, p in network.named_parameters()} if constant else {}
    for group in groups:
        for layer in group.scaled:
            factor = factors[group.name]
            for name, parameter in network.get_submodule(layer).named_parameters(recurse=False):
                value = parameter.detach() if constant else parameter
                shape = (-1,) + (1,) * (value.ndim - 1)
                scaled[f"{layer}.{name}"] = value * factor.view(shape)
    return scaled


class NeuronWeights(NamedTuple):
    """What the switcher reads of a group."""

    incoming: Tensor  # (neurons, fan_in): weights into each neuron, of all writers
    scale: Tensor  # (neurons,): the norm's scale, or 1
    shift: Tensor  # (neurons,): the norm's shift, or the bias, or 0


def neuron_weights(network: nn.Module, group: SwitchGroup) -> NeuronWeights:
    """The weights of a group's neurons, attached to the network's parameters."""
    incoming, scales, shifts = [], [], []
    for writer, norm in zip(group.writers, group.norms, strict=True):
        layer: Any = network.get_submodule(writer)
        last: Any = network.get_submodule(norm) if norm else layer
        incoming.append(layer.weight.flatten(1))  # (neurons, fan_in)
        ones = layer.weight.new_ones(group.neurons)
        scales.append(last.weight if norm else ones)
        shifts.append(last.bias if last.bias is not None else 0 * ones)
    if len(incoming) == 1:
        return NeuronWeights(incoming[0], scales[0], shifts[0])
    return NeuronWeights(
        torch.cat(incoming, 1), torch.stack(scales).mean(0), torch.stack(shifts).mean(0)
    )


def _run(probe: nn.Module, example: Tensor) -> dict[str, int]:
    """Runs the copy once; how many places of an image each layer's weights are used at."""
    positions: dict[str, int] = {}

    def count(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Tensor) -> None:
            per_place = len(output) * module.weight.shape[0]
            positions[name] = positions.get(name, 0) + output.numel() // per_place

        return hook

    handles = [
        module.register_forward_hook(count(name))
        for name, module in probe.named_modules()
        if isinstance(module, _WRITERS)
    ]
    try:
        with torch.no_grad():
            scores = probe(example)
    except Exception as error:
        raise ValueError(
            f"network does not run on images of shape {tuple(example.shape)}: {error}. "
            "Check that its first layer takes images of this shape."
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != len(example):
        came = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(
            f"network must return class scores of shape ({len(example)}, classes) "
            f"for {len(example)} images, got {came}."
        )
    return positions


def _traced_groups(probe: nn.Module, example: Tensor) -> list[Any]:
    import torch_pruning as tp  # here, because a script that trains nothing should not wait for it

    try:
        graph = tp.DependencyGraph().build_dependency(probe, example_inputs=example)
        return list(graph.get_all_groups(root_module_types=list(_WRITERS)))
    except Exception as error:
        raise ValueError(
            "network cannot be traced, so its switch groups are not known "
            f"({type(error).__name__}: {error}). Networks whose layers are chosen by the data, or "
            "that reorder channels, are not supported."
        ) from error


def _shared_parameters(probe: nn.Module) -> set[Tensor]:
    """Parameters that several layers hold: a factor for one of them would act in the others too."""
    owners = Counter(p for module in probe.modules() for p in module.parameters(recurse=False))
    return {parameter for parameter, count in owners.items() if count > 1}


def _obstacle(items: Any, shared: set[Tensor]) -> str | None:
    """Why the neurons of a traced group cannot be switched, or None where they can."""
    neurons = items[0].dep.target.module.weight.shape[0]
    whole = list(range(neurons))
    readers, writers = 0, []
    for item in items:
        module, source = item.dep.target.module, item.dep.source.module
        kind = type(module).__name__
        if item.dep.handler.__name__ == "prune_in_channels":
            if isinstance(module, _WRITERS):
                readers += getattr(module, "groups", 1) == 1
            continue
        if isinstance(module, _WRITERS):
            if getattr(module, "groups", 1) > 1:
                return f"{kind} with groups > 1 ties its channels together"
            if not shared.isdisjoint(module.parameters()):
                return f"{kind} shares its parameters with another layer"
            writers.append(module)
        elif isinstance(module, _NORMS):
            if source not in writers:
                return f"{kind} does not stand right behind the layer that it normalises"
            if module.weight is None:
                return f"{kind} behind it has no scale and shift to fold a factor into"
            if not shared.isdisjoint(module.parameters()):
                return f"{kind} shares its parameters with another layer"
            if len(item.dep.source.outputs) > 1:
                return f"{kind} does not normalise all of what the layer before it gives"
        elif kind in ("_ElementWiseOp", "_ReshapeOp"):
            continue
        else:
            return f"{kind} mixes or ties its neurons"
        if list(item.idxs) != whole:
            return f"{kind} takes its neurons in another order or together with others"
    return None if readers else "these are the network's outputs"


def _group_from(items: Any, names: dict[Any, str]) -> tuple[SwitchGroup, dict[str, np.ndarray]]:
    writers: list[str] = []
    norms: dict[str, str] = {}
    inputs: dict[str, np.ndarray] = {}  # reader -> for each of its inputs the neuron
    for item in items:
        module, source = item.dep.target.module, item.dep.source.module
        if isinstance(module, _WRITERS):
            if item.dep.handler.__name__ == "prune_in_channels":
                inputs[names[module]] = np.asarray(item.root_idxs)
            else:
                writers.append(names[module])
        elif isinstance(module, _NORMS):
            norms[names[source]] = names[module]
    group = SwitchGroup(
        name=writers[0],
        neurons=items[0].dep.target.module.weight.shape[0],
        writers=tuple(writers),
        norms=tuple(norms.get(writer) for writer in writers),
        readers=tuple(inputs),
    )
    return group, inputs


def _layers(
    probe: nn.Module,
    groups: dict[str, SwitchGroup],
    reads: dict[str, list[tuple[str, np.ndarray]]],
    positions: dict[str, int],
) -> tuple[_Layer, ...]:
    written = {name: g.name for g in groups.values() for name in (*g.writers, *g.norms) if name}
    layers = []
    for name, module in probe.named_modules():
        if isinstance(module, _WRITERS):
            weight: Tensor = module.weight
            layers.append(
                _Layer(
                    units=weight.shape[0],
                    inputs=weight.shape[1],
                    per_connection=math.prod(weight.shape[2:]),
                    per_unit=int(module.bias is not None),
                    positions=positions.get(name, 0),
                    written=written.get(name),
                    read=tuple(reads.get(name, ())),
                )
            )
        elif name in written:
            units = module.get_parameter("weight").shape[0]
            layers.append(_Layer(units, 0, 0, 2, 0, written[name], ()))
    return tuple(layers)
