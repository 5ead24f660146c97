"""Images from dataset objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

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


ITEMS = (
    "Pass a map-style dataset: len(dataset) and dataset[i] -> (image, label). If all items fit "
    "into memory, list(train) is one."
)


class Endless(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(pairs(picture("L")))


class Counted(Endless):
    def __len__(self) -> int:
        return 1


class Unending:
    def __getitem__(self, i: int) -> Any:
        return picture("L"), 0


class Named(list):
    """A dataset with class names, as those of torchvision have."""

    def __init__(self, classes: Any) -> None:
        super().__init__(pairs(picture("L"), picture("L")))
        self.classes = classes


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (["b", "a"], ("b", "a")),
        ({"b": 1, "a": 0}, ("a", "b")),
        (np.array(["b", "a"]), ("b", "a")),
        ([("tench", "Tinca tinca"), ("goldfish",)], ("tench, Tinca tinca", "goldfish")),
        ({"b", "a"}, ("0",)),  # a set has no order
        (2, ("0",)),
        (None, ("0",)),
    ],
)
def test_names_of_a_dataset(classes: Any, names: tuple[str, ...]) -> None:
    data = ImageData.from_dataset(Named(classes), Named(classes), device="cpu")
    assert data.classes == names


def test_datasets_that_number_their_classes_differently_are_refused() -> None:
    train, test = Named(["a", "b", "c"]), Named(["b", "c"])
    assert message_of(lambda: ImageData.from_dataset(train, test, device="cpu")) == (
        "test must have the classes of train, in the same order, got ['b', 'c'] and "
        "['a', 'b', 'c']. Make both datasets with the same classes, or name them with classes=(…) "
        "if the labels agree."
    )
    data = ImageData.from_dataset(train, test, classes=["a", "c"], device="cpu")
    assert data.classes == ("a", "c")
    forms = Named(["\u00e1"]), Named(["a\u0301"])
    assert ImageData.from_dataset(*forms, device="cpu").classes == ("\u00e1",)


def test_a_note_points_to_the_call() -> None:
    one = [(picture("L"), 1)]
    with pytest.warns(UserWarning, match="network gets 2 outputs for 1 class with") as caught:
        ImageData.from_dataset(one, one, device="cpu")
    assert caught[0].filename == __file__


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
    "DataLoader": (
        DataLoader(pairs(picture("L"))),  # pyright: ignore
        "train must be a dataset, got a DataLoader. Pass the dataset in it: loader.dataset.",
    ),
    "iterable": (
        Endless(),
        "train must be a dataset whose items have numbers, got Endless. " + ITEMS,
    ),
    "iterable with a length": (
        Counted(),
        "train must be a dataset whose items have numbers, got Counted. " + ITEMS,
    ),
    "generator": (
        (pair for pair in pairs(picture("L"))),
        "train must be a dataset whose items have numbers, got generator. " + ITEMS,
    ),
    "dictionary": (
        {"train": pairs(picture("L"))},
        "train must be a dataset whose items have numbers, got dict. " + ITEMS,
    ),
    "class": (
        Counted,
        "train must be a dataset, got the class Counted. Make a dataset of it: Counted(…).",
    ),
    "items without an end": (
        Unending(),
        "train must be a dataset with a length, got Unending. Pass a map-style dataset: "
        "len(dataset) and dataset[i] -> (image, label).",
    ),
    "no label": (
        [picture("L")],
        "train[0] must be a pair (image, label), got Image. "
        "Wrap the dataset so that it gives an image and a class number.",
    ),
    "tensor of all images": (
        torch.zeros(4, 1, 5, 6),
        "train[0] must be a pair (image, label), got Tensor. For tensors or arrays of all images "
        "and labels use ImageData.from_tensors.",
    ),
    "images and labels": (
        (torch.zeros(4, 1, 5, 6), torch.zeros(4)),
        "train[0] must be a pair (image, label), got Tensor. For tensors or arrays of all images "
        "and labels use ImageData.from_tensors.",
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
    if isinstance(dataset, list) and dataset:
        said = message_of(lambda: ImageData.from_dataset(good, dataset, device="cpu"))
        assert said == words.replace("train[", "test[")
