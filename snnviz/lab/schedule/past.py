"""What has run, read from a history: bands, learning rates and events to scale."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, TypeVar

import numpy as np

from snnviz.history import History
from snnviz.lab.schedule.course import POINTS, Band, Kind, Lines, Point
from snnviz.training import Phase, Schedule

_PER_EPOCH = 8  # points of a learning rate's line that are kept of an epoch
_ROUND = {"task_steps", "switcher_steps"}
_Row = tuple[Any, ...]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Tick:
    """Something that happened to the run as a whole."""

    at: float
    words: str


@dataclass(frozen=True)
class _Piece:
    """Steps of one epoch between two changes of the round."""

    epoch: int
    start: float
    end: float
    task: int
    switcher: int
    changes: int  # of the round, so far in the run
    longest: tuple[int, int]  # task steps and switcher steps in a row


@dataclass
class _Epoch:
    epoch: int  # from 0
    first: int  # index of its first step in the run
    steps: int
    end: float
    pieces: list[_Piece]
    rates: dict[Phase, list[Point]] = field(default_factory=dict)


class PastCourse:
    """What has run. Each reading looks only at the current epoch and at new ones."""

    def __init__(self) -> None:
        self._history: History | None = None
        self._forget()

    def _forget(self) -> None:
        self._epochs: list[_Epoch] = []
        self._seen: tuple | None = None  # the last step
        self._notes: list[tuple] = []

    def read(self, history: History, batches: int) -> None:
        """Takes in what is new.

        Args:
            history: the run's, which may have gone back, or another one.
            batches: task steps in the current epoch.
        """
        notes = _read_notes(history)
        if history is not self._history or self._went_back(history) or self._rewritten(notes):
            self._forget()
        self._history, self._notes = history, notes
        first = self._epochs.pop().first if self._epochs else 0
        rows = history.step_rows(first)
        changes = [at for at, event, detail in notes if _changes_round(event, detail)]
        done = 0
        while done < len(rows):
            epoch = rows[done][1]
            end = bisect_right(rows, epoch, lo=done, key=lambda row: row[1])
            whole = epoch <= history.n_epochs
            part = rows[done:end]
            self._epochs.append(_epoch(part, first + done, changes, 0 if whole else batches))
            done = end
        self._seen = rows[-1] if rows else None
        if not rows:
            self._forget()
            self._notes = notes

    def _went_back(self, history: History) -> bool:
        if self._seen is None:
            return False
        step = self._epochs[-1].first + self._epochs[-1].steps
        return history.step_rows(step - 1)[:1] != [self._seen]

    def _rewritten(self, notes: list[tuple]) -> bool:
        """Whether an event is new, or gone, among the epochs that are not read again."""
        old, first = len(self._notes), self._epochs[-1].first if self._epochs else 0
        return notes[:old] != self._notes or any(note[0] < first for note in notes[old:])

    @property
    def end(self) -> float:
        """How far the run has come."""
        return self._epochs[-1].end if self._epochs else 0.0

    def bands(self, plan: Schedule, until: float = math.inf) -> list[Band]:
        """What has run, one band a stretch.

        Args:
            plan: the current schedule; it says what an epoch without switcher steps was.
            until: nothing after this place, the end of an epoch.
        """
        pieces = [piece for each in self._epochs if each.end <= until for piece in each.pieces]
        newest = self._epochs[-1].epoch if self._epochs else 0
        began = next((i for i, piece in enumerate(pieces) if piece.switcher), len(pieces))
        kinds: list[Kind] = []
        for i, piece in enumerate(pieces):
            before = "warm-up" if began < len(pieces) or plan.switcher_steps else "task only"
            without = before if i < began else "task only"
            kinds.append(_kind(piece, plan, without, piece.epoch == newest))
        made: list[Band] = []
        same = list(zip(kinds, [piece.changes for piece in pieces], strict=True))
        for start, end in _runs(same):
            part = pieces[start:end]
            task, switcher = sum(p.task for p in part), sum(p.switcher for p in part)
            ends = part[0].start, part[-1].end
            longest = [max(lengths) for lengths in zip(*(p.longest for p in part), strict=True)]
            a_round = (longest[0], longest[1]) if switcher else None
            made.append(Band(*ends, kinds[start], True, task, switcher, a_round))
        return made

    def kinds(self, plan: Schedule) -> list[Kind]:
        """What each epoch was: alternating if any of it was, else what it was at its end.

        Args:
            plan: the current schedule; see `bands`.
        """
        found: list[Kind] = []
        for band in self.bands(plan):
            for epoch in range(math.floor(band.start), math.ceil(band.end)):
                if epoch == len(found):
                    found.append(band.kind)
                elif found[epoch] != "alternating":
                    found[epoch] = band.kind
        return found

    def rates(self, phase: Phase, until: float = math.inf) -> Lines:
        """A phase's learning rates: a line for each stretch of epochs that had such steps."""
        epochs = [e for e in self._epochs if e.end <= until and phase in e.rates]
        lines: Lines = []
        for before, each in pairwise([None, *epochs]):
            assert each is not None
            if before is None or each.epoch > before.epoch + 1:
                lines.append([])
            lines[-1] += each.rates[phase]
        return _thin_lines(lines)

    def ticks(self) -> list[Tick]:
        """Schedules, pins, rollbacks and resets, where they came; several at one place as one."""
        places = [(self._place(step), event, detail) for step, event, detail in self._notes]
        made = []
        for at, group in groupby(sorted(places, key=lambda each: each[0]), key=lambda e: e[0]):
            words = "; ".join(f"{event} {detail}".strip() for _, event, detail in group)
            made.append(Tick(at, words))
        return made

    def _place(self, step: int) -> float:
        """How far the run had come after this number of steps, in epochs."""
        k = bisect_right(self._epochs, step, key=lambda each: each.first) - 1
        if k < 0:
            return 0.0
        each = self._epochs[k]
        return each.epoch + (each.end - each.epoch) * min((step - each.first) / each.steps, 1.0)


