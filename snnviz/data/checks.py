"""Checks of the images and options from which an `ImageData` is made."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnviz.checks import one_of, plain
from snnviz.data.arrays import describe_value, dtype_name, to_tensor
from snnviz.data.classes import check_labels

AUGMENTS = ("none", "shift", "flip", "shift+flip")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MOST_SIDE = 10_000  # pixels to which images are resized; more is probably a mistake
MOST_CHANNELS = 4  # of a grey image, or one in colours, with or without transparency


def check_pair(argument: str, value: Any) -> tuple[Tensor, Tensor]:
    """Images (n, c, h, w) as uint8 or float32 and labels (n,) as int64, both on the CPU."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(
            f"{argument} must be a pair (images, labels), got {describe_value(value)}. "
            f"Pass {argument}=(images, labels), or use ImageData.from_dataset for a dataset."
        )
    images = _check_images(f"{argument} images", value[0])
    return images, check_labels(f"{argument} labels", value[1], len(images))


def _check_images(argument: str, value: Any) -> Tensor:
    images = to_tensor(argument, value)
    _check_shape(argument, tuple(images.shape))
    if images.dtype == torch.uint8:
        return images.contiguous()
    if images.dtype not in FLOATS:
        raise ValueError(
            f"{argument} must be uint8 or floating point, got {dtype_name(images.dtype)}. Convert "
            "them: images.to(torch.uint8) for values from 0 to 255, otherwise images.float() (of "
            'an array: images.astype("uint8") or images.astype("float32")).'
        )
    images = images.float().contiguous()
    low, high = images.aminmax()  # NaN if any value is NaN: needs no mask as large as the data
    if not torch.isfinite(low + high):
        bad = [i for i, image in enumerate(images) if not torch.isfinite(image).all()]
        raise ValueError(
            f"{argument} must be finite float32 numbers, got NaN or infinity in {len(bad)} "
            f"of {len(images)} images, first in image {bad[0]}. "
            "Remove these images, or replace the values with torch.nan_to_num."
        )
    return images


def _check_shape(argument: str, shape: tuple[int, ...]) -> None:
    must = f"{argument} must have the shape (n, channels, height, width), got {shape}"
    if len(shape) != 4:
        raise ValueError(f"{must}. For grey images add the channel: images[:, None].")
    if 0 in shape:
        raise ValueError(
            f"{argument} must hold at least one image of at least one pixel, "
            f"got the shape {shape}. Check how the images were selected."
        )
    _, c, h, w = shape
    if w <= MOST_CHANNELS < min(c, h):  # read as (n, channels, height, width): thin strips
        raise ValueError(
            f"{must}, which has the channels last. Reorder them: images.permute(0, 3, 1, 2). If "
            f"the images really have {c} channels and a width of {w}, swap height and width: "
            "images.transpose(2, 3)."
        )


def check_one_image(argument: str, value: Any, like: Tensor) -> Tensor:
    """An image (c, h, w) of the shape and dtype of those in `like` (n, c, h, w), on the CPU.

    A grey image may come without its channel, and numbers of another type are converted.
    """
    image = to_tensor(argument, value)
    c, h, w = like.shape[1:]
    if tuple(image.shape) == (h, w) and c == 1:
        image = image[None]
    if tuple(image.shape) != (c, h, w):
        raise ValueError(
            f"{argument} must have the shape {(c, h, w)} (channels, height, width), like the test "
            f"images, got {tuple(image.shape)}. Resize it, or give the number of a test image."
        )
    if not torch.isfinite(image.float()).all():
        raise ValueError(f"{argument} must be finite numbers, got NaN or infinity.")
    if like.dtype != torch.uint8:
        return image.to(like.dtype)
    if image.is_floating_point() or image.min() < 0 or image.max() > 255:
        raise ValueError(
            f"{argument} must hold whole numbers from 0 to 255, like the test images, got "
            f"{dtype_name(image.dtype)} from {image.min().item():g} to {image.max().item():g}. "
            "Of floats from 0 to 1, give (255 * image).round() as uint8."
        )
    return image.to(torch.uint8)


def check_same_kind(train: Tensor, test: Tensor) -> None:
    """Checks that images of both splits have the same shape and dtype."""
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"test images must have the shape of the train images, got {tuple(test.shape[1:])} "
            f"and {tuple(train.shape[1:])}. Resize one of them."
        )
    if train.dtype != test.dtype:
        raise ValueError(
            f"test images must have the dtype of the train images, got {dtype_name(test.dtype)} "
            f"and {dtype_name(train.dtype)}. Convert one of them: uint8 values from 0 to 255 are "
            "floats from 0 to 1, times 255."
        )


def count_holdout(holdout: int | float, n: int) -> int:
    """The number of training images to hold out of n; at least one stays for training."""
    holdout = plain(holdout)
    size = round(holdout * n) if isinstance(holdout, float) and 0 < holdout < 1 else holdout
    if type(size) is not int or not 0 <= size < n or (size == 0 and isinstance(holdout, float)):
        raise ValueError(
            f"holdout must be a number of images from 0 to {n - 1}, or a share between 0 and 1 "
            f"that leaves at least one image on both sides, got {holdout!r}. "
            "Use holdout=0.1 to hold out a tenth of the training images."
        )
    return size


def check_augment(value: str) -> None:
    """Checks the name of an augmentation."""
    advice = 'Use "shift" for small greyscale images, "shift+flip" for photographs.'
    one_of("augment", value, AUGMENTS, advice)


def check_image_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """(height, width) of an image size that may be one number for both; None stays None."""
    size = plain(size)
    both = (size, size) if isinstance(size, int) else size
    if both is None:
        return None
    right = isinstance(both, tuple | list) and len(both) == 2
    both = [*map(plain, both)] if right else both
    if not right or not all(type(side) is int and 0 < side <= MOST_SIDE for side in both):
        raise ValueError(
            f"size must be a number of pixels (at most {MOST_SIDE:,}) or a pair (height, width), "
            f"got {size!r}. Use size=32 for images of 32 x 32."
        )
    return both[0], both[1]
