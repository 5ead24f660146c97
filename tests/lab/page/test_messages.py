"""What the lab says of training."""

import pytest

from snnviz.lab.page.messages import _describe_chance


@pytest.mark.parametrize(
    ("loss", "accuracy", "said"), [(2.303, 0.1, True), (1.2, 0.6, False), (3.0, 0.7, False)]
)
def test_no_better_than_a_guess(loss: float, accuracy: float, said: bool) -> None:
    last = {"epoch": 2, "test_loss": loss, "test_accuracy": accuracy}
    assert bool(_describe_chance(last, 10)) == said
    assert _describe_chance({}, 10) == ""
