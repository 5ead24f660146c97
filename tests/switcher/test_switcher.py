"""The switcher: its activations against a reference projection, its laws, its config."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor, nn

from snnviz.networks import vgg_small
from snnviz.structure import NeuronWeights, find_switches, neuron_weights
from snnviz.switcher import ACTIVATIONS, Switcher, SwitcherConfig, hard_sigmoid, relu, unit_mean
from snnviz.switcher import switcher as module
from tests import reference

SCORES = arrays(
    np.float64,
    array_shapes(min_dims=1, max_dims=1, max_side=40),
    elements=st.floats(-50, 50),
)


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# --- unit_mean -----------------------------------------------------------------------------------


@given(SCORES)
def test_unit_mean_against_the_reference_projection(z: np.ndarray) -> None:
    ours = unit_mean(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(ours, reference.unit_mean(z), rtol=1e-10, atol=1e-10)


@given(SCORES)
def test_unit_mean_is_the_nearest_point_of_mean_1(z: np.ndarray) -> None:
    """A law of projections: no other point of the set is nearer, tried with random ones."""
    s = unit_mean(torch.from_numpy(z)).numpy()
    rng = np.random.default_rng(0)
    for _ in range(5):
        other = rng.exponential(size=len(z)) ** 3 + 1e-9
        other /= other.mean()
        assert ((z - s) ** 2).sum() <= ((z - other) ** 2).sum() * (1 + 1e-9) + 1e-9


@given(SCORES, st.sampled_from([torch.float32, torch.float64]))
def test_unit_mean_has_mean_1_and_no_negative_factor(z: np.ndarray, dtype: torch.dtype) -> None:
    s = unit_mean(torch.from_numpy(z).to(dtype))
    assert s.dtype == dtype
    assert (s >= 0).all()
    assert (s > 0).any()
    rounding = 4 * len(z) * torch.finfo(dtype).eps
    assert abs(s.double().mean().item() - 1) <= rounding


@given(SCORES, st.floats(-1e6, 1e6))
def test_unit_mean_does_not_see_a_shift(z: np.ndarray, shift: float) -> None:
    shifted = unit_mean(torch.from_numpy(z + shift))
    np.testing.assert_allclose(shifted, unit_mean(torch.from_numpy(z)), atol=1e-8)


@given(SCORES, st.integers(0, 1000))
def test_unit_mean_is_equivariant(z: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(z))
    permuted = unit_mean(torch.from_numpy(z[order])).numpy()
    np.testing.assert_allclose(permuted, unit_mean(torch.from_numpy(z)).numpy()[order], atol=1e-12)


@pytest.mark.parametrize("offset", [0, 1e2, 1e4, 1e6, 1e8, 1e12, -1e8])
@pytest.mark.parametrize("spread", [0, 1e-3, 1, 30, 1e4])
@pytest.mark.parametrize("n", [1, 2, 20, 500])
def test_the_mean_is_1_in_float32_however_large_the_scores(
    n: int, offset: float, spread: float, generator: torch.Generator
) -> None:
    s = unit_mean(torch.randn(n, generator=generator) * spread + offset)
    assert abs(s.double().mean().item() - 1) < 1e-5
    assert (s >= 0).all()


@pytest.mark.parametrize(
    ("z", "s"),
    [
        ([0.0], [1.0]),
        ([-7e30], [1.0]),
        ([5.0, 5.0, 5.0], [1.0, 1.0, 1.0]),
        ([0.0, 9.0], [0.0, 2.0]),
        ([2.0, 0.0], [2.0, 0.0]),  # just at the kink
        ([0.0, 1.0, 1.0, 0.0], [0.5, 1.5, 1.5, 0.5]),
        ([3.0, 3.0, -3.0, -3.0], [2.0, 2.0, 0.0, 0.0]),  # ties on both sides of the waterline
        ([1e30, 0.0, -1e30], [3.0, 0.0, 0.0]),
        ([1e-30, 0.0], [1.0, 1.0]),
    ],
)
def test_unit_mean_by_hand(z: list[float], s: list[float]) -> None:
    assert unit_mean(torch.tensor(z)).tolist() == s


@pytest.mark.parametrize(
    "z",
    [
        doubles(0, 0, 0, 0),
        doubles(0.3),
        doubles(0.3, -0.2, 0.9, 0.1),
        doubles(0.3, -9, 5, 0.1, -3, 2.2, 2.2),
        torch.linspace(-20, 20, 12, dtype=torch.float64),
    ],
)
def test_the_gradient_of_unit_mean_by_finite_differences(z: Tensor) -> None:
    z = z.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(unit_mean, (z,))
    s = unit_mean(z)
    support = (s > 0).double()
    expected = torch.diag(support) - torch.outer(support, support) / support.sum()
    jacobian = torch.autograd.functional.jacobian(unit_mean, z)
    torch.testing.assert_close(jacobian, expected)


@pytest.mark.parametrize("values", [[float("nan")], [1.0, float("nan"), 0.0], [float("nan")] * 9])
def test_nan_scores_give_nan_factors_and_no_crash(values: list[float]) -> None:
    """So that the loss shows them: a NaN must not look like a neuron that is off."""
    s = unit_mean(torch.tensor(values, requires_grad=True))
    assert s.isnan().any()
    s.sum().backward()


# --- the other activations -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_scores_of_0_are_factors_of_1(name: str) -> None:
    for n in (1, 7, 500):
        assert torch.equal(ACTIVATIONS[name](torch.zeros(n)), torch.ones(n))


@pytest.mark.parametrize(
    ("activation", "z", "s", "slope"),
    [
        (hard_sigmoid, [0.0, -0.25, -1.5, 0.5], [1.0, 0.75, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]),
        (relu, [0.0, -0.25, -1.5, 0.5], [1.0, 0.75, 0.0, 1.5], [1.0, 1.0, 0.0, 1.0]),
    ],
)
def test_activations_by_hand(
    activation: Callable[[Tensor], Tensor], z: list[float], s: list[float], slope: list[float]
) -> None:
    given_z = torch.tensor(z, requires_grad=True)
    out = activation(given_z)
    out.sum().backward()
    assert out.tolist() == s
    assert given_z.grad is not None
    assert given_z.grad.tolist() == slope


# --- the switcher --------------------------------------------------------------------------------


def neurons(n: int, fan_in: int, seed: int = 0) -> NeuronWeights:
    generator = torch.Generator().manual_seed(seed)
    wide, scale, shift = (torch.randn(n, k, generator=generator) for k in (fan_in, 1, 1))
    return NeuronWeights(wide, scale[:, 0], shift[:, 0])


def lengths(weights: dict[str, NeuronWeights]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {k: torch.rand(len(w.scale), generator=generator) + 0.1 for k, w in weights.items()}


def awake(fan_in: dict[str, int], config: SwitcherConfig | None = None, seed: int = 0) -> Switcher:
    """A switcher as after some training: its last layer is not 0 any more."""
    switcher = Switcher(fan_in, config, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 100)
        for parameter in switcher.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return switcher


@given(
    seed=st.integers(0, 10_000),
    activation=st.sampled_from(["unit_mean", "hard_sigmoid", "relu"]),
    sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=3),
)
def test_permuting_neurons_permutes_their_factors(
    seed: int, activation: str, sizes: list[tuple[int, int]]
) -> None:
    switcher = awake(
        {f"g{i}": fan_in for i, (_, fan_in) in enumerate(sizes)},
        SwitcherConfig(activation=activation, hidden=8),
        seed,
    )
    weights = {f"g{i}": neurons(n, fan_in, seed + i) for i, (n, fan_in) in enumerate(sizes)}
    order = {k: torch.randperm(len(w.scale)) for k, w in weights.items()}
    permuted = {k: NeuronWeights(*(x[order[k]] for x in w)) for k, w in weights.items()}
    factors, others = switcher(weights), switcher(permuted)
    for group, values in factors.items():
        torch.testing.assert_close(others[group], values[order[group]], rtol=1e-3, atol=2e-4)


def test_permuting_a_layers_units_in_a_network_permutes_their_factors() -> None:
    network = vgg_small((1, 8, 8), 3)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    groups = find_switches(network, torch.randn(2, 1, 8, 8)).groups
    fan_in = {k: neuron_weights(network, g).incoming.shape[1] for k, g in groups.items()}
    switcher = awake(fan_in)
    before = switcher({k: neuron_weights(network, g) for k, g in groups.items()})
    order = torch.randperm(groups["conv2"].neurons)
    for name in ("conv2.weight", "norm2.weight", "norm2.bias"):
        parameter = network.get_parameter(name)
        parameter.data = parameter.data[order]
    after = switcher({k: neuron_weights(network, g) for k, g in groups.items()})
    assert len(before["conv2"].unique()) > 2
    torch.testing.assert_close(after["conv2"], before["conv2"][order], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after["conv1"], before["conv1"])


@pytest.mark.parametrize("outgoing", [False, True])
@pytest.mark.parametrize("rule", ["per_neuron", "fixed"])
@pytest.mark.parametrize("n", [1, 2, 15])
def test_factors_against_the_reference(n: int, rule: str, outgoing: bool) -> None:
    config = SwitcherConfig(gain=0.3, gain_rule=rule, hidden=6, outgoing=outgoing)
    switcher = awake({"a": 5, "b.c": 3}, config)
    weights = {"a": neurons(n, 5), "b.c": neurons(4, 3, 1)}
    read = lengths(weights) if outgoing else {}
    for group, factors in switcher(weights, read).items():
        count = len(weights[group].scale)
        gain = 0.3 * count if rule == "per_neuron" else 0.3
        z = reference.scores(switcher, group, weights[group], read.get(group)) * gain
        np.testing.assert_allclose(
            factors.detach(), reference.unit_mean(z), rtol=1e-3, atol=1e-4 * gain + 1e-5
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_precisions_are_read(dtype: torch.dtype) -> None:
    switcher = awake({"a": 5})
    weights = NeuronWeights(*(w.to(dtype) for w in neurons(8, 5)))
    rounded = NeuronWeights(*(w.float() for w in weights))
    factors = switcher({"a": weights})["a"]
    assert factors.dtype == torch.float32
    assert torch.equal(factors, switcher({"a": rounded})["a"])


@pytest.mark.parametrize("activation", ["unit_mean", "hard_sigmoid", "relu"])
@pytest.mark.parametrize("rule", ["per_neuron", "fixed"])
def test_every_factor_is_1_at_the_start_and_can_move(activation: str, rule: str) -> None:
    config = SwitcherConfig(activation=activation, gain_rule=rule)
    switcher = Switcher({"a": 5, "b": 3}, config)
    weights = {"a": neurons(9, 5), "b": neurons(4, 3)}
    factors = switcher(weights)
    assert {k: v.tolist() for k, v in factors.items()} == {"a": [1.0] * 9, "b": [1.0] * 4}
    pull = {k: torch.linspace(-1, 1, len(v)) for k, v in factors.items()}
    sum((factors[k] * pull[k]).sum() for k in factors).backward()  # type: ignore[union-attr]
    assert switcher.score.weight.grad is not None
    assert switcher.score.weight.grad.norm() > 0


@pytest.mark.parametrize(
    "weights",
    [
        NeuronWeights(torch.zeros(4, 5), torch.ones(4), torch.zeros(4)),
        NeuronWeights(torch.ones(4, 5), torch.ones(4), torch.ones(4)),
        neurons(1, 5),
        NeuronWeights(1e-20 * torch.ones(4, 5), torch.zeros(4), torch.zeros(4)),
        NeuronWeights(1e15 * neurons(4, 5).incoming, torch.ones(4), torch.zeros(4)),
    ],
    ids=["zero", "equal", "alone", "tiny", "huge"],
)
def test_odd_weights_give_finite_factors_and_gradients(weights: NeuronWeights) -> None:
    switcher = awake({"a": 5})
    parts = NeuronWeights(*(w.clone().requires_grad_(True) for w in weights))
    factors = switcher({"a": parts})["a"]
    (factors * torch.linspace(0, 1, len(factors))).sum().backward()
    assert factors.isfinite().all()
    for tensor in (*parts, *switcher.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all()


def test_the_seed_draws_the_weights_and_leaves_torch_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (Switcher({"a": 5}, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.middle.weight, same.middle.weight)
    assert not torch.equal(one.middle.weight, other.middle.weight)


def test_a_groups_name_may_hold_dots_and_odd_letters() -> None:
    switcher = awake({"features.0.conv": 5, "ß §": 2})
    factors = switcher({"features.0.conv": neurons(3, 5), "ß §": neurons(6, 2)})
    assert list(factors) == ["features.0.conv", "ß §"]


# --- configuration -------------------------------------------------------------------------------


@pytest.fixture
def halves() -> Iterator[str]:
    """A user's own activation."""
    ACTIVATIONS["halves"] = lambda z: 0.5 + 0 * z
    yield "halves"
    del ACTIVATIONS["halves"]


