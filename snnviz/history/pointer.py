"""`history.json`: which tables of a folder belong to the history. It is written last, so that the
tables count only once all of them are there."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from snnviz import files

FORMAT = 4
OLDEST_FORMAT = 3  # whose events have no `back_to`
NAME = "history.json"

_MOST_BYTES = 2**24


class Note(NamedTuple):
    """An event that the factors do not show.

    Attributes:
        epoch: the epoch that was under way, from 1.
        step: steps that were finished.
        event: "schedule", "pin", "unpin", "rollback" or "reset".
        group: of the neurons that are meant; empty for the whole run.
        neuron: its number if only one is meant; otherwise -1.
        back_to: the epoch to whose end a rollback or reset went; 0 is the start of the run, and
            other events have -1.
        detail: what happened, in words for people.
    """

    epoch: int
    step: int
    event: str
    group: str
    neuron: int
    back_to: int
    detail: str


@dataclass(frozen=True)
class Pointer:
    """The content of `history.json`.

    Attributes:
        groups: {switch group: number of neurons}.
        epochs: number of finished epochs.
        steps: number of steps, with those of the current epoch.
        notes: events that the factors do not show.
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
            "notes": [list(note) for note in self.notes],
            "run": self.run,
        }
        content["sha256"] = files.digest(files.canonical(content))
        return json.dumps(content, indent=1, allow_nan=False).encode()

    @classmethod
    def read(cls, folder: Path) -> "Pointer":
        """Reads `history.json` and checks each of its fields."""
        file = folder / NAME
        content = files.parse_json(file, files.read(file, _MOST_BYTES, folder))
        try:
            return cls._parse(content, folder)
        except files.Newer:
            raise
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise files.Damaged(file, why) from error

    @classmethod
    def _parse(cls, content: dict[str, Any], folder: Path) -> "Pointer":
        format = _check_count(content["format"])
        if format > FORMAT:
            raise files.Newer(f"the history in {str(folder)!r}", format, FORMAT)
        if format < OLDEST_FORMAT:
            raise ValueError(f"it has format {format}, which no release has written")
        if content.pop("sha256") != files.digest(files.canonical(content)):
            raise ValueError("its checksum does not fit")
        parse_note = _parse_note if format > OLDEST_FORMAT else _parse_old_note
        notes = [parse_note(values) for values in content["notes"]]
        groups, run = content["groups"], content["run"]
        if not isinstance(groups, dict):
            raise ValueError(f"groups are {str(groups)[:40]}")
        groups = {name: _check_count(n) for name, n in groups.items()}
        if run is not None and not isinstance(run, dict):
            raise ValueError(f"run is {str(run)[:40]}")
        epochs, steps = _check_count(content["epochs"]), _check_count(content["steps"])
        return cls(groups, epochs, steps, notes, run)


def _parse_note(values: Any) -> Note:
    epoch, step, event, group, neuron, back_to, detail = values
    return Note(
        _check_count(epoch),
        _check_count(step),
        _check_text(event),
        _check_text(group),
        _check_count_or_none(neuron),
        _check_count_or_none(back_to),
        _check_text(detail),
    )


def _parse_old_note(values: Any) -> Note:
    """A note of format 3, which says only in its detail how far the run went back."""
    epoch, step, event, group, neuron, detail = values
    back_to = -1
    if event in ("rollback", "reset"):
        named = re.search(r"epoch ([0-9]{1,15})", _check_text(detail))
        back_to = int(named[1]) if named else 0
    return _parse_note([epoch, step, event, group, neuron, back_to, detail])


def _check_count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"a count is {str(value)[:40]!r}")
    return value


def _check_count_or_none(value: Any) -> int:
    """A count, or -1 where there is none."""
    return -1 if type(value) is int and value == -1 else _check_count(value)


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text is {str(value)[:40]!r}")
    return value
