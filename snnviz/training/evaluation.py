"""Loss, accuracy and class scores on a split of the data."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from snnviz import checks, distributed
from snnviz.data import ImageData, SplitName
from snnviz.training.records import Evaluation

_BATCH = 1000
_HOLD_OUT = "To hold out some images, use load_data(name, holdout=5000)."


@torch.no_grad()
def evaluate(
    logits: Callable[[Tensor], Tensor],
    data: ImageData,
    split: SplitName,
    own: int = 0,
    processes: int = 1,
) -> Evaluation:
    """Loss and accuracy of a network's class scores.

    Args:
        logits: maps images to class scores.
        data: the images.
        split: the split to evaluate on.
        own: this process's number, if several evaluate together.
        processes: number of processes; each evaluates some images, and all get the full result.
    """
    sums, n = [], count_images(data, split)
    for index in torch.arange(n)[own::processes].split(_BATCH):
        images, labels = data.batch(split, index)
        scores = logits(images)
        right = (scores.argmax(1) == labels).sum().float()
        sums.append(torch.stack([F.cross_entropy(scores, labels, reduction="sum"), right]))
    total = torch.stack(sums).cpu().double().sum(0)  # (2,)
    if processes > 1:
        total = distributed.total(total)
    loss, accuracy = (total / n).tolist()
    return Evaluation(loss, accuracy)


def score_images(logits: Callable[[Tensor], Tensor], data: ImageData, split: SplitName) -> Tensor:
    """Class scores (images, classes) of a whole split, as float32 on the CPU."""
    return torch.cat(list(score_parts(logits, data, split)))


@torch.no_grad()
def score_parts(
    logits: Callable[[Tensor], Tensor], data: ImageData, split: SplitName, size: int = _BATCH
) -> Iterator[Tensor]:
    """The same in parts, each of `size` images or fewer, in order."""
    for index in torch.arange(count_images(data, split)).split(size):
        yield logits(data.batch(split, index)[0]).float().cpu()


def count_images(data: ImageData, split: SplitName) -> int:
    """The number of images of a split.

    Raises:
        ValueError: the data has no such split.
    """
    there = [name for name in ("train", "test", "holdout") if getattr(data, name) is not None]
    advice = "" if "holdout" in there else _HOLD_OUT
    checks.one_of("split", split, there, advice if split == "holdout" else "")
    return len(getattr(data, split))
