"""Files and folders: written completely or not at all, and checked when they are read."""

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
# Windows takes these names for devices, with any ending.
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE
)
MOST_NAME = 200  # bytes; systems allow 255, of which endings and temporary names need some


class Damaged(ValueError):
    """A file has not the content that was written. The fields `file` and `why` are for callers."""

    def __init__(self, file: Path, why: str, advice: str = "restore it from a copy.") -> None:
        kind = "folder" if file.is_dir() else "file"
        super().__init__(f"the {kind} {str(file)!r} is damaged ({why}); {advice}")
        self.file, self.why = file, why


class Newer(ValueError):
    """A file has a newer format than this version of snnviz can read."""

    def __init__(self, what: str, format: int, known: int) -> None:
        super().__init__(
            f"{what} has format {format}, and this version of snnviz reads up to {known}; "
            "install a newer snnviz."
        )


# --- folders ----------------------------------------------------------------------------------


@contextmanager
def exchanged(folder: Path, files: Collection[str] | Callable[[str], bool]) -> Iterator[Path]:
    """A new folder to write in, which replaces the old one when everything is written.

    Args:
        folder: its final name.
        files: names that the old folder may contain; any other file in it is an error.

    Raises:
        FileExistsError: the folder contains other files.
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
        if folder.exists():  # the old folder is kept until the new one has its name
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def settle(folder: Path) -> None:
    """Writes the folder's names to the disk, so that a power cut undoes no renaming or removal."""
    if os.name != "posix":  # other systems cannot open folders, and need not
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# --- writing ----------------------------------------------------------------------------------


def write(file: Path, data: bytes, settled: bool = True) -> None:
    """Writes a file completely or not at all: under a temporary name first, which is then replaced.

    Args:
        settled: also write the name to the disk; otherwise the caller does it for several files.
    """
    beside = file.with_name(temporary(file.name))
    try:
        beside.unlink(missing_ok=True)
        with beside.open("xb") as out:  # "x" does not follow a link of this name
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
    """The name of a file while it is being written."""
    return f".{name}.tmp"


def is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def hashed(stem: str, data: bytes, suffix: str) -> str:
    """A name with a checksum of the content: `<stem>-<first 16 hex digits of SHA-256><suffix>`."""
    return f"{stem}-{digest(data)[:16]}{suffix}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(content: Any) -> bytes:
    """Strict JSON that is the same for equal content, for checksums."""
    return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


# --- reading ----------------------------------------------------------------------------------


def read(file: Path, most: int, folder: Path | None = None) -> bytes:
    """The bytes of a file, at most `most` of them.

    Args:
        folder: the file must be inside this folder after all links are followed.

    Raises:
        FileNotFoundError: the file does not exist.
        Damaged: it is not a plain file, is outside the folder, or is too long.
    """
    if folder is not None:
        check_inside(file, folder)
    if file.exists() and not file.is_file():  # reading a pipe could wait for ever
        raise Damaged(file, "it is no plain file")
    try:
        opening = file.open("rb")
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Damaged(file, first_line(error)) from error
    with opening as opened:
        size = os.fstat(opened.fileno()).st_size
        if size <= most:
            return opened.read(size)
    raise Damaged(file, f"it has {size} bytes, where at most {most} are expected")


def check_inside(file: Path, folder: Path) -> None:
    """Raises Damaged if links lead from this file or folder out of `folder`."""
    try:
        inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # for example, links that form a circle
        raise Damaged(file, first_line(error)) from error
    if not inside:
        raise Damaged(file, "it is a link that leads out of the folder")


def read_hashed(file: Path, most: int, folder: Path | None = None) -> bytes:
    """The bytes of a file whose name `hashed` made.

    Raises:
        FileNotFoundError: the file does not exist.
        Damaged: its content does not match the checksum in its name.
    """
    data = read(file, most, folder)
    named = _HASHED.fullmatch(file.name)
    if named is None or digest(data)[:16] != named[1]:
        raise Damaged(file, "its content does not fit the checksum in its name")
    return data


