"""At a size that is asked for: the switcher, two controls and magnitude, on Fashion-MNIST.

    python benchmarks/size.py                      # mlp, lenet5, resnet8; 0.5 and 0.2; 3 seeds
    python benchmarks/size.py --networks mlp --sizes 0.2 --seeds 0 1 2 3 4 --epochs 8

Which neurons stay differs, and how many parameters are left does not: `switched` keeps those that
the switcher scores highest, `shuffled` and `random` are its controls (it reads another neuron's
descriptors, or fixed random numbers), and `magnitude` removes the smallest L1 norms after half of
the epochs. `difference` is the greatest difference between the class scores before and after
`compact`, as a share of the largest. Runs that the results hold already are not repeated.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from rows import add, mean_and_spread, read, write_page

import snnviz as sv
from snnviz import rivals
from snnviz.data import harder

RESULTS = Path(__file__).parent / "results"
METHODS = {
    "switched": "switched",
    "shuffled": "shuffled",
    "random": "random_features",
    "magnitude": "magnitude",
}
SETTINGS = ("network", "size", "method", "seed", "epochs", "share", "size_from", "size_until")


def run(settings: dict[str, Any], data: sv.ImageData) -> dict[str, Any]:
    """Trains once; the settings and what came of them."""
    name, size, seed = settings["network"], settings["size"], settings["seed"]
    kind, schedule = METHODS[settings["method"]], sv.Schedule(epochs=settings["epochs"])
    own: dict[str, Any] = {"size": size} if kind == "magnitude" else {}
    schedule = schedule if own else schedule.replace(size=size)
    began = time.perf_counter()
    trainer = rivals.train(kind, sv.network(name, data, seed), data, schedule, seed=seed, **own)
    seconds, last = time.perf_counter() - began, trainer.history.last_epoch
    _, report = sv.compact(trainer)
    return {
        **settings,
        "precision": trainer.precision,
        "test_accuracy": round(100 * last["test_accuracy"], 2),
        "parameters_left": round(last["parameters"] / trainer.switches.parameters, 5),
        "neurons_on": int(last["neurons_on"]),
        "neurons": int(last["neurons"]),
        "difference": f"{report.difference:.1e}",
        "seconds": round(seconds, 3),
    }


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in SETTINGS)


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | size | method | seeds | test accuracy, % | parameters left | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    same = [name for name in SETTINGS if name not in ("method", "seed")]
    for one in dict.fromkeys(tuple(r[name] for name in same) for r in rows):
        network, size, epochs, share, begins, ends = one
        for method in METHODS:
            wanted = (*one, method)
            runs = [r for r in rows if tuple(r[n] for n in (*same, "method")) == wanted]
            if not runs:
                continue
            accuracies = [float(r["test_accuracy"]) for r in runs]
            images = "" if float(share) == 1 else f", {share} of the images"
            lines.append(
                f"| {network}, {epochs} epochs{images}, ramp {begins} to {ends} "
                f"| {size} | {method} | {len(runs)} "
                f"| {mean_and_spread(accuracies)} "
                f"| {statistics.mean(float(r['parameters_left']) for r in runs):.4f} "
                f"| {max(float(r['difference']) for r in runs):.1e} |"
            )
    return "\n".join(lines) + "\n\n± is the standard deviation over seeds. Magnitude has no ramp.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["mlp", "lenet5", "resnet8"])
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.5, 0.2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--share", type=float, default=1.0, help="of the training images")
    parser.add_argument("--results", type=Path, default=RESULTS / "size.csv")
    options = parser.parse_args()
    rows = read(options.results)
    data = harder(sv.load_data("fashion-mnist"), share=options.share)
    plan = sv.Schedule()
    rest: dict[str, float] = {"epochs": options.epochs, "share": options.share}
    rest |= {"size_from": plan.size_from, "size_until": plan.size_until}
    asked = [
        {"network": network, "size": size, "method": method, "seed": seed, **rest}
        for seed in options.seeds
        for network in options.networks
        for size in options.sizes
        for method in options.methods
    ]
    for settings in asked:
        if key(settings) in set(map(key, rows)):
            continue
        row = run(settings, data)
        add(options.results, rows, row)
    title = "At a size that is asked for: an extension, not in the paper. Fashion-MNIST"
    write_page(options.results, title, "python benchmarks/size.py", table(rows))


if __name__ == "__main__":
    main()
