"""Whether a compacted network is really faster, and what the switcher costs on big ones.

    python benchmarks/compact.py

Half the neurons of every group are off. Each ratio is taken pair by pair, the two sides in turn.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import machine
import torch

import snnviz as sv
from snnviz.structure import find_switches
from snnviz.training.trainer import task_step

RESULTS = Path(__file__).parent / "results" / "compact.json"
BATCH = 128


def seconds(call: Callable[[], object], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return time.perf_counter() - began


def pairs(
    a: Callable[[], object], b: Callable[[], object], count: int, repeats: int
) -> dict[str, float]:
    ratios = [seconds(a, repeats) / seconds(b, repeats) for _ in range(count + 1)][1:]
    return {
        "median": round(statistics.median(ratios), 4),
        "least": round(min(ratios), 4),
        "most": round(max(ratios), 4),
        "pairs": count,
    }


def latency(name: str, data: sv.ImageData, count: int) -> dict[str, dict]:
    """Time of the compacted network / time of the dense one, without gradients, in float32.

    Both lie in memory as a trainer leaves them (channels_last).
    """
    layout = torch.channels_last
    network = sv.network(name, data).eval().to(memory_format=layout)  # type: ignore[call-overload]
    images = data.batch("test", torch.arange(BATCH))[0].to(memory_format=layout)
    switches = find_switches(network, images)
    generator = torch.Generator().manual_seed(0)
    factors = {}
    for group in switches.groups.values():
        values = torch.ones(group.neurons)
        values[torch.randperm(group.neurons, generator=generator)[: group.neurons // 2]] = 0
        factors[group.name] = values
    small, report = sv.compact(network, factors, images, switches=switches, latency=False)
    results = {}
    for batch in (1, BATCH):
        x = images[:batch]
        with torch.no_grad():
            ratio = pairs(
                lambda x=x: small(x), lambda x=x: network(x), count, 30 if batch == 1 else 2
            )
        results[f"{name}: compact / dense, batch {batch}"] = ratio
    macs = report.after.macs / report.before.macs
    results[f"{name}: MACs after / before"] = {"ratio": round(macs, 4)}
    return results


def switcher(name: str, data: sv.ImageData, count: int) -> dict[str, dict]:
    """The switcher's own forward and backward pass / a task step, and its share of parameters."""
    trainer = sv.Trainer(sv.network(name, data), data, sv.Schedule(batch_size=BATCH))
    learners = trainer.learners
    images, labels = data.batch("train", torch.arange(BATCH))
    images = images.contiguous(memory_format=torch.channels_last)

    def alone() -> None:
        learners._readings = None  # as after a task phase: it reads every weight again
        factors = learners.switcher.factors(learners._constant_readings())
        sum((s * s).sum() for s in factors.values()).backward()

    def task() -> None:
        task_step(learners, images, labels, 1e-3)

    own = sum(p.numel() for p in learners.switcher.parameters())
    whole = sum(p.numel() for p in trainer.network.parameters())
    return {
        f"{name}: switcher alone / task step ({trainer.precision})": pairs(alone, task, count, 2),
        f"{name}: switcher's parameters / network's": {"ratio": round(own / whole, 4)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    count = parser.parse_args().pairs
    data = sv.load_data("fashion-mnist")
    results = {"command": "python benchmarks/compact.py", "machine": machine.describe()}
    for name in ("resnet18", "vgg16"):
        for part in (switcher, latency):
            found = part(name, data, count)
            results |= found
            for key, value in found.items():
                print(key, value, flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
