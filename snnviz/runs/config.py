"""`config.json`: everything that defines a run, and the environment that it started in."""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnviz import checks, files
from snnviz.data import NAMES, ImageData, Source, load_data
from snnviz.data.checks import AUGMENTS
from snnviz.devices import check_seed
from snnviz.networks import NETWORKS, Recipe, check_width, network, recipe
from snnviz.runs.fields import one_of, patterns, plain_name, table, text, texts, whole
from snnviz.runs.fingerprints import (
    differing,
    hash_tensors,
    images_of,
    now,
    surroundings,
    tensors_of,
)
from snnviz.switcher import SwitcherConfig
from snnviz.training import AlternatingTrainer, Schedule

FORMAT = 1
NAME = "config.json"

_MOST_BYTES = 2**24
_TOO_MUCH = (OverflowError, RecursionError)  # numbers too large for a float, deeply nested lists
# What can change the last bits of a run's numbers, and its name in warnings.
_BITS = {
    "device": "device",
    "cpu": "CPU instructions",
    "torch": "torch version",
    "threads": "number of threads",
}


_WITHOUT = "Its history and figures need neither data nor network: History.load(folder)."


@dataclass(frozen=True)
class Parent:
    """The run that another was forked from, and after how many epochs."""

    run: str
    epoch: int


@dataclass(frozen=True)
class RunConfig:
    """Everything that defines a run.

    Attributes:
        schedule: the schedule at the start.
        switcher: how the switcher is built.
        seed: the trainer's seed.
        precision: "float32" or "bfloat16".
        exclude: layers whose neurons stay on.
        weighted: layers whose neurons get factors even though a norm mixes them.
        keep_every: keep the checkpoint of every N-th epoch.
        network: the arguments of `network` for the task network; None for the user's own network.
        tensors: {name: dtype and shape} of the task network.
        data: the arguments of `load_data`; None for the user's own data.
        images: counts, shapes and hashes that identify the data.
        made_with: versions, device and threads.
        parent: the run that it was forked from.
        created: the time, as ISO 8601.
        learned: fingerprint of the switcher that the run started with, if it was already trained;
            "" for a new one.
        frozen: names of the task network's parameters that are not trained; None: an earlier
            version of snnviz did not write them down.
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
    learned: str = ""
    frozen: tuple[str, ...] | None = None

    @classmethod
    def of(cls, trainer: AlternatingTrainer, keep_every: int, parent: Parent | None) -> "RunConfig":
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
            learned=_learned(trainer),
            frozen=_frozen(trainer),
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
    def read(cls, folder: Path, name: str = NAME) -> "RunConfig":
        """Reads `config.json`, or a copy of it with another name, and checks every field.

        Raises:
            FileNotFoundError: the folder contains no run.
            ValueError: the file is damaged, from a newer version, or has an invalid value.
        """
        file = folder / name
        if not file.is_file():
            raise FileNotFoundError(
                f"folder {str(folder)!r} contains no run: {NAME} is missing. "
                "Give a folder that Trainer(..., folder=...) has written."
            )
        content = files.parse_json(file, files.read(file, _MOST_BYTES, folder))
        try:
            format = whole(content.pop("format"), 1)
            if format > FORMAT:
                raise files.Newer(f"the file {str(file)!r}", format, FORMAT)
            return cls(**_check_fields(content))
        except files.Newer:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, *_TOO_MUCH) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)[:500]
            raise ValueError(
                f"the file {str(file)!r} cannot be used: {why.rstrip('.')}. "
                "Correct it, or restore it from a copy."
            ) from error

    # Rebuilding -------------------------------------------------------------------------------

    def load_data(self, given: ImageData | None, device: str | torch.device) -> ImageData:
        """The run's data, as given or loaded again; raises an error if the images differ."""
        how = "Pass the run's own data: data=ImageData.from_tensors(...)."
        if given is not None and getattr(given, "missing", ""):
            return given
        if given is None:
            if self.data is None:
                raise ValueError(f"this run was made with data of your own. {how} {_WITHOUT}")
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
        for name, (mine, its) in differing(self.images, images_of(given)).items():
            raise ValueError(
                f"data differs from the run's data: its {name} is {its}, "
                f"but the run's is {mine}. {how}"
            )
        return given

    def build_network(self, given: nn.Module | None, data: ImageData) -> nn.Module:
        """The run's task network, as given or rebuilt; raises an error if its tensors differ."""
        how = "Pass a network with the run's architecture: network=..."
        if given is None:
            if self.network is None:
                raise ValueError(f"this run was made with a network of your own. {how} {_WITHOUT}")
            given = network(self.network.name, data, self.network.seed, self.network.width)
            for name, parameter in given.named_parameters():
                parameter.requires_grad_(name not in (self.frozen or ()))
        checks.kind_of("network", given, nn.Module, "a torch.nn.Module", how)
        for name, (mine, its) in differing(self.tensors, tensors_of(given)).items():
            raise ValueError(
                f"network differs from the run's network: its tensor {name!r} is {its}, "
                f"but the run's is {mine}. {how}"
            )
        for name, parameter in given.named_parameters():
            trained = self.frozen is None or name not in self.frozen
            if self.frozen is not None and trained != parameter.requires_grad:
                raise ValueError(
                    f"network must have the same frozen parameters as the run's network, and "
                    f"{name!r} has requires_grad={not trained}, but the run's has {trained}. "
                    f"Set it before: network.get_parameter({name!r}).requires_grad_({trained})."
                )
        return given

    def device(self, asked: str | torch.device | None) -> str | torch.device:
        """The device to continue on: the requested one, or else the run's if it is available."""
        if asked is not None:
            return asked
        kind = str(self.made_with["device"]).split(" ")[0]
        there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
        return kind if kind == "cpu" or (kind in there and there[kind]()) else "auto"

    def other_bits(self, device: torch.device) -> str:
        """Describes what may change the last bits of numbers here; "" if nothing does."""
        here = surroundings(device)
        return ", ".join(
            f"the {words} was {self.made_with[name]} and is {here[name]}"
            for name, words in _BITS.items()
            if self.made_with[name] != here[name]
        )


