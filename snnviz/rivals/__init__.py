"""Other ways to learn a network's structure; imports `training`, `shrink` and before.

All use the same trainer, data, precision and history:

    trainer = rivals.train("magnitude", network, data, schedule, size=0.3)
    sv.plots.switch_map(trainer.history)

Equal compute: each sees as many training examples with the task network as the switched run does,
fine-tuning included (`dense_longer`: as many as task network and switcher together).
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from snnviz import checks
from snnviz.data import ImageData
from snnviz.rivals.dense import dense, dense_longer
from snnviz.rivals.group_sparse import group_sparse
from snnviz.rivals.l0 import l0
from snnviz.rivals.pruning import magnitude, random
from snnviz.rivals.scratch import scratch
from snnviz.rivals.se import se
from snnviz.rivals.slimming import slimming
from snnviz.rivals.start import Start
from snnviz.rivals.switched import free, random_features, shuffled, switched
from snnviz.switcher import SwitcherConfig
from snnviz.training.schedule import Schedule
from snnviz.training.trainer import AlternatingTrainer

__all__ = ["METHODS", "Method", "Start", "check_settings", "train"]


class Method(NamedTuple):
    """A way to learn a network's structure.

    Attributes:
        train: from a `Start` and settings to a trainer that has trained to the end.
        about: in a line.
        needs_reference: it takes its shape or size from the switched run, unless told a size.
    """

    train: Callable[..., AlternatingTrainer]
    about: str
    needs_reference: bool = False


METHODS: dict[str, Method] = {
    "dense": Method(dense, "the network itself"),
    "dense_longer": Method(dense_longer, "the network itself, for the switcher's steps as well"),
    "switched": Method(switched, "a switcher that reads the weights"),
    "free": Method(free, "a factor for each neuron, without a switcher"),
    "shuffled": Method(shuffled, "a switcher that reads another neuron's weights"),
    "random_features": Method(random_features, "a switcher that reads random numbers"),
    "slimming": Method(slimming, "network slimming: L1 on the norms' scales", True),
    "magnitude": Method(magnitude, "pruned by the L1 norm of weights", True),
    "random": Method(random, "pruned by lot", True),
    "group_sparse": Method(group_sparse, "a growing penalty on weak groups, then pruned", True),
    "l0": Method(l0, "hard concrete gates under an L0 penalty"),
    "se": Method(se, "squeeze and excitation: weighted by activations, none off"),
    "scratch": Method(scratch, "the switched run's shape, trained anew", True),
}


def train(
    method: str,
    network: nn.Module,
    data: ImageData,
    schedule: Schedule | None = None,
    switcher: SwitcherConfig | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: str = "auto",
    reference: Mapping[str, np.ndarray] | None = None,
    **settings: Any,
) -> AlternatingTrainer:
    """Trains a network with one of `METHODS`, to the schedule's end.

    Args:
        method: one of `METHODS`.
        network: before its first step; trained in place, or a copy of it is.
        data: training and test images.
        schedule: that of the switched run; the other methods derive theirs from it.
        switcher: how the switcher is built, where there is one.
        seed: of data order, augmentation, dropout, and whatever the method draws.
        device: "auto" or a torch device.
        precision: "float32", "bfloat16" or "auto".
        reference: {group: factors (neurons,)} at the end of the switched run of the same network,
            images and seed. Pruning methods become as small, unless `size` is given.
        **settings: of the method.

    Raises:
        ValueError: an argument is not allowed; or a size is needed, and there is no reference.
        TrainingStopped: the loss is not finite, or a group is wholly off.
    """
    check_settings(method, settings)
    start = Start(
        network,
        data,
        schedule or Schedule(),
        switcher or SwitcherConfig(),
        seed,
        device,
        precision,
        reference,
    )
    return METHODS[method].train(start, **settings)


def check_settings(method: str, settings: Mapping[str, Any]) -> None:
    """Whether a method has such settings.

    Raises:
        ValueError: there is no such method, or it has none of that name.
    """
    checks.one_of("method", method, METHODS)
    known = list(inspect.signature(METHODS[method].train).parameters)[1:]
    for name in settings:
        if name not in known:
            has = ", ".join(known) or "none"
            raise ValueError(f"method {method!r} has no setting {name!r}; it has {has}.")
