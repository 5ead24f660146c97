"""Labels as class numbers from 0, and the names of the classes."""

from __future__ import annotations

import operator
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from snnviz.data.arrays import dtype_name, to_tensor
from snnviz.notes import tell

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
INTEGERS += (torch.uint16, torch.uint32, torch.uint64)
# Labels up to this many times the number of different ones are sparse, above it they are refused:
# each number up to the largest becomes a class of the network.
MOST_GAPS, MOST_UNUSED = 10, 1000

RENUMBER = (
    "To renumber the labels of both splits together: torch.cat([train_labels, test_labels])"
    ".unique(return_inverse=True)."
)


def check_labels(argument: str, value: Any, n: int) -> Tensor:
    """The class numbers of n images, (n,) int64."""
    labels = to_tensor(argument, value)
    if labels.ndim != 1:
        raise ValueError(
            f"{argument} must have the shape (n,), got {tuple(labels.shape)}. "
            "Use labels.argmax(1) for one-hot labels, labels.flatten() for a column."
        )
    if labels.dtype not in INTEGERS:
        raise ValueError(
            f"{argument} must be int64 class numbers, got {dtype_name(labels.dtype)}. "
            'Convert them: labels.long() (of an array: labels.astype("int64")).'
        )
    if len(labels) != n:
        raise ValueError(
            f"{argument} must have one label per image, got {len(labels)} labels for {n} images. "
            "Pass the labels in the order of the images."
        )
    labels = labels.long()
    if labels.min() < 0:
        raise ValueError(
            f"{argument} must be numbered from 0, got {_show_first(labels, labels < 0)}. "
            "Remove images without a label, or renumber the labels."
        )
    return labels


def _show_first(labels: Tensor, wrong: Tensor) -> str:
    """The first wrong label, where it is, and how many there are: "-1 for image 3 (2 in all)"."""
    found = wrong.nonzero().flatten().tolist()
    more = f" ({len(found):,} in all)" if len(found) > 1 else ""
    return f"{int(labels[found[0]])} for image {found[0]}{more}"


def choose_class_names(
    train: Tensor, test: Tensor, classes: Iterable[str] | Mapping[Any, Any] | None
) -> tuple[str, ...]:
    """The class names in the order of the class numbers; by default the numbers themselves.

    Names are in Unicode's composed form (NFC), so that names that look alike are equal.
    """
    if classes is None:
        return _number_classes(train, test)
    names = order_names(classes) if isinstance(classes, Mapping) else _list_names(classes)
    for split, labels in (("train", train), ("test", test)):
        if labels.max() >= len(names):
            raise ValueError(
                f"{split} labels must be below {len(names)}, the number of classes, got "
                f"{_show_first(labels, labels >= len(names))}. Number the classes from 0, or name "
                "more classes."
            )
    return names


def normalise_name(name: str) -> str:
    """The name in Unicode's composed form: an accent and its letter are one character.

    Bytes of a file's name that are not text become question marks.
    """
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())


def _number_classes(train: Tensor, test: Tensor) -> tuple[str, ...]:
    seen = train.unique()  # sorted
    unseen = sorted(set(test.unique().tolist()) - set(seen.tolist()))
    count = int(seen[-1]) + 1  # classes; int64 labels go up to 2**63 - 1
    largest = f"{count - 1} (image {int(train.argmax())})"
    if count > max(MOST_UNUSED, MOST_GAPS * len(seen)):
        raise ValueError(
            "train labels must be numbered from 0 without large gaps, got numbers up to "
            f"{largest}, of which only {len(seen)} differ. {RENUMBER}"
        )
    if unseen:
        more = ", …" if len(unseen) > 5 else ""
        first = int(torch.isin(test, torch.tensor(unseen)).nonzero()[0])
        raise ValueError(
            "test labels must occur in the train labels, got the unseen "
            f"{', '.join(map(str, unseen[:5]))}{more} (first in image {first}). Add training "
            "images of these classes, or name all classes with classes=(…)."
        )
    unused = count - len(seen)
    if unused:
        start = int(seen[0])
        what = f"start at {start}"
        if start != unused:
            what = f"skip {unused} of the numbers up to {largest}"
        advice = f"Subtract {start} from all labels" if start == unused else RENUMBER.rstrip(".")
        many = "1 class" if len(seen) == 1 else f"{len(seen)} classes"
        tell(
            f"The train labels {what}, so the network gets {count} outputs for {many} with images. "
            f"{advice}; or name all classes with classes=(…)."
        )
    return tuple(str(i) for i in range(count))


def _list_names(classes: Any) -> tuple[str, ...]:
    ordered = not isinstance(classes, str | bytes | set | frozenset)
    names = tuple(classes) if ordered and isinstance(classes, Iterable) else ()
    if not names or not all(isinstance(name, str) for name in names):
        no_order = " A set has no order." if isinstance(classes, set | frozenset) else ""
        raise ValueError(
            f"classes must be a sequence of class names (str) or a mapping from class numbers to "
            f"names, got {classes!r}.{no_order} Pass one name for each class in the order of the "
            "class numbers, or leave classes out to use the numbers."
        )
    return _check_different(normalise_name(str(name)) for name in names)


def order_names(classes: Mapping[Any, Any]) -> tuple[str, ...]:
    """The names of {number: name} or {name: number}, such as a dataset's `class_to_idx`."""
    named = dict(classes)
    if named and all(isinstance(key, str) for key in named):
        pairs = [(number, name) for name, number in named.items()]
    else:
        pairs = list(named.items())
    try:
        by_number = {operator.index(number): name for number, name in pairs}
    except TypeError:
        by_number = {}
    complete = len(by_number) == len(pairs) > 0 and set(by_number) == set(range(len(pairs)))
    if not complete or not all(isinstance(name, str) for name in by_number.values()):
        raise ValueError(
            f"classes must map each class number from 0 to {max(len(pairs) - 1, 0)} to one name, "
            f"or each name to its number, got {named!r}. Number the classes from 0 without gaps."
        )
    names = (by_number[number] for number in range(len(pairs)))
    return _check_different(normalise_name(name) for name in names)


def _check_different(names: Iterable[str]) -> tuple[str, ...]:
    names = tuple(names)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"classes must have different names, got {', '.join(map(repr, twice[:5]))} more than "
            "once. Rename these classes."
        )
    return names
