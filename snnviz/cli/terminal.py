"""Standard streams that never end a run: closed or full ones, and terminals with few characters."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any, TextIO

from snnviz import distributed

# What stands for a character that a terminal's encoding does not have.
_PLAIN = str.maketrans(
    {
        "–": "-",
        "…": "...",
        "→": "->",
        "×": "x",
        "│": "|",
        "─": "-",
        "█": "#",
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
    }
)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that cannot be encoded; those without a plain form are escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


_ERRORS = "snnviz.plain"
codecs.register_error(_ERRORS, _replace)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Within it, nothing that is printed can raise an error of encoding, and none of stderr.

    What is said on stderr is worth less than the run that says it: what a full disk or a terminal
    that is gone cannot take is dropped. The answer on stdout does raise `OSError`.
    """
    _open_closed()
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    inner = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    with _plain_characters(sys.stdout), _plain_characters(inner), redirect_stderr(_Lossy(inner)):
        yield


def write_at_once(text: str) -> None:
    """Text on stderr, from a signal handler: it may have come in the middle of a `print`."""
    if distributed.first():
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        with suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), text.encode(encoding, _ERRORS))


class _Lossy(io.TextIOBase):
    """A text stream that drops what the stream inside it cannot take."""

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._inner.encoding

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._inner.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._inner.flush()

    def fileno(self) -> int:
        return self._inner.fileno()

    def isatty(self) -> bool:
        return self._inner.isatty()

    def writable(self) -> bool:
        return True


def _open_closed() -> None:
    """Opens what the shell closed (2>&-): the next file to be opened would take its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number)
                os.close(found)


@contextmanager
def _plain_characters(stream: Any) -> Iterator[None]:
    """Within it, what the stream's encoding does not have is written with other characters."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:  # a notebook's
        yield
        return
    before = stream.errors
    reconfigure(errors=_ERRORS)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            reconfigure(errors=before)
