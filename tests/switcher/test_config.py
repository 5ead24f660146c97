"""What a switcher's configuration allows, and what it says of the rest."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from snnviz.switcher import ACTIVATIONS, SwitcherConfig
from snnviz.switcher import switcher as module
from tests.switcher.test_switcher import awake, neurons


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
