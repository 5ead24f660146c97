"""What a sweep would do, and roughly how long it would take."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from snnviz.sweep.cell import Cell, Row
from snnviz.sweep.estimates import Estimates
from snnviz.sweep.results import beside, rows
from snnviz.sweep.study import Study


class Counts(NamedTuple):
    """Runs of a part of a study, or of all.

    Attributes:
        part: its name; "all" for all parts together, in which a run counts once.
        runs: number of runs.
        done: finished runs.
        failed: runs that failed, and will be repeated.
        left: runs that will be made.
        hours: how long these take, without the unknown ones; None if all are unknown.
        rough: runs whose hours are estimated from other networks or methods.
        unknown: runs for which there is no earlier run to estimate from.
    """

    part: str
    runs: int
    done: int
    failed: int
    left: int
    hours: float | None
    rough: int
    unknown: int


def plan(
    study: Study, part: str | None = None, workers: int = 1, results: Path | None = None
) -> list[Counts]:
    """Counts for each part, or for the one asked for; several parts are then counted together.

    Args:
        workers: runs at a time.
        results: file for the results; by default the study's. Other results in its folder also
            serve to estimate how long runs take.
    """
    kept = study.file(results)
    there = rows(kept)
    took = Estimates([*there.values(), *beside(kept)])
    study.cells(part)  # raises an error if there is no such part
    names = list(study.parts) if part is None else [part]
    counts = [_counts(name, study.cells(name), there, took, workers) for name in names]
    if len(names) > 1:
        counts.append(_counts("all", study.cells(), there, took, workers))
    return counts


def _counts(
    name: str,
    cells: Mapping[str, Cell],
    there: Mapping[str, Row],
    took: Estimates,
    workers: int,
) -> Counts:
    states = [there[key]["status"] for key in cells if key in there]
    done, failed = states.count("done"), states.count("failed")
    left = [
        cell for key, cell in cells.items() if key not in there or there[key]["status"] != "done"
    ]
    known = [each for cell in left if (each := took.of(cell)) is not None]
    hours = sum(each.seconds for each in known) / 3600 / workers if known or not left else None
    rough = sum(each.rough for each in known)
    return Counts(name, len(cells), done, failed, len(left), hours, rough, len(left) - len(known))
