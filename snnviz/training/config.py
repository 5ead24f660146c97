"""The settings of a trainer, besides network and data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnviz import checks
from snnviz.devices import check_seed
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training.learners import Learners
from snnviz.training.schedule import Schedule


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        schedule: the order of phases and the learning rates, at the start.
        switcher: how to build the switcher; or a trained one, which is copied.
        seed: seed of data order, augmentation, dropout and the switcher's weights.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "float32", "bfloat16" or "auto".
        exclude: patterns of layer names whose neurons stay on.
        weighted: patterns of layer names whose neurons get factors even if a norm mixes them.
        learners: makes the two learners; `snnviz.rivals` gives them other parts.
        task_step: replaces the trainer's own `task_step`; used by `snnviz.rivals`.
    """

    schedule: Schedule = field(default_factory=Schedule)
    switcher: SwitcherConfig | Switcher = field(default_factory=SwitcherConfig)
    seed: int = 0
    device: str | torch.device = "auto"
    precision: str = "auto"
    exclude: Sequence[str] = ()
    weighted: Sequence[str] = ()
    learners: Callable[..., Learners] = Learners
    task_step: Callable[..., Tensor] | None = None

    def __post_init__(self) -> None:
        how = "Make one with SwitcherConfig(...), or load a trained one with Switcher.load."
        kinds, names = (SwitcherConfig, Switcher), "a snnviz.SwitcherConfig or a Switcher"
        checks.kind_of("switcher", self.switcher, kinds, names, how)
        object.__setattr__(self, "seed", check_seed("seed", self.seed))
