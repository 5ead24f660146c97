"""Sweeps that are killed at random moments and started again: is each run there, and made once?

    python -m tests.sweep.killing --kills 3 --seed 0 work/study.toml

The study is begun with 2 workers. The process gets SIGKILL after as many rows as a
seeded generator draws, and a share of the time between two of them; then it is begun again. After
each kill: the results can be read, and every row that was there before is there still, unchanged.
At the end a sweep without kills has made the rest, each run is there once, and no process of the
killed sweeps is left (idle helpers of Ray take about a minute to see that they are alone). Prints a
line of JSON for each kill.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from snnviz.sweep.results import rows
from snnviz.sweep.study import Study

_MOST_ROWS = 3  # after which a process is killed
_STARTING = 8.0  # seconds in which a process begins its first run, about
_LONG = 300.0  # seconds in which a row comes, and processes end, or something hangs


@contextmanager
def started(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A sweep in a process of its own; what it says goes into a file beside the study."""
    command = [sys.executable, "-m", "snnviz", "sweep", str(file), "--workers", "2"]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    with file.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=surroundings
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What the sweep has started."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_line(process: psutil.Process) -> list[str]:
    """Its command line; empty where it has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _is_agent(process: psutil.Process) -> bool:
    return "agent" in " ".join(command_line(process)).lower()


def check_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=_LONG)
    assert not alive, f"these were left behind: {alive}"


def wait_for_rows(process: subprocess.Popen[bytes], results: Path, count: int) -> bool:
    """Whether the process still runs when this number of rows is there."""
    until = time.monotonic() + _LONG
    while len(rows(results)) < count:
        if process.poll() is not None:
            return False
        assert time.monotonic() < until, "no row came"
        time.sleep(0.02)
    return process.poll() is None


def killed(file: Path, kills: int, seed: int, agents: bool = True) -> Iterator[dict[str, Any]]:
    """Kills so many sweeps of the study, one after the other, and then lets one end.

    Args:
        agents: whether to wait for Ray's idle agents too, which takes them a minute.
    """
    study, draw = Study.read(file), random.Random(seed)
    before: dict[str, dict[str, Any]] = {}
    families: list[psutil.Process] = []
    for _ in range(kills):
        with started(file) as process:
            more = draw.randint(0, _MOST_ROWS)
            ran = wait_for_rows(process, study.results, len(before) + more)
            assert ran, f"the sweep ended by itself, with {process.returncode}"
            time.sleep(draw.random() * (1.0 if more else _STARTING))
            children = family(process)
            families += [child for child in children if agents or not _is_agent(child)]
        there = _checked(study, before)
        yield {"rows": len(there), "new": len(there) - len(before), "processes": len(children)}
        before = there
    with started(file) as process:
        assert process.wait(_LONG) == 0, file.with_suffix(".log").read_text()
    assert _checked(study, before).keys() == study.cells().keys()
    check_gone(families)


def _checked(study: Study, before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    import pyarrow.parquet as pq

    there = rows(study.results)
    if there:
        assert pq.read_metadata(study.results).num_rows == len(there), "a run is there twice"
    assert there.keys() <= study.cells().keys()
    for key, row in before.items():
        assert there.get(key) == row, f"{row['method']} was lost, or made again"
    assert {row["status"] for row in there.values()} <= {"done"}
    return there


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills sweeps.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for kill in killed(asked.file, asked.kills, asked.seed):
        print(json.dumps(kill), flush=True)


if __name__ == "__main__":
    main()
