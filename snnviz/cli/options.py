"""Options of a run, and how those of the command line are made from the dataclasses they fill.

A field, its default and its help are written once, in the class: `make_options` makes from it the
class that the command line fills, in which every field may be left out.
"""

import dataclasses
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

from cyclopts import Group, Parameter

from snnviz import checks, files
from snnviz.cli import convert
from snnviz.cli.sources import FOLDER, is_folder
from snnviz.data import NAMES
from snnviz.data.checks import AUGMENTS
from snnviz.devices import check_seed
from snnviz.networks import NETWORKS
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule

YOUR_OWN = "one of your own"  # no network, no data and no switcher has that name

T = TypeVar("T")


class WrongUsage(ValueError):
    """An option does not exist, or its value is not allowed."""


@dataclass(frozen=True)
class RunOptions:
    """What a run is made from.

    Attributes:
        network: task network: mlp, lenet5, vgg_small, resnet20 or another one that snnviz knows.
        width: multiplies the neurons of each hidden layer of mlp, lenet5, vgg_small and the
            narrow resnets.
        network_seed: seed of the task network's first weights; the run's seed if left out.
        data: fashion-mnist, mnist, kmnist, cifar10, cifar100 or svhn, looked for in $SNNVIZ_DATA;
            or folder:PATH for your own images in PATH/train/<class>/ and PATH/test/<class>/.
        size: height and width to which the images of a folder are resized.
        holdout: number of training images to set aside, or their share.
        augment: augmentation of training images: none, shift, flip or shift+flip.
        seed: seed of data order, augmentation, dropout and the switcher's weights.
        device: auto (CUDA, then MPS, then CPU) or a torch device.
        precision: float32, bfloat16, or auto: bfloat16 where the device computes well with it.
        exclude: patterns of layer names, as in a shell (layer1.*), whose neurons stay on.
        weighted: patterns of layer names whose neurons get factors although a LayerNorm or
            GroupNorm mixes them; compact folds these factors in and removes none of the neurons.
        keep_every: keep the checkpoint of every N epochs, besides the start, the last and the
            best epoch.
        name: name of the run; made from network and data if left out.
        folder: folder for runs; this run is saved in FOLDER/NAME.
        learned: file of a switcher that has learned, on any network, to begin with, or "learned"
            for the one that ships with snnviz; the file says how it is built. With
            --schedule.switcher-lr 0 it is held: it reads, and learns nothing.
        schedule: when each phase is trained, and how fast.
        switcher: how the switcher is built.
    """

    network: str = "lenet5"
    width: float = 1.0
    network_seed: int | None = None
    data: str = "fashion-mnist"
    size: int | None = None
    holdout: int | float = 0
    augment: str = "none"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    exclude: tuple[str, ...] = ()
    weighted: tuple[str, ...] = ()
    keep_every: int = 1
    name: str | None = None
    folder: str = "runs"
    learned: str | None = dataclasses.field(default=None, metadata={"option": "--switcher"})
    schedule: Schedule = dataclasses.field(default_factory=Schedule)
    switcher: SwitcherConfig = dataclasses.field(default_factory=SwitcherConfig)

    def __post_init__(self) -> None:
        checks.one_of("network", self.network, NETWORKS)
        checks.one_of("augment", self.augment, AUGMENTS)
        self._check_data()
        if self.name is not None:
            check_name(self.name)
        if self.learned == YOUR_OWN:
            raise ValueError(
                "learned must be given here, for the run of this config began with a switcher that "
                "had learned. Name its file: --switcher FILE."
            )
        for option in ("device", "precision", "folder"):
            if not isinstance(value := getattr(self, option), str):
                raise ValueError(f"{option} must be text, got {value!r}.")
        checks.number("width", self.width)
        checks.number("holdout", self.holdout, 0)
        check_seed("seed", self.seed)
        checks.whole("keep_every", self.keep_every, 1)
        if self.network_seed is not None:
            check_seed("network_seed", self.network_seed)
        for option in ("exclude", "weighted"):
            patterns = getattr(self, option)
            listed = isinstance(patterns, list | tuple)
            if not listed or not all(isinstance(p, str) for p in patterns):
                raise ValueError(f"{option} must be a list of patterns, got {patterns!r}.")
            object.__setattr__(self, option, tuple(patterns))  # a file has a list

    def _check_data(self) -> None:
        if is_folder(self.data):
            if self.size is not None:
                checks.whole("size", self.size, 1)
            return
        own = isinstance(self.data, str) and Path(self.data).is_dir()
        advice = f"For the images in this folder, use {FOLDER}{self.data}." if own else ""
        checks.one_of("data", self.data, (*NAMES, f"{FOLDER}PATH"), advice)
        if self.size is not None:
            raise ValueError(
                f"size is for your own images, got {self.size!r} with {self.data!r}. "
                f"Leave it out, or name a folder of images: data={FOLDER}PATH."
            )


