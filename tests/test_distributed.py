"""One run in two processes that torchrun starts, against the same run in one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from snnviz import distributed
from snnviz.data import ImageData
from snnviz.devices import pick_device
from snnviz.history import History
from snnviz.runs import Trainer, past
from snnviz.runs.config import RunConfig
from tests import together
from tests.reference import tiny_data

ROOT = Path(__file__).parents[1]
# Of the largest number in a tensor: two processes add up the same numbers in another order, and
# float32 keeps seven digits of each sum.
NEAR = 5e-6
PATIENCE = 300  # seconds; only a test that fails waits so long
# It moves all scores of a group alike, which changes no factor: its gradient is rounding alone.
NO_MATTER = "layers.4.bias"


class Ended(NamedTuple):
    code: int
    out: tuple[str, str]  # of each process
    err: tuple[str, str]


class Launch:
    """`torchrun` with two processes, whose outputs go into files of their own."""

    def __init__(self, place: Path, *words: str, cwd: Path = ROOT) -> None:
        self.logs = place / "logs"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", "2", "--log-dir", str(self.logs), "--redirects", "3"]
        self.agent = subprocess.Popen(
            [*command, "-m", *words],
            cwd=cwd,
            env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def text(self, rank: int, name: str) -> str:
        found = list(self.logs.glob(f"*/attempt_0/{rank}/{name}.log"))
        return found[0].read_text(encoding="utf-8") if found else ""

    def wait_for(self, words: str) -> None:
        until = time.monotonic() + PATIENCE
        while words not in self.text(0, "stderr"):
            assert self.agent.poll() is None, self.text(0, "stderr")
            assert time.monotonic() < until, f"no {words!r} in {self.text(0, 'stderr')!r}"
            time.sleep(0.05)

    def ended(self) -> Ended:
        code = self.agent.wait(PATIENCE)
        out, err = ((self.text(0, name), self.text(1, name)) for name in ("stdout", "stderr"))
        return Ended(code, out, err)


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Launch]]:
    """Starts processes, which are gone at the end whatever happens."""
    made: list[Launch] = []

    def launch(place: str, *words: str, **options: Any) -> Launch:
        made.append(Launch(tmp_path_factory.mktemp(place), *words, **options))
        return made[-1]

    yield launch
    for one in made:
        if one.agent.poll() is None:
            one.agent.terminate()  # it ends those that it started
            one.agent.wait()


@pytest.fixture(scope="module")
def place(launched: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have trained all that `together` has."""
    place = tmp_path_factory.mktemp("both")
    launch = launched("all", "tests.together", "all", str(place))
    done = launch.ended()
    assert done.code == 0, done.err
    (place / "said").write_text("".join(done.out) + done.err[1])
    (place / "progress").write_text(done.err[0])
    return place


