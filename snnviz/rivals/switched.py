"""The method itself, and three controls that test whether reading the weights helps."""

from dataclasses import replace

from snnviz.rivals.start import Start, check_setting
from snnviz.training.trainer import AlternatingTrainer


def switched(start: Start) -> AlternatingTrainer:
    """The switcher reads the weights."""
    trainer = start.trainer()
    trainer.run(progress=False)
    return trainer


def shuffled(start: Start) -> AlternatingTrainer:
    """The switcher reads the weights of another neuron, drawn once for each neuron."""
    return _reading(start, "shuffled")


def random_features(start: Start) -> AlternatingTrainer:
    """The switcher reads random numbers that never change."""
    return _reading(start, "random")


def free(start: Start, lr: float = 1.0) -> AlternatingTrainer:
    """No switcher: each neuron has its own score, with `lr` times the switcher's learning rate."""
    times = check_setting("lr", lr, 0.0)
    plain = replace(start.switcher, reads="nothing", outgoing=False, attention=False)
    schedule = start.schedule.replace(switcher_lr=times * start.schedule.switcher_lr)
    trainer = start.trainer(switcher=plain, schedule=schedule)
    trainer.run(progress=False)
    return trainer


def _reading(start: Start, what: str) -> AlternatingTrainer:
    trainer = start.trainer(switcher=replace(start.switcher, reads=what))
    trainer.run(progress=False)
    return trainer
