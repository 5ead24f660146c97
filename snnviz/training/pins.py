"""Pins: neurons that the user holds on or off, regardless of the switcher's factor."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnviz import checks


class PinChange(NamedTuple):
    """A change of a group's pins, and its description in the history.

    Attributes:
        pins: (neurons,) of the group after the change, below 0 where free.
        neuron: the neuron's number if there is only one, else -1.
    """

    event: str
    group: str
    pins: Tensor
    detail: str
    neuron: int


def hold_neurons(
    pins: Mapping[str, Tensor],
    factors: Mapping[str, Tensor],
    group: str,
    neurons: int | Sequence[int],
    on: bool,
) -> PinChange:
    """Holds neurons on (a factor of 1) or off (0).

    Args:
        pins: {group: (neurons,) below 0 where free}.
        factors: {group: (neurons,)}, the current ones.

    Raises:
        ValueError: there is no such group or neuron, or the group would be entirely off.
    """
    checks.flag("on", on)
    chosen = choose_neurons(_count_neurons(pins), group, neurons)
    held = pins[group].clone()
    held[chosen] = float(on)
    if not (torch.where(held < 0, factors[group].cpu(), held) > 0).any():
        raise ValueError(
            f"neurons of {group!r} would all be off with these, and training would stop. "
            "Leave at least one on."
        )
    detail = f"{describe_numbers(chosen)} {'on' if on else 'off'}"
    return PinChange("pin", group, held, detail, _number_of_one(chosen))


def release_neurons(
    pins: Mapping[str, Tensor], group: str, neurons: int | Sequence[int] | None
) -> PinChange | None:
    """Releases neurons (None: all of the group); returns None if none of them is pinned.

    Raises:
        ValueError: there is no such group or neuron.
    """
    chosen = choose_neurons(_count_neurons(pins), group, neurons)
    pinned = list_pins(pins).get(group, {})
    let_go = [i for i in chosen if i in pinned]
    if not let_go:
        return None
    held = pins[group].clone()
    held[let_go] = -1.0
    return PinChange("unpin", group, held, describe_numbers(let_go), _number_of_one(let_go))


def choose_neurons(
    groups: Mapping[str, int], group: str, neurons: int | Sequence[int] | None
) -> list[int]:
    """Checks and sorts the numbers of neurons of a group; None means all of them.

    Raises:
        ValueError: there is no such group or neuron.
    """
    checks.one_of("group", group, groups)
    if neurons is None:
        return list(range(groups[group]))
    many: Any = neurons
    if isinstance(many, str) or not isinstance(many, Iterable) or getattr(many, "ndim", 1) == 0:
        many = [many]
    return sorted({_check_neuron(group, i, groups[group]) for i in many})


def _check_neuron(group: str, value: Any, count: int) -> int:
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < count:
        raise ValueError(
            f"neurons of {group!r} must be whole numbers from 0 to {count - 1}, got {value!r}."
        )
    return number


def list_pins(pins: Mapping[str, Tensor]) -> dict[str, dict[int, float]]:
    """{group: (neurons,) below 0 where free} -> {group: {neuron: factor}}."""
    values = {name: pin.tolist() for name, pin in pins.items()}
    found = {name: {i: x for i, x in enumerate(v) if x >= 0} for name, v in values.items()}
    return {name: some for name, some in found.items() if some}


def describe_numbers(numbers: Sequence[int]) -> str:
    """[3, 4, 5, 9] -> "3-5, 9"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _count_neurons(pins: Mapping[str, Tensor]) -> dict[str, int]:
    return {name: len(pin) for name, pin in pins.items()}


def _number_of_one(chosen: Sequence[int]) -> int:
    return chosen[0] if len(chosen) == 1 else -1
