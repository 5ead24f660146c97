"""Images from dataset objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset

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


def test_parts_of_a_dataset_have_its_names() -> None:
    one, other = Named(["a", "b"]), Named(["b", "a"])
    some, both = Subset(one, [1]), ConcatDataset([Subset(one, [0]), one])  # pyright: ignore
    assert ImageData.from_dataset(some, both, device="cpu").classes == ("a", "b")
    mixed = ConcatDataset([one, other])  # pyright: ignore
    assert message_of(lambda: ImageData.from_dataset(mixed, one, device="cpu")) == (
        "all parts of a ConcatDataset must have the same classes, in the same order, got "
        "['a', 'b'] and ['b', 'a']. Make them with the same classes, or name them with classes=(…) "
        "if the labels agree."
    )


def test_a_note_points_to_the_call() -> None:
    one = [(picture("L"), 1)]
    with pytest.warns(UserWarning, match="network gets 2 outputs for 1 class with") as caught:
        ImageData.from_dataset(one, one, device="cpu")
    assert caught[0].filename == __file__


LABEL = (
    "train[0] must have a class number (int), from 0, as its label, got {}. Convert it with the "
    "dataset's target_transform, or leave the item out with torch.utils.data.Subset."
)
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
    "path": (
        "images/train",
        "train must be a dataset, got the path 'images/train'. For a folder of images use "
        "ImageData.from_folder, with the folder that holds train and test.",
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
    "batch of images": (
        pairs(torch.zeros(1, 1, 5, 6)),
        "train[0] must be an image tensor (channels, height, width), got the shape (1, 1, 5, 6). "
        "Remove the dimensions before these, for example with image[0].",
    ),
    "label of text": (pairs(picture("L"), label="cat"), LABEL.format("'cat'")),
    "label that is not known": (pairs(picture("L"), label=-1), LABEL.format("-1")),
    "label of a float": (pairs(picture("L"), label=1.0), LABEL.format("1.0")),
    "label too large": (pairs(picture("L"), label=2**63), LABEL.format("9223372036854775808")),
    "one-hot label": (
        pairs(picture("L"), label=torch.tensor([0, 1])),
        LABEL.format("tensor([0, 1])"),
    ),
    "nothing": (
        [None],
        "train[0] must be a pair (image, label), got NoneType. "
        "Wrap the dataset so that it gives an image and a class number.",
    ),
    "three values": (
        [(picture("L"), 0, "a.png")],
        "train[0] must be a pair (image, label), got tuple of length 3. "
        "Wrap the dataset so that it gives an image and a class number.",
    ),
    "items with names": (
        [{"image": picture("L"), "label": 0}],
        "train[0] must be a pair (image, label), got dict with the keys 'image', 'label'. "
        "Make pairs: [(item['image'], item['label']) for item in …].",
    ),
    "sparse image": (
        pairs(torch.zeros(1, 5, 6).to_sparse()),
        "train[0] image must be an ordinary dense tensor, got a sparse one. Convert it with "
        ".to_dense().",
    ),
    "image without data": (
        pairs(torch.zeros(1, 5, 6, device="meta")),
        "train[0] image must hold data, got a tensor on the meta device. Make the data on the CPU "
        'and then call .to("meta").',
    ),
}


@pytest.mark.parametrize(("dataset", "words"), BAD_DATASETS.values(), ids=BAD_DATASETS.keys())
def test_bad_datasets(dataset: Any, words: str) -> None:
    good = pairs(picture("L"))
    assert message_of(lambda: ImageData.from_dataset(dataset, good, device="cpu")) == words
    if isinstance(dataset, list) and dataset:
        said = message_of(lambda: ImageData.from_dataset(good, dataset, device="cpu"))
        assert said == words.replace("train[", "test[")


class Odd:
    """2,000 good items; number 1,234 is made by a function."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def __len__(self) -> int:
        return 2000

    def __getitem__(self, i: int) -> Any:
        return self.make() if i == 1234 else (torch.zeros(1, 2, 2), i % 2)


def fail() -> Any:
    raise KeyError("file_name")


SUBSET = "leave this item out with torch.utils.data.Subset."
ODD = {
    "an error": (
        fail,
        "train[1234] must be a pair (image, label), but the dataset raised an error: "
        f"KeyError: 'file_name'. Correct the dataset, or {SUBSET}",
    ),
    "not there": (
        lambda: [][0],
        "train[1234] must be a pair (image, label), but the dataset raised an error: "
        f"IndexError: list index out of range. Correct the dataset, or {SUBSET}",
    ),
    "NaN": (
        lambda: (torch.full((1, 2, 2), torch.nan), 0),
        "train images must be finite float32 numbers, got NaN or infinity in 1 of 2000 images, "
        "first in image 1234. Remove these images, or replace the values with torch.nan_to_num.",
    ),
    "label out of range": (
        lambda: (torch.zeros(1, 2, 2), 7),
        "train labels must be below 2, the number of classes, got 7 for image 1234. Number the "
        "classes from 0, or name more classes.",
    ),
    "another size": (
        lambda: (torch.zeros(1, 2, 3), 0),
        "train[1234] must be like train[0], (1, 2, 2) float32, got (1, 2, 3) float32. Resize or "
        "convert the images in the dataset's transform.",
    ),
}


@pytest.mark.parametrize(("make", "words"), ODD.values(), ids=ODD.keys())
def test_the_item_that_is_wrong_is_named(make: Any, words: str) -> None:
    good = Odd(lambda: (torch.zeros(1, 2, 2), 0))
    options: dict[str, Any] = {"classes": ("a", "b"), "device": "cpu"}
    assert message_of(lambda: ImageData.from_dataset(Odd(make), good, **options)) == words
    said = message_of(lambda: ImageData.from_dataset(good, Odd(make), **options))
    assert said == words.replace("train", "test")


def test_images_with_a_gradient_are_detached() -> None:
    items = pairs(torch.rand(1, 5, 6, requires_grad=True))
    assert not ImageData.from_dataset(items, items, device="cpu").train.images.requires_grad


def test_a_dataset_that_does_not_fit_into_memory() -> None:
    class Vast(Unending):
        def __len__(self) -> int:
            return 10**15

    assert message_of(lambda: ImageData.from_dataset(Vast(), [], device="cpu")) == (
        "train must fit into memory, got 1,000,000,000,000,000 images of (1, 5, 6) uint8, which "
        "need 30,000,000 GB. Make the images smaller, or use fewer of them with "
        "torch.utils.data.Subset."
    )
