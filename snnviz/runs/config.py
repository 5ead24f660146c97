"""`config.json`: all that a run is made from, and where it was made."""

import hashlib
import json
import math
import os
import platform
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnviz import checks, files
from snnviz.data import NAMES, ImageData, Source, load_data
from snnviz.data.checks import AUGMENTS
from snnviz.networks import NETWORKS, Recipe, check_width, network, recipe
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule, Trainer

FORMAT = 1
NAME = "config.json"

_MOST_BYTES = 2**24
_TOO_MUCH = (OverflowError, RecursionError)  # numbers beyond floats, lists in lists in lists
# What makes the last bits of a run, and how it is called where it differs.
_BITS = {
    "device": "device",
    "cpu": "CPU instructions",
    "torch": "torch version",
    "threads": "number of threads",
}


@dataclass(frozen=True)
class Parent:
    """The run that another was forked from, and after how many epochs."""

    run: str
    epoch: int


@dataclass(frozen=True)
class RunConfig:
    """All that a run is made from.

    Attributes:
        schedule: at the start.
        switcher: how the switcher is built.
        seed: of the trainer.
        precision: "float32" or "bfloat16".
        exclude: layers whose neurons stay on.
        weighted: layers whose neurons get factors though a norm mixes them.
        keep_every: every so-manieth epoch keeps its checkpoint.
        network: how `network` made the task network; None for one's own.
        tensors: of the task network: {name: dtype and shape}.
        data: what `load_data` was asked for; None for one's own data.
        images: of the data: what makes it the same data.
        made_with: versions, device and threads.
        parent: what it was forked from.
        created: when, as ISO 8601.
    """

    schedule: Schedule
    switcher: SwitcherConfig
    seed: int
    precision: str
    exclude: tuple[str, ...]
    weighted: tuple[str, ...]
    keep_every: int
    network: Recipe | None
    tensors: dict[str, str]
    data: Source | None
    images: dict[str, str]
    made_with: dict[str, str | int]
    parent: Parent | None
    created: str

    @classmethod
    def of(cls, trainer: Trainer, keep_every: int, parent: Parent | None) -> "RunConfig":
        return cls(
            schedule=trainer.schedule,
            switcher=trainer.switcher.config,
            seed=trainer.seed,
            precision=trainer.precision,
            exclude=trainer.exclude,
            weighted=trainer.weighted,
            keep_every=keep_every,
            network=recipe(trainer.network),
            tensors=tensors_of(trainer.network),
            data=trainer.data.source,
            images=images_of(trainer.data),
            made_with=surroundings(trainer.device),
            parent=parent,
            created=now(),
        )

    def encoded(self) -> bytes:
        content: dict[str, Any] = {"format": FORMAT}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Recipe):
                value = value._asdict()
            elif isinstance(value, Schedule | SwitcherConfig | Source | Parent):
                value = asdict(value)
            content[field.name] = value
        return json.dumps(content, indent=1, allow_nan=False).encode()

    @classmethod
    def read(cls, folder: Path) -> "RunConfig":
        """Reads `config.json`, every field of which is checked.

        Raises:
            FileNotFoundError: the folder holds no run.
            ValueError: the file is damaged, from a newer version, or asks for what is not allowed.
        """
        file = folder / NAME
        if not file.is_file():
            raise FileNotFoundError(
                f"folder {str(folder)!r} holds no run: {NAME} is missing. "
                "Give a folder that Trainer(..., folder=...) has written."
            )
        content = files.parse_json(file, files.read(file, _MOST_BYTES, folder))
        try:
            format = _whole(content.pop("format"), 1)
            if format > FORMAT:
                raise files.Newer(f"the file {str(file)!r}", format, FORMAT)
            return cls(**_checked(content))
        except files.Newer:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, *_TOO_MUCH) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)[:500]
            raise ValueError(
                f"the file {str(file)!r} cannot be used: {why.rstrip('.')}. "
                "Put it right, or restore it from a copy."
            ) from error

    # Rebuilding -------------------------------------------------------------------------------

    def load_data(self, given: ImageData | None, device: str | torch.device) -> ImageData:
        """The run's data: what was given, or loaded anew; checked to be the same images."""
        how = "Pass the run's own data: data=ImageData.from_tensors(...)."
        if given is None:
            if self.data is None:
                raise ValueError(f"this run was made with data of your own. {how}")
            try:
                given = load_data(
                    self.data.name,
                    device=device,
                    holdout=self.data.holdout,
                    augment=self.data.augment,
                )
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"{error} Or pass data=load_data({self.data.name!r}, folder=...)."
                ) from error
        checks.kind_of("data", given, ImageData, "a snnviz.ImageData", how)
        for name, (mine, its) in _differing(self.images, images_of(given)).items():
            raise ValueError(
                f"data is not that of this run: its {name} is {its}, and the run's is {mine}. {how}"
            )
        return given

    def build_network(self, given: nn.Module | None, data: ImageData) -> nn.Module:
        """The run's task network: what was given, or built anew; checked to have its tensors."""
        how = "Pass one of the run's architecture: network=..."
        if given is None:
            if self.network is None:
                raise ValueError(f"this run was made with a network of your own. {how}")
            given = network(self.network.name, data, self.network.seed, self.network.width)
        checks.kind_of("network", given, nn.Module, "a torch.nn.Module", how)
        for name, (mine, its) in _differing(self.tensors, tensors_of(given)).items():
            raise ValueError(
                f"network is not that of this run: its tensor {name!r} is {its}, "
                f"and the run's is {mine}. {how}"
            )
        return given

    def device(self, asked: str | torch.device | None) -> str | torch.device:
        """The device to go on with: the one asked for, or the run's where there is such a one."""
        if asked is not None:
            return asked
        kind = str(self.made_with["device"]).split(" ")[0]
        there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
        return kind if kind == "cpu" or (kind in there and there[kind]()) else "auto"

    def other_bits(self, device: torch.device) -> str:
        """In words, what may make other last bits here than where the run began; "" if nothing."""
        here = surroundings(device)
        return ", ".join(
            f"the {words} was {self.made_with[name]} and is {here[name]}"
            for name, words in _BITS.items()
            if self.made_with[name] != here[name]
        )


