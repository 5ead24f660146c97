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

from snnviz.networks import lenet5, mlp, vgg_small
from snnviz.switches import (
    Switches,
    SwitchGroup,
    find_switches,
    neuron_weights,
    scaled_parameters,
)
from tests import reference
from tests.reference import LAYERS, Residual, hooked

Sequential = nn.Sequential

BUILD: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "mlp": (lambda: mlp((1, 6, 6), 3), (1, 6, 6)),
    "lenet5": (lambda: lenet5((1, 16, 16), 3), (1, 16, 16)),
    "vgg_small": (lambda: vgg_small((3, 4, 4), 3), (3, 4, 4)),
    "own": (reference.own, (1, 8, 8)),
    "residual": (Residual, (1, 8, 8)),
}


def example(shape: tuple[int, ...] = (3, 8, 8), n: int = 2) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def message_of(call: Callable[[], Any], error: type[Exception] = ValueError) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def random_factors(switches: Switches, seed: int = 0, off: float = 0.3) -> dict[str, Tensor]:
    """Float64 factors, some of them exactly 0, none of a group wholly 0."""
    rng = np.random.default_rng(seed)
    factors = {}
    for name, group in switches.groups.items():
        values = rng.uniform(0.2, 2, group.neurons) * (rng.random(group.neurons) > off)
        values[0] = 1.5
        factors[name] = torch.from_numpy(values)
    return factors


# --- scaled parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILD)
def test_scaled_parameters_against_hooks_over_many_training_steps(name: str) -> None:
    build, shape = BUILD[name]
    ours = build().double()
    switches = find_switches(ours, example(shape).double())
    twin = copy.deepcopy(ours)
    groups = switches.groups.values()
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
        scores = functional_call(ours, scaled_parameters(ours, groups, factors), (batch,))
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
                torch.testing.assert_close(values.grad, other.grad, rtol=1e-7, atol=1e-8)
                assert values.grad is not None
                assert other.grad is not None
                on = values != 0  # what is off stays off, so that both kinds are there throughout
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
    functional_call(network, scaled_parameters(network, groups, factors), (example(shape),))
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
    parameters = scaled_parameters(network, switches.groups.values(), factors, constant=True)
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
    parameters = scaled_parameters(network, switches.groups.values(), ones)
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
        for ours, other in zip(neuron_weights(network, group), theirs[group.name], strict=True):
            torch.testing.assert_close(ours, other)
            assert ours.shape[0] == group.neurons


# --- what is found -------------------------------------------------------------------------------


def group(
    name: str,
    neurons: int,
    readers: str,
    norm: str | None = None,
    writers: tuple[str, ...] = (),
    norms: tuple[str | None, ...] = (),
) -> SwitchGroup:
    return SwitchGroup(name, neurons, writers or (name,), norms or (norm,), tuple(readers.split()))


@pytest.mark.parametrize(
    ("name", "groups", "outputs"),
    [
        ("mlp", [group("fc1", 300, "fc2"), group("fc2", 100, "scores")], "scores"),
        (
            "lenet5",
            [
                group("conv1", 20, "conv2"),
                group("conv2", 50, "fc1"),
                group("fc1", 500, "scores"),
            ],
            "scores",
        ),
        (
            "vgg_small",
            [
                group("conv1", 32, "conv2", "norm1"),
                group("conv2", 32, "conv3", "norm2"),
                group("conv3", 64, "conv4", "norm3"),
                group("conv4", 64, "fc1", "norm4"),
                group("fc1", 256, "scores"),
            ],
            "scores",
        ),
        (
            "own",
            [group("0", 6, "4", "1"), group("4", 4, "7"), group("7", 7, "10", "8")],
            "10",
        ),
        (
            "residual",
            [
                group("first", 6, "inner hidden", writers=("first", "second"), norms=(None, None)),
                group("inner", 5, "second", "norm"),
                group("hidden", 9, "head"),
            ],
            "head",
        ),
    ],
)
def test_groups(name: str, groups: list[SwitchGroup], outputs: str) -> None:
    build, shape = BUILD[name]
    found = find_switches(build(), example(shape))
    # Which writer of several comes first, and in which order readers stand, is left open.
    assert {k: _unordered(g) for k, g in found.groups.items()} == {
        g.name: _unordered(g) for g in groups
    }
    assert list(found.groups) == [g.name for g in groups]
    assert found.left_alone == {outputs: "these are the network's outputs"}


