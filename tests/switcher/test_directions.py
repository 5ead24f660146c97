"""The reader of directions: its symmetry, and against the reference."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from snnviz.networks import vgg_small
from snnviz.structure import NeuronWeights, find_switches, neuron_weights
from snnviz.switcher import DirectionReader, SwitcherConfig
from tests import reference
from tests.switcher.weights import ODD, in_order, made_of, parts_of, some_weights


def awake(fan_in: dict[str, int], seed: int = 0, **config: Any) -> DirectionReader:
    """A reader as after some training: its last layer is not 0 any more."""
    switcher = DirectionReader(fan_in, SwitcherConfig(reads="weights", **config), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 100)
        for parameter in switcher.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return switcher


@pytest.mark.slow
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
        seed,
        activation=activation,
    )
    weights = {f"g{i}": some_weights(n, fan_in, seed + i) for i, (n, fan_in) in enumerate(sizes)}
    order = {k: torch.randperm(len(w.scale)) for k, w in weights.items()}
    permuted = {k: in_order(w, order[k]) for k, w in weights.items()}
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


@pytest.mark.parametrize("rule", ["per_neuron", "fixed"])
@pytest.mark.parametrize("n", [1, 2, 15])
def test_factors_against_the_reference(n: int, rule: str) -> None:
    switcher = awake({"a": 5, "b.c": 3}, gain=0.3, gain_rule=rule)
    weights = {"a": some_weights(n, 5), "b.c": some_weights(4, 3, 1)}
    for group, factors in switcher(weights).items():
        count = len(weights[group].scale)
        gain = 0.3 * count if rule == "per_neuron" else 0.3
        z = reference.direction_scores(switcher, group, weights[group]) * gain
        np.testing.assert_allclose(
            factors.detach(), reference.unit_mean(z), rtol=1e-3, atol=1e-4 * gain + 1e-5
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_precisions_are_read(dtype: torch.dtype) -> None:
    switcher = awake({"a": 5})
    weights = some_weights(8, 5).map(lambda part: part.to(dtype))
    rounded = weights.map(Tensor.float)
    factors = switcher({"a": weights})["a"]
    assert factors.dtype == torch.float32
    assert torch.equal(factors, switcher({"a": rounded})["a"])


@pytest.mark.parametrize("activation", ["unit_mean", "hard_sigmoid", "relu"])
@pytest.mark.parametrize("rule", ["per_neuron", "fixed"])
def test_every_factor_is_1_at_the_start_and_can_move(activation: str, rule: str) -> None:
    config = SwitcherConfig(reads="weights", activation=activation, gain_rule=rule)
    switcher = DirectionReader({"a": 5, "b": 3}, config)
    weights = {"a": some_weights(9, 5), "b": some_weights(4, 3)}
    factors = switcher(weights)
    assert {k: v.tolist() for k, v in factors.items()} == {"a": [1.0] * 9, "b": [1.0] * 4}
    pull = {k: torch.linspace(-1, 1, len(v)) for k, v in factors.items()}
    sum((factors[k] * pull[k]).sum() for k in factors).backward()  # type: ignore[union-attr]
    assert switcher.score.weight.grad is not None
    assert switcher.score.weight.grad.norm() > 0


@pytest.mark.parametrize("weights", [w for k, w in ODD.items() if k != "one weight"])
def test_odd_weights_give_finite_factors_and_gradients(weights: NeuronWeights) -> None:
    switcher = awake({"a": 5})
    parts = [part.clone().requires_grad_(True) for part in parts_of(weights)]
    factors = switcher({"a": made_of(*parts)})["a"]
    (factors * torch.linspace(0, 1, len(factors))).sum().backward()
    assert factors.isfinite().all()
    for tensor in (*parts, *switcher.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all()


def test_the_seed_draws_the_weights_and_leaves_torch_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (DirectionReader({"a": 5}, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.middle.weight, same.middle.weight)
    assert not torch.equal(one.middle.weight, other.middle.weight)


def test_a_groups_name_may_hold_dots_and_odd_letters() -> None:
    switcher = awake({"features.0.conv": 5, "ß §": 2})
    factors = switcher({"features.0.conv": some_weights(3, 5), "ß §": some_weights(6, 2)})
    assert list(factors) == ["features.0.conv", "ß §"]


def test_hashes_are_in_memory_that_is_used_again() -> None:
    switcher = DirectionReader({"wide": 3000, "slim": 5})
    assert switcher.readers[0].in_features == 1024
    places = []
    for n in (4, 4, 6):
        weights = {"wide": some_weights(n, 3000), "slim": some_weights(n, 5)}
        with torch.no_grad():
            kept = switcher.read(weights)
        for ours, other in zip(kept.rows, switcher.read(weights).rows, strict=True):
            assert torch.equal(ours, other)
        places.append(kept.rows[0].data_ptr())
        assert kept.rows[0].data_ptr() != switcher.read(weights).rows[0].data_ptr()
    assert places[0] == places[1] != places[2]
