"""The optimizers of both networks: created from the schedule, and adjusted when it changes."""

import torch
from torch import nn

from snnviz.training.schedule import Phase, Schedule


def make_optimizer(
    schedule: Schedule, phase: Phase, parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """A new optimizer for the network that learns in this phase."""
    plan = schedule
    if phase == "task":
        kind, lr, momentum = plan.task_optimizer, plan.task_lr, plan.task_momentum
        decay = plan.task_weight_decay
    else:
        kind, lr, momentum = plan.switcher_optimizer, plan.switcher_lr, plan.switcher_momentum
        decay = 0.0
    # One kernel for all parameters instead of several for each. Only real devices support it.
    fused = all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in parameters)
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr, momentum, weight_decay=decay, fused=fused)
    return torch.optim.Adam(parameters, lr, weight_decay=decay, fused=fused)


def keep_momentum(old: torch.optim.Optimizer, new: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The old optimizer with its momentum and new settings; the new one if the kind changed."""
    if type(old) is not type(new):
        return new
    for group, settings in zip(old.param_groups, new.param_groups, strict=True):
        group.update({name: value for name, value in settings.items() if name != "params"})
    return old


def take_step(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Updates the parameters from their gradients, with this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()


def trainable_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
