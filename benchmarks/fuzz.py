"""Run folders that were changed at random: does anything run, crash, hang or fill the memory?

    python benchmarks/fuzz.py

tests/runs/mutation.py says how folders are changed, tests/runs/fuzzing.py what is done with each:
History.load, runs.table, runs.compare, Trainer.at, Trainer.fork and Trainer.resume. A call should
work (and give the truth, where no checksum was forged) or raise an error of this project that names
the file. Ends with an error if there was a fault.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import machine

from tests.runs.fuzzing import LIMIT, MOST_MEMORY, fuzz

RESULTS = Path(__file__).parent / "results" / "fuzz.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Reads changed run folders.")
    parser.add_argument("--folders", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for one in fuzz(asked.folders, asked.seed, Path(folder)):
            found.append(one)
            for fault in one["faults"]:
                print(f"{one['number']} ({one['change']}): {fault}", flush=True)
            if len(found) % 100 == 0:
                print(f"{len(found)} folders", flush=True)
    faults = sum(len(one["faults"]) for one in found)
    results = {
        "command": "python benchmarks/fuzz.py",
        "machine": machine.describe(),
        "folders": len(found),
        "of them with forged checksums": sum(one["forged"] for one in found),
        "faults": faults,
        "what a fault is": "code that runs, a process that ends, an error of another kind or that "
        "names no file, a file outside that is opened or changed, reading that changes the folder, "
        f"{LIMIT} s for one folder, {MOST_MEMORY >> 30} GiB on top of what the process had, or "
        "(no checksum forged) a state or history that never was",
        "first changes": _counted(one["change"].partition(":")[0] for one in found),
        "calls": _counted(end for one in found for end in one["ends"].values()),
        "most memory on top for a folder, MB": max(one["MB"] for one in found),
        "longest for a folder (all eight calls), s": max(one["seconds"] for one in found),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if faults:
        sys.exit(f"{faults} faults")


def _counted(words: Iterable[str]) -> dict[str, int]:
    counts = Counter(words)
    return {name: counts[name] for name in sorted(counts)}


if __name__ == "__main__":
    main()
