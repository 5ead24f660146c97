"""Switch groups, scaled parameters, and the size of what is left, each against a slow twin."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from snnviz.structure import (
    Switches,
    find_switches,
    neuron_weights,
    outgoing_lengths,
    scaled_parameters,
    weights,
)
from tests import reference
from tests.helpers import example
from tests.reference import BUILD, LAYERS, hooked

Sequential = nn.Sequential


def random_factors(switches: Switches, seed: int = 0, off: float = 0.3) -> dict[str, Tensor]:
    """Float64 factors, some of them exactly 0, none of a group entirely 0."""
    rng = np.random.default_rng(seed)
    factors = {}
    for name, group in switches.groups.items():
        values = rng.uniform(0.2, 2, group.neurons) * (rng.random(group.neurons) > off)
        values[0] = 1.5
        factors[name] = torch.from_numpy(values)
    return factors


# --- scaled parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["", "task", "switcher"])
@pytest.mark.parametrize("name", BUILD)
def test_scaled_parameters_against_hooks_over_many_training_steps(name: str, phase: Any) -> None:
    build, shape = BUILD[name]
    ours = build().double()
    switches = find_switches(ours, example(shape).double())
    twin = copy.deepcopy(ours)
    factors = random_factors(switches)
    twin_factors = {group: values.clone() for group, values in factors.items()}
    images = example(shape, n=8).double()
    labels = torch.arange(8) % 3
    for step in range(12):
        for values in (*factors.values(), *twin_factors.values()):
            values.requires_grad_(True).grad = None
        ours.zero_grad()
        twin.zero_grad()
        batch = images + 0.1 * step
        parameters = scaled_parameters(ours, switches, factors, phase=phase)
        scores = functional_call(ours, parameters, (batch,))
        F.cross_entropy(scores, labels).backward()
        with hooked(twin, LAYERS[name], twin_factors):
            twin_scores = twin(batch)
        F.cross_entropy(twin_scores, labels).backward()
        torch.testing.assert_close(scores, twin_scores, rtol=1e-8, atol=1e-9)
        pairs = zip(ours.named_parameters(), twin.parameters(), strict=True)
        with torch.no_grad():
            for (parameter, a), b in pairs:
                note = f"{parameter}, step {step}".format
                torch.testing.assert_close(
                    a.grad, b.grad, rtol=1e-7, atol=1e-8, msg=lambda m, n=note: f"{n()}: {m}"
                )
                a -= 0.05 * a.grad
                b -= 0.05 * b.grad
            for group, values in factors.items():
                other = twin_factors[group]
                assert values.grad is not None
                assert other.grad is not None
                on = values != 0  # what is off stays off, so that both kinds are there throughout
                of = on if phase else slice(None)  # a moved factor of 0 may have a slope
                torch.testing.assert_close(values.grad[of], other.grad[of], rtol=1e-7, atol=1e-8)
                values -= 0.05 * values.grad * on
                other -= 0.05 * other.grad * on
        for (buffer, a), b in zip(ours.named_buffers(), twin.buffers(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9, msg=buffer)
    assert all((values == 0).any() for values in factors.values())


@pytest.mark.parametrize("name", BUILD)
def test_an_off_neuron_is_exactly_silent(name: str) -> None:
    """Its pre-activation, behind the norm, is 0 and not just small."""
    build, shape = BUILD[name]
    network = build().eval()
    switches = find_switches(network, example(shape))
    factors = {k: v.float() for k, v in random_factors(switches, 1).items()}
    groups = switches.groups.values()
    seen: dict[str, Tensor] = {}
    for layer in {layer for group in groups for layer in group.scaled}:
        network.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output, layer=layer: seen.update({layer: output})
        )
    parameters = scaled_parameters(network, switches, factors)
    functional_call(network, parameters, (example(shape),))
    for group in groups:
        for layer in group.scaled:
            off = factors[group.name] == 0
            silent = (
                seen[layer].abs().flatten(2).amax((0, 2))
                if seen[layer].ndim > 2
                else (seen[layer].abs().amax(0))
            )
            assert torch.equal(silent == 0, off), layer


def test_constant_scaled_parameters_name_all_and_need_no_gradient() -> None:
    network = reference.own()
    switches = find_switches(network, example((1, 8, 8)))
    factors = {k: v.float().requires_grad_(True) for k, v in random_factors(switches).items()}
    parameters = scaled_parameters(network, switches, factors, constant=True)
    assert parameters.keys() == dict(network.named_parameters()).keys()
    functional_call(network, parameters, (example((1, 8, 8), 8),)).sum().backward()
    assert all(p.grad is None for p in network.parameters())
    assert all(s.grad is not None for s in factors.values())


@pytest.mark.parametrize("name", BUILD)
def test_factors_of_1_change_nothing_at_all(name: str) -> None:
    build, shape = BUILD[name]
    network = build().eval()
    switches = find_switches(network, example(shape))
    ones = {k: torch.ones(g.neurons) for k, g in switches.groups.items()}
    parameters = scaled_parameters(network, switches, ones)
    assert torch.equal(
        functional_call(network, parameters, (example(shape),)), network(example(shape))
    )


@pytest.mark.parametrize("name", BUILD)
def test_neuron_weights_against_the_reference(name: str) -> None:
    build, shape = BUILD[name]
    network = build()
    for parameter in network.parameters():
        nn.init.normal_(parameter)  # else every norm's scale is 1 and its shift 0
    switches = find_switches(network, example(shape))
    theirs = reference.neuron_weights(network, LAYERS[name])
    for group in switches.groups.values():
        found, wanted = neuron_weights(network, group), theirs[group.name]
        for part in ("incoming", "scale", "shift", "outgoing"):
            torch.testing.assert_close(getattr(found, part), getattr(wanted, part))
            assert len(getattr(found, part)) == group.neurons


# --- size ----------------------------------------------------------------------------------------


def fully_connected(widths: list[int]) -> nn.Module:
    a, b = widths
    return Sequential(
        nn.Flatten(), nn.Linear(192, a), nn.ReLU(), nn.Linear(a, b, bias=False),
        nn.BatchNorm1d(b), nn.ReLU(), nn.Linear(b, 4),
    )  # fmt: skip


def convolutions(widths: list[int]) -> nn.Module:
    a, b, c = widths
    return Sequential(
        nn.Conv2d(3, a, 3, padding=1, bias=False), nn.BatchNorm2d(a), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(a, b, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(b, c), nn.Tanh(),
        nn.Linear(c, 4),
    )  # fmt: skip


def places(widths: list[int]) -> nn.Module:
    """Several places of an image go through the flatten, for each channel."""
    a, b = widths
    return Sequential(
        nn.Conv2d(3, a, 5), nn.ReLU(), nn.Flatten(), nn.Linear(16 * a, b), nn.ReLU(),
        nn.Linear(b, 4),
    )  # fmt: skip


class Added(nn.Module):
    """An addition; the channels of both its writers go together."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        a, b = widths
        self.first = nn.Conv2d(3, a, 3, padding=1)
        self.inner = nn.Conv2d(a, b, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(b)
        self.second = nn.Conv2d(b, a, 1)
        self.head = nn.Linear(a * 64, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images)
        x = x + self.second(torch.relu(self.norm(self.inner(torch.relu(x)))))
        return self.head(torch.relu(x).flatten(1))


FAMILIES: dict[str, tuple[Callable[[list[int]], nn.Module], list[int]]] = {
    "fully_connected": (fully_connected, [9, 6]),
    "convolutions": (convolutions, [5, 6, 7]),
    "places": (places, [4, 6]),
    "added": (Added, [5, 4]),
}
FOUND = {
    name: find_switches(build(widths), example()) for name, (build, widths) in FAMILIES.items()
}


@given(st.sampled_from(list(FAMILIES)), st.integers(0, 10_000))
def test_size_is_that_of_a_really_smaller_network(family: str, seed: int) -> None:
    build, widths = FAMILIES[family]
    switches = FOUND[family]
    rng = np.random.default_rng(seed)
    factors, left = {}, []
    for name, n in zip(switches.groups, widths, strict=True):
        factors[name] = rng.uniform(0.1, 2, n).astype(np.float32)
        off = rng.permutation(n)[: rng.integers(0, n)]  # at least one stays on
        factors[name][off] = 0
        left.append(n - len(off))
    smaller = build(left).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        smaller(example(n=1))
    size = switches.size(factors)
    assert size.parameters == sum(p.numel() for p in smaller.parameters())
    assert size.macs == counter.get_total_flops() / 2


@pytest.mark.parametrize("name", BUILD)
def test_whole_size(name: str) -> None:
    build, shape = BUILD[name]
    network = build().eval()
    switches = find_switches(network, example(shape))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(example(shape, n=1))
    on = {k: np.full(g.neurons, 0.5, np.float32) for k, g in switches.groups.items()}
    for size in (switches.size(), switches.size({}), switches.size(on)):
        assert size.parameters == sum(p.numel() for p in network.parameters())
        assert size.macs == counter.get_total_flops() / 2


def test_factors_for_some_of_the_groups() -> None:
    switches = FOUND["places"]
    first = next(iter(switches.groups))
    values = np.ones(4, np.float32)
    values[2:] = 0
    smaller = places([2, 6])
    assert switches.size({first: values}).parameters == sum(p.numel() for p in smaller.parameters())


@pytest.mark.parametrize("name", ["mlp", "lenet5", "residual"])
def test_lengths_of_outgoing_weights_against_a_slow_loop(name: str) -> None:
    net, shape = BUILD[name]
    network = net()
    switches = find_switches(network, torch.randn(2, *shape))
    for group in switches.groups.values():
        squares = np.zeros(group.neurons)
        for member in group.read_as:
            weight = network.get_submodule(member.layer).weight.detach().double().numpy()
            for channel, neuron in zip(member.channels, member.neurons, strict=True):
                squares[neuron] += (weight[:, channel] ** 2).sum()
        found = outgoing_lengths(network, group).detach()
        np.testing.assert_allclose(found, np.sqrt(squares), rtol=1e-5)
        assert (squares > 0).all()


def test_outgoing_weights_of_a_grouped_convolution() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 1, groups=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 3),
    )  # fmt: skip
    group = next(iter(find_switches(network, torch.randn(2, 1, 2, 2)).groups.values()))
    weight = network.get_submodule("2").weight.detach().double().numpy()  # (6, 2, 1, 1)
    by_channel = np.array(
        [(weight[3 * (c // 2) : 3 * (c // 2) + 3, c % 2] ** 2).sum() for c in range(4)]
    )
    wanted = np.zeros(group.neurons)
    for member in group.read_as:
        if member.layer == "2":
            np.add.at(wanted, member.neurons, by_channel[member.channels])
    np.testing.assert_allclose(
        outgoing_lengths(network, group).detach(), np.sqrt(wanted), rtol=1e-5
    )


def test_outgoing_weights_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 50))
    group = next(iter(find_switches(network, torch.randn(2, 1, 2, 2)).groups.values()))
    whole = outgoing_lengths(network, group)
    monkeypatch.setattr(weights, "_PIECE", 6 * 7)  # of 7 outputs, and a rest of 1
    torch.testing.assert_close(outgoing_lengths(network, group), whole)


def test_gradients_of_outgoing_lengths_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 50)).double()
    group = next(iter(find_switches(network, torch.randn(2, 1, 2, 2).double()).groups.values()))
    found = []
    for piece in (10_000, 6 * 7):
        monkeypatch.setattr(weights, "_PIECE", piece)
        lengths = outgoing_lengths(network, group) * torch.arange(6)
        found.append(torch.autograd.grad(lengths.sum(), network[3].weight)[0])
    torch.testing.assert_close(*found)
