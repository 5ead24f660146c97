"""How many neurons to keep for a size: near enough, whole groups left alone, at least one each."""

from functools import lru_cache
from itertools import product

import pytest
import torch
from torch import nn

from snnviz.networks import network
from snnviz.structure import Switches, find_switches
from snnviz.structure.sizes import SIZES, keep_counts, smallest_size
from tests.reference import tiny_data


@lru_cache
def switches_of(name: str) -> Switches:
    made = network(name, tiny_data((1, 16, 16)))
    weighted = ["*"] if name == "convnext_tiny" else []
    return find_switches(made, torch.randn(2, 1, 16, 16), weighted=weighted)


def size_of(switches: Switches, counts: dict[str, int], what: str) -> float:
    """Counted again: the first neurons of each group stay on."""
    on = {name: torch.arange(g.neurons) < counts[name] for name, g in switches.groups.items()}
    if what == "neurons":
        return float(sum(m.sum() for m in on.values()) / sum(len(m) for m in on.values()))
    left = switches.size({name: mask.float().numpy() for name, mask in on.items()})
    return getattr(left, what) / getattr(switches.size(), what)


@pytest.mark.parametrize("what", SIZES)
@pytest.mark.parametrize("size", [0.5, 0.2])
@pytest.mark.parametrize("name", ["mlp", "lenet5", "vgg_small", "resnet8", "mobilenet_v2"])
def test_the_size_is_met_within_one_percent(name: str, size: float, what: str) -> None:
    switches = switches_of(name)
    counts = keep_counts(switches, size, what)
    assert size_of(switches, counts, what) == pytest.approx(size, rel=0.01)
    assert all(1 <= counts[name] <= group.neurons for name, group in switches.groups.items())


@pytest.mark.parametrize("what", SIZES)
def test_the_whole_network_and_the_smallest(what: str) -> None:
    switches = switches_of("lenet5")
    whole = {name: group.neurons for name, group in switches.groups.items()}
    assert keep_counts(switches, 1.0, what) == whole
    ones = dict.fromkeys(whole, 1)
    assert keep_counts(switches, 1e-9, what) == ones
    assert smallest_size(switches, what) == pytest.approx(size_of(switches, ones, what))


def test_each_group_keeps_about_the_same_share() -> None:
    switches = switches_of("vgg_small")
    counts = keep_counts(switches, 0.3)
    shares = [counts[name] / group.neurons for name, group in switches.groups.items()]
    assert max(shares) - min(shares) < 0.06


@pytest.mark.slow
def test_neurons_that_cannot_be_removed_are_kept() -> None:
    switches = switches_of("convnext_tiny")
    mixed = {name for name, group in switches.groups.items() if group.mixed_by}
    assert mixed
    counts = keep_counts(switches, 0.5)
    assert all(counts[name] == switches.groups[name].neurons for name in mixed)
    assert any(counts[name] < group.neurons for name, group in switches.groups.items())


@pytest.mark.parametrize("size", [0.2, 0.3, 0.5, 0.7])
def test_a_small_network_comes_as_near_as_it_can(size: float) -> None:
    """Often one group has to lose what another gains."""
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    switches = find_switches(network, torch.randn(2, 1, 8, 8))
    every = [dict(zip(switches.groups, n, strict=True)) for n in product(range(1, 7), range(1, 5))]
    nearest = min(abs(size_of(switches, counts, "parameters") - size) for counts in every)
    found = size_of(switches, keep_counts(switches, size), "parameters")
    assert abs(found - size) == pytest.approx(nearest)
