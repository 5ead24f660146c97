"""How much of the switcher's gradient is signal, by what the switcher reads, on Fashion-MNIST.

    python benchmarks/signals.py                  # mlp, 4 epochs, seeds 0 1 2: some minutes
    python benchmarks/signals.py --seeds 0 1 2 3 4

The cosine of the gradients of successive switcher phases is the signal's share of a gradient
(`snnviz.evidence.successive_cosines`). Runs that the results hold already are not repeated.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch

import snnviz as sv
from snnviz.evidence import phase_gradients, successive_cosines

RESULTS = Path(__file__).parent / "results"
READS = ("descriptors", "shuffled", "random", "nothing")


def run(network: str, reads: str, seed: int, epochs: int, data: sv.ImageData) -> dict[str, Any]:
    schedule, switcher = sv.Schedule(epochs=epochs), sv.SwitcherConfig(reads=reads)
    trainer = sv.Trainer(sv.network(network, data, seed), data, schedule, switcher, seed=seed)
    gradients = phase_gradients(trainer)
    cosines = successive_cosines(gradients)
    last = trainer.history.epochs.iloc[-1]
    return {
        "network": network,
        "reads": reads,
        "seed": seed,
        "epochs": epochs,
        "precision": trainer.precision,
        "phases": len(gradients),
        "parameters": gradients.shape[1],
        "mean_cosine": round(float(np.nanmean(cosines)), 4),
        "median_cosine": round(float(np.nanmedian(cosines)), 4),
        "test_accuracy": round(100 * float(last.test_accuracy), 2),
        "neurons": int(last.neurons),
        "off": int(last.neurons - last.neurons_on),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="mlp")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    results, rows = RESULTS / "signals.csv", []
    if results.exists():
        with results.open(newline="") as file:
            rows = list(csv.DictReader(file))
    data = sv.load_data("fashion-mnist")
    for seed in options.seeds:
        for reads in READS:
            key = options.network, reads, str(seed), str(options.epochs)
            if key in {(r["network"], r["reads"], r["seed"], r["epochs"]) for r in rows}:
                continue
            row = run(options.network, reads, seed, options.epochs, data)
            rows.append({field: str(value) for field, value in row.items()})
            with results.open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(row))
                writer.writeheader()
                writer.writerows(rows)
    for reads in READS:
        found = [float(r["mean_cosine"]) for r in rows if r["reads"] == reads]
        print(f"{reads:12} mean cosine {np.mean(found):.3f}, seeds {found}")


if __name__ == "__main__":
    main()
