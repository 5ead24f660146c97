"""Compacting: the same outputs from a smaller, ordinary network, on any network that can be traced.

Gated means: run with factors on the activations, by forward hooks; `compact` works on parameters.
"""

import copy
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from snnviz import compact as public_compact
from snnviz.data import ImageData
from snnviz.export import save_compact
from snnviz.networks import NETWORKS as NAMED
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.shrink import CompactReport, OutputsDiffer, compact
from snnviz.structure import Size, Switches, find_switches, scaled_parameters
from snnviz.training import Phase, Schedule
from tests import networks_at_random, reference
from tests.helpers import message_of
from tests.networks_at_random import Plan, built, drawn, plans

# Locally: SNNVIZ_RANDOM_NETWORKS=300 pytest tests/test_compact.py -k put_together
RANDOM_NETWORKS = int(os.environ.get("SNNVIZ_RANDOM_NETWORKS", "50"))


def few_images(side: int) -> ImageData:
    return reference.tiny_data((3, side, side), n=8, classes=4)


def named(name: str, data: ImageData) -> nn.Module:
    return network(name, data)


def shufflenet(data: ImageData) -> nn.Module:
    return torchvision.models.shufflenet_v2_x0_5(num_classes=data.n_classes)


# Images that are just large enough for a network take the least time. Others are for networks whose
# last layers would see one pixel alone.
SIDES = dict.fromkeys(("resnet18_imagenet", "squeezenet", "efficientnet_b0"), 16)
# What to build from data, and the images' side.
NETWORKS: dict[str, tuple[Callable[[ImageData], nn.Module], int]] = {
    name: (partial(named, name), SIDES.get(name, max(8, smallest)))
    for name, (_, smallest) in NAMED.items()
} | {"shufflenet": (shufflenet, 32)}


