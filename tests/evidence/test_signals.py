"""Gradients of switcher phases, and how far successive ones agree."""

import numpy as np
import pytest
import torch

from snnviz.evidence import phase_cosines, phase_gradients
from snnviz.runs import Trainer
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule
from tests.helpers import message_of
from tests.reference import own, tiny_data

PLAN = Schedule(epochs=3, batch_size=20, task_steps=2, switcher_steps=2)


def trainer(reads: str = "descriptors", **plan: float) -> Trainer:
    config, schedule = SwitcherConfig(reads=reads), PLAN.replace(**plan)
    torch.manual_seed(0)
    return Trainer(own(), tiny_data(), schedule, config, precision="float32")


@pytest.mark.parametrize("reads", ["descriptors", "nothing"])
def test_the_sum_of_each_phases_gradients(reads: str) -> None:
    # Plain descent with a rate of 1: the gradients of a phase are what the parameters lose in it.
    plan = {"switcher_optimizer": "sgd", "switcher_momentum": 0.0, "switcher_decay": "constant"}
    made = trainer(reads, switcher_lr=1.0, switcher_clip=1e6, **plan)  # type: ignore[arg-type]
    again = trainer(reads, switcher_lr=1.0, switcher_clip=1e6, **plan)  # type: ignore[arg-type]
    found = phase_gradients(made)
    assert made.finished
    assert found.shape[1] == sum(p.numel() for p in made.switcher.parameters())
    states = []
    for record in again:
        now = torch.cat([p.detach().flatten() for p in again.switcher.parameters()])
        if record.phase == "task" and (not states or not torch.equal(states[-1], now)):
            states.append(now)
    if not torch.equal(states[-1], now):
        states.append(now)
    assert len(states) - 1 == len(found) > 1
    for before, after, gradient in zip(states, states[1:], found, strict=False):
        np.testing.assert_allclose(gradient, before - after, atol=1e-6)
    assert np.abs(found).max() > 1e-3


def test_without_gradients() -> None:
    said = (
        "the trainer must have switcher phases with gradients, got none. Use a schedule with "
        "switcher_steps and switcher_lr above 0, and more epochs than warm-up epochs."
    )
    for plan in ({"switcher_lr": 0.0}, {"switcher_steps": 0}):
        assert message_of(lambda plan=plan: phase_gradients(trainer(**plan))) == said


def test_cosines_of_neighbours() -> None:
    gradients = np.array([[1.0, 0], [2, 0], [0, 3], [0, -1], [0, 0]])
    found = phase_cosines(gradients)
    np.testing.assert_allclose(found, [1, 0, -1, np.nan])
    np.testing.assert_allclose(phase_cosines(gradients, 3), [0, np.nan])
    for lag in (0, 5, 1.0):
        assert message_of(lambda lag=lag: phase_cosines(gradients, lag)) == (
            f"lag must be a whole number from 1 to 4, for there are 5 phases, got {lag}."
        )


def test_the_mean_is_the_signals_share(rng: np.random.Generator) -> None:
    signal = rng.normal(size=400)
    noise = rng.normal(size=(300, 400)) * np.sqrt(3)
    mean = phase_cosines(signal + noise).mean()
    assert mean == pytest.approx(0.25, abs=0.02)
    assert phase_cosines(noise).mean() == pytest.approx(0, abs=0.02)
    turning = np.cos(np.arange(300) / 10)[:, None] * signal  # a signal that does not last
    assert phase_cosines(turning).mean() > 0.9
    assert abs(phase_cosines(turning, 47).mean()) < 0.2 or phase_cosines(turning, 31).mean() < 0
