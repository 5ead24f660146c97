"""Finds the switch groups of any network: traces it, and tries out that off neurons can be removed.

Torch-Pruning's dependency graph says which channels belong together. Then a copy of the network is
run with random parameters: an off neuron must not reach any reader (`leaks.py`), and the network
without it must give the same scores (`trial.py`). Where this fails, the neurons are left alone.
"""

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.devices import standard_settings
from snnviz.structure.costs import add_costs
from snnviz.structure.flow import Watch, check_flow
from snnviz.structure.grouping import build_switch_group, shared_parameters, writers_among
from snnviz.structure.groups import Switches, SwitchGroup
from snnviz.structure.heads import find_heads, propose_heads
from snnviz.structure.leaks import drop_leaking
from snnviz.structure.modes import in_mode
from snnviz.structure.moves import choose_moves
from snnviz.structure.probe import (
    MIXING,
    NORMS,
    WRITERS,
    check_arguments,
    copied,
    count_positions,
    has_channels,
    running,
)
from snnviz.structure.reasons import EXCLUDED, FIXED_WIDTH, MEAN, TIED
from snnviz.structure.standardised import replace_all
from snnviz.structure.trial import drop_failing

if TYPE_CHECKING:
    from pandas import DataFrame

    from snnviz.structure.graph import Graph
    from snnviz.structure.places import Item

_PROBE_IMAGES = 2
_LISTED = 60  # names of layers in an error


@standard_settings()
def find_switches(
    network: nn.Module,
    example: Tensor,
    exclude: Sequence[str] = (),
    weighted: Sequence[str] = (),
) -> Switches:
    """Finds the switch groups of a network by tracing it on example images.

    Args:
        network: from images to class scores. It is copied, and left as it was.
        example: normalised images (n, channels, height, width); two are enough.
        exclude: patterns of layer names, as in a shell (`"layer1.*"`), whose neurons stay on.
        weighted: patterns of layer names whose neurons get factors though a norm mixes them, so
            that `compact` folds the factors in and takes none of them out.

    Raises:
        ValueError: the example is not a tensor of images, or the network does not run on it in
            both modes, is random in evaluation mode, cannot be traced, or has no neurons that can
            be switched.

    Source: dependency graphs of Fang et al. 2023 (DepGraph), through Torch-Pruning.
    """
    check_arguments(network, example)
    exclude = _check_patterns("exclude", exclude, network)
    weighted = _check_patterns("weighted", weighted, network)
    return _find(network, _take_two(example), exclude, weighted)


def _take_two(example: Tensor) -> Tensor:
    """Two images: with one alone, batch norm could not be tried in training mode."""
    if len(example) == 1:
        example = torch.cat([example, example.flip(-1)])
    return example[:_PROBE_IMAGES].detach().clone()


def _find(
    network: nn.Module, example: Tensor, exclude: Sequence[str], weighted: Sequence[str]
) -> Switches:
    # Frozen parameters would cut the trace short, so the copy asks for every gradient.
    probe = copied(network).requires_grad_(True).eval()
    positions = _run(probe, example)
    _check_training(probe, example)
    found = _sort_out(_trace_with_buffers(probe, example), exclude, weighted, positions)
    groups, left_alone, larger, order = found.groups, found.left_alone, found.larger, found.order
    groups = dict(sorted(groups.items(), key=lambda pair: order[pair[0]]))
    own = shared_parameters(probe)
    if larger:
        names_of = [options[0].name for options in larger]
        with_larger = groups | {options[0].name: options[0] for options in larger}
        fit, _ = drop_leaking(probe, example, with_larger, positions, own)
        larger = [[fit[name]] for name in names_of if name in fit]
    groups, leaking = drop_leaking(probe, example, groups, positions, own)
    left_alone |= leaking
    groups, failing = drop_failing(probe, example, groups, positions, own, larger, found.heads)
    left_alone |= failing
    switched = {writer for group in groups.values() for writer in group.writers}
    left_alone = {layer: why for layer, why in left_alone.items() if layer not in switched}
    groups = dict(sorted(groups.items(), key=lambda pair: order[pair[0]]))
    left_alone = dict(sorted(left_alone.items(), key=lambda pair: order[pair[0]]))
    if not groups:
        listed = "; ".join(f"{layer}: {why}" for layer, why in left_alone.items())
        raise ValueError(
            "network has no neurons that can be switched"
            f" ({listed or 'it has no linear or convolution layer'})."
            " At least one hidden layer, linear or a convolution, must have neurons that can go."
        )
    groups = choose_moves(probe, example, groups, positions, own)
    return add_costs(probe, groups, left_alone, positions)


class _Found(NamedTuple):
    """What a trace says; nothing of it has been tried yet."""

    groups: dict[str, SwitchGroup]
    left_alone: dict[str, str]
    larger: list[list[SwitchGroup]]  # with the channels that meet constant ones
    heads: list[list[SwitchGroup]]
    order: dict[str, int]  # of layers and parameters


