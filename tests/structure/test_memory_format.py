"""The memory format: safe on every CPU, and one that the network works in."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnviz as sv
from snnviz import rivals
from snnviz.runs import Trainer
from snnviz.structure import memory_format
from tests.reference import tiny_data

ROOT = Path(__file__).parents[2]
LAST, USUAL = torch.channels_last, torch.contiguous_format


def data() -> sv.ImageData:
    return tiny_data((3, 12, 12), n=32, classes=4)


def trainer(network: nn.Module, images: sv.ImageData | None = None, **given: object) -> Trainer:
    plan = sv.Schedule(epochs=1, task_steps=1, switcher_steps=1, batch_size=8)
    return Trainer(network, images or data(), plan, device="cpu", precision="float32", **given)  # type: ignore[arg-type]


def formats(network: nn.Module) -> set[torch.memory_format]:
    """Those of all kernels; a kernel that is both at once counts by its strides alone."""
    kernels = [p for p in network.parameters() if p.ndim == 4]
    return {LAST if p.stride()[-1] == p.shape[1] else USUAL for p in kernels if p.shape[1] > 1}


# --- which layers are at risk ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "risky"),
    [
        (nn.Conv2d(3, 6, 1, 2), True),
        (nn.Conv2d(15, 8, 1, (1, 2)), True),
        (nn.Conv2d(16, 8, 1, 2), False),
        (nn.Conv2d(3, 6, 1), False),
        (nn.Conv2d(3, 6, 3, 2), False),
        (nn.Conv2d(3, 6, (1, 3), 2), False),
        (nn.Conv2d(4, 4, 1, 2, groups=4), False),
        (nn.Conv2d(3, 6, 1, 2).bfloat16(), True),
        (nn.Conv2d(3, 6, 1, 2).double(), False),
        (nn.Conv1d(3, 6, 1, 2), False),
        (nn.ConvTranspose2d(3, 6, 1, 2), False),
        (nn.Linear(3, 6), False),
        (nn.GroupNorm(2, 6), memory_format._GROUP_NORM_CRASHES),
    ],
)
def test_layers_at_risk(layer: nn.Module, risky: bool) -> None:
    assert memory_format.layers_at_risk(nn.Sequential(layer)) == (["0"] if risky else [])


@pytest.mark.parametrize("name", ["mlp", "lenet5", "vgg_small", "resnet8", "resnet18", "vgg16"])
def test_usual_networks_are_channels_last(name: str) -> None:
    images = tiny_data((3, 32, 32), n=4, classes=4)
    network = sv.network(name, images)
    assert memory_format.prepare(network, images.batch("test", torch.arange(2))[0]) == LAST
    assert formats(network) <= {LAST}


def test_a_narrow_resnet_is_contiguous_on_cpus() -> None:
    network = sv.network("resnet8", data(), width=0.25).to(memory_format=LAST)  # type: ignore[call-overload]
    ours = trainer(network)
    assert formats(network) == {USUAL}
    assert ours.batches.draw("task").images.is_contiguous()


@pytest.mark.slow  # a process of its own, which may crash
def test_narrow_networks_train_on_a_cpu_with_avx2(tmp_path: Path) -> None:
    """In a process of its own, for what this is about ends the process."""
    setting = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.narrow_networks", str(tmp_path / "small")],
        cwd=ROOT, env=os.environ | setting, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"ended by {done.returncode} at: {done.stdout}\n{done.stderr}"


def test_a_network_with_a_group_norm_behind_layers_that_learn_nothing() -> None:
    """As in a switcher phase, and where the user has frozen the layers before it."""
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 4),
    )  # fmt: skip
    network[0].requires_grad_(False)
    ours = trainer(network)
    ours.run(progress=False)
    assert ours.history.epochs["train_loss"].notna().all()
    assert formats(network) == {USUAL if memory_format._GROUP_NORM_CRASHES else LAST}


# --- networks that do not run in our format ----------------------------------------------------


class Flattening(nn.Module):
    """Flattens with `view`, which needs contiguous memory; always, or in one mode only."""

    def __init__(self, modes: tuple[bool, ...] = (True, False), width: int = 8) -> None:
        super().__init__()
        self.modes = modes
        self.conv, self.linear = nn.Conv2d(3, width, 3), nn.Linear(100 * width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        flat = x.view(len(x), -1) if self.training in self.modes else x.reshape(len(x), -1)
        return self.linear(F.dropout(flat, 0.1, self.training))


class ViewFirst(nn.Module):
    """Flattens the images themselves; it has no convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(432, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(F.relu(self.one(x.view(x.size(0), -1))))


class _Flat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].view(-1).view(ctx.shape)


class ViewBackward(Flattening):
    """Its gradients, too, must be contiguous."""

    def __init__(self) -> None:
        super().__init__(modes=())
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.last(_Flat.apply(F.relu(self.conv(x))))
        return self.linear(x.flatten(1))


class LastFirst(nn.Module):
    """Views that work in channels_last only: the other order of the same numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
        self.to(memory_format=LAST)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.relu(self.conv(x)).permute(0, 2, 3, 1).view(len(x), 100, -1).mean(1))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Flattening, USUAL),
        (lambda: Flattening(modes=(True,)), USUAL),
        (lambda: Flattening(modes=(False,)), USUAL),
        (ViewFirst, USUAL),
        (ViewBackward, USUAL),
        (lambda: Flattening(modes=()), LAST),
        (LastFirst, LAST),
    ],
)
def test_a_network_trains_in_a_format_that_it_runs_in(
    make: Callable[[], nn.Module], expected: torch.memory_format
) -> None:
    network = make()
    x = data().batch("test", torch.arange(3))[0]
    ours = trainer(network)
    assert formats(network) <= {expected}
    ours.run(progress=False)
    ours.evaluate()
    network(x).sum().backward()  # as it did before
    assert trainer(network).learners.images_format == expected  # decided the same again
    for group, neurons in ours.history.groups.items():
        ours.pin(group, range(1, neurons, 3), on=False)
    small, _ = sv.compact(ours)
    small.train()(x).sum().backward()
    small.eval()(x[:1])
    trainer(small).run(progress=False)
    branch = ours.branch(ours.epoch_end)
    assert branch.learners.images_format == expected


def test_a_run_of_such_a_network_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    def started(folder: Path) -> sv.Trainer:
        torch.manual_seed(1)
        plan = sv.Schedule(epochs=2, task_steps=1, switcher_steps=1, batch_size=8)
        network, images = Flattening(), data()
        return sv.Trainer(network, images, plan, device="cpu", precision="float32", folder=folder)

    whole = started(tmp_path / "whole")
    whole.run(progress=False)
    started(tmp_path / "part").run(1, progress=False)
    for part in (
        sv.Trainer.resume(tmp_path / "part", network=Flattening(), data=data()),
        sv.Trainer.fork(tmp_path / "whole", 1, network=Flattening(), data=data()),
    ):
        part.run(progress=False)
        for name, value in whole.network.state_dict().items():
            assert torch.equal(part.network.state_dict()[name], value)


def test_a_rival_of_a_flattening_network() -> None:
    plan = sv.Schedule(epochs=2, batch_size=8)
    rivals.train("magnitude", Flattening(), data(), plan, device="cpu", size=0.7)


def test_trying_leaves_the_network_and_the_random_numbers_alone() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(400, 4)
    ).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    memory_format.prepare(network, torch.randn(2, 3, 12, 12, generator=torch.Generator()))
    assert torch.equal(torch.rand(3), expected)
    assert not any(module.training for module in network.modules())
    assert all(p.grad is None for p in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
