"""Fields of a study's file: what may stand in them, and what an error says of one that is wrong."""

import dataclasses
import math
from collections.abc import Callable, Collection
from typing import Any

Table = dict[str, Any]


def filled(where: str, path: str, start: Any, table: Table) -> Any:
    """A dataclass with some fields changed; its errors name them as they stand in the file."""
    only(f"{where}: {path}", table, [field.name for field in dataclasses.fields(start)])
    try:
        return dataclasses.replace(start, **table)
    except (TypeError, ValueError) as error:
        text = str(error).removeprefix("schedule.").removeprefix("switcher.")
        raise ValueError(f"{where}: {path}.{text}") from error


def worded(start: str, check: Callable[[], Any]) -> None:
    try:
        check()
    except ValueError as error:
        raise ValueError(f"{start}{error}") from error


def only(where: str, table: Table, known: Collection[str]) -> None:
    for name in table:
        if name not in known:
            raise ValueError(f"{where} has no field {name!r}; there are {', '.join(known)}.")


def table(where: str, value: Any) -> Table:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table, got {value!r}.")
    return value


def text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where} must be text, got {'none' if value is None else repr(value)}.")
    return value


def one_of(where: str, value: Any, allowed: Collection[str], advice: str = "") -> None:
    if not isinstance(value, str) or value not in allowed:
        words = f"{where} must be one of {names(allowed)}, got {value!r}."
        raise ValueError(f"{words} {advice}".rstrip())


def names(allowed: Collection[str]) -> str:
    return ", ".join(map(repr, allowed))


def number(where: str, value: Any, least: float, most: float, least_allowed: bool = True) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = number and least <= value <= most and (least_allowed or value > least)
    if not fits or not math.isfinite(value):
        low = f"of at least {least:g}" if least_allowed else f"above {least:g}"
        high = f" and at most {most:g}" if most < math.inf else ""
        raise ValueError(f"{where} must be a number {low}{high}, got {value!r}.")
