"""Checks single fields of a file's content."""

import re
from typing import Any


def plain_name(argument: str, value: Any) -> str:
    """Checks that a value is the name of a single folder, not a path.

    Raises:
        ValueError: the value is not such a name.
    """
    plain = isinstance(value, str) and re.fullmatch(r"[^/\\:\x00-\x1f]{1,200}", value)
    if not plain or value != value.strip() or value.startswith(".") or value.endswith("."):
        raise ValueError(
            f"{argument} must be the plain name of a folder, without / and not beginning or "
            f"ending with a dot, got {value!r}."
        )
    return value


def table(content: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(content[name], dict):
        raise ValueError(f"{name} must be an object, got {str(content[name])[:40]!r}")
    return content[name]


def _list(content: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(content[name], list):
        raise ValueError(f"{name} must be a list, got {str(content[name])[:40]!r}")
    return content[name]


def patterns(content: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple(text(name, pattern) for pattern in _list(content, name))


def texts(content: dict[str, Any], name: str) -> dict[str, str]:
    found = table(content, name)
    return {key: text(f"{name}.{key}", value) for key, value in found.items()}


def text(argument: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{argument} must be text, got {str(value)[:40]!r}")
    return value


def one_of(argument: str, value: Any, allowed: Any) -> str:
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ValueError(f"{argument} must be one of {names}, got {str(value)[:40]!r}")
    return value


def whole(value: Any, least: int) -> int:
    if type(value) is not int or not least <= value < 2**63:
        raise ValueError(f"a whole number of at least {least} is expected, got {str(value)[:40]!r}")
    return value