@pytest.fixture(scope="module")
def both(place: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each of the two processes found."""
    first, second = (torch.load(place / f"process{rank}.pt") for rank in (0, 1))
    return first, second


def assert_near(found: dict[str, Any], wanted: dict[str, Any], path: str = "") -> None:
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        where = f"{path}/{key}"
        if isinstance(value, dict):
            assert_near(found[key], value, where)
        elif key != NO_MATTER:
            apart = (found[key] - value).abs().max() / value.abs().max()
            assert apart <= NEAR, f"{where}: {apart}"


def assert_equal(found: Any, wanted: Any, path: str = "") -> None:
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_equal(found[key], value, f"{path}/{key}")
    elif isinstance(wanted, torch.Tensor):
        assert torch.equal(found, wanted), path
    else:
        assert found == wanted, path


# --- two processes ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", together.SAME)
def test_two_processes_train_as_one(both: Any, name: str) -> None:
    alone = together.SAME[name]()
    alone.run(progress=False)
    wanted = together.outcome(alone)
    assert set(alone.history.steps.phase) == {"task", "switcher"}
    fresh = together.SAME[name]()
    for part in ("network", "switcher"):  # all of it has moved, so that it can be wrong
        for key, value in getattr(fresh, part).named_parameters():
            assert not torch.equal(value, wanted[part][key]), key
    assert_near(both[0][name], wanted)
    assert both[0][f"{name}, alone"] == pytest.approx(tuple(alone.evaluate()), rel=1e-6)


def test_two_processes_turn_the_same_neurons_off(both: Any) -> None:
    alone = together.mlp()
    alone.run(progress=False)
    for group, factors in alone.factors.items():
        off = factors == 0
        assert off.any()
        assert torch.equal(both[0]["mlp"]["factors"][group] == 0, off)


@pytest.mark.parametrize("name", [*together.CASES, "one step"])
def test_both_processes_hold_the_same_to_the_bit(both: Any, name: str) -> None:
    assert_equal(both[1][name], both[0][name])


def test_statistics_of_norms_are_means_over_processes(both: Any) -> None:
    """After one step, so that both have seen what one process sees: half of the batch each."""
    made = together.batch_norm()
    size, made_of = made.schedule.batch_size, made.network
    index, generator = made.batches.task_order.next()
    images, _ = made.data.batch("train", index, generator)
    with torch.no_grad():
        channels = made_of.get_submodule("0")(images).movedim(1, 0).split(size // 2, 1)
    means = torch.stack([half.flatten(1).mean(1) for half in channels]).mean(0)
    variances = torch.stack([half.flatten(1).var(1) for half in channels]).mean(0)
    found = both[0]["one step"]["network"]
    torch.testing.assert_close(found["1.running_mean"], 0.1 * means)
    torch.testing.assert_close(found["1.running_var"], 0.9 + 0.1 * variances)


def test_dropout_draws_for_each_process(both: Any) -> None:
    assert torch.equal(both[0]["draws"], together.draws())
    assert not torch.equal(both[0]["draws"], both[1]["draws"])


def test_only_the_first_process_speaks(place: Path, both: Any) -> None:
    assert (place / "said").read_text() == ""
    assert (place / "progress").read_text().count(" 0/") == len(together.CASES)


def test_only_the_first_process_keeps_the_run(place: Path, both: Any) -> None:
    first, second = (found["folder"] for found in both)
    assert (first["kept in"], second["kept in"]) == (str(place / "run"), "None")
    for name in ("run", "fork", "elsewhere"):
        assert RunConfig.read(place / name).made_with["process"] == first["process"]
    said = (place / "run" / "events.jsonl").read_text()
    events = [said.count(f'"event": "{event}"') for event in ("created", "saved", "resumed")]
    assert events == [1, 1, 1], said


def test_a_run_is_taken_up_where_it_was_left(both: Any) -> None:
    for found in both:
        for name in ("resumed", "forked"):
            assert_equal(found["folder"][name], found["lenet5"])


def test_one_process_goes_on_with_the_run_of_two(place: Path, both: Any, tmp_path: Path) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    assert History.load(tmp_path / "run").n_epochs == 4
    taken_up = Trainer.resume(tmp_path / "run", epoch=2, data=together.lenet5().data)
    taken_up.run(progress=False)
    assert_near(together.outcome(taken_up), both[0]["lenet5"])


REFUSALS = {
    "stopped": "TrainingStopped: The loss became nan at step {} (task phase, epoch 1). Try a lower "
    "schedule.task_lr (now 1e+12) or schedule.switcher_lr (now 0.05), or a lower gain of the "
    "switcher. trainer.rollback() returns to the start. after {} steps",
    "unlike": "ValueError: network and schedule must be the same in all processes, got different "
    "values. Give each process the whole data and the same seeds, and call torch.manual_seed(…) "
    "before making a network. The trainer itself gives each process its share of a batch.",
    "unused": "ValueError: network must use all parameters in each step when several processes "
    "train it, got unused ones (relu1.spare). Freeze them first: parameter.requires_grad_(False).",
    "too_few": "ValueError: schedule.batch_size must be at least 2, the number of processes that "
    "share a batch, got batches of 1. Use larger batches, or start fewer processes.",
    "a_rival": "ValueError: this method trains in one process, and torchrun started several. "
    "Start it without torchrun.",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_all_processes_refuse_the_same_in_the_same_words(both: Any, name: str) -> None:
    said = both[0][name]
    numbers = [word for word in said.replace(",", "").split() if word.isdigit()]
    wanted = REFUSALS[name]
    if name == "stopped":
        assert said == together.stopped()
        wanted = wanted.format(numbers[0], numbers[-1])
    assert said == wanted
    assert both[1][name] == said


def test_an_error_in_one_process_ends_all(launched: Any, tmp_path: Path) -> None:
    done = launched("fail", "tests.together", "fail", str(tmp_path)).ended()
    assert done.code == 1
    assert "RuntimeError: this process fails" in done.err[1]


# --- the command line -------------------------------------------------------------------------


def test_the_command_line_trains_in_two_processes(launched: Any, tmp_path: Path) -> None:
    """Until the signal with which clusters end a job. Both stop after the same step."""
    rng = np.random.default_rng(0)
    for split, kind, i in ((s, k, i) for s in ("train", "test") for k in "ab" for i in range(20)):
        (tmp_path / "img" / split / kind).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 80, (6, 6), dtype=np.uint8) + 100 * (kind == "a")
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "img" / split / kind / f"{i}.png")
    options = "--network mlp --data folder:img --device cpu --precision float32 --name both"
    options += " --schedule.epochs 100000 --schedule.batch-size 9"
    launch = launched("cli", "snnviz", "train", *options.split(), cwd=tmp_path)
    launch.wait_for("epoch 3/100000: test accuracy")
    launch.agent.send_signal(signal.SIGTERM)
    done = launch.ended()
    run = tmp_path / "runs" / "both"
    last = past.pointer_of(run)
    assert last.steps % 16 == 0
    assert last.epochs >= 3
    assert done.out[0].splitlines()[0] == (
        f"runs/both: interrupted after {last.epochs} of 100000 epochs"
    )
    how = done.out[0].splitlines()[2]
    assert how.startswith("To go on: snnviz resume runs/both --data folder:")
    assert "Finishing the step and saving" in done.err[0]
    assert (done.out[1], done.err[1]) == ("", "")
    images = ImageData.from_folder(tmp_path / "img", device="cpu")
    with Trainer.resume(run, data=images) as taken_up:
        assert taken_up.position.step == last.steps
        taken_up.run(1, progress=False)


# --- within a process -------------------------------------------------------------------------


@pytest.fixture
def one_of_three(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes this process look like one that torchrun started."""

    def become(rank: int) -> None:
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 3, "LOCAL_WORLD_SIZE": 3}
        for name, value in (names | {"TORCHELASTIC_RUN_ID": "here"}).items():
            monkeypatch.setenv(name, str(value))

    return become