def test_a_user_adds_an_activation(halves: str) -> None:
    assert module.ACTIVATIONS is ACTIVATIONS
    switcher = awake({"a": 5}, SwitcherConfig(activation=halves))
    assert switcher({"a": neurons(3, 5)})["a"].tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("rule", "neurons", "gain"),
    [("per_neuron", 500, 25.0), ("per_neuron", 1, 0.05), ("fixed", 9, 0.05)],
)
def test_gain(rule: str, neurons: int, gain: float) -> None:
    assert SwitcherConfig(gain=0.05, gain_rule=rule).gain_of(neurons) == pytest.approx(gain)


WIDTH = "switcher.hidden must be a whole number of at least 1, got {}."
GAIN = "switcher.gain must be a number above 0, got {}."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"activation": "softmax"},
            "switcher.activation must be one of 'unit_mean', 'hard_sigmoid', 'relu', "
            "got 'softmax'. Add your own to snnviz.switcher.ACTIVATIONS.",
        ),
        ({"hidden": 0}, WIDTH.format("0")),
        ({"hidden": 2.0}, WIDTH.format("2.0")),
        ({"hidden": True}, WIDTH.format("True")),
        ({"hidden": "8"}, WIDTH.format("'8'")),
        ({"gain": 0}, GAIN.format("0")),
        ({"gain": -1.0}, GAIN.format("-1.0")),
        ({"gain": float("nan")}, GAIN.format("nan")),
        ({"gain": float("inf")}, GAIN.format("inf")),
        ({"gain": True}, GAIN.format("True")),
        ({"gain": "1"}, GAIN.format("'1'")),
        (
            {"gain_rule": "root"},
            "switcher.gain_rule must be 'per_neuron' or 'fixed', got 'root'.",
        ),
    ],
)
def test_config_errors(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        SwitcherConfig(**fields)
    assert str(caught.value) == message


def test_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SwitcherConfig().gain = 2.0  # type: ignore[misc]


# --- what is read ---------------------------------------------------------------------------------


def test_with_outgoing_weights_and_attention_it_is_equivariant_too() -> None:
    config = SwitcherConfig(outgoing=True, attention=True, hidden=8)
    switcher = awake({"a": 5, "b": 3}, config)
    weights = {"a": neurons(9, 5), "b": neurons(4, 3, 1)}
    outgoing = lengths(weights)
    order = torch.randperm(9)
    permuted = {**weights, "a": NeuronWeights(*(x[order] for x in weights["a"]))}
    factors = switcher(weights, outgoing)
    others = switcher(permuted, {**outgoing, "a": outgoing["a"][order]})
    assert len(factors["a"].unique()) > 2
    torch.testing.assert_close(others["a"], factors["a"][order], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(others["b"], factors["b"])


@pytest.mark.parametrize("config", [{"outgoing": True}, {"attention": True}])
def test_what_else_is_read_matters(config: dict) -> None:
    switcher = awake({"a": 5}, SwitcherConfig(**config))
    weights = {"a": neurons(9, 5)}
    outgoing = lengths(weights)
    factors = switcher(weights, outgoing)["a"]
    if "outgoing" in config:
        others = switcher(weights, {"a": outgoing["a"].flip(0)})["a"]
    else:
        weighing = switcher.looks.weight.data
        switcher.looks.weight.data = torch.zeros_like(weighing)
        others = switcher(weights, outgoing)["a"]
    assert not torch.allclose(factors, others)


def test_attention_by_hand() -> None:
    switcher = awake({"a": 5, "b": 3}, SwitcherConfig(attention=True, hidden=4))
    h = torch.randn(7, 4)
    query, key, value = switcher.looks(h[:5]).chunk(3, 1)
    wanted = torch.softmax(query @ key.T / 2, 1) @ value
    torch.testing.assert_close(switcher._attended(h, (5, 2))[:5], wanted)


@pytest.mark.parametrize("fan_in", [5, 3000])
def test_how_weights_have_moved(fan_in: int) -> None:
    """Against a slow loop over neurons: since it last found other weights, and no matter how often
    it looks."""
    config = SwitcherConfig(reads="movement")
    switcher = Switcher({"a": fan_in}, config, neurons={"a": 9})
    start, grown = neurons(9, fan_in), neurons(9, fan_in, 3)
    moved = grown._replace(incoming=start.incoming * 1.1 + 0.2 * grown.incoming)

    def measures(weights: NeuronWeights) -> Tensor:
        with torch.no_grad():
            return switcher.read({"a": weights}).measures[:, 3:]

    assert measures(start).abs().max() < 0.1  # nothing is known yet
    for _ in range(2):
        found = measures(moved)
        wanted = []
        rows = [
            w if fan_in <= 1024 else module.hashed(w, module.random_signs(fan_in))
            for w in (start.incoming, moved.incoming)
        ]
        for before, now in zip(*rows, strict=True):
            way = now - before
            wanted.append([way.norm() / now.norm(), torch.cosine_similarity(way, now, dim=0)])
        plain = torch.tensor(wanted)
        plain = (plain - plain.mean(0)) / plain.std(0, correction=0)
        torch.testing.assert_close(found, plain, rtol=1e-2, atol=1e-2)
    back = measures(start)
    assert not torch.allclose(back, found, atol=0.05)


def test_how_weights_have_moved_reaches_the_factors() -> None:
    found = []
    for times in (0.5, -0.5):
        torch.manual_seed(0)
        switcher = Switcher({"a": 5}, SwitcherConfig(reads="movement"), neurons={"a": 9})
        nn.init.normal_(switcher.score.weight)
        weights = neurons(9, 5)
        some = torch.linspace(-1, 1, 9).unsqueeze(1)
        switcher({"a": weights._replace(incoming=weights.incoming * (1 - times * some))})
        found.append(switcher({"a": weights})["a"])
    assert not torch.allclose(*found, atol=1e-2)


def test_movement_of_how_many_neurons() -> None:
    message = "neurons must be given where switcher.reads is 'movement'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Switcher({"a": 5}, SwitcherConfig(reads="movement"))


def test_shuffled_it_reads_another_neurons_weights() -> None:
    config = SwitcherConfig(reads="shuffled")
    switcher, plain = awake({"a": 5}, config), awake({"a": 5})
    weights = neurons(40, 5)
    factors, others = switcher({"a": weights})["a"], plain({"a": weights})["a"]
    assert not torch.allclose(factors, others)
    # The same factors, each given to another neuron, and always to the same one.
    torch.testing.assert_close(factors.sort().values, others.sort().values, rtol=1e-3, atol=1e-4)
    assert torch.equal(factors, switcher({"a": weights})["a"])
    assert not torch.allclose(factors, awake({"a": 5}, config, seed=1)({"a": weights})["a"])


def test_random_it_reads_nothing_of_the_weights() -> None:
    switcher = awake({"a": 5}, SwitcherConfig(reads="random"))
    factors = switcher({"a": neurons(40, 5)})["a"]
    assert torch.equal(factors, switcher({"a": neurons(40, 5, seed=7)})["a"])
    assert len(factors.unique()) > 5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"reads": "minds"},
            "switcher.reads must be one of 'weights', 'movement', 'shuffled', 'random', "
            "'nothing', got 'minds'.",
        ),
        ({"outgoing": 1}, "switcher.outgoing must be True or False, got 1."),
        (
            {"attention": True, "reads": "nothing"},
            "switcher.attention must be False where switcher.reads is 'nothing'.",
        ),
    ],
)
def test_what_cannot_be_read(config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SwitcherConfig(**config)


# --- wide layers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fan_in", [1025, 2048, 3136, 4608])
def test_hashing_sums_weights_under_signs(fan_in: int) -> None:
    generator = torch.Generator().manual_seed(0)
    incoming = torch.randn(3, fan_in, generator=generator, dtype=torch.float64, requires_grad=True)
    signs = module.random_signs(fan_in).double()
    slots = torch.arange(fan_in) % 1024
    wanted = torch.zeros(3, 1024, dtype=torch.float64)
    wanted.index_add_(1, slots, incoming.detach() * signs.flatten()[:fan_in])
    hashed = module.hashed(incoming, signs)
    torch.testing.assert_close(hashed, wanted, rtol=0, atol=1e-12)
    upstream = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(hashed, incoming, upstream)
    torch.testing.assert_close(gradient, upstream[:, slots] * signs.flatten()[:fan_in])


def test_hashing_keeps_inner_products_on_average() -> None:
    """Of neurons that are alike: weights with a cosine of 0.8."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 200, 4608, generator=generator)
    other = 0.8 * one + 0.6 * other
    signs = module.random_signs(4608)
    before = torch.cosine_similarity(one, other)
    after = torch.cosine_similarity(module.hashed(one, signs), module.hashed(other, signs))
    assert (after - before).abs().mean() < 0.03
    assert (after - before).mean().abs() < 0.005
    assert Switcher({"it": 4608}).readers[0].in_features == signs.shape[1] == 1024


def test_hashes_lie_in_memory_that_is_used_again() -> None:
    switcher = Switcher({"wide": 3000, "slim": 5})
    generator = torch.Generator().manual_seed(0)
    places = []
    for n in (4, 4, 6):
        weights = {
            name: NeuronWeights(torch.randn(n, fan_in, generator=generator), *torch.ones(2, n))
            for name, fan_in in (("wide", 3000), ("slim", 5))
        }
        with torch.no_grad():
            kept = switcher.read(weights)
        for ours, other in zip(kept.rows, switcher.read(weights).rows, strict=True):
            assert torch.equal(ours, other)
        places.append(kept.rows[0].data_ptr())
        assert kept.rows[0].data_ptr() != switcher.read(weights).rows[0].data_ptr()
    assert places[0] == places[1] != places[2]
