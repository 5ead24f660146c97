"""Dense, switched and two controls, on all of Fashion-MNIST: accuracy and neurons off.

    python benchmarks/quickstart.py                      # lenet5, 8 epochs, seeds 0 1 2
    python benchmarks/quickstart.py --network mlp --seeds 0 1 2 3 4 --methods dense switched

All train for the same epochs from the same weights on the same task batches; all but `dense` have
their switcher steps on top. The switcher of `shuffled` reads the descriptors of another neuron, and
that of `random` reads fixed random numbers. Runs that the results hold already are not repeated.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from rows import add, mean_and_spread, read, write_page

import snnviz as sv

RESULTS = Path(__file__).parent / "results"
READS = {"dense": "nothing", "switched": "descriptors", "shuffled": "shuffled", "random": "random"}


def run(
    network: str, method: str, seed: int, epochs: int, precision: str, data: sv.ImageData
) -> dict[str, Any]:
    schedule = sv.Schedule(epochs=epochs, switcher_steps=int(method != "dense"))
    switcher = sv.SwitcherConfig(reads=READS[method])
    trainer = sv.Trainer(
        sv.network(network, data, seed), data, schedule, switcher, seed=seed, precision=precision
    )
    began = time.perf_counter()
    history = trainer.run()
    last = history.epochs.iloc[-1]
    row = {
        "network": network,
        "method": method,
        "seed": seed,
        "epochs": epochs,
        "precision": trainer.precision,
        "test_accuracy": round(100 * float(last.test_accuracy), 2),
        "neurons": int(last.neurons),
        "off": int(last.neurons - last.neurons_on),
        "parameters": int(last.parameters),
        "macs": int(last.macs),
        "seconds": round(time.perf_counter() - began, 3),
    }
    off = {group: int((values[-1] == 0).sum()) for group, values in history.factors.items()}
    return {**row, "off_by_group": json.dumps(off)}


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | method | seeds | test accuracy, % | neurons off, % | parameters left |",
        "|---|---|---|---|---|---|",
    ]
    settings = dict.fromkeys((r["network"], r["epochs"], r["precision"]) for r in rows)
    for network, epochs, precision in settings:
        these = network, epochs, precision
        same = [r for r in rows if (r["network"], r["epochs"], r["precision"]) == these]
        for method in READS:
            runs = [r for r in same if r["method"] == method]
            if not runs:
                continue
            accuracies = [float(r["test_accuracy"]) for r in runs]
            off = [100 * int(r["off"]) / int(r["neurons"]) for r in runs]
            lines.append(
                f"| {network}, {epochs} epochs, {precision} | {method} | {len(runs)} "
                f"| {mean_and_spread(accuracies)} "
                f"| {min(off):.0f} to {max(off):.0f} "
                f"| {_mean(r['parameters'] for r in runs):,.0f} |"
            )
    return "\n".join(lines) + "\n\n± is the standard deviation over seeds.\n"


def _mean(values: Any) -> float:
    return statistics.mean(map(float, values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="lenet5")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=READS, default=list(READS))
    parser.add_argument("--precision", default="auto", help="that of the rows to compare with")
    parser.add_argument("--results", type=Path, default=RESULTS / "quickstart.csv")
    options = parser.parse_args()
    rows = read(options.results)
    data = sv.load_data("fashion-mnist")
    for seed in options.seeds:
        for method in options.methods:
            key = (options.network, method, str(seed), str(options.epochs))
            like = [r for r in rows if options.precision in ("auto", r["precision"])]
            if key in {(r["network"], r["method"], r["seed"], r["epochs"]) for r in like}:
                continue
            row = run(options.network, method, seed, options.epochs, options.precision, data)
            add(options.results, rows, row)
    title = "Dense, switched and two controls, Fashion-MNIST"
    write_page(options.results, title, "python benchmarks/quickstart.py", table(rows))


if __name__ == "__main__":
    main()
