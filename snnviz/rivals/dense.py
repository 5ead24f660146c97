"""The baseline: the task network alone, for as many examples, or for those of the switcher too."""

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
    """Every neuron stays on, and the switcher's steps are spent on the task network as well."""
    trainer = start.trainer(schedule=start.alone)
    batches = trainer.batches_per_epoch
    steps = all_steps(start.schedule, batches)
    trainer.schedule = start.alone.replace(epochs=math.ceil(steps / batches))
    trainer.run(progress=False)
    return trainer


def all_steps(schedule: Schedule, batches: int) -> int:
    """Task and switcher steps of a whole run."""
    at = Position()
    while at.epoch < schedule.epochs:
        at = schedule.after(at, batches)
    return at.step
