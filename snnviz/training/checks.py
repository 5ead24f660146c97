"""Checks of what a trainer is given, before anything is trained."""

from typing import Any

import torch
from torch import Tensor, nn

from snnviz import checks
from snnviz.data import ImageData
from snnviz.structure.probe import check_network
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training.learners import Learners
from snnviz.training.schedule import Schedule


def check_kinds(network: Any, data: Any, switcher: Any) -> None:
    advice = "The order is Trainer(network, data); sv.network(name, data) makes one by name."
    checks.kind_of("network", network, nn.Module, "a torch.nn.Module", advice)
    check_network(network)  # before it is moved
    advice = "Make one with load_data(name), or of your own images with ImageData.from_tensors."
    checks.kind_of("data", data, ImageData, "a snnviz.ImageData", advice)
    if switcher is not None:
        kinds, name = (SwitcherConfig, Switcher), "a snnviz.SwitcherConfig or a Switcher"
        advice = "Make one with SwitcherConfig(...), or load one that has learned: Switcher.load."
        checks.kind_of("switcher", switcher, kinds, name, advice)


def check_schedule(schedule: Schedule, data: ImageData) -> Schedule:
    advice = "Make one with Schedule(...) or trainer.schedule.replace(...)."
    checks.kind_of("schedule", schedule, Schedule, "a snnviz.Schedule", advice)
    if schedule.switcher_data == "holdout" and data.holdout is None:
        raise ValueError(
            "schedule.switcher_data is 'holdout', but the data has no held-out split. "
            "Load it with one: load_data(name, holdout=5000)."
        )
    return schedule


def check_scores(learners: Learners, data: ImageData, example: Tensor) -> None:
    all_on = {g.name: torch.ones(g.neurons, device=learners.device) for g in learners.groups}
    scores = learners.logits(example, all_on).shape[1]
    classes = data.n_classes
    if scores < classes:
        raise ValueError(
            f"network gives {scores} class scores, and the data has {classes} classes. "
            "Make its last layer as wide as there are classes."
        )


def check_images(images: Any, data: ImageData) -> None:
    """Looks at kind and shape alone, and so waits for no device."""
    shape = ", ".join(map(str, data.shape))
    if not isinstance(images, Tensor):
        got = type(images).__name__
    elif images.shape[1:] != data.shape:
        got = f"the shape {tuple(images.shape)}"
    elif not images.is_floating_point():
        got = f"values of {images.dtype}"
    else:
        return
    one = isinstance(images, Tensor) and images.shape == data.shape
    advice = (
        "For one image alone: images[None]."
        if one
        else ("Some test images will do: trainer.data.batch('test', torch.arange(8))[0].")
    )
    raise ValueError(
        f"images must be a tensor of normalised images (n, {shape}), as floats, got {got}. {advice}"
    )
