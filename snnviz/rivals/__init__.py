"""Other ways to learn a network's structure; imports `training`, `shrink` and before.

`METHODS` lists them. All use the same trainer, data, precision and history:

    trainer = rivals.train("magnitude", network, data, schedule, size=0.3)
    sv.plots.switch_map(trainer.history)

Equal compute: each method trains its task network on as many examples as the switched run does,
fine-tuning included (`dense_longer`: on as many as task network and switcher together).
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from snnviz import checks
from snnviz.data import ImageData
from snnviz.devices import standard_settings
from snnviz.rivals.dense import dense, dense_longer
from snnviz.rivals.fpgm import fpgm
from snnviz.rivals.group_sparse import group_sparse
from snnviz.rivals.l0 import l0
from snnviz.rivals.pruning import magnitude, random
from snnviz.rivals.scratch import scratch
from snnviz.rivals.se import se
from snnviz.rivals.slimming import slimming
from snnviz.rivals.start import Start
from snnviz.rivals.switched import free, random_features, shuffled, switched
from snnviz.rivals.taylor import taylor
from snnviz.switcher import SwitcherConfig
from snnviz.training.schedule import Schedule
from snnviz.training.trainer import AlternatingTrainer

__all__ = ["METHODS", "Method", "Start", "check_settings", "train"]


class Method(NamedTuple):
    """A way to learn a network's structure.

    Attributes:
        train: takes a `Start` and settings; returns a trainer that has trained to the end.
        about: one line about it.
        needs_reference: its shape or size is that of the switched run, unless a size is given.
    """

    train: Callable[..., AlternatingTrainer]
    about: str
    needs_reference: bool = False


METHODS: dict[str, Method] = {
    "dense": Method(dense, "the network itself"),
    "dense_longer": Method(
        dense_longer, "the network itself, trained for the switcher's steps as well"
    ),
    "switched": Method(switched, "a switcher that reads descriptors of the weights"),
    "free": Method(free, "a factor for each neuron, without a switcher"),
    "shuffled": Method(shuffled, "a switcher that reads another neuron's descriptors"),
    "random_features": Method(random_features, "a switcher that reads random numbers"),
    "slimming": Method(slimming, "network slimming: L1 on the norms' scales", True),
    "magnitude": Method(
        magnitude, "the neurons with the smallest L1 norm of weights are removed", True
    ),
    "taylor": Method(
        taylor, "removes the neurons that change the loss least, to first order", True
    ),
    "fpgm": Method(fpgm, "removes the neurons nearest to their layer's geometric median", True),
    "random": Method(random, "neurons are removed at random", True),
    "group_sparse": Method(
        group_sparse, "a growing penalty on weak groups of weights, then pruning", True
    ),
    "l0": Method(l0, "hard concrete gates with an L0 penalty"),
    "se": Method(se, "squeeze and excitation: weights neurons by activations, switches none off"),
    "scratch": Method(scratch, "the switched run's final shape, trained from new weights", True),
}


@standard_settings()
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
        network: before its first step; the network itself or a copy of it is trained.
        data: training and test images.
        schedule: the schedule of the switched run; the other methods derive theirs from it.
        switcher: how the switcher is built, in methods that have one.
        seed: seed of data order, augmentation, dropout, and everything that the method draws.
        device: "auto" or a torch device.
        precision: "float32", "bfloat16" or "auto".
        reference: {group: factors (neurons,)} at the end of the switched run of the same network,
            images and seed. Pruning methods become as small, unless `size` is given; without
            either they take the schedule's size.
        **settings: settings of the method.

    Raises:
        ValueError: an argument is not allowed, or the method needs a size or a reference.
        TrainingStopped: the loss is not finite, or every neuron of a group is off.
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
    """Checks that a method has these settings.

    Raises:
        ValueError: there is no such method, or it has no setting of that name.
    """
    checks.one_of("method", method, METHODS)
    known = list(inspect.signature(METHODS[method].train).parameters)[1:]
    for name in settings:
        if name not in known:
            has = ", ".join(known) or "none"
            raise ValueError(f"method {method!r} has no setting {name!r}; it has {has}.")
