"""What every method starts from, so that all have the same network, images and batches."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz import checks
from snnviz.data import ImageData
from snnviz.switcher import SwitcherConfig
from snnviz.training.config import TrainingConfig
from snnviz.training.learners import Learners
from snnviz.training.schedule import Schedule
from snnviz.training.trainer import AlternatingTrainer


@dataclass(frozen=True, eq=False)
class Start:
    """A task network before its first step, and everything needed to train it.

    Attributes:
        network: trained in place.
        data: training and test images.
        schedule: the schedule of the switched run; other methods derive theirs from it.
        switcher: how the switcher is built.
        seed: seed of data order, augmentation, dropout and everything that a method draws.
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
        learners: Callable[..., Learners] = Learners,
        task_step: Callable[..., Tensor] | None = None,
    ) -> AlternatingTrainer:
        """A trainer with these settings; arguments that are given replace them."""
        config = TrainingConfig(
            schedule=schedule or self.schedule,
            switcher=switcher or self.switcher,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            learners=learners,
            task_step=task_step,
        )
        return AlternatingTrainer(network or self.network, self.data, config)

    @property
    def alone(self) -> Schedule:
        """The schedule without switcher phases; the task network sees as many examples."""
        return self.schedule.replace(switcher_steps=0, size=None)


def check_setting(name: str, value: Any, least: float, most: float = math.inf) -> float:
    """A setting that must be a number, as a float.

    Raises:
        ValueError: it is not a number, or out of range.
    """
    return checks.number(f"settings.{name}", value, least, most)