def _sort_out(
    traced: tuple[nn.Module, list[list["Item"]], "Graph"],
    exclude: Sequence[str],
    weighted: Sequence[str],
    positions: dict[str, float],
) -> _Found:
    seen, all_items, graph = traced
    names: dict[Any, str] = {module: name for name, module in seen.named_modules()}
    names |= {parameter: name for name, parameter in seen.named_parameters()}
    order = {name: i for i, name in enumerate(names.values())}
    context = names, shared_parameters(seen), order
    groups: dict[str, SwitchGroup] = {}
    left_alone: dict[str, str] = {}
    larger: list[list[SwitchGroup]] = []
    heads: list[list[SwitchGroup]] = []
    for items in all_items:
        found = build_switch_group(items, graph, *context, groups)
        proposed = propose_heads(items, seen, *context)
        if proposed and _matches(proposed[0], exclude):
            left_alone |= dict.fromkeys(proposed[0].writers, EXCLUDED)
        elif proposed:
            heads.append(proposed)
        if isinstance(found, str):
            layer_norm = next((i.module for i in items if isinstance(i.module, nn.LayerNorm)), None)
            found = f"{type(layer_norm).__name__} {MEAN}" if layer_norm else found
            left_alone |= dict.fromkeys(writers_among(items, names), found) | left_alone
        elif _matches(found, exclude):
            left_alone |= dict.fromkeys(found.writers, EXCLUDED)
        elif found.neurons == 1 < max(len(member.channels) for member in found.written_as):
            left_alone |= dict.fromkeys(found.writers, TIED)
        elif found.mixed_by and not _matches(found, weighted):
            whole = build_switch_group(items, graph, *context, groups, whole=True)
            if isinstance(whole, str) or whole.mixed_by or whole.neurons == 1:
                left_alone |= dict.fromkeys(found.writers, _weighted_only(found))
            else:
                groups[whole.name] = whole
        else:
            larger += _with_constants(found, items, graph, context, list(groups))
            groups[found.name] = found
    for name, head_group in find_heads(seen, context[1], positions).items():
        left_alone.setdefault(f"{name}.out_proj", f"{name} {FIXED_WIDTH}")
        if isinstance(head_group, str):
            left_alone[name] = head_group
        elif _matches(head_group, exclude):
            left_alone[name] = EXCLUDED
        else:
            groups[name] = head_group
    return _Found(groups, left_alone, larger, heads, order)


def _with_constants(
    found: SwitchGroup, items: list["Item"], graph: "Graph", context: Any, others: Collection[str]
) -> list[list[SwitchGroup]]:
    """Also with the channels that meet constant ones, whose number may follow."""
    if not any(item.module in graph.constant for item in items):
        return []
    more = build_switch_group(items, graph, *context, taken=others, constant=False)
    return [[more]] if isinstance(more, SwitchGroup) and more.neurons > found.neurons else []


def describe(
    network: nn.Module,
    example: Tensor,
    exclude: Sequence[str] = (),
    show: bool = True,
    weighted: Sequence[str] = (),
) -> "DataFrame":
    """What the switcher will control: a row for each group, and for each layer left alone why.

    Columns: group, neurons, writers, scaled, readers, parameters and macs (of one neuron), note.
    """
    import pandas as pd

    switches = find_switches(network, example, exclude, weighted)
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
                "scaled": ", ".join(group.readers if group.moved == "always" else group.scaled),
                "readers": ", ".join(group.readers),
                "parameters": whole.parameters - without.parameters,
                "macs": whole.macs - without.macs,
                "note": _weighted_only(group) if group.mixed_by else "",
            }
        )
    for layer, why in switches.left_alone.items():
        rows.append({"group": layer, "neurons": 0, "parameters": 0, "macs": 0, "note": why})
    table = pd.DataFrame(rows).fillna("")
    if show:
        print(table.to_string(index=False, max_colwidth=40))
    return table


def _check_patterns(argument: str, patterns: Sequence[str], network: nn.Module) -> tuple[str, ...]:
    """The patterns; ValueError for one that no layer fits, which is probably a slip."""
    listed = isinstance(patterns, Collection) and not isinstance(patterns, str)
    if not listed or not all(isinstance(pattern, str) for pattern in patterns):
        example = patterns if isinstance(patterns, str) else "layer1.*"
        raise ValueError(
            f"{argument} must be a list of patterns of layer names, got {patterns!r}. "
            f"Use for example {argument}=[{example!r}]."
        )
    layers = _switchable_layers(network)
    for pattern in patterns:
        if not fits_a_layer(pattern, network):
            listed = ", ".join(layers[:_LISTED]) + (", …" if len(layers) > _LISTED else "")
            raise ValueError(
                f"{argument} must have only patterns that fit a linear or convolution layer, got "
                f"{pattern!r}, and the layers are {listed or 'none'}. Correct it, or leave it out."
            )
    return tuple(patterns)


