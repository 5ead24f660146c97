"""Layers that standardise their weights, and what is made of them where they lose inputs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from snnviz.export import load_compact, save_compact
from snnviz.shrink import compact
from snnviz.structure import find_switches, scaled_parameters
from snnviz.structure.modes import in_mode
from snnviz.structure.reasons import SPREAD
from snnviz.structure.standardised import make_plain, replace_all, standardises
from tests.helpers import example
from tests.networks_at_random import drawn
from tests.shrink.nets import assert_close, half_off
from tests.standardised import Activated, Flat, Gained, Larger, Line, OneGain, Standardised
from tests.structure.nets import hidden


class Masked(nn.Conv2d):
    """Its weights are computed, each by itself."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight.clamp(-0.1, 0.1), self.bias)


class Refuses(Standardised):
    """It takes images of one size alone."""

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[2] != 8:
            raise ValueError("8")
        return super().forward(input)


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...], type]] = {
    "2d": (Standardised(4, 6, 3, 2, 1, bias=False), (4, 7, 7), nn.Conv2d),
    "padded": (Standardised(4, 6, 3, padding=1, padding_mode="reflect"), (4, 7, 7), nn.Conv2d),
    "grouped": (Standardised(4, 6, 3, groups=2), (4, 7, 7), nn.Conv2d),
    "gained": (Gained(4, 6, 3), (4, 7, 7), nn.Conv2d),
    "linear": (Flat(5, 6), (5,), nn.Linear),
    "transposed": (Larger(4, 6, 2, 2), (4, 7, 7), nn.ConvTranspose2d),
    "1d": (Line(4, 6, 3, dilation=2), (4, 9), nn.Conv1d),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_plain_layer_gives_the_same(name: str) -> None:
    layer, shape, kind = LAYERS[name]
    assert standardises(layer)
    layer = drawn(layer).double()
    plain: Any = make_plain(layer)
    assert type(plain) is kind
    assert not standardises(plain)
    x = torch.randn(3, *shape, dtype=torch.float64)
    torch.testing.assert_close(plain(x), layer(x), rtol=0, atol=1e-12)
    assert repr(plain).partition("(")[2] == repr(layer).partition("(")[2]
    assert plain.weight.requires_grad
    assert vars(plain).keys() == vars(kind(*(1, 1, 1)[: 2 if kind is nn.Linear else 3])).keys()
    frozen: Any = make_plain(layer.requires_grad_(False))
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(4, 6, 3), nn.Linear(4, 6), nn.BatchNorm2d(4), Masked(4, 6, 3), Refuses(4, 6, 3),
     Standardised(4, 8, 3, groups=4), Standardised(1, 8, 3),
     nn.utils.parametrizations.weight_norm(Standardised(4, 6, 3))],
)  # fmt: skip
def test_others_do_not_standardise(layer: nn.Module) -> None:
    """Also those with one input for each output, which cannot lose it alone."""
    assert not standardises(layer)


@pytest.mark.parametrize("layer", [Activated(4, 6, 3), OneGain(4, 6, 3)])
def test_what_does_more_has_no_plain_layer(layer: nn.Module) -> None:
    assert standardises(layer)
    assert make_plain(layer) is None
    network = hidden(nn.Conv2d(3, 4, 1), nn.ReLU(), layer)
    assert find_switches(network, example((3, 8, 8))).left_alone["0"] == f"2 {SPREAD}"


def test_only_layers_with_parameters_of_their_own_are_replaced() -> None:
    network = nn.Sequential(*(Standardised(4, 4, 1) for _ in range(3)))
    network[2].weight = network[1].weight
    found = replace_all(network, [network[1].weight])  # type: ignore[list-item]
    assert [type(layer) for layer in found] == [nn.Conv2d, Standardised, Standardised]
    assert type(network[0]) is Standardised
    assert replace_all(nn.ReLU(), []).__class__ is nn.ReLU


