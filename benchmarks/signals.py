"""How much of the switcher's gradient is signal, by what the switcher reads, on Fashion-MNIST.

    python benchmarks/signals.py                  # mlp, 4 epochs, seeds 0 1 2: some minutes
    python benchmarks/signals.py --seeds 0 1 2 3 4

The mean cosine of the gradients of two switcher phases is the signal's share of a gradient
(`snnviz.evidence.phase_cosines`). It is measured between successive phases, and between phases far
apart, where only a signal that lasts is counted. The switcher's learning rate is almost 0, so all
factors stay 1, and all switchers of a seed look at the same networks and batches. Runs that the
results hold already are not repeated.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import add, read

import snnviz as sv
from snnviz.evidence import phase_cosines, phase_gradients

RESULTS = Path(__file__).parent / "results"
STILL = 1e-9  # a learning rate that moves nothing; with 0, no gradient would be computed
FAR = 20  # phases
READS = ("descriptors", "shuffled", "random", "nothing")


def run(network: str, reads: str, seed: int, epochs: int, data: sv.ImageData) -> dict[str, Any]:
    schedule = sv.Schedule(epochs=epochs, switcher_lr=STILL)
    switcher = sv.SwitcherConfig(reads=reads)
    trainer = sv.Trainer(sv.network(network, data, seed), data, schedule, switcher, seed=seed)
    gradients = phase_gradients(trainer)
    far = [phase_cosines(gradients, lag) for lag in range(FAR, len(gradients))]
    moved = max(float((factors - 1).abs().max()) for factors in trainer.factors.values())
    assert moved < 1e-3, f"a factor has moved by {moved:g}"
    return {
        "network": network,
        "reads": reads,
        "seed": seed,
        "epochs": epochs,
        "precision": trainer.precision,
        "phases": len(gradients),
        "parameters": gradients.shape[1],
        "successive": round(float(np.nanmean(phase_cosines(gradients))), 4),
        "far_apart": round(float(np.nanmean(np.concatenate(far))), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="mlp")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    results = RESULTS / "signals.csv"
    rows = read(results)
    data = sv.load_data("fashion-mnist")
    for seed in options.seeds:
        for reads in READS:
            key = options.network, reads, str(seed), str(options.epochs)
            if key in {(r["network"], r["reads"], r["seed"], r["epochs"]) for r in rows}:
                continue
            row = run(options.network, reads, seed, options.epochs, data)
            add(results, rows, row)
    for reads in READS:
        runs = [r for r in rows if r["reads"] == reads]
        means = [np.mean([float(r[name]) for r in runs]) for name in ("successive", "far_apart")]
        print(f"{reads:12} successive {means[0]:.3f}, far apart {means[1]:.3f}")


if __name__ == "__main__":
    main()
