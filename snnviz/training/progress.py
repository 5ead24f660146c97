"""Training for a number of epochs, with a progress bar."""

from typing import TYPE_CHECKING

from snnviz import checks, distributed
from snnviz.history import History

if TYPE_CHECKING:
    from snnviz.training.trainer import AlternatingTrainer


def run_epochs(trainer: "AlternatingTrainer", epochs: int | None, progress: bool) -> None:
    """Trains for this many more epochs (None: for all that are left).

    If that goes past the schedule's end, the end moves there.
    """
    from tqdm.auto import tqdm

    if trainer.device.type == "meta":
        raise ValueError(
            "device must be one that computes, got 'meta', on which tensors have no values. Make "
            'a new network and a trainer with device="auto".'
        )
    target = _move_end(trainer, epochs)
    steps = trainer.schedule.steps_left(trainer.position, trainer.batches_per_epoch, target)
    quiet = not (progress and distributed.first())
    with tqdm(total=steps, unit="step", disable=quiet) as bar:
        while trainer.position.epoch < target:
            epoch = trainer.position.epoch
            trainer.step()
            bar.update()
            if trainer.position.epoch == target:  # the number of steps was known to within a round
                bar.total = bar.n
            if trainer.position.epoch > epoch:
                bar.set_postfix_str(_summarize_epoch(trainer.history))


def _move_end(trainer: "AlternatingTrainer", epochs: int | None) -> int:
    """The epoch to train to; an earlier end of the schedule moves there."""
    if epochs is None:
        return trainer.schedule.epochs
    target = trainer.position.epoch + checks.whole("epochs", epochs, 1)
    if target > trainer.schedule.epochs:
        trainer.schedule = trainer.schedule.replace(epochs=target)
    return target


def _summarize_epoch(history: History) -> str:
    last = history.last_epoch
    on, neurons = last["neurons_on"], last["neurons"]
    return f"test {last['test_accuracy']:.2%}, {on:.0f}/{neurons:.0f} neurons on"
