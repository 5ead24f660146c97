"""Big networks trained alternately for some hundred steps, and dense: accuracy, neurons off, size.

    python benchmarks/training.py

On 12,800 images of Fashion-MNIST, in epochs of 100 task steps; the test images are 2,000.
"""

import argparse
import json
from pathlib import Path

import machine

import snnviz as sv

RESULTS = Path(__file__).parent / "results" / "training.json"
PLAN = sv.Schedule(epochs=3, warmup_epochs=1, task_lr=0.02, switcher_lr=5e-3)


def part(data: sv.ImageData, train: int, test: int) -> sv.ImageData:
    """The first images of either split."""
    splits = [
        (split.images[:n], split.labels[:n])
        for split, n in ((data.train, train), (data.test, test))
    ]
    return sv.ImageData.from_tensors(*splits, classes=data.classes, name=f"{data.name}, in part")


def train(name: str, data: sv.ImageData) -> dict[str, object]:
    trainer = sv.Trainer(sv.network(name, data), data, PLAN)
    history = trainer.run()
    steps = history.steps
    loss = steps[steps.phase == "task"].groupby("epoch").loss.mean()
    _, report = sv.compact(trainer, latency=False)
    last = history.epochs.iloc[-1]
    dense = sv.Trainer(sv.network(name, data), data, PLAN.replace(switcher_steps=0)).run()
    return {
        "precision": trainer.precision,
        "steps": len(steps),
        "of them switcher steps": int((steps.phase == "switcher").sum()),
        "training loss by epoch": [round(value, 4) for value in loss],
        "training loss, first 10 steps": round(float(steps.loss[:10].mean()), 4),
        "test accuracy": round(float(last.test_accuracy), 4),
        "test accuracy of a dense one": round(float(dense.epochs.iloc[-1].test_accuracy), 4),
        "neurons on": f"{last.neurons_on:.0f} of {last.neurons:.0f}",
        "epochs in the history": len(history.epochs),
        "parameters before and after compact": [report.before.parameters, report.after.parameters],
        "greatest output difference of compact / output scale": f"{report.difference:.1e}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["resnet18", "vgg16"])
    arguments = parser.parse_args()
    data = part(sv.load_data("fashion-mnist"), 12_800, 2_000)
    results: dict[str, object] = {
        "command": "python benchmarks/training.py",
        "machine": machine.describe(),
    }
    for name in arguments.networks:
        results[name] = train(name, data)
        print(json.dumps({name: results[name]}, indent=1), flush=True)
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
