"""Factors that are learned together with the weights in the same steps: no phases, no switcher.

The module that gates the neurons takes the place of the switcher. Its learning rate is the
schedule's `switcher_lr`, which decays like that of the task network.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from snnviz.structure import run_scaled, scaled_parameters
from snnviz.training.learners import Learners
from snnviz.training.meter import count_neurons_on, measure_step
from snnviz.training.optimizers import take_step, trainable_parameters

Penalty = Callable[[Learners], Tensor | float]


def no_penalty(learners: Learners) -> float:
    """Adds nothing to the loss."""
    return 0.0


def joint_step(
    learners: Learners,
    images: Tensor,
    labels: Tensor,
    lr: float,
    through_switcher: bool = False,
    weight: float = 1.0,
    *,
    penalty: Penalty = no_penalty,
) -> Tensor:
    """Updates the task network and its gates; replaces the trainer's `task_step`.

    Args:
        learners: `sample()` of their gates gives the factors of a step, with gradients.
        through_switcher: there is no switcher, so this changes nothing.
        weight: weight of the loss; always 1, because these methods train in one process.
        penalty: added to the loss.

    Returns:
        Loss, accuracy and neurons on, before the update: (2 + groups,), on the device.
    """
    learners.network.train()
    factors = learners.apply_pins(learners.switcher.sample())
    parameters = scaled_parameters(learners.network, learners.switches, factors)
    with learners.autocast():
        scores = run_scaled(learners.network, parameters, images)
    loss = F.cross_entropy(scores.float(), labels)
    learners.task_optimizer.zero_grad(set_to_none=True)
    learners.switcher_optimizer.zero_grad(set_to_none=True)
    gates = list(learners.switcher.parameters())
    whole = loss + penalty(learners)
    whole.backward(inputs=[*trainable_parameters(learners.network), *gates])
    learners.shrink()
    take_step(learners.task_optimizer, lr)
    if gates:
        take_step(learners.switcher_optimizer, lr * _ratio_of_rates(learners))
    learners.task_moved(factors_too=True)
    with torch.no_grad():  # a gate that is 0 in one sample is not off
        on = count_neurons_on(learners.apply_pins(learners.switcher.factors()))
    return measure_step(loss, scores, labels, on)


def _ratio_of_rates(learners: Learners) -> float:
    plan = learners.schedule
    return plan.switcher_lr / plan.task_lr if plan.task_lr else 0.0
