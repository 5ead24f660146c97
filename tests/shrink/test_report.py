"""The report of `compact`: words, bytes and latency."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz.export import save_compact
from snnviz.shrink import CompactReport, compact
from snnviz.structure import Size, find_switches
from tests import reference
from tests.networks_at_random import drawn
from tests.shrink.nets import OWN_IMAGES, named, own_factors


def test_the_report_in_words(own: nn.Module) -> None:
    report = CompactReport(
        widths={"0": (6, 1)},
        before=Size(1000, 20000),
        after=Size(250, 5000),
        bytes_before=4000,
        bytes_after=1000,
        latency={1: 0.5, 128: 0.25},
        difference=1.25e-7,
        images=256,
        removed={"a": ("a", "norm"), "b": ()},
        kept={"0": "no other way"},
    )
    assert str(report) == (
        "parameters 1,000 → 250 (25.0%)\n"
        "MACs       20,000 → 5,000 (25.0%)\n"
        "size       4,000 → 1,000 bytes on disk\n"
        "difference 1.2e-07 of the largest output, on 256 images\n"
        "latency    0.50 of before, batch 1\n"
        "latency    0.25 of before, batch 128\n"
        "a is entirely off, removed: a, norm\n"
        "b is entirely off, removed with the branch it was in\n"
        "0 is entirely off, one neuron was kept with weights of 0: no other way"
    )


class Tied(nn.Module):
    """A tensor under two names, one with its channels last, a buffer that no state has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 1)
        self.again, self.norm, self.head = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.Linear(6, 4)
        self.hidden = nn.Linear(6, 6)
        self.again.weight = self.inner.weight
        self.register_buffer("share", torch.tensor(0.5), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images).relu() * self.share
        x = x + self.norm(self.again(self.inner(x)))
        return self.head(self.hidden(x.mean((2, 3))).relu())


RESNET8 = partial(named, "resnet8")


@pytest.mark.parametrize(
    ("net", "off"),
    [
        pytest.param(reference.own, "7", id="chain"),
        pytest.param(reference.Residual, "inner", id="residual"),
        pytest.param(RESNET8, "layer1.0.conv1", id="branch taken out"),
        pytest.param(Tied, "hidden", id="tied"),
    ],
)
def test_bytes_are_those_on_disk(net: Any, off: str, tmp_path: Path) -> None:
    before = drawn(net(reference.tiny_data()) if net is RESNET8 else net()).eval()
    switches = find_switches(before, OWN_IMAGES)
    factors = {name: torch.ones(g.neurons) for name, g in switches.groups.items()}
    if off in factors:
        factors[off][1:] = 0
        factors[off][0] = float(net is not RESNET8)
    small, report = compact(before, factors, OWN_IMAGES, latency=False)
    assert bool(report.removed) == (net is RESNET8)
    sizes = []
    for made, name in ((before, "before"), (small, "after")):
        saved = save_compact(made, tmp_path / name)
        sizes.append((saved / "weights.safetensors").stat().st_size)
    assert [report.bytes_before, report.bytes_after] == sizes


def test_latency_is_measured_at_both_batch_sizes(own: nn.Module) -> None:
    _, report = compact(own, own_factors(), OWN_IMAGES)
    assert list(report.latency) == [1, 128]
    assert all(ratio > 0 for ratio in report.latency.values())
