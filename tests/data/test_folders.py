"""Images from folders: one folder for each class."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from snnviz.data import ImageData
from tests.data.examples import TRANSPARENT, cut, picture
from tests.helpers import message_of


def fill(folder: Path, files: dict[str, Image.Image]) -> Path:
    for name, image in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name)
    return folder


def two_classes(folder: Path) -> Path:
    names = ("train/cat/b.png", "train/cat/a.png", "train/ant/c.PNG", "test/ant/a.png")
    images = {name: Image.new("L", (6, 5), 10 * i) for i, name in enumerate(names)}
    return fill(folder, images | {"test/cat/a.png": picture("L")})


def test_folder_is_read_in_the_order_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = two_classes(tmp_path / "pets")
    (folder / "train" / "cat" / "notes.txt").touch()
    (folder / "train" / ".cache").mkdir()
    listed = Path.iterdir  # file systems differ in their order: take the worst
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(listed(path), reverse=True)))
    with pytest.warns(UserWarning, match=r"1 file was not read .* \(train/cat/notes\.txt\)"):
        data = ImageData.from_folder(folder, device="cpu", augment="flip")
    assert (data.name, data.classes, data.shape) == ("pets", ("ant", "cat"), (1, 5, 6))
    assert data.train.images[:, 0, 0, 0].tolist() == [20, 10, 0]
    assert data.train.labels.tolist() == [0, 1, 1]
    assert (len(data.test), data.augment) == (2, "flip")


def test_folder_resizes(tmp_path: Path) -> None:
    folder = fill(two_classes(tmp_path), {"train/cat/c.png": picture("L", (16, 12))})
    assert ImageData.from_folder(folder, 8, device="cpu").shape == (1, 8, 8)
    assert ImageData.from_folder(folder, (4, 9), device="cpu").shape == (1, 4, 9)
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 200, 200, 200])
    palette.putpixel((1, 0), 1)
    names = ("train/a/a.png", "test/a/a.png")
    small = fill(tmp_path / "palette", dict.fromkeys(names, palette))
    data = ImageData.from_folder(small, (1, 1), device="cpu")
    assert data.train.images.flatten().tolist() == [100] * 3


MUST = "folder must hold train/<class>/ and test/<class>/ with images, got "


PUT = "Put images there, for example .png or .jpg files, or remove the empty folder."


SIZE = (
    "size must be a number of pixels or a pair (height, width), got {}. "
    "Use size=32 for images of 32 x 32."
)


def without_test(folder: Path) -> None:
    shutil.rmtree(folder / "test")


def without_classes(folder: Path) -> None:
    shutil.rmtree(folder / "train")
    (folder / "train").mkdir()


def with_empty_class(folder: Path) -> None:
    (folder / "train" / "dog").mkdir()


def with_other_class(folder: Path) -> None:
    fill(folder, {"test/dog/a.png": picture("L")})


def with_other_size(folder: Path) -> None:
    fill(folder, {"train/cat/z.png": picture("L", (9, 9))})


def with_colour(folder: Path) -> None:
    fill(folder, {"train/cat/z.png": picture("RGB")})


def with_alpha(folder: Path) -> None:
    fill(folder, {"train/cat/z.png": picture("RGBA")})


def with_text(folder: Path) -> None:
    (folder / "train" / "cat" / "z.png").write_text("no image")


LIKE = (
    "{0}/train/cat/z.png must be like {0}/train/ant/c.PNG, (1, 5, 6) uint8, got {1} uint8. "
    "Pass size= to resize all images, and save all of them as grey or all as RGB."
)


BAD_FOLDERS = {
    "missing": (
        shutil.rmtree,
        FileNotFoundError,
        MUST + "no folder {0}/train. Make it, or check the path.",
    ),
    "no test": (
        without_test,
        FileNotFoundError,
        MUST + "no folder {0}/test. Make it, or check the path.",
    ),
    "no classes": (
        without_classes,
        FileNotFoundError,
        MUST + "none in {0}/train/<class>. " + PUT,
    ),
    "empty class": (
        with_empty_class,
        FileNotFoundError,
        MUST + "none in {0}/train/dog. " + PUT,
    ),
    "other classes": (
        with_other_class,
        ValueError,
        "folder must have the same classes in train and test, got ['ant', 'cat'] and "
        "['ant', 'cat', 'dog'] in {0}. Add or rename the folders that only one of them has.",
    ),
    "other size": (with_other_size, ValueError, LIKE.replace("{1}", "(1, 9, 9)")),
    "colour": (with_colour, ValueError, LIKE.replace("{1}", "(3, 5, 6)")),
    "alpha": (
        with_alpha,
        ValueError,
        TRANSPARENT.format("{0}/train/cat/z.png", "RGBA"),
    ),
    "no image": (
        with_text,
        ValueError,
        "{0}/train/cat/z.png must be a complete image, got: UnidentifiedImageError: cannot "
        "identify image file '{0}/train/cat/z.png'. Replace or remove the file.",
    ),
}


@pytest.mark.parametrize(("spoil", "error", "words"), BAD_FOLDERS.values(), ids=BAD_FOLDERS.keys())
def test_bad_folders(
    spoil: Callable[[Path], None], error: type[Exception], words: str, tmp_path: Path
) -> None:
    folder = two_classes(tmp_path / "own")
    spoil(folder)
    said = message_of(lambda: ImageData.from_folder(folder, device="cpu"), error)
    assert said == words.replace("{0}", str(folder))


def test_truncated_picture_is_named(tmp_path: Path) -> None:
    noise = Image.effect_noise((40, 40), 50)
    path = fill(two_classes(tmp_path), {"train/cat/z.png": noise}) / "train" / "cat" / "z.png"
    path.write_bytes(cut(path.read_bytes()))
    said = message_of(lambda: ImageData.from_folder(tmp_path, 5, device="cpu"))
    assert said.startswith(f"{path} must be a complete image, got: ")


@pytest.mark.parametrize("size", [0, -3, 2.5, (3,), (3, 0), "32", True])
def test_bad_size(size: Any, tmp_path: Path) -> None:
    said = message_of(lambda: ImageData.from_folder(tmp_path, size, device="cpu"))
    assert said == SIZE.format(repr(size))