# --- checks of the content read ----------------------------------------------------------------


def _check_fields(content: dict[str, Any]) -> dict[str, Any]:
    known = [field.name for field in fields(RunConfig)]
    if others := [name for name in content if name not in known]:
        raise ValueError(f"it has no field {others[0][:40]!r}; it has {', '.join(known)}")
    source, made, parent = content["data"], content["network"], content["parent"]
    return {
        "schedule": Schedule().replace(**table(content, "schedule")),
        "switcher": _switcher(table(content, "switcher")),
        "seed": check_seed("seed", content["seed"]),
        "precision": one_of("precision", content["precision"], ("float32", "bfloat16")),
        "exclude": patterns(content, "exclude"),
        # Older runs do not have this field.
        "weighted": patterns({"weighted": []} | content, "weighted"),
        "keep_every": whole(content["keep_every"], 1),
        "network": None if made is None else _recipe(table(content, "network")),
        "tensors": texts(content, "tensors"),
        "data": None if source is None else _source(table(content, "data")),
        "images": texts(content, "images"),
        "made_with": _surroundings(table(content, "made_with")),
        "parent": None if parent is None else _parent(table(content, "parent")),
        "created": text("created", content["created"]),
        "learned": text("learned", content.get("learned", "")),
        "frozen": patterns(content, "frozen") if content.get("frozen") is not None else None,
    }


def _learned(trainer: AlternatingTrainer) -> str:
    """Fingerprint of the switcher that the trainer started with, if it was already trained."""
    if not trainer.learners.began_learned:
        return ""
    return hash_tensors(*trainer.initial["switcher"].values())


def _frozen(trainer: AlternatingTrainer) -> tuple[str, ...]:
    groups = trainer.learners.task_optimizer.param_groups
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    return tuple(name for name, p in trainer.network.named_parameters() if id(p) not in trained)


# Options of earlier versions, with the values that had no effect.
_GONE = {"hidden": 32, "outgoing": False, "attention": False}


def _switcher(values: dict[str, Any]) -> SwitcherConfig:
    """The switcher's config; also from an earlier version's run, if its options still exist."""
    gone = {name: values[name] for name in _GONE if name in values}
    removed = ("weights", "movement")
    if "descriptors" not in values:  # before there were any, these meant the weights themselves
        removed += ("shuffled", "random")
    if values.get("reads") in removed:
        gone["reads"] = values["reads"]
    for name, value in gone.items():
        if name not in _GONE or value != _GONE[name]:
            raise ValueError(
                f"switcher.{name} is {value!r}, which snnviz no longer has; use the code that made "
                "this run, or start a new one"
            )
    return SwitcherConfig(**{name: value for name, value in values.items() if name not in _GONE})


def _recipe(values: dict[str, Any]) -> Recipe:
    name = one_of("network.name", values["name"], NETWORKS)
    check_width(name, values["width"])
    return Recipe(name, check_seed("network.seed", values["seed"]), float(values["width"]))


def _source(values: dict[str, Any]) -> Source:
    holdout = values["holdout"]
    number = isinstance(holdout, int | float) and not isinstance(holdout, bool)
    if not number or not 0 <= holdout < math.inf:
        raise ValueError(f"data.holdout must be a number of at least 0, got {holdout!r}")
    name = one_of("data.name", values["name"], NAMES)
    return Source(name, holdout, one_of("data.augment", values["augment"], AUGMENTS))


def _parent(values: dict[str, Any]) -> Parent:
    return Parent(plain_name("parent.run", values["run"]), whole(values["epoch"], 0))


def _surroundings(values: dict[str, Any]) -> dict[str, str | int]:
    for name in _BITS:
        if not isinstance(values[name], str | int):
            raise ValueError(f"made_with.{name} must be text or a number, got {values[name]!r}")
    return values
