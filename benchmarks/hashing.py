"""What it costs in quality that the switcher hashes wide layers, against reading all weights.

    python benchmarks/hashing.py

More than 1,024 weights a neuron are hashed to that many. lenet5's hidden layer has 800, so here
lower limits hash it as much as the layers of big networks: 3 to 1 (vgg_small has 3,136 weights,
resnet18 up to 4,608), and more: 12 and 18 to 1. The same training seed by seed; accuracy is on
held-out images.
"""

import argparse
import json
import statistics
from pathlib import Path

import machine

import snnviz as sv
from snnviz.switcher import hashing

RESULTS = Path(__file__).parent / "results" / "hashing.json"
LIMITS = {"all 800 weights": 1024, "hashed to 256": 256, "hashed to 64": 64, "hashed to 44": 44}
PLAN = sv.Schedule()
READER = sv.SwitcherConfig(reads="weights")  # the only one that hashes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    data = sv.load_data("fashion-mnist", holdout=10_000)
    accuracy: dict[str, list[float]] = {name: [] for name in LIMITS}
    off: dict[str, list[int]] = {name: [] for name in LIMITS}
    for seed in seeds:
        for name, limit in LIMITS.items():
            hashing.MOST_INPUTS = limit
            trainer = sv.Trainer(sv.network("lenet5", data, seed), data, PLAN, READER, seed=seed)
            trainer.run(progress=False)
            accuracy[name].append(round(100 * trainer.evaluate("holdout").accuracy, 2))
            off[name].append(int((trainer.history.factors["fc1"][-1] == 0).sum()))
            print(f"seed {seed}, {name}: {accuracy[name][-1]} %, {off[name][-1]} off", flush=True)
    whole = accuracy[next(iter(LIMITS))]
    table = {
        name: {
            "held-out accuracy, %": accuracy[name],
            "mean difference from reading all, points": round(
                statistics.mean(a - b for a, b in zip(accuracy[name], whole, strict=True)), 3
            ),
            "hidden units off, of 500": off[name],
        }
        for name in LIMITS
    }
    results = {"command": "python benchmarks/hashing.py", "machine": machine.describe(), **table}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
