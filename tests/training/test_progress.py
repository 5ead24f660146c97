"""The bar that training shows."""

import pytest

from tests.reference import own
from tests.training.test_trainer import QUICK, trainer


@pytest.mark.parametrize("task_steps", [1, 2, 3, 4, 5])
def test_a_bar_that_has_ended_is_full(task_steps: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The number of steps is known to within a round only."""
    plan = QUICK.replace(epochs=2, warmup_epochs=0, freeze_epochs=0, task_steps=task_steps)
    made = trainer(own(), plan)
    made.run(progress=True)
    last = capsys.readouterr().err.split("\r")[-1]
    steps = made.position.step
    assert f" {steps}/{steps} [" in last
    assert last.startswith("100%")
