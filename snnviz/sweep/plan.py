"""What a sweep would do, and about how long it would take."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from snnviz.sweep.cell import Cell, Row
from snnviz.sweep.results import rows
from snnviz.sweep.study import Study

Kind = tuple[str, str]  # network and method


class Counts(NamedTuple):
    """Runs of a part of a study, or of all.

    Attributes:
        part: its name; "all" for all parts together, in which a run counts once.
        runs: how many there are.
        done: those whose rows are there.
        failed: those that came to nothing, and will be tried again.
        left: those that will be made.
        hours: how long these take, of those of which earlier runs tell; None: of none.
        unknown: those of which no earlier run of the same network and method tells.
    """

    part: str
    runs: int
    done: int
    failed: int
    left: int
    hours: float | None
    unknown: int


def plan(
    study: Study, part: str | None = None, workers: int = 1, results: Path | None = None
) -> list[Counts]:
    """Counts for each part, or for the one asked for; several parts are then counted together.

    Args:
        workers: runs at a time.
        results: file for the results; else the study's.
    """
    there = rows(results or study.results)
    took = _seconds(there.values())
    study.cells(part)  # an unknown part is an error
    names = list(study.parts) if part is None else [part]
    counts = [_counts(name, study.cells(name), there, took, workers) for name in names]
    if len(names) > 1:
        counts.append(_counts("all", study.cells(), there, took, workers))
    return counts


def _seconds(made: Iterable[Row]) -> dict[Kind, float]:
    found: dict[Kind, list[float]] = {}
    for row in made:
        if row["status"] == "done":
            found.setdefault((row["network"], row["method"]), []).append(row["wall_seconds"])
    return {kind: mean(values) for kind, values in found.items()}


def _counts(
    name: str,
    cells: Mapping[str, Cell],
    there: Mapping[str, Row],
    took: Mapping[Kind, float],
    workers: int,
) -> Counts:
    states = [there[key]["status"] for key in cells if key in there]
    done, failed = states.count("done"), states.count("failed")
    left = [
        (cell.network, cell.method)
        for key, cell in cells.items()
        if key not in there or there[key]["status"] != "done"
    ]
    known = [took[kind] for kind in left if kind in took]
    hours = sum(known) / 3600 / workers if known or not left else None
    return Counts(name, len(cells), done, failed, len(left), hours, len(left) - len(known))
