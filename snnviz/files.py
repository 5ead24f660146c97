"""Files and folders that are written whole or not at all, and read with care."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_HASHED = re.compile(r".+-([0-9a-f]{16})\.[a-z]+")


class Damaged(ValueError):
    """A file is not what was written. `file` and `why` serve whoever knows what to do about it."""

    def __init__(self, file: Path, why: str, advice: str = "restore it from a copy.") -> None:
        kind = "folder" if file.is_dir() else "file"
        super().__init__(f"the {kind} {str(file)!r} is damaged ({why}); {advice}")
        self.file, self.why = file, why


class Newer(ValueError):
    """A file is of another format than this version knows."""

    def __init__(self, what: str, format: int, known: int) -> None:
        super().__init__(
            f"{what} has format {format}, and this version of snnviz reads up to {known}; "
            "install a newer snnviz."
        )


# --- folders ----------------------------------------------------------------------------------


@contextmanager
def exchanged(folder: Path, files: Collection[str] | Callable[[str], bool]) -> Iterator[Path]:
    """A new folder to write in, which takes the place of the old one once all is written.

    Args:
        folder: its final name.
        files: what an old folder may hold; anything else in it is an error.

    Raises:
        FileExistsError: the folder holds other files.
    """
    others = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    known = files if callable(files) else files.__contains__
    others = [name for name in others if not known(name)]
    if others:
        raise FileExistsError(
            f"folder {str(folder)!r} holds other files ({', '.join(others[:3])}); "
            "give the name of a new or empty folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    new, old = beside / "new", beside / "old"
    try:
        new.mkdir()
        yield new
        if folder.exists():  # an exchange in two steps: the old one is whole until the new is
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def settle(folder: Path) -> None:
    """Has the folder's names on disk, so that a power cut keeps what was renamed or removed."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, and names are written with it
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# --- writing ----------------------------------------------------------------------------------


def write(file: Path, data: bytes, settled: bool = True) -> None:
    """Writes a file whole or not at all: beside it, to the disk, and then under its name.

    Args:
        settled: also have the name on disk; else whoever calls does that for several files at once.
    """
    beside = file.with_name(temporary(file.name))
    try:
        beside.unlink(missing_ok=True)
        with beside.open("xb") as out:  # "x": never through a link that lies in wait there
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, file)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    if settled:
        settle(file.parent)


def temporary(name: str) -> str:
    """What a file is called while it is being written."""
    return f".{name}.tmp"


def is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def hashed(stem: str, data: bytes, suffix: str) -> str:
    """A name that proves its content: `<stem>-<first 16 hex digits of its SHA-256><suffix>`."""
    return f"{stem}-{digest(data)[:16]}{suffix}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(content: Any) -> bytes:
    """Strict JSON, the same for the same content, for checksums."""
    return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


# --- reading ----------------------------------------------------------------------------------


def read(file: Path, most: int, folder: Path | None = None) -> bytes:
    """A file's bytes, which must be no more than `most`.

    Args:
        folder: it must lie in here, wherever links may lead.

    Raises:
        FileNotFoundError: it is not there.
        Damaged: it is no plain file, lies elsewhere, or is too long.
    """
    if folder is not None:
        check_inside(file, folder)
    if file.exists() and not file.is_file():  # a pipe would keep its reader waiting for ever
        raise Damaged(file, "it is no plain file")
    try:
        opening = file.open("rb")
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Damaged(file, _first_line(error)) from error
    with opening as opened:
        size = os.fstat(opened.fileno()).st_size
        if size <= most:
            return opened.read(size)
    raise Damaged(file, f"it has {size} bytes, where at most {most} are expected")


def check_inside(file: Path, folder: Path) -> None:
    """Raises Damaged if links lead from a file, or a folder, out of the folder that it is in."""
    try:
        inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # links that lead in a circle, say
        raise Damaged(file, _first_line(error)) from error
    if not inside:
        raise Damaged(file, "it is a link that leads out of the folder")


def read_hashed(file: Path, most: int, folder: Path | None = None) -> bytes:
    """The bytes of a file that `hashed` named.

    Raises:
        FileNotFoundError: it is not there.
        Damaged: its content is not what its name says.
    """
    data = read(file, most, folder)
    named = _HASHED.fullmatch(file.name)
    if named is None or digest(data)[:16] != named[1]:
        raise Damaged(file, "its content does not fit the checksum in its name")
    return data


def parse_json(file: Path, data: bytes) -> dict[str, Any]:
    """Strict JSON, an object at the top.

    Raises:
        Damaged: it is not that.
    """
    try:
        text = data.decode("utf-8")
        content = json.loads(text, parse_constant=_no_constant)
        if "\\ud" in text.lower():  # half a character, which no file can hold again
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # nesting without end is a recursion
        raise Damaged(file, _first_line(error)) from error
    if not isinstance(content, dict):
        raise Damaged(file, f"it holds a {type(content).__name__}, not an object")
    return content


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
