"""Images from dataset objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from snnviz.data import ImageData
from tests.data.examples import TRANSPARENT, picture
from tests.helpers import message_of


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
        "train must be a dataset whose items have numbers, got list_iterator. Pass a map-style "
        "dataset: len(dataset) and dataset[i] -> (image, label). If all items fit into memory, "
        "list(train) is one.",
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
        TRANSPARENT.format("train[0]", "RGBA"),
    ),
    "32 bit": (
        pairs(picture("I")),
        "train[0] must be a grey or colour image with 8 or 16 bits per channel, got the mode I. "
        "Scale its values to 0 to 255 and save it with 8 bits, or pass such images as float32 to "
        "ImageData.from_tensors.",
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
