"""Which channels form a switch group, and which layers are left alone and why."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torchvision.ops import FrozenBatchNorm2d

from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import find_switches
from snnviz.training import Schedule
from tests import reference
from tests.helpers import example
from tests.networks_at_random import drawn
from tests.reference import BUILD
from tests.shrink.nets import scores_of
from tests.structure.nets import FOLLOWED, FROM_OTHERS, MIXES, OUTPUTS, Net, change, hidden

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


def excited() -> nn.Module:
    """Squeeze and excitation, whose gates are expanded to the size of the images."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.conv(images).relu()
        gates = net.up(net.down(x.mean((2, 3))).relu()).sigmoid()
        return x * gates.view(len(x), -1, 1, 1).expand_as(x)

    return Net(way, 216, conv=nn.Conv2d(3, 6, 3), down=nn.Linear(6, 3), up=nn.Linear(3, 6))


def masked() -> nn.Module:
    """A mask of places, which all channels are multiplied with."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.conv(images).relu()
        return x * net.mask(net.inner(x).relu()).sigmoid()

    layers = {"inner": nn.Conv2d(6, 3, 1), "mask": nn.Conv2d(3, 1, 3, padding=1)}
    return Net(way, 216, conv=nn.Conv2d(3, 6, 3), **layers)


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
            excited(),
            {
                "conv": group(6, "conv up", "conv up", "down hidden"),
                "down": group(3, "down", "down", "up"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="gates that are expanded",
        ),
        pytest.param(
            masked(),
            {
                "conv": group(6, "conv", "conv", "inner hidden"),
                "inner": group(3, "inner", "inner", "mask"),
                "hidden": group(5, "hidden", "hidden", "head"),
            },
            id="a mask of places",
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


def moved() -> nn.Module:
    """Channels change places with those of the image."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.conv(images)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(2, 3).reshape(n, c, h, w).relu()

    return Net(way, 216, conv=nn.Conv2d(3, 6, 3))


def turned() -> nn.Module:
    """Channels change places in a way that only running it shows."""
    return Net(lambda net, images: net.conv(images).flip(1), 216, conv=nn.Conv2d(3, 6, 3))


def own_parameter() -> nn.Module:
    """It has not been learned yet, and is frozen, so that nothing comes of it so far."""
    net = Net(lambda net, images: net.conv(images) + net.extra, 216, conv=nn.Conv2d(3, 6, 3))
    net.register_parameter("extra", nn.Parameter(torch.zeros(6, 1, 1), requires_grad=False))
    return net


class Quantised(nn.Conv2d):
    """Its weights are rounded to multiples of a step that is learned."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.step = nn.Parameter(torch.tensor(0.1))

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.conv2d(input, self.weight / self.step * self.step, self.bias)


class Gain(nn.Conv2d):
    """A scale for each channel multiplies its weights."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.conv2d(input, self.weight * self.gain, self.bias)


class LowRank(nn.Linear):
    """As in LoRA."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.first = nn.Parameter(torch.randn(2, inputs))
        self.second = nn.Parameter(torch.zeros(outputs, 2))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + input @ self.first.T @ self.second.T


OWN = "{} has parameters besides weight and bias ({})"


def own_constant() -> nn.Module:
    """A constant that autograd knows nothing of, joined to the channels."""

    def way(net: Any, images: Tensor) -> Tensor:
        return torch.cat([torch.ones(len(images), 1, 6, 6), net.conv(images)], 1).relu()

    return Net(way, 252, conv=nn.Conv2d(3, 6, 3))


@pytest.mark.parametrize(
    ("network", "left_alone"),
    [
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.GroupNorm(1, 6), nn.ReLU()),
            {"0": f"weighted only: GroupNorm {MIXES}"},
            id="group norm",
        ),
        pytest.param(
            hidden(nn.Flatten(), nn.Linear(192, 7), nn.LayerNorm(7), nn.ReLU(), width=7),
            {"1": f"weighted only: LayerNorm {MIXES}"},
            id="layer norm",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.Softmax2d()),
            {"0": f"1 (Softmax2d) {FROM_OTHERS}"},
            id="softmax",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 3, 3, groups=3), width=108),
            {"0": "they are tied to the channels of the images"},
            id="depthwise convolution of the images",
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
            {
                "one": "their one channel acts on all channels of other layers",
            },
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
                "a": "Conv2d is grouped, and its parts mix them with other channels",
                "b": "Conv2d is grouped, and its parts mix them with other channels",
            },
            id="in parts, with others",
        ),
        pytest.param(moved(), {"conv": f"a reshape moves channels {FOLLOWED}"}, id="moved"),
        pytest.param(
            hidden(Quantised(3, 6, 3), nn.ReLU()), {"0": OWN.format(0, "step")}, id="quantiser step"
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ReLU(), Gain(6, 6, 1), nn.ReLU()),
            {"0": OWN.format(2, "gain"), "2": OWN.format(2, "gain")},
            id="gain of its own",
        ),
        pytest.param(
            hidden(nn.Flatten(), LowRank(192, 6), nn.ReLU(), width=6),
            {"1": OWN.format(1, "first, second")},
            id="low rank adapter",
        ),
        pytest.param(turned(), {"conv": change("hidden")}, id="turned"),
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


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, affine=False), nn.ReLU()),
            id="norm without scale",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.InstanceNorm2d(6), nn.GELU()), id="instance norm"
        ),
        pytest.param(hidden(nn.Conv2d(3, 6, 3), nn.GroupNorm(3, 6, affine=False)), id="group norm"),
        pytest.param(hidden(nn.Conv2d(3, 6, 3), nn.Sigmoid()), id="sigmoid"),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus(), nn.Conv2d(6, 6, 3, 1, 1)),
            id="softplus before a convolution that pads",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), FrozenBatchNorm2d(6), nn.ReLU()),
            id="frozen norm, whose shift happens to be 0",
        ),
        pytest.param(own_parameter(), id="shift of its own"),
    ],
)
def test_factors_that_act_where_neurons_are_read(network: nn.Module) -> None:
    """Nothing else could scale the neurons, or what is off would give something for 0."""
    found = find_switches(network, example())
    group = next(iter(found.groups.values()))
    assert group.moved == "always"
    drawn(network).eval()
    images = example(n=6)
    factors = {k: 1.5 * (torch.arange(g.neurons) % 2) for k, g in found.groups.items()}
    expected = scores_of(network, images, found, factors)
    small, report = compact(network, factors, images, switches=found, tolerance=1e-5, latency=False)
    assert report.after == found.size({name: s.numpy() for name, s in factors.items()})
    torch.testing.assert_close(small(images), expected, rtol=1e-4, atol=1e-5)


COMPUTES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "spectral_norm of old": nn.utils.spectral_norm,
    "weight_norm of old": nn.utils.weight_norm,
    "spectral_norm": nn.utils.parametrizations.spectral_norm,
    "weight_norm": nn.utils.parametrizations.weight_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
    "pruned": partial(prune.l1_unstructured, name="weight", amount=0.3),
}


@pytest.mark.slow
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


def test_a_layer_that_tells_why_is_never_a_writer() -> None:
    for network in (tied(), squeezed()):
        found = find_switches(network, example())
        writers = {writer for g in found.groups.values() for writer in g.writers}
        assert not writers & found.left_alone.keys()
