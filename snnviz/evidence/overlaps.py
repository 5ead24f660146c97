"""Who keeps which neurons: how far two runs agree, and how far they would by chance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from snnviz.evidence.rows import CELL, cells, checked, columns, done, once

if TYPE_CHECKING:
    from pandas import DataFrame

ALL = "all together"  # groups

Sets = dict[str, np.ndarray]  # {group: which of its neurons are on (neurons,)}


def overlap(rows: DataFrame, by: Sequence[str] = CELL) -> DataFrame:
    """The overlap of the neurons that two runs keep: a row for each pair of runs and group.

    Pairs are two methods with one seed, or two seeds of one method (then `other` is `method`).
    Runs of two seeds start from other weights, so that their neurons have nothing but their places
    in common. The Jaccard index is the number of neurons on in both runs, divided by that of
    neurons on in either (1 if there is none); `chance` is what it would be on average if each run
    had drawn the neurons it keeps in each group at random.

    Columns: those of `by`; group, and "all together" for all groups in one; method, kind, other,
    other_kind, seed, other_seed; neurons, on, other_on, both (counts); jaccard, chance; left_out
    (runs of the setting without sets to compare: failed, of another shape than most, or
    networks trained from scratch, whose neurons are none of the baseline's).

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, no run ended well, a setting holds two runs of one method
            and seed, what a run keeps cannot be read, or there is no pair.
    """
    import pandas as pd

    by = columns(by)
    rows = checked(rows, [*by, "method", "kind", "seed", "on", "widths"])
    table = []
    for cell, runs in cells(rows, by):
        once(runs, cell)
        good = done(runs).sort_values(["method", "seed"])
        read = [(run, _sets(run)) for run in good.to_dict("records")]
        usable = _of_one_shape(read)
        left_out = {"left_out": len(runs) - len(usable)}
        for (run, mine), (other, theirs) in combinations(usable, 2):
            if (run["method"] == other["method"]) != (run["seed"] == other["seed"]):
                names = _names(run, other)
                table += [cell | names | row | left_out for row in _compared(mine, theirs)]
    if not table:
        raise ValueError(
            "rows must hold two runs of one setting to compare, with one seed or of one method, "
            "got none. Run more methods or seeds."
        )
    order = [*by, "group", *(name for name in table[0] if name not in {*by, "group"})]
    return pd.DataFrame(table, columns=order)


def _names(run: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    names = {"method": run["method"], "kind": run["kind"]}
    names |= {"other": other["method"], "other_kind": other["kind"]}
    return names | {"seed": run["seed"], "other_seed": other["seed"]}


def _sets(run: dict[str, Any]) -> Sets:
    """Which of the network's neurons a run keeps; empty if that cannot be told."""
    if run["kind"] == "scratch":  # trains a smaller network, whose neurons have no such place
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
            "rows must say in the columns 'on' and 'widths' which neurons a run keeps, got "
            f"what cannot be read from method {run['method']!r}, seed {run['seed']}: {error}. "
            "Make the run again, or leave it out."
        ) from error


def _of_one_shape(runs: list[tuple[dict[str, Any], Sets]]) -> list[tuple[dict[str, Any], Sets]]:
    """The runs with the groups and neurons that most have; of equally many, the larger shape."""

    def shape(sets: Sets) -> tuple[tuple[str, int], ...]:
        return tuple((group, len(sets[group])) for group in sorted(sets))

    counts = Counter(shape(sets) for _, sets in runs if sets)
    if not counts:
        return []
    usual = max(counts, key=lambda each: (counts[each], sum(n for _, n in each), each))
    return [(run, sets) for run, sets in runs if shape(sets) == usual]


def _compared(mine: Sets, theirs: Sets) -> list[dict[str, Any]]:
    sizes = {group: (int(a.sum()), int(theirs[group].sum()), len(a)) for group, a in mine.items()}
    both = {group: int((a & theirs[group]).sum()) for group, a in mine.items()}
    parts: dict[str, tuple[tuple[tuple[int, int, int], ...], int]] = {
        group: ((sizes[group],), both[group]) for group in mine
    }
    parts[ALL] = (tuple(sizes.values()), sum(both.values()))
    table = []
    for group, (each, shared) in parts.items():
        on, other_on, n = (sum(column) for column in zip(*each, strict=True))
        row = {"group": group, "neurons": n, "on": on, "other_on": other_on, "both": shared}
        table.append(row | {"jaccard": _jaccard(shared, on, other_on), "chance": chance(each)})
    return table


def _jaccard(both: int, on: int, other_on: int) -> float:
    either = on + other_on - both
    return both / either if either else 1.0


@lru_cache(maxsize=4096)
def chance(sizes: tuple[tuple[int, int, int], ...]) -> float:
    """The Jaccard index to expect of neurons drawn at random.

    sizes: of each group (on in the one run, on in the other, neurons). How many are drawn by both
    is hypergeometric in each group, with the mean on · other_on / neurons.
    """
    from scipy.stats import hypergeom

    drawn_by_both = np.ones(1)  # probabilities of 0, 1, 2, …
    for on, other_on, n in sizes:
        counts = np.arange(min(on, other_on) + 1)
        drawn_by_both = np.convolve(drawn_by_both, hypergeom.pmf(counts, n, on, other_on))
    total = sum(on + other_on for on, other_on, _ in sizes)
    k = np.arange(len(drawn_by_both))
    return float(drawn_by_both @ np.where(k == total - k, 1.0, k / np.maximum(total - k, 1)))
