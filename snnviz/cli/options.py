"""What can be asked for: options from the dataclasses that they fill, and files of options.

A field, its default and its help are written down once, in the class: `asked` makes from it what
the command line fills, in which every field may be left out.
"""

import dataclasses
import inspect
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from cyclopts import Group, Parameter, Token

from snnviz.cli import sources
from snnviz.cli.sources import FOLDER, is_folder
from snnviz.data import NAMES
from snnviz.data.checks import AUGMENTS
from snnviz.networks import NETWORKS
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.config import RunConfig
from snnviz.runs.fields import plain_name
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule

YOUR_OWN = "one of your own"  # no network, no data and no switcher has that name

T = TypeVar("T")


class WrongUsage(ValueError):
    """What was asked for is not allowed."""


@dataclass(frozen=True)
class RunOptions:
    """What a run is made from.

    Attributes:
        network: task network: mlp, lenet5, vgg_small, resnet20 or another one that snnviz knows.
        width: multiplies the neurons of each hidden layer of mlp, lenet5, vgg_small and the
            narrow resnets.
        network_seed: of the task network's first weights; the run's seed if left out.
        data: fashion-mnist, mnist, kmnist, cifar10, cifar100 or svhn, looked for in $SNNVIZ_DATA;
            or folder:PATH for images of your own in PATH/train/<class>/ and PATH/test/<class>/.
        size: height and width to which the images of a folder are resized.
        holdout: how many training images are set aside, or their share.
        augment: of training images: none, shift, flip or shift+flip.
        seed: of data order, augmentation, dropout and the switcher's weights.
        device: auto (CUDA, then MPS, then CPU) or a torch device.
        precision: float32, bfloat16, or auto: bfloat16 where the device does it well.
        exclude: patterns of layer names, as in a shell (layer1.*), whose neurons stay on.
        weighted: patterns of layer names whose neurons get factors though a LayerNorm or GroupNorm
            mixes them; compact folds the factors in and takes none of them out.
        keep_every: every k-th epoch's end can be revisited later, besides the start, the
            last and the best.
        name: of the run; made of network and data if left out.
        folder: where runs are kept; this one goes into FOLDER/NAME.
        learned: file of a switcher that has learned, on any network, to begin with; it says how it
            is built. With --schedule.switcher-lr 0 it is held: it reads, and learns nothing.
        schedule: which phase when, and how fast.
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
        _check_one_of("network", self.network, NETWORKS)
        _check_one_of("augment", self.augment, AUGMENTS)
        if not is_folder(self.data):
            _check_one_of("data", self.data, (*NAMES, f"{FOLDER}PATH"))
            if self.size is not None:
                raise ValueError(
                    f"size is for images of your own, got {self.size} with {self.data!r}. "
                    f"Leave it out, or name a folder of images: data={FOLDER}PATH."
                )
        if self.name is not None:
            checked_name(self.name)
        if self.learned == YOUR_OWN:
            raise ValueError(
                "learned must be given here, for the run of this config began with a switcher that "
                "had learned. Name its file: --switcher FILE."
            )
        for option in ("device", "precision", "folder"):
            _check(option, getattr(self, option), str, "text")
        for option in ("seed", "keep_every"):
            _check(option, getattr(self, option), int, "a whole number")
        for option in ("exclude", "weighted"):
            patterns = getattr(self, option)
            if isinstance(patterns, str) or not all(isinstance(p, str) for p in patterns):
                raise ValueError(f"{option} must be a list of patterns, got {patterns!r}.")
            object.__setattr__(self, option, tuple(patterns))  # a file has a list


def _check_one_of(option: str, value: Any, allowed: Any) -> None:
    if value not in allowed:
        raise ValueError(f"{option} must be one of {', '.join(allowed)}, got {value!r}.")


def _check(option: str, value: Any, kind: type, words: str) -> None:
    if type(value) is not kind:
        raise ValueError(f"{option} must be {words}, got {value!r}.")


def checked_name(name: Any) -> str:
    """The name of a run, which is no path.

    Raises:
        WrongUsage: it is something else.
    """
    try:
        return plain_name("name", name)
    except ValueError as error:
        raise WrongUsage(str(error)) from error


# --- options from dataclasses -------------------------------------------------------------------


def asked(kind: type, defaults: bool = True) -> Any:
    """A dataclass with the fields and the help of another, each of which may be left out (None).

    Args:
        defaults: whether the help names them.
    """
    hints, made = get_type_hints(kind), []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            inner = asked(hint, defaults)  # type: ignore[arg-type]
            annotation = Annotated[inner, Parameter(group=group_of(field.name))]
            made.append((field.name, annotation, dataclasses.field(default=inner())))
        else:
            parameter = Parameter(
                name=field.metadata.get("option"),
                converter=_converter(hint),
                show_default=_shown(field, defaults),
            )
            made.append((field.name, Annotated[hint | None, parameter], None))
    # Of this module: cyclopts takes the classes of Python's own modules for plain values.
    # Lines of the help that were broken for the source are whole again.
    text = re.sub(r"\n {8}", " ", inspect.getdoc(kind) or "")
    namespace = {"__doc__": text, "__module__": __name__}
    return dataclasses.make_dataclass(
        f"Asked{kind.__name__}", made, frozen=True, kw_only=True, namespace=namespace
    )


def group_of(name: str) -> Group:
    """The heading in the help under which the fields of a nested class stand."""
    return Group(name.capitalize(), sort_key=1)


def given(options: Any) -> dict[str, Any]:
    """What was not left out, nested as the options are."""
    found = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        value = given(value) if dataclasses.is_dataclass(value) else value
        if value is not None and value != {}:
            found[field.name] = value
    return found


def filled(kind: type[T], *layers: Mapping[str, Any]) -> T:
    """The class with its defaults, and over them what each layer gives.

    Raises:
        WrongUsage: a field does not exist, or its value is not allowed.
    """
    known = {field.name: field.type for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name in dict.fromkeys(name for layer in layers for name in layer):
        if name not in known:
            raise WrongUsage(f"there is no option {name!r}; there are {', '.join(known)}.")
        parts = [layer[name] for layer in layers if name in layer]
        inner: Any = known[name]
        values[name] = _filled(name, inner, parts) if dataclasses.is_dataclass(inner) else parts[-1]
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, WrongUsage) else WrongUsage(str(error)) from error


def _filled(name: str, kind: Any, parts: list[Any]) -> Any:
    for part in parts:
        if not isinstance(part, Mapping):
            raise WrongUsage(f"{name} must be a table of options, got {part!r}.")
    try:
        return filled(kind, *parts)
    except WrongUsage as error:
        text = str(error)
        raise WrongUsage(text if text.startswith(f"{name}.") else f"{name}: {text}") from error


def _shown(field: dataclasses.Field, defaults: bool) -> str | bool:
    if not defaults or field.default in (None, (), dataclasses.MISSING):
        return False
    return " ".join(field.default) if isinstance(field.default, tuple) else str(field.default)


def _converter(hint: Any) -> Any:
    """Cyclopts would round 2.7 to a whole 3."""
    if hint in (int, int | None):
        return whole
    return _number if hint == int | float else None


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """A converter to int that takes nothing else."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"it must be a whole number, got {tokens[0].value!r}.") from None


