"""Which switch groups are found in a network, and what is left alone and why."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torchvision.ops import FrozenBatchNorm2d

from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import describe, find_switches
from snnviz.training import Schedule
from tests import reference
from tests.helpers import example, message_of
from tests.networks_at_random import drawn
from tests.reference import BUILD, LAYERS, Residual

Sequential = nn.Sequential

OUTPUTS = "these are the network's outputs"


# --- groups --------------------------------------------------------------------------------------


class Group(NamedTuple):
    """What a test says of a group."""

    neurons: int
    writers: dict[str, str | None]  # and the norm right behind each
    scaled: set[str]
    readers: set[str]


def group(neurons: int, writers: str, scaled: str, readers: str) -> Group:
    """Names in one string each; `conv+norm` is a writer with its norm."""
    pairs = (writer.partition("+") for writer in writers.split())
    norms = {writer: norm or None for writer, _, norm in pairs}
    return Group(neurons, norms, set(scaled.split()), set(readers.split()))


def groups_of(network: nn.Module, shape: tuple[int, ...] = (3, 8, 8)) -> dict[str, Group]:
    found = find_switches(network, example(shape))
    groups = {}
    for name, g in found.groups.items():
        assert len(set(g.scaled)) == len(g.scaled)
        norms = dict(zip(g.writers, g.norms, strict=True))
        groups[name] = Group(g.neurons, norms, set(g.scaled), set(g.readers))
        assert g.name == name
    return groups


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        (
            "mlp",
            {"fc1": group(300, "fc1", "fc1", "fc2"), "fc2": group(100, "fc2", "fc2", "scores")},
        ),
        (
            "lenet5",
            {
                "conv1": group(20, "conv1", "conv1", "conv2"),
                "conv2": group(50, "conv2", "conv2", "fc1"),
                "fc1": group(500, "fc1", "fc1", "scores"),
            },
        ),
        (
            "vgg_small",
            {
                "conv1": group(32, "conv1+norm1", "norm1", "conv2"),
                "conv2": group(32, "conv2+norm2", "norm2", "conv3"),
                "conv3": group(64, "conv3+norm3", "norm3", "conv4"),
                "conv4": group(64, "conv4+norm4", "norm4", "fc1"),
                "fc1": group(256, "fc1", "fc1", "scores"),
            },
        ),
        (
            "own",
            {
                "0": group(6, "0+1", "1", "4"),
                "4": group(4, "4", "4", "7"),
                "7": group(7, "7+8", "8", "10"),
            },
        ),
        (
            "residual",
            {
                "first": group(6, "first second", "first second", "inner hidden"),
                "inner": group(5, "inner+norm", "norm", "second"),
                "hidden": group(9, "hidden", "hidden", "head"),
            },
        ),
    ],
)
def test_groups(name: str, groups: dict[str, Group]) -> None:
    build, shape = BUILD[name]
    found = groups_of(build(), shape)
    assert found == groups
    assert list(found) == list(groups)
    last = list(dict(build().named_modules()))[-1]
    assert find_switches(build(), example(shape)).left_alone == {last: OUTPUTS}


def hidden(*before: nn.Module, width: int = 216) -> nn.Module:
    """A network whose first layers are in question, and whose last hidden layer is not."""
    layers = (*before, nn.Flatten(), nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, 4))
    return Sequential(*layers)


class Net(nn.Module):
    """Layers by name, and how the images go through them to the 5 hidden units and the scores."""

    def __init__(self, forward: Callable[..., Tensor], width: int, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.way = forward
        self.hidden, self.head = nn.Linear(width, 5), nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.relu(self.hidden(self.way(self, images).flatten(1))))


def raw_and_normed() -> nn.Module:
    """A layer that is read both before and behind its norm."""

    def way(net: Any, images: Tensor) -> Tensor:
        raw = net.conv(images)
        return raw + torch.relu(net.norm(raw))

    return Net(way, 216, conv=nn.Conv2d(3, 6, 3), norm=nn.BatchNorm2d(6))


def two_norms() -> nn.Module:
    """A layer with two norms side by side."""

    def way(net: Any, images: Tensor) -> Tensor:
        raw = net.conv(images)
        return net.second(raw) + torch.relu(net.norm(raw))

    norms = {"norm": nn.BatchNorm2d(6), "second": nn.BatchNorm2d(6)}
    return Net(way, 216, conv=nn.Conv2d(3, 6, 3), **norms)


def second_writer_normed() -> nn.Module:
    """A residual block without a norm on the way past it."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.first(images)
        return torch.relu(x + net.norm(net.second(torch.relu(x))))

    convolutions = {"first": nn.Conv2d(3, 6, 3), "second": nn.Conv2d(6, 6, 3, padding=1)}
    return Net(way, 216, **convolutions, norm=nn.BatchNorm2d(6))


