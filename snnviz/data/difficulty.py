"""The same images as another task: fewer classes, pixel noise, fewer images to learn from."""

from dataclasses import replace

import torch
from torch import Tensor

from snnviz.checks import whole
from snnviz.data import pixels
from snnviz.data.images import ImageData, Split

_DRAWS = {"classes": 0, "share": 1, "noise": 2}  # each draws from a generator of its own


def harder(
    data: ImageData,
    classes: int | None = None,
    noise: float = 0.0,
    share: float = 1.0,
    seed: int = 0,
) -> ImageData:
    """The images of `data`, or some of them, as another task.

    Args:
        data: stays as it is.
        classes: so many of its classes, drawn by `seed`, in their order; None: all.
        noise: standard deviation of normal noise on every pixel of all splits, in units of the
            range from black to white (of 1 for floating point images); drawn once, by `seed`.
        share: of the training images that are kept, drawn by `seed` evenly from each class.

    Raises:
        ValueError: a number is not allowed, or too few training images would be left.
    """
    _check(data, classes, noise, share)
    kept = torch.arange(data.n_classes)
    if classes is not None:
        kept = torch.randperm(data.n_classes, generator=_generator(seed, "classes"))
        kept = kept[:classes].sort().values
    splits: dict[str, Split | None] = {}
    for i, name in enumerate(("train", "test", "holdout")):
        split: Split | None = getattr(data, name)
        if split is not None:
            split = split.to(torch.device("cpu"))
            if classes is not None:
                split = _of_classes(split, kept)
            if name == "train" and share < 1:
                split = _thinned(split, share, _generator(seed, "share"))
            if noise > 0:
                split = Split(
                    _noisy(split.images, noise, _generator(seed, "noise", i)), split.labels
                )
        splits[name] = split
    train = splits["train"]
    assert train is not None
    mean, std = pixels.moments(train.images)
    made = replace(
        data,
        **splits,
        classes=tuple(data.classes[k] for k in kept.tolist()),
        mean=mean,
        std=std,
        source=None,  # `load_data` would not give the same
    )
    return made.to(data.device)


def choosing(data: ImageData, again: bool = False) -> ImageData:
    """The held-out images in the test images' place, so that choices never see those.

    Args:
        data: stays as it is.
        again: hold out as many of the training images again, for switcher phases.

    Raises:
        ValueError: nothing is held out, or too little is left to hold out as many again.
    """
    if data.holdout is None:
        raise ValueError(
            "data must have a held-out split to choose by. "
            "Load it with one: load_data(name, holdout=5000)."
        )
    made = replace(data, test=data.holdout, holdout=None, source=None)
    if not again:
        return made
    count, total = len(data.holdout), len(data.train)
    if total - count < data.n_classes:
        raise ValueError(
            f"data must have training images left when {count} more of its {total} are held out. "
            "Hold out fewer."
        )
    order = torch.randperm(total, generator=torch.Generator().manual_seed(0))
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
                f"classes must be at most the {data.n_classes} that the data has, got {classes}."
            )
    for name, value, most in (("noise", noise, 10.0), ("share", share, 1.0)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= most:
            raise ValueError(f"{name} must be a number from 0 to {most:g}, got {value!r}.")
    if share * len(data.train) < data.n_classes:
        raise ValueError(
            f"share must leave at least an image for each class, got {share:g} "
            f"of {len(data.train)} training images. Keep more of them."
        )


def _of_classes(split: Split, kept: Tensor) -> Split:
    """The images of these classes, whose labels count from 0."""
    rows = torch.isin(split.labels, kept)
    return Split(split.images[rows], torch.searchsorted(kept, split.labels[rows]))


def _thinned(split: Split, share: float, generator: torch.Generator) -> Split:
    order = torch.randperm(len(split), generator=generator)
    chosen = []
    for label in split.labels.unique().tolist():
        rows = order[split.labels[order] == label]
        chosen.append(rows[: max(1, round(share * len(rows)))])
    rows = torch.cat(chosen).sort().values
    return Split(split.images[rows], split.labels[rows])


def _noisy(images: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(images.shape, generator=generator)
    if images.dtype == torch.uint8:
        return images.float().add_(drawn.mul_(255 * noise)).round_().clamp_(0, 255).to(torch.uint8)
    return images + noise * drawn


def _generator(seed: int, use: str, split: int = 0) -> torch.Generator:
    number = (seed * len(_DRAWS) + _DRAWS[use]) * 3 + split
    return torch.Generator().manual_seed(number)
