"""Makes runs of a committed study a second time and prints what came out differently.

    python benchmarks/again.py --rows 5
    python benchmarks/again.py --study choice --rows 3 --seed 7

The rows are drawn at random. On the machine that made them, with the same versions, every column
must be equal, and the command fails if one is not. Another processor may round in another order,
and one without AMX trains in float32 instead of bfloat16, so there the command only prints the
differences. One run takes between ten seconds and some minutes. The rows in studies/directions can
be repeated only with the code from before the switcher read descriptors.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch

from snnviz import sweep
from snnviz.sweep.cell import Cell, Row, make

STUDIES = Path(__file__).parent / "studies"
TIMES = ["seconds", "wall_seconds", "ended"]  # which differ from run to run
WHERE = ["machine", "versions"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes runs of a study a second time.")
    parser.add_argument("--study", choices=("claims", "choice"), default="claims")
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    asked = parser.parse_args()
    results = STUDIES / f"{asked.study}.parquet"
    if not results.exists():
        sys.exit(
            f"there are no results of this study yet. Make some: snnviz sweep {asked.study}.toml"
        )
    rows = sweep.read(results)
    cells = sweep.Study.read(STUDIES / f"{asked.study}.toml").cells()
    torch.set_num_threads(1)  # as in a sweep: more of them add up in another order
    broken = 0
    for _, old in rows.sample(asked.rows, random_state=asked.seed).iterrows():
        cell = cells[old.key]
        new = pd.Series(made(cell))
        found = differences(old, new)
        print(f"{cell}: {len(found)} columns differ", flush=True)
        print(*(f"  {name}: {was} then, {now} now" for name, (was, now) in found.items()), sep="\n")
        broken += bool(found) and not found.keys() & set(WHERE)
    if broken:
        sys.exit(f"{broken} of {asked.rows} runs differ, on the machine that made them")


def made(cell: Cell) -> Row:
    """The run's row, after the run that it refers to, if there is one."""
    return make(cell, None if cell.reference is None else make(cell.reference))


def differences(old: pd.Series, new: pd.Series) -> dict[str, tuple[object, object]]:
    """{column: (then, now)}, without the times."""
    names = [name for name in old.index if name not in TIMES and name in new.index]
    pairs = {name: (old[name], new[name]) for name in names}
    return {k: (a, b) for k, (a, b) in pairs.items() if a != b and not (pd.isna(a) and pd.isna(b))}


if __name__ == "__main__":
    main()
