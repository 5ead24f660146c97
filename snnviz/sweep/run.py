"""The runs of a study on Ray's workers, or in this process, each row written as it comes."""

import os
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from snnviz.sweep import on_ray
from snnviz.sweep.cell import Cell, Row, make
from snnviz.sweep.queue import Queue
from snnviz.sweep.results import Results
from snnviz.sweep.study import Study


class Outcome(NamedTuple):
    """What a sweep did.

    Attributes:
        runs: runs of the study, or of its part.
        before: of them, those that were done before.
        done: those done now.
        failed: those that failed now.
        results: where their rows are.
    """

    runs: int
    before: int
    done: int
    failed: int
    results: Path


def run(
    study: Study,
    part: str | None = None,
    *,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_run: float | None = None,
    results: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Outcome:
    """Makes the runs of a study that are not done yet; those that failed are tried again.

    The results are written whenever a run ends, so that the same call goes on after anything.

    Args:
        part: only the runs of this part.
        workers: runs at a time: one a core if left out, or what the cluster has. 0: one after the
            other in this process, without Ray.
        address: of a Ray cluster to join; otherwise this machine's own.
        gpus_per_run: share of a GPU that a run takes, where there are any: 1 if left out.
        results: file for the results; else the study's.
        progress: whether to say on stderr how far it has come.

    Raises:
        ValueError: an argument is not allowed.
        InUse: another sweep writes the results.
        NotSaved: the results cannot be written.
        ImportError: Ray is not installed.
    """
    _check(workers, address, gpus_per_run)
    cells = study.cells(part)
    with Results(Path(results or study.results)) as kept:
        queue = Queue(cells, kept.rows)
        before, failed = len(cells) - len(queue), 0
        if workers == 0:
            made = _in_sequence(queue)
        else:
            made = on_ray.rows(queue, workers, address, gpus_per_run)
        with closing(made), _Progress(len(cells), before, progress) as told:
            for row in made:
                kept.add(row)
                queue.ended(row)
                failed += row["status"] != "done"
                told.row(cells[row["key"]], row)
    return Outcome(len(cells), before, len(cells) - before - failed, failed, kept.file)


def _check(workers: int | None, address: str | None, gpus_per_run: float | None) -> None:
    if workers is not None and (type(workers) is not int or workers < 0):
        raise ValueError(
            f"workers must be a whole number of at least 0, got {workers!r}. "
            "Leave it out for one a core."
        )
    if workers == 0 and (address or gpus_per_run is not None):
        raise ValueError("workers must be at least 1 with an address or gpus_per_run, got 0.")
    number = isinstance(gpus_per_run, int | float) and not isinstance(gpus_per_run, bool)
    if gpus_per_run is not None and not (number and 0 < gpus_per_run <= 1):
        raise ValueError(
            f"gpus_per_run must be a number above 0 and at most 1, got {gpus_per_run!r}."
        )


def _in_sequence(queue: Queue) -> Generator[Row, None, None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker: more of them add up in another order
    try:
        while found := queue.next():
            yield make(*found)
    finally:
        torch.set_num_threads(threads)


class _Progress:
    """A bar with the time left; where stderr is no terminal, a line a run."""

    def __init__(self, runs: int, before: int, shown: bool) -> None:
        self._shown, self._failed = shown, 0
        bar = shown and sys.stderr.isatty()
        self._bar = tqdm(total=runs, initial=before, unit="run", disable=not bar)
        self._runs, self._ended = runs, before

    def row(self, cell: Cell, row: Row) -> None:
        self._ended += 1
        self._bar.update()
        failed = row["status"] != "done"
        self._failed += failed
        if not self._shown or not (failed or self._bar.disable):
            return
        accuracy = row.get("test_accuracy")
        told = f"failed: {row['error']}" if failed else f"test accuracy {accuracy:.2%}"
        self._bar.write(f"{self._ended}/{self._runs} {cell}: {told}", file=sys.stderr)
        if self._failed:
            self._bar.set_postfix_str(f"{self._failed} failed")

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
