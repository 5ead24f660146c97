"""A run that another trainer writes: what is known of it, and that its state is taken up."""

import os
from pathlib import Path

import pytest

from snnviz.files import Damaged
from snnviz.runs import Trainer
from snnviz.runs.followed import Followed
from tests.runs.conftest import DATA, assert_same, make, tiny_net


def test_what_is_saved_is_taken_up(tmp_path: Path) -> None:
    with make(tmp_path / "mine") as made:
        made.run(1, progress=False)
        shown = Trainer.at(tmp_path / "mine", network=tiny_net(), data=DATA)
        run = Followed(shown, tmp_path / "mine")
        assert run.held
        assert run.holder.startswith(f"process {os.getpid()} on ")
        assert run.is_behind
        for act in (lambda: made.run(1, progress=False), made.reset, made.step):
            run.take_up()
            assert not run.is_behind
            act()
            made.save()
            assert run.is_behind
            run.take_up()
            assert_same(shown, made)
    assert not run.held
    assert not run.is_behind


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with make(tmp_path / "mine") as made:
        made.run(1, progress=False)
        shown = Trainer.at(tmp_path / "mine", network=tiny_net(), data=DATA)
        run = Followed(shown, tmp_path / "mine")
        before = run.trainer.position
        last = max((tmp_path / "mine" / "checkpoints").iterdir())
        last.write_bytes(b"broken")
        with pytest.raises(Damaged, match="checksum"):
            run.take_up()
        assert run.trainer.position == before
        assert run.is_behind
        (tmp_path / "mine" / "history" / "history.json").unlink()
        with pytest.raises(FileNotFoundError):
            run.is_behind  # noqa: B018
