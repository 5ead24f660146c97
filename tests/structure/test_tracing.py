"""`find_switches` and `describe`: their arguments, their errors, and that they change nothing."""

import copy
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from snnviz.shrink import compact
from snnviz.structure import describe, find_switches
from tests import reference
from tests.helpers import example, message_of
from tests.reference import BUILD, LAYERS, Residual
from tests.structure.nets import (
    MIXES,
    NOTHING,
    OUTPUTS,
    RUNS,
    Chooses,
    Net,
    Pair,
    Picky,
    Sequential,
    assert_untouched,
    change,
    hidden,
)


def stream_of(norm: nn.Module | None, activation: Callable[[Tensor], Tensor]) -> nn.Module:
    """Three layers that write the same channels, and one inner one in a branch."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.first(images)
        x = x + net.second(activation(x))
        x = x + net.third(torch.relu(net.inner(activation(x))))
        return x if norm is None else net.norm(x)

    layers = {"first": nn.Conv2d(3, 6, 3), "second": nn.Conv2d(6, 6, 1)}
    layers |= {"inner": nn.Conv2d(6, 5, 1), "third": nn.Conv2d(5, 6, 1)}
    return Net(way, 216, **layers, **({} if norm is None else {"norm": norm}))


@pytest.mark.parametrize(
    ("norm", "activation", "why"),
    [
        pytest.param(
            nn.GroupNorm(1, 6), torch.relu, f"weighted only: GroupNorm {MIXES}", id="group norm"
        ),
        pytest.param(None, lambda x: x.softmax(1), change("second"), id="softmax"),
    ],
)
def test_all_layers_of_a_stream_are_listed(
    norm: nn.Module | None, activation: Callable[[Tensor], Tensor], why: str
) -> None:
    net = stream_of(norm, activation)
    found = find_switches(net, example())
    assert list(found.groups) == ["inner", "hidden"]
    assert found.left_alone == {**dict.fromkeys(("first", "second", "third"), why), "head": OUTPUTS}
    assert list(found.left_alone) == ["first", "second", "third", "head"]
    table = describe(net, example(), show=False)
    notes = dict(zip(table.group, table.note, strict=True))
    assert {name: note for name, note in notes.items() if note} == found.left_alone


def test_weighted_on_request() -> None:
    """The factors act in the norms, so that a factor of 0 is off there too; none is taken out."""
    net = stream_of(nn.GroupNorm(2, 6), torch.relu)
    found = find_switches(net, example(), weighted=["sec*"])
    assert list(found.groups) == ["first", "inner", "hidden"]
    # It is read without the norm, too, so that the factors must act before it as well.
    assert found.groups["first"].scaled == ("norm", "first", "second", "third")
    assert found.left_alone == {"head": OUTPUTS}
    net = hidden(nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.ReLU())
    found = find_switches(net, example(), weighted=["0"])
    assert found.groups["0"].scaled == ("1",)
    assert found.groups["0"].mixed_by == "GroupNorm"
    assert found.left_alone == {"6": OUTPUTS}
    off = {"0": torch.zeros(6).numpy(), "4": torch.ones(5).numpy()}
    assert found.size(off) == found.size()
    table = describe(net, example(), show=False, weighted=["0"])
    row = table.set_index("group").loc["0"]
    assert row.note == f"weighted only: GroupNorm {MIXES}"
    assert (row.neurons, row.parameters, row.macs) == (6, 0, 0)
    assert "0" in find_switches(net, example(), exclude=["0"], weighted=["0"]).left_alone


@pytest.mark.parametrize(
    ("patterns", "groups", "excluded"),
    [
        ((), ["0", "4", "7"], []),
        (["0"], ["4", "7"], ["0"]),
        (["[04]"], ["7"], ["0", "4"]),
        (["10", "7"], ["0", "4"], ["7"]),
    ],
)
def test_exclude(patterns: list[str], groups: list[str], excluded: list[str]) -> None:
    found = find_switches(reference.own(), example((1, 8, 8)), patterns)
    assert list(found.groups) == groups
    reasons = dict.fromkeys(excluded, "excluded by the user")
    assert found.left_alone == {**reasons, "10": OUTPUTS}


@pytest.mark.parametrize(
    ("patterns", "got"),
    [
        (
            ["layr1*"],
            "must have only patterns that fit a linear or convolution layer, got 'layr1*', and the "
            "layers are 0, 4, 7, 10. Correct it, or leave it out.",
        ),
        ("4", "must be a list of patterns of layer names, got '4'. Use for example {}=['4']."),
        (
            None,
            "must be a list of patterns of layer names, got None. Use for example {}=['layer1.*'].",
        ),
        (
            [4],
            "must be a list of patterns of layer names, got [4]. Use for example {}=['layer1.*'].",
        ),
    ],
)
@pytest.mark.parametrize("argument", ["exclude", "weighted"])
def test_patterns_that_fit_nothing(argument: str, patterns: Any, got: str) -> None:
    images = example((1, 8, 8))
    said = message_of(lambda: find_switches(reference.own(), images, **{argument: patterns}))
    assert said == f"{argument} {got.format(argument)}"


def test_exclude_by_any_writer() -> None:
    found = find_switches(Residual(), example((1, 8, 8)), ["sec*"])
    assert list(found.groups) == ["inner", "hidden"]
    excluded = dict.fromkeys(("first", "second"), "excluded by the user")
    assert found.left_alone == {**excluded, "head": OUTPUTS}


@pytest.mark.parametrize(
    ("how", "operation"),
    [("if", "aten._local_scalar_dense.default"), ("item", "aten._local_scalar_dense.default"),
     ("rows", "aten.nonzero.default")],
)  # fmt: skip
def test_a_network_that_chooses_by_its_data(how: str, operation: str) -> None:
    assert message_of(lambda: find_switches(Chooses(how), example())) == (
        f"network cannot be traced, because its control flow depends on the images ({operation}). "
        "Layers and sizes that are chosen by values of the images are not supported."
    )


def test_a_network_that_cannot_be_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch_pruning

    def fail(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("integer modulo by zero")

    monkeypatch.setattr(torch_pruning.DependencyGraph, "build_dependency", fail)
    said = message_of(lambda: find_switches(hidden(nn.Conv2d(3, 6, 3)), example()))
    assert said == (
        "network cannot be traced, so its switch groups are not known "
        "(ZeroDivisionError: integer modulo by zero). Networks whose layers are chosen by the "
        "images are not supported."
    )


class Detached(nn.Module):
    """Values leave autograd's sight between the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(192, 6), nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.hidden(images.flatten(1)).detach().relu())


