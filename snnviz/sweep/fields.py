"""Fields of a study's file: which ones may be there, and how errors name them."""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

Table = dict[str, Any]


def fill(where: str, path: str, start: Any, table: Table) -> Any:
    """A dataclass with some fields changed; its errors name them as they are in the file."""
    check_known(f"{where}: {path}", table, [field.name for field in dataclasses.fields(start)])
    # A file has lists where the class has tuples.
    several = {name for name in table if isinstance(getattr(start, name), tuple)}
    table = {k: tuple(v) if k in several and isinstance(v, list) else v for k, v in table.items()}
    for name, value in table.items():
        several = isinstance(getattr(start, name), tuple) and isinstance(value, list)
        if isinstance(value, list | dict) and not several:
            raise ValueError(f"{where}: {path}.{name} must be a single value, got {value!r}.")
    # The class names its fields "schedule.epochs"; most tables have that name too.
    own = path in ("schedule", "switcher")
    try:
        return dataclasses.replace(start, **table)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {'' if own else f'{path}: '}{error}") from error


def name_place(start: str, check: Callable[[], Any]) -> None:
    """Makes a check, whose error then begins with where in the file the value is."""
    try:
        check()
    except ValueError as error:
        raise ValueError(f"{start}{error}") from error


def check_known(where: str, table: Table, known: Collection[str]) -> None:
    """ValueError if the table has a field that is not one of the known ones."""
    for name in table:
        if name not in known:
            raise ValueError(f"{where} has no field {name!r}; there are {', '.join(known)}.")


def check_table(where: str, value: Any) -> Table:
    """The value, if it is a table."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table, got {value!r}.")
    return value


def check_text(where: str, value: Any) -> str:
    """The value, if it is text and not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where} must be text, got {'none' if value is None else repr(value)}.")
    return value
