"""The recorder: the part of a trainer that saves its run in a folder during training."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snnviz import distributed, files
from snnviz.history import tables
from snnviz.runs.checkpoint import Checkpoint
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.config import RunConfig
from snnviz.runs.fingerprints import surroundings
from snnviz.runs.folder import check_new, has_begun, make_new, unmake
from snnviz.runs.layout import append, saving
from snnviz.runs.lock import Lock
from snnviz.runs.past import at_ends
from snnviz.runs.reading import Loaded
from snnviz.runs.record import Record
from snnviz.training.records import TrainingStopped
from snnviz.training.trainer import AlternatingTrainer


class FolderRecorder:
    """Saves a trainer's run in a folder, if the run has one.

    Args:
        keep_every: keep the checkpoint of every N-th epoch.
    """

    def __init__(self, keep_every: int) -> None:
        self._keep_every = keep_every
        self._record: Record | None = None
        self._config: RunConfig | None = None  # of the run, once it has started
        self._closed = False
        self._owed = False  # a save failed, so the next step tries again first
        self._events_at_end = 0  # number of events in the history at the last epoch's end

    @property
    def folder(self) -> Path | None:
        """Where the run is saved; None if it is not."""
        return self._record and self._record.folder

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints that are kept."""
        return self._record.checkpoints if self._record else []

    # Calls from the trainer ----------------------------------------------------------------------

    @contextmanager
    def watch_step(self, trainer: AlternatingTrainer) -> Iterator[None]:
        """Notes in the log what interrupted a step."""
        if self._record and trainer.position.batch == 0:
            tables.get_ready()
        try:
            yield
        except TrainingStopped as error:
            self._log(trainer, "stopped", error=str(error))
            raise
        except KeyboardInterrupt:
            self._log(trainer, "interrupted")
            raise

    def catch_up(self, trainer: AlternatingTrainer) -> None:
        """Saves what could not be saved earlier.

        Raises:
            RuntimeError: the run is closed.
            NotSaved: the folder still cannot be written.
        """
        self._check_open()
        if self._owed:
            self._write(trainer)

    def epoch_ended(self, trainer: AlternatingTrainer) -> None:
        """Saves the state at the epoch's end."""
        self._events_at_end = trainer.history.n_events
        if self._record:
            last = trainer.history.last_epoch
            told = {"accuracy": last["test_accuracy"], "seconds": last["seconds"]}
            self._record.say("epoch", epoch=trainer.position.epoch, **told)
        self._write(trainer, state=trainer.epoch_end)

    def turned(self, trainer: AlternatingTrainer, event: str) -> None:
        """Saves the state after the event."""
        if event == "reset":
            self._events_at_end = 0
        if self._record is None or trainer.stopped:  # an unsound state is never saved
            return
        if event in ("rollback", "reset"):
            self._record.turn_back(trainer.position.epoch)
        self._write(trainer, event, schedule=asdict(trainer.schedule))

    # Calls from the user ------------------------------------------------------------------------

    def save(self, trainer: AlternatingTrainer) -> None:
        """Saves the training so far."""
        if self._record is None and not self._closed and distributed.first():
            raise RuntimeError(
                "this trainer does not save its run: it was made without a folder. Use "
                "save_to(folder)."
            )
        trainer.settle()
        self._write(trainer, "saved")

    def save_to(self, trainer: AlternatingTrainer, folder: Path) -> None:
        """Saves the run in another folder from now on."""
        if not distributed.first():
            trainer.settle()
            return
        check_new(folder)
        old, self._record = self._record, None
        closed, self._closed = self._closed, False
        try:
            trainer.settle()
            kept = at_ends(old.checkpoints if old else (), trainer.history)
            copies = [at for group in kept.values() for at in group]
            self.begin(trainer, folder, event="saved", copies=copies)
        except BaseException:
            self._record, self._closed = old, closed
            raise
        self._owed = False
        if old:
            old.lock.release()

    def close(self) -> None:
        """Releases the folder."""
        if self._record:
            self._record.lock.release()
            self._record, self._closed = None, True

    # How a run starts ---------------------------------------------------------------------------

    def begin(
        self,
        trainer: AlternatingTrainer,
        folder: Path,
        config: RunConfig | None = None,
        event: str = "created",
        copies: Iterable[Checkpoint] = (),
    ) -> None:
        """Starts to save the run in a new folder. The config is written last and makes it a run.

        Args:
            config: the run's config; None: its config so far, or one made from the trainer.
            event: the event's name in the log.
            copies: checkpoints of another folder to copy.
        """
        config = config or self._config or RunConfig.of(trainer, self._keep_every, None)
        with saving(folder):
            lock = make_new(folder)
            try:
                record = Record(folder, lock, config.keep_every)
                record.copy(copies)
                if trainer.position.step:
                    record.add(trainer.initial, 0)
                    record.add(trainer.epoch_end, self._events_at_end)
                record.say(event, step=trainer.position.step, parent=config.parent)
                record.write(trainer.history, trainer.state_dict(), trainer.schedule.epochs)
                files.write(folder / CONFIG, config.encoded())
            except BaseException:
                unmake(folder)
                lock.release()
                raise
        has_begun(folder)
        self._record, self._config = record, config

    def follow(self, loaded: Loaded) -> None:
        """Takes the config of a run that was read, without saving anything."""
        config = loaded.past.config
        self._config, self._keep_every = config, config.keep_every
        self._events_at_end = loaded.ended.events

    def resume(self, trainer: AlternatingTrainer, loaded: Loaded, lock: Lock) -> None:
        """Continues the run that was read, in its own folder."""
        self.follow(loaded)
        folder = loaded.past.folder
        self._record = Record(folder, lock, self._keep_every, loaded.past.pointer)
        here = surroundings(trainer.device)
        self._record.say("resumed", step=trainer.position.step, made_with=here)
        self._owed = True
        has_begun(folder)  # in case its process was killed just before this call
        if loaded.at.file.name == loaded.last:
            self._write(trainer)
        else:
            self._drop_what_came_later(self._record, trainer, loaded)

    # Internal -----------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(
                "this run is closed. To continue it, use Trainer.resume(folder); "
                "to save it elsewhere, use trainer.save_to(folder)."
            )

    def _write(
        self,
        trainer: AlternatingTrainer,
        event: str | None = None,
        state: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> None:
        """Brings the folder up to date, if the run has one."""
        self._check_open()
        if self._record is None:
            return
        self._owed = True
        if event:
            self._record.say(event, step=trainer.position.step, **values)
        with saving(self._record.folder):
            state = trainer.state_dict() if state is None else state
            self._record.write(trainer.history, state, trainer.schedule.epochs)
        self._owed = False

    def _drop_what_came_later(
        self, record: Record, trainer: AlternatingTrainer, loaded: Loaded
    ) -> None:
        gone, epoch, history = loaded.past.pointer, trainer.position.epoch, trainer.history
        history.add_notes(
            gone.notes[history.n_events :]
        )  # events of the discarded part, because they did happen
        history.add_event(
            epoch=gone.epochs + 1,
            step=gone.steps,
            event="rollback",
            detail=f"back to the end of epoch {epoch}" if epoch else "back to the start",
        )
        record.say("rollback", step=trainer.position.step)
        with saving(record.folder):
            record.go_back(history, loaded.at, trainer.schedule.epochs)
        self._owed = False

    def _log(self, trainer: AlternatingTrainer, event: str, **values: Any) -> None:
        if self._record:
            with suppress(OSError):  # failing to log an error must not hide that error
                append(self._record.folder, event, {"step": trainer.position.step, **values})
