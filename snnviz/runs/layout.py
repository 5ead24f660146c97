"""What is where in a run's folder, and its log.

config.json      what the run is made from
history/         Parquet tables; history.json says how much of them counts, and which checkpoint
                 belongs to it. Written last, it makes a save whole: what it does not name is
                 left over from a process that was killed, and the next writer removes it.
checkpoints/     safetensors, each of which proves its own content by the hash in its name
events.jsonl     a log for people, never read for state
lock             held by the process that writes
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snnviz.runs.fingerprints import now

HISTORY, CHECKPOINTS, EVENTS, LOCK = "history", "checkpoints", "events.jsonl", "lock"


class NotSaved(RuntimeError):
    """A run's folder cannot be written. What was trained is intact, in memory."""


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turns an error of the file system into one that says what is left to do."""
    try:
        yield
    except (FileExistsError, NotSaved):
        raise
    except OSError as error:
        raise NotSaved(
            f"The run could not be saved in {str(folder)!r} ({error}). What was trained is intact, "
            "in memory. Make room and call trainer.save(), or just go on: the next step tries "
            "again first. Or keep the run elsewhere: trainer.save_to('another/folder')."
        ) from error


def append(folder: Path, event: str, values: dict[str, Any]) -> None:
    """One line more in the log. A line that was torn stays one, and the next is whole."""
    line = json.dumps({"time": now(), "event": event, **values}, default=str).encode() + b"\n"
    file = folder / EVENTS
    if file.is_symlink():
        raise OSError(f"{file} is a link")
    with file.open("ab+") as log:
        if log.tell():
            log.seek(-1, os.SEEK_END)
            line = line if log.read(1) == b"\n" else b"\n" + line
        log.write(line)
        log.flush()
        os.fsync(log.fileno())