def _unordered(group: SwitchGroup) -> tuple:
    return group.neurons, set(zip(group.writers, group.norms, strict=True)), set(group.readers)


def hidden(*before: nn.Module, width: int = 216) -> nn.Module:
    """A network whose first layers are in question, and whose last hidden layer is not."""
    return Sequential(*before, nn.Flatten(), nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, 4))


class RawAndNormed(nn.Module):
    """A layer that is read both before and behind its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.hidden, self.head = nn.Linear(216, 5), nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        raw = self.conv(images)
        x = (raw + torch.relu(self.norm(raw))).flatten(1)
        return self.head(torch.relu(self.hidden(x)))


class TwoNorms(RawAndNormed):
    """A layer with two norms side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.BatchNorm2d(6)

    def forward(self, images: Tensor) -> Tensor:
        raw = self.conv(images)
        x = (self.second(raw) + torch.relu(self.norm(raw))).flatten(1)
        return self.head(torch.relu(self.hidden(x)))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(192, 7), nn.Linear(7, 7), nn.Linear(7, 7)
        self.c.weight = self.b.weight
        self.head = nn.Linear(7, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        for layer in (self.a, self.b, self.c):
            x = torch.relu(layer(x))
        return self.head(x)


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(192, 7), nn.Linear(192, 5)
        self.c, self.head = nn.Linear(12, 3), nn.Linear(3, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        return self.head(self.c(torch.cat([self.a(x), self.b(x)], 1)).relu())


@pytest.mark.parametrize(
    ("network", "left_alone"),
    [
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.ReLU()),
            {"0": "GroupNorm mixes or ties its neurons"},
            id="group norm",
        ),
        pytest.param(
            hidden(nn.Flatten(), nn.Linear(192, 7), nn.LayerNorm(7), nn.ReLU(), width=7),
            {"1": "LayerNorm mixes or ties its neurons"},
            id="layer norm",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 1, groups=6), nn.ReLU()),
            {"2": "Conv2d with groups > 1 ties its channels together"},
            id="depthwise convolution",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, affine=False), nn.ReLU()),
            {"0": "BatchNorm2d behind it has no scale and shift to fold a factor into"},
            id="norm without scale",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.BatchNorm2d(6)),
            {"0": "BatchNorm2d does not stand right behind the layer that it normalises"},
            id="norm behind the activation",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.BatchNorm2d(6)),
            {"0": "BatchNorm2d does not stand right behind the layer that it normalises"},
            id="two norms",
        ),
        pytest.param(
            hidden(nn.Flatten(), nn.Linear(192, 7), nn.PReLU(7), width=7),
            {"1": "PReLU mixes or ties its neurons"},
            id="prelu",
        ),
        pytest.param(
            RawAndNormed(),
            {"conv": "BatchNorm2d does not normalise all of what the layer before it gives"},
            id="read before the norm too",
        ),
        pytest.param(
            TwoNorms(),
            {"conv": "BatchNorm2d does not normalise all of what the layer before it gives"},
            id="two norms side by side",
        ),
        pytest.param(
            Tied(),
            {
                "b": "Linear shares its parameters with another layer",
                "c": "Linear shares its parameters with another layer",
            },
            id="tied weights",
        ),
        pytest.param(
            Joined(),
            {
                "a": "_ConcatOp mixes or ties its neurons",
                "b": "_ConcatOp mixes or ties its neurons",
            },
            id="concatenation",
        ),
    ],
)
def test_left_alone(network: nn.Module, left_alone: dict[str, str]) -> None:
    found = find_switches(network, example())
    outputs = list(dict(network.named_modules()))[-1]
    outputs = "head" if hasattr(network, "head") else outputs
    assert found.left_alone == {**left_alone, outputs: "these are the network's outputs"}
    assert not found.groups.keys() & left_alone.keys()
    assert found.size().parameters == sum(p.numel() for p in network.parameters())
    # What is found works: values agree with hooks.
    factors = {k: v.float() for k, v in random_factors(found).items()}
    layers = {k: list(zip(g.writers, g.norms, strict=True)) for k, g in found.groups.items()}
    network.eval()
    scaled = scaled_parameters(network, found.groups.values(), factors)
    with hooked(network, layers, factors):
        expected = network(example())
    torch.testing.assert_close(functional_call(network, scaled, (example(),)), expected)


