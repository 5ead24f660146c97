"""Free factors: a score for each neuron, and no network that reads."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from snnviz.networks.small import mlp
from snnviz.structure import find_switches
from snnviz.switcher import FreeFactors, SwitcherConfig
from snnviz.training import Learners, Schedule
from snnviz.training.trainer import switcher_step
from tests import reference
from tests.helpers import message_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("activation", ["unit_mean", "hard_sigmoid", "relu"])
def test_all_factors_are_1_at_the_start(activation: str) -> None:
    config = SwitcherConfig(activation=activation, reads="nothing")
    factors = FreeFactors({"a": 3, "b.c": 2}, config).factors()
    assert {name: s.tolist() for name, s in factors.items()} == {"a": [1.0] * 3, "b.c": [1.0] * 2}


def test_they_cannot_be_taken_to_another_network(tmp_path: Path) -> None:
    free = FreeFactors({"a": 3}, SwitcherConfig(reads="nothing"))
    assert message_of(lambda: free.save(tmp_path / "free.safetensors")) == (
        'switcher must be one that reads weights to be saved, got reads="nothing": its factors '
        "belong to the neurons of this network alone. Save the run instead: "
        "trainer.save_to(folder)."
    )


def test_factors_against_the_reference() -> None:
    config = SwitcherConfig(reads="nothing", gain=0.5)
    free = FreeFactors({"a": 6}, config)
    scores = torch.randn(6, generator=torch.Generator().manual_seed(0))
    free.scores[0].data = scores
    wanted = reference.unit_mean(scores.double().numpy() * 0.5 * 6)
    np.testing.assert_allclose(free.factors()["a"].detach(), wanted, rtol=1e-5, atol=1e-6)


def test_a_step_against_hand_written_gradients() -> None:
    """A switcher step of SGD moves each score by its own gradient, and nothing else."""
    torch.manual_seed(0)
    network = mlp((1, 4, 4), 3, 0.05)
    config = SwitcherConfig(activation="relu", gain=2.0, gain_rule="fixed", reads="nothing")
    plan = Schedule(switcher_optimizer="sgd", switcher_momentum=0.0)
    switches = find_switches(network, torch.randn(2, 1, 4, 4))
    ours = Learners(network, switches, config, plan, 0, CPU, "float32")
    images, labels = torch.randn(8, 1, 4, 4), torch.arange(8) % 3
    before = {name: p.clone() for name, p in network.named_parameters()}
    switcher_step(ours, images, labels, lr=0.5, clip=1e9)

    scores = {
        name: torch.zeros(g.neurons, requires_grad=True) for name, g in switches.groups.items()
    }
    h = images.flatten(1)
    for name in ("fc1", "fc2"):
        layer = network.get_submodule(name)
        h = F.relu((1 + 2 * scores[name]) * layer(h))
    F.cross_entropy(network.get_submodule("scores")(h), labels).backward()
    for name, moved in zip(ours.switcher.groups, ours.switcher.scores, strict=True):
        grad = scores[name].grad
        assert grad is not None
        assert grad.abs().max() > 0
        torch.testing.assert_close(moved.detach(), -0.5 * grad)
    assert all(torch.equal(before[name], p) for name, p in network.named_parameters())
