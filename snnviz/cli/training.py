"""`snnviz train`, `resume` and `fork`: training that can be interrupted at any time."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from snnviz import distributed
from snnviz.cli import sources
from snnviz.cli.answers import DONE, FAILED, INTERRUPTED, Answer
from snnviz.cli.convert import expand_home
from snnviz.cli.interruptions import Interruptions
from snnviz.cli.options import RunOptions, WrongUsage, check_name, fill
from snnviz.cli.sources import OwnImages
from snnviz.cli.words import message_of, shown
from snnviz.networks import network
from snnviz.runs import NotSaved, Trainer
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.past import pointer_of
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training import Schedule, TrainingStopped


def train(*layers: dict[str, Any]) -> Answer | int:
    """Trains a new run; each layer of options replaces those before it."""
    asked = fill(RunOptions, *layers)
    folder = expand_home(asked.folder)
    folder /= asked.name or _free_name(folder, asked)
    _check_new(folder)
    data, own = sources.load(asked.data, asked.size, asked.holdout, asked.augment, asked.device)
    seed = asked.seed if asked.network_seed is None else asked.network_seed
    switcher = _make_switcher(asked)
    with _explain_unwritable(folder):
        trainer = Trainer(
            network(asked.network, data, seed, asked.width),
            data,
            asked.schedule,
            switcher,
            asked.seed,
            asked.device,
            asked.precision,
            asked.exclude,
            weighted=asked.weighted,
            folder=folder,
            keep_every=asked.keep_every,
        )
    return _train_to_end(trainer, own)


def _make_switcher(asked: RunOptions) -> SwitcherConfig | Switcher:
    if asked.learned is None:
        return asked.switcher
    ships = asked.learned == "learned"
    learned = Switcher.learned() if ships else Switcher.load(expand_home(asked.learned))
    if asked.switcher not in (SwitcherConfig(), learned.config):
        raise WrongUsage(
            f"the switcher in {asked.learned!r} is built as its file says, and the options "
            "--switcher.… say something else. Leave them out."
        )
    return learned


def resume(run: Path, epoch: int | None, data: str | None, device: str | None) -> Answer | int:
    own = sources.of_run(run, data)
    images = own and own.load(device or "auto")
    with _explain_unwritable(run):
        trainer = Trainer.resume(run, epoch, data=images, device=device)
    if trainer.finished:
        more = ["--schedule.epochs", str(trainer.schedule.epochs + 1)]
        how = _command("fork", trainer, own, *more)
        _say(f"All {trainer.schedule.epochs} planned epochs are done. To train on: {how}")
    return _train_to_end(trainer, own)


def fork(
    run: Path,
    epoch: int | None,
    changes: dict[str, Any],
    name: str | None,
    data: str | None,
    device: str | None,
) -> Answer | int:
    """Trains a new run from an epoch of another one, with some fields of its schedule changed."""
    if name is not None:
        _check_new(run.parent / check_name(name))
    own = sources.of_run(run, data)
    images = own and own.load(device or "auto")
    schedule = None
    if changes:
        # Check it before any file of the new run is written.
        epoch = pointer_of(run).epochs if epoch is None else epoch
        parent = Trainer.at(run, epoch, data=images, device=device)
        schedule = fill(Schedule, vars(parent.schedule), changes, where="schedule.")
        images = parent.data
    with _explain_unwritable(run.parent):
        trainer = Trainer.fork(run, epoch, schedule, name, data=images, device=device)
    return _train_to_end(trainer, own)


@contextmanager
def _explain_unwritable(folder: Path) -> Iterator[None]:
    try:
        yield
    except NotSaved as error:
        raise NotSaved(
            f"nothing can be written in {str(folder)!r} ({error.__cause__}). Make room, or keep "
            "the run elsewhere."
        ) from error


def _free_name(folder: Path, asked: RunOptions) -> str:
    """A name made from network and data, with a number if there is such a run already."""
    data = asked.data
    if sources.is_folder(data):
        data = sources.path_of(data).resolve().name or "images"
    stem = f"{asked.network}-{data}"
    names = (stem, *(f"{stem}-{i}" for i in range(2, 100_000)))
    return next(name for name in names if not (folder / name).exists())


def _check_new(folder: Path) -> None:
    if distributed.first() and (folder / CONFIG).exists():
        words = shlex.quote(str(folder))
        raise FileExistsError(
            f"folder {str(folder)!r} already holds a run. To resume it: snnviz resume {words}; "
            f"to branch off from it: snnviz fork {words} --epoch N; or give another --name."
        )


# --- the loop -----------------------------------------------------------------------------------


def _train_to_end(trainer: Trainer, own: OwnImages | None) -> Answer | int:
    """Trains to the schedule's end, or until it is interrupted."""
    _say(
        f"{shown(trainer.folder)}: epoch {trainer.position.epoch} of {trainer.schedule.epochs} done"
    )
    with trainer, Interruptions(lambda: _command("resume", trainer, own)) as interruptions:
        try:
            _train(trainer, own, interruptions)
            interrupted = interruptions.asked and not trainer.finished
            if interrupted:
                _save_somewhere(trainer, own, trainer.save)
        except TrainingStopped as error:
            if not distributed.first():  # all have the same error, and the first one reports it
                return FAILED
            raise _advise_fork(error, trainer, own) from error
        command = None if trainer.finished else _command("resume", trainer, own)
        code = INTERRUPTED if interrupted else DONE
        return _answer(trainer, command, code) if distributed.first() else code