def images_of(side: int, n: int = 4) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def half_off(switches: Switches, seed: int = 0) -> dict[str, Tensor]:
    """Half of each group's factors are exactly 0, the others random."""
    rng = np.random.default_rng(seed)
    factors = {}
    for name, group in switches.groups.items():
        values = rng.uniform(0.5, 1.5, group.neurons)
        values[rng.permutation(group.neurons)[: group.neurons // 2]] = 0
        factors[name] = torch.from_numpy(values)
    return factors


@contextmanager
def gated(net: nn.Module, switches: Switches, factors: Mapping[str, Tensor]) -> Iterator[None]:
    """Within, what each scaled layer gives is multiplied by the factors: a twin of the scaling."""
    of_layer: dict[str, Tensor] = {}
    units = {layer.name: layer.units for layer in switches.layers}
    for group in switches.groups.values():
        for member in group.scaled_as:
            ones = torch.ones(units[member.layer], dtype=torch.float64)
            factor = of_layer.setdefault(member.layer, ones)
            for channel, neuron in zip(member.channels, member.neurons, strict=True):
                factor[channel] = factors[group.name][neuron]

    def times(factor: Tensor) -> Callable[..., Tensor]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            if isinstance(module, nn.Linear) or type(module) is nn.LayerNorm:
                return output * factor.to(output)
            return output * factor.to(output).view(1, -1, *(1,) * (output.ndim - 2))

        return hook

    handles = [
        net.get_submodule(layer).register_forward_hook(times(factor))
        for layer, factor in of_layer.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def scores_of(
    net: nn.Module, images: Tensor, switches: Switches, factors: Mapping[str, Tensor]
) -> Tensor:
    with gated(net, switches, factors):
        return net(images)


def assert_close(came: Tensor, expected: Tensor, tolerance: float) -> None:
    assert torch.isfinite(expected).all()
    assert float(expected.std()) > 1e-3 * float(expected.abs().max())  # or any would do
    assert float((came - expected).abs().max()) <= tolerance * float(expected.abs().max())


def count(net: nn.Module, image: Tensor) -> Size:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(image[:1])
    return Size(sum(p.numel() for p in net.parameters()), counter.get_total_flops() // 2)


def state_of(net: nn.Module) -> list[Any]:
    return [
        [(name, id(p), p.requires_grad, p.grad) for name, p in net.named_parameters()],
        [(name, id(b)) for name, b in net.named_buffers()],
        [(name, type(m), m.training) for name, m in net.named_modules()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
        [sorted(vars(m)) for m in net.modules()],
    ]


# --- networks that people use --------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_known_networks(name: str) -> None:
    """Every parameter random, half of the neurons off: the same outputs in both precisions."""
    import torch_pruning

    build, side = NETWORKS[name]
    net = drawn(build(few_images(side)).eval())
    images = images_of(side)
    switches = find_switches(net, images)
    assert switches.groups
    factors = half_off(switches)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        net, images = net.to(dtype), images.to(dtype)
        small, report = compact(net, factors, images, switches=switches, latency=False)
        with torch.no_grad():
            assert_close(small(images), scores_of(net, images, switches, factors), tolerance)
        assert report.difference <= tolerance
    assert report.after.parameters < report.before.parameters
    assert torch_pruning.utils.count_ops_and_params(small, images[:1])[1] == report.after.parameters
    if name not in ("vit_tiny", "convnext_tiny"):  # attention counts, but no layer of ours
        assert count(small, images) == report.after
        assert count(net, images) == report.before
    assert count(small, images).parameters == report.after.parameters
    assert report.bytes_after < report.bytes_before
    assert_ordinary(small, net)


def group_normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 144, 4),
    )  # fmt: skip


def layer_normed() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(768, 7), nn.ReLU(), nn.LayerNorm(7), nn.Linear(7, 5), nn.ReLU(),
        nn.Linear(5, 4),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "weighted"),
    [
        pytest.param(group_normed, {"0": "GroupNorm"}, id="group norm"),
        pytest.param(layer_normed, {"1": "LayerNorm"}, id="layer norm"),
        pytest.param(
            lambda: network("convnext_tiny", few_images(16)),
            {"features.0.0": "LayerNorm2d"} | {f"features.{i}.1": "LayerNorm" for i in (2, 4, 6)},
            id="convnext_tiny",
        ),
        pytest.param(
            lambda: network("vit_tiny", few_images(16)), {"conv_proj": "LayerNorm"}, id="vit_tiny"
        ),
    ],
)
def test_what_is_weighted_only_is_folded_and_stays(
    build: Callable[[], nn.Module], weighted: dict[str, str]
) -> None:
    net, images = drawn(build().eval()).double(), images_of(16).double()
    left = find_switches(net, images)
    switches = find_switches(net, images, weighted=list(weighted))
    assert {name: g.mixed_by for name, g in switches.groups.items() if g.mixed_by} == weighted
    assert switches.groups.keys() - left.groups.keys() == weighted.keys()
    factors = half_off(switches)
    on_paper = switches.size({name: s.numpy() for name, s in factors.items()})
    expected = scores_of(net, images, switches, factors)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        net, images = net.to(dtype), images.to(dtype)
        small, report = compact(net, factors, images, switches=switches, latency=False)
        with torch.no_grad():
            assert_close(small(images), expected, tolerance)
        assert not report.widths.keys() & weighted.keys()
        assert report.after.parameters == on_paper.parameters < report.before.parameters
        assert_ordinary(small, net)
    # The factors are in force: without them the outputs are others.
    only = factors | {name: torch.ones(len(factors[name])) for name in weighted}
    assert float((scores_of(net, images, switches, only) - expected).abs().max()) > 1e-3


def assert_ordinary(small: nn.Module, net: nn.Module) -> None:
    """The same kinds of module under the same names, and nothing of snnviz in any of them."""
    kinds = [(name, type(module)) for name, module in net.named_modules()]
    assert [(name, type(module)) for name, module in small.named_modules()] == kinds
    for module, other in zip(small.modules(), net.modules(), strict=True):
        assert "snnviz" not in type(module).__module__ or type(module) is type(other)
        assert vars(module).keys() == vars(other).keys()
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert module.training == other.training
    assert small.state_dict().keys() == net.state_dict().keys()
    pairs = zip(small.parameters(), net.parameters(), strict=True)
    for parameter, other in pairs:
        assert type(parameter) is nn.Parameter
        assert parameter.is_leaf
        assert parameter.requires_grad == other.requires_grad
        assert parameter.grad is None


def assert_cut(small: nn.Module, net: nn.Module, report: CompactReport) -> None:
    """What is left are PyTorch's own layers under the names that they had, in the same modes."""
    assert type(small).__module__.startswith("torch.fx.")
    before, after = dict(net.named_modules()), dict(small.named_modules())
    kinds = {type(module).__module__ for module in after.values()}
    assert all(kind.startswith(("torch.", "torchvision.")) for kind in kinds)
    gone = {layer for layers in report.removed.values() for layer in layers}
    assert not any(list(after[name].parameters(recurse=False)) for name in gone & after.keys())
    assert {name for name, (_, width) in report.widths.items() if width == 0} <= gone
    left = {name for name, m in before.items() if name and list(m.parameters(recurse=False))}
    assert left - gone <= after.keys()
    for name, module in after.items():
        assert module.training == (before[name].training if name in before else net.training)
        if name and name in before and list(before[name].parameters(recurse=False)):
            assert type(module) in (type(before[name]), nn.Module)  # a block has no class any more
    for parameter in small.parameters():
        assert type(parameter) is nn.Parameter
        assert parameter.is_leaf
        assert parameter.grad is None


@pytest.mark.parametrize("name", NETWORKS)
def test_a_round_of_alternating_training(name: str) -> None:
    build, side = NETWORKS[name]
    plan = Schedule(
        epochs=3, batch_size=4, warmup_epochs=0, freeze_epochs=0, task_steps=1, task_lr=0.01
    )
    trainer = Trainer(
        build(few_images(side)), few_images(side), plan, device="cpu", precision="float32"
    )
    records = [trainer.step() for _ in range(6)]
    assert [record.phase for record in records] == ["task", "switcher"] * 3
    assert all(np.isfinite(record.loss) for record in records)
    moved = [name for name, s in trainer.factors.items() if not torch.allclose(s, torch.ones(()))]
    assert len(moved) > 0.5 * len(trainer.factors)


# --- networks put together at random -------------------------------------------------------------


seen: Counter[str] = Counter()


@settings(
    max_examples=RANDOM_NETWORKS,
    derandomize=RANDOM_NETWORKS <= 50,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(plans, st.integers(0, 10_000))
def put_together(plan: Plan, seed: int) -> None:
    net = built(plan)
    shape = networks_at_random.SHAPE
    images = torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed)).double()
    seen["networks"] += 1
    try:
        switches = find_switches(net, images)
    except ValueError as error:
        if not str(error).startswith("network has no neurons that can be switched ("):
            raise
        return
    seen["switched"] += 1
    rng = np.random.default_rng(seed)
    factors = {}
    for name, g in switches.groups.items():  # a sixth of them wholly off
        on = (rng.random(g.neurons) < 0.5) * (rng.random() > 1 / 6)
        factors[name] = torch.from_numpy(rng.uniform(0.2, 2, g.neurons) * on)
    small, report = compact(net, factors, images, switches=switches, tolerance=1e-5, latency=False)
    expected = scores_of(net, images, switches, factors)
    with torch.no_grad():
        difference = float((small(images) - expected).abs().max())
    assert difference <= 1e-5 * float(expected.abs().max())
    phases: tuple[Phase, ...] = ("task", "switcher")
    for phase in phases:  # wherever a step of training has the factors act
        parameters = scaled_parameters(net, switches, factors, phase=phase)
        with torch.no_grad():
            scores = functional_call(net, parameters, (images,))
        assert float((scores - expected).abs().max()) <= 1e-9 * float(expected.abs().max())
    seen["moved"] += any(g.moved for g in switches.groups.values())
    assert count(small, images) == report.after
    assert count(net, images) == report.before == switches.size()
    if not report.kept and not report.removed:
        assert switches.size({name: s.numpy() for name, s in factors.items()}) == report.after
    if report.removed:
        assert_cut(small, net, report)
    else:
        assert_ordinary(small, net)
    seen["cut"] += bool(report.removed)
    seen["smaller"] += report.after.parameters < report.before.parameters
    seen["joined"] += any(
        len(m.channels) < g.neurons for g in switches.groups.values() for m in g.written_as
    )
    seen["several writers"] += any(len(g.writers) > 1 for g in switches.groups.values())


