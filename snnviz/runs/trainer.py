"""A trainer that saves its run in a folder, and can resume, revisit and fork runs."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from snnviz import checks, distributed, files
from snnviz.data import ImageData
from snnviz.devices import in_standard_settings
from snnviz.runs import checkpoint, reading
from snnviz.runs.config import Parent, RunConfig
from snnviz.runs.fingerprints import now, surroundings
from snnviz.runs.folder import check_new, free_name
from snnviz.runs.layout import NotSaved
from snnviz.runs.lock import Lock
from snnviz.runs.past import at_ends, pointer_of
from snnviz.runs.recorder import FolderRecorder
from snnviz.switcher import Switcher, SwitcherConfig
from snnviz.training.config import TrainingConfig
from snnviz.training.schedule import Schedule
from snnviz.training.trainer import AlternatingTrainer

Folder = str | os.PathLike[str]


@in_standard_settings
class Trainer(AlternatingTrainer):
    """Trains a task network and its switcher, and saves the run in a folder if one is given.

    If several processes train one run (`torchrun`), only the first saves it.

    Args:
        network: from images to class scores; trained in place.
        data: training and test images.
        schedule: the order of phases and the learning rates; the default is `Schedule()`.
        switcher: how to build the switcher; the default is `SwitcherConfig()`. Or a `Switcher` that
            was trained on any network: a copy of it is used from the first switcher phase on. It
            keeps learning, or stays fixed if `schedule.switcher_lr` is 0.
        seed: seed of data order, augmentation, dropout and the switcher's weights.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "float32", "bfloat16" (autocast), or "auto": bfloat16 where the device
            supports it well. In float32 a seed repeats a run bit for bit on the same machine.
        exclude: patterns of layer names, as in a shell (`"layer1.*"`), whose neurons stay on.
        weighted: patterns of layer names whose neurons get factors even though a LayerNorm or
            GroupNorm mixes them: `compact` folds the factors in and removes none of the neurons.
        folder: a new or empty folder in which to save the run, at the start and after each epoch.
            No other process may write there until `close()` or until the trainer is deleted.
        keep_every: keep the checkpoint of every N-th epoch, besides the start, the last and the
            best epoch. A checkpoint contains both networks and their optimizers: two to three
            times the size of the parameters.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is not allowed, or the network has nothing to switch.
        FileExistsError: the folder is not empty.
        InUse: another trainer is writing to the folder.
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
        keep_every = checks.whole("keep_every", keep_every, 1)
        path = _new_folder(folder) if folder is not None and distributed.first() else None
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
            try:
                self._folder_recorder.begin(self, path)
            except NotSaved as error:
                raise NotSaved(
                    f"folder must be a place where a run can be saved, got {str(path)!r} "
                    f"({error.__cause__}). Make room, or choose another folder."
                ) from error.__cause__

    # Saving -----------------------------------------------------------------------------------

    @property
    def folder(self) -> Path | None:
        """Where the run is saved; None if it is not."""
        return self._folder_recorder.folder

    @property
    def kept(self) -> frozenset[int]:
        """Epochs whose checkpoints are kept, for `Trainer.at` and `Trainer.fork`."""
        return frozenset(at_ends(self._folder_recorder.checkpoints, self.history))

    def layer_at(self, epoch: int, layer: str) -> dict[str, Tensor]:
        """A layer of the task network as saved at the end of an epoch: {name in it: tensor}.

        Nothing else of the checkpoint is read, so its checksum is not checked.

        Raises:
            ValueError: that epoch's checkpoint is not kept, or is damaged.
            FileNotFoundError: its file is gone.
        """
        kept = at_ends(self._folder_recorder.checkpoints, self.history)
        if self.folder is None or epoch not in kept:
            raise ValueError(f"the checkpoint of epoch {epoch!r} is not kept.")
        return checkpoint.read_layer(kept[epoch][-1], layer, self.folder)

    def save(self) -> None:
        """Saves the training so far, also in the middle of an epoch.

        Raises:
            NotSaved: the folder cannot be written.
            TrainingStopped: the state is unsound; call `rollback()` first.
        """
        self._folder_recorder.save(self)

    def save_to(self, folder: Folder) -> None:
        """Saves the run in another folder from now on, with as much of its past as is available.

        Args:
            folder: a new or empty folder.

        Raises:
            FileExistsError: the folder is not empty.
            NotSaved: the folder cannot be written.
            TrainingStopped: the state is unsound; call `rollback()` first.
        """
        self._folder_recorder.save_to(self, _new_folder(folder))

    def close(self) -> None:
        """Releases the folder. To keep steps since the last epoch's end, call `save()` first."""
        self._folder_recorder.close()

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Loading runs -----------------------------------------------------------------------------

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
        """Continues a run as if it had never stopped.

        In float32 on the same machine the numbers are identical bit for bit; elsewhere a warning
        says what differs.

        Args:
            folder: the run's folder.
            epoch: go back to the end of this epoch, and discard all later epochs.
            network: for a run with your own network: a network with the same architecture.
            data: for a run with your own data: the same data.
            device: the device to use instead of the run's.

        Raises:
            FileNotFoundError: the folder contains no run.
            ValueError: a file is damaged or from a newer version, or an argument does not fit.
            InUse: another trainer is writing to the folder.
        """
        path = files.fixed_path("folder", folder)
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
        """A run as it was at the end of an epoch: networks, factors and history. Saves nothing.

        Args:
            folder: the run's folder; the run may still be training.
            epoch: 0 is the start; None is the last saved state.
            network: for a run with your own network: a network with the same architecture.
            data: for a run with your own data: the same data.
            device: the device to use instead of the run's.

        Raises:
            FileNotFoundError: the folder contains no run.
            ValueError: a file is damaged or from a newer version, the epoch's checkpoint was not
                kept, or an argument does not fit.
        """
        loaded = reading.load(cls, files.fixed_path("folder", folder), epoch, network, data, device)
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
        """A new run, in a folder next to the parent's, that continues from the end of an epoch.

        With the parent's schedule it repeats what the parent did.

        Args:
            folder: the parent's folder; the parent may still be training.
            epoch: 0 is the start; None is the last finished epoch.
            schedule: the schedule from now on; None: the parent's at that epoch's end.
            name: the new folder's name; None: the parent's name, the epoch, and a number if needed.
            network: for a run with your own network: a network with the same architecture.
            data: for a run with your own data: the same data.
            device: the device to use instead of the run's.

        Raises:
            FileNotFoundError: the folder contains no run.
            FileExistsError: the new folder is not empty.
            ValueError: a file is damaged or from a newer version, the epoch's checkpoint was not
                kept, or an argument does not fit.
            NotSaved: the new folder cannot be written.
        """
        parent = files.fixed_path("folder", folder)
        _wait_for_the_first()
        if name is not None and distributed.first():
            check_new(parent.parent / files.check_name("name", name))
        RunConfig.read(parent)
        start: int = pointer_of(parent).epochs if epoch is None else checks.plain(epoch)
        loaded = reading.load(cls, parent, start, network, data, device)
        trainer = loaded.trainer
        trainer._folder_recorder.follow(loaded)
        if schedule is not None:
            trainer.schedule = schedule
        if not distributed.first():
            return trainer
        target = parent.parent / (name or free_name(parent, start))
        config = replace(
            loaded.past.config,
            schedule=trainer.schedule,
            made_with=surroundings(trainer.device),
            parent=Parent(parent.resolve().name, start),
            created=now(),
        )
        copies = {*loaded.kept, loaded.at}
        trainer._folder_recorder.begin(trainer, target, config, "forked", copies)
        loaded.warn()
        return trainer


def _new_folder(folder: Folder) -> Path:
    """The path of a run to be saved, which does not change with the working folder."""
    path = files.fixed_path("folder", folder)
    files.check_new_names("folder", path)
    check_new(path)
    return path


def _wait_for_the_first() -> None:
    """Makes several processes wait for the first, which may still be writing what all will read."""
    if distributed.several():
        distributed.any_of(False)
