"""The methods of a study: those with a name in `rivals`, and those that its file describes."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from snnviz import checks, files, rivals
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
    """{label: method}: all that have a name in `rivals`, and those that the tables describe."""
    made = {name: Method(name) for name in rivals.METHODS}
    for label, table in fields.check_table("method", tables).items():
        where = f"method {label!r}"
        fields.check_known(where, fields.check_table(where, table), ("kind", *_TABLES))
        kind = table.get("kind", label)
        allowed = [label] if label in rivals.METHODS else rivals.METHODS
        checks.one_of(f"{where}: kind", kind, allowed)
        found = {
            name: fields.check_table(f"{where}: {name}", table.get(name, {})) for name in _TABLES
        }
        fields.fill(where, "schedule", Schedule(), found["schedule"])
        fields.fill(where, "switcher", SwitcherConfig(), found["switcher"])
        _check_settings(where, kind, found["settings"])
        made[label] = Method(kind, **found)
    return made


def _check_settings(where: str, kind: str, settings: Table) -> None:
    fields.name_place(f"{where}: settings: ", lambda: rivals.check_settings(kind, settings))
    for name, value in settings.items():
        try:
            files.canonical(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{where}: settings.{name} must be a number, text, true, false or a list of them, "
                f"got {value!r}."
            ) from error
