"""A task that is learned in a second, and networks for it."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnviz as sv
from snnviz.rivals.start import Start
from snnviz.structure import find_switches

PLAN = sv.Schedule(epochs=3, batch_size=20, warmup_epochs=1, task_steps=2, switcher_lr=0.01)


@pytest.fixture(scope="package")
def data() -> sv.ImageData:
    """100 images of 3 classes, bright in one of three places, and 30 to test on."""
    rng = np.random.default_rng(0)

    def split(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(n) % 3
        images = rng.integers(0, 120, (n, 1, 16, 16), dtype=np.uint8)
        for i, label in enumerate(labels):
            images[i, :, 5 * label : 5 * label + 4] += 100
        return images, labels

    return sv.ImageData.from_tensors(split(100), split(30), device="cpu")


@pytest.fixture
def start(data: sv.ImageData) -> Callable[..., Start]:
    def start(name: str = "mlp", width: float = 0.1, **given: Any) -> Start:
        network: nn.Module = sv.network(name, data, width=width)
        asked = {
            "schedule": PLAN,
            "switcher": sv.SwitcherConfig(),
            "seed": 0,
            "device": "cpu",
            "precision": "float32",
        }
        return Start(network, data, **(asked | given))

    return start


@pytest.fixture(scope="package")
def halves(data: sv.ImageData) -> Callable[[str], dict[str, np.ndarray]]:
    """A reference in which every other neuron is off; the same object for a network's name."""

    @cache
    def halves(name: str) -> dict[str, np.ndarray]:
        example = data.batch("train", torch.arange(2))[0]
        groups = find_switches(sv.network(name, data, width=0.1), example).groups
        return {group: np.arange(g.neurons) % 2 * 2.0 for group, g in groups.items()}

    return halves


@pytest.fixture
def batch(data: sv.ImageData) -> tuple[torch.Tensor, torch.Tensor]:
    return data.batch("train", torch.arange(20))
