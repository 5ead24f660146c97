"""The optimizers of both learners, made from the schedule."""

import torch
from torch import nn

from snnviz.training.schedule import Phase, Schedule


def make_optimizer(
    schedule: Schedule, phase: Phase, parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    plan = schedule
    if phase == "task":
        kind, lr, momentum = plan.task_optimizer, plan.task_lr, plan.task_momentum
        decay = plan.task_weight_decay
    else:
        kind, lr, momentum = plan.switcher_optimizer, plan.switcher_lr, plan.switcher_momentum
        decay = 0.0
    # One kernel for all parameters instead of several each. Only real devices have it.
    fused = all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in parameters)
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr, momentum, weight_decay=decay, fused=fused)
    return torch.optim.Adam(parameters, lr, weight_decay=decay, fused=fused)


def adjusted(
    old: torch.optim.Optimizer | None, new: torch.optim.Optimizer
) -> torch.optim.Optimizer:
    """The old optimizer, momentum and all, with new settings; the new one if of another kind."""
    if type(old) is not type(new):
        return new
    assert old is not None
    for group, settings in zip(old.param_groups, new.param_groups, strict=True):
        group.update({name: value for name, value in settings.items() if name != "params"})
    return old


def update(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()


def trainable(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
