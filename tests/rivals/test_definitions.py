"""Each rival against its own definition."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snnviz as sv
from snnviz import rivals
from snnviz.rivals.fpgm import sum_distances
from snnviz.rivals.group_sparse import shrink_groups
from snnviz.rivals.joint import joint_step
from snnviz.rivals.l0 import BETA, GAMMA, ZETA, Gates, hard_concrete, make_gates, price_weights
from snnviz.rivals.pruning import find_lowest, score_by_l1
from snnviz.rivals.scratch import shape_like
from snnviz.rivals.se import Excited, add_excitation
from snnviz.rivals.slimming import make_scales, score_by_scale, shrink_scales
from snnviz.rivals.start import Start
from snnviz.rivals.taylor import RunningScores
from snnviz.structure import find_switches
from snnviz.training.learners import Learners
from snnviz.training.trainer import task_step
from tests.norms import Response

MakeStart = Callable[..., Start]
Batch = tuple[torch.Tensor, torch.Tensor]


def parameters(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.network.named_parameters()}


def slimming_learners(strength: float) -> Callable[..., Learners]:
    return partial(Learners, gates=make_scales, shrinkage=partial(shrink_scales, strength=strength))


def l0_learners() -> Callable[..., Learners]:
    return partial(Learners, gates=partial(make_gates, dropout=0.5))


# --- slimming -----------------------------------------------------------------------------------


def test_slimming_shrinks_every_scale_of_a_norm(start: MakeStart, batch: Batch) -> None:
    """One step of SGD: lr * strength * sign(gamma) more than the task loss alone."""
    plain = start("vgg_small").trainer()
    slim = start("vgg_small").trainer(learners=slimming_learners(0.3))
    for trainer in (plain, slim):
        norm = trainer.network.get_submodule("norm2")
        with torch.no_grad():
            norm.weight[:2] = -norm.weight[:2]  # type: ignore[index,operator]
    before = parameters(plain)
    task_step(plain.learners, *batch, lr=0.1)
    joint_step(slim.learners, *batch, lr=0.1)
    wanted = parameters(plain)
    for i in range(1, 5):
        gamma = before[f"norm{i}.weight"]
        wanted[f"norm{i}.weight"] -= 0.1 * 0.3 * gamma.sign()
        assert (gamma.abs() > 0).all()
    for name, value in parameters(slim).items():
        torch.testing.assert_close(value, wanted[name])


def test_slimming_gives_layers_without_norm_scales_of_their_own(
    start: MakeStart, batch: Batch
) -> None:
    slim = start("mlp").trainer(learners=slimming_learners(0.3))
    slim.learners.renew_optimizers(
        slim.schedule.replace(switcher_optimizer="sgd", switcher_momentum=0.0, switcher_lr=0.1)
    )
    with torch.no_grad():
        for own in slim.learners.switcher.scales:
            own.uniform_(0.5, 1.5)
    own = [p.detach().clone().requires_grad_() for p in slim.learners.switcher.scales]
    h = batch[0].flatten(1)
    for name, scale in zip(("fc1", "fc2"), own, strict=True):
        h = F.relu(slim.network.get_submodule(name)(h) * scale)
    F.cross_entropy(slim.network.get_submodule("scores")(h), batch[1]).backward()
    joint_step(slim.learners, *batch, lr=slim.schedule.task_lr)
    for scale, moved in zip(own, slim.learners.switcher.scales, strict=True):
        assert scale.grad is not None
        torch.testing.assert_close(moved.detach(), scale.detach() - 0.1 * (scale.grad + 0.3))


def test_scales_learn_as_the_weights_do(data: sv.ImageData) -> None:
    plan = sv.Schedule(epochs=2, batch_size=20, task_lr=0.02, task_momentum=0.5)
    network = sv.network("mlp", data, width=0.1)
    trainer = rivals.train("slimming", network, data, plan, device="cpu", size=0.5)
    own, its = trainer.learners.switcher_optimizer, trainer.learners.task_optimizer
    assert type(own) is type(its) is torch.optim.SGD
    for name in ("lr", "momentum"):
        assert own.param_groups[0][name] == pytest.approx(its.param_groups[0][name])


def test_slimming_prunes_by_scale(start: MakeStart) -> None:
    trainer = start("vgg_small").trainer(learners=slimming_learners(0.0))
    with torch.no_grad():
        trainer.network.get_submodule("norm1").weight.copy_(  # type: ignore[operator]
            torch.tensor([0.5, -3.0, 0.1])
        )
    found = score_by_scale(trainer)
    np.testing.assert_allclose(found["conv1"], [0.5, 3.0, 0.1])
    np.testing.assert_allclose(found["fc1"], np.ones(26))


# --- L0 -----------------------------------------------------------------------------------------


def test_gates_are_on_as_often_as_the_closed_form_says() -> None:
    log_alpha = torch.tensor([-3.0, -0.5, 0.0, 1.0, 4.0])
    gates = Gates({"a": 5}, 0.5)
    gates.log_alpha[0].data = log_alpha
    u = torch.rand(200_000, 5, generator=torch.Generator().manual_seed(0))
    drawn = hard_concrete(log_alpha, u)
    often = (drawn > 0).double().mean(0)
    chance = 1 / (1 + torch.exp(-(log_alpha - BETA * np.log(-GAMMA / ZETA))))
    torch.testing.assert_close(gates.probabilities()["a"].detach(), chance)
    np.testing.assert_allclose(often, chance, atol=0.004)
    assert drawn.min() == 0
    assert drawn.max() == 1


def test_gates_without_noise() -> None:
    gates = Gates({"a": 3}, 0.5)
    gates.log_alpha[0].data = torch.tensor([-9.0, 0.0, 9.0])
    values = gates.factors()["a"].tolist()
    assert values[0] == 0
    assert values[1] == pytest.approx(0.5)
    assert values[2] == 1


def test_the_price_of_weights_that_are_on(start: MakeStart, batch: Batch) -> None:
    learners = start("mlp").trainer(learners=l0_learners()).learners
    chance = 1 / (1 + np.exp(BETA * np.log(-GAMMA / ZETA)))  # of log alpha = 0
    weights = 30 * (16 * 16 + 1) + 10 * (30 + 1)
    price: Any = price_weights(learners, 1e-3)
    assert price.item() == pytest.approx(1e-3 * chance * weights, rel=1e-5)
    record = joint_step(learners, *batch, lr=0.0)
    assert record[2:].tolist() == [30, 10]


def test_a_price_turns_gates_off(start: MakeStart, batch: Batch) -> None:
    """At the price the gates close, without it they are drawn open by the task loss or stay."""
    plan = sv.Schedule(switcher_steps=0, switcher_optimizer="adam", switcher_lr=0.05)
    on = []
    for price in (0.0, 1e-3):
        learners = start("mlp").trainer(schedule=plan, learners=l0_learners()).learners
        penalty = partial(price_weights, price=price)
        for _ in range(60):
            torch.manual_seed(0)
            record = joint_step(learners, *batch, lr=plan.task_lr, penalty=penalty)
        on.append(record[2:].sum().item())
    assert on[0] > 35
    assert on[1] < 25


# --- pruning ------------------------------------------------------------------------------------


def test_magnitude_is_the_l1_norm_in_and_out_over_its_mean(start: MakeStart) -> None:
    trainer = start("mlp").trainer()
    weight = {name: p.detach().numpy() for name, p in trainer.network.named_parameters()}
    found = score_by_l1(trainer)
    for group, reader in (("fc1", "fc2"), ("fc2", "scores")):
        incoming = np.abs(weight[f"{group}.weight"]).sum(1)
        outgoing = np.abs(weight[f"{reader}.weight"]).sum(0)
        wanted = (incoming + outgoing) / 2
        np.testing.assert_allclose(found[group], wanted / wanted.mean(), rtol=1e-5)


def test_magnitude_finds_the_channels_of_a_convolution(start: MakeStart) -> None:
    trainer = start("vgg_small").trainer()
    with torch.no_grad():
        for name in ("conv2.weight", "norm2.weight"):
            trainer.network.get_parameter(name)[1] = 0
        trainer.network.get_parameter("conv3.weight")[:, 1] = 0
    assert score_by_l1(trainer)["conv2"].argmin() == 1
    assert score_by_l1(trainer)["conv2"][1] == 0


def test_taylor_is_the_first_order_change_of_the_loss(start: MakeStart, batch: Batch) -> None:
    """The running mean of (|sum of w dL/dw| in + the same out) / 2 over three steps."""
    scores = RunningScores(batch[0][:2], momentum=0.5)
    trainer = start("mlp").trainer(learners=partial(Learners, shrinkage=scores.observe))
    plain = start("mlp").trainer()
    wanted = {"fc1": np.zeros(30), "fc2": np.zeros(10)}
    for step in range(3):
        weights = parameters(plain)
        leaves = {name: w.requires_grad_() for name, w in weights.items()}
        logits = torch.func.functional_call(plain.network, leaves, (batch[0],))
        F.cross_entropy(logits, batch[1]).backward()
        change = {n: (w * w.grad).detach().numpy() for n, w in leaves.items()}  # type: ignore[operator]
        for group, reader in (("fc1", "fc2"), ("fc2", "scores")):
            incoming = np.abs(change[f"{group}.weight"].sum(1))
            outgoing = np.abs(change[f"{reader}.weight"].sum(0))
            # 0.5, 0.25, 0.125 of the last, the one before, and so on, over their sum.
            wanted[group] += 0.5 ** (3 - step) / 0.875 * (incoming + outgoing) / 2
        for made in (plain, trainer):
            task_step(made.learners, *batch, lr=0.1)
    found = scores.read(trainer)
    for group, values in wanted.items():
        np.testing.assert_allclose(found[group], values / values.mean(), rtol=1e-4)
    for name, value in parameters(trainer).items():  # watching changes nothing
        assert torch.equal(value, parameters(plain)[name])


def test_taylor_adds_its_own_channels_of_a_convolution(start: MakeStart, batch: Batch) -> None:
    scores = RunningScores(batch[0][:2], momentum=0.9)
    trainer = start("vgg_small").trainer(learners=partial(Learners, shrinkage=scores.observe))
    with torch.no_grad():
        trainer.network.get_parameter("conv2.weight")[1] = 0
        trainer.network.get_parameter("conv3.weight")[:, 1] = 0
    task_step(trainer.learners, *batch, lr=0.1)
    found = scores.read(trainer)["conv2"]
    assert found[1] == 0
    assert (np.delete(found, 1) > 0).all()


def test_fpgm_is_the_sum_of_distances_to_all_other_neurons(start: MakeStart) -> None:
    for name, group in (("mlp", "fc1"), ("vgg_small", "conv2"), ("resnet8", "conv1")):
        trainer = start(name).trainer()
        found = sum_distances(trainer)[group]
        members = trainer.switches.groups[group].writers
        filters = np.concatenate(
            [
                trainer.network.get_submodule(layer).weight.detach().flatten(1).numpy()  # type: ignore[union-attr]
                for layer in members
            ],
            axis=1,
        ).astype(np.float64)
        wanted = np.array([sum(np.linalg.norm(f - g) for g in filters) for f in filters])
        np.testing.assert_allclose(found, wanted / wanted.mean(), rtol=1e-6)


def test_fpgm_finds_the_neuron_in_the_middle(start: MakeStart) -> None:
    """It is removed first although its weights are large: the norm does not matter."""
    trainer = start("mlp").trainer()
    weight = trainer.network.get_parameter("fc2.weight")
    with torch.no_grad():
        weight.normal_().add_(5)
        weight[3] = weight.mean(0)
    assert sum_distances(trainer)["fc2"].argmin() == 3


def test_the_lowest_go_and_one_of_each_group_stays(start: MakeStart) -> None:
    switches = start("mlp").trainer().switches
    scores = {"fc1": np.arange(30.0), "fc2": 100 + np.arange(10.0)}
    for target in (0, 2000, 5000, switches.parameters):
        off = find_lowest(switches, scores, target)
        gone = off.get("fc1", [])
        assert gone == list(range(len(gone)))
        if off.get("fc2"):
            assert len(gone) == 29
        left = {g: ~np.isin(np.arange(len(s)), off.get(g, [])) for g, s in scores.items()}
        assert all(values.any() for values in left.values())
        # Against trying every number of neurons.
        order = [("fc1", i) for i in range(29)] + [("fc2", i) for i in range(9)]
        sizes = []
        for k in range(len(order) + 1):
            on = {g: np.ones(len(s)) for g, s in scores.items()}
            for g, i in order[:k]:
                on[g][i] = 0
            sizes.append(abs(switches.size(on).parameters - target))
        assert abs(switches.size(left).parameters - target) == min(sizes)
    assert find_lowest(switches, scores, switches.parameters) == {}


def test_group_sparse_pulls_weak_neurons_harder(start: MakeStart, batch: Batch) -> None:
    """reg * 16^((max - norm) / (max - min)) * weight is added to the gradient (Fang et al. 2023).

    The norm is the root of the mean over layers of squared L2 norms, divided by its mean.
    """
    shrinkage = partial(shrink_groups, example=batch[0][:2], strength=0.01)
    plain = start("mlp").trainer()
    sparse = start("mlp").trainer(learners=partial(Learners, shrinkage=shrinkage))
    before = {name: p.double().numpy() for name, p in parameters(plain).items()}
    for trainer in (plain, sparse):
        task_step(trainer.learners, *batch, lr=0.1)
    wanted = {name: p.double().numpy() for name, p in parameters(plain).items()}
    for group, reader in (("fc1", "fc2"), ("fc2", "scores")):
        w, r = before[f"{group}.weight"], before[f"{reader}.weight"]
        norm = ((w**2).sum(1) + (r**2).sum(0)) / 2
        norm = np.sqrt(norm / norm.mean())
        pull = 16 ** ((norm.max() - norm) / (norm.max() - norm.min()))
        wanted[f"{group}.weight"] -= 0.1 * 0.01 * pull[:, None] * w
        wanted[f"{reader}.weight"] -= 0.1 * 0.01 * pull[None] * r
    for name, value in parameters(sparse).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-4, atol=1e-6)


# --- scratch and SE -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lenet5", "vgg_small"])
def test_scratch_has_the_shape_and_other_weights(
    name: str, start: MakeStart, halves: Callable[[str], dict[str, np.ndarray]]
) -> None:
    begun = start(name, width=1.0)
    groups = begun.trainer().history.groups
    reference = {group: np.arange(n) % 2 * 2.0 for group, n in groups.items()}
    small = shape_like(begun.network, begun.data, reference, 0)
    for group, n in groups.items():
        assert len(small.get_submodule(group).weight) == n // 2  # type: ignore[arg-type]
    for module_name, module in small.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            # As PyTorch draws them for such a layer: uniform up to the root of 1 / fan-in.
            fan_in = module.weight[0].numel()
            spread = module.weight.std().item() * (3 * fan_in) ** 0.5
            assert spread == pytest.approx(1, rel=0.15), module_name
    kept = begun.network.get_submodule(next(iter(groups))).weight[1::2]  # type: ignore[index]
    assert not torch.allclose(small.get_submodule(next(iter(groups))).weight, kept)  # type: ignore[arg-type]


def test_the_users_own_network_is_redrawn(data: sv.ImageData) -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 3))
    small = shape_like(own, data, {"1": np.array([1, 0] * 4)}, 0)
    assert small.get_submodule("1").weight.shape == (4, 256)
    assert not torch.allclose(small.get_submodule("1").weight, own[1].weight[::2])  # type: ignore[arg-type,index]


def test_excitation_weighs_the_channels_of_tokens() -> None:
    """As many tokens as channels, so that the two could be taken for each other."""
    layer = nn.Linear(5, 4)
    gate = Excited(layer, 4, 2)
    tokens = torch.randn(3, 4, 5)
    y = layer(tokens)
    hidden = torch.relu(y.mean(1) @ gate.squeeze.weight.T + gate.squeeze.bias)
    weights = torch.sigmoid(hidden @ gate.excite.weight.T + gate.excite.bias)
    torch.testing.assert_close(gate(tokens), y * weights[:, None])


def test_excitation_weighs_what_the_layer_says(data: sv.ImageData) -> None:
    network = sv.network("vgg_small", data, width=0.25)
    images = data.batch("test", torch.arange(4))[0]
    gated = add_excitation(network, images, 4, seed=0)
    names = [name for name, _ in gated.named_children()]
    assert names == [name for name, _ in network.named_children()]
    gate: Any = gated.get_submodule("norm1")
    assert gate.squeeze.weight.shape == (2, 8)
    network.eval()
    gated.eval()
    y = network.get_submodule("norm1")(network.get_submodule("conv1")(images))
    mean = y.mean((2, 3))
    hidden = torch.relu(mean @ gate.squeeze.weight.T + gate.squeeze.bias)
    weights = torch.sigmoid(hidden @ gate.excite.weight.T + gate.excite.bias)
    found = gate(network.get_submodule("conv1")(images))
    torch.testing.assert_close(found, y * weights[:, :, None, None])
    for name, value in network.state_dict().items():
        layer, last = name.rsplit(".", 1)
        inner = f"{layer}.layer" if layer in ("norm1", "norm2", "norm3", "norm4", "fc1") else layer
        assert torch.equal(gated.state_dict()[f"{inner}.{last}"], value)


def test_excitation_weighs_layers_alone(data: sv.ImageData) -> None:
    """And no bias of a norm, which a factor multiplies too."""
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]
    network = nn.Sequential(nn.Conv2d(1, 6, 3), Response(6, last=False), *ends)
    images = data.batch("test", torch.arange(4))[0]
    assert "1.beta" in find_switches(network, images).groups["0"].scaled
    gated = add_excitation(network, images, 4, seed=0)
    assert [type(layer).__name__ for layer in gated][:2] == ["Excited", "Response"]  # type: ignore[attr-defined]
