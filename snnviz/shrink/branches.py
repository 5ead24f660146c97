"""Removes branches whose neurons are all off.

Where a group is entirely off, the output of its readers is constant, and so is everything after
them up to the addition where the branch ends. There the constant is added in place of the branch:
in the bias of a layer if one comes directly before, else by a new layer or parameter.
"""

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from snnviz.export.description import CannotDescribe, describe_as_values
from snnviz.export.rebuild import build_network
from snnviz.export.substitutes import layer_class
from snnviz.structure import Switches, SwitchGroup
from snnviz.structure.attention import is_attention

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
_IN_PLACE = (operator.iadd, "add_")
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_EQUAL = 1e-6  # of the largest value: channels that are constant up to rounding
_IMAGES = 2


class Branches(NamedTuple):
    """A network without some of its branches."""

    network: nn.Module
    removed: dict[str, tuple[str, ...]]  # {group: layers that were removed with it}
    kept: dict[str, str]  # {group: why its branch was kept}


class _Stays(Exception):
    """Why a branch cannot be removed."""


@torch.no_grad()
def remove_branches(
    network: nn.Module, switches: Switches, names: Sequence[str], example: Tensor, tolerance: float
) -> Branches:
    """Removes the branches of these groups, which are entirely off.

    Args:
        network: in evaluation mode; each of the groups still has one neuron, whose output is 0.
        switches: of the network before any neurons were removed; layers have kept their names.
        names: the names of the groups.
        example: normalised images.
        tolerance: greatest difference of the outputs allowed, as a share of the largest.

    Returns:
        If a branch was removed, the network is a new `torch.fx.GraphModule` of the same layers.
    """
    images = example[:_IMAGES]
    expected = network(images)
    try:
        description = describe_as_values(network)
    except CannotDescribe as error:
        why = f"the network cannot be described as layers and calls: {error}"
        return Branches(network, {}, dict.fromkeys(names, why))
    kept: dict[str, str] = {}
    while True:
        smaller, removed = build_network(*description), {}
        values = _values(smaller, images)
        for name in [name for name in names if name not in kept]:
            before = _layers(smaller)
            try:
                _cut(smaller, switches, name, names, values)
            except _Stays as stays:  # nothing has been changed yet
                kept[name] = str(stays)
                continue
            after = set(_layers(smaller))
            removed[name] = tuple(layer for layer in before if layer not in after)
            values = _values(smaller, images)
            scores = next(value for node, value in values.items() if node.op == "output")
            if not (scores - expected).abs().max() <= tolerance * expected.abs().max():
                kept[name] = "without its branch the outputs would differ"
                break
        else:
            return Branches(smaller if removed else network, removed, kept)


def _layers(network: nn.Module) -> list[str]:
    return list(dict.fromkeys(n.rpartition(".")[0] for n, _ in network.named_parameters()))


def _cut(
    network: fx.GraphModule,
    switches: Switches,
    name: str,
    off: Sequence[str],
    values: dict[fx.Node, Any],
) -> None:
    """Adds a constant where the group's branch ends, and removes what is no longer used."""
    graph = network.graph
    readers = _readers(switches, switches.groups[name], off)
    seeds = {
        node
        for node in graph.nodes
        if node.op == "call_module"
        for reader in (node.target, f"{node.target}.out_proj")  # an attention does not call it
        if reader in readers and _gives_a_constant(network.get_submodule(reader), node, values)
    }
    constant = _constants(graph, seeds)
    behind = [node for node in graph.nodes if node in constant and node not in seeds]
    padded = next((node for node in behind if _pads(network, node, values)), None)
    ends = [_end(node, constant, values, padded) for node in _frontier(graph, constant)]
    stands_in = []
    for end in ends:
        with graph.inserting_before(end.addition):
            copied = graph.call_function(torch.clone, (end.live,))
        end.addition.replace_all_uses_with(copied)
        graph.erase_node(end.addition)
        stands_in.append((copied, end))
    _erase(graph, [*(end.held for end in ends), *(n for n in constant if not n.users)])
    for copied, end in stands_in:
        _add_constant(network, copied, end, values, min(readers))
    _drop_unused(network)
    network.recompile()


def _readers(switches: Switches, group: SwitchGroup, off: Sequence[str]) -> set[str]:
    """The group's readers, if they read only neurons of groups that are off."""
    for layer in switches.layers:
        if layer.name in group.readers:
            read = sum(len(neurons) for name, neurons in layer.read if name in off)
            if read < layer.inputs * layer.reads_in:
                raise _Stays(f"{layer.name} reads other neurons as well")
    return set(group.readers)