# --- fingerprints -----------------------------------------------------------------------------


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
        found[f"{name} split"] = f"{_shape(split.images)}, {_hash(split.images, split.labels)}"
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


def _hash(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        array: Any = tensor.cpu().contiguous().numpy()
        found.update(memoryview(array).cast("B"))
    return found.hexdigest()[:16]


def _differing(mine: dict[str, str], its: dict[str, str]) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys([*mine, *its])
    pairs = {name: (mine.get(name, "missing"), its.get(name, "missing")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


# --- checks of what was read ------------------------------------------------------------------


def _checked(content: dict[str, Any]) -> dict[str, Any]:
    known = [field.name for field in fields(RunConfig)]
    if others := [name for name in content if name not in known]:
        raise ValueError(f"it has no field {others[0][:40]!r}; it has {', '.join(known)}")
    source, made, parent = content["data"], content["network"], content["parent"]
    return {
        "schedule": Schedule().replace(**_table(content, "schedule")),
        "switcher": SwitcherConfig(**_table(content, "switcher")),
        "seed": _whole(content["seed"], 0),
        "precision": _one_of("precision", content["precision"], ("float32", "bfloat16")),
        "exclude": _patterns(content, "exclude"),
        # Runs of before this could be asked for have none.
        "weighted": _patterns({"weighted": []} | content, "weighted"),
        "keep_every": _whole(content["keep_every"], 1),
        "network": None if made is None else _recipe(_table(content, "network")),
        "tensors": _texts(content, "tensors"),
        "data": None if source is None else _source(_table(content, "data")),
        "images": _texts(content, "images"),
        "made_with": _surroundings(_table(content, "made_with")),
        "parent": None if parent is None else _parent(_table(content, "parent")),
        "created": _text("created", content["created"]),
    }


def _recipe(values: dict[str, Any]) -> Recipe:
    name = _one_of("network.name", values["name"], NETWORKS)
    check_width(name, values["width"])
    return Recipe(name, _whole(values["seed"], 0), float(values["width"]))


def _source(values: dict[str, Any]) -> Source:
    holdout = values["holdout"]
    number = isinstance(holdout, int | float) and not isinstance(holdout, bool)
    if not number or not 0 <= holdout < math.inf:
        raise ValueError(f"data.holdout must be a number of at least 0, got {holdout!r}")
    name = _one_of("data.name", values["name"], NAMES)
    return Source(name, holdout, _one_of("data.augment", values["augment"], AUGMENTS))


def _parent(values: dict[str, Any]) -> Parent:
    return Parent(plain_name("parent.run", values["run"]), _whole(values["epoch"], 0))


def _surroundings(values: dict[str, Any]) -> dict[str, str | int]:
    for name in _BITS:
        if not isinstance(values[name], str | int):
            raise ValueError(f"made_with.{name} must be text or a number, got {values[name]!r}")
    return values


def plain_name(argument: str, value: Any) -> str:
    """A name of a folder beside another: no path.

    Raises:
        ValueError: it is something else.
    """
    plain = isinstance(value, str) and re.fullmatch(r"[^/\\:\x00-\x1f]{1,200}", value)
    if not plain or value != value.strip() or value.startswith(".") or value.endswith("."):
        raise ValueError(
            f"{argument} must be the plain name of a folder, without / and not beginning or "
            f"ending with a dot, got {value!r}."
        )
    return value


def _table(content: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(content[name], dict):
        raise ValueError(f"{name} must be an object, got {str(content[name])[:40]!r}")
    return content[name]


def _list(content: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(content[name], list):
        raise ValueError(f"{name} must be a list, got {str(content[name])[:40]!r}")
    return content[name]


def _patterns(content: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple(_text(name, pattern) for pattern in _list(content, name))


def _texts(content: dict[str, Any], name: str) -> dict[str, str]:
    table = _table(content, name)
    return {key: _text(f"{name}.{key}", value) for key, value in table.items()}


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{argument} must be text, got {str(value)[:40]!r}")
    return value


def _one_of(argument: str, value: Any, allowed: Any) -> str:
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ValueError(f"{argument} must be one of {names}, got {str(value)[:40]!r}")
    return value


def _whole(value: Any, least: int) -> int:
    if type(value) is not int or not least <= value < 2**63:
        raise ValueError(f"a whole number of at least {least} is expected, got {str(value)[:40]!r}")
    return value
