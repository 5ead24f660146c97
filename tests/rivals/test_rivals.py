"""All methods: equal compute, sizes from one counter, settings that are checked."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch_pruning as tp
from torch import nn

import snnviz as sv
from snnviz import rivals
from snnviz.rivals.dense import count_steps
from snnviz.rivals.scratch import redraw
from snnviz.rivals.start import Start
from tests.export.nets import vit
from tests.helpers import assert_same_history
from tests.rivals.conftest import PLAN
from tests.structure.test_heads import Attention, Grouped, Transformer

PRUNED = ("slimming", "magnitude", "taylor", "fpgm", "random", "group_sparse")
CPU = {"device": "cpu", "precision": "float32"}
Halves = Callable[[str], dict[str, np.ndarray]]


_made: dict[tuple[Any, ...], Any] = {}


def trained(method: str, data: sv.ImageData, name: str = "mlp", **settings: Any) -> Any:
    """The trainer of a finished run, which tests only look at: each run is made once."""
    given = {k: id(v) if isinstance(v, dict) else v for k, v in settings.items()}
    key = (method, id(data), name, *given.items())
    if key not in _made:
        network = sv.network(name, data, width=0.1)
        _made[key] = rivals.train(method, network, data, PLAN, **CPU, **settings)
    return _made[key]


def task_batches(trainer: Any) -> int:
    return int((trainer.history.steps.phase == "task").sum())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "vgg_small"])
@pytest.mark.parametrize("method", rivals.METHODS)
def test_every_method_sees_as_many_examples(
    method: str, name: str, data: sv.ImageData, halves: Halves
) -> None:
    trainer = trained(method, data, name, reference=halves(name))
    batches = 5 * (4 if method == "dense_longer" else 3)  # 15 task and 4 switcher steps: 19
    assert task_batches(trainer) == batches
    losses = trainer.history.epochs.train_loss
    assert losses[1] < losses[0]
    switching = int((trainer.history.steps.phase == "switcher").sum())
    reads = ("switched", "free", "shuffled", "random_features")
    assert switching == (4 if method in reads else 0)


def test_steps_of_a_whole_run(data: sv.ImageData) -> None:
    trainer = trained("switched", data)
    assert count_steps(PLAN, trainer.batches_per_epoch) == trainer.position.step == 19


@pytest.mark.slow
def test_the_same_network_and_batches_for_all(data: sv.ImageData, halves: Halves) -> None:
    """Before anything differs, the first loss is the same."""
    first = {
        method: trained(method, data, reference=halves("mlp")).history.steps.loss.iloc[0]
        for method in rivals.METHODS
        if method not in ("l0", "se", "scratch")
    }
    assert len(set(first.values())) == 1, first


@pytest.mark.parametrize("name", ["mlp", "vgg_small", "resnet8"])
@pytest.mark.parametrize("method", PRUNED)
def test_pruned_to_the_references_size_by_one_counter(
    method: str, name: str, data: sv.ImageData, halves: Halves
) -> None:
    trainer = trained(method, data, name, reference=halves(name))
    wanted = trainer.switches.size(halves(name)).parameters
    last = trainer.history.epochs.iloc[-1]
    # A neuron more or less is the nearest that there is.
    steps = [
        trainer.switches.parameters
        - trainer.switches.size({g: np.arange(n) != 0 for g, n in {group: n}.items()}).parameters
        for group, n in trainer.history.groups.items()
    ]
    assert abs(last.parameters - wanted) <= max(steps)
    small, _ = sv.compact(trainer, latency=False)
    example = trainer.data.batch("test", torch.arange(2))[0]
    _, parameters = tp.utils.count_ops_and_params(small, example)
    assert parameters == last.parameters == sum(p.numel() for p in small.parameters())


@pytest.mark.parametrize("method", PRUNED)
def test_what_goes_is_off_from_then_on(method: str, data: sv.ImageData) -> None:
    trainer = trained(method, data, size=0.5, prune_at=0.34)
    factors = trainer.history.factors
    on = [{g: v[e] != 0 for g, v in factors.items()} for e in range(3)]
    assert all(every.all() for every in on[0].values())
    assert any(not some.all() for some in on[1].values())
    assert all(np.array_equal(on[1][g], on[2][g]) for g in on[1])
    assert "pin" in set(trainer.history.events.event)


@pytest.mark.parametrize("method", PRUNED)
def test_a_size_of_its_own(method: str, data: sv.ImageData) -> None:
    sizes = [
        trained(method, data, size=size).history.epochs.parameters.iloc[-1]
        for size in (0.0, 0.3, 1.0)
    ]
    whole = trained("dense", data).switches.parameters
    assert sizes[0] < 0.15 * whole
    assert abs(sizes[1] / whole - 0.3) < 0.05
    assert sizes[2] == whole


@pytest.mark.parametrize("method", PRUNED)
@pytest.mark.filterwarnings("ignore:Unwrapped parameters")  # of Torch-Pruning, on tokens
def test_heads_of_torchs_attention_are_pruned(method: str) -> None:
    images = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pair = images, torch.arange(20) % 10
    data = sv.ImageData.from_tensors(pair, pair, device="cpu")
    plan = sv.Schedule(epochs=2, batch_size=10, warmup_epochs=0)
    trainer = rivals.train(method, vit(), data, plan, **CPU, size=0.4)
    heads = [f"encoder.layers.encoder_layer_{i}.self_attention" for i in (0, 1)]
    assert any(bool((trainer.factors[name] == 0).any()) for name in heads)
    assert trainer.history.epochs.train_loss.notna().all()


@pytest.mark.parametrize("method", [*PRUNED, "se"])
@pytest.mark.filterwarnings("ignore:Unwrapped parameters")
def test_heads_of_ones_own_attention(method: str) -> None:
    """One that shares keys and values, and one whose queries, keys and values one layer writes."""
    images = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pair = images, torch.arange(20) % 4
    data = sv.ImageData.from_tensors(pair, pair, device="cpu")
    plan = sv.Schedule(epochs=2, batch_size=10, warmup_epochs=0)
    network = Transformer(Grouped(3, way="repeated"), Attention("in turn"))
    options = {} if method == "se" else {"size": 0.7}
    trainer = rivals.train(method, network, data, plan, **CPU, **options)
    assert trainer.history.epochs.train_loss.notna().all()
    off = {name: int((s == 0).sum()) for name, s in trainer.factors.items()}
    assert off.keys() == {"attentions.0.q", "attentions.1.qkv"}
    assert any(off.values()) == (method != "se")


def test_the_schedules_size(data: sv.ImageData) -> None:
    """It is taken where no other is given; a share of something else cannot be taken."""
    asked = PLAN.replace(size=0.3)
    run = rivals.train("magnitude", sv.network("mlp", data, width=0.1), data, asked, **CPU)
    assert_same_history(run.history, trained("magnitude", data, size=0.3).history)
    macs = asked.replace(size_of="macs")
    with pytest.raises(ValueError, match=r"settings\.size is missing"):
        rivals.train("magnitude", sv.network("mlp", data, width=0.1), data, macs, **CPU)


def test_dense_turns_nothing_off(data: sv.ImageData) -> None:
    for method in ("dense", "dense_longer", "se"):
        epochs = trained(method, data).history.epochs
        assert (epochs.neurons_on == epochs.neurons).all()


def test_a_method_needs_what_it_says(data: sv.ImageData) -> None:
    for name, method in rivals.METHODS.items():
        if not method.needs_reference:
            continue
        with pytest.raises(ValueError, match=r"reference|switched run"):
            trained(name, data)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (
            "magnitud",
            {},
            "method must be one of 'dense', 'dense_longer', 'switched', 'free', 'shuffled', "
            "'random_features', 'slimming', 'magnitude', 'taylor', 'fpgm', 'random', "
            "'group_sparse', 'l0', 'se', 'scratch', got 'magnitud'.",
        ),
        (
            "magnitude",
            {"share": 0.5},
            "method 'magnitude' has no setting 'share'; it has size, prune_at.",
        ),
        ("dense", {"size": 0.5}, "method 'dense' has no setting 'size'; it has none."),
        (
            "magnitude",
            {"size": 1.5},
            "settings.size must be a number from 0 to 1, got 1.5.",
        ),
        (
            "random",
            {"size": 0.5, "prune_at": 1.0},
            "settings.prune_at must leave at least one of 3 epochs to train on, got 1.",
        ),
        (
            "slimming",
            {"size": 0.5, "strength": "much"},
            "settings.strength must be a finite number of at least 0, got 'much'.",
        ),
        (
            "taylor",
            {"size": 0.5, "momentum": 1},
            "settings.momentum must be a number from 0 to 0.9999, got 1.",
        ),
        (
            "l0",
            {"dropout": 1.0},
            "settings.dropout must be a number from 0.001 to 0.999, got 1.0.",
        ),
        (
            "se",
            {"reduction": 0},
            "settings.reduction must be a finite number of at least 1, got 0.",
        ),
        ("free", {"lr": -1}, "settings.lr must be a finite number of at least 0, got -1."),
        (
            "random",
            {},
            "settings.size is missing. Give the share of the parameters to keep (0 to 1), or the "
            "switched run whose size to take: reference=...",
        ),
        (
            "scratch",
            {},
            "scratch needs the switched run whose shape to take: reference=...",
        ),
    ],
)
def test_errors(method: str, settings: dict, message: str, data: sv.ImageData) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        trained(method, data, **settings)


def test_controls_read_something_else(start: Callable[..., Start], data: sv.ImageData) -> None:
    """All else equal, what is read decides the factors."""
    ends = {
        method: trained(method, data).history.factors["fc1"][-1]
        for method in ("switched", "shuffled", "random_features", "free")
    }
    for a in ends:
        assert not np.array_equal(ends[a], np.ones_like(ends[a]))
        for b in ends:
            assert a == b or not np.array_equal(ends[a], ends[b])


COMPUTED = {
    "weight_orig": nn.utils.spectral_norm,
    "parametrizations.weight.original0": nn.utils.parametrizations.weight_norm,
}


@pytest.mark.parametrize("name", COMPUTED)
def test_weights_that_cannot_be_redrawn_are_named(name: str) -> None:
    network = nn.Sequential(nn.Flatten(), COMPUTED[name](nn.Linear(16, 4)))
    network(torch.randn(5, 1, 4, 4)).sum().backward()  # deepcopy refuses some from now on
    with pytest.raises(ValueError, match="scratch needs new") as caught:
        redraw(network, None, seed=1)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"scratch needs new random weights, but '1.{name}' stays the same. Give its module a "
        "method reset_parameters that draws it; weights that spectral_norm, weight_norm or "
        "another parametrization computes cannot be drawn again."
    )


def test_the_users_own_network_gets_new_weights() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    made = redraw(network, None, seed=1)  # type: ignore[arg-type]
    assert not torch.equal(made[1].weight, network[1].weight)
    assert torch.equal(made[1].weight, redraw(network, None, seed=1)[1].weight)  # type: ignore
