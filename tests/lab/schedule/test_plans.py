"""Schedules in files: what is written is read, and what is not a schedule is refused in words."""

import json
import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnviz.lab.schedule import plans
from snnviz.structure.sizes import SIZES
from snnviz.training import Schedule
from snnviz.training.schedule import DECAYS, OPTIMIZERS, SWITCHER_DATA

counts = st.integers(1, 10**6)
rates = st.floats(0, 1e6)
schedules = st.builds(
    Schedule,
    epochs=counts,
    batch_size=counts,
    task_steps=counts,
    switcher_steps=counts,
    warmup_epochs=counts,
    freeze_epochs=counts,
    task_optimizer=st.sampled_from(OPTIMIZERS),
    task_lr=rates,
    task_decay=st.sampled_from(DECAYS),
    task_momentum=st.floats(0, 0.99),
    task_weight_decay=rates,
    switcher_optimizer=st.sampled_from(OPTIMIZERS),
    switcher_lr=rates,
    switcher_decay=st.sampled_from(DECAYS),
    switcher_momentum=st.floats(0, 0.99),
    switcher_clip=rates,
    switcher_data=st.sampled_from(SWITCHER_DATA),
    through_switcher=st.booleans(),
    size_of=st.sampled_from(SIZES),
    size_from=st.floats(0, 0.5),
    size_until=st.floats(0.5, 1),
)


@given(schedules)
def test_what_is_written_is_read(schedule: Schedule) -> None:
    assert plans.decode(plans.encode(schedule), "x.json") == schedule
    sized = Schedule(size=0.3, size_of=schedule.size_of, size_from=schedule.size_from)
    assert plans.decode(plans.encode(sized), "x.json") == sized


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    file = plans.file_for(tmp_path / "schedules", "freeze early")
    assert file == tmp_path / "schedules" / "freeze early.json"
    plans.save(Schedule(epochs=3), file)
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content == {"format": 1, "schedule": asdict(Schedule(epochs=3))}
    assert list(content["schedule"]) == [field.name for field in fields(Schedule)]
    assert plans.load(file) == Schedule(epochs=3)
    plans.save(Schedule(epochs=4), file)
    assert plans.load(file) == Schedule(epochs=4)
    assert [path.name for path in file.parent.iterdir()] == ["freeze early.json"]


def test_missing_fields_have_their_defaults_and_other_parts_are_passed_over() -> None:
    data = b'{"format": 1, "seed": 3, "schedule": {"epochs": 5}}'
    assert plans.decode(data, "config.json") == Schedule(epochs=5)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is not a JSON file: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "it is not a JSON file: 'utf-8' codec can't decode byte 0xff in position 0: "),
        (b"[1]", "it is not a JSON file: it holds a list, not an object"),
        (b"{}", 'it has no object "schedule"'),
        (b'{"schedule": 3}', 'it has no object "schedule"'),
        (b'{"schedule": {"epochs": 0}}', "schedule.epochs must be at least 1, got 0. Correct"),
        (b'{"schedule": {"epochs": true}}', "schedule.epochs must be a whole number, got True"),
        (b'{"schedule": {"task_lr": NaN}}', "it is not a JSON file: NaN is not JSON"),
        (b'{"schedule": {"speed": 1}}', "schedule has no field 'speed'; it has epochs, "),
        (b"[" * 100_000, "it is not a JSON file: maximum recursion depth exceeded"),
        (b" " * (2**20 + 1), "it has 1048577 bytes, where at most 1048576 are expected"),
    ],
)
def test_what_is_no_schedule_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=r"^the file 'x\.json' cannot be used: ") as caught:
        plans.decode(data, "x.json")
    assert why in str(caught.value)
    assert str(caught.value).endswith(". Correct it, or choose another file.")


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the file 'x\.json' has format 2, and this version of "):
        plans.decode(b'{"format": 2, "schedule": {}}', "x.json")


def test_files_that_are_not_there_or_too_long(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    with pytest.raises(FileNotFoundError) as caught:
        plans.load(file)
    assert str(caught.value) == f"there is no file {str(file)!r}."
    file.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(ValueError, match="it has 1048577 bytes, where at most 1048576"):
        plans.load(file)


@pytest.mark.parametrize("name", ["a", "freeze early", "Größe 2", "v1.0_b-c+d", "x" * 80])
def test_plain_names(name: str) -> None:
    assert plans.file_for("schedules", name) == Path("schedules") / f"{name}.json"


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a.", ".a", "../a", "a/b", "a\\b", "a\0", "a\n", "x" * 81, "c:d", "-a"]
)
def test_other_names_are_refused(name: str) -> None:
    words = (
        "name must be 1 to 80 letters, digits, spaces or any of _ . + -, starting with a "
        f"letter or digit and not ending with a dot, got {name!r}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        plans.file_for("schedules", name)


def test_names_in_a_folder(tmp_path: Path) -> None:
    assert plans.list_names(tmp_path / "nowhere") == []
    for name in ("b.json", "a b.json", ".c.json", "d.txt", "-e.json"):
        (tmp_path / name).write_text("{}")
    assert plans.list_names(tmp_path) == ["a b", "b"]
