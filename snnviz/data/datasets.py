"""Dataset objects, such as torchvision's, as two tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from snnviz.data.arrays import dtype_name
from snnviz.data.classes import normalise_name, order_names
from snnviz.data.pictures import convert_picture, to_pixels


def stack_items(
    argument: str, dataset: Any, advice: str, where: Callable[[int], str] | None = None
) -> tuple[Tensor, Tensor]:
    """All images (n, c, h, w) and labels (n,) of a dataset: len(dataset), dataset[i] -> pair.

    Args:
        argument: what errors call the dataset.
        dataset: the dataset.
        advice: what errors say if images differ in size or kind.
        where: what errors call the item i; by default argument[i].
    """
    n = _count_items(argument, dataset)
    where = where or (lambda i: f"{argument}[{i}]")
    labels = torch.empty(n, dtype=torch.int64, device="cpu")
    images = torch.empty(0, device="cpu")
    for i in range(n):
        image, labels[i] = _read_item(where(i), dataset[i])
        if i == 0:
            images = torch.empty((n, *image.shape), dtype=image.dtype, device="cpu")
        if (image.shape, image.dtype) != (images.shape[1:], images.dtype):
            raise ValueError(
                f"{where(i)} must be like {where(0)}, {_describe(images[0])}, got "
                f"{_describe(image)}. {advice}"
            )
        images[i] = image
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


def _read_item(where: str, item: Any) -> tuple[Tensor, int]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        advice = "Wrap the dataset so that it gives an image and a class number."
        if isinstance(item, Tensor | np.ndarray):
            advice = "For tensors or arrays of all images and labels use ImageData.from_tensors."
        raise ValueError(
            f"{where} must be a pair (image, label), got {type(item).__name__}. {advice}"
        )
    image, label = item
    if not isinstance(image, Tensor):
        image = to_pixels(convert_picture(where, image))
    if image.ndim != 3:
        raise ValueError(
            f"{where} must be an image tensor (channels, height, width), got the shape "
            f"{tuple(image.shape)}. For grey images add the channel: image[None]."
        )
    try:
        return image, operator.index(label)
    except TypeError as error:
        raise ValueError(
            f"{where} must have a class number (int) as its label, got {label!r}. "
            "Convert it with the dataset's target_transform."
        ) from error


def _describe(image: Tensor) -> str:
    return f"{tuple(image.shape)} {dtype_name(image.dtype)}"
