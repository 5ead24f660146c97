"""Runs one command: its answer, its errors in words, and the exit code."""

import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

from cyclopts import CycloptsError, UnusedCliTokensError

from snnviz.cli.answers import DONE, FAILED, INTERRUPTED, WRONG_USAGE, Answer
from snnviz.cli.commands import app
from snnviz.cli.interruptions import like_ctrl_c
from snnviz.cli.options import WrongUsage
from snnviz.cli.terminal import safe_streams
from snnviz.cli.words import message_of
from snnviz.runs import InUse, NotSaved
from snnviz.shrink import OutputsDiffer
from snnviz.training import TrainingStopped

# Errors that the user can fix. Any other is a bug, and shows its traceback.
_FIXABLE = (ValueError, OSError, ImportError, InUse, NotSaved, TrainingStopped, OutputsDiffer)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with safe_streams():
        try:
            return _run(words)
        except WrongUsage as error:
            return _report(WRONG_USAGE, f"{error} See: {_help(words)}")
        except KeyboardInterrupt:
            return _report(INTERRUPTED, "interrupted; nothing was saved.")
        except _FIXABLE as error:
            return _report(FAILED, message_of(error))
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":
                raise
            advice = "Try a smaller --schedule.batch-size, or --device cpu."
            return _report(FAILED, f"{error} {advice}")


def _run(words: list[str]) -> int:
    # cyclopts would take --schedule 3 for the first field of the schedule.
    if any(word.partition("=")[0] == "--schedule" for word in words):
        text = "--schedule has fields, each an option of its own, such as --schedule.epochs 3."
        return _report(WRONG_USAGE, f"{text} See: {_help(words)}")
    try:
        command, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    except UnusedCliTokensError as error:
        some = ", ".join(map(repr, error.unused_tokens or []))
        text = f"{some} belongs to no option. Options have names that begin with --."
        return _report(WRONG_USAGE, f"{text} See: {_help(words)}")
    except CycloptsError as error:
        return _report(WRONG_USAGE, f"{error} See: {_help(words)}")
    as_json = bool(bound.arguments.get("json"))
    with like_ctrl_c(), _notes(), redirect_stdout(sys.stderr if as_json else sys.stdout):
        try:
            answer = command(*bound.args, **bound.kwargs)
        except BrokenPipeError:  # the help's reader has left
            return _drop_stdout() or FAILED
    if not isinstance(answer, Answer):
        return answer or DONE
    return _give(answer.as_json() if as_json else answer.text, answer.code)


def _give(text: str, code: int) -> int:
    """Prints the answer; returns the exit code."""
    try:
        print(text, flush=True)
        return code
    except BrokenPipeError:  # `snnviz show | head`
        return _drop_stdout() or FAILED
    except OSError as error:
        _drop_stdout()
        return _report(code or FAILED, f"the answer could not be written to stdout ({error}).")


def _drop_stdout() -> None:
    """Has the rest go nowhere, so that Python does not try again to write it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(code: int, text: str) -> int:
    """One line on stderr; after the traceback, if SNNVIZ_TRACEBACK is set."""
    if os.environ.get("SNNVIZ_TRACEBACK"):
        traceback.print_exc()
    print(f"snnviz: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return code


def _help(words: list[str]) -> str:
    known = words[:1] if words and words[0] in app else []
    return shlex.join(["snnviz", *known, "--help"])


@contextmanager
def _notes() -> Iterator[None]:
    """Within it, a warning is one line on stderr."""
    with warnings.catch_warnings():
        warnings.showwarning = _note
        yield


def _note(message: Warning | str, *where: Any, **more: Any) -> None:
    print(f"note: {' '.join(str(message).split())}", file=sys.stderr, flush=True)
