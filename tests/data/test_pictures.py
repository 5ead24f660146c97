"""Pillow images of every mode keep what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnviz.data import ImageData
from snnviz.data.pictures import convert_picture, to_pixels
from tests.data.examples import TRANSPARENT, picture
from tests.helpers import message_of

RAMP = np.arange(64).reshape(8, 8) * 1040  # 0 to 65520


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_16_bits_are_scaled_to_8(kind: str) -> None:
    mode = "I;16" if kind == "<u2" else "I;16B"
    image = Image.frombytes(mode, (8, 8), RAMP.astype(kind).tobytes())
    pixels = to_pixels(convert_picture("here", image))
    assert pixels.shape == (1, 8, 8)
    assert pixels.flatten().tolist() == [round(value / 257) for value in RAMP.flatten().tolist()]
    assert len(pixels.unique()) == 64


@pytest.mark.parametrize("ending", ["png", "tif", "jp2", "pgm"])
def test_16_bit_files_are_scaled_to_8(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{ending}"
    if ending == "pgm":
        file.write_bytes(b"P5 8 8 65535 " + RAMP.astype(">u2").tobytes())
    else:
        options: dict[str, Any] = {"irreversible": False} if ending == "jp2" else {}
        Image.fromarray(RAMP.astype(np.uint16)).save(file, **options)
    with Image.open(file) as image:
        pixels = to_pixels(convert_picture("here", image))
    assert pixels.flatten().tolist() == [round(value / 257) for value in RAMP.flatten().tolist()]


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [
        ("1", 1, [255]),
        ("L", 90, [90]),
        ("RGB", (10, 20, 30), [10, 20, 30]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBa", (10, 20, 30, 255), [10, 20, 30]),
        ("LA", (90, 255), [90]),
        ("CMYK", (245, 235, 225, 0), [10, 20, 30]),
        ("HSV", (0, 0, 90), [90, 90, 90]),
        ("YCbCr", (90, 128, 128), [90, 90, 90]),
    ],
)
def test_colours_stay(mode: str, colour: int | tuple[int, ...], shown: list[int]) -> None:
    image = Image.new(mode, (2, 2), colour)
    assert to_pixels(convert_picture("here", image))[:, 1, 1].tolist() == shown


def test_palettes_become_rgb_unless_they_are_transparent() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 8, 7, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert to_pixels(convert_picture("here", image))[:, 0].tolist() == [[9, 200], [8, 100], [7, 50]]
    image.info["transparency"] = 7  # a colour that no pixel has
    assert to_pixels(convert_picture("here", image))[:, 0].tolist() == [[9, 200], [8, 100], [7, 50]]
    image.info["transparency"] = 1
    said = message_of(lambda: convert_picture("here", image))
    assert said == TRANSPARENT.format("here", "P")


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA", "RGBa"])
def test_transparent_pixels_are_refused(mode: str) -> None:
    said = message_of(lambda: convert_picture("here", picture(mode)))
    assert said == TRANSPARENT.format("here", mode)


def test_the_advice_for_transparent_images_keeps_what_they_show() -> None:
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    background = Image.new("RGBA", image.size, "white")
    background.alpha_composite(image.convert("RGBA"))
    shown = to_pixels(convert_picture("here", background.convert("RGB")))
    assert shown.unique().tolist() == [255]


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_unknown_ranges_are_refused(mode: str) -> None:
    pair = [(picture(mode), 0)]
    assert message_of(lambda: ImageData.from_dataset(pair, pair, device="cpu")) == (
        f"train[0] must be a grey or colour image with 8 or 16 bits per channel, got the mode "
        f"{mode}. Scale its values to 0 to 255 and save it with 8 bits, or pass such images as "
        "float32 to ImageData.from_tensors."
    )
