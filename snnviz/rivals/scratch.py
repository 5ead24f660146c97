"""The switched run's final shape, trained anew from other random weights (Liu et al. 2019)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from snnviz.data import ImageData
from snnviz.networks import network, recipe
from snnviz.rivals.start import Start
from snnviz.shrink import compact
from snnviz.structure.probe import copied
from snnviz.training.trainer import AlternatingTrainer

OTHER = 1_000_003  # added to a network's seed: other weights


def scratch(start: Start) -> AlternatingTrainer:
    """Trains a network that has only the neurons which the reference keeps, from new weights."""
    if start.reference is None:
        raise ValueError("scratch needs the switched run whose shape it is to have: reference=...")
    small = shaped(start.network, start.data, start.reference, start.seed)
    trainer = start.trainer(small, start.alone)
    trainer.run(progress=False)
    return trainer


def shaped(
    source: nn.Module, data: ImageData, reference: Mapping[str, np.ndarray], seed: int
) -> nn.Module:
    """A network of the reference's shape with random weights, as wide as narrower layers need.

    Weights are drawn as for the whole network. A layer that lost inputs has the same spread as if
    it had been drawn for those that are left: larger by the root of the ratio of fan-ins.
    """
    whole = anew(source, data, seed)
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


def anew(source: nn.Module, data: ImageData, seed: int) -> nn.Module:
    """The same network with other random weights.

    Raises:
        ValueError: some weights are not drawn anew by their module.
    """
    made = recipe(source)
    if made is not None:
        return network(made.name, data, made.seed + OTHER, made.width)
    copy = copied(source).cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + OTHER)
        for module in copy.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    for name, parameter in source.named_parameters():
        if parameter.ndim > 1 and torch.equal(parameter.cpu(), copy.get_parameter(name)):
            raise ValueError(
                f"scratch needs new random weights, but {name!r} stays as it is. Give its module a "
                "method reset_parameters that draws it; weights that spectral_norm, weight_norm or "
                "another parametrization computes cannot be drawn anew."
            )
    return copy


def _has_weights(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Conv2d)


def _fan_in(module: nn.Module) -> int:
    return int(module.weight[0].numel())  # type: ignore[index]
