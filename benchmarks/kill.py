"""Training processes that are killed at random moments: does each run go on as if nothing had been?

    python benchmarks/kill.py

200 times SIGKILL, as tests/runs/killing.py describes. After each: the folder loads, no finished
epoch is missing, and the run, taken up, ends with the parameters, optimizer states and history of
one that was never killed, byte for byte (all but how long the epochs took). All kills are counted;
if that is not true of one of them, the command fails in the end, and says of how many.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # the killed processes are copies of one, without its threads

import machine

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "kill.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills processes that train.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    kills = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.runs.killing", "--kills", str(asked.kills)]
        command += ["--seed", str(asked.seed), folder]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                kills.append(json.loads(line))
                print(f"{len(kills)}: {kills[-1]['story']}, {kills[-1]['killed']}", flush=True)
    if process.returncode:
        sys.exit(f"a run could not be taken up, after {len(kills)} that could")
    RESULTS.write_text(json.dumps(counted(kills), indent=1) + "\n")
    broken = [kill for kill in kills if kill["differs"] or kill["missing"]]
    if broken:
        sys.exit(f"{len(broken)} of {len(kills)} runs did not survive; the first: {broken[0]}")


def counted(kills: list[dict]) -> dict:
    """The results, of what the killing process told of each kill."""
    return {
        "command": "python benchmarks/kill.py",
        "machine": machine.describe(),
        "kills": len(kills),
        "runs that went on and ended as one that was never killed, byte for byte": sum(
            not kill["differs"] for kill in kills
        ),
        "finished epochs that were missing": sum(kill["missing"] for kill in kills),
        "histories read by another process meanwhile": sum(k["loads meanwhile"] for k in kills),
        "stories": _counted(kills, "story"),
        "killed": _counted(kills, "killed"),
        "finished epochs found after the kill": _counted(kills, "epochs"),
    }


def _counted(kills: list[dict], key: str) -> dict[str, int]:
    counts = Counter(kill[key] for kill in kills)
    return {str(name): counts[name] for name in sorted(counts)}


if __name__ == "__main__":
    main()
