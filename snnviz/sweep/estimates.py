"""How long a run takes, estimated from the runs that have been made."""

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn

from snnviz.networks import NETWORKS
from snnviz.sweep.cell import Cell, Row
from snnviz.sweep.study import CLASSES

# For each data set: number of training and of test images, and the shape of an image.
IMAGES: dict[str, tuple[int, int, tuple[int, int, int]]] = {
    "fashion-mnist": (60_000, 10_000, (1, 28, 28)),
    "mnist": (60_000, 10_000, (1, 28, 28)),
    "kmnist": (60_000, 10_000, (1, 28, 28)),
    "cifar10": (50_000, 10_000, (3, 32, 32)),
    "cifar100": (50_000, 10_000, (3, 32, 32)),
    "svhn": (73_257, 26_032, (3, 32, 32)),
}
FORWARD = 1 / 3  # cost of a test image, in training images: it needs the forward pass only
OVERHEAD = 500_000  # all other work of a step, in MACs per image; measured in the studies


class Estimate(NamedTuple):
    """How long a run takes, and whether other networks or methods served for the estimate."""

    seconds: float
    rough: bool


class _Known(NamedTuple):
    seconds: float
    rate: float  # seconds for each unit of `amount`
    device: str
    network: str
    width: float
    method: str
    kind: str
    same: str  # all settings but the seed


class Estimates:
    """Estimates from finished runs how long others take.

    A run takes as long as runs with the same settings and other seeds. Without those, the time of
    runs of the same network and method is scaled by the numbers of images and of
    multiply-accumulate operations. For a method that this network never ran with, the time of its
    other methods is scaled by the ratio that the two methods have on other networks. For a network
    that never ran, the network nearest in size is taken. Runs on other kinds of devices are left
    out.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._runs = [known for row in rows if (known := _known(row)) is not None]
        self._medians: dict[tuple[str, str], dict[Hashable, float]] = {}

    def of(self, cell: Cell) -> Estimate | None:
        """None if there is no run on such a device yet."""
        device = cell.conditions.device.partition(":")[0]
        same = self._table(device, "same", lambda run: run.same, lambda run: run.seconds)
        if (key := _same(cell.resolved)) in same:
            return Estimate(same[key], rough=False)
        work = amount(cell.resolved)
        by_width = self._rates(device, "network", "width", "method")
        by_method = self._rates(device, "network", "method")
        for rates, key in (
            (by_width, (cell.network, cell.width, cell.method)),
            (by_method, (cell.network, cell.method)),
        ):
            if key in rates:
                return Estimate(work * rates[key], rough=False)
        rate = self._rough(device, cell)
        return None if rate is None else Estimate(work * rate, rough=True)

    def _rough(self, device: str, cell: Cell) -> float | None:
        rates = self._rates(device, "network", "kind")
        size = _size(cell.resolved)
        sizes = self._table(
            device, "size", lambda run: run.network, lambda run: _size(json.loads(run.same))
        )
        order = sorted(
            sizes, key=lambda name: (name != cell.network, abs(math.log(sizes[name] / size)))
        )
        return _of_network(order[0], cell.kind, rates) if order else None

    def _rates(self, device: str, *names: str) -> dict[Any, float]:
        return self._table(
            device,
            " ".join(names),
            lambda run: tuple(getattr(run, name) for name in names),
            lambda run: run.rate,
        )

    def _table(
        self,
        device: str,
        name: str,
        key: Callable[[_Known], Hashable],
        value: Callable[[_Known], float],
    ) -> dict[Any, float]:
        """{key: median over the runs on such a device}, computed once."""
        if (device, name) not in self._medians:
            found: dict[Hashable, list[float]] = {}
            for run in self._runs:
                if device in ("auto", run.device):
                    found.setdefault(key(run), []).append(value(run))
            self._medians[device, name] = {k: median(values) for k, values in found.items()}
        return self._medians[device, name]


def _of_network(network: str, kind: str, rates: Mapping[tuple[str, str], float]) -> float:
    """The rate of one kind of method, estimated from other methods of the network."""
    if (network, kind) in rates:
        return rates[network, kind]
    found = []
    for (name, other), rate in rates.items():
        if name == network:
            elsewhere = {n for n, k in rates if k == kind} & {n for n, k in rates if k == other}
            ratios = [rates[n, kind] / rates[n, other] for n in elsewhere]
            found.append((bool(ratios), rate * (median(ratios) if ratios else 1)))
    best = [rate for by_ratio, rate in found if by_ratio] or [rate for _, rate in found]
    return median(best)


def _known(row: Row) -> _Known | None:
    if row["status"] != "done" or not row["wall_seconds"]:
        return None
    try:
        settings = json.loads(row["settings"])
        rate = row["wall_seconds"] / amount(settings)
        names = ("network", "width", "method", "kind")
        values = {name: row[name] for name in names}
        return _Known(
            row["wall_seconds"], rate, row["device"] or "cpu", **values, same=_same(settings)
        )
    except (KeyError, TypeError, ValueError):  # written by another version
        return None


def _same(settings: Mapping[str, Any]) -> str:
    kept = {name: v for name, v in settings.items() if name not in ("seed", "reference")}
    return json.dumps(kept, sort_keys=True)


# --- the amount of work --------------------------------------------------------------------------


def amount(settings: Mapping[str, Any]) -> float:
    """The work of all epochs of a run: images times operations.

    settings: as in `Cell.resolved`. Further work of a method is a part of its rate.
    """
    train, test, _ = IMAGES[settings["data"]]
    run, schedule = settings["run"], settings["schedule"]
    held = run["holdout"] * (train if run["holdout"] < 1 else 1)
    switching = run["choose"] and schedule["switcher_data"] == "holdout"
    train -= held * (2 if switching else 1)
    part = settings["classes"] / CLASSES.get(settings["data"], 10) if settings["classes"] else 1
    images = settings["share"] * train + FORWARD * (held if run["choose"] else test)
    return schedule["epochs"] * part * images * _size(settings)


def _size(settings: Mapping[str, Any]) -> float:
    names = ("network", "width", "data", "classes")
    return OVERHEAD + macs(*(settings[name] for name in names))


@lru_cache(maxsize=1024)
def macs(network: str, width: float, data: str, classes: int) -> int:
    """Multiply-accumulate operations for one image; no weights are allocated."""
    total = 0

    def count(layer: nn.Module, _: Any, out: torch.Tensor) -> None:
        nonlocal total
        outputs = out.shape[1] if isinstance(layer, nn.Conv2d) else out.shape[-1]
        total += layer.weight.numel() * (out.numel() // outputs)  # type: ignore[operator]

    shape = IMAGES[data][2]
    scale = {} if width == 1 else {"width": width}
    with torch.device("meta"):
        made = NETWORKS[network][0](shape, classes or CLASSES.get(data, 10), **scale).eval()
        for layer in made.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        made(torch.zeros(1, *shape))
    return total