def parse_json(file: Path, data: bytes) -> dict[str, Any]:
    """Reads strict JSON whose outermost value is an object.

    Raises:
        Damaged: it is not such JSON.
    """
    try:
        text = data.decode("utf-8")
        content = json.loads(text, parse_constant=_no_constant)
        if "\\ud" in text.lower():  # half of a surrogate pair cannot be written again
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # too deeply nested
        raise Damaged(file, first_line(error)) from error
    if not isinstance(content, dict):
        raise Damaged(file, f"it holds a {type(content).__name__}, not an object")
    return content


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def first_line(error: BaseException) -> str:
    """The first line of an error's text without its full stop, or its type if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


# --- paths and names --------------------------------------------------------------------------


def home_path(argument: str, value: str | os.PathLike[str]) -> Path:
    """The path that a user gave, in which a leading "~" is the home folder.

    Raises:
        TypeError: it is not a path.
        ValueError: no file can have this path, or there is no such home folder.
    """
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise TypeError(
            f"{argument} must be a path (str or pathlib.Path), got {type(value).__name__}. "
            f'Use for example {argument}="some/folder".'
        )
    path = os.fspath(value)
    if "\0" in path:
        raise ValueError(
            f"{argument} must be a path, got {path!r} with a NUL character. Remove it."
        )
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # "~somebody", who has no account here
        raise ValueError(
            f"{argument} must begin with an existing home folder if it begins with ~, got "
            f"{path!r}. Write the path from the root if a folder has that name."
        ) from error


def fixed_path(argument: str, value: str | os.PathLike[str]) -> Path:
    """Like `home_path`, but absolute: what the working folder is later does not matter."""
    return home_path(argument, value).absolute()


def check_new_names(argument: str, path: Path) -> None:
    """Raises ValueError for a folder to be made whose name some systems cannot have."""
    for part in (path, *path.parents):
        if not part.name or part.name == "..":
            return
        try:
            there, why = part.exists(), ""
        except OSError as error:
            there, why = False, error.strerror or first_line(error)
        if there:
            return
        check_name(argument, part.name.lstrip(".") or part.name)  # hidden folders are fine
        if why:  # each name is fine, and all together are too long
            raise ValueError(
                f"{argument} must be a path that this system can have, got {str(path)[:100]!r} and "
                f"{max(len(str(path)) - 100, 0):,} more letters ({why}). Choose a shorter one."
            )


@contextmanager
def writing(argument: str, path: Path) -> Iterator[None]:
    """Turns a system's error in writing to a path into one that names the argument."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # it is in words already
            raise
        why = error.strerror or first_line(error)
        raise type(error)(
            f"{argument} must be a place where files can be written, got {str(path)!r} ({why}). "
            "Choose another one."
        ) from error


def check_name(argument: str, value: Any, advice: str = "") -> str:
    """The name, if every system can have a file or folder that is called so.

    Raises:
        ValueError: it is not a plain name, or Windows cannot have it.
    """
    why = _why_unsuited(value) if isinstance(value, str) else "is not a str"
    if why:
        message = (
            f"{argument} must be a name that a file can have on every system, got {value!r}, which "
            f"{why}. Use letters, digits, - and _, for example {argument}='first'. {advice}"
        )
        raise ValueError(message.rstrip())
    return value


def _why_unsuited(name: str) -> str | None:
    if not name:
        return "is empty"
    bad = [
        character for character in name if character in '<>:"/\\|?*' or not _printable(character)
    ]
    if bad:
        return f"has the character {bad[0]!r}"
    if name.startswith((".", " ")) or name.endswith((".", " ")):
        return "begins or ends with a full stop or a space"
    if _DEVICE.fullmatch(name):
        return "Windows uses for a device"
    if len(name.encode("utf-8", "surrogatepass")) > MOST_NAME:
        return f"has more than {MOST_NAME} bytes"
    return None


def _printable(character: str) -> bool:
    return character.isprintable() and not "\ud800" <= character <= "\udfff"
