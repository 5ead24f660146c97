"""Every network by name: what can be switched, and whether the smaller network is equivalent.

    python benchmarks/networks.py                # all of them
    python benchmarks/networks.py resnet18 vgg16

All parameters and norm statistics are drawn at random, half of each group's factors are exactly 0,
and the outputs of the smaller network are compared with those of the larger in float64 and float32.
One round of alternating training runs before that. The page also says what the switcher's hashing
of wide layers costs, with the figures of `benchmarks/hashing.py`.
"""

import argparse
import csv
import json
import math
import statistics
import textwrap
from pathlib import Path
from typing import Any

import machine
import torch
from torch import nn

import snnviz as sv
from snnviz.networks import NETWORKS
from snnviz.structure import find_switches, neuron_weights
from snnviz.switcher import MOST_INPUTS

RESULTS = Path(__file__).parent / "results" / "networks.csv"
HASHING = Path(__file__).parent / "results" / "hashing.json"
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
    groups = trainer.switches.groups.values()
    fan_in = [neuron_weights(trainer.network, g).incoming.shape[1] for g in groups]
    switcher = sum(p.numel() for p in trainer.switcher.parameters())
    unread = trainer.switcher.config.hidden * sum(max(n - MOST_INPUTS, 0) for n in fan_in)
    found: dict[str, Any] = {
        "network": name,
        "groups": len(trainer.switches.groups),
        "neurons": sum(trainer.history.groups.values()),
        "share_switched": round(share / sum(parameters.values()), 3),
        "round_runs": all(map(math.isfinite, losses)),
        "parameters": sum(parameters.values()),
        "switcher": switcher,
        "switcher_without_hashing": switcher + unread,
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
    DOCS.write_text(page(rows, json.loads(HASHING.read_text())), encoding="utf-8")


def page(rows: list[dict[str, Any]], hashing: dict[str, Any]) -> str:
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
    return "\n".join([*lines, "", *hashed(rows, hashing)]) + "\n"


def hashed(rows: list[dict[str, Any]], hashing: dict[str, Any]) -> list[str]:
    """How the switcher reads wide layers, and what that costs: a section of the page."""
    shares = {
        r["network"]: [r[key] / r["parameters"] for key in ("switcher", "switcher_without_hashing")]
        for r in rows
    }
    (resnet, resnet_all), (vgg, vgg_all) = shares["resnet18"], shares["vgg16"]
    most = max(shares, key=lambda name: shares[name][0])
    how = (
        "For each switch group the switcher has a reader, with 32 weights for each number that it "
        f"reads of a neuron. A neuron with more than {MOST_INPUTS:,} incoming weights (a 3 x 3 "
        "convolution of 512 channels has 4,608) is therefore *hashed* first: its weights are cut "
        f"into parts of {MOST_INPUTS:,}, and the parts are added with random signs that stay the "
        "same throughout a run (feature hashing, Weinberger et al. 2009). On average this "
        "preserves inner products, and there is nothing to learn or to save. The length of the "
        "weight vector is read before the hashing. So the switcher has "
        f"{resnet:.1%} as many parameters as `resnet18` and {vgg:.1%} as many as `vgg16`; without "
        f"hashing it would have {resnet_all:.1%} and {vgg_all:.1%}. Narrow networks have no wide "
        f"layers to hash, so their switcher is relatively larger: up to {shares[most][0]:.0%} "
        f"(`{most}`)."
    )
    cost = (
        "What it costs in accuracy was measured with `python benchmarks/hashing.py` on the hidden "
        "layer of `lenet5`, which has 800 weights per neuron. It was hashed as strongly as wide "
        "layers are (3 to 1) and more strongly (12 and 18 to 1), with 3 seeds; accuracy is on "
        "held-out images of Fashion-MNIST. The differences vary between seeds by more than their "
        "means, so 3 seeds cannot distinguish a loss of 0.1 or 0.2 points from none."
    )
    lines = ["## How the switcher reads wide layers", "", *textwrap.wrap(how, 96), ""]
    lines += [
        *textwrap.wrap(cost, 96),
        "",
        "| the switcher reads | accuracy, % | difference, points | hidden units off, of 500 |",
        "|---|---|---|---|",
    ]
    measured = {name: r for name, r in hashing.items() if name not in ("command", "machine")}
    for name, r in measured.items():
        accuracies, off = r["held-out accuracy, %"], r["hidden units off, of 500"]
        lines.append(
            f"| {name} | {statistics.mean(accuracies):.2f} ({min(accuracies):.2f} to "
            f"{max(accuracies):.2f}) | {r['mean difference from reading all, points']:+.2f} "
            f"| {min(off)} to {max(off)} |"
        )
    return lines


if __name__ == "__main__":
    main()