NETWORKS: dict[str, tuple[nn.Module, dict[str, int], tuple[str, ...]]] = {
    "after a norm": (
        hidden(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), Standardised(8, 6, 1)),
        {"0": 8},
        ("3",),
    ),
    "one after the other": (
        hidden(
            Gained(3, 8, 3), nn.SiLU(), Gained(8, 12, 1, groups=2), nn.SiLU(), Gained(12, 6, 1),
            nn.ReLU(),
        ),
        {"0": 4, "2": 6, "4": 6},
        ("2", "4"),
    ),
    "linear": (
        nn.Sequential(
            nn.Flatten(), nn.Linear(192, 9), nn.ReLU(), Flat(9, 5), nn.ReLU(), Flat(5, 4)
        ),
        {"1": 9},
        ("3",),
    ),
    "transposed": (
        hidden(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), Larger(8, 6, 2, 2)), {"0": 8}, ("2",)
    ),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_that_lose_inputs_become_plain(name: str, tmp_path: Path) -> None:
    network, neurons, plain = NETWORKS[name]
    network, images = drawn(network).double().eval(), example((3, 8, 8), n=4).double()
    switches = find_switches(network, images)
    assert neurons.items() <= {k: g.neurons for k, g in switches.groups.items()}.items()
    factors = half_off(switches)
    small, report = compact(network, factors, images, switches=switches, latency=False)
    assert report.plain == plain
    assert f"{', '.join(plain)} lost inputs and became plain layers" in str(report)
    assert report.after == switches.size({k: s.numpy() for k, s in factors.items()})
    scaled = scaled_parameters(network, switches, factors)
    for mode in ("evaluation", "training"):
        with in_mode(network, mode, images):
            expected = functional_call(network, scaled, (images,))
        with in_mode(small, mode, images):
            assert_close(small(images), expected, 1e-10)
    save_compact(small, tmp_path / "net", images)
    assert torch.equal(load_compact(tmp_path / "net")(images), small(images))


@torch.no_grad()
def test_a_factor_is_in_the_gain() -> None:
    """On the weights too, it would act twice or not at all, and in the reader not at all."""
    network = hidden(Gained(3, 8, 3), nn.ReLU(), Gained(8, 6, 1), nn.ReLU())
    network, images = drawn(network).double().eval(), example((3, 8, 8)).double()
    switches = find_switches(network, images)
    assert [group.moved for group in switches.groups.values()] == ["", "", "both"]
    factors = {name: torch.full((g.neurons,), 0.7).double() for name, g in switches.groups.items()}
    for phase in ("", "task", "switcher"):
        scaled = scaled_parameters(network, switches, factors, phase=phase)  # type: ignore[arg-type]
        x = functional_call(
            network[0], {k[2:]: v for k, v in scaled.items() if k[0] == "0"}, images
        )
        torch.testing.assert_close(x, network[0](images) * factors["0"][0], rtol=0, atol=1e-12)
        assert torch.equal(scaled["2.gain"], network[2].gain * factors["2"].view(-1, 1, 1, 1))


def test_all_neurons_on_change_nothing() -> None:
    network = hidden(Gained(3, 8, 3), nn.ReLU(), Gained(8, 6, 1), nn.ReLU())
    network, images = drawn(network).eval(), example((3, 8, 8))
    switches = find_switches(network, images)
    factors = {name: torch.ones(g.neurons) for name, g in switches.groups.items()}
    small, report = compact(network, factors, images, switches=switches, latency=False)
    assert report.plain == ()
    assert "standardise" not in str(report)
    assert type(small[2]) is Gained  # type: ignore[index]
    assert report.after == report.before


def test_a_layer_at_two_places_becomes_plain_at_both() -> None:
    layer = Standardised(8, 8, 3, padding=1)
    network = nn.Sequential(layer, nn.ReLU(), layer)
    made = replace_all(network, ())
    assert type(made[0]) is nn.Conv2d  # type: ignore[index]
    assert made[0] is made[2]  # type: ignore[index]
    assert network[0] is network[2] is layer
