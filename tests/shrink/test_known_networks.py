"""Networks that people use have the same outputs after compacting, and train."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import find_switches
from snnviz.training import Schedule
from tests.networks_at_random import drawn
from tests.shrink.nets import (
    NETWORKS,
    assert_close,
    assert_ordinary,
    count,
    few_images,
    half_off,
    images_of,
    scores_of,
)

# --- networks that people use --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_known_networks(name: str) -> None:
    """Every parameter random, half of the neurons off: the same outputs in both precisions."""
    import torch_pruning

    build, side = NETWORKS[name]
    net = drawn(build(few_images(side)).eval())
    images = images_of(side)
    switches = find_switches(net, images)
    assert switches.groups
    factors = half_off(switches)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        net, images = net.to(dtype), images.to(dtype)
        small, report = compact(net, factors, images, switches=switches, latency=False)
        with torch.no_grad():
            assert_close(small(images), scores_of(net, images, switches, factors), tolerance)
        assert report.difference <= tolerance
    assert report.after.parameters < report.before.parameters
    assert torch_pruning.utils.count_ops_and_params(small, images[:1])[1] == report.after.parameters
    if name not in ("vit_tiny", "convnext_tiny"):  # attention counts, but no layer of ours
        assert count(small, images) == report.after
        assert count(net, images) == report.before
    assert count(small, images).parameters == report.after.parameters
    assert report.bytes_after < report.bytes_before
    assert_ordinary(small, net)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_round_of_alternating_training(name: str) -> None:
    build, side = NETWORKS[name]
    # Steps so small that statistics of a few batches do not let the scores grow without end.
    plan = Schedule(
        epochs=3, batch_size=4, warmup_epochs=0, freeze_epochs=0, task_steps=1, task_lr=1e-4
    )
    trainer = Trainer(
        build(few_images(side)), few_images(side), plan, device="cpu", precision="float32"
    )
    records = [trainer.step() for _ in range(6)]
    assert [record.phase for record in records] == ["task", "switcher"] * 3
    assert all(np.isfinite(record.loss) for record in records)
    moved = [name for name, s in trainer.factors.items() if not torch.allclose(s, torch.ones(()))]
    assert len(moved) > 0.5 * len(trainer.factors)


def group_normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.GroupNorm(1, 6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 144, 4),
    )  # fmt: skip


def layer_normed() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(768, 7), nn.ReLU(), nn.LayerNorm(7), nn.Linear(7, 5), nn.ReLU(),
        nn.Linear(5, 4),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "weighted"),
    [
        pytest.param(group_normed, {"0": "GroupNorm"}, id="group norm"),
        pytest.param(layer_normed, {"1": "LayerNorm"}, id="layer norm"),
        pytest.param(
            lambda: network("convnext_tiny", few_images(16)),
            {"features.0.0": "LayerNorm2d"} | {f"features.{i}.1": "LayerNorm" for i in (2, 4, 6)},
            id="convnext_tiny",
        ),
        pytest.param(
            lambda: network("vit_tiny", few_images(16)), {"conv_proj": "LayerNorm"}, id="vit_tiny"
        ),
    ],
)
def test_what_is_weighted_only_is_folded_and_stays(
    build: Callable[[], nn.Module], weighted: dict[str, str]
) -> None:
    net, images = drawn(build().eval()).double(), images_of(16).double()
    left = find_switches(net, images)
    switches = find_switches(net, images, weighted=list(weighted))
    assert {name: g.mixed_by for name, g in switches.groups.items() if g.mixed_by} == weighted
    assert switches.groups.keys() - left.groups.keys() == weighted.keys()
    factors = half_off(switches)
    on_paper = switches.size({name: s.numpy() for name, s in factors.items()})
    expected = scores_of(net, images, switches, factors)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        net, images = net.to(dtype), images.to(dtype)
        small, report = compact(net, factors, images, switches=switches, latency=False)
        with torch.no_grad():
            assert_close(small(images), expected, tolerance)
        assert not report.widths.keys() & weighted.keys()
        assert report.after.parameters == on_paper.parameters < report.before.parameters
        assert_ordinary(small, net)
    # The factors act: without them the outputs are others.
    only = factors | {name: torch.ones(len(factors[name])) for name in weighted}
    assert float((scores_of(net, images, switches, only) - expected).abs().max()) > 1e-3
