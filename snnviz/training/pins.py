"""Pins: neurons that the user holds on or off, whatever the switcher says."""

from collections.abc import Mapping, Sequence

from torch import Tensor


def chosen(groups: Mapping[str, int], group: str, neurons: int | Sequence[int] | None) -> list[int]:
    """The numbers of neurons of a group, checked and in order; None is all of them.

    Raises:
        ValueError: there is no such group or neuron.
    """
    if group not in groups:
        raise ValueError(f"group must be one of {', '.join(map(repr, groups))}, got {group!r}.")
    if neurons is None:
        return list(range(groups[group]))
    numbers = [neurons] if isinstance(neurons, int) else list(neurons)
    for i in numbers:
        if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < groups[group]:
            raise ValueError(
                f"neurons of {group!r} must be whole numbers from 0 to {groups[group] - 1}, "
                f"got {i!r}."
            )
    return sorted(set(numbers))


def held(pins: Mapping[str, Tensor]) -> dict[str, dict[int, float]]:
    """{group: (neurons,) below 0 where free} -> {group: {neuron: factor}}."""
    values = {name: pin.tolist() for name, pin in pins.items()}
    found = {name: {i: x for i, x in enumerate(v) if x >= 0} for name, v in values.items()}
    return {name: some for name, some in found.items() if some}


def ranges(numbers: Sequence[int]) -> str:
    """[3, 4, 5, 9] -> "3-5, 9"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
