"""What a network predicts for each image of a split, and how often it is right, class by class."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnviz.data import SplitName
from snnviz.training.evaluation import score_images, score_parts
from snnviz.training.trainer import AlternatingTrainer


@dataclass(frozen=True)
class Predictions:
    """The class scores of all images of a split.

    Attributes:
        classes: their names.
        labels: (images,) int64: the true classes.
        scores: (images, classes) float32: the highest one is the prediction.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(images,) int64: the class with the highest score."""
        return self.scores.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of the images classified correctly (0 to 1)."""
        return float((self.predicted == self.labels).mean())

    @property
    def confusion(self) -> np.ndarray:
        """(classes, classes) int64: images by true class (rows) and predicted class (columns)."""
        n = len(self.classes)
        pairs = self.labels * n + self.predicted
        return np.bincount(pairs, minlength=n * n).reshape(n, n)

    @property
    def class_accuracy(self) -> np.ndarray:
        """(classes,) share of each class classified correctly; NaN for a class without images."""
        counts = self.confusion
        images = counts.sum(axis=1)
        return np.divide(
            counts.diagonal(), images, out=np.full(len(images), np.nan), where=images > 0
        )


def predict(trainer: AlternatingTrainer, split: SplitName = "test") -> Predictions:
    """Class scores of every image of a split, with the current factors.

    Raises:
        ValueError: the data has no such split.

    >>> predict(trainer).confusion  # doctest: +SKIP
    """
    return _predictions(trainer, split, score_images(trainer.logits, trainer.data, split))


def predict_in_parts(
    trainer: AlternatingTrainer, split: SplitName = "test", size: int = 200
) -> Iterator[Predictions | None]:
    """The same, some images at a time: None after each part, and last the predictions.

    Args:
        trainer: must not go on meanwhile.
        split: the split to predict.
        size: images in a part.
    """
    parts = []
    for part in score_parts(trainer.logits, trainer.data, split, size):
        parts.append(part)
        yield None
    yield _predictions(trainer, split, torch.cat(parts))


def _predictions(trainer: AlternatingTrainer, split: SplitName, scores: Tensor) -> Predictions:
    labels = getattr(trainer.data, split).labels.cpu().numpy()
    return Predictions(tuple(trainer.data.classes), labels.astype(np.int64), scores.numpy())
