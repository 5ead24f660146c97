"""Checks of arguments that any module may ask for."""

from typing import Any


def kind_of(
    argument: str, value: Any, kind: type | tuple[type, ...], name: str, advice: str
) -> None:
    """TypeError unless it is of this kind, or one of these, which the user knows by this name."""
    if not isinstance(value, kind):
        raise TypeError(f"{argument} must be {name}, got {type(value).__name__}. {advice}")


def whole(argument: str, value: Any, least: int) -> None:
    if type(value) is not int or value < least:
        raise ValueError(
            f"{argument} must be a whole number of at least {least}, got {value!r}. "
            f"Use for example {argument}={max(least, 1)}."
        )
