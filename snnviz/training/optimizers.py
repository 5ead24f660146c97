"""The optimizers of both networks: created from the schedule, and adjusted when it changes."""

import torch
from torch import Tensor, nn

from snnviz.training.schedule import Phase, Schedule

# Adam divides a gradient by its usual size, so that one that says nothing still moves the switcher
# by whole steps. Where the task network makes no errors any more, as with two classes, single
# factors grew to 27, and of ten runs two ended in NaN; now none does. With five classes or all ten
# no norm was below 0.006 (mlp). A small norm alone says nothing of errors: ConvNeXt begins with
# branches scaled by 1e-6.
LEAST_NORM, LEAST_LOSS = 1e-4, 1e-2


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


def take_clipped_step(
    optimizer: torch.optim.Optimizer, lr: float, clip: float, loss: Tensor
) -> None:
    """The same, with a gradient that is scaled down to a norm of `clip` where it is larger.

    Adam changes nothing where neither the norm is above `LEAST_NORM` nor the loss of the whole
    batch, a number on the device, above `LEAST_LOSS`.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, clip)
    if isinstance(optimizer, torch.optim.Adam) and optimizer.defaults["fused"]:
        # The fused kernel then leaves out the step, without anybody waiting for the device.
        # GradScaler uses this too; older versions of torch ignore it on MPS.
        nothing = (norm <= LEAST_NORM) & (loss <= LEAST_LOSS)
        optimizer.found_inf = nothing.float()  # pyright: ignore[reportAttributeAccessIssue]
    take_step(optimizer, lr)


def trainable_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
