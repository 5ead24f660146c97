"""Checks a trainer's arguments: its network, data, schedule and images."""

from typing import Any

import torch
from torch import Tensor, nn

from snnviz import checks, distributed
from snnviz.data import ImageData
from snnviz.files import first_line
from snnviz.structure.modes import in_mode
from snnviz.structure.probe import check_network, copied
from snnviz.training.schedule import Schedule
from snnviz.training.unregistered import find_unregistered


def check_network_and_data(network: Any, data: Any) -> None:
    """Checks that both have the right types."""
    advice = "The order is Trainer(network, data); sv.network(name, data) makes one by name."
    checks.kind_of("network", network, nn.Module, "a torch.nn.Module", advice)
    check_network(network)  # before it is moved
    _check_parameters(network)
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError(
            "network must have parameters to train, and all of its parameters are frozen. "
            "Use network.requires_grad_(True), or do so for some of its layers."
        )
    advice = "Make one with load_data(name), or from your own images with ImageData.from_tensors."
    checks.kind_of("data", data, ImageData, "a snnviz.ImageData", advice)
    if data.n_classes < 2:
        raise ValueError(
            f"data must have at least two classes to tell apart, got only {data.classes[0]!r}. "
            "Add images of another class."
        )


def _check_parameters(network: nn.Module) -> None:
    """Checks that they are float32 numbers that can be trained."""
    for name, parameter in network.named_parameters():
        got = advice = ""
        if parameter.is_inference():
            got, advice = "was made in inference mode", "outside torch.inference_mode()"
        elif parameter.is_meta:
            got, advice = "is on the device 'meta' and has no values", "on the CPU or a GPU"
        elif not parameter.isfinite().all():
            raise ValueError(
                f"network must have finite parameters, and {name!r} has NaN or infinity. Build the "
                "network again, or load an earlier state of it."
            )
        if advice:
            raise ValueError(
                f"network must have parameters that can be trained, and {name!r} {got}. "
                f"Build the network {advice}."
            )
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            raise ValueError(
                f"network must have parameters of torch.float32, and {name!r} is "
                f"{parameter.dtype}. Convert them with network.float(); to compute in bfloat16, "
                'give the trainer precision="bfloat16".'
            )


def check_schedule(schedule: Schedule, data: ImageData) -> None:
    """Checks that it is a schedule, and that the data has the images that it needs."""
    advice = "Make one with Schedule(...) or trainer.schedule.replace(...)."
    checks.kind_of("schedule", schedule, Schedule, "a snnviz.Schedule", advice)
    if schedule.switcher_data == "holdout" and data.holdout is None:
        raise ValueError(
            "schedule.switcher_data is 'holdout', but the data has no held-out split. "
            "Load it with one: load_data(name, holdout=5000)."
        )


def check_batch_size(network: nn.Module, schedule: Schedule, data: ImageData) -> None:
    """Checks that a network which cannot be trained on a single image never gets one alone.

    Batch norm, for example, needs two values of each channel.
    """
    rows = {name: len(data.get_split(name)) for name in ("train", schedule.switcher_data)}
    size = min(schedule.batch_size, *rows.values())
    if size // distributed.processes() > 1:
        return
    image = data.example(1).to(next(network.parameters()).device)
    probe = copied(network)
    try:
        with in_mode(probe, "training", image):
            probe(image)
    except Exception as error:
        names = [name for name, n in rows.items() if n < schedule.batch_size]
        got = f"{schedule.batch_size}"
        if names:
            got += f", of which the data has only {rows[names[0]]} ({names[0]})"
        if distributed.several():
            got += f", shared by {distributed.processes()} processes"
        raise ValueError(
            "schedule.batch_size must be large enough that this network can be trained on each "
            f"batch, got {got}. On a single image it fails in training mode: {first_line(error)}. "
            "Use for example batch_size=32, and data with more images where there are fewer."
        ) from error


def check_end(schedule: Schedule, before: Schedule, done: int) -> None:
    """Checks that a new schedule does not end before the epochs that are done."""
    if before.epochs != schedule.epochs < max(done, 1):
        raise ValueError(
            f"schedule.epochs must be at least the {done} epochs that are done, "
            f"got {schedule.epochs}. To start over, use trainer.reset()."
        )


def check_scores(scores: Tensor, classes: int) -> None:
    """Checks that a network gives a score for each class: (n, scores)."""
    if scores.shape[1] < classes:
        raise ValueError(
            f"network gives {scores.shape[1]} class scores, and the data has {classes} classes. "
            "Give its last layer one output per class."
        )


def check_images(images: Any, data: ImageData) -> None:
    """Checks only type and shape, and so does not wait for a device."""
    shape = ", ".join(map(str, data.shape))
    advice = "Some test images will do: trainer.data.batch('test', torch.arange(8))[0]."
    convert = "Convert them: images.to(trainer.device, torch.float32)."
    if not isinstance(images, Tensor):
        got = type(images).__name__
    elif images.shape[1:] != data.shape:
        got = f"the shape {tuple(images.shape)}"
        if images.shape == data.shape:
            advice = "For a single image, use images[None]."
    elif images.dtype != torch.float32:
        got = f"values of {images.dtype}"
        advice = convert if images.is_floating_point() else advice
    elif images.device.type != data.device.type:
        got = f"a tensor on the device {images.device}, and the data is on {data.device}"
        advice = convert
    else:
        return
    raise ValueError(
        f"images must be a tensor of normalised images (n, {shape}), as float32, got {got}. "
        f"{advice}"
    )


def check_processes(
    network: nn.Module, switcher: nn.Module, data: ImageData, schedule: Schedule, seed: int
) -> None:
    """Checks that all processes of one run have the same values; each of them must call it."""
    train = data.train
    distributed.check_alike(
        {
            "network": (*network.state_dict().values(), *find_unregistered(network).values()),
            "switcher": switcher.state_dict().values(),
            "data": (torch.tensor(train.images.shape), train.labels),
            "schedule": repr(schedule),
            "seed": str(seed),
        }
    )
