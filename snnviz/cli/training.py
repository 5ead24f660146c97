"""`snnviz train`, `resume` and `fork`: training that can be interrupted at any time."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

from snnviz import distributed
from snnviz.cli import sources
from snnviz.cli.answers import DONE, FAILED, INTERRUPTED, Answer
from snnviz.cli.options import RunOptions, WrongUsage, checked_name, filled
from snnviz.cli.sources import OwnImages
from snnviz.networks import network
from snnviz.runs import NotSaved, Trainer
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.past import pointer_of
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training import Schedule, TrainingStopped

_AGREE_EVERY = 16  # steps after which several processes agree whether to stop


def train(*layers: dict[str, Any]) -> Answer | int:
    """Trains a new run by options, the later ones before the earlier ones."""
    asked = filled(RunOptions, *layers)
    folder = Path(asked.folder) / (asked.name or _free_name(asked))
    _check_new(folder)
    data, own = sources.load(asked.data, asked.size, asked.holdout, asked.augment, asked.device)
    seed = asked.seed if asked.network_seed is None else asked.network_seed
    switcher = _switcher(asked)
    with _keeping(folder):
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
    return _finish(trainer, own)


def _switcher(asked: RunOptions) -> SwitcherConfig | Switcher:
    if asked.learned is None:
        return asked.switcher
    learned = Switcher.load(asked.learned)
    if asked.switcher not in (SwitcherConfig(), learned.config):
        raise WrongUsage(
            f"the switcher in {asked.learned!r} is built as its file says, and the options "
            "--switcher.… say something else. Leave them out."
        )
    return learned


def resume(run: Path, epoch: int | None, data: str | None, device: str | None) -> Answer | int:
    own = sources.of_run(run, data)
    images = own and own.load(device or "auto")
    with _keeping(run):
        trainer = Trainer.resume(run, epoch, data=images, device=device)
    if trainer.finished:
        more = ["--schedule.epochs", str(trainer.schedule.epochs + 1)]
        how = _command("fork", trainer, own, *more)
        _say(f"All {trainer.schedule.epochs} planned epochs are done. To train on: {how}")
    return _finish(trainer, own)


def fork(
    run: Path,
    epoch: int | None,
    changes: dict[str, Any],
    name: str | None,
    data: str | None,
    device: str | None,
) -> Answer | int:
    """Trains a new run, from an epoch of another, with some fields of its schedule changed."""
    if name is not None:
        _check_new(run.parent / checked_name(name))
    own = sources.of_run(run, data)
    images = own and own.load(device or "auto")
    schedule = None
    if changes:
        # Before anything of the new run is written.
        epoch = pointer_of(run).epochs if epoch is None else epoch
        parent = Trainer.at(run, epoch, data=images, device=device)
        schedule = filled(Schedule, vars(parent.schedule), changes)
        images = parent.data
    with _keeping(run.parent):
        trainer = Trainer.fork(run, epoch, schedule, name, data=images, device=device)
    return _finish(trainer, own)


@contextmanager
def _keeping(folder: Path) -> Iterator[None]:
    try:
        yield
    except NotSaved as error:
        raise NotSaved(
            f"nothing can be written in {str(folder)!r} ({error.__cause__}). Make room, or keep "
            "the run in another place."
        ) from error


def _free_name(asked: RunOptions) -> str:
    """Made of network and data, with a number if there is such a run already."""
    data = asked.data.removeprefix(sources.FOLDER)
    stem = f"{asked.network}-{Path(data).expanduser().resolve().name or 'images'}"
    names = (stem, *(f"{stem}-{i}" for i in range(2, 100_000)))
    return next(name for name in names if not (Path(asked.folder) / name).exists())


def _check_new(folder: Path) -> None:
    if distributed.first() and (folder / CONFIG).exists():
        words = shlex.quote(str(folder))
        raise FileExistsError(
            f"folder {str(folder)!r} already holds a run. Go on with it: snnviz resume {words}; "
            f"branch off from it: snnviz fork {words} --epoch N; or give another --name."
        )


# --- the loop -----------------------------------------------------------------------------------


def _finish(trainer: Trainer, own: OwnImages | None) -> Answer | int:
    """Trains to the schedule's end, or until somebody interrupts."""
    _say(f"{trainer.folder}: epoch {trainer.position.epoch} of {trainer.schedule.epochs} done")
    with trainer, Interruptions(lambda: _command("resume", trainer, own)) as interruptions:
        try:
            _train(trainer, own, interruptions)
            interrupted = interruptions.asked and not trainer.finished
            if interrupted:
                _persistently(trainer, own, trainer.save)
        except TrainingStopped as error:
            if not distributed.first():  # it is the same for all, and the first one tells
                return FAILED
            raise _in_words(error, trainer, own) from error
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
            _persistently(trainer, own, trainer.step)
            bar.update()
            if trainer.finished:  # the steps left had been told to within a round
                bar.total = bar.n
            if trainer.position.epoch > epoch:
                bar.set_postfix_str(_epoch(trainer))
                if bar.disable:
                    _say(f"epoch {epoch + 1}/{trainer.schedule.epochs}: {_epoch(trainer)}")


