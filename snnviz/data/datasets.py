"""Dataset objects, such as torchvision's, as two tensors."""

from __future__ import annotations

import operator
import os
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset

from snnviz.data.arrays import describe_value, dtype_name, to_tensor
from snnviz.data.classes import normalise_name, order_names
from snnviz.data.pictures import convert_picture, one_line, to_pixels

MOST_LABEL = 2**63 - 1  # of int64


def stack_items(
    argument: str, dataset: Any, advice: str, where: Callable[[int], str] | None = None
) -> tuple[Tensor, Tensor]:
    """All images (n, c, h, w) and labels (n,) of a dataset: len(dataset), dataset[i] -> pair.

    Args:
        argument: what errors call the dataset.
        dataset: the dataset.
        advice: what errors say if images differ in size or kind.
        where: what errors call the item i, of a dataset whose own errors name it; None: it is the
            user's, and called argument[i].

    Raises:
        ValueError: an item cannot be used, or all together do not fit into memory.
    """
    n = _count_items(argument, dataset)
    name = where or (lambda i: f"{argument}[{i}]")
    images = labels = torch.empty(0, device="cpu")
    for i in range(n):
        item = dataset[i] if where else _get_item(dataset, i, name(i))
        image, label = _read_item(name(i), item)
        if i == 0:
            images, labels = _make_room(argument, n, image)
        if (image.shape, image.dtype) != (images.shape[1:], images.dtype):
            raise ValueError(
                f"{name(i)} must be like {name(0)}, {_describe(images[0])}, got "
                f"{_describe(image)}. {advice}"
            )
        images[i], labels[i] = image, label
    return images, labels


def find_class_names(train: Any, test: Any) -> list[str] | None:
    """The class names that the datasets have, or None.

    Raises:
        ValueError: the datasets number their classes differently.
    """
    named, other = (_list_classes(dataset) for dataset in (train, test))
    if named is not None and other is not None and named != other:
        raise ValueError(
            f"test must have the classes of train, in the same order, got {other} and {named}. "
            "Make both datasets with the same classes, or name them with classes=(…) if the "
            "labels agree."
        )
    return named


def _list_classes(dataset: Any) -> list[str] | None:
    """The dataset's names in their order; None if it has none, or has no order of them."""
    if isinstance(dataset, Subset):
        return _list_classes(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        named = [_list_classes(part) for part in dataset.datasets]
        if any(names != named[0] for names in named):
            raise ValueError(
                f"all parts of a ConcatDataset must have the same classes, in the same order, got "
                f"{' and '.join(map(str, named))}. Make them with the same classes, or name them "
                "with classes=(…) if the labels agree."
            )
        return named[0]
    classes = getattr(dataset, "classes", None)
    if isinstance(classes, Mapping):
        return list(order_names(classes))
    if isinstance(classes, np.ndarray):
        classes = classes.tolist()
    if not isinstance(classes, list | tuple) or not classes:
        return None
    # ImageNet has several words for one class.
    words = [", ".join(c) if isinstance(c, list | tuple) else str(c) for c in classes]
    return list(map(normalise_name, words))


def _count_items(argument: str, dataset: Any) -> int:
    advice = "Pass a map-style dataset: len(dataset) and dataset[i] -> (image, label)."
    kind = type(dataset).__name__
    if isinstance(dataset, type):
        name = dataset.__name__
        raise ValueError(
            f"{argument} must be a dataset, got the class {name}. Make a dataset of it: {name}(…)."
        )
    if isinstance(dataset, DataLoader):
        raise ValueError(
            f"{argument} must be a dataset, got a {kind}. Pass the dataset in it: loader.dataset."
        )
    if isinstance(dataset, str | os.PathLike):
        raise ValueError(
            f"{argument} must be a dataset, got the path {os.fspath(dataset)!r}. For a folder of "
            "images use ImageData.from_folder, with the folder that holds train and test."
        )
    unordered = isinstance(dataset, IterableDataset | Mapping | set | frozenset)
    if unordered or not hasattr(type(dataset), "__getitem__"):
        raise ValueError(
            f"{argument} must be a dataset whose items have numbers, got {kind}. {advice} If all "
            f"items fit into memory, list({argument}) is one."
        )
    try:
        n = len(dataset)
    except TypeError as error:
        raise ValueError(
            f"{argument} must be a dataset with a length, got {kind}. {advice}"
        ) from error
    if n == 0:
        raise ValueError(
            f"{argument} must hold at least one image, got an empty {kind}. "
            "Check how the images were selected."
        )
    return n


def _get_item(dataset: Any, i: int, where: str) -> Any:
    try:
        return dataset[i]
    except Exception as error:  # the user's code may raise anything
        raise ValueError(
            f"{where} must be a pair (image, label), but the dataset raised an error: "
            f"{one_line(error)}. Correct the dataset, or leave this item out with "
            "torch.utils.data.Subset."
        ) from error


def _make_room(argument: str, n: int, image: Tensor) -> tuple[Tensor, Tensor]:
    """Memory for n such images, and for their labels."""
    try:
        images = torch.empty((n, *image.shape), dtype=image.dtype, device="cpu")
        return images, torch.empty(n, dtype=torch.int64, device="cpu")
    except (RuntimeError, MemoryError) as error:
        size = n * image.numel() * image.element_size() / 1e9
        raise ValueError(
            f"{argument} must fit into memory, got {n:,} images of {_describe(image)}, which need "
            f"{size:,.0f} GB. Make the images smaller, or use fewer of them with "
            "torch.utils.data.Subset."
        ) from error


def _read_item(where: str, item: Any) -> tuple[Tensor, int]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        got, advice = (
            describe_value(item),
            "Wrap the dataset so that it gives an image and a class number.",
        )
        if isinstance(item, Tensor | np.ndarray):
            advice = "For tensors or arrays of all images and labels use ImageData.from_tensors."
        elif isinstance(item, Mapping):
            got = f"{type(item).__name__} with the keys {', '.join(map(repr, item))}"
            advice = "Make pairs: [(item['image'], item['label']) for item in …]."
        raise ValueError(f"{where} must be a pair (image, label), got {got}. {advice}")
    image, label = item
    if isinstance(image, Tensor):
        image = to_tensor(f"{where} image", image)
    else:
        image = to_pixels(convert_picture(where, image))
    if image.ndim != 3:
        advice = "For grey images add the channel: image[None]."
        if image.ndim > 3:
            advice = "Remove the dimensions before these, for example with image[0]."
        raise ValueError(
            f"{where} must be an image tensor (channels, height, width), got the shape "
            f"{tuple(image.shape)}. {advice}"
        )
    try:
        number = operator.index(label)
    except TypeError:
        number = -1
    if not 0 <= number <= MOST_LABEL:
        raise ValueError(
            f"{where} must have a class number (int), from 0, as its label, got "
            f"{reprlib.repr(label)}. Convert it with the dataset's target_transform, or leave the "
            "item out with torch.utils.data.Subset."
        )
    return image, number


def _describe(image: Tensor) -> str:
    return f"{tuple(image.shape)} {dtype_name(image.dtype)}"
