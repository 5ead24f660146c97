"""A study: a .toml file that describes grids of runs; all of it is checked before any run."""

import dataclasses
import itertools
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnviz import checks, files
from snnviz.data import NAMES
from snnviz.data.checks import AUGMENTS
from snnviz.devices import PRECISIONS
from snnviz.networks import NETWORKS, check_width
from snnviz.sweep import fields
from snnviz.sweep.cell import AXES, Cell, Conditions
from snnviz.sweep.fields import Table
from snnviz.sweep.methods import Method, read_methods
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule

SWITCHED = "switched"  # the method whose runs are references

_MOST_BYTES = 2**20
_MOST_RUNS = 100_000
_PART = ("name", "grid", "schedule", "schedule_of", "switcher", "run")
_NEEDED = ("network", "method", "seed")
_DEFAULTS: Table = {
    "width": [1.0],
    "data": ["fashion-mnist"],
    "classes": [0],
    "noise": [0.0],
    "share": [1.0],
}
CLASSES = {"cifar100": 100}  # the other data sets have 10


@dataclass(frozen=True)
class Study:
    """Runs to be made, in parts.

    Attributes:
        name: name of the study.
        results: the Parquet file for the results of all runs.
        parts: {name of a part: its runs}; a run that others need comes before them.
    """

    name: str
    results: Path
    parts: Mapping[str, tuple[Cell, ...]]

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> "Study":
        """Reads a study and checks every field. docs/sweeps.md describes the fields.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a field is not allowed; the error names it as the file does.
        """
        file = files.home_path("file", file)
        try:
            content = tomllib.loads(_text_of(file))
            fields.check_known("the file", content, ("name", "results", "part", "method"))
            name = fields.check_text("name", content.get("name"))
            methods = read_methods(content.get("method", {}))
            results = _results(content.get("results", f"{file.stem}.parquet"), file)
            return cls(name, results, _parts(name, content.get("part"), methods))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{str(file)!r} must be a .toml file: {error}.") from error
        except ValueError as error:
            raise ValueError(f"{str(file)!r}: {error}") from error

    def cells(self, part: str | None = None) -> dict[str, Cell]:
        """{key: run} of one part, or of all; a run that several parts share is there once.

        Raises:
            ValueError: the study has no such part.
        """
        if part is not None:
            checks.one_of("part", part, self.parts)
        chosen = self.parts.values() if part is None else [self.parts[part]]
        return {cell.key: cell for cells in chosen for cell in cells}

    def file(self, results: str | os.PathLike[str] | None = None) -> Path:
        """The file for the results: the study's, or another one.

        Raises:
            ValueError: it does not end in .parquet.
        """
        file = files.home_path("results", results or self.results)
        if file.suffix != ".parquet":
            raise ValueError(
                f"results must end in .parquet, got {str(file)!r}. "
                f"Use for example --results {file.stem or 'results'}.parquet."
            )
        return file


def _text_of(file: Path) -> str:
    try:
        return files.read(file, _MOST_BYTES).decode("utf-8")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {str(file)!r}.") from error
    except UnicodeDecodeError as error:
        raise ValueError("it must be a .toml file, in UTF-8.") from error
    except files.Damaged as error:
        raise ValueError(f"it must be a .toml file: {error.why}.") from error


def _results(value: Any, file: Path) -> Path:
    folder = file.parent
    path = folder / fields.check_text("results", value)
    inside = path.resolve().parent == folder.resolve()
    if path.suffix != ".parquet" or not inside or Path(value).name != value:
        raise ValueError(
            "results must be the name of a .parquet file, which is saved beside the study, "
            f"got {value!r}."
        )
    return path


# --- parts --------------------------------------------------------------------------------------


def _parts(study: str, tables: Any, methods: Mapping[str, Method]) -> dict[str, tuple[Cell, ...]]:
    if not isinstance(tables, list) or not tables:
        got = "none" if not tables else "a table"
        raise ValueError(f"part must be at least one table, got {got}. Write [[part]] above it.")
    parts: dict[str, tuple[Cell, ...]] = {}
    for i, table in enumerate(tables, start=1):
        fields.check_known(f"part {i}", fields.check_table(f"part {i}", table), _PART)
        name = fields.check_text(f"part {i}: name", table.get("name"))
        if name in parts:
            raise ValueError(f"part {i}: name must be of one part only, got {name!r} again.")
        parts[name] = _Part(study, name, table, methods).cells()
    if len({cell.key for cells in parts.values() for cell in cells}) > _MOST_RUNS:
        raise ValueError(f"the parts must have at most {_MOST_RUNS:,} runs in all.")
    return parts


