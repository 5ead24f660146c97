"""A schedule in a JSON file of its own, by a name."""

import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snnviz import files
from snnviz.training import Schedule

FORMAT = 1

_MOST_BYTES = 2**20
_NAME = re.compile(r"\w[\w .+-]{0,79}")


def encode(schedule: Schedule) -> bytes:
    """All fields of a schedule, as JSON."""
    content = {"format": FORMAT, "schedule": asdict(schedule)}
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def decode(data: bytes, name: str) -> Schedule:
    """A schedule from JSON: a file of `encode`, or a run's `config.json`.

    Fields that are missing have their defaults.

    Args:
        data: the content of the file.
        name: what to call the file in an error.

    Raises:
        ValueError: it is not that, or a field is not allowed.
    """
    if len(data) > _MOST_BYTES:
        raise _refuse_file(
            name, f"it has {len(data)} bytes, where at most {_MOST_BYTES} are expected"
        )
    try:
        content = files.parse_json(Path(name), data)
    except files.Damaged as error:
        raise _refuse_file(name, f"it is not a JSON file: {error.why}") from error
    format = content.get("format")
    if isinstance(format, int) and format > FORMAT:
        raise files.Newer(f"the file {name!r}", format, FORMAT)
    fields: Any = content.get("schedule")
    if not isinstance(fields, dict):
        raise _refuse_file(name, 'it has no object "schedule"')
    try:
        return Schedule().replace(**fields)
    except (ValueError, TypeError, OverflowError) as error:
        raise _refuse_file(name, str(error)[:500].rstrip(".")) from error


def file_for(folder: str | os.PathLike, name: str) -> Path:
    """Where the schedule of this name is: <folder>/<name>.json.

    Raises:
        ValueError: the name is not allowed.
    """
    if not _NAME.fullmatch(name) or name != name.strip(" ."):
        raise ValueError(
            "name must be 1 to 80 letters, digits, spaces or any of _ . + -, starting with a "
            f"letter or digit and not ending with a dot, got {name!r}."
        )
    return Path(folder) / f"{name}.json"


def save(schedule: Schedule, file: Path) -> None:
    """Writes a schedule, whole or not at all, and its folder where there is none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write(file, encode(schedule))


def load(file: Path) -> Schedule:
    """Reads a schedule.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no schedule, or one that is not allowed.
    """
    try:
        data = files.read(file, _MOST_BYTES)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {str(file)!r}.") from error
    except files.Damaged as error:
        raise _refuse_file(str(file), error.why) from error
    return decode(data, str(file))


def list_names(folder: str | os.PathLike) -> list[str]:
    """The names of the schedules in a folder, in order; none where there is no such folder."""
    return sorted(path.stem for path in Path(folder).glob("*.json") if _NAME.fullmatch(path.stem))


def _refuse_file(name: str, why: str) -> ValueError:
    return ValueError(
        f"the file {name!r} cannot be used: {why}. Correct it, or choose another file."
    )