def test_networks_put_together_at_random() -> None:
    seen.clear()
    put_together()
    n = seen["networks"]
    assert n >= RANDOM_NETWORKS
    assert seen["switched"] >= 0.7 * n  # else the property would say little
    assert seen["smaller"] >= 0.6 * n
    assert seen["several writers"] >= 0.1 * n
    assert seen["joined"] >= 1
    assert seen["cut"] >= 0.05 * n
    assert seen["moved"] >= 0.1 * n


# --- special factors -----------------------------------------------------------------------------


@pytest.fixture
def own() -> nn.Module:
    return drawn(reference.own()).eval()


OWN_IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def own_factors(**changes: Any) -> dict[str, Tensor]:
    return {"0": torch.ones(6), "4": torch.ones(4), "7": torch.ones(7)} | changes


@pytest.mark.parametrize(
    ("factors", "widths", "kept"),
    [
        pytest.param({}, {}, (), id="nothing off"),
        pytest.param({k: 3 * s for k, s in own_factors().items()}, {}, (), id="of other scale"),
        pytest.param({"4": torch.tensor([0.0, 1e-30, 1.0, 0.0])}, {"4": (4, 2)}, (), id="two off"),
        pytest.param(
            {"0": torch.zeros(6)}, {"0": (6, 1), "1": (6, 1)}, ("0",), id="a whole group off"
        ),
        pytest.param(
            {"0": torch.zeros(6), "4": torch.zeros(4), "7": torch.zeros(7)},
            {"0": (6, 1), "1": (6, 1), "4": (4, 1), "7": (7, 1), "8": (7, 1)},
            ("0", "4", "7"),
            id="all off",
        ),
    ],
)
def test_widths(
    own: nn.Module, factors: dict[str, Tensor], widths: dict[str, Any], kept: tuple[str, ...]
) -> None:
    factors = own_factors(**factors)
    small, report = compact(own, factors, OWN_IMAGES, latency=False)
    assert report.widths == widths
    assert report.kept == dict.fromkeys(kept, "no other way leads past it to the class scores")
    assert not report.removed
    switches = find_switches(own, OWN_IMAGES)
    expected = scores_of(own, OWN_IMAGES, switches, factors)
    torch.testing.assert_close(small(OWN_IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert report.images == 5
    frame = report.frame()
    assert list(frame.columns) == ["layer", "before", "after"]
    assert list(frame.itertuples(index=False, name=None)) == [(k, *v) for k, v in widths.items()]


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 3, 1), nn.Conv2d(1, 2, 1)
        self.both, self.head = nn.Conv2d(5, 5, 3, groups=5), nn.Linear(5 * 36, 4)

    def forward(self, images: Tensor) -> Tensor:
        joined = torch.cat([self.a(images), self.b(images)], 1).relu()
        return self.head(self.both(joined).relu().flatten(1))


def test_a_layer_that_writes_a_part_of_a_group_and_is_wholly_off() -> None:
    net = drawn(Joined()).eval()
    factors = {"a": torch.tensor([1.0, 0.0, 2.0, 0.0, 0.0])}
    small, report = compact(net, factors, OWN_IMAGES, latency=False)
    assert report.widths == {"a": (3, 2), "b": (2, 1), "both": (5, 3)}
    assert report.kept == {"b": "its outputs are joined with those of other layers"}
    assert (small.get_submodule("both").groups, small.get_submodule("both").in_channels) == (3, 3)


def test_the_report_in_words(own: nn.Module) -> None:
    report = CompactReport(
        widths={"0": (6, 1)},
        before=Size(1000, 20000),
        after=Size(250, 5000),
        bytes_before=4000,
        bytes_after=1000,
        latency={1: 0.5, 128: 0.25},
        difference=1.25e-7,
        images=256,
        removed={"a": ("a", "norm"), "b": ()},
        kept={"0": "no other way"},
    )
    assert str(report) == (
        "parameters 1,000 → 250 (25.0%)\n"
        "MACs       20,000 → 5,000 (25.0%)\n"
        "size       4,000 → 1,000 bytes on disk\n"
        "difference 1.2e-07 of the largest output, on 256 images\n"
        "latency    0.50 of before, batch 1\n"
        "latency    0.25 of before, batch 128\n"
        "a is wholly off, taken out: a, norm\n"
        "b is wholly off, gone with the branch it was in\n"
        "0 is wholly off, one zeroed neuron of it was kept: no other way"
    )


class Tied(nn.Module):
    """A tensor under two names, one with its channels last, a buffer that no state has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 1)
        self.again, self.norm, self.head = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.Linear(6, 4)
        self.hidden = nn.Linear(6, 6)
        self.again.weight = self.inner.weight
        self.register_buffer("share", torch.tensor(0.5), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images).relu() * self.share
        x = x + self.norm(self.again(self.inner(x)))
        return self.head(self.hidden(x.mean((2, 3))).relu())


RESNET8 = partial(named, "resnet8")


@pytest.mark.parametrize(
    ("net", "off"),
    [
        pytest.param(reference.own, "7", id="chain"),
        pytest.param(reference.Residual, "inner", id="residual"),
        pytest.param(RESNET8, "layer1.0.conv1", id="branch taken out"),
        pytest.param(Tied, "hidden", id="tied"),
    ],
)
def test_bytes_are_those_on_disk(net: Any, off: str, tmp_path: Path) -> None:
    before = drawn(net(reference.tiny_data()) if net is RESNET8 else net()).eval()
    switches = find_switches(before, OWN_IMAGES)
    factors = {name: torch.ones(g.neurons) for name, g in switches.groups.items()}
    if off in factors:
        factors[off][1:] = 0
        factors[off][0] = float(net is not RESNET8)
    small, report = compact(before, factors, OWN_IMAGES, latency=False)
    assert bool(report.removed) == (net is RESNET8)
    sizes = []
    for made, name in ((before, "before"), (small, "after")):
        saved = save_compact(made, tmp_path / name)
        sizes.append((saved / "weights.safetensors").stat().st_size)
    assert [report.bytes_before, report.bytes_after] == sizes


def test_latency_is_measured_at_both_batch_sizes(own: nn.Module) -> None:
    _, report = compact(own, own_factors(), OWN_IMAGES)
    assert list(report.latency) == [1, 128]
    assert all(ratio > 0 for ratio in report.latency.values())


# --- the source stays as it was ------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_the_source_is_left_as_it_was(training: bool) -> None:
    net = drawn(reference.own()).train(training)
    frozen = net.get_submodule("4")
    frozen.requires_grad_(False)
    before, values = state_of(net), copy.deepcopy(net.state_dict())
    factors = own_factors(**{"0": torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 1.0])})
    given = {name: s.clone() for name, s in factors.items()}
    random = torch.random.get_rng_state()
    small, _ = compact(net, factors, OWN_IMAGES, latency=True)
    assert torch.equal(random, torch.random.get_rng_state())
    assert state_of(net) == before
    assert all(torch.equal(value, values[key]) for key, value in net.state_dict().items())
    assert all(torch.equal(s, given[name]) for name, s in factors.items())
    assert_ordinary(small, net)
    shared = {p.data_ptr() for p in net.parameters()} & {p.data_ptr() for p in small.parameters()}
    assert not shared


def test_training_goes_on_from_a_compacted_network() -> None:
    data = reference.tiny_data()
    net = drawn(reference.own(), 3)
    factors = own_factors(**{"7": torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 0.0])})
    small, report = compact(net.train(), factors, OWN_IMAGES, latency=False)
    trainer = Trainer(
        small, data, Schedule(epochs=6, batch_size=20), device="cpu", precision="float32"
    )
    assert {name: len(s) for name, s in trainer.factors.items()} == {"0": 6, "4": 4, "7": 4}
    trainer.run(progress=False)
    losses = trainer.history.epochs.train_loss
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]
    again, second = compact(trainer, latency=False)
    assert second.before == report.after
    images = data.batch("test", torch.arange(8))[0]
    torch.testing.assert_close(again.eval()(images), trainer.logits(images), rtol=1e-4, atol=1e-5)


def test_compacting_a_trainer_between_steps_changes_none_of_them() -> None:
    plan = Schedule(epochs=3, batch_size=20, task_steps=2, warmup_epochs=0)
    runs = []
    for compacted in (False, True):
        torch.manual_seed(0)
        trainer = Trainer(
            reference.own(), reference.tiny_data(), plan, device="cpu", precision="float32", seed=4
        )
        losses = []
        for record in trainer:
            losses.append((record.phase, record.loss))
            if compacted:
                _, report = compact(trainer, latency=False)
                assert report.images == len(trainer.data.test)
        runs.append((losses, trainer.network.state_dict(), trainer.history.epochs))
    (losses, state, epochs), (other_losses, other_state, other_epochs) = runs
    assert losses == other_losses
    assert all(torch.equal(value, other_state[name]) for name, value in state.items())
    assert epochs.drop(columns="seconds").equals(other_epochs.drop(columns="seconds"))


def test_compact_is_a_public_name() -> None:
    assert public_compact is compact


# --- bad arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            {"factors": None},
            "factors must be given with a network: compact(network, factors, example). "
            "With a trainer, compact(trainer) is enough.",
            id="no factors",
        ),
        pytest.param(
            {"example": None},
            "example must be given with a network: compact(network, factors, example). "
            "With a trainer, compact(trainer) is enough.",
            id="no example",
        ),
        pytest.param(
            {"factors": {}},
            "factors must be given for the groups 0, 4, 7, got none.",
            id="none",
        ),
        pytest.param(
            {"factors": {"0": torch.ones(6), "fc": torch.ones(4)}},
            "factors must be given for the groups 0, 4, 7, got 0, fc.",
            id="other groups",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.ones(5)})},
            "factors['4'] must have the shape (4,), got (5,).",
            id="too many",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.ones(4, 1)})},
            "factors['4'] must have the shape (4,), got (4, 1).",
            id="two dimensions",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.tensor([1.0, float("nan"), 1.0, 1.0])})},
            "factors['4'] must be finite and at least 0, got values from nan to nan.",
            id="not a number",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.tensor([1.0, -0.5, 1.0, 2.0])})},
            "factors['4'] must be finite and at least 0, got values from -0.5 to 2.",
            id="negative",
        ),
        pytest.param(
            {"factors": own_factors(**{"4": torch.tensor([1.0, 0.0, float("inf"), 2.0])})},
            "factors['4'] must be finite and at least 0, got values from 0 to inf.",
            id="infinite",
        ),
        pytest.param(
            {"example": torch.ones(2, 3, 8, 8)},
            "network does not run on images of shape (2, 3, 8, 8): Given groups=1, weight of size "
            "[6, 1, 3, 3], expected input[2, 3, 8, 8] to have 1 channels, but got 3 channels "
            "instead. Check that its first layer takes images of this shape.",
            id="other images",
        ),
        pytest.param(
            {"example": torch.ones(2, 1, 8, 8, dtype=torch.uint8)},
            "example must be a tensor of normalised images (n, channels, height, width), as "
            "floats, got values of torch.uint8. Some test images will do: data.batch('test', "
            "torch.arange(8))[0].",
            id="not normalised",
        ),
        pytest.param(
            {"factors": [torch.ones(6)]},
            "factors must be given for the groups 0, 4, 7, got list.",
            id="no mapping",
        ),
    ],
)
def test_bad_arguments(own: nn.Module, arguments: dict[str, Any], message: str) -> None:
    before = state_of(own)
    arguments = {"factors": own_factors(), "example": OWN_IMAGES} | arguments
    switches = find_switches(own, OWN_IMAGES)
    assert message_of(lambda: compact(own, **arguments)) == message
    assert message_of(lambda: compact(own, **arguments, switches=switches)) == message
    assert state_of(own) == before


@pytest.mark.parametrize("training", [True, False])
def test_a_wrong_example_beside_a_trainer(training: bool) -> None:
    data = reference.tiny_data()
    trainer = Trainer(reference.own(), data, device="cpu", precision="float32")
    trainer.network.train(training)
    before = state_of(trainer.network)
    said = message_of(lambda: compact(trainer, example=torch.ones(2, 1, 3, 3)))
    start = "network does not run on images of shape (2, 1, 3, 3): "
    assert said.startswith(start)
    assert said.endswith(". Check that its first layer takes images of this shape.")
    assert state_of(trainer.network) == before


def test_neither_a_trainer_nor_a_network() -> None:
    source: Any = "lenet5"
    assert message_of(lambda: compact(source)) == (
        "source must be a Trainer or a torch.nn.Module, got str. Use compact(trainer), or "
        "compact(network, factors, example)."
    )


def test_the_switches_of_another_network(own: nn.Module) -> None:
    for other, layer in ((lambda: reference.Residual(), "first"), (wider, "4")):
        switches = find_switches(other(), OWN_IMAGES)
        said = message_of(lambda s=switches: compact(own, own_factors(), OWN_IMAGES, switches=s))
        units = {a.name: a.units for a in switches.layers}[layer]
        assert said == (
            "switches must be those of this network, and are of one with a layer "
            f"{layer!r} of {units} neurons. Leave them out, or find them again with "
            "find_switches(network, example)."
        )


def wider() -> nn.Module:
    net: Any = reference.own()
    net[4], net[7] = nn.Conv2d(6, 9, 2, stride=2), nn.Linear(9, 7)
    return net


# --- outputs that differ -------------------------------------------------------------------------


def test_a_network_that_differs_is_never_handed_out(
    own: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = __import__("snnviz.shrink.compact", fromlist=["_folded"])
    fold = module._folded

    def wrongly(*arguments: Any) -> nn.Module:
        folded = fold(*arguments)
        folded.get_submodule("8").bias.data += 1
        return folded

    monkeypatch.setattr(module, "_folded", wrongly)
    factors = own_factors(**{"7": torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 0.0])})
    said = message_of(lambda: compact(own, factors, OWN_IMAGES, latency=False), OutputsDiffer)
    start, _, end = said.partition(" of the largest output, and ")
    assert start.startswith("The smaller network's outputs would differ by ")
    # It is wrong in both; but the next layer no longer gets 0 from the neurons that are off.
    assert end == "0.0001 is allowed. The difference begins at layer 10."
    said = message_of(lambda: compact(own, own_factors(), OWN_IMAGES), OutputsDiffer)
    assert said.endswith(" The difference begins at the network's end.")


@pytest.mark.parametrize(("layer", "neuron"), [("0", 2), ("4", 1), ("7", 5)])
def test_where_the_difference_begins(
    own: nn.Module, monkeypatch: pytest.MonkeyPatch, layer: str, neuron: int
) -> None:
    """Removal that is wrong in one layer: the message names it."""
    module: Any = __import__("snnviz.shrink.compact", fromlist=["remove"])
    remove = module.remove

    def wrongly(small: nn.Module, *arguments: Any) -> None:
        remove(small, *arguments)
        small.get_submodule(layer).weight.data *= 1.5

    monkeypatch.setattr(module, "remove", wrongly)
    factors = own_factors()
    factors[layer][neuron] = 0
    said = message_of(lambda: compact(own, factors, OWN_IMAGES, latency=False), OutputsDiffer)
    assert said.endswith(f"0.0001 is allowed. The difference begins at layer {layer}.")
    start = "The smaller network's outputs would differ by "
    share = float(said.removeprefix(start).split()[0])
    assert share > 1e-4
    _, report = compact(own, factors, OWN_IMAGES, tolerance=share * 1.1, latency=False)
    assert report.difference == pytest.approx(share, rel=0.1)


def test_a_network_that_no_longer_runs(own: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = __import__("snnviz.shrink.compact", fromlist=["remove"])

    def wrongly(small: nn.Module, *arguments: Any) -> None:
        small.get_submodule("10").weight = nn.Parameter(torch.ones(3, 6))

    monkeypatch.setattr(module, "remove", wrongly)
    said = message_of(lambda: compact(own, own_factors(), OWN_IMAGES), OutputsDiffer)
    assert said.replace("(addmm: ", "(") == (  # some releases of torch name the operation
        "The smaller network does not run (mat1 and mat2 shapes cannot be multiplied "
        "(5x7 and 6x3)). Exclude the layers concerned with find_switches(network, example, "
        "exclude=[…])."
    )


def test_outputs_that_are_not_numbers(own: nn.Module) -> None:
    own.get_submodule("10").bias.data[0] = float("nan")
    said = message_of(lambda: compact(own, own_factors(), OWN_IMAGES), OutputsDiffer)
    assert said.startswith("The smaller network's outputs would differ by nan of the largest")
    assert F.softmax(own(OWN_IMAGES), 1).isnan().any()
