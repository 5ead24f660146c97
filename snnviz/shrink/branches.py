"""Takes out the branches that nothing flows through any more.

Where a group is wholly off, its readers give a constant, and so does what follows them up to the
addition in which the branch ends. There the constant is added in the branch's place: to the bias of
a layer if one is right there, else by a layer or a parameter of its own.
"""

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from snnviz.export.description import CannotDescribe, describe
from snnviz.export.rebuild import build
from snnviz.export.vocabulary import is_layer
from snnviz.structure import Switches, SwitchGroup

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
_IN_PLACE = (operator.iadd, "add_")
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_EQUAL = 1e-6  # of the largest: channels that are the same everywhere but for their rounding
_IMAGES = 2


class Branches(NamedTuple):
    """A network without some of its branches."""

    network: nn.Module
    removed: dict[str, tuple[str, ...]]  # {group: layers that went with it}
    kept: dict[str, str]  # {group: why its branch stays}


class _Stays(Exception):
    """Why a branch cannot be taken out."""


@torch.no_grad()
def without_branches(
    network: nn.Module, switches: Switches, names: Sequence[str], example: Tensor, tolerance: float
) -> Branches:
    """The network without the branches that these groups, which are wholly off, are all of.

    Args:
        network: in evaluation mode; of each of the groups it has zeroed neurons left.
        switches: of the network as it was; layers have kept their names.
        names: of the groups.
        example: normalised images.
        tolerance: greatest difference of the outputs allowed, as a share of the largest.

    Returns:
        If any branch could go, the network is another, a `torch.fx.GraphModule` of the same layers.
    """
    images = example[:_IMAGES]
    expected = network(images)
    try:
        description = describe(network)
    except CannotDescribe as error:
        why = f"the network cannot be written down as layers and calls: {error}"
        return Branches(network, {}, dict.fromkeys(names, why))
    kept: dict[str, str] = {}
    while True:
        smaller, removed = build(*description), {}
        values = _values(smaller, images)
        for name in [name for name in names if name not in kept]:
            before = _layers(smaller)
            try:
                _cut(smaller, switches, name, names, values)
            except _Stays as stays:  # nothing is changed yet
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
    """Puts a constant where the group's branch is added, and drops what is then of no use."""
    graph = network.graph
    readers = _readers(switches, switches.groups[name], off)
    seeds = {
        node
        for node in graph.nodes
        if node.op == "call_module"
        and node.target in readers
        and not any(values[source].any() for source in node.all_input_nodes)
    }
    constant = _constants(graph, seeds)
    padded = next((n for n in graph.nodes if n in constant and _pads(network, n, values)), None)
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
    """Its readers, if they read nothing but neurons of groups that are off."""
    for layer in switches.layers:
        if layer.name in group.readers:
            read = sum(len(neurons) for name, neurons in layer.read if name in off)
            if read < layer.inputs * layer.reads_in:
                raise _Stays(f"{layer.name} reads other neurons as well")
    return set(group.readers)


def _values(network: fx.GraphModule, images: Tensor) -> dict[fx.Node, Any]:
    """What each call gives for the images."""
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
    """The seeds, and all calls that depend on nothing but them and the network's own tensors."""
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
    """The calls that are still needed, and take something constant."""
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
    live: fx.Node  # what the images still decide about
    held: fx.Node  # what is constant
    channels: Tensor  # (channels,): the constant
    dim: int  # in which they stand


def _end(
    node: fx.Node, constant: set[fx.Node], values: dict[fx.Node, Any], padded: fx.Node | None
) -> _End:
    if node.op == "output":
        raise _Stays("no other way leads past it to the class scores")
    operands = [arg for arg in node.args if isinstance(arg, fx.Node)]
    if node.target not in _ADDITIONS or len(operands) != 2 or len(node.args) != 2 or node.kwargs:
        raise _Stays(f"what comes of it goes into {_called(node)}, and is not just added")
    held, live = sorted(operands, key=lambda operand: operand not in constant)
    if not isinstance(values[live], Tensor) or values[live].shape != values[node].shape:
        raise _Stays("what comes of it is added to something of another shape")
    if node.target in _IN_PLACE and any(user > node for user in operands[0].users):
        raise _Stays("it is added in place to what is used again")
    if padded:
        raise _Stays(f"what comes of it differs at the edges that {padded.target} pads")
    value = values[held].expand_as(values[node])
    for dim in dict.fromkeys((1, value.ndim - 1)):
        channels = value.movedim(dim, 0).flatten(1)  # (channels, places)
        if (channels - channels[:, :1]).abs().max() <= _EQUAL * value.abs().max():
            return _End(node, live, held, channels[:, 0].clone(), dim)
    raise _Stays("what comes of it differs from place to place")


