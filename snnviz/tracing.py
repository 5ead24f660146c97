"""Finds the switch groups of any network: traces it, and proves that off means off.

Which channels must live or die together comes from Torch-Pruning's dependency graph. Whether a
factor of 0 then really keeps a neuron from its readers is found out by running a copy of the
network, with all its parameters drawn at random, and looking at what the readers get.
"""

import copy
import math
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from snnviz._probe import WRITERS, check_arguments, copied, positions_used, running
from snnviz.switches import LayerCost, Member, Switches, SwitchGroup, scaled_parameters

if TYPE_CHECKING:
    from pandas import DataFrame

    from snnviz._graph import Graph, Item

# Norms that treat each channel by itself: a factor behind them folds into their scale and shift.
_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
_PASSED = ("ElementWiseOp", "ReshapeOp", "ConcatOp")  # operations that a factor goes through
_PROBE_IMAGES = 2


def find_switches(network: nn.Module, example: Tensor, exclude: Sequence[str] = ()) -> Switches:
    """Finds the switch groups of a network by tracing it on example images.

    Args:
        network: from images to class scores. It is copied, and left as it was.
        example: normalised images (n, channels, height, width); two are enough.
        exclude: patterns of layer names, as in a shell (`"layer1.*"`), whose neurons stay on.

    Raises:
        ValueError: the example is no tensor of images, or the network does not run on it, cannot
            be traced, or has no neurons that can be switched.

    Source: dependency graphs of Fang et al. 2023 (DepGraph), through Torch-Pruning.
    """
    check_arguments(network, example)
    example = example[:_PROBE_IMAGES]
    # Frozen parameters would cut the trace short, so the copy asks for every gradient.
    probe = copied(network).requires_grad_(True).eval()
    positions = _run(probe, example)
    _check_flow(probe, example)
    traced, graph = _traced(probe, example)
    names = {module: name for name, module in probe.named_modules()}
    order = {name: i for i, name in enumerate(names.values())}
    shared = _shared_parameters(probe)
    left_alone: dict[str, str] = {}
    groups: dict[str, SwitchGroup] = {}
    for items in traced:
        found = _group(items, graph, names, shared, order, groups)
        if isinstance(found, str):
            left_alone = dict.fromkeys(_writers(items, names), found) | left_alone
        elif any(fnmatchcase(w, pattern) for w in found.writers for pattern in exclude):
            left_alone |= dict.fromkeys(found.writers, "excluded by the user")
        else:
            groups[found.name] = found
    groups = dict(sorted(groups.items(), key=lambda pair: order[pair[0]]))
    groups, leaking = _without_leaks(probe, example, groups, positions)
    left_alone |= leaking
    left_alone = dict(sorted(left_alone.items(), key=lambda pair: order[pair[0]]))
    if not groups:
        listed = "; ".join(f"{layer}: {why}" for layer, why in left_alone.items())
        raise ValueError(
            "network has no neurons that can be switched"
            f" ({listed or 'it has no linear or convolution layer'})."
            " A network needs at least one hidden linear or convolution layer."
        )
    return _switches(probe, groups, left_alone, positions)


def describe(
    network: nn.Module, example: Tensor, exclude: Sequence[str] = (), show: bool = True
) -> "DataFrame":
    """What the switcher will control: a row for each group, and for each layer left alone why.

    Columns: group, neurons, writers, scaled, readers, parameters and macs (of one neuron), note.
    """
    import pandas as pd

    switches = find_switches(network, example, exclude)
    whole, rows = switches.size(), []
    for group in switches.groups.values():
        factors = np.ones(group.neurons)
        factors[0] = 0
        without = switches.size({group.name: factors})
        rows.append(
            {
                "group": group.name,
                "neurons": group.neurons,
                "writers": ", ".join(group.writers),
                "scaled": ", ".join(group.scaled),
                "readers": ", ".join(group.readers),
                "parameters": whole.parameters - without.parameters,
                "macs": whole.macs - without.macs,
                "note": "",
            }
        )
    for layer, why in switches.left_alone.items():
        rows.append({"group": layer, "neurons": 0, "parameters": 0, "macs": 0, "note": why})
    table = pd.DataFrame(rows).fillna("")
    if show:
        print(table.to_string(index=False, max_colwidth=40))
    return table


