"""Runs that were never trained, but look as if they had been."""

import numpy as np

from snnviz.history import History
from snnviz.lab.session.classes import Classes
from snnviz.lab.session.status import Status
from snnviz.training import Position, Predictions, Schedule

GROUPS = {"conv1": 20, "conv2": 50, "fc1": 300}
STEPS = 50  # an epoch, every fifth of the switcher


def pretended_run(epochs: int, seed: int = 0) -> History:
    """Accuracy rises and settles, neurons go off one after another, and a few come back."""
    rng, history = np.random.default_rng(seed), History(GROUPS)
    strengths = {group: np.ones(n) for group, n in GROUPS.items()}
    for epoch in range(1, epochs + 1):
        for i in range(STEPS):
            step = (epoch - 1) * STEPS + i + 1
            accuracy = 0.92 - 0.5 * np.exp(-step / 60) + rng.normal(0, 0.02)
            history.add_step(
                step=step,
                epoch=epoch,
                phase="task" if i % 5 < 4 else "switcher",
                loss=1.1 - accuracy,
                accuracy=accuracy,
                lr=0.05,
            )
        factors = {}
        for group, n in GROUPS.items():
            strengths[group] += rng.normal(0, 0.001 * n, n) * (epoch > 1)
            kept = np.maximum(strengths[group], 0)
            factors[group] = kept * n / kept.sum()
        on = sum(int((values > 0).sum()) for values in factors.values())
        test = 0.915 - 0.25 * np.exp(-epoch / 1.5) + rng.normal(0, 0.002)
        history.add_epoch(
            factors,
            epoch=epoch,
            step=epoch * STEPS,
            train_loss=0.3,
            train_accuracy=0.9,
            test_loss=1.1 - test,
            test_accuracy=test,
            neurons_on=on,
            neurons=sum(GROUPS.values()),
            parameters=900 * on,
            macs=6300 * on,
            seconds=5,
        )
        if epoch == 3:
            history.add_event(
                epoch=4, step=epoch * STEPS, event="schedule", detail="task_lr: 0.05 → 0.01"
            )
    return history


def pretended_classes(seed: int = 0) -> Classes:
    """30 images of each of three classes, some of which are taken for another."""
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(3), 30)
    scores = rng.normal(0, 1, (90, 3)).astype(np.float32)
    scores[np.arange(90), labels] += 1.5
    predictions = Predictions(("bag", "coat", "shirt"), labels, scores)
    return Classes(predictions, 50 * seed, "after epoch 4")


def idle_status(step: int = 0, epoch: int = 0, generation: int = 0) -> Status:
    """A session that waits."""
    return Status(
        activity="idle",
        position=Position(step=step, epoch=epoch),
        schedule=Schedule(epochs=20),
        planned=Schedule(epochs=20),
        batches_per_epoch=40,
        seconds_per_step=None,
        records={},
        generation=generation,
        handled=0,
        factors={group: np.ones(n, np.float32) for group, n in GROUPS.items()},
        pins={},
        forkable=frozenset(),
    )
