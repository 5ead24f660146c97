"""Messages of errors, in which calls of `Trainer` become commands."""

import shlex

from snnviz.runs.advice import Advised, Call


def message_of(error: BaseException) -> str:
    """The error's message as the command line gives it."""
    return error.write_calls(write_command) if isinstance(error, Advised) else str(error)


def write_command(call: Call) -> str:
    """The command that does the same as a call of `Trainer`."""
    words = ["snnviz", call.method, str(call.folder)]
    words += ["--epoch", str(call.epoch)] if isinstance(call.epoch, int) else []
    return shlex.join(words)