def _gives_a_constant(reader: Any, node: fx.Node, values: dict[fx.Node, Any]) -> bool:
    """Whether it gets nothing but 0, or has weights of 0 where factors act on what is read."""
    silent = not any(values[source].any() for source in node.all_input_nodes)
    return silent or not reader.weight.any()


def _values(network: fx.GraphModule, images: Tensor) -> dict[fx.Node, Any]:
    """The output of each call for the images."""
    values: dict[fx.Node, Any] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            # A later call may change it in place.
            values[n] = value.clone() if isinstance(value, Tensor) else value
            return value

    Recorder(network).run(images)
    return values


# What is constant, and where it ends --------------------------------------------------------------


def _constants(graph: fx.Graph, seeds: set[fx.Node]) -> set[fx.Node]:
    """The seeds, and all calls that depend only on them and on the network's own tensors."""
    constant, static = set(seeds), set()
    for node in graph.nodes:
        if node in seeds or node.op in ("placeholder", "output"):
            continue
        sources = node.all_input_nodes
        if all(source in static for source in sources):
            static.add(node)
        elif all(source in static or source in constant for source in sources):
            constant.add(node)
    return constant


def _frontier(graph: fx.Graph, constant: set[fx.Node]) -> list[fx.Node]:
    """The calls that are still needed and take a constant as input."""
    waiting = [node for node in graph.nodes if not node.users and node not in constant]
    needed = set(waiting)
    while waiting:
        for source in waiting.pop().all_input_nodes:
            if source not in constant and source not in needed:
                needed.add(source)
                waiting.append(source)
    return [n for n in graph.nodes if n in needed and not constant.isdisjoint(n.all_input_nodes)]


class _End(NamedTuple):
    """Where a branch ends."""

    addition: fx.Node
    live: fx.Node  # the operand that depends on the images
    held: fx.Node  # the constant operand
    channels: Tensor  # (channels,): the constant
    dim: int  # the dimension of the channels


def _end(
    node: fx.Node, constant: set[fx.Node], values: dict[fx.Node, Any], padded: fx.Node | None
) -> _End:
    if node.op == "output":
        raise _Stays("the class scores depend on the images only through it")
    operands = [arg for arg in node.args if isinstance(arg, fx.Node)]
    if node.target not in _ADDITIONS or len(operands) != 2 or len(node.args) != 2 or node.kwargs:
        raise _Stays(f"its output goes into {_name_of(node)}, and is not only added")
    held, live = sorted(operands, key=lambda operand: operand not in constant)
    if not isinstance(values[live], Tensor) or values[live].shape != values[node].shape:
        raise _Stays("its output is added to a tensor of another shape")
    if node.target in _IN_PLACE and any(user > node for user in operands[0].users):
        raise _Stays("it is added in place to a tensor that is used again")
    if padded:
        raise _Stays(f"its output differs at the edges that {padded.target} pads")
    value = values[held].expand_as(values[node])
    for dim in dict.fromkeys((1, value.ndim - 1)):
        channels = value.movedim(dim, 0).flatten(1)  # (channels, places)
        if (channels - channels[:, :1]).abs().max() <= _EQUAL * value.abs().max():
            return _End(node, live, held, channels[:, 0].clone(), dim)
    raise _Stays("its output differs between image positions")


def _pads(network: nn.Module, node: fx.Node, values: dict[fx.Node, Any]) -> bool:
    """At padded edges a constant does not stay constant, even if small images do not show it."""
    if node.op != "call_module" or not isinstance(node.target, str):
        return False
    padding: Any = getattr(network.get_submodule(node.target), "padding", 0)
    padded = padding not in (0, "valid") and padding != (0,) * len(padding)
    return padded and any(bool(values[source].any()) for source in node.all_input_nodes)


def _name_of(node: fx.Node) -> str:
    if node.op == "call_module":
        return f"layer {node.target}"
    return f"{node.target}" if node.op == "call_method" else getattr(node.target, "__name__", "")


# The replacement ---------------------------------------------------------------------------------


def _erase(graph: fx.Graph, nodes: list[fx.Node]) -> None:
    """Removes these calls and inputs that only they used; calls that were unused before stay."""
    waiting, erased = list(nodes), set()
    while waiting:
        node = waiting.pop()
        if node in erased or node.users or node.op == "placeholder":
            continue
        waiting += node.all_input_nodes
        graph.erase_node(node)
        erased.add(node)


