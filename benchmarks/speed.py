"""What training costs, as ratios measured in one run.

    python benchmarks/speed.py
    python benchmarks/speed.py --only recording

Each ratio is taken pair by pair, the two sides in turn, so that it holds when the machine's speed
drifts; the median and the range over pairs are printed and kept.
"""

import argparse
import gzip
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import snnviz as sv
from snnviz.training import trainer as trainer_file
from snnviz.training.meter import measure_step
from snnviz.training.trainer import switcher_step, task_step

RESULTS = Path(__file__).parent / "results" / "speed.json"
DATA = Path(__file__).parents[1] / "data"
BATCH, LR = 128, 0.05
Ratios = dict[str, dict[str, float]]


def summary(ratios: list[float], limit: str) -> dict[str, float | str]:
    return {
        "median": round(statistics.median(ratios), 4),
        "least": round(min(ratios), 4),
        "most": round(max(ratios), 4),
        "pairs": len(ratios),
        "aim": limit,
    }


def usual_epoch(network: nn.Module, loader: DataLoader) -> float:
    """Seconds of an epoch as most scripts do it: Dataset, DataLoader, float32."""
    optimizer = torch.optim.SGD(network.parameters(), LR, momentum=0.9, weight_decay=5e-4)
    began = time.perf_counter()
    network.train()
    for images, labels in loader:
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return time.perf_counter() - began


def usual_loader(root: str) -> DataLoader:
    raw = Path(root) / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in DATA.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    steps = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.286], [0.353])]
    train = torchvision.datasets.FashionMNIST(root, transform=v2.Compose(steps))
    return DataLoader(train, BATCH, shuffle=True, drop_last=True, num_workers=2)


def epochs(pairs: int, data: sv.ImageData) -> dict[str, dict]:
    """An epoch of our dense training against the usual loop, at the same accuracy.

    Like against like: the steps alone. Ours with the test evaluation and the history, of which the
    usual loop has neither, stands beside it.
    """
    ratios, whole, accuracies = [], [], {"usual": [], "ours": []}
    plan = sv.Schedule(epochs=1, switcher_steps=0, task_decay="constant", task_lr=LR)
    with tempfile.TemporaryDirectory() as root:
        loader = usual_loader(root)
        for seed in range(pairs):
            torch.manual_seed(seed)
            network = sv.network("lenet5", data, seed)
            usual = usual_epoch(network, loader)
            check = sv.Trainer(network, data, plan, precision="float32")
            accuracies["usual"].append(100 * check.evaluate().accuracy)
            trainer = sv.Trainer(sv.network("lenet5", data, seed), data, plan, seed=seed)
            began = time.perf_counter()
            for _ in range(trainer.batches_per_epoch):
                trainer.step()
            every = time.perf_counter() - began  # with the evaluation and the history
            ours = float(trainer.history.epochs.seconds[0])
            accuracies["ours"].append(100 * trainer.evaluate().accuracy)
            ratios.append(usual / ours)
            whole.append(usual / every)
            print(f"  usual {usual:.1f} s, ours {ours:.1f} s ({trainer.precision})", flush=True)
    return {
        "epoch of the usual loop / ours": summary(ratios, "at least 3"),
        "epoch of the usual loop / ours with test evaluation and history": summary(whole, "none"),
        "test accuracy after that epoch, %": {
            name: f"{statistics.mean(a):.2f} ± {statistics.stdev(a):.2f}"
            for name, a in accuracies.items()
        },
    }


