"""What is wrong with a network or an example is said in one clear error."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import describe, find_switches
from tests import reference
from tests.helpers import example, message_of
from tests.structure.nets import (
    CHECK,
    FROM_OTHERS,
    NOTHING,
    OUTPUTS,
    RUNS,
    SCORES,
    Pair,
    Picky,
    Sequential,
    assert_untouched,
    hidden,
)

# --- errors --------------------------------------------------------------------------------------


class NoCopy(nn.Sequential):
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("I am\nthe only one.")


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
            Sequential(nn.Flatten(), nn.Linear(192, 7), nn.Softmax(1), nn.Linear(7, 4)),
            "network has no neurons that can be switched "
            f"(1: 2 (Softmax) {FROM_OTHERS}; 3: {OUTPUTS}). {NOTHING}",
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


@pytest.mark.slow
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
            f"network must have run once, because the sizes of 2 (LazyLinear) {ONCE}",
            id="lazy",
        ),
        pytest.param(
            lambda: nn.LazyLinear(4),
            f"network must have run once, because the sizes of it (LazyLinear) {ONCE}",
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


class Modes(nn.Module):
    """Does one thing in evaluation mode and another in training mode."""

    def __init__(self, training: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.hidden, self.head, self.in_training = nn.Linear(192, 6), nn.Linear(6, 4), training

    def forward(self, images: Tensor) -> Any:
        scores = self.head(self.hidden(images.flatten(1)).relu())
        return self.in_training(self, scores) if self.training else scores


class Two(nn.Linear):
    def forward(self, input: Tensor) -> Any:
        return super().forward(input), self.bias


class First(nn.Module):
    def forward(self, both: Any) -> Tensor:
        return both[0]


class Random(Modes):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.dropout(self.hidden(images.flatten(1)).relu(), 0.5))


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2)


IN_TRAINING = "network must return class scores of shape (2, classes) in training mode too, got "
AUXILIARY = (
    "Turn off its auxiliary outputs: torchvision's networks, for example, are built with "
    "aux_logits=False."
)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        pytest.param(
            Modes(lambda net, scores: (scores, scores)),
            f"{IN_TRAINING}tuple. {AUXILIARY}",
            id="auxiliary head",
        ),
        pytest.param(
            Modes(lambda net, scores: scores.mean()),
            f"{IN_TRAINING}(). {AUXILIARY}",
            id="loss",
        ),
        pytest.param(
            Modes(lambda net, scores: net.labels),
            "network does not run in training mode on images of shape (2, 3, 8, 8): 'Modes' "
            f"object has no attribute 'labels'. {CHECK}",
            id="needs labels",
        ),
        pytest.param(
            Random(lambda net, scores: scores),
            "network must give the same class scores at every call in evaluation mode, and it is "
            "random there. Functional dropout, for example, is random unless it follows the mode: "
            "F.dropout(x, p, training=self.training).",
            id="random in evaluation",
        ),
        pytest.param(
            nn.Sequential(Doubled(), nn.Flatten(), nn.Linear(192, 6), nn.ReLU(), nn.Linear(6, 4)),
            "network must leave its images as they are, and it changes them in place, so that its "
            "next call gives other class scores. Use for example x = x * 2 instead of x *= 2 or "
            "x.mul_(2).",
            id="changes its images",
        ),
        pytest.param(
            nn.Sequential(nn.Flatten(), Two(192, 6), First(), nn.ReLU(), nn.Linear(6, 4)),
            "network must have linear and convolution layers that return one tensor, and its layer "
            "'1' (Two) returns a tuple. Compute its other results in a module of their own.",
            id="layer of two outputs",
        ),
    ],
)
def test_what_would_stop_the_training_is_said_before_it(network: nn.Module, message: str) -> None:
    state = torch.random.get_rng_state()
    assert message_of(lambda: find_switches(network, example())) == message
    assert message_of(lambda: Trainer(network, reference.tiny_data((3, 8, 8)), device="cpu")) == (
        message
    )
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_network_whose_parameters_are_all_frozen() -> None:
    """Its neurons can be switched, and it cannot be trained."""
    network, images = reference.own().requires_grad_(False), example((1, 8, 8))
    assert list(find_switches(network, images).groups) == ["0", "4", "7"]
    assert message_of(lambda: Trainer(network, reference.tiny_data(), device="cpu")) == (
        "network must have parameters to train, and all of its parameters are frozen. "
        "Use network.requires_grad_(True), or do so for some of its layers."
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_networks_of_another_precision(dtype: torch.dtype) -> None:
    network = hidden(nn.Conv2d(3, 6, 3), nn.ReLU()).to(dtype)
    said = message_of(lambda: find_switches(network, example()))
    assert said.startswith(RUNS)
    assert said.endswith(
        f". Its parameters are {dtype} and the images torch.float32: convert the network with "
        "network.float()."
    )


class Padded(nn.Module):
    """A transformer that hides its last tokens."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.encoder = nn.TransformerEncoder(layer, 2, **options)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT
        hidden = (torch.arange(tokens.shape[1]) > 2).expand(tokens.shape[:2])
        return self.head(self.encoder(tokens, src_key_padding_mask=hidden)[:, 0])


def test_tokens_that_are_left_out() -> None:
    images = torch.randn(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"Make it with enable_nested_tensor=False\.$"):
        find_switches(Padded(), images)
    groups = find_switches(Padded(enable_nested_tensor=False), images).groups
    assert sum(name.endswith("self_attn") for name in groups) == 2
