"""Harder and easier tasks of the same images."""

import re

import pytest
import torch

from snnviz.data import ImageData, choosing, harder


def data(holdout: int = 0, floats: bool = False) -> ImageData:
    """40 images of 5 classes whose pixels all say their class, and 20 to test on."""

    def split(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(n) % 5
        images = (40 * labels + 20).to(torch.uint8).view(n, 1, 1, 1).expand(n, 1, 4, 4)
        return (images.float() / 255 if floats else images.contiguous()), labels

    return ImageData.from_tensors(
        split(40), split(20), holdout=holdout, classes=list("abcde"), device="cpu"
    )


def test_nothing_asked_changes_nothing() -> None:
    plain, same = data(5), harder(data(5))
    for name in ("train", "test", "holdout"):
        assert torch.equal(getattr(plain, name).images, getattr(same, name).images)
        assert torch.equal(getattr(plain, name).labels, getattr(same, name).labels)
    assert torch.equal(plain.mean, same.mean)


@pytest.mark.parametrize("seed", range(5))
def test_fewer_classes(seed: int) -> None:
    few = harder(data(5), classes=2, seed=seed)
    assert few.n_classes == 2
    chosen = ["abcde".index(name) for name in few.classes]
    assert chosen == sorted(chosen)
    for split in (few.train, few.test, few.holdout):
        assert split is not None
        pixels = 40 * torch.tensor(chosen)[split.labels] + 20
        assert torch.equal(split.images[:, 0, 0, 0].long(), pixels)
    assert len(few.test) == 8
    assert few.mean.item() == pytest.approx(few.train.images.float().mean().item() / 255, rel=1e-5)


def test_the_seed_draws_the_classes() -> None:
    assert len({harder(data(), classes=2, seed=seed).classes for seed in range(20)}) > 4
    assert harder(data(), classes=3, seed=4).classes == harder(data(), classes=3, seed=4).classes


def test_fewer_images_evenly_from_each_class() -> None:
    few = harder(data(), share=0.25)
    assert few.train.labels.bincount().tolist() == [2] * 5
    assert len(few.test) == 20
    assert len(harder(data(), share=0.13).train) == 5  # at least one of each


@pytest.mark.parametrize("floats", [False, True])
def test_noise(floats: bool) -> None:
    def grey(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.full((n, 1, 20, 20), 0.5) if floats else torch.full((n, 1, 20, 20), 128)
        return images if floats else images.byte(), torch.arange(n) % 2

    many = ImageData.from_tensors(grey(100), grey(50), device="cpu")
    noisy = harder(many, noise=0.1)
    for split, plain in ((noisy.train, many.train), (noisy.test, many.test)):
        assert split.images.dtype == plain.images.dtype
        drawn = (split.images.float() - plain.images.float()) / (1 if floats else 255)
        assert drawn.std().item() == pytest.approx(0.1, rel=0.02)
        assert abs(drawn.mean().item()) < 0.002
    assert not torch.equal(noisy.train.images[:50], noisy.test.images)
    assert torch.equal(noisy.train.images, harder(many, noise=0.1).train.images)
    assert not torch.equal(noisy.train.images, harder(many, noise=0.1, seed=1).train.images)


def test_noise_stays_black_to_white() -> None:
    loud = harder(data(), noise=5.0).train.images
    assert {0, 255} <= set(loud.unique().tolist())
    assert (loud == 0).float().mean() > 0.3


def test_choosing_hides_the_test_images() -> None:
    held = data(10)
    chosen = choosing(held)
    assert held.holdout is not None
    assert torch.equal(chosen.test.images, held.holdout.images)
    assert chosen.holdout is None
    assert torch.equal(chosen.train.labels, held.train.labels)
    with pytest.raises(ValueError, match="must have a held-out split"):
        choosing(data())


def test_choosing_may_hold_out_as_many_again() -> None:
    held = data(10)
    chosen = choosing(held, again=True)
    assert held.holdout is not None
    assert chosen.holdout is not None
    assert torch.equal(chosen.test.images, held.holdout.images)
    assert (len(chosen.train), len(chosen.holdout)) == (len(held.train) - 10, 10)
    both = torch.cat([chosen.train.images, chosen.holdout.images]).flatten(1)
    assert sorted(both.tolist()) == sorted(held.train.images.flatten(1).tolist())
    with pytest.raises(
        ValueError, match=re.escape("(5) left when 20 more are held out, got 20 in all")
    ):
        choosing(data(20), again=True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"classes": 1},
            "classes must be a whole number of at least 2, got 1. Use for example classes=2.",
        ),
        (
            {"classes": 6},
            "classes must be at most 5, the number of classes in the data, got 6. "
            "Use a smaller number.",
        ),
        ({"noise": -0.1}, "noise must be a number from 0 to 10, got -0.1."),
        ({"noise": "much"}, "noise must be a number from 0 to 10, got 'much'."),
        ({"share": 1.5}, "share must be a number from 0 to 1, got 1.5."),
        (
            {"share": 0.1},
            "share must leave at least one training image per class, got 0.1 of 40 images for 5 "
            "classes. Use a larger share.",
        ),
    ],
)
def test_errors(asked: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        harder(data(), **asked)
