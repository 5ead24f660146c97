"""Pillow images as uint8 tensors, grey or RGB, without losing what they show."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

# Modes with one byte per channel whose colours RGB can express.
_COLOURS = ("P", "CMYK", "YCbCr", "HSV", "RGBX")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
SIXTEEN_BITS = 65535 / 255  # both ranges end at white


def convert_picture(where: str, image: Any) -> Any:
    """A Pillow image as grey (L) or RGB with 8 bits per channel.

    16 bits are scaled to 8. Colours are converted, and transparency is removed if all of the image
    is opaque.

    Raises:
        ValueError: it is not a Pillow image, or this would lose what it shows.
    """
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise ValueError(
            f"{where} must have a PIL image or a tensor as its image, got {type(image).__name__}. "
            "Convert it with the dataset's transform, or use ImageData.from_tensors."
        )
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I;16") or _is_sixteen_bit_ppm(image):
        return _scale_sixteen_bits(image)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _drop_alpha(where, image)
    if image.mode in _COLOURS:
        return image.convert("RGB")
    raise ValueError(
        f"{where} must be a grey or colour image with 8 or 16 bits per channel, got the mode "
        f"{image.mode}. Scale its values to 0 to 255 and save it with 8 bits, or pass such images "
        "as float32 to ImageData.from_tensors."
    )


def to_pixels(image: Any) -> Tensor:
    """The uint8 tensor (c, h, w) of a grey or RGB Pillow image."""
    pixels = torch.tensor(np.asarray(image), device="cpu")  # (h, w) or (h, w, 3)
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def one_line(error: Exception) -> str:
    """The type and text of an error on one line, without a full stop."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")


def _is_sixteen_bit_ppm(image: Any) -> bool:
    # Pillow opens grey PPM files of more than 8 bits in the mode I, scaled to 0 to 65535.
    return image.mode == "I" and image.format == "PPM"


def _scale_sixteen_bits(image: Any) -> Any:
    from PIL import Image

    values = np.asarray(image).astype(np.float32)  # (h, w)
    return Image.fromarray(np.rint(values / SIXTEEN_BITS).astype(np.uint8))


def _drop_alpha(where: str, image: Any) -> Any:
    alpha = image.convert("RGBA").getchannel("A")
    if alpha.getextrema()[0] < 255:
        raise ValueError(
            f"{where} must be opaque, got an image of the mode {image.mode} with transparent "
            'pixels. Put it on a background first: in Pillow, Image.new("RGBA", image.size, '
            '"white"), then alpha_composite(image.convert("RGBA")) and convert("RGB").'
        )
    return image.convert("L" if image.mode in ("LA", "La") else "RGB")
