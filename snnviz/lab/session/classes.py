"""What the network predicts for the test images, to see which classes are taken for which."""

from dataclasses import dataclass

from snnviz.training import AlternatingTrainer, Predictions, predict


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


def predict_classes(trainer: AlternatingTrainer) -> Classes:
    """As the network is now, with the factors in use."""
    at = trainer.position
    ended = at.step > 0 and at == trainer.epoch_end["position"]
    moment = f"after epoch {at.epoch}" if ended else f"at step {at.step}"
    return Classes(predict(trainer), at.step, moment)
