"""Paths that users give, and names that files can have on every system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snnviz import files
from tests.helpers import message_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", [str, Path])
def test_tilde_is_the_home_folder(home: Path, kind: Any) -> None:
    assert files.home_path("folder", kind("~/runs/a")) == home / "runs" / "a"
    assert files.home_path("folder", kind("~")) == home
    for other in ("runs/~", "a~b", str(home / "~")):
        assert files.home_path("folder", kind(other)) == Path(other)


BAD_PATHS = {
    "number": (5, TypeError, "folder must be a path (str or pathlib.Path), got int. Use for "),
    "bytes": (b"runs", TypeError, "folder must be a path (str or pathlib.Path), got bytes. Use "),
    "none": (None, TypeError, "folder must be a path (str or pathlib.Path), got NoneType. Use for"),
    "NUL": ("a\0b", ValueError, "folder must be a path, got 'a\\x00b' with a NUL character. "),
    "nobody": (
        "~nobody-has-this-name/a",
        ValueError,
        "folder must begin with an existing home folder if it begins with ~, got "
        "'~nobody-has-this-name/a'. Write the path from the root if a folder has that name.",
    ),
}


@pytest.mark.parametrize(("path", "error", "words"), BAD_PATHS.values(), ids=BAD_PATHS.keys())
def test_bad_paths(path: Any, error: type[Exception], words: str) -> None:
    assert message_of(lambda: files.home_path("folder", path), error).startswith(words)


@pytest.mark.parametrize(
    "name",
    [
        "first",
        "run-2_b",
        "a.b",
        "mlp 3",
        "été",
        "実験",
        "console",
        "com",
        "com10",
        "nulls",
        "a" * 200,
    ],
)
def test_names_for_every_system(name: str, tmp_path: Path) -> None:
    assert files.check_name("name", name) == name
    (tmp_path / name).touch()


BAD_NAMES = {
    "": "is empty",
    "a/b": "has the character '/'",
    "a\\b": "has the character '\\\\'",
    "a:b": "has the character ':'",
    "why?": "has the character '?'",
    "a\tb": "has the character '\\t'",
    "a\ud800": "has the character '\\ud800'",
    ".hidden": "begins or ends with a full stop or a space",
    "end.": "begins or ends with a full stop or a space",
    "end ": "begins or ends with a full stop or a space",
    "CON": "Windows uses for a device",
    "nul.txt": "Windows uses for a device",
    "Com1": "Windows uses for a device",
    "lpt².log.gz": "Windows uses for a device",
    "aux .x": "Windows uses for a device",
    "é" * 101: "has more than 200 bytes",
}


@pytest.mark.parametrize(("name", "why"), BAD_NAMES.items())
def test_names_that_a_system_cannot_hold(name: str, why: str) -> None:
    assert message_of(lambda: files.check_name("name", name)) == (
        f"name must be a name that a file can have on every system, got {name!r}, which {why}. "
        "Use letters, digits, - and _, for example name='first'."
    )


def test_a_name_is_a_str() -> None:
    assert "got 5, which is not a str." in message_of(lambda: files.check_name("name", 5))
