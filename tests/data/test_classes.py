"""Class numbers and class names."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from snnviz.data import ImageData
from tests.data.examples import grey, numbers
from tests.helpers import message_of


def labelled(train: Any, test: Any = None, classes: Any = None) -> ImageData:
    splits = [(grey(len(labels)), labels) for labels in (train, train if test is None else test)]
    return ImageData.from_tensors(*splits, classes=classes, device="cpu")  # pyright: ignore


NAMES = {
    "list": ["b", "a"],
    "tuple": ("b", "a"),
    "array": np.array(["b", "a"]),
    "generator": (name for name in "ba"),
    "names by number": {0: "b", 1: "a"},
    "in another order": {1: "a", 0: "b"},
    "numbers by name": {"a": 1, "b": 0},
    "numbers of NumPy": {np.int64(1): "a", np.int64(0): "b"},
    "keys of a mapping": {"b": 0, "a": 1}.keys(),
}


@pytest.mark.parametrize("classes", NAMES.values(), ids=NAMES.keys())
def test_names_are_in_the_order_of_the_numbers(classes: Any) -> None:
    assert labelled(numbers(), classes=classes).classes == ("b", "a")


def test_names_are_in_the_composed_form() -> None:
    assert labelled(numbers(), classes=["Ca\u0301lido", "fri\u0301o"]).classes == (
        "C\u00e1lido",
        "fr\u00edo",
    )


SEQUENCE = (
    "classes must be a sequence of class names (str) or a mapping from class numbers to names, got "
    "{}. Pass one name for each class in the order of the class numbers, or leave classes out to "
    "use the numbers."
)
MAPPING = (
    "classes must map each class number from 0 to 1 to one name, or each name to its number, got "
    "{}. Number the classes from 0 without gaps."
)
BAD = {
    "set": ({"a"}, SEQUENCE.format("{'a'}. A set has no order")),
    "frozen set": (frozenset("a"), SEQUENCE.format("frozenset({'a'}). A set has no order")),
    "number": (2, SEQUENCE.format("2")),
    "bytes": (b"ab", SEQUENCE.format("b'ab'")),
    "gap": ({0: "a", 2: "b"}, MAPPING.format("{0: 'a', 2: 'b'}")),
    "from 1": ({"a": 1, "b": 2}, MAPPING.format("{'a': 1, 'b': 2}")),
    "one number twice": ({"a": 0, "b": 0}, MAPPING.format("{'a': 0, 'b': 0}")),
    "names of names": ({"a": "x", "b": "y"}, MAPPING.format("{'a': 'x', 'b': 'y'}")),
    "no names": ({0: 5, 1: 6}, MAPPING.format("{0: 5, 1: 6}")),
    "twice": (
        ["a", "b", "a"],
        "classes must have different names, got 'a' more than once. Rename these classes.",
    ),
    "twice in two Unicode forms": (
        ["\u00e1", "a\u0301"],
        "classes must have different names, got '\u00e1' more than once. Rename these classes.",
    ),
}


@pytest.mark.parametrize(("classes", "words"), BAD.values(), ids=BAD.keys())
def test_bad_names(classes: Any, words: str) -> None:
    assert message_of(lambda: labelled(numbers(), classes=classes)) == words


RENUMBER = (
    "To renumber the labels of both splits together: torch.cat([train_labels, test_labels])"
    ".unique(return_inverse=True)"
)


@pytest.mark.parametrize(
    ("labels", "what", "advice"),
    [
        ([1, 2, 3], "start at 1, so the network gets 4 outputs", "Subtract 1 from all labels"),
        ([5, 6, 5], "start at 5, so the network gets 7 outputs", "Subtract 5 from all labels"),
        (
            [0, 4, 4],
            "skip 3 of the numbers up to 4 (image 1), so the network gets 5 outputs",
            RENUMBER,
        ),
        (
            [1, 4, 4],
            "skip 3 of the numbers up to 4 (image 1), so the network gets 5 outputs",
            RENUMBER,
        ),
    ],
)
def test_a_note_tells_of_numbers_without_images(labels: list[int], what: str, advice: str) -> None:
    with pytest.warns(UserWarning, match="train labels") as caught:
        data = labelled(torch.tensor(labels))
    assert [str(note.message) for note in caught] == [
        f"The train labels {what} for {len(set(labels))} classes with images. {advice}; or name "
        "all classes with classes=(…)."
    ]
    assert caught[0].filename == __file__
    assert data.n_classes == max(labels) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = labelled(torch.tensor(labels), classes=[str(i) for i in range(max(labels) + 1)])
    assert named.n_classes == data.n_classes


def test_the_advice_renumbers() -> None:
    train, test = torch.tensor([7, 10**9, 7]), torch.tensor([10**9])
    both = torch.cat([train, test]).unique(return_inverse=True)[1]
    assert both.tolist() == [0, 1, 0, 1]
    assert labelled(both[:3], both[3:]).n_classes == 2


@pytest.mark.parametrize("largest", [1000, 8_000_123, 10**9, 2**63 - 1])
def test_sparse_numbers_are_refused(largest: int) -> None:
    said = message_of(lambda: labelled(torch.tensor([0, 5, largest] * 2)))
    assert said == (
        "train labels must be numbered from 0 without large gaps, got numbers up to "
        f"{largest} (image 2), of which only 3 differ. {RENUMBER}."
    )


def test_many_classes_may_have_gaps() -> None:
    with pytest.warns(UserWarning, match=re.escape("skip 800 of the numbers up to 999")):
        assert labelled(torch.arange(0, 1000, 5).repeat(2) + 4).n_classes == 1000


def test_few_of_many_unseen_labels_are_listed() -> None:
    said = message_of(lambda: labelled(numbers(), torch.arange(2, 40)))
    assert "got the unseen 2, 3, 4, 5, 6, … (first in image 0). Add" in said
