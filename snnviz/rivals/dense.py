"""The baseline: the task network alone, with its own steps, or with the switcher's as well."""

import math

from snnviz.rivals.start import Start
from snnviz.training.schedule import Position, Schedule
from snnviz.training.trainer import AlternatingTrainer


def dense(start: Start) -> AlternatingTrainer:
    """Every neuron stays on."""
    trainer = start.trainer(schedule=start.alone)
    trainer.run(progress=False)
    return trainer


def dense_longer(start: Start) -> AlternatingTrainer:
    """Every neuron stays on, and the task network also takes the switcher's steps."""
    trainer = start.trainer(schedule=start.alone)
    batches = trainer.batches_per_epoch
    steps = count_steps(start.schedule, batches)
    trainer.schedule = start.alone.replace(epochs=math.ceil(steps / batches))
    trainer.run(progress=False)
    return trainer


def count_steps(schedule: Schedule, batches: int) -> int:
    """Number of task and switcher steps in a whole run."""
    at = Position()
    while at.epoch < schedule.epochs:
        at = schedule.after(at, batches)
    return at.step
