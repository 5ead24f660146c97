"""Checks of arguments that belong to no one kind."""

import math

import numpy as np
import pytest
import torch

from snnviz import checks
from tests.training.test_trainer import message_of


@pytest.mark.parametrize(("value", "least", "most"), [(2, 0, 2), (0.5, 0, 1), (-3, -math.inf, 0)])
def test_numbers_in_range_come_back_as_floats(value: float, least: float, most: float) -> None:
    found = checks.number("x", value, least, most)
    assert found == value
    assert type(found) is float


@pytest.mark.parametrize(
    ("value", "limits", "message"),
    [
        ("1", (0,), "x must be a finite number of at least 0, got '1'."),
        (True, (), "x must be a finite number, got True."),
        (math.nan, (0, 1), "x must be a number from 0 to 1, got nan."),
        (math.inf, (0,), "x must be a finite number of at least 0, got inf."),
        (1.5, (0, 1), "x must be a number from 0 to 1, got 1.5."),
        (3, (-math.inf, 2), "x must be a finite number of at most 2, got 3."),
        (10**400, (0,), f"x must be a finite number of at least 0, got {10**400}."),
    ],
)
def test_other_numbers_are_errors(value: object, limits: tuple[float, ...], message: str) -> None:
    assert message_of(lambda: checks.number("x", value, *limits)) == message


@pytest.mark.parametrize("value", ["c", None, ["a"], 1])
def test_one_of(value: object) -> None:
    checks.one_of("x", "a", ("a", "b"))
    said = f"x must be one of 'a', 'b', got {value!r}. Choose one."
    assert message_of(lambda: checks.one_of("x", value, ("a", "b"), "Choose one.")) == said
    assert message_of(lambda: checks.one_of("x", value, {"a": 1}.keys())) == (
        f"x must be one of 'a', got {value!r}."
    )


@pytest.mark.parametrize("value", [0, 1, None, "True"])
def test_flags(value: object) -> None:
    checks.flag("x", False)
    assert message_of(lambda: checks.flag("x", value)) == (
        f"x must be True or False, got {value!r}."
    )


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "2", None])
def test_whole(value: object) -> None:
    checks.whole("x", 1, 1)
    assert message_of(lambda: checks.whole("x", value, 1)) == (
        f"x must be a whole number of at least 1, got {value!r}. Use for example x=1."
    )


@pytest.mark.parametrize("value", [np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_numbers_of_other_libraries_become_those_of_python(value: object) -> None:
    assert type(checks.whole("x", value, 1)) is int
    assert type(checks.number("x", value)) is float
    assert checks.plain(value) == 3
    assert checks.plain(many := np.array([3])) is many


@pytest.mark.parametrize("value", [True, "3", None, math.nan, -math.inf, 10**400, [3], 1j])
def test_what_is_no_finite_number(value: object) -> None:
    assert not checks.is_finite(value)
    assert checks.is_finite(-3.5)
