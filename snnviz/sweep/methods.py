"""The methods of a study: those that have a name, and those that its file describes."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from snnviz import files, rivals
from snnviz.sweep import fields
from snnviz.sweep.fields import Table
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule

_TABLES = ("schedule", "switcher", "settings")


@dataclass(frozen=True)
class Method:
    kind: str
    schedule: Table = dataclasses.field(default_factory=dict)
    switcher: Table = dataclasses.field(default_factory=dict)
    settings: Table = dataclasses.field(default_factory=dict)

    @property
    def needs_reference(self) -> bool:
        return rivals.METHODS[self.kind].needs_reference and "size" not in self.settings


def read_methods(tables: Any) -> dict[str, Method]:
    """{label: method}, those that need no table among them."""
    made = {name: Method(name) for name in rivals.METHODS}
    for label, table in fields.table("method", tables).items():
        where = f"method {label!r}"
        fields.only(where, fields.table(where, table), ("kind", *_TABLES))
        kind = table.get("kind", label)
        if kind not in rivals.METHODS or (label in rivals.METHODS and kind != label):
            allowed = f"{label!r}" if label in rivals.METHODS else fields.names(rivals.METHODS)
            raise ValueError(f"{where}: kind must be one of {allowed}, got {kind!r}.")
        found = {name: fields.table(f"{where}: {name}", table.get(name, {})) for name in _TABLES}
        fields.filled(where, "schedule", Schedule(), found["schedule"])
        fields.filled(where, "switcher", SwitcherConfig(), found["switcher"])
        _check_settings(where, kind, found["settings"])
        made[label] = Method(kind, **found)
    return made


def _check_settings(where: str, kind: str, settings: Table) -> None:
    fields.worded(f"{where}: settings: ", lambda: rivals.check_settings(kind, settings))
    for name, value in settings.items():
        try:
            files.canonical(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{where}: settings.{name} must be a number, text, true, false or a list of them, "
                f"got {value!r}."
            ) from error
