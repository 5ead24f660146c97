"""Writes a run folder: brings the files on disk up to date with the trainer.

The order makes a kill harmless at any moment: tables, checkpoint, `history.json` (which completes
the save), and then files that are no longer needed are removed. The cost of a save does not depend
on the length of the run.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from snnviz import files
from snnviz.history import History, tables
from snnviz.history.pointer import NAME as POINTER
from snnviz.history.pointer import Pointer
from snnviz.history.store import MERGED
from snnviz.runs import checkpoint
from snnviz.runs.checkpoint import Checkpoint, Lost
from snnviz.runs.layout import CHECKPOINTS, HISTORY, append
from snnviz.runs.lock import Lock
from snnviz.runs.past import at_ends, belongs, best_epoch


class Record:
    """Writes one run folder.

    Args:
        folder: the run's folder.
        lock: the folder's lock.
        keep_every: keep the checkpoint of every N-th epoch.
        pointer: describes the folder's present content; None if it is empty.
    """

    def __init__(
        self, folder: Path, lock: Lock, keep_every: int, pointer: Pointer | None = None
    ) -> None:
        self.folder, self.lock, self.keep_every = folder, lock, keep_every
        self._pointer = pointer
        self._valid = pointer.epochs if pointer else 0  # epochs on disk that are still valid
        self._segments: list[
            tables.Segment
        ] = []  # those of fewer than 50 epochs, or of an unfinished one
        self._checkpoints: list[Checkpoint] = []
        self._stale: list[
            Path
        ] = []  # would contradict new files: removed before anything is written
        self._spare: list[Path] = []  # no longer needed, but harmless
        self._unsaid: list[tuple[str, dict[str, Any]]] = []  # lines for the log
        self._look()

    def say(self, event: str, **values: Any) -> None:
        """Adds a line for the log, which is written with the next save."""
        self._unsaid.append((event, values))

    def turn_back(self, epochs: int) -> None:
        """Makes everything on disk after this many epochs invalid."""
        self._valid = min(self._valid, epochs)

    def write(self, history: History, state: Mapping[str, Any], planned: int) -> None:
        """Brings the folder up to date. After an error it can be called again without loss.

        Args:
            history: the whole history.
            state: the trainer's current state.
            planned: the number of planned epochs.

        Raises:
            OSError: the folder cannot be written.
        """
        self.lock.check()
        self._remove_stale()
        at, n = state["position"], history.n_epochs
        if at.epoch != n:
            raise RuntimeError(
                f"the trainer is at the end of epoch {at.epoch} but its history ends at epoch "
                f"{n}, so they belong to different runs and were not saved. To go back in a "
                "recorded run, use rollback() or reset(); for another epoch, use Trainer.at or "
                "Trainer.fork."
            )
        if not self._is_written(at.step, history.n_events, n):
            made = self._write_tables(history)
            last = checkpoint.write(state, history.n_events, self.folder / CHECKPOINTS)
            run = {"checkpoint": last.file.name, "planned": planned}
            self._commit(history.pointer(run), made, last)
            self._mark_spare(history)
        self._tidy()

    def go_back(self, history: History, last: Checkpoint, planned: int) -> None:
        """Makes an existing earlier checkpoint the run's last one, and removes later ones."""
        self.lock.check()
        self._remove_stale()
        self.turn_back(history.n_epochs)
        made = self._cut_tables(history)
        run = {"checkpoint": last.file.name, "planned": planned}
        self._commit(history.pointer(run), made, last)
        self._mark_spare(history)
        self._tidy()

    def copy(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Copies checkpoints of another folder, skipping those that cannot be read."""
        checkpoints = list(checkpoints)
        most = checkpoint.most_bytes(checkpoints)
        for at in checkpoints:
            with suppress(OSError, ValueError):
                data = files.read_hashed(at.file, most, at.file.parents[1])
                files.write(self.folder / CHECKPOINTS / at.file.name, data)

    def add(self, state: Mapping[str, Any], events: int) -> None:
        """Writes an earlier state, unless a checkpoint of its step exists."""
        steps = {at.step for at in map(Checkpoint.of, self._files(CHECKPOINTS)) if at}
        if not isinstance(state, Lost) and state["position"].step not in steps:
            checkpoint.write(state, events, self.folder / CHECKPOINTS)

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints that are kept, in the order in which they were made."""
        return list(self._checkpoints)

    # The parts of a save ----------------------------------------------------------------------

    def _is_written(self, step: int, events: int, epochs: int) -> bool:
        pointer = self._pointer
        if pointer is None or self._valid < pointer.epochs:
            return False
        said = pointer.steps, len(pointer.notes), pointer.epochs
        return said == (step, events, epochs)

    def _write_tables(self, history: History) -> list[tables.Segment]:
        """Writes the epochs that are missing on disk, and the steps of the current one."""
        first, n = self._valid + 1, history.n_epochs
        fits = sum(history.groups.values()) * MERGED <= tables.MOST_ROWS
        if first == n and n % MERGED == 0 and fits:
            first -= MERGED - 1  # the 50th epoch goes into one file with the 49 before it
        return history.write_tables(self.folder / HISTORY, first, n)

    def _cut_tables(self, history: History) -> list[tables.Segment]:
        """Replaces each file that extends past the history's end by a shorter one."""
        folder, n = self.folder / HISTORY, history.n_epochs
        made = []
        for kind in tables.KINDS if n else ():
            end = tables.choose_segments(tables.find_segments(folder), kind, n, folder)[-1]
            if end.last > n:
                made.append(history.write_table(kind, folder, end.first, n))
        files.settle(folder)
        return made

    def _commit(self, pointer: Pointer, made: list[tables.Segment], last: Checkpoint) -> None:
        files.write(self.folder / HISTORY / POINTER, pointer.encoded())
        before, self._pointer = self._pointer, pointer
        cut = before is None or self._valid < before.epochs or pointer.steps < before.steps
        self._valid = pointer.epochs
        if cut:
            self._look()
            return
        self._segments += [part for part in made if part not in self._segments]
        self._checkpoints = sorted({*self._checkpoints, last})

    def _look(self) -> None:
        """Lists the folder's files, and which of them are left over."""
        self._segments, self._checkpoints = [], []
        for file in self._files(CHECKPOINTS):
            at = Checkpoint.of(file)
            if at and self._pointer and belongs(at, self._pointer):
                self._checkpoints.append(at)
            elif at or files.is_temporary(file.name):
                self._stale.append(file)
        n, steps = (self._pointer.epochs, self._pointer.steps) if self._pointer else (0, 0)
        for file in self._files(HISTORY):
            part = tables.segment(file)
            if part and part.last <= (steps if part.kind == "unfinished" else n):
                self._segments.append(part)
            elif part or files.is_temporary(file.name):
                self._stale.append(file)
        self._checkpoints.sort()

    def _files(self, part: str) -> list[Path]:
        return list((self.folder / part).iterdir())

    def _mark_spare(self, history: History) -> None:
        """Marks tables that a longer one contains, and checkpoints that are not kept."""
        assert self._pointer is not None
        assert self._pointer.run is not None
        parts, steps = self._segments, self._pointer.steps
        spare = [
            p for p in parts if (p.last < steps if p.kind == "unfinished" else _is_inside(p, parts))
        ]
        # Full ones are not examined again, so that the list stays short in a long run.
        short = [p for p in parts if p.kind == "unfinished" or p.last - p.first + 1 < MERGED]
        self._segments = [p for p in short if p not in spare]
        epochs, best = at_ends(self._checkpoints, history), best_epoch(history)
        kept = {at for at in self._checkpoints if at.file.name == self._pointer.run["checkpoint"]}
        for epoch, group in epochs.items():
            if epoch in (0, best, history.n_epochs) or epoch % self.keep_every == 0:
                kept |= {group[0], group[-1]}
        self._spare += [p.file for p in spare]
        self._spare += [at.file for at in self._checkpoints if at not in kept]
        self._checkpoints = [at for at in self._checkpoints if at in kept]

    def _tidy(self) -> None:
        self._remove_stale()
        left = []
        for file in self._spare:
            try:
                file.unlink(missing_ok=True)
            except OSError:  # for example, another program is reading it: try again later
                left.append(file)
        self._spare = left
        while self._unsaid:
            event, values = self._unsaid[0]
            append(self.folder, event, values)
            del self._unsaid[0]

    def _remove_stale(self) -> None:
        """Removes files of a past that was undone, so that nothing mistakes them for new ones."""
        if not self._stale:
            return
        while self._stale:
            self._stale[-1].unlink(missing_ok=True)
            del self._stale[-1]
        for part in (HISTORY, CHECKPOINTS):
            files.settle(self.folder / part)


def _is_inside(part: tables.Segment, parts: Iterable[tables.Segment]) -> bool:
    """Whether a longer segment also contains this one's epochs."""
    return any(
        other.kind == part.kind
        and other.first <= part.first <= part.last <= other.last
        and (other.first, other.last) != (part.first, part.last)
        for other in parts
    )