@pytest.mark.parametrize("n", [3, 8, 16, 30])
def test_shares_make_up_the_batch(one_of_three: Any, n: int) -> None:
    values = torch.rand(n, dtype=torch.float64)
    assert distributed.share(n) == (slice(0, n), 1.0)
    rows, means = [], []
    for rank in range(3):
        one_of_three(rank)
        part, weight = distributed.share(n)
        rows += range(n)[part]
        means.append(values[part].mean() * weight)
    assert rows == list(range(n))
    torch.testing.assert_close(torch.stack(means).mean(), values.mean())


def test_a_part_of_a_batch_is_augmented_as_in_the_whole() -> None:
    data, index = tiny_data(augment="shift+flip"), torch.arange(40).flip(0)

    def batch(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        return data.batch("train", index, torch.Generator().manual_seed(1), part)

    whole = batch(slice(None))
    for part in (slice(0, 13), slice(13, 40)):
        for some, all_ in zip(batch(part), whole, strict=True):
            assert torch.equal(some, all_[part])


def test_each_process_has_a_gpu_of_its_own(
    one_of_three: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed.own_gpu() == "cuda"
    one_of_three(1)
    assert (distributed.own_gpu(), chosen) == ("cuda:1", [1])
    one_of_three(2)
    with pytest.raises(ValueError, match="torchrun must start") as caught:
        pick_device("cuda")
    assert str(caught.value) == (
        "torchrun must start at most one process per GPU, got 3 processes for 2 GPUs. Use "
        '--nproc-per-node 2, or train on the CPU with device="cpu".'
    )


def test_synced_norms_share_all_tensors_and_leave_the_network_as_it_was() -> None:
    made = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(108, 2))
    images = torch.rand(5, 1, 8, 8)
    twin = distributed.with_synced_norms(made)
    assert isinstance(twin.get_submodule("1"), nn.SyncBatchNorm)
    assert type(made[1]) is nn.BatchNorm2d
    mine, its = made.state_dict(keep_vars=True), twin.state_dict(keep_vars=True)
    assert list(mine) == list(its)
    assert all(its[name] is tensor for name, tensor in mine.items())
    made(images)  # its statistics move, and so do the twin's
    assert torch.equal(made.eval()(images), twin.eval()(images))
