"""What is asked of images and labels for an `ImageData`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

AUGMENTS = ("none", "shift", "flip", "shift+flip")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def pair(argument: str, value: Any) -> tuple[Tensor, Tensor]:
    """Images (n, c, h, w) as uint8 or float32 and labels (n,) as int64, both on the CPU."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        got = type(value).__name__
        got += f" of length {len(value)}" if isinstance(value, tuple | list) else ""
        raise ValueError(
            f"{argument} must be a pair (images, labels), got {got}. "
            f"Pass {argument}=(images, labels)."
        )
    images = _images(f"{argument} images", value[0])
    return images, _labels(f"{argument} labels", value[1], len(images))


def _tensor(argument: str, value: Any) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
        value = torch.tensor(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        got = f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(
            f"{argument} must be a torch tensor or a NumPy array of numbers, got {got}. "
            "Convert first, for example with torch.stack or torch.tensor."
        )
    if value.is_meta:
        raise ValueError(
            f"{argument} must hold data, got a tensor on the meta device. "
            'Build the data on the CPU and then call .to("meta").'
        )
    return value.detach().cpu()


def _images(argument: str, value: Any) -> Tensor:
    images = _tensor(argument, value)
    if images.ndim != 4:
        raise ValueError(
            f"{argument} must have the shape (n, channels, height, width), "
            f"got {tuple(images.shape)}. For grey images add the channel: images[:, None]."
        )
    n, c, h, w = images.shape
    if images.numel() == 0:
        raise ValueError(
            f"{argument} must hold at least one image of at least one pixel, "
            f"got the shape {tuple(images.shape)}. Check how the images were selected."
        )
    if c == h > 4 and w in (1, 3, 4):
        raise ValueError(
            f"{argument} must have the shape (n, channels, height, width), "
            f"got {tuple(images.shape)}, which has the channels last. "
            "Reorder them: images.permute(0, 3, 1, 2)."
        )
    if images.dtype == torch.uint8:
        return images.contiguous()
    if images.dtype not in FLOATS:
        raise ValueError(
            f"{argument} must be uint8 or floating point, got {_name(images.dtype)}. "
            "Convert them: images.to(torch.uint8) for values 0 to 255, else images.float()."
        )
    images = images.float().contiguous()
    low, high = images.aminmax()  # NaN in, NaN out: no mask as large as the data is needed
    if not torch.isfinite(low + high):
        bad = torch.tensor([not torch.isfinite(image).all() for image in images])
        raise ValueError(
            f"{argument} must be finite float32 numbers, got NaN or infinity in {int(bad.sum())} "
            f"of {n} images, first in image {int(bad.nonzero()[0])}. "
            "Remove these images, or repair them with torch.nan_to_num."
        )
    return images


def _labels(argument: str, value: Any, n: int) -> Tensor:
    labels = _tensor(argument, value)
    if labels.ndim != 1:
        raise ValueError(
            f"{argument} must have the shape (n,), got {tuple(labels.shape)}. "
            "Use labels.argmax(1) for one-hot labels, labels.flatten() for a column."
        )
    if labels.dtype not in INTEGERS:
        raise ValueError(
            f"{argument} must be int64 class numbers, got {_name(labels.dtype)}. "
            "Convert them: labels.long()."
        )
    if len(labels) != n:
        raise ValueError(
            f"{argument} must be as many as the images, got {len(labels)} labels for {n} images. "
            "Pass one label for each image, in the same order."
        )
    if labels.min() < 0:
        raise ValueError(
            f"{argument} must count the classes from 0, got {int(labels.min())}. "
            "Remove unlabelled images, or renumber the labels."
        )
    return labels.long()


def same_kind(train: Tensor, test: Tensor) -> None:
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"test images must have the shape of the train images, got {tuple(test.shape[1:])} "
            f"and {tuple(train.shape[1:])}. Resize one of them."
        )
    if train.dtype != test.dtype:
        raise ValueError(
            f"test images must have the dtype of the train images, got {_name(test.dtype)} and "
            f"{_name(train.dtype)}. Convert one of them; uint8 0 to 255 is float 0 to 1 times 255."
        )


def class_names(train: Tensor, test: Tensor, classes: Sequence[str] | None) -> tuple[str, ...]:
    """The class names; without any, the numbers of the classes in the training labels."""
    if classes is None:
        unseen = sorted(set(test.unique().tolist()) - set(train.unique().tolist()))
        if unseen:
            raise ValueError(
                "test labels must occur in the train labels, got the unseen "
                f"{', '.join(map(str, unseen))}. Add training images of these classes, "
                "or name all classes with classes=(…)."
            )
        return tuple(str(i) for i in range(int(train.max()) + 1))
    names = () if isinstance(classes, str) else tuple(classes)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"classes must be a sequence of class names (str), got {classes!r}. "
            "Pass one name for each class, or leave classes out to use numbers."
        )
    for split, labels in (("train", train), ("test", test)):
        if labels.max() >= len(names):
            raise ValueError(
                f"{split} labels must be below {len(names)}, the number of classes, "
                f"got {int(labels.max())}. Number the classes from 0, or name more classes."
            )
    return names


def holdout_size(holdout: int | float, n: int) -> int:
    """How many of n training images are held out; at least one stays for training."""
    size = round(holdout * n) if isinstance(holdout, float) and 0 < holdout < 1 else holdout
    if type(size) is not int or not 0 <= size < n or (size == 0 and isinstance(holdout, float)):
        raise ValueError(
            f"holdout must be a number of images from 0 to {n - 1}, or a share between 0 and 1 "
            f"that leaves images on both sides, got {holdout!r}. "
            "Use holdout=0.1 to hold out a tenth of the training images."
        )
    return size


def augment(value: str) -> None:
    if value not in AUGMENTS:
        raise ValueError(
            f"augment must be one of {', '.join(AUGMENTS)}, got {value!r}. "
            'Use "shift" for small greyscale images, "shift+flip" for photographs.'
        )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def image_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    both = (size, size) if isinstance(size, int) else size
    if both is None:
        return None
    right = isinstance(both, tuple | list) and len(both) == 2
    if not right or not all(type(side) is int and side > 0 for side in both):
        raise ValueError(
            f"size must be a number of pixels or a pair (height, width), got {size!r}. "
            "Use size=32 for images of 32 x 32."
        )
    return both[0], both[1]
