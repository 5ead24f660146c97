"""Checks of arguments that any module may ask for."""

import math
from collections.abc import Collection
from typing import Any


def kind_of(
    argument: str, value: Any, kind: type | tuple[type, ...], name: str, advice: str
) -> None:
    """TypeError unless it is of this kind, or one of these, which the user knows by this name."""
    if not isinstance(value, kind):
        raise TypeError(f"{argument} must be {name}, got {type(value).__name__}. {advice}")


def plain(value: Any) -> Any:
    """The number of Python for one of NumPy, or for a tensor of one number; else the value."""
    one = getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    return value.item() if one else value


def whole(argument: str, value: Any, least: int) -> int:
    """ValueError unless it is a whole number of at least `least`; returns it as an int."""
    found = plain(value)
    if type(found) is not int or found < least:
        raise ValueError(
            f"{argument} must be a whole number of at least {least}, got {value!r}. "
            f"Use for example {argument}={max(least, 1)}."
        )
    return found


def is_finite(value: Any) -> bool:
    """Whether it is a number that a float can hold, and no flag."""
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def number(argument: str, value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """ValueError unless it is a finite number from `least` to `most`; returns it as a float."""
    found = plain(value)
    if not isinstance(found, int | float) or not is_finite(found) or not least <= found <= most:
        if math.isfinite(least) and math.isfinite(most):
            what = f"a number from {least:g} to {most:g}"
        elif math.isfinite(least):
            what = f"a finite number of at least {least:g}"
        else:
            limit = f" of at most {most:g}" if math.isfinite(most) else ""
            what = f"a finite number{limit}"
        raise ValueError(f"{argument} must be {what}, got {value!r}.")
    return float(found)


def one_of(argument: str, value: Any, allowed: Collection[Any], advice: str = "") -> None:
    """ValueError unless it is one of the values that are allowed."""
    # Through a list, because a value of another kind may not be hashable.
    if value not in list(allowed):
        names = ", ".join(map(repr, allowed))
        message = f"{argument} must be one of {names}, got {value!r}. {advice}"
        raise ValueError(message.rstrip())


def text(argument: str, value: Any) -> None:
    """TypeError unless it is text, ValueError unless every program can write it down."""
    kind_of(argument, value, str, "text (str)", f'Use for example {argument}="mine".')
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{argument} must be text of whole characters, got {value!r}, whose character "
            f"{error.start + 1} is half of one or a byte of a file's name. Write it again."
        ) from error


def flag(argument: str, value: Any) -> None:
    """ValueError unless it is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{argument} must be True or False, got {value!r}.")
