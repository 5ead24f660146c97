"""A switcher that has learned elsewhere, held on a network that it has never seen.

    python benchmarks/transfer.py                       # learned on mlp, held on lenet5; 3 seeds
    python benchmarks/transfer.py --to mlp lenet5 --learned-on mlp lenet5 mlp+lenet5 --seeds 0 1

`itself` learns on the network where it works, `dense` has no switcher, and `mlp` (say) learned on
an `mlp` of the same seed and is held: it takes no step here. `magnitude` prunes to the size that
`itself` ends with, and `magnitude at mlp` to that of the one that is held. All train for the same
epochs from the same weights on the same task batches. Runs that the results hold already are not
repeated.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rows import Rows, add, mean_and_spread, read, write_page

import snnviz as sv
from snnviz import rivals
from snnviz.runs.trainer import Trainer
from snnviz.switcher import Switcher
from snnviz.training.trainer import AlternatingTrainer

RESULTS = Path(__file__).parent / "results"
PRUNED = "magnitude"  # has no switcher
ITSELF = {"dense": "dense", "itself": "switched"}


def learn(names: Sequence[str], seed: int, epochs: int, data: sv.ImageData) -> Switcher:
    """The switcher that learned on these networks, one after another."""
    switcher: Switcher | None = None
    for name in names:
        schedule = sv.Schedule(epochs=epochs)
        trainer = Trainer(sv.network(name, data, seed), data, schedule, switcher, seed=seed)
        trainer.run(progress=False)
        with tempfile.TemporaryDirectory() as folder:
            switcher = Switcher.load(trainer.switcher.save(Path(folder) / "learned.safetensors"))
    assert switcher is not None
    return switcher


def run(
    to: str, method: str, seed: int, epochs: int, data: sv.ImageData, size: float | None
) -> AlternatingTrainer:
    """One run, to its end. `size` is the share of the parameters that `magnitude` keeps."""
    network, schedule = sv.network(to, data, seed), sv.Schedule(epochs=epochs)
    if method.startswith(PRUNED):
        return rivals.train("magnitude", network, data, schedule, seed=seed, size=size)
    if method in ITSELF:
        return rivals.train(ITSELF[method], network, data, schedule, seed=seed)
    switcher = learn(method.split("+"), seed, epochs, data)
    trainer = Trainer(network, data, schedule.replace(switcher_lr=0.0), switcher, seed=seed)
    trainer.run(progress=False)
    return trainer


def row_of(trainer: AlternatingTrainer) -> dict[str, Any]:
    last = trainer.history.last_epoch
    return {
        "test_accuracy": round(100 * last["test_accuracy"], 2),
        "neurons": int(last["neurons"]),
        "off": int(last["neurons"] - last["neurons_on"]),
        "parameters_left": round(last["parameters"] / trainer.switches.parameters, 5),
    }


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("network", "method", "seed", "epochs"))


def table(rows: Rows) -> str:
    lines = [
        "| on | learned on | seeds | test accuracy, % | neurons off, % | parameters left |",
        "|---|---|---|---|---|---|",
    ]
    for place in dict.fromkeys((r["network"], r["epochs"]) for r in rows):
        same = [r for r in rows if (r["network"], r["epochs"]) == place]
        for method in sorted({r["method"] for r in same}):
            runs = [r for r in same if r["method"] == method]
            off = [100 * int(r["off"]) / int(r["neurons"]) for r in runs]
            lines.append(
                f"| {place[0]}, {place[1]} epochs | {method} | {len(runs)} "
                f"| {mean_and_spread([float(r['test_accuracy']) for r in runs])} "
                f"| {mean_and_spread(off)} "
                f"| {statistics.mean(float(r['parameters_left']) for r in runs):.4f} |"
            )
    return "\n".join(lines) + "\n\n± is the standard deviation over seeds.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", nargs="+", default=["lenet5"])
    parser.add_argument("--learned-on", nargs="+", default=["mlp"])
    parser.add_argument("--only", nargs="+", help="methods, by the names in the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--results", type=Path, default=RESULTS / "transfer.csv")
    options = parser.parse_args()
    rows, data = read(options.results), sv.load_data("fashion-mnist")
    for seed in options.seeds:
        for to in options.to:
            elsewhere = [name for name in options.learned_on if name != to]
            for method in ("dense", "itself", PRUNED, *elsewhere, *map(pruned_like, elsewhere)):
                settings: dict[str, Any] = {"network": to, "method": method, "seed": seed}
                settings["epochs"] = options.epochs
                done = {key(row): row for row in rows}
                if key(settings) in done or (options.only and method not in options.only):
                    continue
                size = None
                if method.startswith(PRUNED):
                    model = method.removeprefix(f"{PRUNED} at ") if method != PRUNED else "itself"
                    size = float(done[key(settings | {"method": model})]["parameters_left"])
                began = time.perf_counter()
                trainer = run(to, method, seed, options.epochs, data, size)
                seconds = round(time.perf_counter() - began, 3)
                own = {"precision": trainer.precision, **row_of(trainer), "seconds": seconds}
                add(options.results, rows, settings | own)
    title = "A switcher that learned on another network, Fashion-MNIST"
    write_page(options.results, title, "python benchmarks/transfer.py", table(rows))


def pruned_like(name: str) -> str:
    return f"{PRUNED} at {name}"


if __name__ == "__main__":
    main()
