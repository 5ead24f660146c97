"""Fingerprints that show whether a network, data or a machine is the same as a run's."""

import hashlib
import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from snnviz.data import ImageData


class SplitPrint(NamedTuple):
    """Identifies a split: the type and shape of its images, and a hash of all its content.

    A run's config stores it as text: "uint8 60000x1x28x28, 0123456789abcdef".
    """

    dtype: str
    shape: tuple[int, ...]  # (images, channels, height, width)
    digest: str

    def __str__(self) -> str:
        return f"{self.dtype} {'x'.join(map(str, self.shape))}, {self.digest}"

    @classmethod
    def parse(cls, text: str | None) -> "SplitPrint | None":
        """The opposite of `str`; None for any other text, such as "none"."""
        found = re.fullmatch(r"(\w+) (\d{1,9}(?:x\d{1,9}){3}), (\w+)", text or "")
        return found and cls(found[1], tuple(map(int, found[2].split("x"))), found[3])


def tensors_of(module: nn.Module) -> dict[str, str]:
    """{name: dtype and shape} for each tensor of a module's state."""
    return {name: _shape(tensor) for name, tensor in module.state_dict().items()}


def images_of(data: ImageData) -> dict[str, str]:
    """Identifies data: counts, shapes, classes, augmentation, and a hash of each split."""
    found = {"augment": data.augment, "number of classes": str(data.n_classes)}
    for name in ("train", "test", "holdout"):
        split = getattr(data, name)
        if split is None:
            found[f"{name} split"] = "none"
            continue
        found[f"{name} split"] = str(_print_of(split.images, split.labels))
    return found


def surroundings(device: torch.device) -> dict[str, str | int]:
    """Versions, device and threads."""
    kind = device.type
    if kind == "cuda":
        kind += f" ({torch.cuda.get_device_name(device)})"
    packages = {name: _version(name) for name in ("snnviz", "torch", "torchvision", "numpy")}
    return {
        **packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": kind,
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "process": os.getpid(),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _print_of(images: Tensor, labels: Tensor) -> SplitPrint:
    return SplitPrint(_dtype(images), tuple(images.shape), hash_tensors(images, labels))


def _shape(tensor: Tensor) -> str:
    return f"{_dtype(tensor)} {'x'.join(map(str, tensor.shape))}".rstrip()


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def hash_tensors(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        array: Any = tensor.cpu().contiguous().numpy()
        found.update(memoryview(array).cast("B"))
    return found.hexdigest()[:16]


def differing(mine: dict[str, str], its: dict[str, str]) -> dict[str, tuple[str, str]]:
    """The entries in which two fingerprints differ: {name: (mine, its)}."""
    names = dict.fromkeys([*mine, *its])
    pairs = {name: (mine.get(name, "missing"), its.get(name, "missing")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
