"""Which neurons two runs keep: how far the runs agree, and how far they would by chance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from snnviz.evidence.rows import (
    CELL,
    as_columns,
    cells,
    check_one_run_each,
    check_rows,
    finished_runs,
)

if TYPE_CHECKING:
    from pandas import DataFrame

ALL = "all together"  # the name of all groups as one

Sets = dict[str, np.ndarray]  # {group: which of its neurons are on (neurons,)}


def overlap(rows: DataFrame, by: Sequence[str] = CELL) -> DataFrame:
    """The overlap of the neurons that two runs keep: one row per pair of runs and group.

    A pair is two methods with one seed, or two seeds of one method (then `other` is `method`).
    Runs of two seeds start from different weights, so their neurons share only their positions.
    The Jaccard index is the number of neurons on in both runs, divided by the number on in at
    least one (1 if there is none). `chance` is its expected value if each run had drawn the
    neurons that it keeps in each group at random.

    Columns: those of `by`; group, and "all together" for all groups as one; method, kind, other,
    other_kind, seed, other_seed; neurons, on, other_on, both (counts); jaccard, chance; left_out
    (runs of the setting that cannot be compared: they failed, have another shape than most, or
    trained a network from scratch, whose neurons are not those of the baseline).

    Raises:
        TypeError: `rows` is not a DataFrame.
        ValueError: a column is missing, no run finished, a setting has two runs of one method and
            seed, the neurons that a run keeps cannot be read, or there is no pair.
    """
    import pandas as pd

    by = as_columns(by)
    rows = check_rows(rows, [*by, "method", "kind", "seed", "on", "widths"])
    table = []
    for cell, runs in cells(rows, by):
        check_one_run_each(runs, cell)
        good = finished_runs(runs).sort_values(["method", "seed"])
        read = [(run, _sets(run)) for run in good.to_dict("records")]
        usable = _of_one_shape(read)
        left_out = {"left_out": len(runs) - len(usable)}
        for (run, mine), (other, theirs) in combinations(usable, 2):
            if (run["method"] == other["method"]) != (run["seed"] == other["seed"]):
                names = _names(run, other)
                table += [cell | names | row | left_out for row in _compare_sets(mine, theirs)]
    if not table:
        raise ValueError(
            "rows must contain two runs of one setting, with the same seed or of the same method, "
            "got none. Run more methods or seeds."
        )
    order = [*by, "group", *(name for name in table[0] if name not in {*by, "group"})]
    return pd.DataFrame(table, columns=order)


def _names(run: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    names = {"method": run["method"], "kind": run["kind"]}
    names |= {"other": other["method"], "other_kind": other["kind"]}
    return names | {"seed": run["seed"], "other_seed": other["seed"]}


def _sets(run: dict[str, Any]) -> Sets:
    """Which of the network's neurons a run keeps; empty if they cannot be compared."""
    if run["kind"] == "scratch":  # a smaller network, whose neurons are not those of the baseline
        return {}
    try:
        written, widths = (json.loads(run[name] or "{}") for name in ("on", "widths"))
        sets = {}
        for group, packed in written.items():
            on, n = widths[group]
            octets = np.frombuffer(bytes.fromhex(packed), np.uint8)
            if len(octets) != -(-n // 8):
                raise ValueError(f"{len(octets)} bytes for {n} neurons in {group}")
            bits = np.unpackbits(octets, count=n)
            if bits.sum() != on:
                raise ValueError(f"{bits.sum()} of {n} neurons on in {group}, not {on}")
            sets[group] = bits.astype(bool)
        return sets
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ValueError(
            "rows must say in the columns 'on' and 'widths' which neurons a run keeps, got values "
            f"that cannot be read from method {run['method']!r}, seed {run['seed']}: {error}. "
            "Repeat the run, or leave it out."
        ) from error


def _of_one_shape(runs: list[tuple[dict[str, Any], Sets]]) -> list[tuple[dict[str, Any], Sets]]:
    """The runs whose groups and sizes are the most frequent ones; in a tie, the larger ones."""

    def shape(sets: Sets) -> tuple[tuple[str, int], ...]:
        return tuple((group, len(sets[group])) for group in sorted(sets))

    counts = Counter(shape(sets) for _, sets in runs if sets)
    if not counts:
        return []
    usual = max(counts, key=lambda each: (counts[each], sum(n for _, n in each), each))
    return [(run, sets) for run, sets in runs if shape(sets) == usual]


def _compare_sets(mine: Sets, theirs: Sets) -> list[dict[str, Any]]:
    sizes = {group: (int(a.sum()), int(theirs[group].sum()), len(a)) for group, a in mine.items()}
    both = {group: int((a & theirs[group]).sum()) for group, a in mine.items()}
    parts: dict[str, tuple[tuple[tuple[int, int, int], ...], int]] = {
        group: ((sizes[group],), both[group]) for group in mine
    }
    parts[ALL] = (tuple(sizes.values()), sum(both.values()))
    table = []
    for group, (each, shared) in parts.items():
        on, other_on, n = np.sum(each, axis=0).tolist()
        row = {"group": group, "neurons": n, "on": on, "other_on": other_on, "both": shared}
        table.append(row | {"jaccard": _jaccard(shared, on, other_on), "chance": chance(each)})
    return table


def _jaccard(both: int, on: int, other_on: int) -> float:
    either = on + other_on - both
    return both / either if either else 1.0


@lru_cache(maxsize=4096)
def chance(sizes: tuple[tuple[int, int, int], ...]) -> float:
    """The expected Jaccard index of neurons drawn at random.

    Args:
        sizes: for each group (neurons on in one run, on in the other, all neurons). The number on
            in both is hypergeometric in each group, with mean on · other_on / neurons.
    """
    from scipy.stats import hypergeom

    drawn_by_both = np.ones(1)  # probabilities of 0, 1, 2, …
    for on, other_on, n in sizes:
        counts = np.arange(min(on, other_on) + 1)
        drawn_by_both = np.convolve(drawn_by_both, hypergeom.pmf(counts, n, on, other_on))
    total = sum(on + other_on for on, other_on, _ in sizes)
    k = np.arange(len(drawn_by_both))
    return float(drawn_by_both @ np.where(k == total - k, 1.0, k / np.maximum(total - k, 1)))
