"""How factors act on a network: they multiply its parameters."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from snnviz.structure.groups import Factors, Place, Switches
from snnviz.structure.layers import multiply, own_channel_dim
from snnviz.structure.probe import own_parameters


def scaled_parameters(
    network: nn.Module,
    switches: Switches,
    factors: Factors,
    constant: bool = False,
    phase: Literal["", "task", "switcher"] = "",
) -> dict[str, Tensor]:
    """The network's parameters with the factors multiplied in: {name: tensor}.

    Parameters that are not in the result are unscaled: `run_scaled` uses the network's own.
    Gradients flow through the result to the factors.

    Args:
        network: the task network.
        switches: its switch groups.
        factors: {group name: (neurons,)}.
        constant: treat the network's parameters as constants, and include all of them; one that
            several modules share under the name of each.
        phase: the phase of a training step. In training, factors may act in the readers' weights
            where that is less work (see `SwitchGroup.moved`). Without a phase, the output of an
            off neuron is exactly 0, or nothing reads it (`moved="always"`).
    """
    scaled = dict(_constants(network)) if constant else {}
    vectors = [factors[name] for name in switches.groups]
    every = torch.cat([torch.ones_like(vectors[0][:1]), *vectors])  # (1 + all neurons,)
    outputs, inputs = switches._places[phase]
    for name in outputs | inputs:
        owner, _, last = name.rpartition(".")
        layer: Any = getattr(network.get_submodule(owner), last) if last else network
        out = _select(every, outputs[name]) if name in outputs else None
        read = _select(every, inputs[name]) if name in inputs else None
        if isinstance(layer, Tensor):  # the bias of a norm
            sizes = [1] * layer.ndim
            sizes[own_channel_dim(layer)] = -1
            assert out is not None
            scaled[name] = (layer.detach() if constant else layer) * out.view(sizes)
            continue
        for own, parameter in layer.named_parameters(recurse=False):
            value = parameter.detach() if constant else parameter
            if own == "weight" and parameter.ndim > 1:
                # What standardises its weights would undo a factor on them: its gains hold it.
                written = None if own_parameters(layer) else out
                scaled[f"{name}.{own}"] = multiply(layer, value, written, read)
            elif out is not None:
                scaled[f"{name}.{own}"] = value * out.view(-1, *(1,) * (parameter.ndim - 1))
    return scaled


def run_scaled(network: nn.Module, parameters: Mapping[str, Tensor], images: Tensor) -> Any:
    """What the network gives with these of `scaled_parameters` in place of its own.

    With `tie_weights`, torch would put the parameters of a module that has several names in once
    for each name, and at the end leave them in it. Nothing is lost without: no factor acts on a
    parameter that several modules share.
    """
    return functional_call(network, dict(parameters), (images,), tie_weights=False)


def _constants(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for prefix, module in network.named_modules():  # each once, whatever its names
        for name, parameter in module._parameters.items():
            if parameter is not None:
                yield f"{prefix}.{name}".lstrip("."), parameter.detach()


def _select(every: Tensor, place: Place) -> Tensor:
    return every[place] if isinstance(place, slice) else every.index_select(0, place)