def _add_constant(
    network: Any, copied: fx.Node, end: _End, values: dict[fx.Node, Any], reader: str
) -> None:
    """Replaces the copy of the live operand by the sum with the constant."""
    graph, place = network.graph, copied
    if _absorb(network, end.live, end, values):
        place = end.live
    elif end.channels.any():
        name = _free_name(network, reader)
        trainable = network.get_submodule(reader).weight.requires_grad
        with graph.inserting_before(copied):
            if end.dim == 1 and values[end.live].ndim == 4:
                # A layer and not a parameter, because the neurons of a layer can be switched.
                network.add_submodule(name, _shift(end.channels).requires_grad_(trainable))
                place = graph.call_module(name, (end.live,))
            else:
                shape = [1] * values[end.live].ndim
                shape[end.dim] = -1
                owner, _, own = name.rpartition(".")
                if owner and owner not in dict(network.named_modules()):
                    network.add_submodule(owner, nn.Module())
                parameter = nn.Parameter(end.channels.view(shape), trainable)
                network.get_submodule(owner).register_parameter(own, parameter)
                place = graph.call_function(operator.add, (end.live, graph.get_attr(name)))
    # A zero needs no addition. But then the copy stays if the next call works in place, because
    # that must not change the live operand.
    if place is not copied:
        copied.replace_all_uses_with(place)
        graph.erase_node(copied)


def _absorb(network: fx.GraphModule, node: fx.Node, end: _End, values: dict[fx.Node, Any]) -> bool:
    """Adds the constant to the bias of the layer that computes the value, if it is used only once.

    The output of such a layer may be changed in place, because the layer does not need it.
    """
    if len(node.users) != 1:
        return False
    if node.target in _ADDITIONS and not node.kwargs:
        operands = [arg for arg in node.args if isinstance(arg, fx.Node)]
        alike = [arg for arg in operands if values[arg].shape == values[node].shape]
        return any(_absorb(network, arg, end, values) for arg in alike)
    if node.op != "call_module" or not isinstance(node.target, str):
        return False
    module: Any = network.get_submodule(node.target)
    dim = values[node].ndim - 1 if isinstance(module, nn.Linear) else 1
    known = isinstance(module, (nn.Linear, *_CONVOLUTIONS, *_BATCH_NORMS))
    if not known or module.weight is None or dim != end.dim or _is_shared(network, module):
        return False
    if end.channels.any():
        bias = end.channels if module.bias is None else module.bias + end.channels
        module.bias = nn.Parameter(bias, module.weight.requires_grad)
    return True


def _is_shared(network: fx.GraphModule, module: nn.Module) -> bool:
    """Whether it is called in several places, or shares parameters with other layers."""
    calls = [n.target for n in network.graph.nodes if n.op == "call_module"]
    own = {id(p) for p in module.parameters()}
    holders = [m for m in network.modules() if own & {id(p) for p in m.parameters(recurse=False)}]
    return sum(network.get_submodule(name) is module for name in calls) > 1 or len(holders) > 1


def _shift(channels: Tensor) -> nn.Conv2d:
    """Adds a constant to each channel."""
    n = len(channels)
    layer: Any = nn.utils.skip_init(nn.Conv2d, n, n, 1, groups=n).to(channels)
    nn.init.ones_(layer.weight)
    layer.bias = nn.Parameter(channels)
    return layer.eval()


def _free_name(network: nn.Module, reader: str) -> str:
    """A name in the same module as the reader, or as the attention that it is a part of."""
    owner = reader.rpartition(".")[0]
    if is_attention(network.get_submodule(owner)):
        owner = owner.rpartition(".")[0]
    name = f"{owner}.shift".lstrip(".")
    taken = {*dict(network.named_modules()), *network.state_dict()}
    while name in taken:
        name += "_"
    return name


def _drop_unused(network: fx.GraphModule) -> None:
    """Removes layers that are not called, and unused tensors of other modules."""
    network.delete_all_unused_submodules()
    read = {node.target for node in network.graph.nodes if node.op == "get_attr"}
    for path, module in _blocks(network):
        for name in [*module._parameters, *module._buffers]:
            if f"{path}.{name}".lstrip(".") not in read:
                delattr(module, name)


def _blocks(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules that are neither layers nor parts of a layer."""
    layers: list[str] = []
    for path, module in network.named_modules():
        if layer_class(module):
            layers.append(f"{path}.")
        elif not path.startswith(tuple(layers)):
            yield path, module