def _persistently(trainer: Trainer, own: OwnImages | None, action: Callable[[], object]) -> None:
    """Asks where else to save what cannot be saved, if there is somebody to ask."""
    while True:
        try:
            action()
            return
        except (NotSaved, FileExistsError) as error:
            why = str(error.__cause__ or error)
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise _lost(trainer, own, why) from error
        _say(f"The run could not be saved ({why}). What was trained is intact, in memory.")
        print("Enter tries again; or name a new folder: ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:  # the terminal is gone
            raise _lost(trainer, own, why)
        to = answer.strip()
        action = partial(trainer.save_to, to) if to else trainer.save


def _lost(trainer: Trainer, own: OwnImages | None, why: str) -> NotSaved:
    return NotSaved(
        f"the run could not be saved in {str(trainer.folder)!r} ({why}). What had been saved "
        f"before is safe. Make room, then: {_command('resume', trainer, own)}"
    )


class Interruptions:
    """Ctrl-C, or the signal with which clusters end a job. The first is noted; the next one ends.

    Args:
        how: how to go on later, in words.
    """

    def __init__(self, how: Callable[[], str]) -> None:
        self.asked = False
        self._how = how
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruptions":
        for number in (signal.SIGINT, signal.SIGTERM):
            # What a shell has a background job ignore stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self._tell(f"Left at once. All epochs that had ended are safe. Go on: {self._how()}")
            os._exit(INTERRUPTED)
        self.asked = True
        self._tell("Finishing the step and saving … (Ctrl-C again leaves at once)")

    def agreed(self, trainer: Trainer) -> bool:
        """Whether to stop here: all of several processes, or none, wherever each hears of it."""
        if not distributed.several():
            return self.asked
        if trainer.position.step % _AGREE_EVERY:  # it takes time, for they wait for one another
            return False
        agreed = distributed.any_of(self.asked)
        self.asked = self.asked or agreed
        return agreed

    @staticmethod
    def _tell(text: str) -> None:
        if not distributed.first():
            return
        # Not `print`: the signal may have come in the middle of another one.
        os.write(2, f"\n{text}\n".encode())


def _in_words(error: TrainingStopped, trainer: Trainer, own: OwnImages | None) -> TrainingStopped:
    """Says how to go on from the command line, where there is no trainer any more."""
    how = _command("fork", trainer, own, "--epoch", str(error.epoch))
    way_back = (
        f"The run is saved up to epoch {error.epoch}. Go on there with other options "
        f"(--schedule…): {how}"
    )
    return TrainingStopped(error.problem, error.epoch, way_back)


# --- in words -----------------------------------------------------------------------------------


def _command(name: str, trainer: Trainer, own: OwnImages | None, *more: str) -> str:
    """A command on the trainer's run, to be copied and run from the same folder."""
    data = ["--data", own.option()] if own else []
    return shlex.join(["snnviz", name, str(trainer.folder), *more, *data])


def _answer(trainer: Trainer, command: str | None, code: int) -> Answer:
    folder, at = trainer.folder, trainer.position
    assert folder is not None
    last = _last_epoch(trainer)
    state = "finished" if command is None else "interrupted"
    document = {
        "run": folder.name,
        "folder": str(folder),
        "state": state,
        "epochs": at.epoch,
        "planned": trainer.schedule.epochs,
        "steps": at.step,
        "last_epoch": last,
        "resume": command,
    }
    lines = [f"{folder}: {state} after {at.epoch} of {trainer.schedule.epochs} epochs"]
    lines += [_epoch(trainer)] if last else []
    lines += [f"Go on: {command}"] if command else []
    return Answer("\n".join(lines), document, code)


def _last_epoch(trainer: Trainer) -> dict[str, Any] | None:
    return trainer.history.last_epoch or None


def _epoch(trainer: Trainer) -> str:
    last = _last_epoch(trainer)
    assert last is not None
    return (
        f"test accuracy {last['test_accuracy']:.2%}, "
        f"{last['neurons_on']:.0f} of {last['neurons']:.0f} neurons on"
    )


def _say(text: str) -> None:
    if distributed.first():
        print(text, file=sys.stderr, flush=True)
