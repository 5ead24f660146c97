"""`ImageData` from tensors: whole messages for bad input, and what good input becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from snnviz.data import BatchOrder, ImageData, load_data, pixels
from tests.data.examples import grey, numbers, small
from tests.helpers import message_of

# --- bad tensors and options, by table -----------------------------------------------------------


def bad(images: Any = None, labels: Any = None, **options: Any) -> Callable[[], Any]:
    images = grey() if images is None else images
    labels = numbers() if labels is None else labels
    options = {"test": (grey(), numbers()), "device": "cpu"} | options
    return lambda: ImageData.from_tensors((images, labels), **options)


def with_pixel(value: float, dtype: torch.dtype = torch.float32) -> Tensor:
    images = grey().to(dtype)
    images[2, 0, 1, 1] = value
    return images


HOLDOUT = (
    "holdout must be a number of images from 0 to 3, or a share between 0 and 1 that leaves "
    "at least one image on both sides, got {}. Use holdout=0.1 to hold out a tenth of the training "
    "images."
)
NOT_FINITE = (
    "train images must be finite float32 numbers, got NaN or infinity in 1 of 4 images, first in "
    "image 2. Remove these images, or replace the values with torch.nan_to_num."
)
CLASSES = (
    "classes must be a sequence of class names (str) or a mapping from class numbers to names, got "
    "{}. Pass one name for each class in the order of the class numbers, or leave classes out to "
    "use the numbers."
)
BAD = {
    "not a pair": (
        bad(test=grey()),
        "test must be a pair (images, labels), got Tensor. Pass test=(images, labels), "
        "or use ImageData.from_dataset for a dataset.",
    ),
    "three": (
        bad(test=(grey(), numbers(), 1)),
        "test must be a pair (images, labels), got tuple of length 3. Pass "
        "test=(images, labels), or use ImageData.from_dataset for a dataset.",
    ),
    "list of images": (
        bad(images=[1, 2]),
        "train images must be a torch tensor or a NumPy array of numbers, got list of length 2. "
        "Convert first, for example with torch.stack or torch.tensor.",
    ),
    "meta": (
        bad(images=grey().to("meta")),
        "train images must hold data, got a tensor on the meta device. "
        'Make the data on the CPU and then call .to("meta").',
    ),
    "no channel": (
        bad(images=grey()[:, 0]),
        "train images must have the shape (n, channels, height, width), got (4, 5, 6). "
        "For grey images add the channel: images[:, None].",
    ),
    "channels last": (
        bad(images=torch.zeros(4, 28, 28, 3)),
        "train images must have the shape (n, channels, height, width), got (4, 28, 28, 3), which "
        "has the channels last. Reorder them: images.permute(0, 3, 1, 2). If the images really "
        "have 28 channels and a width of 3, swap height and width: images.transpose(2, 3).",
    ),
    "empty": (
        bad(images=grey(0), labels=numbers(0)),
        "train images must hold at least one image of at least one pixel, got the shape "
        "(0, 1, 5, 6). Check how the images were selected.",
    ),
    "empty test": (
        bad(test=(grey(0), numbers(0))),
        "test images must hold at least one image of at least one pixel, got the shape "
        "(0, 1, 5, 6). Check how the images were selected.",
    ),
    "no pixels": (
        bad(images=torch.zeros(4, 1, 0, 6)),
        "train images must hold at least one image of at least one pixel, got the shape "
        "(4, 1, 0, 6). Check how the images were selected.",
    ),
    "integer images": (
        bad(images=grey().long()),
        "train images must be uint8 or floating point, got int64. Convert them: "
        "images.to(torch.uint8) for values from 0 to 255, otherwise images.float() (of an array: "
        'images.astype("uint8") or images.astype("float32")).',
    ),
    "NaN": (bad(images=with_pixel(float("nan"))), NOT_FINITE),
    "infinity": (bad(images=with_pixel(float("inf"))), NOT_FINITE),
    "minus infinity": (bad(images=with_pixel(-float("inf"), torch.float16)), NOT_FINITE),
    "beyond float32": (bad(images=with_pixel(1e300, torch.float64)), NOT_FINITE),
    "test NaN": (
        bad(images=grey().float(), test=(with_pixel(float("nan")), numbers())),
        NOT_FINITE.replace("train", "test"),
    ),
    "one-hot": (
        bad(labels=torch.eye(4)),
        "train labels must have the shape (n,), got (4, 4). "
        "Use labels.argmax(1) for one-hot labels, labels.flatten() for a column.",
    ),
    "float labels": (
        bad(labels=numbers().float()),
        "train labels must be int64 class numbers, got float32. Convert them: "
        'labels.long() (of an array: labels.astype("int64")).',
    ),
    "bool labels": (
        bad(labels=numbers().bool()),
        "train labels must be int64 class numbers, got bool. Convert them: "
        'labels.long() (of an array: labels.astype("int64")).',
    ),
    "too few labels": (
        bad(labels=numbers(3)),
        "train labels must have one label per image, got 3 labels for 4 images. "
        "Pass the labels in the order of the images.",
    ),
    "negative label": (
        bad(labels=numbers() - 1),
        "train labels must be numbered from 0, got -1 for image 0 (2 in all). "
        "Remove images without a label, or renumber the labels.",
    ),
    "label beyond classes": (
        bad(labels=numbers() + 1, classes=("a", "b")),
        "train labels must be below 2, the number of classes, got 2 for image 1 (2 in all). "
        "Number the classes from 0, or name more classes.",
    ),
    "test label beyond classes": (
        bad(test=(grey(), numbers() + 5), classes=("a", "b")),
        "test labels must be below 2, the number of classes, got 5 for image 0 (4 in all). "
        "Number the classes from 0, or name more classes.",
    ),
    "unseen test labels": (
        bad(labels=numbers() * 2, test=(grey(), torch.arange(4))),
        "test labels must occur in the train labels, got the unseen 1, 3 (first in image 1). Add "
        "training images of these classes, or name all classes with classes=(…).",
    ),
    "classes a str": (bad(classes="ab"), CLASSES.format("'ab'")),
    "no classes": (bad(classes=()), CLASSES.format("()")),
    "classes numbers": (bad(classes=[0, 1]), CLASSES.format("[0, 1]")),
    "other size": (
        bad(test=(grey(h=7), numbers())),
        "test images must have the shape of the train images, got (1, 7, 6) and (1, 5, 6). "
        "Resize one of them.",
    ),
    "other dtype": (
        bad(test=(grey().float(), numbers())),
        "test images must have the dtype of the train images, got float32 and uint8. "
        "Convert one of them: uint8 values from 0 to 255 are floats from 0 to 1, times 255.",
    ),
    "all held out": (bad(holdout=4), HOLDOUT.format(4)),
    "negative holdout": (bad(holdout=-1), HOLDOUT.format(-1)),
    "share too small": (bad(holdout=0.1), HOLDOUT.format(0.1)),
    "share too large": (bad(holdout=0.9), HOLDOUT.format(0.9)),
    "share of 1": (bad(holdout=1.0), HOLDOUT.format(1.0)),
    "share of NaN": (bad(holdout=float("nan")), HOLDOUT.format("nan")),
    "holdout bool": (bad(holdout=True), HOLDOUT.format(True)),
    "holdout str": (bad(holdout="half"), HOLDOUT.format("'half'")),
    "augment": (
        bad(augment="rotate"),
        "augment must be one of 'none', 'shift', 'flip', 'shift+flip', got 'rotate'. "
        'Use "shift" for small greyscale images, "shift+flip" for photographs.',
    ),
    "name": (
        lambda: load_data("imagenet"),
        "name must be one of 'fashion-mnist', 'mnist', 'kmnist', 'cifar10', 'cifar100', 'svhn', "
        "got 'imagenet'. For other data use ImageData.from_tensors, from_dataset or from_folder.",
    ),
    "split": (
        lambda: small().batch("valid", torch.arange(2)),  # pyright: ignore
        "split must be one of 'train', 'test', 'holdout', got 'valid'.",
    ),
    "no holdout": (
        lambda: small().batch("holdout", torch.arange(2)),
        "split must be train or test because no images are held out, got 'holdout'. "
        "To hold out a tenth of the training images, make the data with holdout=0.1.",
    ),
    "index": (
        lambda: small().batch("train", torch.ones(40, dtype=torch.bool)),
        "index must be an int64 tensor of the shape (b,), got torch.bool of the shape (40,). "
        "Use torch.arange(b), or the rows from BatchOrder.next().",
    ),
    "index of Python": (
        lambda: small().batch("train", [0, 1]),  # pyright: ignore
        "index must be an int64 tensor of the shape (b,), got list. "
        "Use torch.arange(b), or the rows from BatchOrder.next().",
    ),
    "normalise": (
        lambda: small().normalise(torch.zeros(1, 3, 5, 6)),
        "images must be torch.uint8 like the data, got torch.float32. "
        "Convert them: uint8 values from 0 to 255 are floats from 0 to 1, times 255.",
    ),
    "no rows": (
        lambda: BatchOrder(0, 4, 0),
        "n must be a whole number of at least 1, got 0. Use for example n=1.",
    ),
    "batch size": (
        lambda: BatchOrder(4, 2.5, 0),  # pyright: ignore
        "batch_size must be a whole number of at least 1, got 2.5. Use for example batch_size=1.",
    ),
    "seed": (
        lambda: BatchOrder(4, 2, -1),
        "seed must be a whole number of at least 0, got -1. Use for example seed=1.",
    ),
    "state": (
        lambda: BatchOrder(4, 2, 0).load_state_dict({"seed": 0}),
        "drawn must be a whole number of at least 0, got None. Use for example drawn=1.",
    ),
}


@pytest.mark.parametrize(("call", "words"), BAD.values(), ids=BAD.keys())
def test_bad_input(call: Callable[[], Any], words: str) -> None:
    assert message_of(call) == words


@pytest.mark.parametrize(
    "shape",
    [(28, 28, 3), (28, 32, 3), (32, 28, 1), (64, 48, 4), (5, 6, 3), (8, 100, 2), (100, 5, 1)],
)
def test_channels_last_is_refused_in_every_shape(shape: tuple[int, int, int]) -> None:
    images = torch.zeros(4, *shape)
    said = message_of(bad(images=images, test=(images, numbers())))
    assert said == (
        "train images must have the shape (n, channels, height, width), got "
        f"{(4, *shape)}, which has the channels last. Reorder them: images.permute(0, 3, 1, 2). If "
        f"the images really have {shape[0]} channels and a width of {shape[2]}, swap height and "
        "width: images.transpose(2, 3)."
    )
    for advised in (images.permute(0, 3, 1, 2), images.transpose(2, 3)):
        data = ImageData.from_tensors((advised, numbers()), (advised, numbers()), device="cpu")
        assert data.shape == advised.shape[1:]


@pytest.mark.parametrize(
    "shape", [(3, 28, 28), (1, 28, 3), (4, 5, 1), (3, 3, 3), (16, 4, 4), (64, 1, 1), (9, 1, 128)]
)
def test_channels_first_is_taken(shape: tuple[int, int, int]) -> None:
    images = torch.zeros(4, *shape)
    data = ImageData.from_tensors((images, numbers()), (images, numbers()), device="cpu")
    assert data.shape == shape


# --- good tensors --------------------------------------------------------------------------------


def test_uint8_images_stay_and_are_normalised_in_batches() -> None:
    data = small()
    assert data.train.images.dtype == torch.uint8
    index = torch.tensor([7, 0, 7])
    images, labels = data.batch("train", index)
    unit = data.train.images.double() / 255
    mean, std = unit.mean((0, 2, 3)), unit.std((0, 2, 3), correction=0)
    expected = (unit[index] - mean[:, None, None]) / std[:, None, None]
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, expected.float())
    assert labels.tolist() == [1, 0, 1]
    torch.testing.assert_close(data.mean.flatten(), mean.float())
    torch.testing.assert_close(data.std.flatten(), std.float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.01, -2.0), (30.0, 1000.0)])
def test_float_images_are_kept_in_their_own_range(
    dtype: torch.dtype, scale: float, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "CHUNK", 100)  # several parts, the last of them smaller
    generator = torch.Generator().manual_seed(0)
    images = (torch.randn(7, 2, 5, 6, generator=generator) * scale + offset).to(dtype)
    before = images.clone()
    data = ImageData.from_tensors((images, numbers(7)), (images, numbers(7)), device="cpu")
    assert data.train.images.dtype == torch.float32
    exact = images.double()
    mean, std = exact.mean((0, 2, 3)), exact.std((0, 2, 3), correction=0)
    torch.testing.assert_close(data.mean.flatten(), mean.float())
    torch.testing.assert_close(data.std.flatten(), std.float(), rtol=1e-5, atol=0)
    batch, _ = data.batch("test", torch.arange(7))
    assert batch.mean((0, 2, 3)).abs().max() < 1e-3
    assert (batch.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-3
    torch.testing.assert_close(data.normalise(images.float()), batch)
    assert torch.equal(images, before)
    assert torch.equal(data.train.images, before.float())


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7, 1e-38])
def test_constant_channels_become_zero(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "CHUNK", 1)  # many sums, so that the mean is rounded
    images = torch.full((7, 2, 5, 6), value)
    images[:, 1] = torch.arange(30).view(5, 6)
    data = ImageData.from_tensors((images, numbers(7)), (images, numbers(7)), device="cpu")
    assert data.std.flatten()[0] == 1
    assert data.batch("train", torch.arange(7))[0][:, 0].abs().max() <= 1e-7 * abs(value)


def test_arrays_and_small_integer_labels_are_taken() -> None:
    images, labels = grey().numpy(), numbers().to(torch.int16).numpy()
    images.flags.writeable = False
    data = ImageData.from_tensors((images, labels), (images[::-1], labels), device="cpu")
    assert torch.equal(data.test.images, grey().flip(0))
    assert data.train.labels.dtype == torch.int64
    assert data.classes == ("0", "1")


def test_named_classes_need_not_all_be_seen() -> None:
    data = ImageData.from_tensors(
        (grey(), numbers()), (grey(), numbers() + 1), classes=["a", "b", "c"], device="cpu"
    )
    assert (data.classes, data.n_classes) == (("a", "b", "c"), 3)


@pytest.mark.parametrize(("holdout", "size"), [(0, 0), (7, 7), (0.25, 10), (39, 39)])
def test_holdout_is_a_fixed_part_of_train(holdout: int | float, size: int) -> None:
    first, second = small(holdout=holdout), small(holdout=holdout)
    held = [] if first.holdout is None else [image.tolist() for image in first.holdout.images]
    assert (len(held), len(first.train), len(first.test)) == (size, 40 - size, 10)
    together = held + [image.tolist() for image in first.train.images]
    assert sorted(together) == sorted(grey(40, c=3).tolist())
    if first.holdout and second.holdout:
        assert torch.equal(first.holdout.images, second.holdout.images)
        images, labels = first.batch("holdout", torch.arange(size))
        assert torch.equal(images, first.normalise(first.holdout.images))
        assert torch.equal(labels, first.holdout.labels)


def test_a_name_is_text() -> None:
    pair = (grey(), numbers())
    wrong: Any = 3
    assert message_of(lambda: ImageData.from_tensors(pair, pair, name=wrong), TypeError) == (
        'name must be text (str), got int. Use for example name="mine".'
    )
    assert message_of(lambda: ImageData.from_tensors(pair, pair, name="a\ud800")) == (
        "name must be text of whole characters, got 'a\\ud800', whose character 2 is half of one "
        "or a byte of a file's name. Write it again."
    )


def test_reprs_are_short() -> None:
    data = small(holdout=0.25, name="mine")
    assert repr(data) == (
        "ImageData('mine': 30 train + 10 holdout + 10 test images 3x5x6 uint8, 2 classes, on cpu)"
    )
    assert repr(data.test) == "Split(10 images 3x5x6 uint8)"