def _train(trainer: Trainer, own: OwnImages | None, interruptions: "Interruptions") -> None:
    at = trainer.position
    with tqdm(
        total=trainer.schedule.steps_left(at, trainer.batches_per_epoch),
        unit="step",
        disable=not (sys.stderr.isatty() and distributed.first()),
    ) as bar:
        while not (trainer.finished or interruptions.agreed(trainer)):
            epoch = trainer.position.epoch
            _save_somewhere(trainer, own, trainer.step)
            bar.update()
            if trainer.finished:  # the number of steps left was known to within a round
                bar.total = bar.n
            if trainer.position.epoch > epoch:
                bar.set_postfix_str(_describe_epoch(trainer))
                if bar.disable:
                    planned = trainer.schedule.epochs
                    _say(f"epoch {epoch + 1}/{planned}: {_describe_epoch(trainer)}")


def _save_somewhere(trainer: Trainer, own: OwnImages | None, action: Callable[[], object]) -> None:
    """Repeats what cannot save the run; in a terminal, it asks for another folder first."""
    while True:
        try:
            action()
            return
        except (NotSaved, FileExistsError) as error:
            why = message_of(error.__cause__ or error)
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise _not_saved(trainer, own, why) from error
        _say(f"The run could not be saved ({why}). Everything trained is still in memory.")
        question = "Press Enter to try again, or name a new folder: "
        print(question, end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:  # the terminal is gone
            raise _not_saved(trainer, own, why)
        to = answer.strip()
        action = partial(trainer.save_to, os.path.expanduser(to)) if to else trainer.save


def _not_saved(trainer: Trainer, own: OwnImages | None, why: str) -> NotSaved:
    return NotSaved(
        f"the run could not be saved in {shown(trainer.folder)!r} ({why}). Everything saved "
        f"before is safe. Make room, then: {_command('resume', trainer, own)}"
    )


def _advise_fork(
    error: TrainingStopped, trainer: Trainer, own: OwnImages | None
) -> TrainingStopped:
    """The error with a command that goes on from the last epoch, in place of `rollback()`."""
    how = _command("fork", trainer, own, "--epoch", str(error.epoch))
    way_back = (
        f"The run is saved up to epoch {error.epoch}. To go on from there with other options, "
        f"such as --schedule.task-lr: {how}"
    )
    return TrainingStopped(error.problem, error.epoch, way_back)


# --- the answer -----------------------------------------------------------------------------------


def _command(name: str, trainer: Trainer, own: OwnImages | None, *more: str) -> str:
    """A command for the trainer's run, to be run from the same working folder."""
    data = ["--data", own.option()] if own else []
    return shlex.join(["snnviz", name, shown(trainer.folder), *more, *data])


def _answer(trainer: Trainer, command: str | None, code: int) -> Answer:
    folder, at = trainer.folder, trainer.position
    assert folder is not None
    last = _last_epoch(trainer)
    state = "finished" if command is None else "interrupted"
    document = {
        "run": folder.name,
        "folder": shown(folder),
        "state": state,
        "epochs": at.epoch,
        "planned": trainer.schedule.epochs,
        "steps": at.step,
        "last_epoch": last,
        "resume": command,
    }
    lines = [f"{shown(folder)}: {state} after {at.epoch} of {trainer.schedule.epochs} epochs"]
    lines += [_describe_epoch(trainer)] if last else []
    lines += [f"To go on: {command}"] if command else []
    return Answer("\n".join(lines), document, code)


def _last_epoch(trainer: Trainer) -> dict[str, Any] | None:
    return trainer.history.last_epoch or None


def _describe_epoch(trainer: Trainer) -> str:
    last = _last_epoch(trainer)
    assert last is not None
    return (
        f"test accuracy {last['test_accuracy']:.2%}, "
        f"{last['neurons_on']:.0f} of {last['neurons']:.0f} neurons on"
    )


def _say(text: str) -> None:
    if distributed.first():
        print(text, file=sys.stderr, flush=True)
