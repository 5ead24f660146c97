"""A trainer that keeps its run in a folder: saved as it goes, resumed, revisited and forked."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from snnviz import checks, distributed
from snnviz.data import ImageData
from snnviz.runs import reading
from snnviz.runs.config import Parent, RunConfig
from snnviz.runs.fields import plain_name
from snnviz.runs.fingerprints import now, surroundings
from snnviz.runs.folder import check_new, free_name
from snnviz.runs.lock import Lock
from snnviz.runs.past import at_ends, pointer_of
from snnviz.runs.recorder import FolderRecorder
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training.config import TrainingConfig
from snnviz.training.schedule import Schedule
from snnviz.training.trainer import AlternatingTrainer

Folder = str | os.PathLike[str]


class Trainer(AlternatingTrainer):
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
        path = Path(folder) if folder is not None and distributed.first() else None
        if path:
            check_new(path)
        config = TrainingConfig(
            Schedule() if schedule is None else schedule,
            SwitcherConfig() if switcher is None else switcher,
            seed,
            device,
            precision,
            exclude,
            weighted,
        )
        self._folder_recorder = FolderRecorder(keep_every)
        super().__init__(network, data, config, self._folder_recorder)
        if path:
            self._folder_recorder.begin(self, path)

    # Saving -----------------------------------------------------------------------------------

    @property
    def folder(self) -> Path | None:
        """Where the run is kept; None if it is not."""
        return self._folder_recorder.folder

    @property
    def kept(self) -> frozenset[int]:
        """Epochs whose ends can be revisited: `Trainer.at`, `Trainer.fork`."""
        return frozenset(at_ends(self._folder_recorder.checkpoints, self.history))

    def save(self) -> None:
        """Saves what has been trained so far, in the middle of an epoch too.

        Raises:
            NotSaved: the folder cannot be written.
            TrainingStopped: the state is not sound; `rollback()` first.
        """
        self._folder_recorder.save(self)

    def save_to(self, folder: Folder) -> None:
        """Keeps the run in another folder from now on, with all that can be had of its past.

        Args:
            folder: new or empty.

        Raises:
            FileExistsError: the folder holds something.
            NotSaved: the folder cannot be written.
            TrainingStopped: the state is not sound; `rollback()` first.
        """
        self._folder_recorder.save_to(self, Path(folder))

    def close(self) -> None:
        """Gives the folder back. To keep steps since the last epoch's end, call `save()` first."""
        self._folder_recorder.close()

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
            loaded.trainer._folder_recorder.resume(loaded.trainer, loaded, lock)
        except BaseException:
            lock.release()
            raise
        loaded.warn()
        return loaded.trainer

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
        loaded.trainer._folder_recorder.follow(loaded)
        return loaded.trainer

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
        trainer = loaded.trainer
        trainer._folder_recorder.follow(loaded)
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
        copies = {*loaded.kept, loaded.at}
        trainer._folder_recorder.begin(trainer, target, config, "forked", copies)
        loaded.warn()
        return trainer


def _wait_for_the_first() -> None:
    """Of several processes: it may still be writing what all are going to read."""
    if distributed.several():
        distributed.any_of(False)
