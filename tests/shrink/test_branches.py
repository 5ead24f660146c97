"""Branches that nothing flows through any more: which can go, which stay and why."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.data import ImageData
from snnviz.export import export, load_compact, save_compact
from snnviz.runs import Trainer
from snnviz.shrink import CompactReport, compact
from snnviz.structure import find_switches
from snnviz.training import Schedule
from tests import reference
from tests.networks_at_random import drawn
from tests.shrink.nets import (
    NETWORKS,
    assert_close,
    assert_cut,
    assert_ordinary,
    count,
    few_images,
    half_off,
    images_of,
    scores_of,
    state_of,
)

Way = Callable[[Any, Tensor], Tensor]
IMAGES = images_of(8, 6)


class Net(nn.Module):
    """A way of its own from images to 5 channels, and a head."""

    def __init__(self, way: Way, **layers: nn.Module) -> None:
        super().__init__()
        self.way = way
        self.first = nn.Conv2d(3, 5, 3, padding=1)
        self.inner = nn.Conv2d(5, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.outer = nn.Conv2d(4, 5, 3, padding=1)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.head = nn.Linear(5, 4)

    def branch(self, x: Tensor) -> Tensor:
        return self.outer(F.relu(self.norm(self.inner(x))))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.way(self, images).mean((2, 3)))


def off(net: nn.Module, *groups: str) -> dict[str, Tensor]:
    """Half of all neurons off, and of these groups all."""
    factors = half_off(find_switches(net, IMAGES))
    assert set(groups) <= set(factors)
    return factors | {name: torch.zeros_like(factors[name]) for name in groups}


def compacted(net: nn.Module, factors: dict[str, Tensor]) -> tuple[nn.Module, CompactReport]:
    """In both precisions, with the outputs of the network that is gated."""
    images = IMAGES
    net = drawn(net).eval()
    switches = find_switches(net, images)
    small, report = nn.Module(), None
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        net, images = net.to(dtype), images.to(dtype)
        small, report = compact(net, factors, images, switches=switches, latency=False)
        with torch.no_grad():
            assert_close(small(images), scores_of(net, images, switches, factors), tolerance)
        assert report.difference <= tolerance
        assert count(small, images) == report.after
        assert_cut(small, net, report) if report.removed else assert_ordinary(small, net)
    assert report is not None
    return small, report


def new(small: nn.Module, net: nn.Module) -> set[str]:
    """Tensors that there were not before."""
    return set(small.state_dict()) - set(net.state_dict())


# --- branches that go ----------------------------------------------------------------------------

INNER = ("inner", "norm", "outer")
SHIFT = {"shift.weight", "shift.bias"}


def plain(net: Any, images: Tensor) -> Tensor:
    x = net.first(images)
    return x + net.branch(x)


def behind_relu(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return torch.relu(net.branch(x) + x)


def in_place(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    y = net.branch(x)
    y += x
    return F.relu(y, inplace=True)


def two_branches(net: Any, images: Tensor) -> Tensor:
    x = net.first(images)
    x = torch.add(x, net.branch(x))
    return net.other(x.relu()).add_(x)


def longer(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x + net.last(net.branch(x).relu())


def dropped(net: Any, images: Tensor) -> Tensor:
    x = F.dropout(net.first(images).relu(), 0.5, training=net.training)
    return x + F.dropout(net.branch(x), 0.5, training=net.training)


def as_tokens(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    tokens = x.permute(0, 2, 3, 1)
    return (tokens + net.down(net.up(tokens).relu())).permute(0, 3, 1, 2)


def to_nothing(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return F.relu(x + net.straight(net.norm(net.inner(x)).relu()), inplace=True)


def side_by_side(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    both = torch.cat([net.inner(x), net.norm(net.other(x))], 1).relu()
    return x + net.outer(both)


def squeezed(net: Any, images: Tensor) -> Tensor:
    """Squeeze and excite within the branch: what reads the group also gates it."""
    x = net.first(images).relu()
    y = net.norm(net.inner(x)).relu()
    y = y * net.excite(net.squeeze(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
    return x + net.outer(y)


def twice(net: Any, images: Tensor) -> Tensor:
    x, y = net.first(images), net.first(-images)
    return x + net.branch(y) + y


def used_besides(net: Any, images: Tensor) -> Tensor:
    x = net.first(images)
    return (x + net.branch(x)) * x


def checked(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    y = net.branch(x)
    torch._assert(y.dim() == 4, "no images")
    return x + y


def convolution(into: int, out: int, kernel: int, **options: Any) -> nn.Module:
    return nn.Conv2d(into, out, kernel, **options)


@pytest.mark.parametrize(
    ("net", "groups", "layers", "added"),
    [
        pytest.param(lambda: Net(plain), ["inner"], INNER, set(), id="into a bias"),
        pytest.param(
            lambda: Net(plain, first=convolution(3, 5, 3, padding=1, bias=False)),
            ["inner"],
            INNER,
            {"first.bias"},
            id="into a new bias",
        ),
        pytest.param(lambda: Net(twice), ["inner"], INNER, SHIFT, id="behind a layer of two calls"),
        pytest.param(lambda: Net(used_besides), ["inner"], INNER, SHIFT, id="what is used besides"),
        pytest.param(lambda: Net(checked), ["inner"], INNER, SHIFT, id="with a check in it"),
        pytest.param(lambda: Net(behind_relu), ["inner"], INNER, SHIFT, id="behind an activation"),
        pytest.param(lambda: Net(in_place), ["inner"], INNER, SHIFT, id="added in place"),
        pytest.param(
            lambda: Net(two_branches, other=convolution(5, 5, 1)),
            ["inner"],
            INNER,
            set(),
            id="one of two",
        ),
        pytest.param(
            lambda: Net(saturated),
            ["inner"],
            INNER,
            SHIFT,
            id="that is not read, and gives something",
        ),
        pytest.param(
            lambda: Net(longer, last=convolution(5, 5, 1)),
            ["inner"],
            (*INNER, "last"),
            SHIFT,
            id="through other layers",
        ),
        pytest.param(lambda: Net(dropped), ["inner"], INNER, SHIFT, id="with dropout"),
        pytest.param(
            lambda: Net(as_tokens, up=nn.Linear(5, 9), down=nn.Linear(9, 5)),
            ["up"],
            ("inner", "norm", "outer", "up", "down"),  # three of them are never called
            {"shift"},
            id="channels last",
        ),
        pytest.param(
            lambda: Net(to_nothing, straight=convolution(4, 5, 1, bias=False)),
            ["inner"],
            ("inner", "norm", "outer", "straight"),
            set(),
            id="a constant of 0",
        ),
        pytest.param(
            lambda: Net(
                side_by_side,
                inner=convolution(5, 2, 1),
                other=convolution(5, 4, 1),
                outer=convolution(6, 5, 1),
            ),
            ["inner", "other"],
            ("inner", "norm", "outer", "other"),
            SHIFT,
            id="joined, all off",
        ),
        pytest.param(
            lambda: Net(squeezed, squeeze=convolution(4, 2, 1), excite=convolution(2, 4, 1)),
            ["inner"],
            (*INNER, "squeeze", "excite"),
            SHIFT,
            id="squeeze and excite within",
        ),
    ],
)
def test_a_branch_goes(
    net: Callable[[], nn.Module], groups: list[str], layers: tuple[str, ...], added: set[str]
) -> None:
    net_ = net()
    small, report = compacted(net_, off(net_, *groups))
    assert set(report.removed) == set(groups)
    assert {layer for gone in report.removed.values() for layer in gone} == set(layers)
    assert not report.kept
    assert new(small, net_) == added
    assert all(report.widths[layer][1] == 0 for layer in layers)
    # It still learns, in either mode, and what took the branch's place with it.
    small.train()
    F.cross_entropy(small(IMAGES), torch.arange(6) % 4).backward()
    assert all(parameter.grad is not None for parameter in small.parameters())


def test_functional_dropout_still_follows_the_mode() -> None:
    net = Net(dropped)
    small, _ = compacted(net, off(net, "inner"))
    with torch.no_grad():
        assert torch.equal(small(IMAGES), small(IMAGES))
        small.train()
        assert not torch.allclose(small(IMAGES), small(IMAGES))


def test_what_is_frozen_stays_frozen() -> None:
    net = Net(behind_relu).requires_grad_(False)
    small, _ = compact(net, off(net, "inner"), IMAGES, latency=False)
    assert "shift.bias" in small.state_dict()
    assert not any(parameter.requires_grad for parameter in small.parameters())


def test_each_module_keeps_its_mode_and_the_source_its_state() -> None:
    def way(net: Any, images: Tensor) -> Tensor:
        return net.other(behind_relu(net, images))

    net = drawn(Net(way, other=nn.BatchNorm2d(5)))
    net.get_submodule("other").eval()
    before, values = state_of(net), copy.deepcopy(net.state_dict())
    random = torch.random.get_rng_state()
    small, report = compact(net, off(net, "inner"), IMAGES, latency=False)
    assert report.removed
    assert torch.equal(random, torch.random.get_rng_state())
    assert small.training
    assert not small.get_submodule("other").training
    assert small.get_submodule("head").training
    assert state_of(net) == before
    assert all(torch.equal(value, values[name]) for name, value in net.state_dict().items())


def test_a_group_within_a_branch_that_goes() -> None:
    net = Net(longer, last=convolution(5, 5, 1))
    _, report = compacted(net, off(net, "inner", "outer"))
    assert report.removed == {"inner": (*INNER, "last"), "outer": ()}
    assert str(report).splitlines()[-2:] == [
        "inner is entirely off, removed: inner, norm, outer, last",
        "outer is entirely off, removed with the branch it was in",
    ]


# --- branches that stay --------------------------------------------------------------------------


def in_a_row(net: Any, images: Tensor) -> Tensor:
    return net.branch(net.first(images).relu()).relu()


def joined(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return net.last(torch.cat([x, net.branch(x)], 1))


def gate(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x * net.branch(x).sigmoid()


def with_others(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x + net.outer(torch.cat([net.norm(net.inner(x)), net.other(x)], 1).relu())


def at_edges(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x + net.last(net.branch(x).relu())


def saturated(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x + net.outer(net.norm(net.inner(x)).sigmoid())


def framed(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x + F.pad(net.branch(x)[:, :, 1:-1, 1:-1], (1, 1, 1, 1), value=7.0)


def spread(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x.mean((2, 3), keepdim=True) + net.branch(x)


def used_again(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    y = z = x * 2
    y += net.branch(x)
    return y + z


def changing_the_stream(net: Any, images: Tensor) -> Tensor:
    x = net.first(images)
    return x + net.branch(F.relu(x, inplace=True))


def chosen(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).relu()
    return x + net.branch(x) if images.shape[2] > 4 else x


MUL = "its output goes into mul, and is not only added"


@pytest.mark.parametrize(
    ("net", "groups", "why"),
    [
        pytest.param(
            lambda: Net(in_a_row),
            ["inner"],
            "the class scores depend on the images only through it",
            id="in a row",
        ),
        pytest.param(
            lambda: Net(joined, last=convolution(10, 5, 1)),
            ["inner"],
            "its output goes into cat, and is not only added",
            id="concatenation",
        ),
        pytest.param(lambda: Net(gate), ["inner"], MUL, id="multiplication"),
        pytest.param(
            lambda: Net(squeezed, squeeze=convolution(4, 2, 1), excite=convolution(2, 4, 1)),
            ["squeeze"],
            MUL,
            id="squeeze and excite",
        ),
        pytest.param(
            lambda: Net(with_others, other=convolution(5, 2, 1), outer=convolution(6, 5, 1)),
            ["inner"],
            "outer reads other neurons as well",
            id="read with others",
        ),
        pytest.param(
            lambda: Net(at_edges, last=convolution(5, 5, 3, padding=1)),
            ["inner"],
            "its output differs at the edges that last pads",
            id="padding",
        ),
        pytest.param(
            lambda: Net(framed),
            ["inner"],
            "its output differs between image positions",
            id="a frame",
        ),
        pytest.param(
            lambda: Net(spread),
            ["inner"],
            "its output is added to a tensor of another shape",
            id="another shape",
        ),
        pytest.param(
            lambda: Net(used_again),
            ["inner"],
            "it is added in place to a tensor that is used again",
            id="in place",
        ),
        pytest.param(
            lambda: Net(changing_the_stream),
            ["inner"],
            "without its branch the outputs would differ",
            id="its activation changes the stream",
        ),
        pytest.param(
            lambda: Net(chosen),
            ["inner"],
            "the network cannot be described as layers and calls: its forward pass cannot be "
            "traced (symbolically traced variables cannot be used as inputs to control flow)",
            id="control flow",
        ),
    ],
)
def test_a_branch_stays(net: Callable[[], nn.Module], groups: list[str], why: str) -> None:
    net_ = net()
    _, report = compacted(net_, off(net_, *groups))
    assert not report.removed
    assert report.kept == dict.fromkeys(groups, why)
    assert all(report.widths[group][1] == 1 for group in groups)
    assert str(report).splitlines()[-1] == (
        f"{groups[0]} is entirely off, one neuron was kept with weights of 0: {why}"
    )


def test_one_goes_and_another_stays() -> None:
    def way(net: Any, images: Tensor) -> Tensor:
        return net.last(behind_relu(net, images)).relu()

    net = Net(way, last=convolution(5, 5, 1))
    factors = off(net, "inner", "last")
    images, net = IMAGES, drawn(net).eval()
    small, report = compact(net, factors, images, latency=False)
    assert report.removed == {"inner": INNER}
    assert report.kept == {"last": "the class scores depend on the images only through it"}
    with torch.no_grad():
        assert float((small(images) - net.get_submodule("head").bias).abs().max()) < 1e-6


# --- networks that people use --------------------------------------------------------------------

LAYERS_OF_BLOCK = ("conv1", "bn1", "conv2", "bn2")


def of_block(block: str) -> tuple[str, ...]:
    return tuple(f"{block}.{layer}" for layer in LAYERS_OF_BLOCK)


def of_mlp(mlp: str, norm: str, *layers: str) -> tuple[str, ...]:
    return (norm, *(f"{mlp}.{layer}" for layer in layers))


KNOWN: dict[str, dict[str, tuple[str, ...]]] = {
    "resnet18": {
        "layer1.0.conv1": of_block("layer1.0"),
        "layer2.0.conv1": of_block("layer2.0"),  # the way past it has a layer of its own
        "layer4.1.conv1": of_block("layer4.1"),
    },
    "resnet20": {
        "layer1.2.conv1": of_block("layer1.2"),
        "layer3.0.conv1": of_block("layer3.0"),
    },
    "convnext_tiny": {
        f"{block}.block.3": (
            block,
            *(f"{block}.block.{i}" for i in (0, 2, 3, 5)),
        )
        for block in ("features.1.0", "features.7.2")
    },
    "vit_tiny": {
        f"encoder.layers.encoder_layer_{i}.mlp.0": tuple(
            f"encoder.layers.encoder_layer_{i}.{layer}" for layer in ("ln_2", "mlp.0", "mlp.3")
        )
        for i in (0, 11)
    }
    | {
        f"{block}.self_attention": tuple(
            f"{block}.{layer}" for layer in ("ln_1", "self_attention", "self_attention.out_proj")
        )
        for block in ("encoder.layers.encoder_layer_5",)
    },
}


@pytest.fixture(scope="module", params=KNOWN)
def known(request: pytest.FixtureRequest) -> tuple[str, nn.Module, nn.Module, Tensor]:
    """The name, a network, and it with half of its neurons off and some branches gone."""
    torch.manual_seed(0)
    build, side = NETWORKS[request.param]
    net, images, expected = drawn(build(few_images(side)).eval()), images_of(side), None
    switches = find_switches(net, images)
    gone = KNOWN[request.param]
    factors = half_off(switches)
    factors |= {name: torch.zeros_like(factors[name]) for name in gone}
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        net, images = net.to(dtype), images.to(dtype)
        small, report = compact(net, factors, images, switches=switches, latency=False)
        with torch.no_grad():
            expected = scores_of(net, images, switches, factors)
            assert_close(small(images), expected, tolerance)
    assert report.removed == gone
    assert not report.kept
    assert_cut(small, net, report)
    assert report.after.parameters == count(small, images).parameters
    if request.param != "vit_tiny":  # attention counts, but no layer of ours
        assert report.after.macs == count(small, images).macs
    return request.param, net, small, images


def tiny(name: str) -> ImageData:
    return few_images(NETWORKS[name][1])


def test_known_networks_are_saved_and_exported(
    known: tuple[str, nn.Module, nn.Module, Tensor], tmp_path: Path
) -> None:
    name, net, small, images = known
    save_compact(small, tmp_path / "small", images)
    loaded = load_compact(tmp_path / "small")
    ours, theirs = small.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert export(small, tmp_path / "small.pt2", images) <= 1e-5
    if name in ("resnet20", "vit_tiny"):  # a layer, and a parameter, in a branch's place
        assert export(small, tmp_path / "small.onnx", images) <= 1e-4
    size = sum(file.stat().st_size for file in (tmp_path / "small").iterdir())
    assert size < 0.8 * sum(p.numel() * 4 for p in net.parameters())


def test_known_networks_are_switched_afresh(
    known: tuple[str, nn.Module, nn.Module, Tensor],
) -> None:
    name, net, small, images = known
    small, before = copy.deepcopy(small).train(), find_switches(net, images)
    plan = Schedule(
        epochs=3, batch_size=4, warmup_epochs=0, freeze_epochs=0, task_steps=1, task_lr=0.01
    )
    trainer = Trainer(small, tiny(name), plan, device="cpu", precision="float32")
    # All that could be switched before can be still, but for what is gone.
    layers = set(dict(small.named_modules()))
    left = [set(g.writers) & layers for key, g in before.groups.items() if key not in KNOWN[name]]
    found = [set(group.writers) for group in trainer.switches.groups.values()]
    new_layers = layers - set(dict(net.named_modules()))
    assert [writers - new_layers for writers in found] == left
    if name.startswith("resnet"):  # a layer in a branch's place is one more writer of the stream
        assert len(new_layers) == 2 - ("layer3.0.conv1" in KNOWN[name])
        assert new_layers <= set().union(*found)
    start = {key: value.clone() for key, value in small.named_parameters()}
    records = [trainer.step() for _ in range(6)]
    assert [record.phase for record in records] == ["task", "switcher"] * 3
    assert all(bool(torch.isfinite(record.measured).all()) for record in records)
    shifts = [key for key in start if "shift" in key]
    assert len(shifts) == {"resnet18": 4, "resnet20": 2, "convnext_tiny": 4, "vit_tiny": 3}[name]
    assert all(not torch.equal(start[key], small.get_parameter(key)) for key in shifts)
    factors = half_off(trainer.switches)
    again, report = compact(trainer, factors, latency=False)
    assert report.before.parameters == sum(p.numel() for p in small.parameters())
    assert report.after == count(again.eval(), images) or name == "vit_tiny"
    assert report.difference <= 1e-4


def test_a_trained_network_loses_a_branch_and_trains_on() -> None:
    data = reference.tiny_data()
    net = drawn(reference.Residual())
    plan = Schedule(epochs=4, batch_size=20, warmup_epochs=0)
    trainer = Trainer(net, data, plan, device="cpu", precision="float32")
    trainer.run(progress=False)
    factors = dict(trainer.factors) | {"inner": torch.zeros(5)}
    small, report = compact(trainer, factors, latency=False)
    assert report.removed == {"inner": ("inner", "norm", "second")}
    assert type(small).__module__.startswith("torch.fx.")
    again = Trainer(small, data, plan, device="cpu", precision="float32")
    assert list(again.factors) == ["first", "hidden"]
    again.run(progress=False)
    losses = again.history.epochs.train_loss
    assert losses.iloc[-1] < losses.iloc[0]