def steps(pairs: int, data: sv.ImageData, name: str, repeats: int = 40) -> dict[str, dict]:
    """A gated task step and a switcher step against a plain step of the same network.

    The plain one notes loss and accuracy as the others do, so that only gating differs.
    """
    trainer = sv.Trainer(sv.network(name, data), data, sv.Schedule(task_lr=0.01))
    learners = trainer.learners
    images, labels = data.batch("train", torch.arange(BATCH))
    images = images.contiguous(memory_format=torch.channels_last)
    plain = sv.network(name, data).to(memory_format=torch.channels_last)
    # The trainer's own kind, so that only gating differs.
    optimizer = torch.optim.SGD(
        plain.parameters(), 0.01, momentum=0.9, weight_decay=5e-4, fused=True
    )
    enabled = trainer.precision == "bfloat16"
    on = torch.ones(len(trainer.factors), device=trainer.device)

    def plain_step() -> None:
        plain.train()
        with torch.autocast(trainer.device.type, torch.bfloat16, enabled=enabled):
            scores = plain(images)
        loss = F.cross_entropy(scores.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        measure_step(loss, scores, labels, on)

    def gated_step() -> None:
        task_step(learners, images, labels, 0.01)

    def alternate() -> None:
        learners._readings = None  # as after a task phase
        switcher_step(learners, images, labels, 1e-3, 1.0)

    gated, switcher = [], []
    for warmed in range(pairs + 1):
        base = _seconds(plain_step, repeats)
        # The factors of a round are computed once, and a round has four task steps.
        task = _seconds(gated_step, repeats)
        switch = _seconds(alternate, repeats)
        if warmed:
            gated.append(task / base)
            switcher.append(switch / base)
    return {
        f"{name}: gated task step / plain step": summary(gated, "at most 1.05"),
        f"{name}: switcher step / plain step": summary(switcher, "at most 1.0"),
    }


def recording(pairs: int, data: sv.ImageData) -> dict[str, dict]:
    """The share of an epoch that reading results, noting them and counting sizes takes."""
    trainer = sv.Trainer(sv.network("lenet5", data), data, sv.Schedule(warmup_epochs=0))
    spent = {"recording": 0.0, "evaluation": 0.0}
    inside: list[str] = []  # what is being timed, so that nothing counts twice

    def timed(name: str, function: Callable) -> Callable:
        def wrapper(*args):
            if name in inside:
                return function(*args)
            inside.append(name)
            began = time.perf_counter()
            result = function(*args)
            spent[name] += time.perf_counter() - began
            inside.remove(name)
            return result

        return wrapper

    trainer.flush = timed("recording", trainer.flush)
    trainer._close_epoch = timed("recording", trainer._close_epoch)
    trainer_file.evaluate = timed("evaluation", trainer_file.evaluate)
    shares = []
    for _ in range(pairs):
        spent.update(recording=0.0, evaluation=0.0)
        began, epoch = time.perf_counter(), trainer.position.epoch
        while trainer.position.epoch == epoch:
            trainer.step()
        whole = time.perf_counter() - began
        assert spent["evaluation"] > 0, "the end of an epoch evaluates in another way now"
        shares.append((spent["recording"] - spent["evaluation"]) / whole)
    return {"recording / epoch": summary(shares, "at most 0.01")}


def imports(pairs: int) -> dict[str, dict]:
    """Seconds that `import snnviz` adds to `import torch`, in fresh interpreters."""
    added = []
    for _ in range(pairs + 1):
        code = (
            "import time; import torch; a = time.perf_counter(); import snnviz; "
            "print(time.perf_counter() - a)"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        added.append(float(out.stdout))
    return {"seconds that import snnviz adds": summary(added[1:], "below 0.5")}


def _seconds(step: Callable[[], None], repeats: int) -> float:
    for _ in range(3):
        step()
    began = time.perf_counter()
    for _ in range(repeats):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=["imports", "steps", "recording", "epochs"])
    asked = parser.parse_args()
    pairs, data = asked.pairs, sv.load_data("fashion-mnist")
    results: dict[str, Any] = {
        "command": "python benchmarks/speed.py",
        "machine": machine.describe(),
    }
    if asked.only:  # the others stay as they were measured
        results = json.loads(RESULTS.read_text()) | results
    parts = {
        "imports": [lambda: imports(pairs)],
        "steps": [
            lambda: steps(2 * pairs, data, "lenet5"),
            lambda: steps(2 * pairs, data, "mlp"),
            lambda: steps(pairs, data, "vgg_small", repeats=8),
        ],
        "recording": [lambda: recording(3, data)],
        "epochs": [lambda: epochs(pairs, data)],
    }
    for part in parts[asked.only] if asked.only else itertools.chain(*parts.values()):
        for name, figures in part().items():
            results[name] = figures
            print(name, figures, flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
