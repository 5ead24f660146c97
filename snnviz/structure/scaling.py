"""How factors act on a network: they multiply its parameters."""

from typing import Literal

import torch
from torch import Tensor, nn

from snnviz.structure.groups import Factors, Place, Switches
from snnviz.structure.layers import multiply


def scaled_parameters(
    network: nn.Module,
    switches: Switches,
    factors: Factors,
    constant: bool = False,
    phase: Literal["", "task", "switcher"] = "",
) -> dict[str, Tensor]:
    """The network's parameters with the factors multiplied in: {name: tensor}.

    Parameters that are not in the result are unscaled: `torch.func.functional_call` uses the
    network's own. Gradients flow through the result to the factors.

    Args:
        network: the task network.
        switches: its switch groups.
        factors: {group name: (neurons,)}.
        constant: treat the network's parameters as constants, and include all of them.
        phase: the phase of a training step. In training, factors may act in the readers' weights
            where that is less work (see `SwitchGroup.moved`). Without a phase, the output of an
            off neuron is exactly 0.
    """
    scaled = {name: p.detach() for name, p in network.named_parameters()} if constant else {}
    vectors = [factors[name] for name in switches.groups]
    every = torch.cat([torch.ones_like(vectors[0][:1]), *vectors])  # (1 + all neurons,)
    outputs, inputs = switches._places[phase]
    for name in outputs | inputs:
        layer = network.get_submodule(name)
        out = _select(every, outputs[name]) if name in outputs else None
        read = _select(every, inputs[name]) if name in inputs else None
        for own, parameter in layer.named_parameters(recurse=False):
            value = parameter.detach() if constant else parameter
            if own == "weight" and parameter.ndim > 1:
                scaled[f"{name}.{own}"] = multiply(layer, value, out, read)
            elif out is not None:
                scaled[f"{name}.{own}"] = value * out.view(-1, *(1,) * (parameter.ndim - 1))
    return scaled


def _select(every: Tensor, place: Place) -> Tensor:
    return every[place] if isinstance(place, slice) else every.index_select(0, place)
