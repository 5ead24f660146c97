"""How a switcher is built: what is allowed, and what an error says."""

import dataclasses
from typing import Any

import pytest

from snnviz.switcher import SwitcherConfig


@pytest.mark.parametrize(
    ("rule", "neurons", "gain"),
    [("per_neuron", 500, 25.0), ("per_neuron", 1, 0.05), ("fixed", 9, 0.05)],
)
def test_gain(rule: str, neurons: int, gain: float) -> None:
    assert SwitcherConfig(gain=0.05, gain_rule=rule).gain_of(neurons) == pytest.approx(gain)


KNOWN = "'length', 'scale', 'shift', 'outgoing', 'mean_cosine', 'greatest_cosine', 'density'"
GAIN = "switcher.gain must be a number above 0, got {}."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"activation": "softmax"},
            "switcher.activation must be one of 'unit_mean', 'hard_sigmoid', 'relu', "
            "got 'softmax'. Add your own to snnviz.switcher.ACTIVATIONS.",
        ),
        (
            {"activation": ["relu"]},
            "switcher.activation must be one of 'unit_mean', 'hard_sigmoid', 'relu', "
            "got ['relu']. Add your own to snnviz.switcher.ACTIVATIONS.",
        ),
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
        (
            {"reads": "minds"},
            "switcher.reads must be one of 'descriptors', 'shuffled', 'random', 'nothing', "
            "got 'minds'.",
        ),
        (
            {"descriptors": ("length", "size")},
            f"switcher.descriptors must be some of {KNOWN}, got 'size'. "
            "Add your own to snnviz.switcher.DESCRIPTORS.",
        ),
        (
            {"descriptors": (["length"],)},
            f"switcher.descriptors must be some of {KNOWN}, got ['length']. "
            "Add your own to snnviz.switcher.DESCRIPTORS.",
        ),
        (
            {"descriptors": "length"},
            "switcher.descriptors must be a tuple of at least one name, got 'length'. "
            "For example ('length', 'outgoing').",
        ),
        (
            {"descriptors": ()},
            "switcher.descriptors must be a tuple of at least one name, got (). "
            "For example ('length', 'outgoing').",
        ),
        (
            {"descriptors": ["length", "scale", "length"]},
            "switcher.descriptors must name each one once, got 'length' twice.",
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


def test_descriptors_in_a_list_are_the_same() -> None:
    listed = SwitcherConfig(descriptors=["length", "scale"])  # type: ignore[arg-type]
    assert listed == SwitcherConfig(descriptors=("length", "scale"))
