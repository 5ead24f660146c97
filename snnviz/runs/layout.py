"""The files in a run's folder, and its log.

config.json      everything that defines the run
history/         Parquet tables; history.json says which rows are valid, and which checkpoint
                 belongs to them. It is written last and completes a save: other files are left
                 over from a process that was killed, and the next writer removes them.
checkpoints/     safetensors files, each with a hash of its content in its name
events.jsonl     a log for people; the state is never read from it
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
    """A run's folder cannot be written. The training state is intact in memory."""


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turns a file system error into one that tells the user what to do next."""
    try:
        yield
    except (FileExistsError, NotSaved):
        raise
    except OSError as error:
        raise NotSaved(
            f"The run could not be saved in {str(folder)!r} ({error}). The training state is "
            "intact in memory. Make room and call trainer.save(), or continue training: the next "
            "step tries to save first. Or save the run elsewhere: "
            "trainer.save_to('another/folder')."
        ) from error


def append(folder: Path, event: str, values: dict[str, Any]) -> None:
    """Appends a line to the log. After an incomplete line, it starts a new one."""
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
