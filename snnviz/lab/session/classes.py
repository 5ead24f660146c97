"""What the network predicts for the test images, to see which classes are taken for which."""

from collections.abc import Iterator
from dataclasses import dataclass

from snnviz.training import AlternatingTrainer, Predictions
from snnviz.training.predictions import predict_in_parts


@dataclass(frozen=True)
class Classes:
    """Predictions, and when they were made.

    Attributes:
        step: steps that were done.
        moment: the same in words.
    """

    predictions: Predictions
    step: int
    moment: str


def classify(trainer: AlternatingTrainer) -> Iterator[Classes | None]:
    """As the network is now, with the factors in use: None after some images each, then `Classes`.

    Of a large network this may take minutes, so whoever has something more urgent may leave off.
    """
    at = trainer.position
    ended = at.step > 0 and at == trainer.epoch_end["position"]
    moment = f"after epoch {at.epoch}" if ended else f"at step {at.step}"
    for found in predict_in_parts(trainer):
        yield found and Classes(found, at.step, moment)
