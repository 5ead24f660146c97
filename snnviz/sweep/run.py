"""Makes the runs of a study with Ray's workers or in this process, and saves each row."""

import os
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from snnviz import checks
from snnviz.sweep import on_ray
from snnviz.sweep.cell import Cell, Row, make
from snnviz.sweep.queue import Queue
from snnviz.sweep.results import Results
from snnviz.sweep.study import Study


class Outcome(NamedTuple):
    """What a sweep did.

    Attributes:
        runs: number of runs in the study, or in its part.
        before: how many of them were done before.
        done: how many were done now.
        failed: how many failed now.
        results: the file with their rows.
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
    """Makes the runs of a study that are not done yet; runs that failed are repeated.

    The results are saved whenever a run ends: after any interruption, the same call continues.

    Args:
        part: only the runs of this part.
        workers: runs at a time: one a core if left out, or what the cluster has. 0: one after the
            other in this process, without Ray.
        address: of a Ray cluster to join; otherwise this machine's own.
        gpus_per_run: share of a GPU that a run takes, where there are any: 1 if left out.
        results: file for the results; by default the study's.
        progress: print on stderr how many runs have ended.

    Raises:
        ValueError: an argument is not allowed.
        InUse: another sweep writes the results.
        NotSaved: the results cannot be written.
        ImportError: Ray is not installed.
    """
    _check_arguments(workers, address, gpus_per_run)
    cells = study.cells(part)
    with Results(study.file(results)) as kept:
        queue = Queue(cells, kept.rows)
        before, failed = len(cells) - len(queue), 0
        if workers == 0:
            made = _in_sequence(queue)
        else:
            made = on_ray.rows(queue, workers, address, gpus_per_run)
        with closing(made), _Progress(len(cells), before, progress) as shown:
            for row in made:
                kept.add(row)
                queue.ended(row)
                failed += row["status"] != "done"
                shown.row(cells[row["key"]], row)
    return Outcome(len(cells), before, len(cells) - before - failed, failed, kept.file)


def _check_arguments(workers: int | None, address: str | None, gpus_per_run: float | None) -> None:
    if workers is not None:
        checks.whole("workers", workers, 0)
    if workers == 0 and (address or gpus_per_run is not None):
        raise ValueError("workers must be at least 1 with an address or gpus_per_run, got 0.")
    if gpus_per_run is not None and checks.number("gpus_per_run", gpus_per_run, 0, 1) == 0:
        raise ValueError("gpus_per_run must be above 0, got 0. To use no GPU: run.device = 'cpu'.")


def _in_sequence(queue: Queue) -> Generator[Row, None, None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker: with more, sums have another order
    try:
        while found := queue.next():
            yield make(*found)
    finally:
        torch.set_num_threads(threads)


class _Progress:
    """A bar with the time left; where stderr is not a terminal, one line for each run."""

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
        outcome = f"failed: {row['error']}" if failed else f"test accuracy {accuracy:.2%}"
        self._bar.write(f"{self._ended}/{self._runs} {cell}: {outcome}", file=sys.stderr)
        if self._failed:
            self._bar.set_postfix_str(f"{self._failed} failed")

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
