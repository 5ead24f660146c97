"""A study's file: what its runs are, and what is said of one that is wrong."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from snnviz import rivals
from snnviz.data import NAMES
from snnviz.networks import NETWORKS
from snnviz.sweep import Study
from snnviz.sweep.cell import Conditions
from snnviz.switcher import DESCRIPTORS, SwitcherConfig
from snnviz.training import Schedule
from tests.sweep.conftest import SMALL, Write

MINIMAL = """
name = "least"
[[part]]
name = "only"
grid = { network = ["mlp"], method = ["dense"], seed = [3] }
"""


def test_what_is_left_out_has_its_default(write: Write, tmp_path: Path) -> None:
    study = Study.read(write(MINIMAL))
    assert (study.name, study.results) == ("least", tmp_path / "study.parquet")
    (cell,) = study.parts["only"]
    assert (cell.network, cell.width, cell.data) == ("mlp", 1.0, "fashion-mnist")
    assert (cell.classes, cell.noise, cell.share, cell.seed) == (0, 0.0, 1.0, 3)
    assert (cell.method, cell.kind, cell.settings, cell.reference) == ("dense", "dense", {}, None)
    assert (cell.schedule, cell.switcher) == (Schedule(), SwitcherConfig())
    assert cell.conditions == Conditions()


def test_a_run_for_each_combination_and_the_references_before(small: Study) -> None:
    cells = small.parts["one"]
    expected = []
    for classes, method, seed in itertools.product(
        (3, 0), ("dense", "magnitude", "strong"), (0, 1)
    ):
        if method == "magnitude":
            expected.append((classes, "switched", seed))
        expected.append((classes, method, seed))
    assert [(cell.classes, cell.method, cell.seed) for cell in cells] == expected
    by_key = {cell.key: cell for cell in cells}
    assert len(by_key) == len(cells) == 16
    for cell in cells:
        if cell.method == "magnitude":
            assert cell.reference is not None
            reference = by_key[cell.reference.key]
            assert (reference.method, reference.kind) == ("switched", "switched")
            assert (reference.classes, reference.seed) == (cell.classes, cell.seed)
            assert cell.resolved["reference"] == reference.key
        else:
            assert cell.reference is None
    assert small.cells() == small.cells("one") == by_key


def test_a_method_comes_before_a_network_before_the_part(write: Write) -> None:
    text = """
    name = "layers"
    [[part]]
    name = "a"
    grid = { network = ["mlp", "lenet5"], method = ["dense", "mine"], seed = [0] }
    schedule = { epochs = 5, batch_size = 32, task_lr = 0.1 }
    schedule_of.lenet5 = { epochs = 6, batch_size = 64 }
    switcher = { gain_rule = "fixed", gain = 0.5 }
    [method.mine]
    kind = "switched"
    schedule = { epochs = 7 }
    switcher = { gain = 0.25 }
    """
    found = {(c.network, c.method): c for c in Study.read(write(text)).parts["a"]}
    epochs = {names: cell.schedule.epochs for names, cell in found.items()}
    assert epochs == {
        ("mlp", "dense"): 5,
        ("mlp", "mine"): 7,
        ("lenet5", "dense"): 6,
        ("lenet5", "mine"): 7,
    }
    mine = found["lenet5", "mine"]
    assert mine.schedule == Schedule(epochs=7, batch_size=64, task_lr=0.1)
    assert mine.switcher == SwitcherConfig(gain_rule="fixed", gain=0.25)
    assert found["lenet5", "dense"].switcher == SwitcherConfig(gain_rule="fixed", gain=0.5)


def test_the_settings_are_all_there(small: Study) -> None:
    cell = next(cell for cell in small.parts["one"] if cell.method == "strong")
    plan = dataclasses.asdict(Schedule(epochs=2, batch_size=25, warmup_epochs=0, switcher_lr=1e-2))
    assert cell.resolved == {
        "network": "mlp",
        "width": 0.05,
        "data": "fashion-mnist",
        "classes": 3,
        "noise": 0,
        "share": 0.005,
        "method": "strong",
        "kind": "switched",
        "seed": 0,
        "schedule": {k: v for k, v in plan.items() if not k.startswith("size")},
        "switcher": dataclasses.asdict(SwitcherConfig(gain=0.5))
        | {"descriptors": list(SwitcherConfig().descriptors)},
        "run": {
            "device": "cpu",
            "precision": "float32",
            "holdout": 500,
            "choose": True,
            "augment": "none",
        },
        "settings": {},
        "reference": None,
    }
    assert json.loads(json.dumps(cell.resolved)) == cell.resolved
    # A run without a size keeps the key that it had before there were sizes.
    sized = dataclasses.replace(cell, schedule=cell.schedule.replace(size=0.5))
    assert sized.resolved["schedule"] == dataclasses.asdict(sized.schedule)
    assert sized.key != cell.key


ONE_RUN = (("classes = [3, 0]", "classes = [3]"), ("seed = [0, 1]", "seed = [0]"))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ([('name = "small"', 'name = "other"')], True),
        ([('"small.parquet"', '"other.parquet"')], True),
        ([('name = "one"', 'name = "two"')], True),
        ([("share = [0.005]", "share = [0.005]\nnoise = [0]\ndata = ['fashion-mnist']")], True),
        ([("batch_size = 25", "batch_size = 25\ntask_lr = 0.05\ntask_steps = 4")], True),
        ([("holdout = 500\n", "holdout = 501\n")], False),
        ([("share = [0.005]", "share = [0.006]")], False),
        ([("share = [0.005]", "share = [0.005]\nnoise = [0.1]")], False),
        ([("width = [0.05]", "width = [0.1]")], False),
        ([("seed = [0]", "seed = [2]")], False),
        ([("epochs = 2", "epochs = 3")], False),
        ([('"float32"', '"auto"')], False),
        ([("choose = true", "choose = false")], False),
        ([("choose = true", "choose = true\naugment = 'flip'")], False),
    ],
)
def test_other_settings_are_another_run(
    write: Write, changes: list[tuple[str, str]], same: bool
) -> None:
    keys = Study.read(write(SMALL, *ONE_RUN)).cells().keys()
    others = Study.read(write(SMALL, *ONE_RUN, *changes, name="moved.toml")).cells().keys()
    assert len(keys) == len(others) == 4
    assert (keys == others) if same else not keys & others


def test_a_setting_of_one_method_is_another_run_of_that_one_and_what_needs_it(
    write: Write,
) -> None:
    def keys(*changes: tuple[str, str]) -> dict[str, str]:
        return {
            c.method: k for k, c in Study.read(write(SMALL, *ONE_RUN, *changes)).cells().items()
        }

    before = keys()
    after = keys(("gain = 0.5", "gain = 0.6"))
    assert {name for name in before if before[name] != after[name]} == {"strong"}
    after = keys(("[method.strong]", "[method.switched]\nswitcher = { gain = 2 }\n[method.strong]"))
    assert {name for name in before if before[name] != after[name]} == {"switched", "magnitude"}


def test_parts_share_runs(write: Write) -> None:
    part = SMALL[SMALL.index("[[part]]") : SMALL.index("[method")]
    again = part.replace('"one"', '"two"').replace("classes = [3, 0]", "classes = [0, 5]")
    study = Study.read(write(SMALL + again))
    assert (len(study.cells("one")), len(study.cells("two")), len(study.cells())) == (16, 16, 24)
    with pytest.raises(ValueError, match=r".") as caught:
        study.cells("three")
    assert str(caught.value) == "part must be one of 'one', 'two', got 'three'."


def test_a_size_of_its_own_needs_no_reference(write: Write) -> None:
    text = SMALL + "[method.magnitude]\nsettings = { size = 0.5 }\n"
    cells = Study.read(write(text)).parts["one"]
    assert {cell.method for cell in cells} == {"dense", "magnitude", "strong"}
    assert all(cell.reference is None for cell in cells)


# --- files that are wrong ------------------------------------------------------------------------


def names(allowed: object) -> str:
    return ", ".join(map(repr, allowed))  # type: ignore[call-overload]


GRID = 'grid = { network = ["mlp"], method = ["dense"], seed = [3] }'
SCHEDULE = ", ".join(field.name for field in dataclasses.fields(Schedule))
SWITCHER = ", ".join(field.name for field in dataclasses.fields(SwitcherConfig))


def grid(**axes: str) -> tuple[str, str]:
    every = {"network": '["mlp"]', "method": '["dense"]', "seed": "[3]"} | axes
    return GRID, f"grid = {{ {', '.join(f'{k} = {v}' for k, v in every.items() if v)} }}"


def more(text: str) -> tuple[str, str]:
    return GRID, f"{GRID}\n{text}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"least"', '""'), "name must be text, got ''."),
        (('name = "least"', ""), "name must be text, got none."),
        (('name = "least"', 'nam = "least"'), "the file has no field 'nam'; there are name, "
         "results, part, method."),
        (('name = "least"', 'name = "x"\nresults = "../up.parquet"'), "results must be the name of "
         "a .parquet file, which is saved beside the study, got '../up.parquet'."),
        (('name = "least"', 'name = "x"\nresults = "/tmp/up.parquet"'), "results must be the name "
         "of a .parquet file, which is saved beside the study, got '/tmp/up.parquet'."),
        (('name = "least"', 'name = "x"\nresults = "up.csv"'), "results must be the name of "
         "a .parquet file, which is saved beside the study, got 'up.csv'."),
        (("[[part]]", "[part]"), "part must be at least one table, got a table. Write [[part]] "
         "above it."),
        (("[[part]]", "[[method.part]]"), "method 'part' must be a table, got [{'name': 'only', "
         "'grid': {'network': ['mlp'], 'method': ['dense'], 'seed': [3]}}]."),
        (('name = "only"', ""), "part 1: name must be text, got none."),
        (more('[[part]]\nname = "only"'), "part 2: name must be of one part only, got 'only' "
         "again."),
        (more("gird = {}"), "part 1 has no field 'gird'; there are name, grid, schedule, "
         "schedule_of, switcher, run."),
        ((GRID, "grid = 3"), "part 'only': grid must be a table, got 3."),
        (grid(depth="[3]"), "part 'only': grid has no field 'depth'; there are network, width, "
         "data, classes, noise, share, method, seed."),
        (grid(method=""), "part 'only': grid.method is missing. Give it a list of at least one."),
        (grid(seed="3"), "part 'only': grid.seed must be a list of at least one, got 3."),
        (grid(seed="[]"), "part 'only': grid.seed must be a list of at least one, got []."),
        (grid(seed="[1, 2, 1]"), "part 'only': grid.seed must name each once, got 1 twice."),
        (grid(seed="[-1]"), "part 'only': grid.seed must be a whole number from 0 to 2^32 - 1, "
         "got -1."),
        (grid(seed="[1.5]"), "part 'only': grid.seed must be a whole number from 0 to 2^32 - 1, "
         "got 1.5."),
        (grid(network='["lenet"]'), f"part 'only': grid.network must be one of {names(NETWORKS)}, "
         "got 'lenet'."),
        (grid(method='["prune"]'), f"part 'only': grid.method must be one of "
         f"{names(rivals.METHODS)}, got 'prune'. Or describe it in a table [method.…]."),
        (grid(data='["imagenet"]'), f"part 'only': grid.data must be one of {names(NAMES)}, "
         "got 'imagenet'."),
        (grid(width="[0]"), "part 'only': grid.width must be a number from 0.001 to 64, got 0."),
        (grid(width="['1']"), "part 'only': grid.width must be a number from 0.001 to "
         "64, got '1'."),
        (grid(width="[nan]"), "part 'only': grid.width must be a number from 0.001 to "
         "64, got nan."),
        (grid(width="[0.5]", network='["resnet18"]'), "part 'only': grid.width must be 1 for "
         "resnet18, got 0.5. Networks that can be made wider and narrower: mlp, lenet5, "
         "vgg_small, resnet8, resnet20, resnet56."),
        (grid(classes="[1]"), "part 'only': grid.classes must be a whole number of at least 2, or "
         "0 for all classes, got 1."),
        (grid(classes="[11]"), "part 'only': grid.classes must be at most 10 for 'fashion-mnist', "
         "got 11."),
        (grid(noise="[-0.1]"), "part 'only': grid.noise must be a number from 0 to 10, got -0.1."),
        (grid(share="[0]"), "part 'only': grid.share must be above 0, got 0."),
        (grid(share="[true]"), "part 'only': grid.share must be a number from 0 to 1, got True."),
        (more("schedule = { epochs = 0 }"), "part 'only': schedule.epochs must be at least 1, "
         "got 0."),
        (more("schedule = { epoch = 3 }"), f"part 'only': schedule has no field 'epoch'; there "
         f"are {SCHEDULE}."),
        (more("schedule = { task_lr = 'fast' }"), "part 'only': schedule.task_lr must be a finite "
         "number, got 'fast'."),
        (more("schedule_of.lenet = {}"), f"part 'only': schedule_of must be one of "
         f"{names(NETWORKS)}, got 'lenet'."),
        (more("schedule_of.mlp = { epochs = 0 }"), "part 'only': schedule_of.mlp: schedule.epochs "
         "must be at least 1, got 0."),
        (more("switcher = { gain = -1 }"), "part 'only': switcher.gain must be a number above 0, "
         "got -1."),
        (more("switcher = { width = 3 }"), f"part 'only': switcher has no field 'width'; there "
         f"are {SWITCHER}."),
        (more("schedule.switcher_data = 'holdout'"), "part 'only': schedule.switcher_data may be "
         "'holdout' only with held-out images. Set run.holdout = 5000."),
        (more("run = { devise = 'cpu' }"), "part 'only': run has no field 'devise'; there are "
         "device, precision, holdout, choose, augment."),
        (more("run = { device = 3 }"), "part 'only': run.device must be text, got 3."),
        (more("run = { precision = 'half' }"), "part 'only': run.precision must be one of 'auto', "
         "'float32', 'bfloat16', got 'half'."),
        (more("run = { augment = 'turn' }"), "part 'only': run.augment must be one of 'none', "
         "'shift', 'flip', 'shift+flip', got 'turn'."),
        (more("run = { holdout = -1 }"), "part 'only': run.holdout must be a number of images, or "
         "a share between 0 and 1, got -1."),
        (more("run = { holdout = 1.5 }"), "part 'only': run.holdout must be a number of images, "
         "or a share between 0 and 1, got 1.5."),
        (more("run = { choose = 1, holdout = 9 }"), "part 'only': run.choose must be True or "
         "False, got 1."),
        (more("run = { choose = true }"), "part 'only': run.choose needs held-out images. "
         "Set run.holdout = 5000."),
        (more("[method.mine]"), f"method 'mine': kind must be one of {names(rivals.METHODS)}, "
         "got 'mine'."),
        (more("[method.dense]\nkind = 'switched'"), "method 'dense': kind must be one of 'dense', "
         "got 'switched'."),
        (more("[method.dense]\nepochs = 3"), "method 'dense' has no field 'epochs'; there are "
         "kind, schedule, switcher, settings."),
        (more("[method.dense]\nschedule = { epochs = 0 }"), "method 'dense': schedule.epochs must "
         "be at least 1, got 0."),
        (more("[method.dense]\nswitcher = { gain = 0 }"), "method 'dense': switcher.gain must "
         "be a number above 0, got 0."),
        (more("[method.dense]\nsettings = { seed = 1 }"), "method 'dense': settings: method "
         "'dense' has no setting 'seed'; it has none."),
        (more("[method.mine]\nkind = 'se'\nsettings = { size = 1 }"), "method 'mine': settings: "
         "method 'se' has no setting 'size'; it has reduction."),
        (more("[method.se]\nsettings = { reduction = 2020-01-01 }"), "method 'se': "
         "settings.reduction must be a number, text, true, false or a list of them, "
         "got datetime.date(2020, 1, 1)."),
        (more("switcher = { outgoing = true }"), "part 'only': switcher has no field 'outgoing'; "
         "there are activation, gain, gain_rule, reads, descriptors."),
        (more("[method.dense]\nswitcher = { reads = ['nothing'] }"), "method 'dense': "
         "switcher.reads must be a single value, got ['nothing']."),
        (more("switcher = { descriptors = ['length', 'lenth'] }"), "part 'only': "
         f"switcher.descriptors must be some of {names(DESCRIPTORS)}, got 'lenth'. Add your own to "
         "snnviz.switcher.DESCRIPTORS."),
    ],
)  # fmt: skip
def test_a_study_that_is_wrong(write: Write, change: tuple[str, str], message: str) -> None:
    file = write(MINIMAL, change)
    with pytest.raises(ValueError, match=r".") as caught:
        Study.read(file)
    assert str(caught.value) == f"{str(file)!r}: {message}"


def test_a_file_that_is_no_study(write: Write, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        Study.read(tmp_path / "no.toml")
    assert str(missing.value) == f"there is no file {str(tmp_path / 'no.toml')!r}."
    file = write("name = 'x'\nresults 3\n")
    with pytest.raises(ValueError, match=r".") as caught:
        Study.read(file)
    assert str(caught.value) == (
        f"{str(file)!r} must be a .toml file: Expected '=' after a key in a key/value pair "
        "(at line 2, column 9)."
    )
    file.write_bytes(b"name = '\xff'")
    with pytest.raises(ValueError, match=r".") as caught:
        Study.read(file)
    assert str(caught.value) == f"{str(file)!r}: it must be a .toml file, in UTF-8."


def test_the_documented_study_is_one(write: Write) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    assert len(Study.read(write(example)).cells()) == 288
