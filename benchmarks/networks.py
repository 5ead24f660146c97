"""Every network by name: what can be switched, and whether the smaller network is equivalent.

    python benchmarks/networks.py                # all of them
    python benchmarks/networks.py resnet18 vgg16

All parameters and norm statistics are drawn at random, half of each group's factors are exactly 0,
and the outputs of the smaller network are compared with those of the larger in float64 and float32.
One round of alternating training runs before that. The page also lists what the switcher reads.
"""

import argparse
import csv
import math
import textwrap
from pathlib import Path
from typing import Any

import machine
import torch
from torch import nn

import snnviz as sv
from snnviz.networks import NETWORKS
from snnviz.structure import find_switches
from snnviz.switcher import DESCRIPTORS, Switcher, SwitcherConfig

RESULTS = Path(__file__).parent / "results" / "networks.csv"
DOCS = Path(__file__).parents[1] / "docs" / "networks.md"


def draw_at_random(network: nn.Module, generator: torch.Generator) -> None:
    """Parameters and norm statistics for which neither a leak nor a wrong fold would go unseen."""

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
        tensor.data.copy_(values * (high - low) + low)

    for module in network.modules():
        norm = hasattr(module, "eps")
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1 and name != "layer_scale":
                bound = math.sqrt(6 / (parameter[0].numel() or 1))  # keeps the signal through ReLUs
                uniform(parameter, -bound, bound)
            elif norm or name == "layer_scale":
                uniform(parameter, *((0.5, 1.5) if name != "bias" else (-0.5, 0.5)))
            else:
                uniform(parameter, -0.5, 0.5)
        if getattr(module, "running_var", None) is not None:
            uniform(module.running_mean, -0.5, 0.5)
            uniform(module.running_var, 0.5, 1.5)


def row(name: str, data: sv.ImageData) -> dict[str, Any]:
    plan = sv.Schedule(batch_size=8, warmup_epochs=0)
    trainer = sv.Trainer(sv.network(name, data), data, plan, device="cpu", precision="float32")
    losses = [trainer.step().loss for _ in range(5)]  # one round
    switched = {layer for g in trainer.switches.groups.values() for layer in (*g.writers, *g.norms)}
    parameters = {n: p.numel() for n, p in trainer.network.named_parameters()}
    share = sum(k for n, k in parameters.items() if n.rpartition(".")[0] in switched)
    found: dict[str, Any] = {
        "network": name,
        "groups": len(trainer.switches.groups),
        "neurons": sum(trainer.history.groups.values()),
        "share_switched": round(share / sum(parameters.values()), 3),
        "round_runs": all(map(math.isfinite, losses)),
        "parameters": sum(parameters.values()),
    }
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32):
        network = sv.network(name, data).to(dtype).eval()
        draw_at_random(network, generator)
        images = data.batch("test", torch.arange(8))[0].to(dtype)
        switches = find_switches(network, images)
        factors = {}
        for group in switches.groups.values():
            values = torch.rand(group.neurons, generator=generator, dtype=dtype) + 0.5
            values[torch.randperm(group.neurons, generator=generator)[: group.neurons // 2]] = 0
            factors[group.name] = values
        small, report = sv.compact(network, factors, images, switches=switches, latency=False)
        found["parameters_after"] = sum(p.numel() for p in small.parameters())
        found[f"difference_{str(dtype).removeprefix('torch.')}"] = f"{report.difference:.1e}"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    names = parser.parse_args().names
    whole = sv.load_data("fashion-mnist", device="cpu")
    first = slice(0, 64)
    data = sv.ImageData.from_tensors(
        (whole.train.images[first], whole.train.labels[first]),
        (whole.test.images[first], whole.test.labels[first]),
        classes=whole.classes,
        device="cpu",
    )
    rows = []
    for name in names:
        rows.append(row(name, data))
        print(rows[-1], flush=True)
    if set(names) != set(NETWORKS):
        return
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    DOCS.write_text(page(rows), encoding="utf-8")


def page(rows: list[dict[str, Any]]) -> str:
    words = ", ".join(f"{name} {value}" for name, value in machine.describe().items())
    lines = [
        "# Networks by name",
        "",
        f"Made by `python benchmarks/networks.py` ({words}), on 28 x 28 grey",
        "images and 10 classes.",
        "",
        "*Switched* is the share of parameters in layers whose neurons can be switched. *Trains*",
        "says whether a round of training ran without an error. *Difference* is the largest",
        "difference between the outputs of the network with factors and those of the smaller",
        "network, as a share of the largest output. For this comparison all parameters are random,",
        "and half of each group is off.",
        "",
        "| network | groups | neurons | switched | trains | parameters | parameters with half off "
        "| difference, float64 | difference, float32 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r['network']} | {r['groups']} | {r['neurons']:,} | {r['share_switched']:.1%} "
            f"| {'yes' if r['round_runs'] else 'no'} | {r['parameters']:,} "
            f"| {r['parameters_after']:,} | {r['difference_float64']} | {r['difference_float32']} |"
        )
    return "\n".join([*lines, "", *what_is_read()]) + "\n"


def what_is_read() -> list[str]:
    """What the switcher reads of a neuron: a section of the page."""
    own = sum(parameter.numel() for parameter in Switcher().parameters())
    text = (
        f"One switcher of {own:,} parameters serves all groups of any of these networks. Of each "
        "neuron it reads the numbers that the table marks with *yes*, each relative to the others "
        "of the neuron's group. `SwitcherConfig(descriptors=...)` chooses others, and you can add "
        "your own to `snnviz.switcher.DESCRIPTORS`."
    )
    lines = ["## What the switcher reads", "", *textwrap.wrap(text, 96), ""]
    lines += ["| name | by default | what it is |", "|---|---|---|"]
    default = SwitcherConfig().descriptors
    names = [*default, *(name for name in DESCRIPTORS if name not in default)]
    for name in names:
        yes = "yes" if name in default else "no"
        lines.append(f"| `{name}` | {yes} | {DESCRIPTORS[name].sentence} |")
    text = (
        "A switcher that has learned can be used on any other network: "
        "`trainer.switcher.save(path)`, then `Trainer(..., switcher=Switcher.load(path))`. One "
        "that has learned on three MLPs and three LeNets ships with the package: "
        "`Switcher.learned()`, or `snnviz train --switcher learned`. With it the first neurons go "
        "off in the first round after the warm-up "
        "([measurements](../benchmarks/results/learned_switcher.md)). "
        "`plots.what_it_reads(trainer)` draws the factors against what is read, and the lesson "
        "[06](../notebooks/06_what_the_switcher_reads.ipynb) shows why it finds long weights."
    )
    return [*lines, "", *textwrap.wrap(text, 96, break_on_hyphens=False)]


if __name__ == "__main__":
    main()
