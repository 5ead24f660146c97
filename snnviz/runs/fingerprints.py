"""What tells whether a network, data or a machine is the same as a run's."""

import hashlib
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.data import ImageData


def tensors_of(module: nn.Module) -> dict[str, str]:
    """{name: dtype and shape} of a module's state."""
    return {name: _shape(tensor) for name, tensor in module.state_dict().items()}


def images_of(data: ImageData) -> dict[str, str]:
    """What makes data the same: counts, shapes, classes, augmentation, and hashes of each split."""
    found = {"augment": data.augment, "number of classes": str(data.n_classes)}
    for name in ("train", "test", "holdout"):
        split = getattr(data, name)
        if split is None:
            found[f"{name} split"] = "none"
            continue
        found[f"{name} split"] = (
            f"{_shape(split.images)}, {hash_tensors(split.images, split.labels)}"
        )
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


def _shape(tensor: Tensor) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return f"{dtype} {'x'.join(map(str, tensor.shape))}".rstrip()


def hash_tensors(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        array: Any = tensor.cpu().contiguous().numpy()
        found.update(memoryview(array).cast("B"))
    return found.hexdigest()[:16]


def differing(mine: dict[str, str], its: dict[str, str]) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys([*mine, *its])
    pairs = {name: (mine.get(name, "missing"), its.get(name, "missing")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
