"""Sweeps: the same rows however they are made, failures, kills, and what is said of it all."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil
import pytest
import ray
import ray.exceptions

from snnviz import cli, sweep
from snnviz.sweep import Study
from snnviz.sweep.cell import Cell, Row, row_of_failure
from snnviz.sweep.estimates import amount
from snnviz.sweep.on_ray import _row, _start, cores
from snnviz.sweep.results import COLUMNS, Results
from tests.sweep.conftest import SMALL, Write
from tests.sweep.killing import check_gone, command_line, family, killed, started, wait_for_rows

TIMES = ["seconds", "wall_seconds", "ended"]
FEWER = (("classes = [3, 0]", "classes = [3]"), ("seed = [0, 1]", "seed = [0]"))


def done_after(cell: Cell, hours: float) -> Row:
    """The row of a run that is said to have taken so long."""
    row: Row = dict.fromkeys(COLUMNS)
    row |= row_of_failure(cell, "", 3600 * hours)
    return row | {"status": "done"}


def write_one_without_end(write: Write, *changes: tuple[str, str]) -> Path:
    """A study of two runs, of which one ends soon and the other not while a test waits."""
    long = '[method.long]\nkind = "dense"\nschedule = { epochs = 100_000 }\n[method.strong]'
    methods = ('["dense", "magnitude", "strong"]', '["dense", "long"]')
    return write(SMALL, *FEWER, methods, ("[method.strong]", long), *changes)


def one_at_work(process: subprocess.Popen[bytes]) -> psutil.Process:
    """The only process of Ray that makes a run; a busy machine takes a while to start it."""
    found: list[psutil.Process] = []
    until = time.monotonic() + 60
    while not found and time.monotonic() < until:
        found = [c for c in family(process) if command_line(c)[:1] == ["ray::_work"]]
        time.sleep(0.1)
    (worker,) = found
    return worker


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=TIMES).sort_values("key", ignore_index=True)


def test_workers_give_what_a_sequence_gives(small: Study, tmp_path: Path) -> None:
    """And nothing of Ray is left in this process."""
    first = sweep.run(small, workers=0, progress=False)
    assert first == (16, 0, 16, 0, small.results)
    expected = sweep.read(small.results)
    assert expected["error"].eq("").all(), expected["error"].to_list()
    assert expected["key"].to_list() == list(small.cells())
    assert expected["test_accuracy"].between(0.2, 1).all()

    elsewhere = tmp_path / "ray.parquet"
    again = sweep.run(small, workers=2, results=elsewhere, progress=False)
    assert again == (16, 0, 16, 0, elsewhere)
    pd.testing.assert_frame_equal(in_order(sweep.read(elsewhere)), in_order(expected))
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_is_done_is_not_made_again(write: Write, small: Study) -> None:
    sweep.run(small, workers=0, progress=False)
    before = small.results.read_bytes()
    assert sweep.run(small, workers=0, progress=False) == (16, 16, 0, 0, small.results)
    assert small.results.read_bytes() == before
    more = Study.read(write(SMALL, ("seed = [0, 1]", "seed = [0, 1, 2]"), name="renamed.toml"))
    assert sweep.run(more, workers=0, progress=False) == (24, 16, 8, 0, small.results)
    rows = sweep.read(small.results)
    pd.testing.assert_frame_equal(rows[:16], pd.read_parquet(io.BytesIO(before)))
    assert set(rows["seed"][16:]) == {2}


def test_one_part_and_what_it_needs(write: Write) -> None:
    part = SMALL[SMALL.index("[[part]]") : SMALL.index("[method")]
    other = part.replace('"one"', '"two"').replace('["dense", "magnitude", "strong"]', '["random"]')
    study = Study.read(write(SMALL + other))
    assert sweep.run(study, "two", workers=0, progress=False).runs == 8
    assert set(sweep.read(study.results)["method"]) == {"switched", "random"}


# --- failures ------------------------------------------------------------------------------------

BROKEN = (
    *FEWER,
    ("[method.strong]", "[method.switched]\nschedule = { task_lr = 1e30 }\n[method.strong]"),
)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_fails_is_a_row_and_tried_again(write: Write, workers: int) -> None:
    study = Study.read(write(SMALL, *BROKEN))
    assert sweep.run(study, workers=workers, progress=False) == (4, 0, 2, 2, study.results)
    before = sweep.read(study.results).set_index("method")
    assert before["status"].to_dict() == {
        "dense": "done",
        "strong": "done",
        "switched": "failed",
        "magnitude": "failed",
    }
    why = before["error"]["switched"]
    assert why.startswith("The loss became nan at step "), why
    assert why.endswith("or a lower gain of the switcher."), why
    assert before["error"]["magnitude"] == (
        f"this run needs the one of method 'switched', which failed: {why}"
    )
    assert before["test_accuracy"].isna().to_list() == before["status"].eq("failed").to_list()

    assert sweep.run(study, workers=0, progress=False) == (4, 2, 0, 2, study.results)
    after = sweep.read(study.results).set_index("method")
    assert len(after) == 4
    for method in ("dense", "strong"):
        assert after.loc[method].equals(before.loc[method])


def test_a_worker_that_is_killed_is_a_row_too(write: Write) -> None:
    file = write_one_without_end(write)
    study = Study.read(file)
    with started(file) as process:
        assert wait_for_rows(process, study.results, 1)
        worker = one_at_work(process)
        children = family(process)
        worker.kill()
        assert process.wait(timeout=300) == 1
    found = sweep.read(study.results).set_index("method")
    assert found["status"].to_dict() == {"dense": "done", "long": "failed"}
    assert found["error"]["long"] == (
        "its process died. If memory had run out, make fewer at a time: --workers."
    )
    check_gone(children)


@pytest.mark.parametrize("slow", [0, 5, 6])
def test_where_ray_is_slow_to_start_it_is_started_again(slow: int) -> None:
    left = [Exception("The current node timed out during startup. This could …")] * slow
    ended = []

    class Node:
        def __init__(self) -> None:
            if left:
                raise left.pop()

        def kill_all_processes(self, check_alive: bool, wait: bool) -> None:
            assert (check_alive, wait) == (False, True)
            ended.append(self)

    def init(**options: object) -> None:
        assert options == {"num_cpus": 2}
        Node()

    ray = SimpleNamespace(init=init, shutdown=lambda: None)
    if slow < 6:
        _start(ray, {"num_cpus": 2})
    else:
        with pytest.raises(ConnectionError, match=r"^Ray did not start in 6 attempts .* workers=0"):
            _start(ray, {"num_cpus": 2})
    assert not left
    assert len(set(ended)) == slow


def test_another_error_of_rays_start_is_passed_on() -> None:
    def init() -> None:
        raise ValueError("no such option")

    with pytest.raises(ValueError, match="no such option"):
        _start(SimpleNamespace(init=init), {})


def test_if_ray_ends_no_run_has_failed(write: Write) -> None:
    cell = next(iter(Study.read(write(SMALL, *FEWER)).cells().values()))

    def get(ended: object) -> Row:
        assert ended == "a run"
        raise ray.exceptions.LocalRayletDiedError

    ended = SimpleNamespace(get=get, exceptions=ray.exceptions)
    with pytest.raises(ConnectionError, match=r"^Ray has ended, .*: the same command continues"):
        _row(ended, "a run", cell)


def test_a_sweep_that_is_killed_repeats_and_loses_nothing(write: Write) -> None:
    """Killed once; benchmarks/sweep.py does it 20 times."""
    (kill,) = killed(write(SMALL, ("epochs = 2", "epochs = 6")), kills=1, seed=0, agents=False)
    assert kill["processes"]


def test_ctrl_c_ends_the_runs_and_says_how_to_go_on(write: Write) -> None:
    file = write_one_without_end(write, ('"small.parquet"', '"c.parquet"'))
    with started(file) as process:
        assert wait_for_rows(process, file.with_name("c.parquet"), 1)
        children = family(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
    check_gone(children)
    said = file.with_suffix(".log").read_text().splitlines()[-1]
    assert said == "Interrupted: 1 of 2 runs are done. The same command continues."
    assert sweep.read(file.with_name("c.parquet"))["method"].to_list() == ["dense"]


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["sweep", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return command


def test_the_command_says_what_it_did(write: Write, command: Any) -> None:
    file = write(SMALL, *BROKEN)
    results = file.with_name("small.parquet")
    code, out, err = command(file, "--workers", "0")
    assert (code, out) == (
        1,
        f"{results}: 2 of 4 runs are done, 2 of them now.\n"
        "2 failed: column `error` says why. The same command tries them again.\n",
    )
    lines = err.splitlines()
    assert len(lines) == 4
    rows = sweep.read(results).set_index("method")
    accuracy = rows["test_accuracy"]["dense"]
    assert lines[0] == (
        "1/4 mlp, width 0.05, fashion-mnist, 3 classes, share 0.005, dense, seed 0: "
        f"test accuracy {accuracy:.2%}"
    )
    assert lines[1] == (
        "2/4 mlp, width 0.05, fashion-mnist, 3 classes, share 0.005, switched, seed 0: "
        f"failed: {rows['error']['switched']}"
    )
    other = file.with_name("other.parquet")
    changed = write(SMALL, *FEWER, name="good.toml")
    code, out, _ = command(changed, "--workers", "0", "--results", other, "--json")
    assert code == 0
    assert json.loads(out) == {
        "study": "small",
        "runs": 4,
        "before": 0,
        "done": 4,
        "failed": 0,
        "results": str(other),
    }
    assert len(sweep.read(results)) == 4


def test_a_dry_run_counts_and_makes_nothing(write: Write, command: Any) -> None:
    part = SMALL[SMALL.index("[[part]]") : SMALL.index("[method")]
    lenet = part.replace('"one"', '"conv"').replace('"mlp"', '"mlp", "lenet5"')
    file = write(SMALL + lenet)
    results = file.with_name("small.parquet")
    code, out, err = command(file, "--dry-run", "--workers", "2")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"small: 2 at a time, into {results}",
        "part  runs  done  failed  left    hours",
        "one     16     0       0    16  unknown",
        "conv    32     0       0    32  unknown",
        "all     32     0       0    32  unknown",
        "For 32 of them there is no earlier run on such a device: they are not counted in the "
        "hours.",
    ]
    assert not results.exists()

    study = Study.read(file)
    cells = list(study.cells("one").values())
    with Results(results) as kept:
        for cell, hours in ((cells[0], 1.0), (cells[1], 3.0)):
            assert cell.method == "dense"
            kept.add(done_after(cell, hours))
        kept.add(row_of_failure(cells[2], "no luck"))
    # Runs of 3 classes took 1 and 3 hours; whatever else is left, by images and operations.
    left = {k: c for k, c in study.cells().items() if k not in {cells[0].key, cells[1].key}}
    by_amount = {k: 2 * amount(c.resolved) / amount(cells[0].resolved) for k, c in left.items()}
    both = sum(by_amount.values()) / 2
    one = sum(v for k, v in by_amount.items() if k in study.cells("one")) / 2
    code, out, _ = command(file, "--dry-run", "--workers", "2", "--json")
    document = json.loads(out)
    assert (document["study"], document["workers"]) == ("small", 2)
    assert document["parts"] == [
        {"part": "one", "runs": 16, "done": 2, "failed": 1, "left": 14,
         "hours": pytest.approx(one), "rough": 12, "unknown": 0},
        {"part": "conv", "runs": 32, "done": 2, "failed": 1, "left": 30,
         "hours": pytest.approx(both), "rough": 28, "unknown": 0},
        {"part": "all", "runs": 32, "done": 2, "failed": 1, "left": 30,
         "hours": pytest.approx(both), "rough": 28, "unknown": 0},
    ]  # fmt: skip
    code, out, _ = command(file, "--dry-run", "--part", "one")
    hours = f"about {2 * one / cores():.2f}"
    assert out.splitlines()[1:] == [
        f"part  runs  done  failed  left  {'hours':>{len(hours)}}",
        f"one     16     2       1    14  {hours}",
        "For 12 of them there is no earlier run of the same network and method. Their hours are "
        "estimated from other runs, and rough.",
    ]


def test_a_new_study_takes_its_time_from_results_beside_it(write: Write, command: Any) -> None:
    file = write(SMALL, *FEWER)
    study = Study.read(file)
    dense, *_ = study.cells().values()
    with Results(file.with_name("another.parquet")) as kept:
        kept.add(done_after(dense, 0.5))
    file.with_name("no results.parquet").write_bytes(b"PAR1, it says")
    code, out, err = command(file, "--dry-run", "--workers", "1")
    assert (code, err) == (0, "")
    # dense has not run in this study; it serves to estimate two methods of its network.
    hours = f"about {0.5 * len(study.cells()):.2f}"
    assert out.splitlines()[1:3] == [
        f"part  runs  done  failed  left  {'hours':>{len(hours)}}",
        f"one      4     0       0     4  {hours}",
    ]
    code, out, _ = command(file, "--dry-run", "--workers", "1", "--json")
    (part,) = json.loads(out)["parts"]
    assert (part["rough"], part["unknown"]) == (3, 0)


def test_a_device_without_runs_is_unknown(write: Write, command: Any) -> None:
    part = SMALL[SMALL.index("[[part]]") : SMALL.index("[method")]
    gpu = part.replace('"one"', '"gpu"').replace('"cpu"', '"cuda"')
    file = write(SMALL + gpu)
    with Results(file.with_name("small.parquet")) as kept:
        kept.add(done_after(next(iter(Study.read(file).cells("one").values())), 1.0))
    code, out, _ = command(file, "--dry-run", "--workers", "1")
    lines = out.splitlines()
    assert (code, lines[3].split()[-1], lines[4].split()[-4:-1]) == (
        0,
        "unknown",
        ["at", "least", "about"],
    )
    assert lines[-1] == (
        "For 16 of them there is no earlier run on such a device: they are not counted in the "
        "hours."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--workers -1", "workers must be a whole number of at least 0, got -1. Use for "
         "example workers=1."),
        ("--workers 0 --address x", "workers must be at least 1 with an address or gpus_per_run, "
         "got 0."),
        ("--gpus-per-run 2", "gpus_per_run must be a number from 0 to 1, got 2.0."),
        ("--gpus-per-run 0", "gpus_per_run must be above 0, got 0. To use no GPU: "
         "run.device = 'cpu'."),
        ("--part two", "part must be one of 'one', got 'two'."),
        ("--dry-run --part two", "part must be one of 'one', got 'two'."),
    ],
)  # fmt: skip
def test_options_that_are_wrong(write: Write, command: Any, words: str, message: str) -> None:
    assert command(write(), *words.split()) == (1, "", f"snnviz: {message}\n")


def test_without_ray(write: Write, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert command(write(SMALL, *FEWER)) == (
        1,
        "",
        "snnviz: sweeps run on Ray, which is not installed. Install it: pip install "
        "'snnviz[sweep]'; or make the runs one after the other in this process: workers=0.\n",
    )
    assert command(write(SMALL, *FEWER), "--workers", "0")[0] == 0
