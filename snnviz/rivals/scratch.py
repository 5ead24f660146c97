"""The switched run's final shape, trained from other random weights (Liu et al. 2019)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from snnviz.data import ImageData
from snnviz.devices import MOST_SEED, seeded
from snnviz.networks import network, recipe
from snnviz.rivals.start import Start
from snnviz.shrink import compact
from snnviz.structure.probe import copied
from snnviz.training.trainer import AlternatingTrainer

OTHER = 1_000_003  # added to a network's seed: other weights


def scratch(start: Start) -> AlternatingTrainer:
    """Trains a network with only the neurons that are on in the reference, from new weights."""
    if start.reference is None:
        raise ValueError("scratch needs the switched run whose shape to take: reference=...")
    small = shape_like(start.network, start.data, start.reference, start.seed)
    trainer = start.trainer(small, start.alone)
    trainer.run(progress=False)
    return trainer


def shape_like(
    source: nn.Module, data: ImageData, reference: Mapping[str, np.ndarray], seed: int
) -> nn.Module:
    """A network of the reference's shape, with random weights.

    Weights are drawn as for the whole network, and then scaled by the root of the ratio of fan-ins:
    so a layer that lost inputs has the spread of a layer that was made without them.
    """
    whole = redraw(source, data, seed)
    example = data.batch("test", torch.arange(min(64, len(data.test))))[0].cpu()
    kept = {
        name: torch.from_numpy((values != 0).astype(np.float32))
        for name, values in reference.items()
    }
    fan_in = {
        name: _fan_in(module) for name, module in whole.named_modules() if _has_weights(module)
    }
    small, _ = compact(whole, kept, example, latency=False)
    with torch.no_grad():
        for name, module in small.named_modules():
            if name in fan_in and _has_weights(module):
                scale = (fan_in[name] / _fan_in(module)) ** 0.5
                for parameter in module.parameters():
                    parameter.mul_(scale)
    return small


def redraw(source: nn.Module, data: ImageData, seed: int) -> nn.Module:
    """The same network with other random weights.

    Raises:
        ValueError: a module cannot draw new weights.
    """
    made = recipe(source)
    if made is not None:
        return network(made.name, data, made.seed + OTHER, made.width)
    copy = copied(source).cpu()
    with seeded((seed + OTHER) % (MOST_SEED + 1)):
        for module in copy.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    for name, parameter in source.named_parameters():
        if parameter.ndim > 1 and torch.equal(parameter.cpu(), copy.get_parameter(name)):
            raise ValueError(
                f"scratch needs new random weights, but {name!r} stays the same. Give its module a "
                "method reset_parameters that draws it; weights that spectral_norm, weight_norm or "
                "another parametrization computes cannot be drawn again."
            )
    return copy


def _has_weights(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Conv2d)


def _fan_in(module: nn.Module) -> int:
    return int(module.weight[0].numel())  # type: ignore[index]
