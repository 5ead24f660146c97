"""Augmentation, on every device and without waiting for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from snnviz.data import BatchOrder, pixels
from tests.data.examples import grey, small


def slow_augmented(images: Tensor, draws: Tensor) -> Tensor:
    """One image at a time: pad, crop, mirror."""
    h, w = images.shape[2:]
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    crops = []
    for image, (down, right, flip) in zip(padded, draws.T.tolist(), strict=True):
        crop = image[:, down : down + h, right : right + w]
        crops.append(crop.flip(2) if flip else crop)
    return torch.stack(crops)


@given(
    b=st.integers(1, 5),
    c=st.integers(1, 3),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    augment=st.sampled_from(["shift", "flip", "shift+flip"]),
    seed=st.integers(0, 1000),
)
def test_augmented_equals_one_at_a_time(
    b: int, c: int, h: int, w: int, augment: str, seed: int
) -> None:
    images = grey(b, h, w, c) + 1
    draws = pixels.draw_augmentation(b, augment, torch.Generator().manual_seed(seed))
    assert torch.equal(pixels.augment_images(images, draws), slow_augmented(images, draws))


@pytest.mark.parametrize(
    ("augment", "offsets", "flips"),
    [("shift", set(range(9)), {0}), ("flip", {4}, {0, 1}), ("shift+flip", set(range(9)), {0, 1})],
)
def test_draws_cover_what_augment_says(augment: str, offsets: set[int], flips: set[int]) -> None:
    down, right, flip = pixels.draw_augmentation(
        1000, augment, torch.Generator().manual_seed(0)
    ).tolist()
    assert (set(down), set(right), set(flip)) == (offsets, offsets, flips)
    assert len(offsets) == 1 or down != right


def test_only_training_batches_with_a_generator_are_augmented() -> None:
    plain, data = small(holdout=5), small(holdout=5, augment="shift+flip")
    index = torch.arange(5)

    def images(split: Any, seed: int | None) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return data.batch(split, index, generator)[0]

    assert not torch.equal(images("train", 0), plain.batch("train", index)[0])
    assert torch.equal(images("train", 0), images("train", 0))
    assert not torch.equal(images("train", 0), images("train", 1))
    assert torch.equal(images("train", None), plain.batch("train", index)[0])
    assert torch.equal(images("test", 0), plain.batch("test", index)[0])
    assert torch.equal(images("holdout", 0), plain.batch("holdout", index)[0])
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert torch.equal(plain.batch("train", index, generator)[0], images("train", None))
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("augment", ["none", "shift", "flip", "shift+flip"])
def test_batches_on_meta(augment: str) -> None:
    data = small(holdout=5, augment=augment).to("meta")
    order = BatchOrder(len(data.train), 8, 0)
    assert data.device == data.mean.device == torch.device("meta")
    for split in ("train", "test", "holdout"):
        images, labels = data.batch(split, *order.next())
        assert (images.shape, images.dtype) == ((8, 3, 5, 6), torch.float32)
        assert (labels.shape, labels.dtype) == ((8,), torch.int64)
        assert images.device == labels.device == torch.device("meta")


@pytest.mark.parametrize("augment", ["none", "shift+flip"])
def test_batches_never_read_from_the_device(augment: str) -> None:
    """Under fake tensors on cuda a value that is read raises, and so does a stray CPU tensor."""
    data = small(augment=augment)
    with FakeTensorMode(allow_non_fake_inputs=True):
        data = data.to("cuda")
        images, labels = data.batch("train", torch.arange(8), torch.Generator().manual_seed(0))
        assert (images.device.type, labels.device.type) == ("cuda", "cuda")
        assert images.shape == (8, 3, 5, 6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_do_not_wait_for_cuda_and_agree_with_the_cpu() -> None:
    cpu = small(augment="shift+flip")
    data = cpu.to("cuda")
    order, again = BatchOrder(40, 16, 0), BatchOrder(40, 16, 0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        images, labels = data.batch("train", *order.next())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected, expected_labels = cpu.batch("train", *again.next())
    torch.testing.assert_close(images.cpu(), expected)
    assert torch.equal(labels.cpu(), expected_labels)
