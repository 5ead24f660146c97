"""Class scores of a split, and which classes are taken for which, against one image at a time."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from snnviz.data import ImageData
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.training import Predictions, Schedule, predict
from tests.helpers import message_of


def count_pairs(labels: Sequence[int], scores: Sequence[Sequence[float]]) -> list[list[int]]:
    """Images by true class (rows) and the class with the highest score, one after the other."""
    classes = len(scores[0])
    counts = [[0] * classes for _ in range(classes)]
    for label, row in zip(labels, scores, strict=True):
        best = 0
        for k in range(classes):
            if row[k] > row[best]:
                best = k
        counts[int(label)][best] += 1
    return counts


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    """Three steps on 40 images, with 25 test images of which none is of the last class."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (65, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(65) % 4
    labels[40:] %= 3
    data = ImageData.from_tensors(
        (images[:40], labels[:40]), (images[40:], labels[40:]), device="cpu"
    )
    made = Trainer(network("mlp", data), data, Schedule(batch_size=20), device="cpu")
    for _ in range(3):
        made.step()
    return made


def test_predictions_are_those_of_one_image_at_a_time(trainer: Trainer) -> None:
    found = predict(trainer)
    n = len(trainer.data.test)
    assert found.scores.shape == (n, 4)
    for i in range(n):
        image, label = trainer.data.batch("test", torch.tensor([i]))
        alone = trainer.logits(image)[0].detach().numpy()
        np.testing.assert_allclose(found.scores[i], alone, atol=1e-5)
        assert found.labels[i] == int(label)
    assert found.accuracy == pytest.approx(trainer.evaluate().accuracy)


def test_each_split_can_be_asked_for(trainer: Trainer) -> None:
    assert len(predict(trainer, "train").labels) == 40
    assert message_of(lambda: predict(trainer, "holdout")) == message_of(
        lambda: trainer.evaluate("holdout")
    )


def test_confusion_against_a_loop(trainer: Trainer, rng: np.random.Generator) -> None:
    many = Predictions(
        ("a", "b", "c", "d", "e"), rng.integers(0, 4, 300), rng.random((300, 5), np.float32)
    )
    for found in (predict(trainer), many):
        counts = count_pairs(found.labels, found.scores)
        assert found.confusion.tolist() == counts
        for i, row in enumerate(counts):
            right = row[i] / sum(row) if sum(row) else np.nan
            np.testing.assert_equal(found.class_accuracy[i], right)
        assert found.accuracy == sum(r[i] for i, r in enumerate(counts)) / len(found.labels)
    assert np.isnan(many.class_accuracy[4])
