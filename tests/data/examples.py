"""Images so small that a test takes no time."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from snnviz.data import ImageData


def grey(n: int = 4, h: int = 5, w: int = 6, c: int = 1) -> Tensor:
    """Images that differ in every pixel, as far as 256 values allow."""
    return (torch.arange(n * c * h * w) % 251).to(torch.uint8).view(n, c, h, w)


def numbers(n: int = 4, classes: int = 2) -> Tensor:
    return torch.arange(n) % classes


def small(device: str = "cpu", n: int = 40, c: int = 3, **options: Any) -> ImageData:
    images, labels = grey(n, c=c), numbers(n)
    options = {"test": (images[:10], labels[:10]), "device": device} | options
    return ImageData.from_tensors((images, labels), **options)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def picture(mode: str, size: tuple[int, int] = (6, 5)) -> Image.Image:
    return Image.new(mode, size)


TRANSPARENT = (
    "{} must be opaque, got an image of the mode {} with transparent pixels. Put it on a "
    'background first: in Pillow, Image.new("RGBA", image.size, "white"), then '
    'alpha_composite(image.convert("RGBA")) and convert("RGB").'
)
