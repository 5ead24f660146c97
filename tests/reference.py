"""Slow, obvious twins of the numerics: what `snnviz` computes, written down a second time.

Nothing here uses scaled parameters. Factors act through forward hooks, groups are named by hand,
and the training loop is a loop. Only `Switcher` itself is shared; `scores` below is its twin.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.data import BatchOrder, ImageData
from snnviz.networks import lenet5, mlp, vgg_small
from snnviz.structure import NeuronWeights
from snnviz.switcher import Switcher
from snnviz.training import Schedule

# Of each group, by hand: pairs of a layer that writes its neurons and the norm behind it, or None.
Layers = Mapping[str, Sequence[tuple[str, str | None]]]

LAYERS: dict[str, Layers] = {
    "mlp": {"fc1": [("fc1", None)], "fc2": [("fc2", None)]},
    "lenet5": {
        "conv1": [("conv1", None)],
        "conv2": [("conv2", None)],
        "fc1": [("fc1", None)],
    },
    "vgg_small": {f"conv{i}": [(f"conv{i}", f"norm{i}")] for i in range(1, 5)}
    | {"fc1": [("fc1", None)]},
    "own": {"0": [("0", "1")], "4": [("4", None)], "7": [("7", "8")]},
    "residual": {
        "first": [("first", None), ("second", None)],
        "inner": [("inner", "norm")],
        "hidden": [("hidden", None)],
    },
}


# Of each group, by hand: the layers that read it.
READERS: dict[str, Mapping[str, Sequence[str]]] = {
    "mlp": {"fc1": ["fc2"], "fc2": ["scores"]},
    "lenet5": {"conv1": ["conv2"], "conv2": ["fc1"], "fc1": ["scores"]},
    "vgg_small": {
        "conv1": ["conv2"],
        "conv2": ["conv3"],
        "conv3": ["conv4"],
        "conv4": ["fc1"],
        "fc1": ["scores"],
    },
    "own": {"0": ["4"], "4": ["7"], "7": ["10"]},
    "residual": {"first": ["inner", "hidden"], "inner": ["second"], "hidden": ["head"]},
}


class Residual(nn.Module):
    """A user's network: two layers write the same channels, for they meet in an addition."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.inner = nn.Conv2d(6, 5, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 6, 3, padding=1)
        self.hidden = nn.Linear(6 * 4 * 4, 9)
        self.head = nn.Linear(9, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images)
        x = torch.relu(x + self.second(torch.relu(self.norm(self.inner(torch.relu(x))))))
        x = F.max_pool2d(x, 2).flatten(1)
        return self.head(torch.tanh(self.hidden(x)))


def own(classes: int = 3) -> nn.Module:
    """A user's network, for images of 1 x 8 x 8: norms of both kinds, with and without bias."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 4, 2, stride=2, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4, 7),
        nn.BatchNorm1d(7),
        nn.SiLU(),
        nn.Linear(7, classes),
    )


# What to build, and the images' shape; named as in LAYERS.
BUILD: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "mlp": (lambda: mlp((1, 6, 6), 3), (1, 6, 6)),
    "lenet5": (lambda: lenet5((1, 16, 16), 3), (1, 16, 16)),
    "vgg_small": (lambda: vgg_small((3, 4, 4), 3), (3, 4, 4)),
    "own": (own, (1, 8, 8)),
    "residual": (Residual, (1, 8, 8)),
}


def tiny_data(
    shape: tuple[int, int, int] = (1, 8, 8), n: int = 80, classes: int = 3, **options: Any
) -> ImageData:
    """Random images, in which each class is a little brighter in a place of its own."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % classes
    images = torch.randint(0, 150, (n, *shape), generator=generator)
    for k in range(classes):
        images[labels == k, :, 2 * k : 2 * k + 2] += 100
    images = images.to(torch.uint8)
    options = {"device": "cpu"} | options
    return ImageData.from_tensors((images, labels), (images[::2], labels[::2]), **options)


def unit_mean(z: np.ndarray) -> np.ndarray:
    """The point nearest to z among those with s >= 0 and mean 1, by bisection in float64.

    That point is max(z - tau, 0) for the tau that makes the mean 1 (Lagrange multiplier).
    """
    z = z.astype(np.float64)
    low, high = z.max() - len(z), z.max()
    for _ in range(200):
        tau = (low + high) / 2
        if np.maximum(z - tau, 0).sum() > len(z):
            low = tau
        else:
            high = tau
    return np.maximum(z - high, 0)


