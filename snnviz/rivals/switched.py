"""The method itself, and three controls that ask whether it helps to read the weights."""

from dataclasses import replace

from snnviz.rivals.start import Start, check_setting
from snnviz.training.trainer import AlternatingTrainer


def switched(start: Start) -> AlternatingTrainer:
    """The switcher reads descriptors of each neuron's weights."""
    trainer = start.trainer()
    trainer.run(progress=False)
    return trainer


def shuffled(start: Start) -> AlternatingTrainer:
    """The switcher reads another neuron's descriptors: which one is drawn once for each neuron."""
    return _reading(start, "shuffled")


def random_features(start: Start) -> AlternatingTrainer:
    """The switcher reads fixed random numbers."""
    return _reading(start, "random")


def free(start: Start, lr: float = 0.1) -> AlternatingTrainer:
    """No switcher: each neuron has a score of its own, learned `lr` times as fast as a switcher.

    More slowly by default, for each score moves by itself and follows every batch's noise.
    """
    times = check_setting("lr", lr, 0.0)
    plain = replace(start.switcher, reads="nothing")
    schedule = start.schedule.replace(switcher_lr=times * start.schedule.switcher_lr)
    trainer = start.trainer(switcher=plain, schedule=schedule)
    trainer.run(progress=False)
    return trainer


def _reading(start: Start, what: str) -> AlternatingTrainer:
    trainer = start.trainer(switcher=replace(start.switcher, reads=what))
    trainer.run(progress=False)
    return trainer
