"""Random commands from several threads against a lab's session: does anything go wrong?

    python benchmarks/monkey.py

2,000 commands for each seed; tests/lab/monkey.py says what they are and what is checked after each
of them and after each step. Ends with an error if there was a fault.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import machine

from tests.lab.monkey import BOUND, Monkey

RESULTS = Path(__file__).parent / "results" / "monkey.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Sends random commands to a session.")
    parser.add_argument("--commands", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=6)
    asked = parser.parse_args()
    runs, faults = [], 0
    for seed in range(asked.seeds):
        # Taking turns, each command's own outcome is checked too; otherwise threads race.
        in_order = seed % 2 == 0
        story = Monkey(seed, asked.commands, in_order=in_order).run()
        for fault in story.faults:
            print(f"seed {seed}: {fault}", flush=True)
        faults += len(story.faults)
        runs.append(
            {
                "seed": seed,
                "threads that send": "in turn" if in_order else "racing",
                "commands": story.commands,
                "by name": dict(sorted(story.counts.items())),
                "sessions, one after another": story.sessions,
                "steps": story.steps,
                "of them failed on purpose": story.hiccups,
                "statuses checked": story.statuses,
                "longest till a command was carried out, s": round(story.longest, 3),
                "faults": len(story.faults),
            }
        )
        print(runs[-1], flush=True)
    results = {
        "command": "python benchmarks/monkey.py",
        "machine": machine.describe(),
        "commands": sum(run["commands"] for run in runs),
        "faults": faults,
        "what a fault is": f"a command that is not carried out within {BOUND:g} s, is lost or "
        "carried out twice; an outcome that is not the command's; a step back without a new "
        "generation; a record, an epoch's factors or an event that is missing, out of order or "
        "not what the trainer handed out; a table that does not hold together when another thread "
        "reads it; a thread at the networks that is not the session's, or two at once; a session "
        "that does not train on at the end",
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if faults:
        sys.exit(f"{faults} faults")


if __name__ == "__main__":
    main()