@contextmanager
def hooked(network: nn.Module, layers: Layers, factors: Mapping[str, Tensor]) -> Iterator[None]:
    """Within, every neuron's pre-activation is multiplied by its factor, after the norm."""

    def times(factor: Tensor) -> Callable[..., Tensor]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            return output * factor.view(1, -1, *(1,) * (output.ndim - 2))

        return hook

    handles = [
        network.get_submodule(norm or writer).register_forward_hook(times(factors[group]))
        for group, pairs in layers.items()
        for writer, norm in pairs
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def neuron_weights(network: nn.Module, layers: Layers) -> dict[str, NeuronWeights]:
    """What the switcher reads."""
    weights, readers = {}, next(READERS[name] for name, its in LAYERS.items() if its is layers)
    for group, pairs in layers.items():
        incoming, scales, shifts = [], [], []
        for writer, norm in pairs:
            layer: Any = network.get_submodule(writer)
            n = layer.weight.shape[0]
            incoming.append(layer.weight.movedim(1, -1).reshape(n, -1))  # input channels last
            if norm:
                after: Any = network.get_submodule(norm)
                scales.append(after.weight)
                shifts.append(after.bias)
            else:
                scales.append(torch.ones(n, dtype=layer.weight.dtype))
                shifts.append(torch.zeros(n) if layer.bias is None else layer.bias)
        count = len(pairs)
        weights[group] = NeuronWeights(
            tuple(incoming),
            sum(scales[1:], scales[0]) / count,
            sum(shifts[1:], shifts[0]) / count,
            outgoing_lengths(network, readers[group], len(scales[0])),
        )
    return weights


def outgoing_lengths(network: nn.Module, readers: Sequence[str], neurons: int) -> Tensor:
    """Neuron by neuron. A layer behind a flattening reads each of them at several places."""
    squares = [torch.zeros(()) for _ in range(neurons)]
    for reader in readers:
        weight: Any = network.get_submodule(reader).weight
        places = weight.shape[1] // neurons
        for i in range(neurons):
            squares[i] = squares[i] + (weight[:, i * places : (i + 1) * places] ** 2).sum()
    return torch.stack(squares).sqrt()


@dataclass
class Alternating:
    """Task network and switcher under the method, one step at a time."""

    network: nn.Module
    switcher: Switcher
    layers: Layers
    schedule: Schedule
    factors: dict[str, Tensor] | None = None
    records: list[tuple[str, float, float]] = field(default_factory=list)  # phase, loss, lr

    def __post_init__(self) -> None:
        plan = self.schedule
        self.task_optimizer = (
            torch.optim.SGD(
                self.network.parameters(),
                lr=1.0,
                momentum=plan.task_momentum,
                weight_decay=plan.task_weight_decay,
            )
            if plan.task_optimizer == "sgd"
            else torch.optim.Adam(self.network.parameters(), weight_decay=plan.task_weight_decay)
        )
        self.switcher_optimizer = (
            torch.optim.SGD(self.switcher.parameters(), lr=1.0, momentum=plan.switcher_momentum)
            if plan.switcher_optimizer == "sgd"
            else torch.optim.Adam(self.switcher.parameters())
        )

    def task_step(self, images: Tensor, labels: Tensor, lr: float, through: bool = False) -> None:
        """The task network moves; the factors are those of the phase's start, or computed again."""
        self.network.train()
        if through:
            factors = self.switcher(neuron_weights(self.network, self.layers))
            self.factors = None
        else:
            if self.factors is None:
                self.factors = self._fresh()
            factors = self.factors
        self.network.zero_grad()
        with hooked(self.network, self.layers, factors):
            loss = F.cross_entropy(self.network(images).float(), labels)
        loss.backward()
        self.task_optimizer.param_groups[0]["lr"] = lr
        self.task_optimizer.step()
        self.switcher.zero_grad()
        self.records.append(("task", loss.item(), lr))

    def switcher_step(self, images: Tensor, labels: Tensor, lr: float) -> None:
        """The switcher moves; the network's buffers are put back as they were."""
        self.network.train()
        before = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        weights = neuron_weights(self.network, self.layers)
        factors = self.switcher({k: w.map(Tensor.detach) for k, w in weights.items()})
        with hooked(self.network, self.layers, factors):
            loss = F.cross_entropy(self.network(images).float(), labels)
        self.switcher.zero_grad()
        loss.backward()
        self.network.zero_grad()
        for name, buffer in self.network.named_buffers():
            buffer.copy_(before[name])
        gradients = [p.grad for p in self.switcher.parameters() if p.grad is not None]
        length = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients))
        for gradient in gradients:
            gradient *= min(1.0, self.schedule.switcher_clip / (length + 1e-6))
        self.switcher_optimizer.param_groups[0]["lr"] = lr
        self.switcher_optimizer.step()
        self.factors = None
        self.records.append(("switcher", loss.item(), lr))

    def _fresh(self) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.switcher(neuron_weights(self.network, self.layers))

    def train(self, data: ImageData, seed: int) -> None:
        """The whole schedule, with the batches that a Trainer of this seed takes."""
        plan = self.schedule
        order = BatchOrder(len(data.train), plan.batch_size, 2 * seed)
        other = BatchOrder(len(getattr(data, plan.switcher_data)), plan.batch_size, 2 * seed + 1)
        n = order.batches_per_epoch
        done = 0  # task steps since the last switcher phase
        for epoch in range(plan.epochs):
            frozen = epoch >= plan.epochs - plan.freeze_epochs
            alternating = epoch >= plan.warmup_epochs and not frozen and plan.switcher_steps > 0
            if not alternating:
                done = 0
            for k in range(n):
                share = (epoch + k / n) / plan.epochs
                wave = (1 + math.cos(math.pi * share)) / 2
                if alternating and done == plan.task_steps:
                    lr = plan.switcher_lr * (wave if plan.switcher_decay == "cosine" else 1)
                    for _ in range(plan.switcher_steps):
                        images, labels = data.batch(plan.switcher_data, *other.next())  # type: ignore[arg-type]
                        self.switcher_step(images, labels, lr)
                    done = 0
                lr = plan.task_lr * (wave if plan.task_decay == "cosine" else 1)
                images, labels = data.batch("train", *order.next())
                self.task_step(images, labels, lr, plan.through_switcher and not frozen)
                done += alternating


