"""Signal and noise in what the switcher learns from: the gradients of its phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from snnviz.training import AlternatingTrainer


def phase_gradients(trainer: AlternatingTrainer) -> np.ndarray:
    """Trains to the schedule's end; returns the switcher's gradient of each phase.

    Returns:
        (phases, parameters of the switcher): the sum over the steps of a phase, each clipped. To
        measure a switcher that leaves all factors at 1, use a tiny `schedule.switcher_lr`.

    Raises:
        ValueError: there is no switcher phase in which the switcher learns.
    """
    found: list[torch.Tensor] = []
    new_phase = True
    for record in trainer:
        if record.phase == "task":
            new_phase = True
            continue
        if record.lr == 0:
            continue  # no gradient is computed
        parameters = trainer.switcher.parameters()
        now = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).cpu()
        if new_phase:
            found.append(now)
        else:
            found[-1] = found[-1] + now
        new_phase = False
    if not found:
        raise ValueError(
            "the trainer must have switcher phases with gradients, got none. Use a schedule with "
            "switcher_steps and switcher_lr above 0, and more epochs than warm-up epochs."
        )
    return torch.stack(found).numpy()


def phase_cosines(gradients: np.ndarray, lag: int = 1) -> np.ndarray:
    """(phases - lag,): the cosine between each phase's gradient and that of `lag` phases later.

    Two gradients that share a signal of squared length m, and have independent noise of variance v,
    have a cosine of about m / (m + v). So the mean of the cosines is the signal's share of a
    gradient: 0 if there is only noise, 1 if there is none. With a large `lag` only a signal that
    lasts is counted, and not one that turns with the weights. A phase whose gradient is 0 gives
    nan.

    Raises:
        ValueError: `lag` is not a whole number from 1 to the number of phases minus 1.
    """
    if type(lag) is not int or not 0 < lag < len(gradients):
        raise ValueError(
            f"lag must be a whole number from 1 to {len(gradients) - 1}, for there are "
            f"{len(gradients)} phases, got {lag!r}."
        )
    gradients = np.asarray(gradients, np.float64)
    lengths = np.linalg.norm(gradients, axis=1)
    products = (gradients[lag:] * gradients[:-lag]).sum(1)
    with np.errstate(invalid="ignore"):
        return products / (lengths[lag:] * lengths[:-lag])
