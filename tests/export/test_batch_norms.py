"""Batch norms of other classes than torch's layers are saved by what they compute."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.export import load_compact, save_compact
from tests.networks_at_random import drawn


class Named(nn.BatchNorm2d):
    """Adds nothing."""


class Frozen(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> Any:
        return super().train(False)


class Activated(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.relu(super().forward(input))


def network(norm: nn.Module) -> nn.Module:
    layers = nn.Conv2d(3, 6, 3), norm, nn.Flatten(), nn.Linear(96, 4)
    return drawn(nn.Sequential(*layers).double()).eval()


NORMS = (nn.SyncBatchNorm, Named, Frozen, Activated)


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"track_running_stats": False}])
def test_it_comes_back_the_same_in_either_mode(kind: Any, options: Any, tmp_path: Path) -> None:
    net, images = network(kind(6, **options)), torch.randn(4, 3, 6, 6).double()
    save_compact(net, tmp_path / "net", images)
    loaded = load_compact(tmp_path / "net")
    for _ in range(2):  # the second time, the statistics have moved
        for training in (True, False):
            assert torch.equal(net.train(training)(images), loaded.train(training)(images))


def test_a_class_that_adds_nothing_becomes_torchs_layer(tmp_path: Path) -> None:
    save_compact(network(Named(6, momentum=None)), tmp_path / "net")
    assert type(load_compact(tmp_path / "net").get_submodule("1")) is nn.BatchNorm2d


def test_an_average_over_all_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"layer 1 \(Activated\) averages over all batches"):
        save_compact(network(Activated(6, momentum=None)), tmp_path / "net")