def joined(outer: int = 1) -> nn.Module:
    """Two layers side by side, whose outputs are joined and read by a convolution in parts."""

    def way(net: Any, images: Tensor) -> Tensor:
        return net.c(torch.cat([net.a(images), net.b(images)], -3).relu())

    layers = {"a": nn.Conv2d(3, 4, 3), "b": nn.Conv2d(3, 2, 3)}
    return Net(way, 6 * 36, **layers, c=nn.Conv2d(6, 6, 1, groups=outer))


def dense() -> nn.Module:
    """As in DenseNet: what is added to the list so far is normed again at each reader."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.first(images)
        x = torch.cat([x, net.second(torch.relu(net.norm1(x)))], 1)
        return torch.relu(net.norm2(x))

    norms = {"norm1": nn.BatchNorm2d(4), "norm2": nn.BatchNorm2d(7)}
    layers = {"first": nn.Conv2d(3, 4, 3), "second": nn.Conv2d(4, 3, 3, padding=1)}
    return Net(way, 7 * 36, **layers, **norms)


def twice() -> nn.Module:
    """Joined to itself, so that each neuron has two places, and a layer that ties them."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.first(images).relu()
        return net.depthwise(torch.cat([x, x], 1))

    depthwise = nn.Conv2d(8, 8, 1, groups=8)
    return Net(way, 8 * 36, first=nn.Conv2d(3, 4, 3), depthwise=depthwise)


def side_by_side() -> nn.Module:
    """Two groups that both begin in the layer `wide`."""

    def way(net: Any, images: Tensor) -> Tensor:
        pair = torch.cat([net.a(images), net.b(images)], 1)
        return (net.wide(images) * 2 * 2 + pair).relu()

    layers = {"a": nn.Conv2d(3, 4, 3), "b": nn.Conv2d(3, 2, 3)}
    return Net(way, 6 * 36, wide=nn.Conv2d(3, 6, 3), **layers)


def shared_convolution() -> nn.Module:
    """One convolution, run twice."""

    def way(net: Any, images: Tensor) -> Tensor:
        return net.again(net.again(net.first(images).relu()).relu())

    return Net(way, 216, first=nn.Conv2d(3, 6, 3), again=nn.Conv2d(6, 6, 3, padding=1))