def _number(kind: Any, tokens: Sequence[Token]) -> int | float:
    for number in (int, float):
        try:
            return number(tokens[0].value)
        except ValueError:
            continue
    raise ValueError(f"it must be a number, got {tokens[0].value!r}.")


# --- files of options ---------------------------------------------------------------------------


def from_file(file: Path) -> dict[str, Any]:
    """Options from a JSON or TOML file, or from the `config.json` of a run.

    Raises:
        WrongUsage: there is no such file, or it holds something else.
        ValueError: it is that of a run, and damaged.
    """
    if file.is_dir():
        file = file / CONFIG
    try:
        text = file.read_text(encoding="utf-8")
        content = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise WrongUsage(f"config {str(file)!r} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise WrongUsage(
            f"config {str(file)!r} must be a file of JSON (or .toml): {error}."
        ) from error
    if not isinstance(content, dict):
        raise WrongUsage(f"config {str(file)!r} must hold a table of options.")
    return _of_run(file) if {"format", "made_with"} <= content.keys() else _underscored(content)


def _underscored(content: Any) -> Any:
    """Names of options as in Python: on the command line they have hyphens."""
    if not isinstance(content, dict):
        return content
    return {name.replace("-", "_"): _underscored(value) for name, value in content.items()}


def _of_run(file: Path) -> dict[str, Any]:
    """What makes such a run again. For `YOUR_OWN` the command line must name something."""
    config = RunConfig.read(file.parent)
    options: dict[str, Any] = {
        "seed": config.seed,
        "device": str(config.device(None)),
        "precision": config.precision,
        "exclude": config.exclude,
        "weighted": config.weighted,
        "keep_every": config.keep_every,
        "schedule": dataclasses.asdict(config.schedule),
        "switcher": dataclasses.asdict(config.switcher),
    }
    recipe, data = config.network, config.data
    options["network"] = recipe.name if recipe else YOUR_OWN
    options["width"] = recipe.width if recipe else 1.0
    if config.learned:
        options["learned"] = YOUR_OWN
    if recipe and recipe.seed != config.seed:
        options["network_seed"] = recipe.seed
    if data:
        return options | {"data": data.name, "holdout": data.holdout, "augment": data.augment}
    return options | {"data": YOUR_OWN, **sources.options_of(config.images)}
