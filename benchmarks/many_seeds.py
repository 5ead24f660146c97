"""Several seeds trained at once by `vmap`, against a process for each core. Is it worth it?

    python benchmarks/many_seeds.py              # mlp and lenet5, float32

Both train plain networks with SGD and momentum on the same batches of each seed, with one thread a
process. A pair has both, one after another, in changing order; `together` has every seed in one
process on one core, and its figure is the time of a step of one seed. `difference` is the greatest
difference between the parameters after 20 steps, as a share of the largest.

The ratio is (seconds of a step alone) / (seconds of a step together): above 1, together is faster.
"""

import argparse
import copy
import json
import statistics
import time
from pathlib import Path

import machine
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

import snnviz as sv

RESULTS = Path(__file__).parent / "results" / "many_seeds.json"
LR, MOMENTUM, BATCH = 0.05, 0.9, 128
Tensors = dict[str, Tensor]


def alone(networks: list[nn.Module], images: Tensor, labels: Tensor, steps: int) -> list[Tensors]:
    """Trains one network after another; {name: parameter} of each."""
    for network, x, y in zip(networks, images, labels, strict=True):
        optimizer = torch.optim.SGD(network.parameters(), LR, MOMENTUM)
        for step in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(network(x[step]), y[step]).backward()
            optimizer.step()
    return [dict(network.named_parameters()) for network in networks]


def together(networks: list[nn.Module], images: Tensor, labels: Tensor, steps: int) -> Tensors:
    """Trains all networks in one step each; {name: (networks, ...)}."""
    stacked, buffers = stack_module_state(networks)  # type: ignore[arg-type]
    parameters = {name: value.detach() for name, value in stacked.items()}
    model = copy.deepcopy(networks[0])

    def loss(own: Tensors, own_buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(model, (own, own_buffers), (x,)), y)

    gradients = vmap(grad(loss))
    moving = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for step in range(steps):
        found = gradients(parameters, buffers, images[:, step], labels[:, step])
        for name, value in parameters.items():
            value.sub_(moving[name].mul_(MOMENTUM).add_(found[name]), alpha=LR)
    return parameters


def measure(name: str, seeds: int, steps: int, pairs: int, data: sv.ImageData) -> dict[str, object]:
    generator = torch.Generator().manual_seed(0)
    order = torch.randint(0, len(data.train.labels), (seeds, steps, BATCH), generator=generator)
    images = data.train.images[order].float() / 255 - 0.5
    labels = data.train.labels[order]
    ratios = []
    for pair in range(pairs):
        seconds = {}
        for way in (alone, together) if pair % 2 else (together, alone):
            networks = [sv.network(name, data, seed) for seed in range(seeds)]
            began = time.perf_counter()
            way(networks, images, labels, steps)
            seconds[way] = time.perf_counter() - began
        ratios.append(seconds[alone] / seconds[together])
    few = min(steps, 20)
    networks = [sv.network(name, data, seed) for seed in range(seeds)]
    stacked = together(networks, images, labels, few)  # from the same weights: it works on copies
    each = alone(networks, images, labels, few)
    difference = max(
        float((stacked[name] - torch.stack([own[name].detach() for own in each])).abs().max())
        / float(stacked[name].abs().max())
        for name in stacked
    )
    return {
        "seeds": seeds,
        "steps": steps,
        "median": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
        "pairs": pairs,
        "difference": f"{difference:.1e}",
        "aim": "at least 1.5, to be worth it",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["mlp", "lenet5"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 5, 10])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)  # a process a core is what it is compared with
    data = sv.load_data("fashion-mnist", device="cpu")
    results = {"command": "python benchmarks/many_seeds.py", "machine": machine.describe()}
    for name in options.networks:
        for seeds in options.seeds:
            found = measure(name, seeds, options.steps, options.pairs, data)
            results[f"{name}, {seeds} seeds: alone / together"] = found
            print(json.dumps(found), flush=True)
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
