"""One step of each learner: against the hook-based twin, what stays frozen, and on odd devices."""

import copy
import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn import functional as F

from snnviz.devices import pick_precision, random_state
from snnviz.networks import network
from snnviz.structure import find_switches, scaled_parameters
from snnviz.switcher import SwitcherConfig
from snnviz.training import Learners, Schedule
from snnviz.training.trainer import switcher_step, task_step
from tests import reference
from tests.reference import LAYERS, Alternating, Residual, hooked, tiny_data

CPU = torch.device("cpu")
FAST = SwitcherConfig(gain=8.0, gain_rule="fixed")  # neurons go off within a few steps

BUILD: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "mlp": (lambda: network("mlp", tiny_data((1, 6, 6))), (1, 6, 6)),
    "lenet5": (lambda: network("lenet5", tiny_data((1, 16, 16))), (1, 16, 16)),
    "vgg_small": (lambda: network("vgg_small", tiny_data((1, 4, 4))), (1, 4, 4)),
    "own": (reference.own, (1, 8, 8)),
    "residual": (Residual, (1, 8, 8)),
}
NAMED = ("mlp", "lenet5", "vgg_small")
# Task and switcher steps in turn, with a task step of each kind after a switcher step.
STEPS = ("task", "task", "switcher", "switcher", "task", "task", "switcher", "task")


def batches(name: str, count: int, n: int = 12) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    for _ in range(count):
        images = torch.randn(n, *BUILD[name][1], generator=generator)
        yield images, torch.randint(0, 3, (n,), generator=generator)


def learners(
    name: str, schedule: Schedule | None = None, dtype: torch.dtype = torch.float32, **options: Any
) -> Learners:
    torch.manual_seed(0)
    net = BUILD[name][0]().to(dtype)
    switches = find_switches(net, next(batches(name, 1))[0].to(dtype))
    options = {"config": FAST, "seed": 0, "device": CPU, "precision": "float32"} | options
    return Learners(net, switches, schedule=schedule or Schedule(), **options)


def snapshot(tensors: Mapping[str, Tensor] | Iterator[tuple[str, Tensor]]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in dict(tensors).items()}