def test_values_that_leave_the_graph_are_no_silent_success() -> None:
    assert message_of(lambda: find_switches(Detached(), example())) == (
        f"network has no neurons that can be switched (head: {OUTPUTS}). {NOTHING}"
    )


def test_torchs_random_state_is_left_as_it_was() -> None:
    network = Sequential(nn.Flatten(), nn.Linear(192, 7), nn.Dropout(), nn.Linear(7, 4))
    before = torch.random.get_rng_state()
    find_switches(network, example())
    assert torch.equal(before, torch.random.get_rng_state())


def test_double_precision_and_more_images_than_are_needed() -> None:
    network, images = reference.own().double(), example((1, 8, 8), 70).double()
    seen: list[int] = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    assert list(find_switches(network, images).groups) == ["0", "4", "7"]
    assert max(seen, default=2) == 2


# --- the user's network --------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", BUILD)
def test_the_users_network_is_left_as_it_was(name: str, frozen: bool, training: bool) -> None:
    build, shape = BUILD[name]
    network = build().train(training)
    first = next(iter(network.parameters()))
    first.requires_grad_(not frozen)
    before = copy.deepcopy(network.state_dict())
    kept = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    with_all = find_switches(network, example(shape))
    assert with_all.groups.keys() == LAYERS[name].keys()  # frozen parameters hide no group
    assert_untouched(network, before, kept, training)


@pytest.mark.parametrize("network", [Chooses("if"), Picky(), Pair()])
def test_the_users_network_is_left_as_it_was_by_errors(network: nn.Module) -> None:
    before = copy.deepcopy(network.state_dict())
    kept = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    message_of(lambda: find_switches(network, example()))
    assert_untouched(network, before, kept, True)


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(192, 6), nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(input=self.hidden(input=images.flatten(1)).relu())


def test_layers_that_are_called_by_keyword() -> None:
    switches = find_switches(ByName(), example())
    assert list(switches.groups) == ["hidden"]
    factors = {"hidden": torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 1.0])}
    _, report = compact(ByName(), factors, example(n=6), latency=False)
    assert report.widths == {"hidden": (6, 4)}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_within_a_block_without_gradients(mode: Callable[[], Any]) -> None:
    network = reference.own()
    with mode():
        images = example((1, 8, 8))
        assert list(find_switches(network, images).groups) == ["0", "4", "7"]
        assert list(describe(network, images, show=False).group) == ["0", "4", "7", "10"]


def test_one_image_is_enough() -> None:
    layers = nn.Conv2d(3, 6, 3), nn.Flatten(), nn.Linear(216, 6), nn.BatchNorm1d(6)
    network = hidden(*layers, width=6)
    assert list(find_switches(network, example(n=1)).groups) == ["0", "2", "5"]


# --- describe ------------------------------------------------------------------------------------


def test_describe(capsys: pytest.CaptureFixture[str]) -> None:
    table = describe(reference.own(), example((1, 8, 8)), exclude=["4"])
    assert isinstance(table, pd.DataFrame)
    assert table.to_dict("records") == [
        {
            "group": "0",
            "neurons": 6,
            "writers": "0",
            "scaled": "1",
            "readers": "4",
            # 9 weights, bias, norm's scale and shift; 4 x 4 weights in the reader
            "parameters": 9 + 1 + 2 + 16 * 1,
            "macs": 9 * 36 + 16 * 1,
            "note": "",
        },
        {
            "group": "7",
            "neurons": 7,
            "writers": "7",
            "scaled": "8",
            "readers": "10",
            "parameters": 4 + 1 + 2 + 3,
            "macs": 4 + 3,
            "note": "",
        },
        *(
            {
                "group": layer,
                "neurons": 0,
                "writers": "",
                "scaled": "",
                "readers": "",
                "parameters": 0,
                "macs": 0,
                "note": note,
            }
            for layer, note in (("4", "excluded by the user"), ("10", OUTPUTS))
        ),
    ]
    assert capsys.readouterr().out == table.to_string(index=False, max_colwidth=40) + "\n"


def test_describe_can_be_silent(capsys: pytest.CaptureFixture[str]) -> None:
    table = describe(Residual(), example((1, 8, 8)), show=False)
    assert list(table.group) == ["first", "inner", "hidden", "head"]
    assert table.writers[0] == "first, second"
    assert capsys.readouterr().out == ""
    switches = find_switches(Residual(), example((1, 8, 8)))
    assert table.neurons.sum() == sum(g.neurons for g in switches.groups.values())


def test_describe_gives_the_errors_of_find_switches() -> None:
    assert message_of(lambda: describe(Picky(), example())).startswith(RUNS)
