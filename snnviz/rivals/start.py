"""What every method starts from, so that all see the same network, images and order of batches."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from snnviz.data import ImageData
from snnviz.switcher import SwitcherConfig
from snnviz.training import Learners, Schedule, Trainer


@dataclass(frozen=True, eq=False)
class Start:
    """A task network before its first step, and what it is to be trained on.

    Attributes:
        network: trained in place.
        data: training and test images.
        schedule: that of the switched run; other methods derive theirs from it.
        switcher: how the switcher is built.
        seed: of data order, augmentation, dropout and whatever a method draws.
        device: "auto" or a torch device.
        precision: "float32", "bfloat16" or "auto".
        reference: {group: factors (neurons,)} at the end of the switched run of the same network,
            images and seed; None if there is none.
    """

    network: nn.Module
    data: ImageData
    schedule: Schedule
    switcher: SwitcherConfig
    seed: int
    device: str | torch.device
    precision: str
    reference: Mapping[str, np.ndarray] | None = None

    def trainer(
        self,
        network: nn.Module | None = None,
        schedule: Schedule | None = None,
        switcher: SwitcherConfig | None = None,
        learners: type[Learners] = Learners,
    ) -> Trainer:
        """A trainer of all this, but for what is given."""
        return Trainer(
            network or self.network,
            self.data,
            schedule or self.schedule,
            switcher or self.switcher,
            self.seed,
            self.device,
            self.precision,
            learners=learners,
        )

    @property
    def alone(self) -> Schedule:
        """The schedule without switcher phases: as many examples for the task network."""
        return self.schedule.replace(switcher_steps=0)


def number(name: str, value: Any, least: float, most: float = math.inf) -> float:
    """A setting that is a number.

    Raises:
        ValueError: it is none, or out of range.
    """
    given = isinstance(value, int | float) and not isinstance(value, bool)
    if not given or not least <= value <= most or math.isinf(value):
        limit = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
        raise ValueError(f"settings.{name} must be a number {limit}, got {value!r}.")
    return float(value)
