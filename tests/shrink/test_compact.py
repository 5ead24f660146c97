"""`compact`: special factors, a source that stays as it was, and bad arguments."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz import compact as public_compact
from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import find_switches
from snnviz.training import Schedule
from tests import reference
from tests.helpers import message_of
from tests.networks_at_random import drawn
from tests.shrink.nets import (
    OWN_IMAGES,
    assert_ordinary,
    own_factors,
    scores_of,
    state_of,
)

# --- special factors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "widths", "kept"),
    [
        pytest.param({}, {}, (), id="nothing off"),
        pytest.param({k: 3 * s for k, s in own_factors().items()}, {}, (), id="of other scale"),
        pytest.param({"4": torch.tensor([0.0, 1e-30, 1.0, 0.0])}, {"4": (4, 2)}, (), id="two off"),
        pytest.param(
            {"0": torch.zeros(6)}, {"0": (6, 1), "1": (6, 1)}, ("0",), id="a whole group off"
        ),
        pytest.param(
            {"0": torch.zeros(6), "4": torch.zeros(4), "7": torch.zeros(7)},
            {"0": (6, 1), "1": (6, 1), "4": (4, 1), "7": (7, 1), "8": (7, 1)},
            ("0", "4", "7"),
            id="all off",
        ),
    ],
)
def test_widths(
    own: nn.Module, factors: dict[str, Tensor], widths: dict[str, Any], kept: tuple[str, ...]
) -> None:
    factors = own_factors(**factors)
    small, report = compact(own, factors, OWN_IMAGES, latency=False)
    assert report.widths == widths
    assert report.kept == dict.fromkeys(
        kept, "the class scores depend on the images only through it"
    )
    assert not report.removed
    switches = find_switches(own, OWN_IMAGES)
    expected = scores_of(own, OWN_IMAGES, switches, factors)
    torch.testing.assert_close(small(OWN_IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert report.images == 5
    frame = report.frame()
    assert list(frame.columns) == ["layer", "before", "after"]
    assert list(frame.itertuples(index=False, name=None)) == [(k, *v) for k, v in widths.items()]


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 3, 1), nn.Conv2d(1, 2, 1)
        self.both, self.head = nn.Conv2d(5, 5, 3, groups=5), nn.Linear(5 * 36, 4)

    def forward(self, images: Tensor) -> Tensor:
        joined = torch.cat([self.a(images), self.b(images)], 1).relu()
        return self.head(self.both(joined).relu().flatten(1))


def test_a_layer_that_writes_a_part_of_a_group_and_is_entirely_off() -> None:
    net = drawn(Joined()).eval()
    factors = {"a": torch.tensor([1.0, 0.0, 2.0, 0.0, 0.0])}
    small, report = compact(net, factors, OWN_IMAGES, latency=False)
    assert report.widths == {"a": (3, 2), "b": (2, 1), "both": (5, 3)}
    assert report.kept == {"b": "its outputs are concatenated with those of other layers"}
    assert (small.get_submodule("both").groups, small.get_submodule("both").in_channels) == (3, 3)


# --- the source stays as it was ------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_the_source_is_left_as_it_was(training: bool) -> None:
    net = drawn(reference.own()).train(training)
    frozen = net.get_submodule("4")
    frozen.requires_grad_(False)
    before, values = state_of(net), copy.deepcopy(net.state_dict())
    factors = own_factors(**{"0": torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 1.0])})
    given = {name: s.clone() for name, s in factors.items()}
    random = torch.random.get_rng_state()
    small, _ = compact(net, factors, OWN_IMAGES, latency=True)
    assert torch.equal(random, torch.random.get_rng_state())
    assert state_of(net) == before
    assert all(torch.equal(value, values[key]) for key, value in net.state_dict().items())
    assert all(torch.equal(s, given[name]) for name, s in factors.items())
    assert_ordinary(small, net)
    shared = {p.data_ptr() for p in net.parameters()} & {p.data_ptr() for p in small.parameters()}
    assert not shared


def test_training_goes_on_from_a_compacted_network() -> None:
    data = reference.tiny_data()
    net = drawn(reference.own(), 3)
    factors = own_factors(**{"7": torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 0.0])})
    small, report = compact(net.train(), factors, OWN_IMAGES, latency=False)
    trainer = Trainer(
        small, data, Schedule(epochs=6, batch_size=20), device="cpu", precision="float32"
    )
    assert {name: len(s) for name, s in trainer.factors.items()} == {"0": 6, "4": 4, "7": 4}
    trainer.run(progress=False)
    losses = trainer.history.epochs.train_loss
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]
    again, second = compact(trainer, latency=False)
    assert second.before == report.after
    images = data.batch("test", torch.arange(8))[0]
    torch.testing.assert_close(again.eval()(images), trainer.logits(images), rtol=1e-4, atol=1e-5)


def test_compacting_a_trainer_between_steps_changes_none_of_them() -> None:
    plan = Schedule(epochs=3, batch_size=20, task_steps=2, warmup_epochs=0)
    runs = []
    for compacted in (False, True):
        torch.manual_seed(0)
        trainer = Trainer(
            reference.own(), reference.tiny_data(), plan, device="cpu", precision="float32", seed=4
        )
        losses = []
        for record in trainer:
            losses.append((record.phase, record.loss))
            if compacted:
                _, report = compact(trainer, latency=False)
                assert report.images == len(trainer.data.test)
        runs.append((losses, trainer.network.state_dict(), trainer.history.epochs))
    (losses, state, epochs), (other_losses, other_state, other_epochs) = runs
    assert losses == other_losses
    assert all(torch.equal(value, other_state[name]) for name, value in state.items())
    assert epochs.drop(columns="seconds").equals(other_epochs.drop(columns="seconds"))


def test_compact_is_a_public_name() -> None:
    assert public_compact is compact


# --- bad arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            {"factors": None},
            "factors must be given with a network: compact(network, factors, example). "
            "With a trainer, compact(trainer) is enough.",
            id="no factors",
        ),
        pytest.param(
            {"example": None},
            "example must be given with a network: compact(network, factors, example). "
            "With a trainer, compact(trainer) is enough.",
            id="no example",
        ),
        pytest.param(
            {"factors": {}},
            "factors must be given for the groups 0, 4, 7, got none.",
            id="none",
        ),
        pytest.param(
            {"factors": {"0": torch.ones(6), "fc": torch.ones(4)}},
            "factors must be given for the groups 0, 4, 7, got 0, fc.",
            id="other groups",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.ones(5)})},
            "factors['4'] must have the shape (4,), got (5,).",
            id="too many",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.ones(4, 1)})},
            "factors['4'] must have the shape (4,), got (4, 1).",
            id="two dimensions",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.tensor([1.0, float("nan"), 1.0, 1.0])})},
            "factors['4'] must be finite and at least 0, got values from nan to nan.",
            id="not a number",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.tensor([1.0, -0.5, 1.0, 2.0])})},
            "factors['4'] must be finite and at least 0, got values from -0.5 to 2.",
            id="negative",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.tensor([1.0, 0.0, float("inf"), 2.0])})},
            "factors['4'] must be finite and at least 0, got values from 0 to inf.",
            id="infinite",
        ),
        pytest.param(
            {"example": torch.ones(2, 3, 8, 8)},
            "network does not run on images of shape (2, 3, 8, 8): Given groups=1, weight of size "
            "[6, 1, 3, 3], expected input[2, 3, 8, 8] to have 1 channels, but got 3 channels "
            "instead. Check that its first layer takes images of this shape.",
            id="other images",
        ),
        pytest.param(
            {"example": torch.ones(2, 1, 8, 8, dtype=torch.uint8)},
            "example must be a tensor of normalised images (n, channels, height, width), as "
            "floats, got values of torch.uint8. Some test images will do: data.batch('test', "
            "torch.arange(8))[0].",
            id="not normalised",
        ),
        pytest.param(
            {"factors": [torch.ones(6)]},
            "factors must be given for the groups 0, 4, 7, got list.",
            id="no mapping",
        ),
    ],
)
def test_bad_arguments(own: nn.Module, arguments: dict[str, Any], message: str) -> None:
    before = state_of(own)
    arguments = {"factors": own_factors(), "example": OWN_IMAGES} | arguments
    switches = find_switches(own, OWN_IMAGES)
    assert message_of(lambda: compact(own, **arguments)) == message
    assert message_of(lambda: compact(own, **arguments, switches=switches)) == message
    assert state_of(own) == before


@pytest.mark.parametrize("training", [True, False])
def test_a_wrong_example_beside_a_trainer(training: bool) -> None:
    data = reference.tiny_data()
    trainer = Trainer(reference.own(), data, device="cpu", precision="float32")
    trainer.network.train(training)
    before = state_of(trainer.network)
    said = message_of(lambda: compact(trainer, example=torch.ones(2, 1, 3, 3)))
    start = "network does not run on images of shape (2, 1, 3, 3): "
    assert said.startswith(start)
    assert said.endswith(". Check that its first layer takes images of this shape.")
    assert state_of(trainer.network) == before


def test_neither_a_trainer_nor_a_network() -> None:
    source: Any = "lenet5"
    assert message_of(lambda: compact(source)) == (
        "source must be a Trainer or a torch.nn.Module, got str. Use compact(trainer), or "
        "compact(network, factors, example)."
    )


def test_the_switches_of_another_network(own: nn.Module) -> None:
    for other, layer in ((lambda: reference.Residual(), "first"), (wider, "4")):
        switches = find_switches(other(), OWN_IMAGES)
        said = message_of(lambda s=switches: compact(own, own_factors(), OWN_IMAGES, switches=s))
        units = {a.name: a.units for a in switches.layers}[layer]
        assert said == (
            "switches must be those of this network, got those of a network with a layer "
            f"{layer!r} of {units} neurons. Leave out switches, or find them again with "
            "find_switches(network, example)."
        )


def wider() -> nn.Module:
    net: Any = reference.own()
    net[4], net[7] = nn.Conv2d(6, 9, 2, stride=2), nn.Linear(9, 7)
    return net


def test_a_network_in_bfloat16(own: nn.Module) -> None:
    net, images = own.bfloat16(), torch.randn(2, 1, 8, 8).bfloat16()
    switches = find_switches(net, images)
    factors = {name: torch.arange(g.neurons) % 2 for name, g in switches.groups.items()}
    small, report = compact(net, factors, images, switches=switches, tolerance=0.1, latency=False)
    assert {p.dtype for p in small.parameters()} == {torch.bfloat16}
    assert report.after.parameters < report.before.parameters


@pytest.mark.parametrize(
    "kept", [lambda x: x, lambda x: [x], lambda x: {0: x}], ids=["tensor", "list", "dict"]
)
def test_a_network_that_stores_what_it_computed_in_training(kept: Callable[[Tensor], Any]) -> None:
    """With its gradients, which `copy.deepcopy` refuses."""

    class Stores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.last = reference.own(), None

        def forward(self, x: Tensor) -> Tensor:
            scores = self.layers(x)
            if self.training:
                self.last = kept(scores)
            return scores

    trainer = Trainer(Stores(), reference.tiny_data((1, 8, 8)), Schedule(epochs=1, warmup_epochs=0))
    trainer.run(progress=False)
    small, report = compact(trainer, latency=False)
    assert report.difference <= 1e-5
    for network, learns in ((trainer.network, True), (small, False)):
        last = network.last if isinstance(network.last, Tensor) else network.last[0]
        assert last.requires_grad == learns
