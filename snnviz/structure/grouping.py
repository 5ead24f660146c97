"""Turns channels that were traced together into a switch group, or says why this is impossible."""

from collections import Counter
from collections.abc import Container
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from snnviz.structure.groups import Member, Number, SwitchGroup
from snnviz.structure.layers import inputs_of, is_depthwise, own_channel_dim, parts_of, units_of
from snnviz.structure.places import takes_mean_of_channels
from snnviz.structure.probe import (
    MIXING,
    NORMS,
    WRITERS,
    computes_weights,
    has_channels,
    own_parameters,
)
from snnviz.structure.reasons import (
    AS_MATRICES,
    COMBINES,
    FIXED_WIDTH,
    MEAN,
    NEIGHBOURS,
    RESPONSES,
    SPREAD,
    TANGLED,
    called,
    kind_of,
)
from snnviz.structure.standardised import standardises

if TYPE_CHECKING:
    from snnviz.structure.graph import Graph
    from snnviz.structure.places import Item
    from snnviz.structure.splitting import Split

_PASSED = ("ElementWiseOp", "ReshapeOp", "ConcatOp")  # operations that a factor goes through


def build_switch_group(
    items: list["Item"],
    graph: "Graph",
    names: dict[Any, str],
    shared: set[Tensor],
    order: dict[str, int],
    taken: Container[str],
    whole: bool = False,
    constant: bool = True,
) -> SwitchGroup | str:
    """The switch group, or why its neurons cannot be switched.

    With `whole`, all channels that a GroupNorm takes together are one neuron. Channels that meet
    constant ones are no neurons, unless `constant` is False, for the number of those may be fixed.
    """
    if items[0].module in graph.tangled:
        return TANGLED
    mixing = (nn.LayerNorm,) if whole else MIXING
    ties = _Ties(1 + max(int(item.roots.max()) for item in items))
    mixed_by = next((kind_of(i.module) for i in items if isinstance(i.module, mixing)), "")
    parts: dict[str, dict[Any, Item]] = {"writers": {}, "norms": {}, "readers": {}, "others": {}}
    splits: list[tuple[Item, Split]] = []
    fixed: set[int] = set()  # channels of the root
    unscaled = ""  # a norm that no factor can be folded into
    # What divides, or combines, first: this is the reason, whatever else there is.
    for item in sorted(items, key=lambda i: _place_of_reason(i, graph)):
        module, reading = item.module, item.reading
        kind = kind_of(module)
        for first, end in graph.constant.get(module, ()) if constant else ():
            fixed.update(item.roots[(first <= item.channels) & (item.channels < end)].tolist())
        if module in graph.unclear and not mixed_by:
            owner = graph.owner_of(module)
            if owner and isinstance(owner[1], nn.LocalResponseNorm):
                return f"{owner[0]} {RESPONSES}"
            who = f"{owner[0]} ({kind_of(owner[1])})" if owner and owner[0] else called(module)
            return f"{who} moves channels in a way that could not be followed"
        if (kind in _PASSED or module in graph.passing) and module not in graph.splits:
            continue
        if split := graph.splits.get(module):
            if split.equal:
                if len(np.unique(item.channels)) != split.channels:
                    who = called(module)
                    return f"{who} takes parts of equal size, and mixes them with other channels"
                ties.tie(item.channels % split.equal, item.roots)
            splits.append((item, split))
            continue
        if module is graph.images:
            return "they are tied to the channels of the images"
        if reading and module in graph.dividing:
            return f"{names[module]} {SPREAD}"
        if isinstance(module, (*WRITERS, *NORMS, *MIXING)) and computes_weights(module):
            return f"{names[module]} computes its weights from other parameters"
        if isinstance(module, (*WRITERS, *NORMS, *MIXING)) and own_parameters(module):
            own = ", ".join(own_parameters(module))
            return f"{names[module]} has parameters besides weight and bias ({own})"
        if isinstance(module, WRITERS):
            if reading and is_depthwise(module):
                continue  # it writes what it reads
            parts["readers" if reading else "writers"].setdefault(module, item)
            channels = inputs_of(module) if reading else units_of(module)
            if reading and channels == 1 and len(item.channels) > 1:
                return _why_others(items, graph) or f"{names[module]} {NEIGHBOURS}"
            if max(item.channels) >= channels:
                other = f"the number of channels changes before {names[module]}"
                return _why_others(items, graph) or other
            if not _in_equal_parts(item, channels):
                return f"{kind} is grouped, and its parts mix them with other channels"
            ties.tie(item.channels % (channels // _parts(module)), item.roots)
        elif isinstance(module, (*NORMS, *MIXING)):
            if isinstance(module, nn.LayerNorm) and (
                module.weight is None or module.weight.ndim > 1
            ):
                return f"{kind} has no scale and shift to fold a factor into"
            if max(item.channels) >= units_of(module):
                other = f"the number of channels changes before {names[module]}"
                return _why_others(items, graph) or other
            parts["others" if module.weight is None else "norms"].setdefault(module, item)
            if module.weight is None:
                unscaled = f"{kind} has no scale and shift to fold a factor into"
            if whole and isinstance(module, nn.GroupNorm):
                if len(np.unique(item.channels)) != module.num_channels:
                    return f"{kind} mixes its neurons with other channels"
                ties.tie(item.channels * module.num_groups // module.num_channels, item.roots)
        elif kind == "PReLU":
            if module.num_parameters == 1:
                continue
            parts["others"].setdefault(module, item)
        elif kind == "OutputOp":
            return "these are the network's outputs"
        elif isinstance(module, nn.Parameter) and not mixed_by and has_channels(module):
            if max(item.channels) >= module.shape[own_channel_dim(module)] or module in shared:
                return f"{names.get(module, kind)} has another size, or several owners"
            parts["others"].setdefault(module, item)
            continue
        elif mixed_by and kind in ("Parameter", "MultiheadAttention", "ExpandOp"):
            continue  # the factors act in the norms after it, and nothing is removed
        elif kind == "LSTM":
            return TANGLED
        elif isinstance(module, nn.MultiheadAttention):
            return f"{names[module]} {FIXED_WIDTH}"
        elif isinstance(module, nn.Parameter):
            return f"{names.get(module, kind)} {COMBINES}"
        else:
            return f"{called(module)} mixes or ties its neurons"
        if not reading and not shared.isdisjoint(module.parameters(recurse=False)):
            return f"{kind} shares its parameters with another layer"
    if any(item.module in graph.tangled for item in items):
        return TANGLED
    if not parts["readers"] and any(item.module in graph.broadcast for item in items):
        return "their one channel acts on all channels of other layers"
    if not parts["readers"]:
        return "these are the network's outputs"
    if unscaled and not all(weighs_inputs(reader, shared) for reader in parts["readers"]):
        return unscaled
    neuron_of, neurons = ties.neurons(fixed)
    if not neurons:
        return "they are added to, or go together with, channels whose number is fixed"

    def member(module: Any, item: "Item") -> Member:
        channels, first = np.unique(item.channels, return_index=True)
        own = neuron_of[item.roots[first]]
        return Member(names[module], channels[own >= 0], own[own >= 0])

    def neurons_at(item: "Item", first: int, end: int) -> np.ndarray:
        channels, places = np.unique(item.channels, return_index=True)
        own = neuron_of[item.roots[places[(first <= channels) & (channels < end)]]]
        return own[own >= 0]

    def members(part: str) -> list[Member]:
        found = [member(module, item) for module, item in parts[part].items()]
        return sorted((m for m in found if len(m.channels)), key=lambda m: order[m.layer])

    behind = {
        norm: _writer_before(norm, graph.module2node, parts["writers"]) for norm in parts["norms"]
    }
    norm_of = {names[writer]: names[norm] for norm, writer in behind.items() if writer}
    free = {names[norm] for norm, writer in behind.items() if writer is None}
    writers, norms = members("writers"), members("norms")
    # A norm that does not directly follow a writer would undo a factor before it. So the factor
    # acts in that norm itself, and in every other norm that reads the neurons.
    if free:
        scaled = [m for m in norms if m.layer in free]
    else:
        scaled = [m for m in norms if m.layer in norm_of.values()]
        scaled += [m for m in writers if m.layer not in norm_of]
    readers = members("readers")
    if not readers:
        return "no layer reads them but together with channels whose number is fixed"
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
        numbers=tuple(
            Number(*name, f"{item.module}", counted)
            for item, split in splits
            for name, (first, end) in split.numbers.items()
            if len(counted := neurons_at(item, first, end))
        )
        + tuple(
            Number(*name, "", neurons_at(item, 0, len(filters)))
            for filters, item in parts["others"].items()
            if isinstance(filters, nn.Parameter) and filters.ndim == 4
            for name in graph.counts(names[filters], len(filters))
        ),
        mixed_by=mixed_by,
        moved="always" if unscaled else "",
    )


def _place_of_reason(item: "Item", graph: "Graph") -> int:
    bare = isinstance(item.module, nn.Parameter) and not has_channels(item.module)
    return 0 if item.reading and item.module in graph.dividing else 1 if bare else 2


def _why_others(items: list["Item"], graph: "Graph") -> str:
    """Why a layer has not as many channels as come to it, or ""."""
    for item in items:
        node = graph.module2node.get(item.module)
        matrices = node is not None and node.grad_fn.name().startswith(("Bmm", "Baddbmm"))
        mean = node is not None and takes_mean_of_channels(node.grad_fn)
        if matrices or mean:
            owner = graph.owner_of(item.module)
            who = f"{owner[0]} ({kind_of(owner[1])})" if owner and owner[0] else "the network"
            return f"{who} {MEAN if mean else AS_MATRICES}"
    return ""


def writers_among(items: list["Item"], names: dict[Any, str]) -> list[str]:
    """The layers that write these channels, for channels that are no group."""
    return [
        names[item.module]
        for item in items
        if not item.reading and item.module in names and isinstance(item.module, WRITERS)
    ]


class _Ties:
    """Channels of the root layer that are one neuron.

    These are channels that meet in one channel of another layer, channels at the same place in all
    parts of a grouped convolution, because its parts must keep equal sizes, and so on.
    """

    def __init__(self, channels: int) -> None:
        self._parent = np.arange(channels)

    def tie(self, places: np.ndarray, roots: np.ndarray) -> None:
        """Ties the channels of the root that have the same place."""
        alone, counts = np.unique(places, return_counts=True)
        for place in alone[counts > 1]:
            first, *rest = np.unique(self._parent[roots[places == place]])
            for other in rest:
                self._parent[self._parent == other] = first

    def neurons(self, fixed: set[int]) -> tuple[np.ndarray, int]:
        """For each channel its neuron, -1 for fixed ones, and how many neurons there are."""
        out = np.isin(self._parent, self._parent[sorted(fixed)])
        firsts, neuron_of = np.unique(self._parent[~out], return_inverse=True)
        found = np.full(len(self._parent), -1)
        found[~out] = neuron_of
        return found, len(firsts)


def weighs_inputs(layer: Any, shared: Container[Tensor]) -> bool:
    """Whether a factor for each input can multiply its weights."""
    plain = isinstance(layer, WRITERS) and not own_parameters(layer) and not standardises(layer)
    return plain and layer.weight not in shared


def _parts(module: Any) -> int:
    """How many parts a grouped convolution has; 1 for a depthwise one."""
    return 1 if is_depthwise(module) else parts_of(module)


def _in_equal_parts(item: "Item", channels: int) -> bool:
    """Whether a grouped convolution can lose the same places of all its parts."""
    module = item.module
    return _parts(module) == 1 or len(np.unique(item.channels)) == channels


def _writer_before(norm: Any, nodes: dict[Any, Any], writers: dict[Any, Any]) -> Any:
    """The writer directly before the norm, if the norm is the only one that takes its output."""
    inputs = nodes[norm].inputs
    if len(inputs) == 1 and inputs[0].module in writers and len(inputs[0].outputs) == 1:
        return inputs[0].module
    return None


def shared_parameters(probe: nn.Module) -> set[Tensor]:
    """Parameters that several layers share: a factor for one layer would act in the others too."""
    owners = Counter(p for module in probe.modules() for p in module.parameters(recurse=False))
    return {parameter for parameter, count in owners.items() if count > 1}
