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
        (phases, parameters of the switcher): the sum over the steps of a phase, each clipped.

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


def successive_cosines(gradients: np.ndarray) -> np.ndarray:
    """(phases - 1,): the cosine between each phase's gradient and the next one's.

    Two gradients that share a signal m and have independent noise of variance v have a cosine of
    about |m|² / (|m|² + v). So the mean of the cosines is the signal's share of a gradient: 0 if
    there is only noise, 1 if there is none. A phase whose gradient is 0 gives nan.
    """
    gradients = np.asarray(gradients, np.float64)
    lengths = np.linalg.norm(gradients, axis=1)
    products = (gradients[1:] * gradients[:-1]).sum(1)
    with np.errstate(invalid="ignore"):
        return products / (lengths[1:] * lengths[:-1])
