"""What several processes train together, for tests/test_distributed.py to compare with one.

torchrun --nproc-per-node 2 -m tests.together all FOLDER
"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnviz import distributed, rivals
from snnviz.data import ImageData
from snnviz.devices import random_state
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule
from tests.reference import tiny_data
from tests.runs.conftest import tiny_net

# SGD for the switcher as well: Adam makes whole steps of rounding errors around 0.
PLAN = Schedule(
    epochs=4, batch_size=12, task_steps=3, switcher_optimizer="sgd", switcher_lr=0.05, task_lr=0.02
)
SLOW = SwitcherConfig(gain=2.0, gain_rule="fixed")  # no chaos within the run


def trainer(net: nn.Module, data: ImageData, plan: Schedule = PLAN, **options: Any) -> Trainer:
    options = {"switcher": SLOW, "seed": 5} | options
    return Trainer(net, data, plan, device="cpu", precision="float32", **options)


def lenet5(**options: Any) -> Trainer:
    data = tiny_data((1, 16, 16), augment="shift+flip")
    return trainer(network("lenet5", data, width=0.5), data, **options)


def mlp() -> Trainer:
    """Batches of 15 (8 and 7 for two processes), and a held-out split for the switcher."""
    data = tiny_data((1, 6, 6), n=100, holdout=21, augment="shift")
    plan = PLAN.replace(batch_size=15, switcher_steps=2, switcher_data="holdout", freeze_epochs=1)
    quick = SwitcherConfig(gain=40.0, gain_rule="fixed")  # some neurons go off
    return trainer(network("mlp", data), data, plan, switcher=quick)


def group_norm() -> Trainer:
    """Through the switcher, with the other optimizers."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.GroupNorm(6, 6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(384, 20),
        nn.ReLU(),
        nn.Linear(20, 3),
    )
    plan = PLAN.replace(
        through_switcher=True, task_optimizer="adam", task_lr=1e-3, switcher_optimizer="adam"
    )
    return trainer(net, tiny_data(), plan.replace(switcher_lr=1e-3))


def batch_norm() -> Trainer:
    """With dropout. Not the same as in one process: see docs/many_gpus.md."""
    data = tiny_data(n=96, classes=5)
    return trainer(tiny_net("batch"), data, PLAN.replace(batch_size=16))


def sized() -> Trainer:
    """Ends at a size, at which the processes must choose the same neurons."""
    data = tiny_data((1, 6, 6), n=100)
    return trainer(network("mlp", data), data, PLAN.replace(size=0.3, size_until=1.0))


# Those that several processes train as one does.
SAME: dict[str, Callable[[], Trainer]] = {
    "lenet5": lenet5,
    "mlp": mlp,
    "group_norm": group_norm,
    "sized": sized,
}
CASES = {**SAME, "batch_norm": batch_norm}


def outcome(trained: Trainer) -> dict[str, Any]:
    """All that is to be the same, in plain tensors and lists."""
    steps, epochs = trained.history.steps, trained.history.epochs.drop(columns="seconds")
    numbers = steps.drop(columns="phase")
    return {
        "network": dict(trained.network.state_dict()),
        "switcher": dict(trained.switcher.state_dict()),
        "factors": trained.factors,
        "steps": {name: torch.tensor(numbers[name].tolist()) for name in numbers},
        "epochs": {name: torch.tensor(epochs[name].tolist()) for name in epochs},
    }


# --- what is refused --------------------------------------------------------------------------


def told(action: Callable[[], Any]) -> str:
    try:
        action()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def stopped() -> str:
    data = tiny_data()
    made = trainer(network("mlp", data), data, PLAN.replace(task_lr=1e12))
    return f"{told(lambda: made.run(progress=False))} after {made.position.step} steps"


def unlike() -> str:
    torch.manual_seed(distributed.rank())
    data = tiny_data()
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 3))
    plan = PLAN.replace(task_steps=2 + distributed.rank())
    return told(trainer(net, data, plan).step)


def unused() -> str:
    data = tiny_data()
    net = network("mlp", data)
    net.get_submodule("relu1").register_parameter("spare", nn.Parameter(torch.ones(2)))
    return told(trainer(net, data).step)


def too_few() -> str:
    data = tiny_data()
    return told(trainer(network("mlp", data), data, PLAN.replace(batch_size=1)).step)


def a_rival() -> str:
    data = tiny_data((1, 16, 16))
    return told(lambda: rivals.train("l0", network("lenet5", data), data))


REFUSED = {f.__name__: f for f in (stopped, unlike, unused, too_few, a_rival)}


# --- in each process --------------------------------------------------------------------------


def in_a_folder(folder: Path) -> dict[str, Any]:
    """Saved in mid-epoch, taken up by all, and trained to the end."""
    begun = lenet5(folder=folder)
    kept = str(begun.folder)
    while begun.position.step < 9:
        begun.step()
    begun.save()
    begun.close()
    again = Trainer.resume(folder, data=begun.data)
    again.run(progress=False)
    again.close()
    fork = Trainer.fork(folder, 2, name="fork", data=begun.data)
    fork.run(progress=False)
    fork.save_to(folder.with_name("elsewhere"))
    fork.close()
    found = {"kept in": kept, "process": os.getpid()}
    return {"resumed": outcome(again), "forked": outcome(fork), **found}


def train_all(folder: Path) -> None:
    found: dict[str, Any] = {}
    for name, case in CASES.items():
        made = case()
        made.run()  # rank 0 alone shows how far it is
        found[name] = outcome(made)
        found[f"{name}, alone"] = tuple(made.evaluate())
    made = batch_norm()
    made.step()
    found["one step"] = outcome(made)
    found["draws"] = draws()
    found["folder"] = in_a_folder(folder / "run")
    for name, case in REFUSED.items():
        found[name] = case()
    torch.save(found, folder / f"process{distributed.rank()}.pt")


def draws() -> torch.Tensor:
    with random_state(5, 1, torch.device("cpu")):
        return torch.rand(3)


def fail(folder: Path) -> None:
    """One process fails, and the other waits for it."""
    made = lenet5()
    for record in made:
        if record.step == 5 and distributed.rank() == 1:
            raise RuntimeError("this process fails")


if __name__ == "__main__":
    warnings.simplefilter("error")
    {"all": train_all, "fail": fail}[sys.argv[1]](Path(sys.argv[2]))
