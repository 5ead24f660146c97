"""Makes the switcher that ships with the package, and measures what it is worth to begin with it.

    python benchmarks/learned_switcher.py make        # snnviz/switcher/learned.safetensors
    python benchmarks/learned_switcher.py measure     # results/learned_switcher.csv and .md
    python benchmarks/learned_switcher.py measure --networks mlp --seeds 0 1 2 --epochs 5

`make` hands one switcher on from network to network. Nothing is chosen: the seeds and the number of
networks were fixed beforehand, and the switcher that the last network leaves is the one that ships.
The accuracy after each network is measured on training images that are held out. A folder keeps the
switcher after each network, so that a stopped `make` goes on where it was.

`measure` trains networks of other seeds: `dense`, with a `new` switcher, with the `learned` one
that goes on learning, and with the same one `held`. It counts after how many rounds and steps the
first neuron goes off. Runs that the results hold already are not repeated.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import torch
from rows import add, read, write_page

import snnviz as sv
from snnviz.switcher.switcher import LEARNED, Switcher

RESULTS = Path(__file__).parent / "results"
# A step of lenet5 takes several times as long.
EPOCHS = {"mlp": 6, "lenet5": 3}
SEEDS = (100, 101, 102)  # nobody's first choice, so that a user's seeds are new to the switcher
HOLDOUT = 5000
STARTS = ("dense", "new", "learned", "held")


def make(folder: Path, shipped: Path = LEARNED, seeds: tuple[int, ...] = SEEDS) -> None:
    """Hands a switcher on through all networks, and writes the last one to `shipped`."""
    data = sv.load_data("fashion-mnist", holdout=HOLDOUT)
    switcher: Switcher | None = None
    for place, (seed, name) in enumerate((seed, name) for seed in seeds for name in EPOCHS):
        file = folder / f"{place}-{name}-{seed}.safetensors"
        if not file.exists():
            schedule = sv.Schedule(epochs=EPOCHS[name])
            net = sv.network(name, data, seed)
            trainer = sv.Trainer(net, data, schedule, switcher, seed=seed, precision="float32")
            trainer.run(progress=False)
            trainer.switcher.save(file)
            off = {group: int((s == 0).sum()) for group, s in trainer.factors.items()}
            accuracy = trainer.evaluate("holdout").accuracy
            print(f"{file.stem}: {accuracy:.2%} of held-out images, off {off}", flush=True)
        switcher = Switcher.load(file)
    if switcher is not None:
        switcher.seed = 0  # that of its first weights and of controls, which it does not need
        print(switcher.save(shipped))


def measure(name: str, start: str, seed: int, epochs: int, data: sv.ImageData) -> dict[str, Any]:
    """One run, and when its first neuron went off."""
    schedule = sv.Schedule(epochs=epochs)
    if start == "dense":
        schedule = schedule.replace(switcher_steps=0)
    if start == "held":
        schedule = schedule.replace(switcher_lr=0.0)
    switcher = Switcher.learned() if start in ("learned", "held") else None
    trainer = sv.Trainer(sv.network(name, data, seed), data, schedule, switcher, seed=seed)
    rounds, first = 0, None
    for record in trainer:
        if record.phase == "switcher":
            rounds += 1  # a round of this schedule has one switcher step
            if first is None and any((s == 0).any() for s in trainer.factors.values()):
                first = rounds, record.step
    trainer.settle()
    last = trainer.history.epochs.iloc[-1]
    return {
        "network": name,
        "start": start,
        "seed": seed,
        "epochs": epochs,
        "precision": trainer.precision,
        "first_off_round": first[0] if first else "",
        "first_off_step": first[1] if first else "",
        "test_accuracy": round(100 * float(last.test_accuracy), 2),
        "neurons": int(last.neurons),
        "off": int(last.neurons - last.neurons_on),
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | start | seeds | first neuron off: round | step | accuracy, % | off, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, epochs in dict.fromkeys((row["network"], row["epochs"]) for row in rows):
        for start in STARTS:
            runs = [
                r for r in rows if (r["network"], r["epochs"], r["start"]) == (name, epochs, start)
            ]
            if not runs:
                continue
            accuracies = [float(r["test_accuracy"]) for r in runs]
            off = [100 * int(r["off"]) / int(r["neurons"]) for r in runs]
            lines.append(
                f"| {name}, {epochs} epochs | {start} | {len(runs)} "
                f"| {span([r['first_off_round'] for r in runs])} "
                f"| {span([r['first_off_step'] for r in runs])} "
                f"| {statistics.mean(accuracies):.2f} ({span([f'{a:.2f}' for a in accuracies])}) "
                f"| {span([f'{share:.0f}' for share in off])} |"
            )
    return "\n".join(lines) + "\n\nFrom the least to the greatest of all seeds.\n"


def span(values: list[Any]) -> str:
    """The least and the greatest; a dash where no run has one."""
    known = sorted((str(v) for v in values if v != ""), key=float)
    if not known:
        return "–"
    return known[0] if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "measure"))
    parser.add_argument("--folder", type=Path, default=Path("runs/learned_switcher"))
    parser.add_argument("--networks", nargs="+", default=list(EPOCHS))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    if options.what == "make":
        make(options.folder)
        return
    results = RESULTS / "learned_switcher.csv"
    rows, data = read(results), sv.load_data("fashion-mnist")
    for name in options.networks:
        for seed in options.seeds:
            for start in STARTS:
                key = name, start, str(seed), str(options.epochs)
                if key in {(r["network"], r["start"], r["seed"], r["epochs"]) for r in rows}:
                    continue
                row = measure(name, start, seed, options.epochs, data)
                add(results, rows, row)
    title = "Beginning with the switcher that ships, Fashion-MNIST"
    write_page(results, title, "python benchmarks/learned_switcher.py measure", table(rows))


if __name__ == "__main__":
    main()
