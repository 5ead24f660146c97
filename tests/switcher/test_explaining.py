"""From what is read to the factor: every number of the chain, for every kind of switcher."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnviz.structure import NeuronWeights
from snnviz.switcher import (
    ACTIVATIONS,
    FreeFactors,
    Switcher,
    SwitcherConfig,
    explain,
    partial_dependence,
)
from tests import reference
from tests.helpers import message_of
from tests.switcher.weights import ODD, some_weights

GROUPS = {"a": some_weights(40, 5), "b.c": some_weights(6, 3, 1)}


def made(reads: str = "descriptors", weights: Mapping[str, NeuronWeights] = GROUPS, **given: Any):
    """A switcher of a kind, as after some training."""
    spread = 1.0 if reads == "nothing" else 0.3
    config = SwitcherConfig(reads=reads, **{"gain": 0.3} | given)
    free = FreeFactors({g: len(w.scale) for g, w in weights.items()}, config)
    switcher: nn.Module = free if reads == "nothing" else Switcher(config)
    for parameter in switcher.parameters():
        parameter.requires_grad_(False)
        parameter += spread * torch.randn_like(parameter)
    return switcher


READS = ["descriptors", "shuffled", "random", "nothing"]


@pytest.mark.parametrize("reads", READS)
def test_the_score_above_the_waterline_is_the_factor(reads: str) -> None:
    switcher = made(reads)
    for group, told in explain(switcher, GROUPS).items():
        wanted = switcher.factors(switcher.read(GROUPS))[group]
        assert torch.equal(told.factors, wanted)
        if group == "a":
            assert 0 < (told.factors == 0).sum() < len(told.factors)  # some are off
        above = torch.relu(told.scores - told.waterline)
        torch.testing.assert_close(above, told.factors, rtol=1e-4, atol=1e-4)
        # The waterline by bisection.
        np.testing.assert_allclose(
            above, reference.unit_mean(told.scores.numpy()), rtol=1e-3, atol=1e-3
        )
        torch.testing.assert_close(told.factors_from(told.scores), above)
        assert (told.group, told.reads) == (group, reads)


@pytest.mark.parametrize("reads", READS)
def test_its_own_descriptors_and_what_is_read_in_their_place(reads: str) -> None:
    switcher = made(reads)
    for group, told in explain(switcher, GROUPS).items():
        own = GROUPS[group]
        assert told.descriptors == ("length", "scale", "shift", "outgoing")
        columns = own.length.log(), own.scale, own.shift / own.length, own.outgoing.log()
        values = torch.stack(columns, 1)
        torch.testing.assert_close(told.values, values)
        relative = (values - values.mean(0)) / values.std(0, unbiased=False)
        torch.testing.assert_close(told.standardised, relative, rtol=1e-3, atol=1e-3)
        if reads == "nothing":
            assert told.inputs is None
            continue
        assert told.inputs is not None
        scores = switcher.layers(told.inputs).squeeze(1) * switcher.config.gain_of(len(values))
        torch.testing.assert_close(told.scores, scores)
        assert torch.equal(told.inputs, told.standardised) == (reads == "descriptors")
        if reads == "shuffled":  # those of another neuron
            torch.testing.assert_close(
                told.inputs.sort(0).values, told.standardised.sort(0).values, rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize("activation", ["hard_sigmoid", "relu"])
def test_other_activations_have_no_waterline(activation: str) -> None:
    for told in explain(made(activation=activation), GROUPS).values():
        assert told.waterline is None
        assert torch.equal(ACTIVATIONS[activation](told.scores), told.factors)
        assert torch.equal(told.factors_from(told.scores), told.factors)


@pytest.mark.parametrize("weights", ODD.values(), ids=ODD)
def test_odd_weights_are_explained(weights: NeuronWeights) -> None:
    (told,) = explain(made(weights={"a": weights}), {"a": weights}).values()
    for values in (told.values, told.standardised, told.scores, told.factors):
        assert values.isfinite().all()
    assert told.waterline is not None
    above = torch.relu(told.scores - told.waterline)
    torch.testing.assert_close(above, told.factors, rtol=1e-3, atol=1e-3)


def test_a_new_switcher_gives_every_neuron_the_same() -> None:
    for told in explain(Switcher(), GROUPS).values():
        assert set(told.scores.tolist()) == {0}
        assert told.waterline == -1
        assert set(told.factors.tolist()) == {1}


def test_gates_have_no_scores() -> None:
    assert message_of(lambda: explain(nn.Linear(2, 2), GROUPS), TypeError) == (
        "switcher must be a switcher that gives scores, got Linear. Give the switcher of a trainer "
        "made by snnviz.Trainer."
    )


# --- partial dependence ---------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["unit_mean", "relu"])
@pytest.mark.parametrize("reads", ["descriptors", "random"])
def test_partial_dependence_neuron_by_neuron(reads: str, activation: str) -> None:
    switcher = made(reads, activation=activation)
    told = explain(switcher, GROUPS)["b.c"]
    at = torch.tensor([-2.0, 0.0, 1.5])
    scores, factors = partial_dependence(switcher, told, "outgoing", at)
    for i, value in enumerate(at.tolist()):
        found: list[tuple[float, float]] = []
        for neuron in range(6):
            changed = told.inputs.clone()[neuron]
            changed[3] = value
            score = float(switcher.layers(changed)) * switcher.config.gain_of(6)
            level = -1 if activation == "relu" else told.waterline
            found.append((score, max(score - level, 0)))
        wanted = np.mean(found, axis=0)
        np.testing.assert_allclose([scores[i], factors[i]], wanted, rtol=1e-4, atol=1e-5)


def test_what_is_not_looked_at_makes_no_difference() -> None:
    switcher = made()
    switcher.layers[0].weight[:, 2] = 0  # blind to shifts
    told = explain(switcher, GROUPS)["a"]
    at = torch.linspace(-2, 2, 5)
    (flat, factors), (steep, _) = (
        partial_dependence(switcher, told, name, at) for name in ("shift", "length")
    )
    assert torch.allclose(flat, told.scores.mean(), atol=1e-5)
    assert torch.allclose(factors, told.factors.mean(), atol=1e-4)
    assert steep.std() > 0.01


def test_a_switcher_that_reads_no_descriptors_depends_on_none() -> None:
    switcher = made("nothing")
    told = explain(switcher, GROUPS)["a"]
    assert (
        message_of(lambda: partial_dependence(switcher, told, "length", Tensor([0.0])))
        == "explained must be of a switcher that reads descriptors, got one that reads 'nothing'."
    )
