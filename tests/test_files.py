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


def test_a_new_folder_has_names_for_every_system(tmp_path: Path) -> None:
    (tmp_path / "is: there").mkdir()
    for good in ("is: there", ".hidden/a", "is: there/b", "../c"):
        files.check_new_names("folder", tmp_path / good)
    for bad in ("a:b/c", "a/con.txt", "d."):
        assert "on every system" in message_of(
            lambda bad=bad: files.check_new_names("f", tmp_path / bad)
        )


def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    said = message_of(lambda: files.check_new_names("folder", tmp_path / ("x" * 300)))
    assert said.startswith("folder must be a name that a file can have on every system, got 'xxx")
    assert "which has more than 200 bytes" in said
    deep = tmp_path.joinpath(*["y" * 200] * 40)
    said = message_of(lambda: files.check_new_names("folder", deep))
    assert said == (
        f"folder must be a path that this system can have, got {str(deep)[:100]!r} and "
        f"{len(str(deep)) - 100:,} more letters (File name too long). Choose a shorter one."
    )


def test_a_fixed_path_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert files.fixed_path("folder", "a/b") == tmp_path / "a" / "b"


def test_what_the_system_says_names_the_argument(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    inside = tmp_path / "file" / "x"

    def make() -> None:
        with files.writing("folder", inside):
            inside.mkdir()

    assert message_of(make, NotADirectoryError) == (
        f"folder must be a place where files can be written, got {str(inside)!r} "
        "(Not a directory). Choose another one."
    )
