"""A trainer that keeps its run in a folder: saved as it goes, resumed, revisited and forked."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnviz import checks, distributed, files
from snnviz.data import ImageData
from snnviz.history import tables
from snnviz.runs import reading
from snnviz.runs.checkpoint import Checkpoint
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.config import Parent, RunConfig
from snnviz.runs.fields import plain_name
from snnviz.runs.fingerprints import now, surroundings
from snnviz.runs.folder import check_new, free_name, has_begun, make_new, unmake
from snnviz.runs.layout import append, saving
from snnviz.runs.lock import Lock
from snnviz.runs.past import at_ends, pointer_of
from snnviz.runs.record import Record
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training import Schedule, StepRecord, TrainingStopped
from snnviz.training import trainer as base

Folder = str | os.PathLike[str]


class Trainer(base.Trainer):
    """Trains a task network and its switcher, and keeps the run in a folder if one is named.

    Of several processes that train one run (`torchrun`) only the first keeps it.

    Args:
        network: from images to class scores; trained in place.
        data: training and test images.
        schedule: which phase when, and how fast; the default is `Schedule()`.
        switcher: how the switcher is built; the default is `SwitcherConfig()`. Or a `Switcher` that
            has learned, on any network: a copy of it takes part from the first switcher phase on,
            and learns further, or is held (`schedule.switcher_lr` of 0).
        seed: of data order, augmentation, dropout and the switcher's weights.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "float32", "bfloat16" (autocast), or "auto": bfloat16 where the device does it
            well. In float32 the same seed repeats a run bit for bit on the same machine.
        exclude: patterns of layer names, as in a shell (`"layer1.*"`), whose neurons stay on.
        weighted: patterns of layer names whose neurons get factors though a LayerNorm or GroupNorm
            mixes them: `compact` folds the factors in and takes none of them out.
        folder: where to keep the run, new or empty; saved at the start and at each epoch's end.
            Until `close()`, or as long as the trainer lives, nobody else may write there.
        keep_every: every so-manieth epoch's end can be revisited later, besides the start, the
            last and the best. Each takes the size of both networks and their optimizers: two to
            three times the parameters.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: an argument is not allowed, or the network has nothing to switch.
        FileExistsError: the folder holds something.
        InUse: another trainer writes the folder.
        NotSaved: the folder cannot be written.
    """

    def __init__(
        self,
        network: nn.Module,
        data: ImageData,
        schedule: Schedule | None = None,
        switcher: SwitcherConfig | Switcher | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
        precision: str = "auto",
        exclude: Sequence[str] = (),
        *,
        weighted: Sequence[str] = (),
        folder: Folder | None = None,
        keep_every: int = 1,
    ) -> None:
        checks.whole("keep_every", keep_every, 1)
        if not distributed.first():
            folder = None
        if folder is not None:
            check_new(Path(folder))
        self._record: Record | None = None
        self._closed = self._owed = False
        self._events_at_end = 0  # that the history had noted at the last epoch's end
        self._config: RunConfig | None = None
        super().__init__(
            network, data, schedule, switcher, seed, device, precision, exclude, weighted=weighted
        )
        self._keep_every = keep_every
        if folder is not None:
            self._begin(Path(folder), self._new_config(), "created", ())

    # Saving -----------------------------------------------------------------------------------

    @property
    def folder(self) -> Path | None:
        """Where the run is kept; None if it is not."""
        return self._record and self._record.folder

    @property
    def kept(self) -> frozenset[int]:
        """Epochs whose ends can be revisited: `Trainer.at`, `Trainer.fork`."""
        return (
            frozenset(at_ends(self._record.checkpoints, self.history))
            if self._record
            else frozenset()
        )

    def save(self) -> None:
        """Saves what has been trained so far, in the middle of an epoch too.

        Raises:
            NotSaved: the folder cannot be written.
            TrainingStopped: the state is not sound; `rollback()` first.
        """
        if self._record is None and not self._closed and distributed.first():
            raise RuntimeError(
                "this trainer keeps no run: it was made without a folder. Use save_to(folder)."
            )
        self._settle_down()
        self._write("saved")

    def save_to(self, folder: Folder) -> None:
        """Keeps the run in another folder from now on, with all that can be had of its past.

        Args:
            folder: new or empty.

        Raises:
            FileExistsError: the folder holds something.
            NotSaved: the folder cannot be written.
            TrainingStopped: the state is not sound; `rollback()` first.
        """
        if not distributed.first():
            return self._settle_down()
        check_new(Path(folder))
        old, self._record = self._record, None
        closed, self._closed = self._closed, False
        try:
            self._settle_down()
            config = self._config or self._new_config()
            kept = at_ends(old.checkpoints if old else (), self.history)
            copies = [at for group in kept.values() for at in group]
            self._begin(Path(folder), config, "saved", copies)
        except BaseException:
            self._record, self._closed = old, closed
            raise
        self._owed = False
        if old:
            old.lock.release()

    def close(self) -> None:
        """Gives the folder back. To keep steps since the last epoch's end, call `save()` first."""
        if self._record:
            self._record.lock.release()
            self._record, self._closed = None, True

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Taking up --------------------------------------------------------------------------------

    @classmethod
    def resume(
        cls,
        folder: Folder,
        epoch: int | None = None,
        *,
        network: nn.Module | None = None,
        data: ImageData | None = None,
        device: str | torch.device | None = None,
    ) -> "Trainer":
        """Goes on with a run as if it had never stopped.

        In float32 on the same machine that is bit for bit; elsewhere it warns of what differs.

        Args:
            folder: of the run.
            epoch: go back to the end of this epoch, and drop what came later.
            network: for a run with a network of your own, one of its architecture.
            data: for a run with data of your own, the same data.
            device: instead of the run's.

        Raises:
            FileNotFoundError: the folder holds no run.
            ValueError: a file is damaged or from a newer version, or an argument does not fit.
            InUse: another trainer writes the folder.
        """
        path = Path(folder)
        _wait_for_the_first()
        if not distributed.first():
            return cls.at(path, epoch, network=network, data=data, device=device)
        RunConfig.read(path)  # before anything is written, a lock included
        lock = Lock(path)
        try:
            loaded = reading.load(cls, path, epoch, network, data, device)
            trainer: Trainer = loaded.trainer
            trainer._follow(loaded)
            record = Record(path, lock, loaded.past.config.keep_every, loaded.past.pointer)
            trainer._record = record
            here = surroundings(trainer.device)
            record.say("resumed", step=trainer.position.step, made_with=here)
            trainer._owed = True
            has_begun(path)  # where its process was killed just before it could say so
            if loaded.at.file.name == loaded.last:
                trainer._write(None)
            else:
                trainer._drop_what_came_later(loaded)
        except BaseException:
            lock.release()
            raise
        loaded.warn()
        return trainer

    @classmethod
    def at(
        cls,
        folder: Folder,
        epoch: int | None = None,
        *,
        network: nn.Module | None = None,
        data: ImageData | None = None,
        device: str | torch.device | None = None,
    ) -> "Trainer":
        """A run as it was at the end of an epoch: networks, factors and history. Keeps nothing.

        Args:
            folder: of the run, which may be under way.
            epoch: 0 is the start; None is where it was saved last.
            network: for a run with a network of your own, one of its architecture.
            data: for a run with data of your own, the same data.
            device: instead of the run's.

        Raises:
            FileNotFoundError: the folder holds no run.
            ValueError: a file is damaged or from a newer version, the epoch's checkpoint was not
                kept, or an argument does not fit.
        """
        loaded = reading.load(cls, Path(folder), epoch, network, data, device)
        return loaded.trainer._follow(loaded)

    @classmethod
    def fork(
        cls,
        folder: Folder,
        epoch: int | None = None,
        schedule: Schedule | None = None,
        name: str | None = None,
        *,
        network: nn.Module | None = None,
        data: ImageData | None = None,
        device: str | torch.device | None = None,
    ) -> "Trainer":
        """A new run, in a folder beside the parent's, that goes on from the end of an epoch.

        With the parent's schedule it does as the parent did.

        Args:
            folder: of the parent, which may be under way.
            epoch: 0 is the start; None is the last that ended.
            schedule: from now on; None: that of the parent at that epoch's end.
            name: of the new folder; None: the parent's name, the epoch, and a number if need be.
            network: for a run with a network of your own, one of its architecture.
            data: for a run with data of your own, the same data.
            device: instead of the run's.

        Raises:
            FileNotFoundError: the folder holds no run.
            FileExistsError: the new folder holds something.
            ValueError: a file is damaged or from a newer version, the epoch's checkpoint was not
                kept, or an argument does not fit.
            NotSaved: the new folder cannot be written.
        """
        parent = Path(folder)
        _wait_for_the_first()
        if name is not None and distributed.first():
            check_new(parent.parent / plain_name("name", name))
        RunConfig.read(parent)
        if epoch is None:
            epoch = pointer_of(parent).epochs
        loaded = reading.load(cls, parent, epoch, network, data, device)
        trainer: Trainer = loaded.trainer._follow(loaded)
        if schedule is not None:
            trainer.schedule = schedule
        if not distributed.first():
            return trainer
        target = parent.parent / (name or free_name(parent, epoch))
        config = replace(
            loaded.past.config,
            schedule=trainer.schedule,
            made_with=surroundings(trainer.device),
            parent=Parent(parent.resolve().name, epoch),
            created=now(),
        )
        trainer._begin(target, config, "forked", {*loaded.kept, loaded.at})
        loaded.warn()
        return trainer

    # Training ---------------------------------------------------------------------------------

    def step(self) -> StepRecord:
        """One step of the phase that is due; at an epoch's end the run is saved.

        Raises:
            TrainingStopped: the loss is not finite or a group is wholly off. Found out when a
                round's results are read, at its end.
            NotSaved: the folder cannot be written. The step is done, and what was trained is
                intact; the next step tries to save first.
        """
        stopped = self._stopped
        if self._record and self.position.batch == 0:
            tables.get_ready()
        try:
            return super().step()
        except TrainingStopped as error:
            if stopped is None:
                self._log("stopped", error=str(error))
            raise
        except KeyboardInterrupt:
            self._log("interrupted")
            raise

    def _close_epoch(self) -> None:
        if self._closed:
            raise RuntimeError(
                "this run is closed. Go on with it: Trainer.resume(folder), "
                "or trainer.save_to(folder) to keep it elsewhere."
            )
        if self._owed:
            self._write(None)
        super()._close_epoch()

    def _epoch_ended(self) -> None:
        self._events_at_end = self.history.n_events
        if self._record:
            last = self.history.last_epoch
            told = {"accuracy": last["test_accuracy"], "seconds": last["seconds"]}
            self._record.say("epoch", epoch=self.position.epoch, **told)
        self._write(None, self._epoch_end)

    def _turned(self, event: str) -> None:
        if event == "reset":
            self._events_at_end = 0
        if self._record is None or self._stopped:  # what is not sound is not saved
            return
        if event in ("rollback", "reset"):
            self._record.turn_back(self.position.epoch)
        self._write(event, schedule=asdict(self.schedule))

    # Within -----------------------------------------------------------------------------------

    def _write(
        self, event: str | None, state: Mapping[str, Any] | None = None, **values: Any
    ) -> None:
        """Brings the folder up to date, if the run has one."""
        if self._closed:
            self._close_epoch()
        if self._record is None:
            return
        self._owed = True
        if event:
            self._record.say(event, step=self.position.step, **values)
        with saving(self._record.folder):
            state = self.state_dict() if state is None else state
            self._record.write(self.history, state, self.schedule.epochs)
        self._owed = False

    def _settle_down(self) -> None:
        """Ends an epoch that is done, and reads all results; what is not sound is an error."""
        if self._stopped:
            raise self._stopped
        self._close_epoch()
        self.flush()

    def _new_config(self) -> RunConfig:
        return RunConfig.of(self, self._keep_every, None)

    def _begin(
        self, folder: Path, config: RunConfig, event: str, copies: Iterable[Checkpoint]
    ) -> None:
        """Keeps the run in a new folder. Its config, written last, makes it a run."""
        with saving(folder):
            lock = make_new(folder)
            try:
                record = Record(folder, lock, config.keep_every)
                record.copy(copies)
                if self.position.step:
                    record.add(self._initial, 0)
                    record.add(self._epoch_end, self._events_at_end)
                record.say(event, step=self.position.step, parent=config.parent)
                record.write(self.history, self.state_dict(), self.schedule.epochs)
                files.write(folder / CONFIG, config.encoded())
            except BaseException:
                unmake(folder)
                lock.release()
                raise
        has_begun(folder)
        self._record, self._config = record, config

    def _follow(self, loaded: reading.Loaded) -> "Trainer":
        config = loaded.past.config
        self._config, self._keep_every = config, config.keep_every
        self._events_at_end = loaded.ended.events
        return self

    def _drop_what_came_later(self, loaded: reading.Loaded) -> None:
        assert self._record is not None
        gone, epoch = loaded.past.pointer, self.position.epoch
        self.history._notes = list(gone.notes)
        self.history.add_event(
            epoch=gone.epochs + 1,
            step=gone.steps,
            event="rollback",
            detail=f"back to the end of epoch {epoch}" if epoch else "back to the start",
        )
        self._record.say("rollback", step=self.position.step)
        with saving(self._record.folder):
            self._record.go_back(self.history, loaded.at, self.schedule.epochs)
        self._owed = False

    def _log(self, event: str, **values: Any) -> None:
        if self._record:
            with suppress(OSError):  # a line for people must not hide what it tells of
                append(self._record.folder, event, {"step": self.position.step, **values})


def _wait_for_the_first() -> None:
    """Of several processes: it may still be writing what all are going to read."""
    if distributed.several():
        distributed.any_of(False)