def check_name(name: Any) -> str:
    """The name of a run, which is not a path.

    Raises:
        WrongUsage: it is something else.
    """
    try:
        return files.check_name("name", name)
    except ValueError as error:
        raise WrongUsage(str(error)) from error


# --- options from dataclasses -------------------------------------------------------------------


def make_options(kind: type, defaults: bool = True) -> Any:
    """A dataclass with the fields and the help of another, each of which may be left out (None).

    Args:
        defaults: whether the help shows them.
    """
    hints, made = get_type_hints(kind), []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            inner = make_options(hint, defaults)  # type: ignore[arg-type]
            annotation = Annotated[inner, Parameter(group=group_of(field.name))]
            made.append((field.name, annotation, dataclasses.field(default=inner())))
        else:
            default = _show_default(field, defaults)
            parameter = Parameter(
                name=field.metadata.get("option"),
                converter=_choose_converter(hint),
                show_default=default,
            )
            made.append((field.name, Annotated[hint | None, parameter], None))
    # The class is said to be of this module: cyclopts takes those of Python's own for plain values.
    # Lines of the help that were broken for the source are joined.
    text = re.sub(r"\n {8}", " ", inspect.getdoc(kind) or "")
    namespace = {"__doc__": text, "__module__": __name__}
    return dataclasses.make_dataclass(
        f"Asked{kind.__name__}", made, frozen=True, kw_only=True, namespace=namespace
    )


def group_of(name: str) -> Group:
    """The heading in the help above the fields of a nested class."""
    return Group(name.capitalize(), sort_key=1)


def collect_given(options: Any) -> dict[str, Any]:
    """The options that were not left out, nested as the classes are."""
    found = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        value = collect_given(value) if dataclasses.is_dataclass(value) else value
        if value is not None and value != {}:
            found[field.name] = value
    return found


def fill(kind: type[T], *layers: Mapping[str, Any], where: str = "") -> T:
    """The class with its defaults; each layer of values replaces those before it.

    Args:
        where: what stands before its fields' names in errors, such as "schedule.".

    Raises:
        WrongUsage: a field does not exist, or its value is not allowed.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name in dict.fromkeys(name for layer in layers for name in layer):
        if name not in hints:
            close = get_close_matches(name, hints, 1)
            meant = f" Did you mean {where + close[0]!r}?" if close else ""
            raise WrongUsage(
                f"there is no option {where + name!r}.{meant} There are {', '.join(hints)}."
            )
        parts = [layer[name] for layer in layers if name in layer]
        if dataclasses.is_dataclass(hints[name]):
            values[name] = _fill_nested(name, hints[name], parts)
        else:
            values[name] = _check_single(where + name, hints[name], parts[-1])
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, WrongUsage) else WrongUsage(str(error)) from error


def _fill_nested(name: str, kind: Any, parts: list[Any]) -> Any:
    for part in parts:
        if not isinstance(part, Mapping):
            raise WrongUsage(f"{name} must be a table of options, got {part!r}.")
    return fill(kind, *parts, where=f"{name}.")


def _check_single(name: str, hint: Any, value: Any) -> Any:
    """A value from a file of options, in which a list may stand where one value is meant."""
    if get_origin(hint) is tuple:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, list | dict):
        raise WrongUsage(f"{name} must be a single value, got {value!r}.")
    return value


def _show_default(field: dataclasses.Field, defaults: bool) -> str | bool:
    if not defaults or field.default in (None, (), dataclasses.MISSING):
        return False
    return " ".join(field.default) if isinstance(field.default, tuple) else str(field.default)


def _choose_converter(hint: Any) -> Any:
    converters = {int: convert.whole, float: convert.real, int | float: convert.number}
    return next((use for of, use in converters.items() if hint in (of, of | None)), None)