def same(a: Any, b: Any) -> bool:
    """Equal to the bit, through dicts and lists."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


# --- against the reference -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", BUILD)
def test_every_step_against_hooks(name: str, optimizer: str, through: bool) -> None:
    plan = Schedule(task_optimizer=optimizer, switcher_optimizer=optimizer, switcher_clip=0.5)
    rate, switcher_rate = (0.05, 0.3) if optimizer == "sgd" else (3e-3, 0.02)
    ours = learners(name, plan, torch.float64)
    ours.switcher.double()  # else its rounding would hide small mistakes
    twin = Alternating(
        copy.deepcopy(ours.network), copy.deepcopy(ours.switcher), LAYERS[name], plan
    )
    for (images, labels), phase in zip(batches(name, 24), 3 * STEPS, strict=True):
        images = images.double()
        if phase == "task":
            measured = task_step(ours, images, labels, rate, through)
            twin.task_step(images, labels, rate, through)
        else:
            measured = switcher_step(ours, images, labels, switcher_rate, plan.switcher_clip)
            twin.switcher_step(images, labels, switcher_rate)
        assert measured[0].item() == pytest.approx(twin.records[-1][1], rel=1e-6)
        for a, b in (
            (ours.network.state_dict(), twin.network.state_dict()),
            (ours.switcher.state_dict(), twin.switcher.state_dict()),
        ):
            for key in a:
                torch.testing.assert_close(
                    a[key], b[key], rtol=1e-5, atol=1e-6, msg=lambda m, k=key: f"{k}: {m}"
                )
    assert any((s == 0).any() for s in ours.factors.values())  # the interesting case was there


@pytest.mark.parametrize("name", BUILD)
def test_what_a_step_measures(name: str) -> None:
    ours = learners(name)
    (images, labels), (more, other), *_ = batches(name, 2)
    for _ in range(6):
        switcher_step(ours, images, labels, 0.02, 1.0)
    factors = snapshot(ours.factors)
    twin = copy.deepcopy(ours.network).train()
    with hooked(twin, LAYERS[name], factors):
        scores = twin(more)
    loss, accuracy, *on = task_step(ours, more, other, 0.1).tolist()
    assert loss == pytest.approx(F.cross_entropy(scores, other).item(), rel=1e-5)
    assert accuracy == pytest.approx((scores.argmax(1) == other).float().mean().item())
    assert on == [(s > 0).sum().item() for s in factors.values()]
    assert list(factors) == [group.name for group in ours.groups]


@pytest.mark.parametrize("name", BUILD)
def test_logits_are_those_of_the_hooked_network_in_force(name: str) -> None:
    ours = learners(name)
    steps = zip(batches(name, 8), STEPS, strict=True)
    for (images, labels), phase in steps:
        if phase == "task":
            task_step(ours, images, labels, 0.05)
        else:
            switcher_step(ours, images, labels, 0.02, 1.0)
        twin = copy.deepcopy(ours.network).eval()
        before = snapshot(ours.network.state_dict())
        with hooked(twin, LAYERS[name], ours.factors), torch.no_grad():
            expected = twin(images)
        for training in (True, False):
            ours.network.train(training)
            scores = ours.logits(images)
            torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
            assert not scores.requires_grad
            assert all(m.training == training for m in ours.network.modules())
        assert same(before, snapshot(ours.network.state_dict()))


def test_reading_factors_and_logits_changes_no_step() -> None:
    quiet, watched = learners("vgg_small"), learners("vgg_small")
    for (images, labels), phase in zip(batches("vgg_small", 16), 2 * STEPS, strict=True):
        for each in (quiet, watched):
            if phase == "task":
                task_step(each, images, labels, 0.05)
            else:
                switcher_step(each, images, labels, 0.02, 1.0)
        _ = watched.factors
        watched.logits(images)
        watched.state_dict()
    assert same(quiet.state_dict()["network"], watched.state_dict()["network"])
    assert same(quiet.factors, watched.factors)


# --- what stays frozen ---------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", BUILD)
def test_frozen_parts_are_frozen(name: str, optimizer: str) -> None:
    plan = Schedule(task_optimizer=optimizer, switcher_optimizer=optimizer)
    ours = learners(name, plan)
    for (images, labels), phase in zip(batches(name, 16), 2 * STEPS, strict=True):
        before = ours.state_dict()
        if phase == "task":
            factors = snapshot(ours.factors)
            task_step(ours, images, labels, 0.05)
            mine, others = ("network", "task"), ("switcher", "switcher")
            assert same(factors, ours.factors)
        else:
            switcher_step(ours, images, labels, 0.02, 1.0)
            mine, others = ("switcher", "switcher"), ("network", "task")
        after = ours.state_dict()
        assert same(before[others[0]], after[others[0]])  # parameters and norm statistics
        assert same(before[f"{others[1]}_optimizer"], after[f"{others[1]}_optimizer"])
        assert not same(before[mine[0]], after[mine[0]])
        assert not same(before[f"{mine[1]}_optimizer"], after[f"{mine[1]}_optimizer"])


def _grads(module: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


def test_no_gradient_is_left_in_the_other_network() -> None:
    ours = learners("vgg_small")
    (images, labels), *_ = batches("vgg_small", 1)
    switcher_step(ours, images, labels, 0.02, 1.0)
    assert all(p.grad is None for p in ours.network.parameters())
    task_step(ours, images, labels, 0.05)
    network_gradients, before = _grads(ours.network), _grads(ours.switcher)
    assert len(network_gradients) == len(list(ours.network.parameters()))
    task_step(ours, images, labels, 0.05, through_switcher=True)
    assert same(before, _grads(ours.switcher))  # through it, not into it
    network_gradients = _grads(ours.network)
    switcher_step(ours, images, labels, 0.02, 1.0)
    assert same(network_gradients, _grads(ours.network))


def test_norm_statistics_move_in_task_phases_only() -> None:
    ours = learners("vgg_small")
    (images, labels), *_ = batches("vgg_small", 1)
    counted = ours.network.get_buffer("norm1.num_batches_tracked")
    for _ in range(3):
        switcher_step(ours, images, labels, 0.02, 1.0)
    assert counted.item() == 0
    task_step(ours, images, labels, 0.05)
    assert ours.network.get_buffer("norm1.num_batches_tracked").item() == 1


def test_the_gradient_through_the_switcher_reaches_the_weights() -> None:
    """It differs from the one with constant factors, and the factors move with the weights."""
    ours = learners("own")
    (images, labels), *_ = batches("own", 1)
    for _ in range(4):
        switcher_step(ours, images, labels, 0.005, 1.0)
    state = ours.state_dict()
    gradients, factors = [], []
    for through in (False, True):
        ours.load_state_dict(state)
        before = snapshot(ours.factors)
        task_step(ours, images, labels, 0.05, through)
        gradients.append(_grads(ours.network))
        factors.append(same(before, ours.factors))
    for constant, through in zip(*gradients, strict=True):
        assert constant.shape == through.shape
    assert not torch.allclose(gradients[0][4], gradients[1][4])  # the second convolution's
    assert factors == [True, False]


def test_parameters_that_the_user_froze_stay() -> None:
    ours = learners("own")
    plan = Schedule()
    for frozen in ("0.weight", "1.bias", "7.weight"):
        ours.network.get_parameter(frozen).requires_grad_(False)
    ours = Learners(
        ours.network,
        find_switches(ours.network, torch.randn(2, 1, 8, 8)),
        FAST,
        plan,
        0,
        CPU,
        "float32",
    )
    before = snapshot(ours.network.named_parameters())
    for (images, labels), phase in zip(batches("own", 16), 2 * STEPS, strict=True):
        if phase == "task":
            task_step(ours, images, labels, 0.05, through_switcher=True)
        else:
            switcher_step(ours, images, labels, 0.02, 1.0)
    stayed = {name for name, p in ours.network.named_parameters() if torch.equal(p, before[name])}
    assert stayed == {"0.weight", "1.bias", "7.weight"}


def test_a_layer_that_is_never_run_does_no_harm() -> None:
    net = reference.own()
    net.extra = nn.Linear(3, 3)  # type: ignore[assignment]
    net.forward = lambda x: nn.Sequential(*list(net)[:-1])(x)  # type: ignore[method-assign]
    ours = Learners(
        net, find_switches(reference.own(), torch.randn(2, 1, 8, 8)), FAST, Schedule(), 0, CPU,
        "float32",
    )  # fmt: skip
    (images, labels), *_ = batches("own", 1)
    before = snapshot(ours.network.named_parameters())
    switcher_before = snapshot(ours.switcher.named_parameters())
    task_step(ours, images, labels, 0.05, through_switcher=True)
    stayed = {name for name, p in ours.network.named_parameters() if torch.equal(p, before[name])}
    assert stayed == {"extra.weight", "extra.bias"}
    switcher_step(ours, images, labels, 0.02, 1.0)
    moved = [
        not torch.equal(p, switcher_before[name]) for name, p in ours.switcher.named_parameters()
    ]
    assert any(moved)


# --- optimizers and state ------------------------------------------------------------------------


def test_the_gradient_of_the_switcher_is_clipped() -> None:
    ours = learners("mlp", Schedule(switcher_optimizer="sgd", switcher_momentum=0.0))
    (images, labels), *_ = batches("mlp", 1)
    before = snapshot(ours.switcher.named_parameters())
    switcher_step(ours, images, labels, lr=1.0, clip=1e-3)
    moved = [p.detach() - before[name] for name, p in ours.switcher.named_parameters()]
    assert torch.cat([m.flatten() for m in moved]).norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_where_the_task_network_makes_no_error_the_switcher_stays() -> None:
    """Adam would divide such a gradient by its size, and go on with its momentum too."""
    ours = learners("mlp", Schedule(switcher_optimizer="adam", switcher_lr=0.01))
    (images, labels), (more, other), *_ = batches("mlp", 2)
    switcher_step(ours, images, labels, 0.01, 1.0)
    state, factors = copy.deepcopy(ours.state_dict()), snapshot(ours.factors)
    *_, last = (m for m in ours.network.modules() if isinstance(m, nn.Linear))
    weight = last.weight.detach().clone()
    last.weight.data *= 6e3
    sure = ours.logits(more).argmax(1)
    loss, accuracy, *_ = switcher_step(ours, more, sure, 0.01, 1.0)
    assert accuracy == 1
    assert 0 <= loss < 1e-6
    assert any(p.grad is not None and (p.grad != 0).any() for p in ours.switcher.parameters())
    last.weight.data.copy_(weight)
    ours.task_moved()
    for part in ("switcher", "switcher_optimizer"):
        assert same(ours.state_dict()[part], state[part]), part
    assert same(ours.factors, factors)
    switcher_step(ours, more, other, 0.01, 1.0)
    assert not same(ours.state_dict()["switcher"], state["switcher"])


def test_a_small_gradient_moves_the_switcher_as_long_as_there_are_errors() -> None:
    """As of ConvNeXt, whose branches begin with a scale of 1e-6."""
    ours = learners("mlp", Schedule(switcher_optimizer="adam", switcher_lr=0.01))
    (images, labels), *_ = batches("mlp", 1)
    *_, last = (m for m in ours.network.modules() if isinstance(m, nn.Linear))
    last.weight.data *= 1e-6
    before = copy.deepcopy(ours.state_dict()["switcher"])
    loss, *_ = switcher_step(ours, images, labels, 0.01, 1.0)
    gradients = [p.grad for p in ours.switcher.parameters() if p.grad is not None]
    assert 0 < torch.cat([g.flatten() for g in gradients]).norm() < 1e-4
    assert loss > 0.5
    assert not same(ours.state_dict()["switcher"], before)


def test_weight_decay_is_for_the_task_network_alone() -> None:
    ours = learners("mlp", Schedule(task_weight_decay=0.125, switcher_optimizer="adam"))
    assert [g["weight_decay"] for g in ours.task_optimizer.param_groups] == [0.125]
    assert [g["weight_decay"] for g in ours.switcher_optimizer.param_groups] == [0.0]


@pytest.mark.parametrize("name", ["task", "switcher"])
@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"lr": 0.5}, True),
        ({"momentum": 0.5}, True),
        ({"optimizer": "adam"}, False),
    ],
)
def test_momentum_survives_all_but_another_optimizer(
    name: str, changes: dict[str, Any], kept: bool
) -> None:
    plan = Schedule(switcher_optimizer="sgd")
    ours = learners("mlp", plan)
    (images, labels), *_ = batches("mlp", 1)
    task_step(ours, images, labels, 0.05)
    switcher_step(ours, images, labels, 0.05, 1.0)
    before = getattr(ours, f"{name}_optimizer")
    buffers = copy.deepcopy(before.state_dict()["state"])
    assert buffers
    ours.renew_optimizers(plan.replace(**{f"{name}_{key}": v for key, v in changes.items()}))
    after = getattr(ours, f"{name}_optimizer")
    assert (after is before) == kept
    assert same(after.state_dict()["state"], buffers if kept else {})
    for key, value in changes.items():
        if key != "optimizer":
            assert after.param_groups[0][key] == value
    parameters = ours.network if name == "task" else ours.switcher
    held = [p for g in after.param_groups for p in g["params"]]
    assert all(a is b for a, b in zip(held, parameters.parameters(), strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_state_is_a_copy_and_can_be_taken_up_again_and_again(optimizer: str) -> None:
    plan = Schedule(task_optimizer=optimizer, switcher_optimizer=optimizer)
    ours = learners("own", plan)
    steps = list(zip(batches("own", 16), 2 * STEPS, strict=True))

    def go(some: list) -> None:
        for (images, labels), phase in some:
            if phase == "task":
                task_step(ours, images, labels, 0.02)
            else:
                switcher_step(ours, images, labels, 0.02, 1.0)

    go(steps[:5])
    state = ours.state_dict()
    kept = copy.deepcopy(state)
    ends = []
    for _ in range(3):
        go(steps[5:])
        ends.append(ours.state_dict())
        assert same(state, kept)  # it contains nothing that was trained on
        ours.load_state_dict(state)
        assert same(ours.state_dict(), kept)
    assert same(ends[0], ends[1])
    assert same(ends[1], ends[2])


def test_a_state_from_before_the_factors_were_made() -> None:
    ours = learners("own")
    state = ours.state_dict()
    assert state["factors"] is None
    ours.load_state_dict(state)
    assert all(torch.equal(s, torch.ones_like(s)) for s in ours.factors.values())


# --- devices and precisions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("float16", "precision must be one of 'auto', 'float32', 'bfloat16', got 'float16'."),
        (None, "precision must be one of 'auto', 'float32', 'bfloat16', got None."),
    ],
)
def test_bad_precision(precision: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        pick_precision(precision, CPU)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("precision", "device", "amx", "picked"),
    [
        ("float32", "cpu", True, "float32"),
        ("bfloat16", "cpu", False, "bfloat16"),
        ("auto", "cpu", True, "bfloat16"),
        ("auto", "cpu", False, "float32"),
        ("auto", "meta", True, "float32"),
        ("auto", "mps", True, "float32"),
    ],
)
def test_precision(
    precision: str, device: str, amx: bool, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    assert pick_precision(precision, torch.device(device)) == picked


@pytest.mark.parametrize("known", [True, False])
def test_precision_on_cuda(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return known or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    picked = "bfloat16" if known else "float32"
    assert pick_precision("auto", torch.device("cuda")) == picked


@pytest.mark.parametrize("name", BUILD)
def test_bfloat16_is_near_float32_and_keeps_float32_parameters(name: str) -> None:
    exact, rough = learners(name), learners(name, precision="bfloat16")
    for (images, labels), phase in zip(batches(name, 8), STEPS, strict=True):
        losses = []
        for each in (exact, rough):
            if phase == "task":
                measured = task_step(each, images, labels, 0.01)
            else:
                measured = switcher_step(each, images, labels, 1e-3, 1.0)
            assert measured.dtype == torch.float32
            losses.append(measured[0].item())
        assert losses[1] == pytest.approx(losses[0], rel=0.1, abs=0.02)
    assert rough.logits(images).dtype == torch.float32
    for tensor in (*rough.network.parameters(), *rough.switcher.parameters()):
        assert tensor.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "through", "reads"),
    [
        ("sgd", False, "descriptors"),
        ("adam", True, "descriptors"),
        ("sgd", False, "shuffled"),
    ],
)
@pytest.mark.parametrize("name", NAMED)
def test_whole_steps_on_meta(name: str, optimizer: str, through: bool, reads: str) -> None:
    """No value can be read there and no CPU tensor taken along: neither happens in a step."""
    plan = Schedule(task_optimizer=optimizer, switcher_optimizer=optimizer)
    on_cpu = learners(name)
    switches = find_switches(on_cpu.network, next(batches(name, 1))[0])
    meta = torch.device("meta")
    config = dataclasses.replace(FAST, reads=reads)
    ours = Learners(on_cpu.network.to(meta), switches, config, plan, 0, meta, "float32")
    for (images, labels), phase in zip(batches(name, 8), STEPS, strict=True):
        images, labels = images.to(meta), labels.to(meta)
        if phase == "task":
            measured = task_step(ours, images, labels, 0.05, through)
        else:
            measured = switcher_step(ours, images, labels, 0.02, 1.0)
        assert measured.is_meta
        assert measured.shape == (2 + len(ours.groups),)
    assert ours.logits(images).is_meta
    assert all(s.is_meta for s in ours.factors.values())
    ours.load_state_dict(ours.state_dict())
    ours.renew_optimizers(plan.replace(task_lr=0.1, switcher_optimizer="sgd"))
    task_step(ours, images, labels, 0.05)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", NAMED)
def test_forwards_on_a_cuda_device_that_is_not_there(
    name: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under FakeTensorMode, which knows devices and dtypes, and refuses to mix devices."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args, **options: True)
    ours = learners(name, precision=precision)
    ours.device = cuda = torch.device("cuda", 0)
    with FakeTensorMode():
        for module in (*ours.network.modules(), *ours.switcher.modules()):
            for key, value in list(module.named_parameters(recurse=False)):
                setattr(module, key, nn.Parameter(torch.empty(value.shape, device=cuda)))
            for key, value in list(module.named_buffers(recurse=False)):
                setattr(module, key, torch.empty(value.shape, dtype=value.dtype, device=cuda))
        images = torch.empty(4, *BUILD[name][1], device=cuda)
        scores = ours.logits(images)
        assert scores.device == cuda
        assert scores.dtype == torch.float32
        factors = ours.switcher.factors(ours._read())
        assert {s.device for s in factors.values()} == {cuda}
        for constant in (False, True):  # as in a task step, and as in a switcher step
            parameters = scaled_parameters(ours.network, ours.switches, factors, constant)
            with ours.autocast():
                scores = functional_call(ours.network, parameters, (images,))
            assert scores.device == cuda
            assert scores.dtype == getattr(torch, precision)


# --- random numbers ------------------------------------------------------------------------------


def test_random_state_is_ours_within_and_the_users_after() -> None:
    before = torch.random.get_rng_state()
    drawn = []
    for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1)):
        with random_state(seed, step, CPU):
            drawn.append(torch.rand(3))
        assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(drawn[0], drawn[1])
    assert len({tuple(d.tolist()) for d in drawn}) == 3


def test_seeding_does_not_write_down_the_call_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `torch.manual_seed` does for each kind of GPU that is installed and not in use."""
    monkeypatch.setattr(traceback, "format_stack", lambda: pytest.fail("the stack was asked for"))
    for step in range(2):
        with random_state(0, step, CPU):
            torch.rand(3)


def test_random_state_is_the_users_again_after_an_error() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(KeyError), random_state(0, 1, CPU):
        raise KeyError
    assert torch.equal(before, torch.random.get_rng_state())