# Running and tracing a copy ----------------------------------------------------------------------


def _run(probe: nn.Module, example: Tensor) -> dict[str, int]:
    """Runs the copy once; how many places of an image each layer's weights are used at."""
    with running(probe, example), positions_used(probe) as positions, torch.no_grad():
        scores = probe(example)
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != len(example):
        came = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(
            f"network must return class scores of shape ({len(example)}, classes) "
            f"for {len(example)} images, got {came}."
        )
    return positions


def _check_flow(probe: nn.Module, example: Tensor) -> None:
    """A network that decides by its data cannot do so on tensors that have none."""
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensorMode,
    )

    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
            probe(mode.from_tensor(example))
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise ValueError(
            "network cannot be traced, for its way depends on the data "
            f"({error}). Layers that are chosen by the data are not supported."
        ) from error
    except Exception:
        return  # something that such tensors cannot do; the trace itself will tell


def _traced(probe: nn.Module, example: Tensor) -> tuple[list[list["Item"]], "Graph"]:
    """The groups as they were traced, and the graph."""
    from snnviz._graph import Graph  # here, for a script that trains nothing should not wait for it

    try:
        graph = Graph(probe, example)
        return list(graph.groups(WRITERS)), graph
    except Exception as error:
        raise ValueError(
            "network cannot be traced, so its switch groups are not known "
            f"({type(error).__name__}: {error}). Networks whose layers are chosen by the data are "
            "not supported."
        ) from error


def _shared_parameters(probe: nn.Module) -> set[Tensor]:
    """Parameters that several layers hold: a factor for one of them would act in the others too."""
    owners = Counter(p for module in probe.modules() for p in module.parameters(recurse=False))
    return {parameter for parameter, count in owners.items() if count > 1}


# From a traced group to a switch group -----------------------------------------------------------


