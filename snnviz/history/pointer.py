"""`history.json`: it says which of a folder's tables count. Written last, it makes a save whole."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnviz import files

FORMAT = 3
NAME = "history.json"
Note = tuple[int, int, str, str, int, str]  # epoch, step, event, group, neuron, detail

_MOST_BYTES = 2**24


@dataclass(frozen=True)
class Pointer:
    """What `history.json` says: how much of the folder's tables counts.

    Attributes:
        groups: {switch group: neurons}.
        epochs: finished epochs.
        steps: rows of steps in all.
        notes: events that are not in the factors.
        run: what a run adds about itself.
    """

    groups: dict[str, int]
    epochs: int
    steps: int
    notes: list[Note]
    run: dict[str, Any] | None = None

    def encoded(self) -> bytes:
        content = {
            "format": FORMAT,
            "groups": self.groups,
            "epochs": self.epochs,
            "steps": self.steps,
            "notes": self.notes,
            "run": self.run,
        }
        content["sha256"] = files.digest(files.canonical(content))
        return json.dumps(content, indent=1, allow_nan=False).encode()

    @classmethod
    def read(cls, folder: Path) -> "Pointer":
        """Reads `history.json`, every field of which is checked."""
        file = folder / NAME
        content = files.parse_json(file, files.read(file, _MOST_BYTES, folder))
        try:
            return cls._checked(content, folder)
        except files.Newer:
            raise
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise files.Damaged(file, why) from error

    @classmethod
    def _checked(cls, content: dict[str, Any], folder: Path) -> "Pointer":
        format = _count(content["format"])
        if format > FORMAT:
            raise files.Newer(f"the history in {str(folder)!r}", format, FORMAT)
        if format < FORMAT:
            raise ValueError(f"it has format {format}, which no release has written")
        if content.pop("sha256") != files.digest(files.canonical(content)):
            raise ValueError("its checksum does not fit")
        notes = [
            (
                _count(epoch),
                _count(step),
                _word(event),
                _word(group),
                _neuron(neuron),
                _word(detail),
            )
            for epoch, step, event, group, neuron, detail in content["notes"]
        ]
        groups, run = content["groups"], content["run"]
        if not isinstance(groups, dict):
            raise ValueError(f"groups are {str(groups)[:40]}")
        groups = {name: _count(n) for name, n in groups.items()}
        if run is not None and not isinstance(run, dict):
            raise ValueError(f"run is {str(run)[:40]}")
        return cls(groups, _count(content["epochs"]), _count(content["steps"]), notes, run)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"a count is {str(value)[:40]!r}")
    return value


def _neuron(value: Any) -> int:
    return -1 if type(value) is int and value == -1 else _count(value)


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text is {str(value)[:40]!r}")
    return value
