"""Closed and full streams, and terminals with few characters."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snnviz import cli
from snnviz.cli.terminal import safe_streams, write_at_once
from tests.cli.example import OWN, SMALL, Done, at, by_hand, posix
from tests.runs.conftest import assert_same


def shell(command: str, **surroundings: str) -> Done:
    """A command line as a shell runs it, with redirections."""
    program = f"{sys.executable} -W error -m snnviz {command}"
    done = subprocess.run(
        ["sh", "-c", program],
        capture_output=True,
        check=False,
        env={**os.environ, **surroundings},
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has such a device")


@posix
@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
def test_training_does_not_need_stderr(place: Path, closed: str) -> None:
    done = shell(f"train {' '.join(SMALL)} --json {closed}")
    assert (done.code, done.err) == (0, "")
    assert (done.json["state"], done.json["epochs"]) == ("finished", 3)
    assert_same(at("runs/mlp-img"), by_hand())


@full
def test_a_full_stderr_does_not_end_training(place: Path) -> None:
    done = shell(f"train {' '.join(SMALL)} --json 2>/dev/full")
    assert (done.code, done.json["state"]) == (0, "finished")


@full
def test_an_answer_that_cannot_be_written_is_an_error(first: Path) -> None:
    assert shell("show runs/first >/dev/full") == Done(
        1,
        "",
        "snnviz: the answer could not be written to stdout ([Errno 28] No space left on device).\n",
    )


@posix
def test_errors_keep_their_exit_codes_without_stderr(first: Path) -> None:
    assert shell("show nowhere 2>&-") == Done(1, "", "")
    assert shell("shw 2>&- >&-") == Done(2, "", "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_table_on_a_terminal_with_few_characters(first: Path, encoding: str) -> None:
    done = shell("show runs", PYTHONIOENCODING=encoding)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1].split()[8] == "-"  # it has no parent


def narrow() -> tuple[io.BytesIO, io.TextIOWrapper]:
    inner = io.BytesIO()
    return inner, io.TextIOWrapper(inner, encoding="ascii", write_through=True)


def test_characters_have_plain_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    inner, stream = narrow()
    monkeypatch.setattr(sys, "stdout", stream)
    with safe_streams():
        print("0 – 1 … 2 → 3 × 4 │ ö 中")
    assert inner.getvalue().decode() == "0 - 1 ... 2 -> 3 x 4 | \\xf6 \\u4e2d\n"
    with pytest.raises(UnicodeEncodeError):  # as before
        stream.write("–")


class Broken(io.StringIO):
    """A stream on which nothing can be written."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_what_a_terminal_that_is_gone_cannot_take_is_dropped(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    assert run("train", *SMALL).code == 0
    assert run("resume", "runs/mlp-img", "--epoch", "9", *OWN).code == 1
    with safe_streams():
        print("nothing", file=sys.stderr, flush=True)
        write_at_once("nothing")  # StringIO has no number


def test_streams_are_given_back(first: Path) -> None:
    before = sys.stdout, sys.stderr, sys.stdout.errors
    assert cli.main(["show", "runs/first"]) == 0
    assert (sys.stdout, sys.stderr, sys.stdout.errors) == before