def _pads(network: nn.Module, node: fx.Node, values: dict[fx.Node, Any]) -> bool:
    """At padded edges a constant does not stay one, though images of one size may not show it."""
    if node.op != "call_module" or not isinstance(node.target, str):
        return False
    padding: Any = getattr(network.get_submodule(node.target), "padding", 0)
    padded = padding not in (0, "valid") and padding != (0,) * len(padding)
    return padded and any(bool(values[source].any()) for source in node.all_input_nodes)


def _called(node: fx.Node) -> str:
    if node.op == "call_module":
        return f"layer {node.target}"
    return f"{node.target}" if node.op == "call_method" else getattr(node.target, "__name__", "")


# What takes its place -----------------------------------------------------------------------------


def _erase(graph: fx.Graph, nodes: list[fx.Node]) -> None:
    """Drops these calls and all that served only them, but nothing that was of no use before."""
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
    """In place of a mere copy of what is live."""
    graph, place = network.graph, copied
    if _absorbed(network, end.live, end, values):
        place = end.live
    elif end.channels.any():
        name = _free_name(network, reader)
        trainable = network.get_submodule(reader).weight.requires_grad
        with graph.inserting_before(copied):
            if end.dim == 1 and values[end.live].ndim == 4:
                # A layer, and not a parameter, for in it the stream's neurons can be switched.
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
    # A zero needs no addition; but what comes next may work in place, and not on what is live.
    if place is not copied:
        copied.replace_all_uses_with(place)
        graph.erase_node(copied)


def _absorbed(
    network: fx.GraphModule, node: fx.Node, end: _End, values: dict[fx.Node, Any]
) -> bool:
    """Adds the constant to the bias of the layer that the value comes from, if nothing else has it.

    What such a layer gives may also be changed in place, for it has no need of it.
    """
    if len(node.users) != 1:
        return False
    if node.target in _ADDITIONS and not node.kwargs:
        operands = [arg for arg in node.args if isinstance(arg, fx.Node)]
        alike = [arg for arg in operands if values[arg].shape == values[node].shape]
        return any(_absorbed(network, arg, end, values) for arg in alike)
    if node.op != "call_module" or not isinstance(node.target, str):
        return False
    module: Any = network.get_submodule(node.target)
    dim = values[node].ndim - 1 if isinstance(module, nn.Linear) else 1
    known = isinstance(module, (nn.Linear, *_CONVOLUTIONS, *_BATCH_NORMS))
    if not known or module.weight is None or dim != end.dim or _shared(network, module):
        return False
    if end.channels.any():
        bias = end.channels if module.bias is None else module.bias + end.channels
        module.bias = nn.Parameter(bias, module.weight.requires_grad)
    return True


def _shared(network: fx.GraphModule, module: nn.Module) -> bool:
    """Whether it is called in several places, or others hold its parameters."""
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
    """Beside the reader."""
    name = f"{reader.rpartition('.')[0]}.shift".lstrip(".")
    taken = {*dict(network.named_modules()), *network.state_dict()}
    while name in taken:
        name += "_"
    return name


def _drop_unused(network: fx.GraphModule) -> None:
    """Layers that are not called, and tensors of blocks that are not read."""
    network.delete_all_unused_submodules()
    read = {node.target for node in network.graph.nodes if node.op == "get_attr"}
    for path, module in _blocks(network):
        for name in [*module._parameters, *module._buffers]:
            if f"{path}.{name}".lstrip(".") not in read:
                delattr(module, name)


def _blocks(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules that are no layers, and no parts of one."""
    layers: list[str] = []
    for path, module in network.named_modules():
        if is_layer(module):
            layers.append(f"{path}.")
        elif not path.startswith(tuple(layers)):
            yield path, module
