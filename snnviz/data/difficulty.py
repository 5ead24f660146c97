"""Other tasks from the same images: fewer classes, pixel noise, fewer training images."""

from dataclasses import replace

import torch
from torch import Tensor

from snnviz.checks import number, whole
from snnviz.data import pixels
from snnviz.data.images import ImageData, Split
from snnviz.devices import MOST_SEED, check_seed, standard_settings

_DRAWS = {"classes": 0, "share": 1, "noise": 2}  # each uses its own generator


@standard_settings()
def harder(
    data: ImageData,
    classes: int | None = None,
    noise: float = 0.0,
    share: float = 1.0,
    seed: int = 0,
) -> ImageData:
    """Makes another task of the images of `data`, or of some of them.

    Args:
        data: is not changed.
        classes: number of classes to keep, chosen by `seed`, in their original order; None: all.
        noise: standard deviation of normal noise added to every pixel of all splits, where 1 is
            the range from black to white (or 1.0 for floating point images); drawn once.
        share: share of the training images to keep, chosen by `seed`, the same in each class.
        seed: of all three choices.

    Raises:
        ValueError: a number is not allowed, or too few training images would remain.
    """
    _check(data, classes, noise, share)
    seed = check_seed("seed", seed)
    kept = torch.arange(data.n_classes, device="cpu")
    if classes is not None:
        kept = torch.randperm(
            data.n_classes, generator=_make_generator(seed, "classes"), device="cpu"
        )
        kept = kept[:classes].sort().values
    splits: dict[str, Split | None] = {}
    for i, name in enumerate(("train", "test", "holdout")):
        split: Split | None = getattr(data, name)
        if split is not None:
            split = split.to(torch.device("cpu"))
            if classes is not None:
                split = _keep_classes(split, kept)
            if name == "train" and share < 1:
                split = _keep_share(split, share, _make_generator(seed, "share"))
            if noise > 0:
                split = Split(
                    _add_noise(split.images, noise, _make_generator(seed, "noise", i)), split.labels
                )
        splits[name] = split
    train = splits["train"]
    assert train is not None
    mean, std = pixels.measure_moments(train.images)
    made = replace(
        data,
        **splits,
        classes=tuple(data.classes[k] for k in kept.tolist()),
        mean=mean,
        std=std,
        source=None,  # `load_data` alone would not give these images
    )
    return made.to(data.device)


@standard_settings()
def choosing(data: ImageData, again: bool = False) -> ImageData:
    """Data whose held-out images replace the test images, so that choices never see the latter.

    Args:
        data: is not changed.
        again: hold out the same number of training images again, for switcher phases.

    Raises:
        ValueError: nothing is held out, or too few images remain to hold out the same number.
    """
    if data.holdout is None:
        raise ValueError(
            "data must have a held-out split, got none. "
            "Load it with one: load_data(name, holdout=5000)."
        )
    made = replace(data, test=data.holdout, holdout=None, source=None)
    if not again:
        return made
    count, total = len(data.holdout), len(data.train)
    if total - count < data.n_classes:
        raise ValueError(
            f"data must have at least one training image per class ({data.n_classes}) left when "
            f"{count} more are held out, got {total} in all. Hold out fewer."
        )
    order = torch.randperm(total, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    order = order.to(data.device)
    held, kept = (
        Split(data.train.images[rows], data.train.labels[rows])
        for rows in (order[:count].sort().values, order[count:].sort().values)
    )
    return replace(made, train=kept, holdout=held)


def _check(data: ImageData, classes: int | None, noise: float, share: float) -> None:
    if classes is not None:
        whole("classes", classes, 2)
        if classes > data.n_classes:
            raise ValueError(
                f"classes must be at most {data.n_classes}, the number of classes in the data, "
                f"got {classes}. Use a smaller number."
            )
    number("noise", noise, 0, 10)
    number("share", share, 0, 1)
    if share * len(data.train) < data.n_classes:
        raise ValueError(
            f"share must leave at least one training image per class, got {share:g} "
            f"of {len(data.train)} images for {data.n_classes} classes. Use a larger share."
        )


def _keep_classes(split: Split, kept: Tensor) -> Split:
    """The images of these classes, with labels renumbered from 0."""
    rows = torch.isin(split.labels, kept)
    return Split(split.images[rows], torch.searchsorted(kept, split.labels[rows]))


def _keep_share(split: Split, share: float, generator: torch.Generator) -> Split:
    order = torch.randperm(len(split), generator=generator, device="cpu")
    chosen = []
    for label in split.labels.unique().tolist():
        rows = order[split.labels[order] == label]
        chosen.append(rows[: max(1, round(share * len(rows)))])
    rows = torch.cat(chosen).sort().values
    return Split(split.images[rows], split.labels[rows])


def _add_noise(images: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(images.shape, generator=generator, dtype=torch.float32, device="cpu")
    if images.dtype == torch.uint8:
        return images.float().add_(drawn.mul_(255 * noise)).round_().clamp_(0, 255).to(torch.uint8)
    return images + noise * drawn


def _make_generator(seed: int, use: str, split: int = 0) -> torch.Generator:
    number = (seed * len(_DRAWS) + _DRAWS[use]) * 3 + split
    return torch.Generator("cpu").manual_seed(number % (MOST_SEED + 1))