def _group(
    items: list["Item"],
    graph: "Graph",
    names: dict[Any, str],
    shared: set[Tensor],
    order: dict[str, int],
    taken: Container[str],
) -> SwitchGroup | str:
    """The switch group, or why its neurons cannot be switched."""
    ties = _Ties(len(items[0].module.weight))
    parts: dict[str, dict[Any, Item]] = {"writers": {}, "norms": {}, "readers": {}, "others": {}}
    for item in items:
        module, reading = item.module, item.reading
        kind = type(module).__name__.strip("_")
        if module in graph.unclear:
            return f"{kind} moves their places in a way that cannot be followed"
        if kind in _PASSED:
            continue
        if module is graph.images:
            return "they are tied to the channels of the images"
        if isinstance(module, WRITERS):
            parts["readers" if reading else "writers"].setdefault(module, item)
            channels = _inputs(module) if reading else len(module.weight)
            if max(item.channels) >= channels:
                return f"what lies before {names[module]} changes how many there are"
            if not _in_equal_parts(item, channels):
                return f"{kind} takes them in parts, together with others"
            ties.tie(item, channels // _parts(module))
        elif isinstance(module, _NORMS):
            if module.weight is None:
                return f"{kind} has no scale and shift to fold a factor into"
            parts["norms"].setdefault(module, item)
        elif kind == "PReLU":
            if module.num_parameters == 1:
                continue
            parts["others"].setdefault(module, item)
        elif kind in ("LayerNorm", "LayerNorm2d", "GroupNorm"):
            return f"{kind} mixes its neurons: they could be weighted, but not taken out"
        elif kind == "OutputOp":
            return "these are the network's outputs"
        else:
            return f"{kind} mixes or ties its neurons"
        if not reading and not shared.isdisjoint(module.parameters(recurse=False)):
            return f"{kind} shares its parameters with another layer"
    if not parts["readers"]:
        return "these are the network's outputs"
    neuron_of, neurons = ties.neurons()

    def member(module: Any, item: "Item") -> Member:
        channels, first = np.unique(item.channels, return_index=True)
        return Member(names[module], channels, neuron_of[item.roots[first]])

    def members(part: str) -> list[Member]:
        found = [member(module, item) for module, item in parts[part].items()]
        return sorted(found, key=lambda m: order[m.layer])

    behind = {
        norm: _writer_before(norm, graph.module2node, parts["writers"]) for norm in parts["norms"]
    }
    norm_of = {names[writer]: names[norm] for norm, writer in behind.items() if writer}
    free = {names[norm] for norm, writer in behind.items() if writer is None}
    writers, norms = members("writers"), members("norms")
    # A norm that does not stand right behind a writer would undo a factor before it: there the
    # factor acts in that norm itself, and in every other one that reads the neurons.
    if free:
        scaled = [m for m in norms if m.layer in free]
    else:
        scaled = [m for m in norms if m.layer in norm_of.values()]
        scaled += [m for m in writers if m.layer not in norm_of]
    readers = members("readers")
    return SwitchGroup(
        name=next(m.layer for m in writers if m.layer not in taken),
        neurons=neurons,
        writers=tuple(m.layer for m in writers),
        norms=tuple(norm_of.get(m.layer) for m in writers),
        readers=tuple(m.layer for m in readers),
        scaled=tuple(m.layer for m in sorted(scaled, key=lambda m: order[m.layer])),
        written_as=tuple(writers),
        read_as=tuple(readers),
        scaled_as=tuple(sorted(scaled, key=lambda m: order[m.layer])),
        carried_as=(*norms, *members("others")),
    )


def _writers(items: list["Item"], names: dict[Any, str]) -> list[str]:
    """The layers whose outputs they are, where no group tells."""
    return [
        names[item.module]
        for item in items
        if not item.reading and item.module in names and isinstance(item.module, WRITERS)
    ]


class _Ties:
    """Channels of the root layer that are one neuron.

    Those that meet in one channel of another layer are, and those at the same place of all parts of
    a grouped convolution, for its parts must stay of one size.
    """

    def __init__(self, channels: int) -> None:
        self._parent = np.arange(channels)

    def tie(self, item: "Item", part: int) -> None:
        """Ties the channels that stand at the same place of parts of this size."""
        places, roots = item.channels % part, item.roots
        alone, counts = np.unique(places, return_counts=True)
        for place in alone[counts > 1]:
            first, *rest = np.unique(self._parent[roots[places == place]])
            for other in rest:
                self._parent[self._parent == other] = first

    def neurons(self) -> tuple[np.ndarray, int]:
        """For each channel its neuron, and how many there are."""
        firsts, neuron_of = np.unique(self._parent, return_inverse=True)
        return neuron_of, len(firsts)


def _parts(module: Any) -> int:
    """Into how many parts a convolution's channels fall; a depthwise one is as if it had none."""
    groups = getattr(module, "groups", 1)
    return 1 if groups == _inputs(module) == module.weight.shape[0] else groups


def _in_equal_parts(item: "Item", channels: int) -> bool:
    """Whether a grouped convolution can lose the same places of all its parts."""
    module = item.module
    if _parts(module) == 1:
        return True
    uneven = module.groups in (module.in_channels, module.out_channels)
    return not uneven and len(np.unique(item.channels)) == channels


def _inputs(module: Any) -> int:
    return module.weight.shape[1] * getattr(module, "groups", 1)


def _writer_before(norm: Any, nodes: dict[Any, Any], writers: dict[Any, Any]) -> Any:
    """The writer that the norm stands right behind, if all that it gives goes through the norm."""
    inputs = nodes[norm].inputs
    if len(inputs) == 1 and inputs[0].module in writers and len(inputs[0].outputs) == 1:
        return inputs[0].module
    return None


# Off means off -----------------------------------------------------------------------------------


def _without_leaks(
    probe: nn.Module, example: Tensor, groups: dict[str, SwitchGroup], positions: dict[str, int]
) -> tuple[dict[str, SwitchGroup], dict[str, str]]:
    """The groups whose off neurons reach no reader, and why the others are left out."""
    leaks = _leaks(probe, example, groups, positions)
    # Where some reader takes the neurons as they are and another takes them through a norm, the
    # factor has to act in the writers as well.
    groups = {k: _scaled_twice(g) if k in leaks else g for k, g in groups.items()}
    leaks = _leaks(probe, example, groups, positions) if leaks else {}
    reasons = {
        writer: f"off neurons would still reach {reader}: what lies between does not keep 0 at 0"
        for name, reader in leaks.items()
        for writer in groups[name].writers
    }
    return {name: group for name, group in groups.items() if name not in leaks}, reasons


def _scaled_twice(group: SwitchGroup) -> SwitchGroup:
    present = set(group.scaled)
    norm_of = dict(zip(group.writers, group.norms, strict=True))
    carried = {m.layer: m for m in group.carried_as}
    more = tuple(
        carried[norm] if (norm := norm_of[m.layer]) else m
        for m in group.written_as
        if (norm_of[m.layer] or m.layer) not in present
    )
    scaled = (*group.scaled_as, *more)
    return replace(group, scaled=tuple(m.layer for m in scaled), scaled_as=scaled)


@contextmanager
def _drawn_at_random(probe: nn.Module, sign: int) -> Iterator[None]:
    """Fresh norms and zero biases would hide a leak, and ReLU those of one sign."""
    generator = torch.Generator().manual_seed(0)

    def draw(tensor: Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator) * (high - low) + low
        tensor.data.copy_(values)

    before = copy.deepcopy(probe.state_dict())
    for module in probe.modules():
        if getattr(module, "bias", None) is not None and isinstance(module.bias, Tensor):
            draw(module.bias, -0.5 * sign, 0.5 * sign)
        if isinstance(module, _NORMS):
            if module.weight is not None:
                draw(module.weight, 0.5, 1.5)
            if module.running_mean is not None and module.running_var is not None:
                draw(module.running_mean, -0.5 * sign, 0.5 * sign)
                draw(module.running_var, 0.5, 1.5)
    try:
        yield
    finally:
        probe.load_state_dict(before)


@torch.no_grad()
def _leaks(
    probe: nn.Module, example: Tensor, groups: dict[str, SwitchGroup], positions: dict[str, int]
) -> dict[str, str]:
    """Runs the copy with every second neuron off: {group: a reader that notices an off neuron}."""
    if not groups:
        return {}
    leaks: dict[str, str] = {}
    factors = {g.name: (torch.arange(g.neurons) % 2).to(example) for g in groups.values()}

    def watch(group: SwitchGroup, member: Member) -> Callable[..., None]:
        off = torch.from_numpy(member.channels[member.neurons % 2 == 0]).to(example.device)

        def hook(module: Any, inputs: Any) -> None:
            dim = -1 if isinstance(module, nn.Linear) else 1
            if inputs[0].index_select(dim, off).any():
                leaks.setdefault(group.name, member.layer)

        return hook

    handles = [
        probe.get_submodule(member.layer).register_forward_pre_hook(watch(group, member))
        for group in groups.values()
        for member in group.read_as
    ]
    switches = _switches(probe, groups, {}, positions)
    switches = switches.to(example.device)
    try:
        for sign in (1, -1):
            with _drawn_at_random(probe, sign):
                parameters = scaled_parameters(probe, switches, factors)
                functional_call(probe, parameters, (example,))
    finally:
        for handle in handles:
            handle.remove()
    return leaks


# Costs -------------------------------------------------------------------------------------------


def _switches(
    probe: nn.Module,
    groups: dict[str, SwitchGroup],
    left_alone: dict[str, str],
    positions: dict[str, int],
) -> Switches:
    written: dict[str, list[tuple[str, np.ndarray]]] = {}
    read: dict[str, list[tuple[str, np.ndarray]]] = {}
    for group in groups.values():
        for member in (*group.written_as, *group.carried_as):
            written.setdefault(member.layer, []).append((group.name, member.neurons))
        for member in group.read_as:
            read.setdefault(member.layer, []).append((group.name, member.neurons))
    layers = []
    for name, module in probe.named_modules():
        places = tuple(written.get(name, ())), tuple(read.get(name, ()))
        if isinstance(module, WRITERS):
            weight: Tensor = module.weight
            layers.append(
                LayerCost(
                    name=name,
                    units=weight.shape[0],
                    inputs=weight.shape[1],
                    reads_in=getattr(module, "groups", 1),
                    per_connection=math.prod(weight.shape[2:]),
                    per_unit=int(module.bias is not None),
                    positions=positions.get(name, 0),
                    written=places[0],
                    read=places[1],
                )
            )
        elif name in written:
            own = list(module.parameters(recurse=False))
            layers.append(LayerCost(name, len(own[0]), 0, 1, 0, len(own), 0, places[0], ()))
    return Switches(groups, left_alone, tuple(layers), sum(p.numel() for p in probe.parameters()))
