"""The switcher: its laws, and what it reads."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from snnviz.networks import vgg_small
from snnviz.structure import NeuronWeights, find_switches, neuron_weights
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.switcher import switcher as module
from tests import reference

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
