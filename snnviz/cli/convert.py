"""Converters for words of the command line: to whole numbers, numbers, and paths."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import Token


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """To an int, and refuses everything else: cyclopts would round 2.7 to a whole 3."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"it must be a whole number, got {tokens[0].value!r}.") from None


def number(kind: Any, tokens: Sequence[Token]) -> int | float:
    """To an int where it is one, and otherwise to a float."""
    for convert in (int, float):
        try:
            return convert(tokens[0].value)
        except ValueError:
            continue
    raise ValueError(f"it must be a number, got {tokens[0].value!r}.")


def real(kind: Any, tokens: Sequence[Token]) -> float:
    """To a float."""
    return float(number(kind, tokens))


def path(kind: Any, tokens: Sequence[Token]) -> Path:
    """To a path, in which ~ is the home folder."""
    return expand_home(tokens[0].value)


def expand_home(text: str) -> Path:
    """The path with ~ and ~user replaced by the home folder.

    A shell replaces only a ~ that begins a word: not the one of --out=~/small, nor one in a file.

    Raises:
        ValueError: the home folder is not known.
    """
    path = os.path.expanduser(text)  # not Path's, which takes ./~ for ~ as well
    if path.startswith("~"):
        raise ValueError(f"the home folder in {text!r} is not known. Write the whole path.")
    found = Path(path)
    # Of "./~/runs" a Path keeps "~/runs", which would be taken for the home folder later.
    return found.absolute() if str(found).startswith("~") else found
