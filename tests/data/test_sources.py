"""Images from data sets of others and from folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from snnviz.data import ImageData
from tests.data.examples import cut
from tests.helpers import message_of


def picture(mode: str, size: tuple[int, int] = (6, 5)) -> Image.Image:
    return Image.new(mode, size)


def pairs(*images: Any, label: Any = 0) -> list[tuple[Any, Any]]:
    return [(image, label) for image in images]


def test_dataset_of_pictures_and_of_tensors() -> None:
    red = Image.new("RGB", (6, 5), (255, 0, 0))
    data = ImageData.from_dataset(pairs(red), pairs(red), device="cpu")
    assert data.shape == (3, 5, 6)
    assert data.train.images[0, :, 0, 0].tolist() == [255, 0, 0]
    assert data.name == "dataset"
    for mode, shape in (("L", (1, 5, 6)), ("1", (1, 5, 6)), ("P", (3, 5, 6))):
        data = ImageData.from_dataset(pairs(picture(mode)), pairs(picture(mode)), device="cpu")
        assert data.shape == shape
    tensors = pairs(torch.rand(2, 5, 6), torch.rand(2, 5, 6), label=torch.tensor(0))
    data = ImageData.from_dataset(tensors, tensors, device="cpu", holdout=1, name="noise")
    assert (data.shape, data.train.images.dtype) == ((2, 5, 6), torch.float32)
    assert (len(data.train), data.name) == (1, "noise")


def test_dataset_of_torchvision_keeps_its_classes() -> None:
    fake = torchvision.datasets.FakeData(6, (3, 8, 8), 4)
    data = ImageData.from_dataset(fake, fake, device="cpu", classes=list("abcd"))
    assert torch.equal(data.train.labels, torch.tensor([int(fake[i][1]) for i in range(6)]))
    assert torch.equal(data.train.images[2], torch.tensor(np.asarray(fake[2][0])).permute(2, 0, 1))


BAD_DATASETS = {
    "empty": (
        [],
        "train must hold at least one image, got an empty list. "
        "Check how the images were selected.",
    ),
    "no length": (
        iter([1]),
        "train must be a dataset with a length, got list_iterator. "
        "Pass a map-style dataset: len(dataset) and dataset[i] -> (image, label).",
    ),
    "no label": (
        [picture("L")],
        "train[0] must be a pair (image, label), got Image. "
        "Wrap the dataset so that it gives an image and a class number.",
    ),
    "two sizes": (
        pairs(picture("L"), picture("L", (7, 5))),
        "train[1] must be like train[0], (1, 5, 6) uint8, got (1, 5, 7) uint8. "
        "Resize or convert the images in the dataset's transform.",
    ),
    "grey and RGB": (
        pairs(picture("RGB"), picture("L")),
        "train[1] must be like train[0], (3, 5, 6) uint8, got (1, 5, 6) uint8. "
        "Resize or convert the images in the dataset's transform.",
    ),
    "two dtypes": (
        pairs(torch.zeros(1, 5, 6), torch.zeros(1, 5, 6).byte()),
        "train[1] must be like train[0], (1, 5, 6) float32, got (1, 5, 6) uint8. "
        "Resize or convert the images in the dataset's transform.",
    ),
    "RGBA": (
        pairs(picture("RGBA")),
        "train[0] must be a grey (L) or RGB image, got the mode RGBA. "
        'Convert it first: image.convert("RGB").',
    ),
    "16 bit": (
        pairs(picture("I;16")),
        "train[0] must be a grey (L) or RGB image, got the mode I;16. "
        'Convert it first: image.convert("RGB").',
    ),
    "no picture": (
        pairs("a.png"),
        "train[0] must have a PIL image or a tensor as its image, got str. "
        "Convert it with the dataset's transform, or use ImageData.from_tensors.",
    ),
    "flat tensor": (
        pairs(torch.zeros(5, 6)),
        "train[0] must be an image tensor (channels, height, width), got the shape (5, 6). "
        "For grey images add the channel: image[None].",
    ),
    "label of text": (
        pairs(picture("L"), label="cat"),
        "train[0] must have a class number (int) as its label, got 'cat'. "
        "Convert it with the dataset's target_transform.",
    ),
}


@pytest.mark.parametrize(("dataset", "words"), BAD_DATASETS.values(), ids=BAD_DATASETS.keys())
def test_bad_datasets(dataset: Any, words: str) -> None:
    good = pairs(picture("L"))
    assert message_of(lambda: ImageData.from_dataset(dataset, good, device="cpu")) == words
    if dataset and isinstance(dataset, list):
        said = message_of(lambda: ImageData.from_dataset(good, dataset, device="cpu"))
        assert said == words.replace("train[", "test[")


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


PUT = "Put images there that end in .png, .jpg, .jpeg, .bmp, .webp, or remove the empty folder."


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
    "Pass size= to resize all images; save all as grey or all as RGB."
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
        "['ant', 'cat', 'dog'] in {0}. Rename or add the folders that are in one only.",
    ),
    "other size": (with_other_size, ValueError, LIKE.replace("{1}", "(1, 9, 9)")),
    "colour": (with_colour, ValueError, LIKE.replace("{1}", "(3, 5, 6)")),
    "alpha": (
        with_alpha,
        ValueError,
        "{0}/train/cat/z.png must be a grey (L) or RGB image, got the mode RGBA. "
        'Convert it first: image.convert("RGB").',
    ),
    "no image": (
        with_text,
        ValueError,
        "{0}/train/cat/z.png must be a whole image, got: UnidentifiedImageError: cannot identify "
        "image file '{0}/train/cat/z.png'. Replace or remove the file.",
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
    assert said.startswith(f"{path} must be a whole image, got: ")


@pytest.mark.parametrize("size", [0, -3, 2.5, (3,), (3, 0), "32", True])
def test_bad_size(size: Any, tmp_path: Path) -> None:
    said = message_of(lambda: ImageData.from_folder(tmp_path, size, device="cpu"))
    assert said == SIZE.format(repr(size))
