"""Arrays and tensors of every kind give the same numbers, or an error that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from snnviz.data import ImageData
from tests.data.examples import grey, numbers
from tests.helpers import message_of

PIXELS = np.arange(120).reshape(4, 1, 5, 6)
ARRAYS = {
    "big-endian": PIXELS.astype(">f4"),
    "big-endian double": PIXELS.astype(">f8"),
    "little-endian": PIXELS.astype("<f4"),
    "long double": PIXELS.astype(np.longdouble),
    "half": PIXELS.astype(np.float16),
    "masked, nothing missing": np.ma.masked_array(PIXELS.astype(np.float32), mask=False),
    "Fortran order": np.asfortranarray(PIXELS.astype(np.float32)),
    "negative strides": PIXELS.astype(np.float32)[::-1][::-1],
    "subclass": PIXELS.astype(np.float32).view(np.recarray),
}


@pytest.mark.parametrize("images", ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays_keep_their_numbers(images: np.ndarray) -> None:
    data = ImageData.from_tensors((images, numbers()), (images, numbers()), device="cpu")
    assert torch.equal(data.train.images, torch.arange(120.0).view(4, 1, 5, 6))


@pytest.mark.parametrize("kind", ["u1", ">i2", "<u2", ">i4", "u4", ">i8", "u8"])
def test_labels_may_be_any_whole_numbers(kind: str) -> None:
    for labels in (np.array([0, 1, 2, 1]).astype(kind), np.array([0, 1, 2, 1]).astype(kind[-2:])):
        data = ImageData.from_tensors((grey(), labels), (grey(), labels), device="cpu")
        assert data.train.labels.tolist() == [0, 1, 2, 1]
        assert data.train.labels.dtype == torch.int64
    unsigned = torch.tensor([0, 1, 2, 1], dtype=torch.uint16)
    data = ImageData.from_tensors((grey(), unsigned), (grey(), unsigned), device="cpu")
    assert data.train.labels.tolist() == [0, 1, 2, 1]


def masked() -> np.ndarray:
    mask = np.zeros(PIXELS.shape, dtype=bool)
    mask[1, 0, :2] = True
    return np.ma.masked_array(PIXELS.astype(np.float32), mask=mask)


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "masked": (
        masked,
        "train images must have no missing values, got a masked array in which 12 of 120 values "
        "are masked. Remove these images, or fill the values: array.filled(0).",
    ),
    "sparse": (
        lambda: grey().float().to_sparse(),
        "train images must be an ordinary dense tensor, got a sparse one. Convert it with "
        ".to_dense().",
    ),
    "quantized": (
        lambda: torch.quantize_per_tensor(grey().float(), 1.0, 0, torch.quint8),
        "train images must be an ordinary dense tensor, got a quantized one. Convert it with "
        ".dequantize().",
    ),
    "complex": (
        lambda: PIXELS.astype(np.complex64),
        "train images must be a torch tensor or a NumPy array of numbers, got array of complex64. "
        "Convert first, for example with array.astype.",
    ),
    "objects": (
        lambda: PIXELS.astype(object),
        "train images must be a torch tensor or a NumPy array of numbers, got array of object. "
        "If all its items have the same shape: np.stack(list(array)).",
    ),
    "names": (
        lambda: PIXELS.astype(str),
        "train images must be a torch tensor or a NumPy array of numbers, got array of <U21. "
        "Number the names in both splits alike: names, numbers = np.unique(array, "
        "return_inverse=True), and pass classes=names.",
    ),
    "a column of pandas": (
        lambda: pd.Series([1, 2]),
        "train images must be a torch tensor or a NumPy array of numbers, got Series. "
        "Convert it first: .to_numpy().",
    ),
    "16 bits": (
        lambda: PIXELS.astype(">u2"),
        "train images must be uint8 or floating point, got uint16. Convert them: "
        "images.to(torch.uint8) for values from 0 to 255, otherwise images.float() (of an array: "
        'images.astype("uint8") or images.astype("float32")).',
    ),
}


@pytest.mark.filterwarnings("ignore:.*quantiz:UserWarning", "ignore:.*quantiz:DeprecationWarning")
@pytest.mark.parametrize(("images", "words"), BAD.values(), ids=BAD.keys())
def test_arrays_that_are_refused(images: Callable[[], Any], words: str) -> None:
    pair = images(), numbers()
    good = grey().float(), numbers()
    assert message_of(lambda: ImageData.from_tensors(pair, good, device="cpu")) == words


def test_tensors_made_in_inference_mode_can_be_trained_with() -> None:
    with torch.inference_mode():
        images, labels = torch.rand(4, 1, 5, 6), numbers()
    data = ImageData.from_tensors((images, labels), (images, labels), device="cpu")
    weight = torch.ones(30, 2, requires_grad=True)
    batch, targets = data.batch("train", torch.arange(4))
    torch.nn.functional.cross_entropy(batch.flatten(1) @ weight, targets).backward()
    assert weight.grad is not None
    assert torch.equal(data.train.images, images)
