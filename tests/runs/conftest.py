"""Trainers so small that a whole run takes a fraction of a second, and a strict eye."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.data import ImageData
from snnviz.runs import Trainer
from snnviz.training import Schedule
from tests.helpers import assert_same_history
from tests.reference import tiny_data

# Four task steps an epoch, three epochs, rounds that do not end with the epochs.
PLAN = Schedule(epochs=3, batch_size=16, task_steps=3, switcher_steps=2, task_lr=0.02)


def tiny_net(norm: str = "batch") -> nn.Module:
    """Two convolutions, a norm with statistics of its own or one without, and dropout."""
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6) if norm == "batch" else nn.GroupNorm(6, 6),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Conv2d(6, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


# 64 training images of 8 x 8 in 5 classes, 16 held out, 40 to test on.
DATA = tiny_data(classes=5, holdout=16, augment="shift+flip")


def make(
    folder: Path | str | None = None,
    schedule: Schedule = PLAN,
    data: ImageData = DATA,
    norm: str = "batch",
    **options: Any,
) -> Trainer:
    return Trainer(
        tiny_net(norm),
        data,
        schedule,
        seed=3,
        device="cpu",
        precision="float32",
        folder=folder,
        **options,
    )


def resume(folder: Path | str, norm: str = "batch", **options: Any) -> Trainer:
    # Other weights than at the start: all must come from the checkpoint.
    network = tiny_net(norm)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.5)
    return Trainer.resume(folder, network=network, data=DATA, **options)


def go(trainer: Trainer, steps: int) -> None:
    for _ in range(steps):
        trainer.step()


def finish(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        trainer.step()
    return trainer


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that a nested state holds, by the path to it."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}/{key}")
    elif isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        for i, part in enumerate(value):
            yield from leaves(part, f"{path}/{i}")
    else:
        yield path, value


def assert_same_state(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Byte for byte, memory layout included; but for how long it took."""
    mine, its = dict(leaves(one)), dict(leaves(other))
    assert list(mine) == list(its)
    for path, value in mine.items():
        if isinstance(value, Tensor):
            assert value.dtype == its[path].dtype, path
            assert value.shape == its[path].shape, path
            assert value.stride() == its[path].stride(), path
            assert torch.equal(
                value.contiguous().reshape(-1).view(torch.uint8),
                its[path].contiguous().reshape(-1).view(torch.uint8),
            ), path
        elif path == "/running":
            assert (value.loss, value.accuracy, value.steps) == (
                its[path].loss,
                its[path].accuracy,
                its[path].steps,
            )
        else:
            assert type(value) is type(its[path]), path
            assert value == its[path], path


def assert_same(one: Trainer, other: Trainer) -> None:
    assert one.position == other.position
    assert one.schedule == other.schedule
    assert_same_state(one.state_dict(), other.state_dict())  # it reads the last steps' results
    assert_same_history(one.history, other.history)


def assert_same_but_for_notes(one: Trainer, other: Trainer) -> None:
    one.history._notes = other.history._notes
    assert_same(one, other)