def _kind(piece: _Piece, plan: Schedule, without: Kind, newest: bool) -> Kind:
    """What an epoch was. Its steps say so; if there are no switcher steps, the plan, if it fits.

    Args:
        piece: its steps.
        plan: the current schedule.
        without: what it was if the plan does not fit.
        newest: whether its switcher steps may be yet to come.
    """
    if piece.switcher:
        return "alternating"
    if not plan.switcher_steps:
        return without
    stage = plan.stage(piece.epoch)
    if stage == "alternating" and piece.task > plan.task_steps and not newest:
        return without
    return stage


def _epoch(rows: Sequence[_Row], first: int, changes: Sequence[int], batches: int) -> _Epoch:
    """What one epoch's steps come to.

    Args:
        rows: its steps.
        first: the index of the first of them in the run.
        changes: after which steps of the run the round changed.
        batches: task steps that it has in all, if it is not finished.
    """
    epoch = rows[0][1] - 1
    is_task = np.array([row[2] == "task" for row in rows])
    tasks = np.concatenate([[0], np.cumsum(is_task)]).tolist()
    whole = max(batches, tasks[-1], 1)
    edges = [0, *sorted({c - first for c in changes if 0 < c - first < len(rows)}), len(rows)]
    pieces = []
    for a, b in pairwise(edges):
        task = tasks[b] - tasks[a]
        ends = epoch + tasks[a] / whole, epoch + tasks[b] / whole
        so_far = bisect_right(changes, first + a)
        longest = _longest(is_task[a:b])
        pieces.append(_Piece(epoch, *ends, task, b - a - task, so_far, longest))
    made = _Epoch(epoch, first, len(rows), epoch + tasks[-1] / whole, pieces)
    phases: tuple[tuple[Phase, np.ndarray], ...] = (("task", is_task), ("switcher", ~is_task))
    for phase, those in phases:
        chosen = _choose_some(np.flatnonzero(those).tolist(), _PER_EPOCH)
        if chosen:
            made.rates[phase] = [(epoch + tasks[i] / whole, rows[i][5]) for i in chosen]
    return made


def _longest(is_task: np.ndarray) -> tuple[int, int]:
    """The longest task phase and the longest switcher phase: those of a round that was whole."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(is_task)) + 1, [len(is_task)]])
    lengths = np.diff(edges)
    first, second = int(lengths[::2].max()), int(lengths[1::2].max(initial=0))
    return (first, second) if is_task[0] else (second, first)


def _read_notes(history: History) -> list[tuple[int, str, str]]:
    """Events as (step, event, detail), in order. What a way back undid counts from where it led."""
    ends = [0, *(row[1] for row in history.epoch_rows())]
    notes: list[tuple[int, str, str]] = []
    for note in history.note_rows():
        step = note.step
        if 0 <= note.back_to < len(ends):
            step = ends[note.back_to]
            notes = [(min(at, step), *rest) for at, *rest in notes]  # type: ignore[misc]
        notes.append((step, note.event, f"{note.group} {note.detail}".strip()))
    return notes


def _changes_round(event: str, detail: str) -> bool:
    names = {part.split(":")[0].strip() for part in detail.split(", ")}
    return event == "schedule" and bool(names & _ROUND)


def _runs(values: Sequence) -> list[tuple[int, int]]:
    """Start and end of each run of equal values."""
    edges = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    return list(pairwise([0, *edges, len(values)])) if values else []


def _choose_some(values: Sequence[_T], n: int) -> list[_T]:
    """At most n of them, the first and the last included."""
    if len(values) <= n:
        return list(values)
    return [values[round(i * (len(values) - 1) / (n - 1))] for i in range(n)]


def _thin_lines(lines: Lines) -> Lines:
    total = sum(map(len, lines))
    if total <= POINTS:
        return lines
    return [_choose_some(line, max(2, POINTS * len(line) // total)) for line in lines]