class _Part:
    """One part of a study: reads its table and makes its runs."""

    def __init__(self, study: str, name: str, table: Table, methods: Mapping[str, Method]) -> None:
        self.study, self.where, self.methods = study, f"part {name!r}", methods
        tables = {k: fields.check_table(f"{self.where}: {k}", table.get(k, {})) for k in _PART[1:]}
        self.grid = _grid(self.where, tables["grid"], methods)
        self.schedule = fields.fill(self.where, "schedule", Schedule(), tables["schedule"])
        self.schedule_of = {}
        for network, changes in tables["schedule_of"].items():
            checks.one_of(f"{self.where}: schedule_of", network, NETWORKS)
            path = f"schedule_of.{network}"
            changes = fields.check_table(f"{self.where}: {path}", changes)
            self.schedule_of[network] = fields.fill(self.where, path, self.schedule, changes)
        self.switcher = fields.fill(self.where, "switcher", SwitcherConfig(), tables["switcher"])
        self.conditions = _conditions(self.where, tables["run"])

    def cells(self) -> tuple[Cell, ...]:
        made: dict[str, Cell] = {}
        for cell in self._all():
            for needed in (cell.reference, cell):
                if needed is not None:
                    made.setdefault(needed.key, needed)
        return tuple(made.values())

    def _all(self) -> Iterator[Cell]:
        # Only the seed changes faster than the method: runs that are compared follow one another.
        order = (*(axis for axis in AXES if axis not in ("method", "seed")), "method", "seed")
        for values in itertools.product(*(self.grid[axis] for axis in order)):
            yield self._cell(dict(zip(order, values, strict=True)))

    def _cell(self, values: Table) -> Cell:
        method = self.methods[values["method"]]
        reference = None
        if method.needs_reference:
            reference = self._cell({**values, "method": SWITCHED})
        schedule = self.schedule_of.get(values["network"], self.schedule)
        where = f"{self.where}: method {values['method']!r}"
        schedule = fields.fill(where, "schedule", schedule, method.schedule)
        if schedule.switcher_data == "holdout":
            self._check_holdout()
        return Cell(
            study=self.study,
            **values,
            kind=method.kind,
            schedule=schedule,
            switcher=fields.fill(where, "switcher", self.switcher, method.switcher),
            conditions=self.conditions,
            settings=method.settings,
            reference=reference,
        )

    def _check_holdout(self) -> None:
        if not self.conditions.holdout:
            raise ValueError(
                f"{self.where}: schedule.switcher_data may be 'holdout' only with held-out images. "
                "Set run.holdout = 5000."
            )


def _grid(where: str, table: Table, methods: Mapping[str, Method]) -> dict[str, list[Any]]:
    fields.check_known(f"{where}: grid", table, AXES)
    for axis in _NEEDED:
        if axis not in table:
            raise ValueError(f"{where}: grid.{axis} is missing. Give it a list of at least one.")
    grid = {axis: _axis(f"{where}: grid.{axis}", table[axis]) for axis in table}
    for axis, values in grid.items():
        for value in values if axis in _CHECKS else ():
            _CHECKS[axis](f"{where}: grid.{axis}", value)
    for label in grid["method"]:
        checks.one_of(
            f"{where}: grid.method", label, methods, "Or describe it in a table [method.…]."
        )
    grid = {axis: grid[axis] if axis in grid else _DEFAULTS[axis] for axis in AXES}
    for network, width in itertools.product(grid["network"], grid["width"]):
        fields.name_place(f"{where}: grid.", lambda n=network, w=width: check_width(n, w))
    for axis in ("width", "noise", "share"):
        grid[axis] = [float(value) for value in grid[axis]]
    for data, classes in itertools.product(grid["data"], grid["classes"]):
        if classes > (most := CLASSES.get(data, 10)):
            raise ValueError(
                f"{where}: grid.classes must be at most {most} for {data!r}, got {classes}."
            )
    return grid


def _axis(where: str, values: Any) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{where} must be a list of at least one, got {values!r}.")
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise ValueError(f"{where} must name each once, got {twice[0]!r} twice.")
    return values


def _check_share(where: str, value: Any) -> None:
    if checks.number(where, value, 0, 1) == 0:
        raise ValueError(f"{where} must be above 0, got {value!r}.")


def _check_classes(where: str, value: Any) -> None:
    if type(value) is not int or (value != 0 and value < 2):
        raise ValueError(
            f"{where} must be a whole number of at least 2, or 0 for all classes, got {value!r}."
        )


def _check_seed(where: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value < 2**32:
        raise ValueError(f"{where} must be a whole number from 0 to 2^32 - 1, got {value!r}.")


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "network": lambda where, value: checks.one_of(where, value, NETWORKS),
    "data": lambda where, value: checks.one_of(where, value, NAMES),
    "classes": _check_classes,
    "noise": lambda where, value: checks.number(where, value, 0, 10),
    "share": _check_share,
    "method": fields.check_text,
    "seed": _check_seed,
}


def _conditions(where: str, table: Table) -> Conditions:
    known = [field.name for field in dataclasses.fields(Conditions)]
    fields.check_known(f"{where}: run", table, known)
    made, path = Conditions(**table), f"{where}: run"
    fields.check_text(f"{path}.device", made.device)
    checks.one_of(f"{path}.precision", made.precision, PRECISIONS)
    checks.one_of(f"{path}.augment", made.augment, AUGMENTS)
    holdout = made.holdout
    share = isinstance(holdout, float) and 0 < holdout < 1
    if not share and (type(holdout) is not int or holdout < 0):
        raise ValueError(
            f"{path}.holdout must be a number of images, or a share between 0 and 1, "
            f"got {holdout!r}."
        )
    checks.flag(f"{path}.choose", made.choose)
    if made.choose and not holdout:
        raise ValueError(f"{path}.choose needs held-out images. Set run.holdout = 5000.")
    return made
