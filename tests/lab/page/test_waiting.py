"""What a cell that waits says."""

import pytest

from snnviz.lab.page.waiting import Progress, progress_html
from tests.lab.views.pretence import idle_status


def test_it_says_how_far_and_where_to_look() -> None:
    status = idle_status()
    html = progress_html(status)
    assert f"epoch {status.position.epoch + 1} of {status.schedule.epochs}" in html
    assert "Look at the lab above" in html


def test_nothing_without_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(None)
    progress.show(idle_status())
    progress.end(idle_status())
    assert capsys.readouterr().out == ""
