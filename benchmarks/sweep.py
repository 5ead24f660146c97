"""Sweeps: how much faster two workers are than one, and whether kills lose or repeat a run.

    python benchmarks/sweep.py

The same grid by one worker and by two, in turn, each a command of its own with all of its start-up;
both must give the same rows. Then 20 times SIGKILL to sweeps of another grid, as
tests/sweep/killing.py describes: after each kill every row that was there is there still, and
unchanged; at the end each run is there once. Ends at the first kill of which that is not true.
Takes some 15 minutes, and needs two free cores. Ray's start and that of the workers, some ten
seconds, is in both times: a grid of a minute hides what the second worker is worth.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import pandas as pd

from snnviz import sweep

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "sweep.json"
TIMES = ["seconds", "wall_seconds", "ended"]
STUDY = """
name = "speed"
[[part]]
name = "all"
[part.grid]
network = ["lenet5"]
share = [0.1]
method = ["dense", "switched"]
seed = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
]
[part.schedule]
epochs = 4
[part.run]
device = "cpu"
holdout = 5000
choose = true
"""
KILLED = """
name = "killed"
[[part]]
name = "all"
[part.grid]
network = ["mlp"]
width = [0.05, 0.1]
share = [0.02]
method = ["dense", "switched", "magnitude"]
seed = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
[part.schedule]
epochs = 12
batch_size = 32
[part.run]
device = "cpu"
precision = "float32"
holdout = 500
choose = true
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Times and kills sweeps.")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["speed", "kills"])
    asked = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if asked.only else {}
    results |= {"command": "python benchmarks/sweep.py", "machine": machine.describe()}
    with tempfile.TemporaryDirectory() as folder:
        if asked.only != "kills":
            results["speed"] = _speed(Path(folder), asked.repeats)
        if asked.only != "speed":
            results["kills"] = _kills(Path(folder), asked.kills, asked.seed)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _speed(folder: Path, repeats: int) -> dict[str, Any]:
    (study := folder / "speed.toml").write_text(STUDY)
    took: dict[int, list[float]] = {1: [], 2: []}
    differ = 0
    for i in range(repeats):
        frames = []
        for workers, times in took.items():
            file = folder / f"{workers}-{i}.parquet"
            times.append(_seconds(study, file, workers))
            print(f"{workers} at a time: {times[-1]:.1f} s", flush=True)
            frames.append(sweep.read(file))
        differ += rows_that_differ(*frames)
    runs = statistics.median(frames[0]["wall_seconds"])
    return {
        "runs": len(frames[0]),
        "seconds of a run, median, one at a time": round(runs, 2),
        "seconds with 1 worker": [round(seconds, 1) for seconds in took[1]],
        "seconds with 2 workers": [round(seconds, 1) for seconds in took[2]],
        "time of 2 workers / time of 1, median": round(
            statistics.median(b / a for a, b in zip(took[1], took[2], strict=True)), 3
        ),
        "rows that differ": differ,
    }


def rows_that_differ(one: pd.DataFrame, other: pd.DataFrame) -> int:
    """Runs of which not all columns but the times are the same, or that only one has."""
    one, other = (frame.drop(columns=TIMES).set_index("key") for frame in (one, other))
    one, other = one.align(other)  # a run that only one has is empty in the other
    same = (one == other) | (one.isna() & other.isna())
    return int((~same.all(axis=1)).sum())


def _seconds(study: Path, results: Path, workers: int) -> float:
    command = [sys.executable, "-m", "snnviz", "sweep", str(study), "--workers", str(workers)]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--results", str(results)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"the sweep ended with {done.returncode}: {done.stderr}")
    return took


def _kills(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    (study := folder / "killed.toml").write_text(KILLED)
    command = [sys.executable, "-m", "tests.sweep.killing", str(study)]
    command += ["--kills", str(kills), "--seed", str(seed)]
    found = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            found.append(json.loads(line))
            print(f"kill {len(found)}: {line.strip()}", flush=True)
    if process.returncode:
        sys.exit(f"a sweep did not survive, after {len(found)} that did")
    return {
        "sweeps killed": len(found),
        "runs": len(sweep.Study.read(study).cells()),
        "rows at each kill": [kill["rows"] for kill in found],
        "runs lost": 0,
        "finished runs made again": 0,
        "processes left behind": 0,
    }


if __name__ == "__main__":
    main()