def fits_a_layer(pattern: str, network: nn.Module) -> bool:
    """Whether the pattern fits the name of a layer that can be excluded."""
    return any(fnmatchcase(layer, pattern) for layer in _switchable_layers(network))


def _switchable_layers(network: nn.Module) -> list[str]:
    kinds = (*WRITERS, nn.MultiheadAttention)
    return [name for name, module in network.named_modules() if isinstance(module, kinds)]


def _matches(group: SwitchGroup, patterns: Sequence[str]) -> bool:
    layers = group.writers if group.scaled else (*group.writers, *group.readers)
    return any(fnmatchcase(layer, pattern) for layer in layers for pattern in patterns)


def _weighted_only(group: SwitchGroup) -> str:
    return f"weighted only: {group.mixed_by} {MEAN}"


# Running and tracing a copy ----------------------------------------------------------------------


def _run(probe: nn.Module, example: Tensor) -> dict[str, float]:
    """Runs the copy in evaluation mode; {layer: image positions at which its weights are used}."""
    devices = [example.device] if example.is_cuda else []
    before = example.clone()
    with running(probe, example), torch.random.fork_rng(devices), torch.no_grad():
        with count_positions(probe) as positions:
            scores = probe(example)
        with Watch() as watch:
            again = probe(example)
    if not _are_scores(scores, example):
        raise ValueError(
            f"network must return class scores of shape ({len(example)}, classes) "
            f"for {len(example)} images, got {_kind_of(scores)}."
        )
    close = 1e-3 * float(scores.nan_to_num().abs().max())  # GPUs add in any order
    if not torch.allclose(scores, again, rtol=0, atol=close, equal_nan=True):
        if not before.equal(example):
            raise ValueError(
                "network must leave its images as they are, and it changes them in place, so that "
                "its next call gives other class scores. Use for example x = x * 2 instead of "
                "x *= 2 or x.mul_(2)."
            )
        raise ValueError(
            "network must give the same class scores at every call in evaluation mode, and it is "
            "random there. Functional dropout, for example, is random unless it follows the mode: "
            "F.dropout(x, p, training=self.training)."
        )
    if watch.seen:
        check_flow(probe, example)
    return positions


def _check_training(probe: nn.Module, example: Tensor) -> None:
    """Whether the network gives class scores in training mode as well."""
    with running(probe, example, " in training mode"), in_mode(probe, "training", example):
        scores = probe(example)
    if not _are_scores(scores, example):
        raise ValueError(
            f"network must return class scores of shape ({len(example)}, classes) in training mode "
            f"too, got {_kind_of(scores)}. Turn off its auxiliary outputs: torchvision's networks, "
            "for example, are built with aux_logits=False."
        )


def _are_scores(scores: Any, example: Tensor) -> bool:
    return isinstance(scores, Tensor) and scores.ndim == 2 and len(scores) == len(example)


def _kind_of(scores: Any) -> str:
    return f"{tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__


def _with_buffers_as_parameters(probe: nn.Module) -> nn.Module:
    """A copy to trace, for autograd does not record buffers, and some belong to channels."""
    known = (*WRITERS, *NORMS, *MIXING)
    own = {
        f"{name}.{own}".lstrip(".")
        for name, module in probe.named_modules()
        for own, buffer in module._buffers.items()
        if not isinstance(module, known)
        if buffer is not None and buffer.is_floating_point() and has_channels(buffer)
    }
    if not own:
        return probe
    seen = copied(probe)
    for name in own:
        owner, _, last = name.rpartition(".")
        module = seen.get_submodule(owner)
        buffer = module._buffers.pop(last)
        module.register_parameter(last, nn.Parameter(buffer))
    return seen


def _trace_with_buffers(
    probe: nn.Module, example: Tensor
) -> tuple[nn.Module, list[list["Item"]], "Graph"]:
    """What was traced, the groups, and the graph."""
    probe = replace_all(probe, shared_parameters(probe))
    seen = _with_buffers_as_parameters(probe)
    try:
        return seen, *_trace(seen, example)
    except ValueError:  # buffers may change in place, and parameters may not
        if seen is probe:
            raise
        return probe, *_trace(probe, example)


def _trace(probe: nn.Module, example: Tensor) -> tuple[list[list["Item"]], "Graph"]:
    """The groups as they were traced, and the graph."""
    # Imported here, so that a script that trains nothing need not wait for it.
    from snnviz.structure.graph import Graph

    try:
        graph = Graph(probe, example)
        return graph.groups(WRITERS), graph
    except Exception as error:
        raise ValueError(
            "network cannot be traced, so its switch groups are not known "
            f"({type(error).__name__}: {error}). Networks whose layers are chosen by the images "
            "are not supported."
        ) from error