@pytest.mark.parametrize(
    ("network", "groups"),
    [
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 1, groups=6), nn.ReLU()),
            {"0": group(6, "0 2", "0 2", "5"), "5": group(5, "5", "5", "7")},
            id="depthwise convolution",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3, groups=2), width=64),
            {
                "0": group(3, "0", "0", "2"),
                "2": group(2, "2", "2", "4"),
                "4": group(5, "4", "4", "6"),
            },
            id="grouped convolution",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.PReLU(6)),
            {"0": group(6, "0", "0", "3"), "3": group(5, "3", "3", "5")},
            id="prelu with a number each",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.PReLU()),
            {"0": group(6, "0", "0", "3"), "3": group(5, "3", "3", "5")},
            id="prelu with one number",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.BatchNorm2d(6)),
            {"0": group(6, "0", "2", "4"), "4": group(5, "4", "4", "6")},
            id="norm behind the activation",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.BatchNorm2d(6)),
            {"0": group(6, "0+1", "2", "4"), "4": group(5, "4", "4", "6")},
            id="two norms",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.InstanceNorm2d(6, affine=True), nn.ReLU()),
            {"0": group(6, "0", "1", "4"), "4": group(5, "4", "4", "6")},
            id="instance norm",
        ),
        pytest.param(
            raw_and_normed(),
            {
                "conv": group(6, "conv", "conv norm", "hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="read before the norm too",
        ),
        pytest.param(
            two_norms(),
            {
                "conv": group(6, "conv", "norm second", "hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="two norms side by side",
        ),
        pytest.param(
            second_writer_normed(),
            {
                "first": group(6, "first second+norm", "first norm", "second hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="second writer of a block normed",
        ),
        pytest.param(
            joined(),
            {
                "a": group(4, "a", "a", "c"),
                "b": group(2, "b", "b", "c"),
                "c": group(6, "c", "c", "hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="joined",
        ),
        pytest.param(
            joined(6),
            {
                "a": group(6, "a b c", "a b c", "hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="joined and read channel by channel",
        ),
        pytest.param(
            dense(),
            {
                "first": group(4, "first", "norm1 norm2", "second hidden"),
                "second": group(3, "second", "norm2", "hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="dense",
        ),
        pytest.param(
            twice(),
            {
                "first": group(4, "first depthwise", "first depthwise", "hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="joined to itself",
        ),
        pytest.param(
            side_by_side(),
            {
                "wide": group(4, "wide a", "wide a", "hidden"),
                "b": group(2, "wide b", "wide b", "hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="two groups in one layer",
        ),
        pytest.param(
            shared_convolution(),
            {
                "first": group(6, "first again", "first again", "again hidden"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="a convolution that runs twice",
        ),
    ],
)
def test_groups_of_other_kinds(network: nn.Module, groups: dict[str, Group]) -> None:
    """And they are right, for the network without half of them gives the same."""
    assert groups_of(network) == groups
    drawn(network).eval()
    switches = find_switches(network, example())
    factors = {k: 1.5 * (torch.arange(g.neurons) % 2) for k, g in switches.groups.items()}
    images = example(n=6)
    small, report = compact(network, factors, images, tolerance=1e-6, latency=False)
    assert report.after.parameters == sum(p.numel() for p in small.parameters())
    assert report.after.parameters < report.before.parameters


# --- left alone ----------------------------------------------------------------------------------


def tied() -> nn.Module:
    def way(net: Any, images: Tensor) -> Tensor:
        x = images.flatten(1)
        for layer in (net.a, net.b, net.c):
            x = torch.relu(layer(x))
        return x

    net = Net(way, 7, a=nn.Linear(192, 7), b=nn.Linear(7, 7), c=nn.Linear(7, 7))
    net.get_submodule("c").weight = net.get_submodule("b").weight
    return net


def plus_itself() -> nn.Module:
    """The images themselves are in what is read, whatever the factors."""
    return Net(lambda net, images: images + net.conv(images), 192, conv=nn.Conv2d(3, 3, 1))


def one_for_all() -> nn.Module:
    """One channel is added to each of six."""

    def way(net: Any, images: Tensor) -> Tensor:
        return net.six(images) + net.one(images)

    return Net(way, 216, six=nn.Conv2d(3, 6, 3), one=nn.Conv2d(3, 1, 3))


def squeezed() -> nn.Module:
    """Batch norm's own channels are joined to a stream that the images are part of."""

    def way(net: Any, images: Tensor) -> Tensor:
        return net.depthwise(torch.cat([images, net.conv(images)], 1))

    depthwise = nn.Conv2d(5, 5, 1, groups=5)
    return Net(way, 320, conv=nn.Conv2d(3, 2, 1), depthwise=depthwise)


def in_parts_with_others() -> nn.Module:
    """Places of the two parts are different neurons."""
    return joined(2)


def shuffled() -> nn.Module:
    """Channels change places, as in ShuffleNet."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.conv(images)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w).relu()

    return Net(way, 216, conv=nn.Conv2d(3, 6, 3))


def turned() -> nn.Module:
    """Channels change places in a way that only running it shows."""
    return Net(lambda net, images: net.conv(images).flip(1), 216, conv=nn.Conv2d(3, 6, 3))


def halves() -> nn.Module:
    def way(net: Any, images: Tensor) -> Tensor:
        a, b = net.conv(images).chunk(2, 1)
        return a.relu() + b.relu()

    return Net(way, 108, conv=nn.Conv2d(3, 6, 3))


def own_parameter() -> nn.Module:
    """It has not been learned yet, and is frozen, so that nothing comes of it so far."""
    net = Net(lambda net, images: net.conv(images) + net.extra, 216, conv=nn.Conv2d(3, 6, 3))
    net.register_parameter("extra", nn.Parameter(torch.zeros(6, 1, 1), requires_grad=False))
    return net


def own_constant() -> nn.Module:
    """A constant that autograd knows nothing of, joined to the channels."""

    def way(net: Any, images: Tensor) -> Tensor:
        return torch.cat([torch.ones(len(images), 1, 6, 6), net.conv(images)], 1).relu()

    return Net(way, 252, conv=nn.Conv2d(3, 6, 3))


MIXES = "mixes its neurons, so none could be taken out"
FOLLOWED = "in a way that cannot be followed"


def reach(reader: str) -> str:
    return f"off neurons would still reach {reader}: what lies between does not keep 0 at 0"


@pytest.mark.parametrize(
    ("network", "left_alone"),
    [
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.ReLU()),
            {"0": f"weighted only: GroupNorm {MIXES}"},
            id="group norm",
        ),
        pytest.param(
            hidden(nn.Flatten(), nn.Linear(192, 7), nn.LayerNorm(7), nn.ReLU(), width=7),
            {"1": f"weighted only: LayerNorm {MIXES}"},
            id="layer norm",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, affine=False), nn.ReLU()),
            {"0": "BatchNorm2d has no scale and shift to fold a factor into"},
            id="norm without scale",
        ),
        pytest.param(hidden(nn.Conv2d(3, 6, 3), nn.Sigmoid()), {"0": reach("3")}, id="sigmoid"),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus()),
            {"0": reach("4")},
            id="softplus",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), FrozenBatchNorm2d(6), nn.ReLU()),
            {"0": reach("4")},
            id="frozen norm, whose shift happens to be 0",
        ),
        pytest.param(hidden(nn.Conv2d(3, 6, 3), nn.Softmax2d()), {"0": reach("3")}, id="softmax"),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.GLU(1), width=108),
            {"0": "what lies before 3 changes how many there are"},
            id="gated linear unit",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(6, 6, 1)),
            {"0": "ConvTranspose2d mixes or ties its neurons"},
            id="read by a layer of another kind",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 3, 3, groups=3), width=108),
            {"0": "they are tied to the channels of the images"},
            id="depthwise convolution of the images",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 1, groups=4), width=288),
            {
                "0": "Conv2d takes them in parts, together with others",
                "1": "Conv2d takes them in parts, together with others",
            },
            id="two outputs for each channel",
        ),
        pytest.param(
            tied(),
            {
                "b": "Linear shares its parameters with another layer",
                "c": "Linear shares its parameters with another layer",
            },
            id="tied weights",
        ),
        pytest.param(
            plus_itself(),
            {"conv": "they are tied to the channels of the images"},
            id="plus the images",
        ),
        pytest.param(
            one_for_all(),
            dict.fromkeys(("six", "one"), "what lies before one changes how many there are"),
            id="one channel for all",
        ),
        pytest.param(
            squeezed(),
            dict.fromkeys(("conv", "depthwise"), "they are tied to the channels of the images"),
            id="joined to the images",
        ),
        pytest.param(
            in_parts_with_others(),
            {
                "a": "Conv2d takes them in parts, together with others",
                "b": "Conv2d takes them in parts, together with others",
            },
            id="in parts, with others",
        ),
        pytest.param(
            shuffled(), {"conv": f"ReshapeOp moves their places {FOLLOWED}"}, id="shuffle"
        ),
        pytest.param(turned(), {"conv": reach("hidden")}, id="turned"),
        pytest.param(halves(), {"conv": "SplitOp mixes or ties its neurons"}, id="halves"),
        pytest.param(own_parameter(), {"conv": "Parameter mixes or ties its neurons"}, id="own"),
        pytest.param(
            own_constant(), {"conv": f"ConcatOp moves their places {FOLLOWED}"}, id="constant"
        ),
    ],
)
def test_left_alone(network: nn.Module, left_alone: dict[str, str]) -> None:
    found = find_switches(network, example())
    outputs = "head" if hasattr(network, "head") else list(dict(network.named_modules()))[-1]
    assert found.left_alone == {**left_alone, outputs: OUTPUTS}
    assert not found.groups.keys() & left_alone.keys()
    assert found.size().parameters == sum(p.numel() for p in network.parameters())
    # What is found works.
    drawn(network).eval()
    factors = {k: 1.5 * (torch.arange(g.neurons) % 2) for k, g in found.groups.items()}
    _, report = compact(network, factors, example(n=6), tolerance=1e-6, latency=False)
    assert report.after.parameters < report.before.parameters


COMPUTES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "spectral_norm of old": nn.utils.spectral_norm,
    "weight_norm of old": nn.utils.weight_norm,
    "spectral_norm": nn.utils.parametrizations.spectral_norm,
    "weight_norm": nn.utils.parametrizations.weight_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
    "pruned": partial(prune.l1_unstructured, name="weight", amount=0.3),
}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("how", COMPUTES)
def test_weights_that_are_computed(how: str, norm: bool) -> None:
    """What such a layer writes and reads stays on; it trains, and what is left can be compacted."""
    network = hidden(
        nn.Conv2d(1, 6, 3), nn.ReLU(), COMPUTES[how](nn.Conv2d(6, 6, 3)),
        nn.BatchNorm2d(6) if norm else nn.Identity(), nn.ReLU(), width=96,
    )  # fmt: skip
    data = reference.tiny_data()
    plan = Schedule(epochs=2, batch_size=20, task_steps=1, warmup_epochs=0)
    trainer = Trainer(network, data, plan, device="cpu", precision="float32")
    assert list(trainer.switches.groups) == ["6"]
    why = "2 computes its weights from other parameters"
    assert trainer.switches.left_alone == {"0": why, "2": why, "8": OUTPUTS}
    before = [p.clone() for p in network.get_submodule("2").parameters()]
    trainer.run(progress=False)
    after = network.get_submodule("2").parameters()
    assert not any(map(torch.equal, before, after))
    trainer.pin("6", 0, on=False)
    small, report = compact(trainer, latency=False)
    assert report.widths["6"] == (5, int((trainer.factors["6"] > 0).sum()))
    images = data.batch("test", torch.arange(8))[0]
    torch.testing.assert_close(small.eval()(images), trainer.logits(images), rtol=1e-4, atol=1e-5)
    trainer.branch(trainer.epoch_end).step()


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
            nn.GroupNorm(2, 6), torch.relu, f"weighted only: GroupNorm {MIXES}", id="group norm"
        ),
        pytest.param(None, torch.sigmoid, reach("second"), id="sigmoid"),
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


def test_a_layer_that_tells_why_is_never_a_writer() -> None:
    for network in (tied(), halves(), squeezed()):
        found = find_switches(network, example())
        writers = {writer for g in found.groups.values() for writer in g.writers}
        assert not writers & found.left_alone.keys()


@pytest.mark.parametrize(
    ("patterns", "groups", "excluded"),
    [
        ((), ["0", "4", "7"], []),
        (["0"], ["4", "7"], ["0"]),
        (["[04]"], ["7"], ["0", "4"]),
        (["none such", "7"], ["0", "4"], ["7"]),
    ],
)
def test_exclude(patterns: list[str], groups: list[str], excluded: list[str]) -> None:
    found = find_switches(reference.own(), example((1, 8, 8)), patterns)
    assert list(found.groups) == groups
    reasons = dict.fromkeys(excluded, "excluded by the user")
    assert found.left_alone == {**reasons, "10": OUTPUTS}


def test_exclude_by_any_writer() -> None:
    found = find_switches(Residual(), example((1, 8, 8)), ["sec*"])
    assert list(found.groups) == ["inner", "hidden"]
    excluded = dict.fromkeys(("first", "second"), "excluded by the user")
    assert found.left_alone == {**excluded, "head": OUTPUTS}


# --- errors --------------------------------------------------------------------------------------


class Chooses(nn.Module):
    """Which layer runs is decided by the data."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.hidden, self.other, self.head = nn.Linear(192, 6), nn.Linear(192, 6), nn.Linear(6, 4)
        self.how = how

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        if self.how == "if":
            layer = self.hidden if x.sum() > 0 else self.other
            return self.head(layer(x).relu())
        if self.how == "item":
            return self.head(self.hidden(x) * x.max().item())
        return self.head(self.hidden(x)[x.sum(1) < 1e9])


class Picky(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError("I take 28 x 28 pixels")


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(192, 4)

    def forward(self, images: Tensor) -> Any:
        return self.head(images.flatten(1)), images


class NoCopy(nn.Sequential):
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("I am\nthe only one.")


RUNS = "network does not run on images of shape (2, 3, 8, 8): "
CHECK = "Check that its first layer takes images of this shape."
SCORES = "network must return class scores of shape (2, classes) for 2 images, got "
NOTHING = "A network needs at least one hidden linear or convolution layer."


@pytest.mark.parametrize(
    ("network", "message"),
    [
        pytest.param(Picky(), f"{RUNS}I take 28 x 28 pixels. {CHECK}", id="other images"),
        pytest.param(
            NoCopy(nn.Flatten(), nn.Linear(192, 4)),
            "network cannot be copied (I am). It must hold nothing that copy.deepcopy refuses, "
            "such as a tensor that was computed with gradients.",
            id="no copy",
        ),
        pytest.param(nn.Conv2d(3, 4, 3), f"{SCORES}(2, 4, 6, 6).", id="wrong shape"),
        pytest.param(
            Sequential(nn.Flatten(0), nn.Unflatten(0, (4, 96)), nn.Linear(96, 4)),
            f"{SCORES}(4, 4).",
            id="wrong number of rows",
        ),
        pytest.param(Pair(), f"{SCORES}tuple.", id="several outputs"),
        pytest.param(
            Sequential(nn.Flatten(), nn.Linear(192, 4)),
            f"network has no neurons that can be switched (1: {OUTPUTS}). {NOTHING}",
            id="no hidden layer",
        ),
        pytest.param(
            Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "network has no neurons that can be switched "
            f"(it has no linear or convolution layer). {NOTHING}",
            id="no layer at all",
        ),
        pytest.param(
            Sequential(nn.Flatten(), nn.Linear(192, 7), nn.Sigmoid(), nn.Linear(7, 4)),
            f"network has no neurons that can be switched (1: {reach('3')}; 3: {OUTPUTS}). "
            f"{NOTHING}",
            id="none that can be switched",
        ),
    ],
)
def test_errors(network: nn.Module, message: str) -> None:
    assert message_of(lambda: find_switches(network, example())) == message


IMAGES = "example must be a tensor of normalised images (n, channels, height, width), as floats, "
SOME = "Some test images will do: data.batch('test', torch.arange(8))[0]."


@pytest.mark.parametrize(
    ("images", "message"),
    [
        pytest.param(None, f"{IMAGES}got NoneType. {SOME}", id="none"),
        pytest.param([[0.0]], f"{IMAGES}got list. {SOME}", id="list"),
        pytest.param(example()[0], f"{IMAGES}got the shape (3, 8, 8). {SOME}", id="one image"),
        pytest.param(example(n=0), f"{IMAGES}got the shape (0, 3, 8, 8). {SOME}", id="no images"),
        pytest.param(
            example().byte(), f"{IMAGES}got values of torch.uint8. {SOME}", id="not normalised"
        ),
        pytest.param(
            example((1, 8, 8)),
            f"network does not run on images of shape (2, 1, 8, 8): TORCH. {CHECK}",
            id="too few channels",
        ),
        pytest.param(
            example().double(),
            f"{RUNS}TORCH. Its parameters are torch.float32 and the images torch.float64: convert "
            "the images with .to(torch.float32).",
            id="another dtype",
        ),
        pytest.param(
            example().to("meta"),
            f"{RUNS}TORCH. Its parameters are on cpu and the images on meta: move one of them "
            "with .to(…).",
            id="another device",
        ),
    ],
)
@pytest.mark.parametrize("call", [find_switches, partial(describe, show=False)])
def test_a_wrong_example(call: Callable[..., Any], images: Any, message: str) -> None:
    network = Sequential(nn.Flatten(), nn.Linear(192, 7), nn.ReLU(), nn.Linear(7, 4))
    first = next(iter(network.parameters()))
    first.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    kept = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    if "TORCH" in message:  # whose words differ from version to version
        said = message_of(lambda: network(images), RuntimeError)
        message = message.replace("TORCH", said.rstrip("."))
    assert message_of(lambda: call(network, images)) == message
    assert_untouched(network, before, kept, True)


def test_no_network() -> None:
    said = "network must be a torch.nn.Module, got str. Build one first, for example with "
    assert message_of(lambda: find_switches("lenet5", example())) == (  # type: ignore[arg-type]
        f"{said}network('lenet5', data)."
    )


def test_a_trainer_on_images_that_the_network_does_not_take() -> None:
    data = reference.tiny_data((3, 8, 8))
    network = reference.own()
    network.get_submodule("4").requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    kept = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    assert message_of(lambda: Trainer(network, data, device="cpu")) == (
        f"{RUNS}Given groups=1, weight of size [6, 1, 3, 3], expected input[2, 3, 8, 8] to have 1 "
        f"channels, but got 3 channels instead. {CHECK}"
    )
    assert_untouched(network, before, kept, True)


def wrapped(network: nn.Module) -> nn.Module:
    """As `DistributedDataParallel(network)` in a process group."""
    made = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(made)
    made.module = network
    return made


def plain() -> nn.Module:
    return hidden(nn.Conv2d(1, 6, 3), nn.ReLU())


ORDINARY = "network must be an ordinary torch.nn.Module, and "
INSIDE = "network must be the module itself, and "
ONCE = "are not known yet. Run it on some images first: network(images)."


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize(
    ("build", "message"),
    [
        pytest.param(
            lambda: torch.jit.script(plain()),
            f"{ORDINARY}this one was compiled by torch.jit. Pass the module that it was made from.",
            id="script",
        ),
        pytest.param(
            lambda: Sequential(nn.Identity(), torch.jit.script(plain())),
            f"{ORDINARY}its layer '1' was compiled by torch.jit. "
            "Pass the module that it was made from.",
            id="script within",
        ),
        pytest.param(
            lambda: torch.compile(plain()),
            f"{ORDINARY}this one was compiled by torch.compile. "
            "Pass the module that it was made from.",
            id="compiled",
        ),
        pytest.param(
            lambda: nn.DataParallel(plain()),
            f"{INSIDE}this one was wrapped in DataParallel. Pass the one inside: network.module.",
            id="data parallel",
        ),
        pytest.param(
            lambda: wrapped(plain()),
            f"{INSIDE}this one was wrapped in DistributedDataParallel. "
            "Pass the one inside: network.module.",
            id="distributed",
        ),
        pytest.param(
            lambda: Sequential(nn.DataParallel(plain())),
            f"{INSIDE}its layer '0' was wrapped in DataParallel. "
            "Pass the one inside: network.get_submodule('0').module.",
            id="data parallel within",
        ),
        pytest.param(
            lambda: Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(4)),
            f"network must have run once, for the sizes of 2 (LazyLinear) {ONCE}",
            id="lazy",
        ),
        pytest.param(
            lambda: nn.LazyLinear(4),
            f"network must have run once, for the sizes of it (LazyLinear) {ONCE}",
            id="nothing but lazy",
        ),
    ],
)
def test_networks_that_are_no_ordinary_modules(
    build: Callable[[], nn.Module], message: str
) -> None:
    network, images = build(), example((1, 8, 8))
    factors = {"0": torch.ones(6)}
    before = [(name, id(p), p.requires_grad, p.device) for name, p in network.named_parameters()]
    calls: list[Callable[[], Any]] = [
        lambda: find_switches(network, images),
        lambda: compact(network, factors, images),
        lambda: Trainer(network, reference.tiny_data(), device="cpu"),
    ]
    for call in calls:
        assert message_of(call) == message
    assert before == [(n, id(p), p.requires_grad, p.device) for n, p in network.named_parameters()]
    assert all(module.training for module in network.modules())


def test_a_lazy_network_that_has_run() -> None:
    network, images = Sequential(nn.LazyConv2d(6, 3), nn.Flatten(), nn.LazyLinear(4)), example()
    network(images)
    assert list(find_switches(network, images).groups) == ["0"]


@pytest.mark.parametrize(
    ("how", "operation"),
    [("if", "aten._local_scalar_dense.default"), ("item", "aten._local_scalar_dense.default"),
     ("rows", "aten.nonzero.default")],
)  # fmt: skip
def test_a_network_that_chooses_by_its_data(how: str, operation: str) -> None:
    assert message_of(lambda: find_switches(Chooses(how), example())) == (
        f"network cannot be traced, for its way depends on the data ({operation}). "
        "Layers that are chosen by the data are not supported."
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
        "data are not supported."
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


def assert_untouched(
    network: nn.Module, before: dict[str, Tensor], kept: list[Any], training: bool
) -> None:
    state = network.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[key], before[key]) for key in before)
    assert all(m.training == training for m in network.modules())
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    now = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    assert all(
        a[0] is b[0] and a[1] == b[1] and a[2] is b[2] for a, b in zip(kept, now, strict=True)
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