class Chooses(nn.Module):
    """Which layer runs is decided by the data, to a shape that tracing cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(192, 6), nn.Linear(3, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = self.hidden(images.flatten(1))
        return self.head(torch.tensor(x.tolist())[:, :3])


class Picky(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError("I take 28 x 28 pixels")


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(192, 4)

    def forward(self, images: Tensor) -> Any:
        return self.head(images.flatten(1)), images


RUNS = "network does not run on images of shape (2, 3, 8, 8): "
CHECK = "Check that its first layer takes images of this shape."
NOTHING = "A network needs at least one hidden linear or convolution layer."


@pytest.mark.parametrize(
    ("network", "message"),
    [
        pytest.param(
            Picky(),
            f"{RUNS}I take 28 x 28 pixels. {CHECK}",
            id="does not fit the images",
        ),
        pytest.param(
            nn.Conv2d(3, 4, 3),
            "network must return class scores of shape (2, classes) for 2 images, "
            "got (2, 4, 6, 6).",
            id="wrong shape",
        ),
        pytest.param(
            Sequential(nn.Flatten(0), nn.Unflatten(0, (4, 96)), nn.Linear(96, 4)),
            "network must return class scores of shape (2, classes) for 2 images, got (4, 4).",
            id="wrong number of rows",
        ),
        pytest.param(
            Pair(),
            "network must return class scores of shape (2, classes) for 2 images, got tuple.",
            id="several outputs",
        ),
        pytest.param(
            Sequential(nn.Flatten(), nn.Linear(192, 4)),
            "network has no neurons that can be switched "
            f"(1: these are the network's outputs). {NOTHING}",
            id="no hidden layer",
        ),
        pytest.param(
            Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "network has no neurons that can be switched "
            f"(it has no linear or convolution layer). {NOTHING}",
            id="no layer at all",
        ),
    ],
)
def test_errors(network: nn.Module, message: str) -> None:
    assert message_of(lambda: find_switches(network, example())) == message


def test_a_network_that_cannot_be_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """ShuffleNet is one: torch-pruning fails while it builds the graph."""
    import torch_pruning

    def fail(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("integer modulo by zero")

    monkeypatch.setattr(torch_pruning.DependencyGraph, "build_dependency", fail)
    said = message_of(lambda: find_switches(hidden(nn.Conv2d(3, 6, 3)), example()))
    assert said == (
        "network cannot be traced, so its switch groups are not known "
        "(ZeroDivisionError: integer modulo by zero). Networks whose layers are chosen by the "
        "data, or that reorder channels, are not supported."
    )


def test_values_that_leave_the_graph_are_no_silent_success() -> None:
    with pytest.raises(ValueError, match=r"^network (cannot be traced|has no neurons)"):
        find_switches(Chooses(), example())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", BUILD)
def test_the_users_network_is_left_as_it_was(name: str, frozen: bool, training: bool) -> None:
    build, shape = BUILD[name]
    network = build().train(training)
    first = next(iter(network.parameters()))
    first.requires_grad_(not frozen)
    before = copy.deepcopy(network.state_dict())
    kept = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    with_all = find_switches(network, example(shape))
    assert with_all.groups.keys() == LAYERS[name].keys()  # frozen parameters hide no group
    state = network.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[key], before[key]) for key in before)
    assert all(m.training == training for m in network.modules())
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    now = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    assert all(
        a[0] is b[0] and a[1] == b[1] and a[2] is b[2] for a, b in zip(kept, now, strict=True)
    )


def test_torchs_random_state_is_left_as_it_was() -> None:
    network = Sequential(nn.Flatten(), nn.Linear(192, 7), nn.Dropout(), nn.Linear(7, 4))
    before = torch.random.get_rng_state()
    find_switches(network, example())
    assert torch.equal(before, torch.random.get_rng_state())


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