def phases(plan: Schedule, batches_per_epoch: int) -> list[tuple[int, int, str]]:
    """(epoch, batch, phase) of every step of a run: a list, made by the words of `Schedule`."""
    steps: list[tuple[int, int, str]] = []
    done = 0
    for epoch in range(plan.epochs):
        last = epoch >= plan.epochs - plan.freeze_epochs
        alternating = epoch >= plan.warmup_epochs and not last and plan.switcher_steps > 0
        for batch in range(batches_per_epoch):
            if alternating and done == plan.task_steps:
                steps += [(epoch, batch, "switcher")] * plan.switcher_steps
                done = 0
            steps.append((epoch, batch, "task"))
            done = done + 1 if alternating else 0
    return steps


# --- descriptors, by loops over neurons and weights in plain numbers ------------------------------


def _rows(weights: NeuronWeights) -> list[list[float]]:
    return weights.incoming.tolist()


def _length(row: Sequence[float]) -> float:
    return max(math.sqrt(sum(weight**2 for weight in row)), 1e-12)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (_length(one) * _length(other))


def _mean_cosine(weights: NeuronWeights) -> list[float]:
    rows = _rows(weights)
    return [sum(_cosine(row, other) for other in rows) / len(rows) for row in rows]


def _greatest_cosine(weights: NeuronWeights) -> list[float]:
    rows = list(enumerate(_rows(weights)))
    if len(rows) == 1:
        return [0.0]
    return [max(_cosine(row, other) for j, other in rows if j != i) for i, row in rows]


DESCRIPTORS: dict[str, Callable[[NeuronWeights], list[float]]] = {
    "length": lambda weights: [math.log(_length(row)) for row in _rows(weights)],
    "scale": lambda weights: weights.scale.tolist(),
    "shift": lambda weights: [
        shift / _length(row)
        for row, shift in zip(_rows(weights), weights.shift.tolist(), strict=True)
    ],
    "outgoing": lambda weights: [math.log(max(x, 1e-12)) for x in weights.outgoing.tolist()],
    "mean_cosine": _mean_cosine,
    "greatest_cosine": _greatest_cosine,
    "density": lambda weights: [sum(map(abs, row)) / _length(row) for row in _rows(weights)],
}


def descriptor_scores(switcher: Switcher, weights: NeuronWeights) -> list[float]:
    """What the switcher thinks of each neuron of a group, before gain and activation."""
    state = {k: v.detach().double().numpy() for k, v in switcher.state_dict().items()}
    columns = []
    for name in switcher.config.descriptors:
        values = DESCRIPTORS[name](weights)
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
        columns.append([(value - mean) / (spread + 1e-5) for value in values])
    out = []
    for row in zip(*columns, strict=True):
        h = np.array(row)
        h = np.maximum(state["layers.0.weight"] @ h + state["layers.0.bias"], 0)
        h = np.maximum(state["layers.2.weight"] @ h + state["layers.2.bias"], 0)
        out.append(float(state["layers.4.weight"][0] @ h + state["layers.4.bias"][0]))
    return out
