"""Messages of errors, in which calls of `Trainer` become commands."""

import os
import re
import shlex
from pathlib import Path

from snnviz.runs.advice import Advised, Call


def message_of(error: BaseException) -> str:
    """The error's message as the command line gives it."""
    text = error.write_calls(write_command) if isinstance(error, Advised) else str(error)
    # Paths that a message begins or quotes, as `shown` writes them; not those after "folder:".
    return re.sub(rf"(?<![^\s'\"(]){re.escape(str(Path.cwd()))}{re.escape(os.sep)}", "", text)


def write_command(call: Call) -> str:
    """The command that does the same as a call of `Trainer`."""
    words = ["snnviz", call.method, shown(call.folder)]
    words += ["--epoch", str(call.epoch)] if isinstance(call.epoch, int) else []
    return shlex.join(words)


def shown(folder: Path | None) -> str:
    """A folder as it is written in the working folder: shorter where it is inside."""
    if folder is not None and folder.is_relative_to(here := Path.cwd()):
        return str(folder.relative_to(here))
    return str(folder)
