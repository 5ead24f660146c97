"""Tensors that a network's state_dict leaves out belong to the state of a run all the same."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from snnviz.runs import Trainer
from snnviz.training.unregistered import copy_of, find_unregistered, put_back
from tests.runs.conftest import DATA, PLAN


class Held(nn.Module):
    """It holds tensors in every way that its state_dict leaves out, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = torch.randn(64, 8)
        self.parts = [{"shift": torch.randn(8)}, (torch.randn(8),)]
        self.register_buffer("calls", torch.zeros(()), persistent=False)
        self.register_buffer("saved", torch.ones(8))
        self.hidden, self.head = nn.Linear(8, 6), nn.Linear(6, 5)
        self.own = [self.hidden.weight]
        self.last: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        x = images.flatten(1) @ self.projection + self.parts[0]["shift"] + self.parts[1][0]
        self.last = x.detach()
        return self.head(torch.relu(self.hidden(x * self.saved)))


def made(folder: Path | None = None) -> Trainer:
    return Trainer(Held(), DATA, PLAN, device="cpu", precision="float32", folder=folder)


def test_finds_what_the_state_dict_leaves_out() -> None:
    assert list(find_unregistered(nn.Sequential(Held()))) == [
        "0.calls",
        "0.projection",
        "0.parts.0.shift",
        "0.parts.1.0",
    ]


def test_resumed_run_has_them(tmp_path: Path) -> None:
    images = DATA.batch("test", torch.arange(8))[0]
    with made(tmp_path / "run") as first:
        for _ in range(5):
            first.step()
        first.save()
        expected, calls = first.logits(images), float(first.network.calls)  # type: ignore[arg-type]
    again = Trainer.resume(tmp_path / "run", network=Held(), data=DATA)
    assert torch.equal(again.logits(images), expected)
    assert float(again.network.calls) == calls > 0  # type: ignore[arg-type]
    again.close()


def test_rollback_returns_them() -> None:
    trainer = made()
    before = float(trainer.network.calls)  # type: ignore[arg-type]
    trainer.step()
    assert float(trainer.network.calls) == before + 1  # type: ignore[arg-type]
    trainer.rollback()
    assert float(trainer.network.calls) == before  # type: ignore[arg-type]


def test_tensor_that_is_gone_is_named() -> None:
    network = Held()
    kept = copy_of(network, find_unregistered(network))
    network.parts, network.projection = [], torch.zeros(3)
    with pytest.warns(UserWarning, match="cannot get back") as told:
        put_back(network, kept)
    assert str(told[0].message) == (
        "network cannot get back projection, parts.0.shift, parts.1.0, which its state_dict() "
        "leaves out: the tensor is missing or has another shape, so the outputs may differ from "
        "those of the run. Register such tensors with register_buffer(name, tensor)."
    )
