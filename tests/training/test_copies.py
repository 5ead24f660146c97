"""Copies of a network from which another trainer can begin."""

import pytest
import torch

from snnviz.training import TrainingStopped
from snnviz.training.copies import copy_network
from tests.training.test_trainer import go, trainer


def test_a_copy_has_the_weights_of_now() -> None:
    made = trainer()
    go(made, 3)
    copy = copy_network(made.network, made.epoch_end)
    for mine, its in zip(made.network.parameters(), copy.parameters(), strict=True):
        assert torch.equal(mine, its)
        assert mine is not its


def test_a_run_that_diverged_is_branched_off_from_an_earlier_epoch() -> None:
    made = trainer()
    made.run(1, progress=False)
    made.schedule = made.schedule.replace(epochs=3, task_lr=1e30)
    with pytest.raises(TrainingStopped):
        made.run(progress=False)
    assert not all(p.isfinite().all() for p in made.network.parameters())
    other = made.branch(made.epoch_end)
    assert other.position.epoch == 1
    for name, tensor in made.epoch_end["network"].items():
        assert torch.equal(tensor, other.network.state_dict()[name])
