"""Removes neurons that are off from the layers that write, carry and read them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.structure.attention import NarrowAttention, channels_of, is_attention
from snnviz.structure.groups import Switches
from snnviz.structure.kept_norms import KeptNorm, keep_outputs, read_norm
from snnviz.structure.layers import (
    inputs_of,
    is_depthwise,
    is_transposed,
    own_channel_dim,
    parts_of,
    units_of,
)
from snnviz.structure.probe import WRITERS
from snnviz.structure.splitting import count_down
from snnviz.structure.standardised import make_plain, standardises


def keep_one(switches: Switches, off: dict[str, np.ndarray]) -> tuple[list[str], dict[str, str]]:
    """Keeps one neuron in each layer that would lose all, because no layer can have no channels.

    The neuron stays off: its weights are 0. Changes `off` in place.

    Returns the groups that are entirely off, and {layer whose part of a group is: why it stays}.
    """
    entirely = [name for name, gone in off.items() if gone.all()]
    parts: dict[str, str] = {}
    for name in entirely:
        off[name][0] = False
    # Layers whose outputs are concatenated write a part of a group each, and a layer behind a
    # split reads or carries a part.
    rows, columns = find_kept(switches, off)
    for group in switches.groups.values():
        for members, kept, why in (
            (group.written_as, rows, "its outputs are concatenated with those of other layers"),
            (group.carried_as, rows, "it gets only this part of a layer's outputs"),
            (group.read_as, columns, "it gets only this part of a layer's outputs"),
        ):
            for member in members:
                if not kept[member.layer].any():
                    kept[member.layer][member.channels[0]] = True
                    off[group.name][member.neurons[0]] = False
                    if group.name not in entirely:
                        parts[member.layer] = why
    return entirely, parts


def remove(
    network: nn.Module, switches: Switches, off: Mapping[str, np.ndarray]
) -> tuple[str, ...]:
    """Removes the neurons from the layers that write, carry and read them.

    Returns the layers that standardised their weights, and became torch's own.
    """
    plain: list[str] = []
    rows, columns = find_kept(switches, off)
    norms: dict[nn.Module, KeptNorm | None] = {}  # read before any of their parameters is narrowed
    for layer in switches.layers:
        if layer.name in rows or layer.name in columns:
            out = rows.get(layer.name, np.ones(layer.units, dtype=bool))
            into = columns.get(layer.name, np.ones(layer.inputs * layer.reads_in, dtype=bool))
            if out.all() and into.all():
                continue
            # The parts of a grouped convolution lose the same places; a depthwise one loses whole
            # parts.
            owner, _, own = layer.name.rpartition(".")
            holder = network.get_submodule(owner)
            if own in holder._parameters or own in holder._buffers:
                if holder not in norms:
                    norms[holder] = read_norm(holder)
                _narrow_own(holder, own, out, norms[holder])
                continue
            module: Any = network.get_submodule(layer.name)
            if is_attention(module):
                _narrow_attention(module, out)
                continue
            if not into.all() and standardises(module) and (usual := make_plain(module)):
                module = usual
                network.set_submodule(layer.name, module)
                plain.append(layer.name)
            _narrow(module, out, into)
    gone: dict[tuple[str, str], dict[str, int]] = {}  # by number, and by call
    for group in switches.groups.values():
        for number in group.numbers:
            calls = gone.setdefault((number.module, number.attribute), {})
            more = int(off[group.name][number.neurons].sum())
            calls[number.call] = calls.get(number.call, 0) + more
    for (module, attribute), calls in gone.items():
        count_down(network, module, attribute, next(iter(calls.values())))
    return tuple(plain)


def find_kept(
    switches: Switches, off: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Which outputs and which inputs are kept, for each layer that has neurons of a group."""
    layers = {layer.name: layer for layer in switches.layers}
    rows: dict[str, np.ndarray] = {}
    columns: dict[str, np.ndarray] = {}
    for group in switches.groups.values():
        stays = ~off[group.name]
        for member in (*group.written_as, *group.carried_as):
            whole = np.ones(layers[member.layer].units, dtype=bool)
            rows.setdefault(member.layer, whole)[member.channels] = stays[member.neurons]
        for member in group.read_as:
            layer = layers[member.layer]
            whole = np.ones(layer.inputs * layer.reads_in, dtype=bool)
            columns.setdefault(member.layer, whole)[member.channels] = stays[member.neurons]
    return rows, columns


def _narrow_own(owner: nn.Module, name: str, kept: np.ndarray, norm: KeptNorm | None) -> None:
    """Keeps these channels of a parameter or a buffer that is no layer's."""
    tensor: Any = getattr(owner, name)
    values = _select(tensor.detach(), own_channel_dim(tensor), kept)
    if norm and name == norm.weight:
        values = values * keep_outputs(owner, norm, int(kept.sum()), len(kept))
    if name in owner._buffers:
        owner._buffers[name] = values
    else:
        owner._parameters[name] = nn.Parameter(values, tensor.requires_grad)


def _narrow_attention(module: Any, kept: np.ndarray) -> None:
    """Keeps these channels of all heads: those of queries, keys and values."""
    for name, tensor in module._parameters.items():
        if tensor is not None:
            dim = channels_of(name)
            channels = np.tile(kept, tensor.shape[dim] // len(kept))
            values = _select(tensor.detach(), dim, channels)
            module._parameters[name] = nn.Parameter(values, tensor.requires_grad)
    module.num_heads = int(kept.sum()) // module.head_dim
    module.__class__ = NarrowAttention  # the same object, for its hooks, and for who else holds it
    module.decline_fast_path()


def _narrow(module: Any, rows: np.ndarray, columns: np.ndarray) -> None:
    """Keeps these outputs (rows) and inputs (columns) of a layer."""
    n, parts = int(rows.sum()), parts_of(module)
    writes: bool = isinstance(module, WRITERS)
    if writes and is_depthwise(module):  # whole parts go
        whole = rows[:: units_of(module) // parts]
        columns = whole.repeat(inputs_of(module) // parts)
        parts = int(whole.sum())
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is None or tensor.ndim == 0:  # no bias; a norm's count of batches
            continue
        kept = tensor.detach()
        gain = name != "weight" and tensor.numel() == len(tensor)
        if tensor.ndim == 1 or gain:
            kept = _select(kept, 0, rows)
        elif is_transposed(module):
            kept = _select(kept, 0, columns)
            kept = kept if is_depthwise(module) else _select(kept, 1, rows[: tensor.shape[1]])
        else:
            kept = _select(kept, 0, rows)
            kept = kept if is_depthwise(module) else _select(kept, 1, columns[: tensor.shape[1]])
        if isinstance(tensor, nn.Parameter):
            kept = nn.Parameter(kept, tensor.requires_grad)
        setattr(module, name, kept)
    if isinstance(module, nn.Linear):
        module.in_features, module.out_features = int(columns.sum()), n
    elif isinstance(module, nn.PReLU):
        module.num_parameters = n
    elif isinstance(module, nn.GroupNorm):
        module.num_groups = n * module.num_groups // module.num_channels
        module.num_channels = n
    elif writes:
        sizes = {"groups": parts, "in_channels": int(columns.sum()), "out_channels": n}
        for name, size in sizes.items():
            setattr(module, name, size)
    else:
        module.num_features = n


def _select(tensor: Tensor, dim: int, kept: np.ndarray) -> Tensor:
    return tensor.index_select(dim, torch.from_numpy(np.flatnonzero(kept)).to(tensor.device))
