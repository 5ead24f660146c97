"""The method itself, and three controls that ask whether it helps to read the weights."""

from dataclasses import replace

from snnviz.rivals.start import Start, number
from snnviz.training import Trainer


def switched(start: Start) -> Trainer:
    """The switcher reads what describes each neuron."""
    trainer = start.trainer()
    trainer.run(progress=False)
    return trainer


def shuffled(start: Start) -> Trainer:
    """The switcher reads the descriptors of another neuron: which one is drawn once for each."""
    return _reading(start, "shuffled")


def random_features(start: Start) -> Trainer:
    """The switcher reads fixed random numbers."""
    return _reading(start, "random")


def free(start: Start, lr: float = 0.1) -> Trainer:
    """No switcher: each neuron has a score of its own, learned `lr` times as fast as a switcher."""
    times = number("lr", lr, 0.0)
    plain = replace(start.switcher, reads="nothing")
    schedule = start.schedule.replace(switcher_lr=times * start.schedule.switcher_lr)
    trainer = start.trainer(switcher=plain, schedule=schedule)
    trainer.run(progress=False)
    return trainer


def _reading(start: Start, what: str) -> Trainer:
    trainer = start.trainer(switcher=replace(start.switcher, reads=what))
    trainer.run(progress=False)
    return trainer
