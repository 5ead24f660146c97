"""The results: what is written, what is read, and who may write."""

import datetime
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snnviz import files, sweep
from snnviz.runs import InUse, NotSaved
from snnviz.sweep import run
from snnviz.sweep.cell import Row, row_of_failure
from snnviz.sweep.plan import plan
from snnviz.sweep.results import COLUMNS, Results
from snnviz.sweep.study import Study
from tests.helpers import message_of

EXAMPLES = {"string": "words", "int64": 7, "double": 0.25}


def done(study: Study, i: int = 0) -> Row:
    row: Row = {name: EXAMPLES[kind] for name, kind in COLUMNS.items()}
    return {
        **row,
        **row_of_failure(study.parts["one"][i], ""),
        "status": "done",
        "wall_seconds": 1.5,
    }


def test_rows_are_read_as_they_were_added(small: Study) -> None:
    first, second = done(small), row_of_failure(small.parts["one"][1], "no images", 2.0)
    with Results(small.results) as results:
        results.add(first)
        assert list(sweep.read(small.results)["key"]) == [first["key"]]
        results.add(second)
    frame = sweep.read(small.results)
    assert list(frame.columns) == list(COLUMNS)
    assert frame.iloc[0].to_dict() == first
    there = frame.iloc[1].dropna().to_dict()
    assert there == second
    pd.testing.assert_frame_equal(frame, pd.read_parquet(small.results))


def test_a_row_takes_the_place_of_an_earlier_one(small: Study) -> None:
    with Results(small.results) as results:
        results.add(row_of_failure(small.parts["one"][0], "at first"))
        results.add(done(small, 1))
    with Results(small.results) as results:
        assert [row["status"] for row in results.rows.values()] == ["failed", "done"]
        results.add(done(small))
    frame = sweep.read(small.results)
    assert list(frame["key"]) == [small.parts["one"][i].key for i in (1, 0)]
    assert list(frame["status"]) == ["done", "done"]
    assert frame["epochs"].dtype == np.int64


def test_one_sweep_at_a_time(small: Study) -> None:
    with Results(small.results):
        with pytest.raises(InUse) as caught:
            Results(small.results)
        assert str(caught.value) == (
            f"another sweep writes the results {str(small.results)!r}. Wait until it is done, or "
            "give another file: --results."
        )
    Results(small.results).close()


def test_results_that_are_no_parquet_file(small: Study) -> None:
    told = "results must end in .parquet, got 'x.csv'. Use for example --results x.parquet."
    assert message_of(lambda: plan(small, results=Path("x.csv"))) == told
    assert message_of(lambda: run(small, results="x.csv", workers=0)) == told


def test_what_cannot_be_written(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    (small.results.parent / "file").touch()
    nowhere = small.results.parent / "file" / "x.parquet"
    with pytest.raises(NotSaved) as caught:
        Results(nowhere)
    assert str(caught.value) == (
        f"the results {str(nowhere)!r} cannot be written ([Errno 17] File exists: "
        f"{str(nowhere.parent)!r}). Give another file: --results."
    )

    if sys.platform == "linux":  # where the lock only times out
        with pytest.raises(NotSaved) as caught:
            Results(Path("/proc/x.parquet"))
        assert str(caught.value) == (
            "the results '/proc/x.parquet' cannot be written. Give another file: --results."
        )

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with Results(small.results) as results:
        results.add(done(small))
        before = small.results.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(files, "write", full)
            with pytest.raises(NotSaved) as caught:
                results.add(done(small, 1))
    assert str(caught.value) == (
        f"the results {str(small.results)!r} cannot be written ([Errno 28] No space left on "
        "device). The rows that are in them are safe. Make room; the same command then continues "
        "from there."
    )
    assert small.results.read_bytes() == before


ADVICE = "Restore it from a copy, or give another file."


def test_a_file_of_something_else(tmp_path: Path, small: Study) -> None:
    file = tmp_path / "x.parquet"
    with pytest.raises(FileNotFoundError) as missing:
        sweep.read(file)
    assert (
        str(missing.value) == f"there are no results {str(file)!r}. Make them with `snnviz sweep`."
    )

    pq.write_table(pa.table({"day": [datetime.date(2020, 1, 1)]}), file)
    for opened in (sweep.read, Results):
        with pytest.raises(ValueError, match=r".") as caught:
            opened(file)
        assert str(caught.value) == (
            f"the file {str(file)!r} holds no results of a sweep: its columns are day. {ADVICE}"
        )
    with Results(small.results) as results:
        results.add(done(small))
    file.write_bytes(small.results.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r".") as caught:
        Results(file)
    assert str(caught.value).startswith(f"the file {str(file)!r} holds no results of a sweep: ")
    assert str(caught.value).endswith(ADVICE)
    assert len(sweep.read(small.results)) == 1
