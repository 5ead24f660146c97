"""The switcher: one small network for all groups, its symmetry, its controls, and saving it."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from snnviz.networks import network, vgg_small
from snnviz.structure import NeuronWeights, find_switches, neuron_weights
from snnviz.switcher import ACTIVATIONS, Switcher, SwitcherConfig
from snnviz.switcher.switcher import LEARNED
from tests import reference
from tests.reference import tiny_data
from tests.switcher.weights import ODD, equal_weights, in_order, made_of, parts_of, some_weights


def awake(config: SwitcherConfig | None = None, seed: int = 0) -> Switcher:
    """A switcher as after some training: its last layer is not 0 any more."""
    switcher = Switcher(config, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 100)
        for parameter in switcher.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return switcher


def all_neurons(made: nn.Module, shape: tuple[int, ...]) -> dict[str, NeuronWeights]:
    groups = find_switches(made, torch.randn(2, *shape)).groups
    return {name: neuron_weights(made, group) for name, group in groups.items()}


@given(
    seed=st.integers(0, 10_000),
    activation=st.sampled_from(["unit_mean", "hard_sigmoid", "relu"]),
    sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=3),
)
def test_permuting_neurons_permutes_their_factors_and_inputs_change_nothing(
    seed: int, activation: str, sizes: list[tuple[int, int]]
) -> None:
    switcher = awake(SwitcherConfig(activation=activation), seed).double()
    groups, mixed, orders = {}, {}, {}
    for i, (n, fan_in) in enumerate(sizes):
        one = groups[f"g{i}"] = some_weights(n, fan_in, seed + i).map(Tensor.double)
        order = orders[f"g{i}"] = torch.randperm(n)
        moved = in_order(one, order)
        columns = moved.incoming[:, torch.randperm(fan_in)]
        mixed[f"g{i}"] = dataclasses.replace(moved, rows=(columns,))
    factors, others = switcher(groups), switcher(mixed)
    for group, values in factors.items():
        wanted = values[orders[group]]
        torch.testing.assert_close(others[group], wanted, rtol=1e-6, atol=1e-6)


def test_permuting_a_layers_units_in_a_network_permutes_their_factors() -> None:
    made = vgg_small((1, 8, 8), 3)
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    switcher = awake()
    before = switcher(all_neurons(made, (1, 8, 8)))
    order = torch.randperm(len(before["conv2"]))
    for name in ("conv2.weight", "norm2.weight", "norm2.bias"):
        parameter = made.get_parameter(name)
        parameter.data = parameter.data[order]
    reader = made.get_parameter("conv3.weight")
    reader.data = reader.data[:, order]
    after = switcher(all_neurons(made, (1, 8, 8)))
    assert len(before["conv2"].unique()) > 2
    torch.testing.assert_close(after["conv2"], before["conv2"][order], rtol=1e-3, atol=1e-4)
    for name in ("conv1", "conv3", "conv4", "fc1"):
        torch.testing.assert_close(after[name], before[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rule", ["per_neuron", "fixed"])
@pytest.mark.parametrize("n", [1, 2, 15])
def test_factors_against_the_reference(n: int, rule: str) -> None:
    switcher = awake(SwitcherConfig(gain=0.3, gain_rule=rule)).double()
    groups = {"a": some_weights(n, 5), "b.c": some_weights(4, 3, 1)}
    for group, factors in switcher(groups).items():
        count = len(factors)
        gain = 0.3 * count if rule == "per_neuron" else 0.3
        z = np.array(reference.descriptor_scores(switcher, groups[group])) * gain
        np.testing.assert_allclose(
            factors.detach(), reference.unit_mean(z), rtol=1e-3, atol=1e-4 * gain + 1e-5
        )


@pytest.mark.parametrize("activation", ["unit_mean", "hard_sigmoid", "relu"])
@pytest.mark.parametrize("rule", ["per_neuron", "fixed"])
def test_every_factor_is_1_at_the_start_and_can_move(activation: str, rule: str) -> None:
    switcher = Switcher(SwitcherConfig(activation=activation, gain_rule=rule))
    factors = switcher({"a": some_weights(9, 5), "b": some_weights(4, 3)})
    assert {k: v.tolist() for k, v in factors.items()} == {"a": [1.0] * 9, "b": [1.0] * 4}
    pull = {k: torch.linspace(-1, 1, len(v)) for k, v in factors.items()}
    sum((factors[k] * pull[k]).sum() for k in factors).backward()  # type: ignore[union-attr]
    last: Any = switcher.layers[-1]
    assert last.weight.grad.norm() > 0


def test_gradients_of_the_weights_that_are_read_by_finite_differences() -> None:
    switcher = awake(SwitcherConfig(activation="hard_sigmoid", gain=1e-3)).double()
    parts = tuple(
        part.double().clone().requires_grad_(True) for part in parts_of(some_weights(5, 4))
    )
    assert torch.autograd.gradcheck(lambda *p: switcher({"a": made_of(*p)})["a"], parts)


@pytest.mark.slow
def test_gradients_of_the_switcher_by_finite_differences() -> None:
    switcher = awake(SwitcherConfig(gain=0.01)).double()
    readings = switcher.read({"a": some_weights(5, 4)})
    names = [name for name, _ in switcher.named_parameters()]

    def factors(*values: Tensor) -> Tensor:
        state = dict(zip(names, values, strict=True))
        return torch.func.functional_call(_Factors(switcher), state, (readings,))

    values = tuple(p.detach().clone().requires_grad_(True) for p in switcher.parameters())
    names = [f"switcher.{name}" for name in names]
    assert torch.autograd.gradcheck(factors, values)


class _Factors(nn.Module):
    def __init__(self, switcher: Switcher) -> None:
        super().__init__()
        self.switcher = switcher

    def forward(self, readings: Any) -> Tensor:
        return self.switcher.factors(readings)["a"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_precisions_are_read(dtype: torch.dtype) -> None:
    switcher = awake()
    plain = some_weights(8, 5)
    factors = switcher({"a": plain.map(lambda part: part.to(dtype))})["a"]
    assert factors.dtype == torch.float32
    torch.testing.assert_close(factors, switcher({"a": plain})["a"], rtol=0.1, atol=0.1)


@pytest.mark.parametrize("neurons", ODD.values(), ids=ODD)
def test_odd_weights_give_finite_factors_and_gradients(neurons: NeuronWeights) -> None:
    switcher = awake()
    parts = [part.clone().requires_grad_(True) for part in parts_of(neurons)]
    factors = switcher({"a": made_of(*parts)})["a"]
    (factors * torch.linspace(0, 1, len(factors))).sum().backward()
    assert factors.isfinite().all()
    for tensor in (*parts, *switcher.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all()


def test_neurons_that_are_alike_have_equal_factors() -> None:
    factors = awake()({"a": equal_weights(4, 1, 1, 1, 1)})["a"]
    assert factors.tolist() == [1.0] * 4


def test_the_seed_draws_the_weights_and_leaves_torch_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (Switcher(seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    first = "layers.0.weight"
    assert torch.equal(one[first], same[first])
    assert not torch.equal(one[first], other[first])


@pytest.mark.parametrize("name", ["mlp", "lenet5", "vgg_small", "resnet8"])
def test_one_switcher_fits_every_network(name: str) -> None:
    switcher = awake()
    factors = switcher(all_neurons(network(name, tiny_data((1, 16, 16))), (1, 16, 16)))
    assert all(values.mean().item() == pytest.approx(1, abs=1e-4) for values in factors.values())
    assert len(next(iter(factors.values())).unique()) > 2


def test_it_is_small() -> None:
    """Less than 0.1 % of resnet18's parameters, and a few thousand with every descriptor."""
    own = sum(parameter.numel() for parameter in Switcher().parameters())
    whole = network("resnet18", tiny_data((1, 16, 16)))
    assert own < 0.001 * sum(parameter.numel() for parameter in whole.parameters())
    assert own < 3000


@pytest.fixture
def halves() -> Iterator[str]:
    """A user's own activation."""
    ACTIVATIONS["halves"] = lambda z: 0.5 + 0 * z
    yield "halves"
    del ACTIVATIONS["halves"]


def test_a_user_adds_an_activation(halves: str) -> None:
    switcher = awake(SwitcherConfig(activation=halves))
    assert switcher({"a": some_weights(3, 5)})["a"].tolist() == [0.5] * 3


# --- controls -------------------------------------------------------------------------------------


def test_shuffled_it_reads_another_neurons_descriptors() -> None:
    config, neurons = SwitcherConfig(reads="shuffled"), some_weights(40, 5)
    factors, others = awake(config)({"a": neurons})["a"], awake()({"a": neurons})["a"]
    assert not torch.allclose(factors, others)
    # The same factors, each given to another neuron, and always to the same one.
    torch.testing.assert_close(factors.sort().values, others.sort().values, rtol=1e-3, atol=1e-4)
    assert torch.equal(factors, awake(config)({"a": neurons})["a"])
    other = awake(config)
    other.seed = 1
    assert not torch.allclose(factors, other({"a": neurons})["a"])


def test_random_it_reads_nothing_of_the_weights() -> None:
    switcher = awake(SwitcherConfig(reads="random"))
    factors = switcher({"a": some_weights(40, 5)})["a"]
    assert torch.equal(factors, switcher({"a": some_weights(40, 5, seed=7)})["a"])
    assert len(factors.unique()) > 5


# --- the one that ships ---------------------------------------------------------------------------


def test_the_switcher_that_ships_keeps_long_weights() -> None:
    switcher = Switcher.learned()
    assert switcher.config == SwitcherConfig()
    assert LEARNED.stat().st_size < 20_000
    groups = {"a": some_weights(300, 5)}
    own, factors = groups["a"], switcher(groups)["a"].detach()
    assert 0.1 < (factors == 0).float().mean() < 0.6
    known = torch.stack([own.length.log(), own.outgoing.log(), factors])
    to_length, to_outgoing = torch.corrcoef(known)[2, :2].tolist()
    assert to_length > 0.3
    assert to_outgoing > 0.3


# --- saving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        SwitcherConfig(),
        SwitcherConfig(gain=0.5, gain_rule="fixed", descriptors=("outgoing", "length")),
        SwitcherConfig(reads="shuffled", activation="relu"),
    ],
    ids=["default", "other settings", "shuffled"],
)
def test_saved_and_loaded_it_gives_the_same_factors(config: SwitcherConfig, tmp_path: Path) -> None:
    switcher = awake(config, seed=3)
    file = switcher.save(tmp_path / "some" / "switcher.safetensors")
    loaded = Switcher.load(file)
    assert (loaded.config, loaded.seed) == (config, 3)
    groups = {"a": some_weights(30, 5), "b": some_weights(4, 3)}
    for group, factors in switcher(groups).items():
        assert torch.equal(loaded(groups)[group], factors)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_saved_twice_the_files_are_the_same(tmp_path: Path) -> None:
    one, other = (awake().save(tmp_path / name).read_bytes() for name in ("one", "other"))
    assert one == other


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return awake().save(tmp_path / "switcher.safetensors")


def message_of(error: type[Exception], file: Path) -> str:
    with pytest.raises(error) as caught:
        Switcher.load(file)
    return str(caught.value).replace(str(file), "FILE")


HOW = "Give a file that trainer.switcher.save(path) has written."


def test_there_is_no_such_file(tmp_path: Path) -> None:
    said = message_of(FileNotFoundError, tmp_path / "none")
    assert re.sub("'.*'", "FILE", said) == f"there is no file FILE. {HOW}"


def test_a_file_of_something_else(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "other")
    assert message_of(ValueError, tmp_path / "other").replace(str(tmp_path / "other"), "FILE") == (
        f"the file 'FILE' contains no switcher. {HOW}"
    )


def test_a_file_that_was_cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    assert message_of(ValueError, file).startswith("the file 'FILE' is damaged (")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            b'\\"format\\": 1',
            b'\\"format\\": 2',
            "the file 'FILE' has format 2, and this version of snnviz reads up to 1; "
            "install a newer snnviz.",
        ),
        (
            b'\\"shift\\", \\"outgoing\\"',
            b'\\"shift\\", \\"unknowns\\"',
            "the file 'FILE' cannot be used: switcher.descriptors must be some of 'length', "
            "'scale', 'shift', 'outgoing', 'mean_cosine', 'greatest_cosine', 'density', "
            "got 'unknowns'. Add your own to snnviz.switcher.DESCRIPTORS.",
        ),
    ],
    ids=["newer", "unknown descriptor"],
)
def test_files_that_cannot_be_used(file: Path, old: bytes, new: bytes, said: str) -> None:
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new))
    assert message_of(ValueError, file) == said


def test_weights_that_are_not_finite(file: Path) -> None:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    tensors["layers.0.bias"][0] = torch.nan
    save_file(tensors, file, metadata)
    assert message_of(ValueError, file) == (
        "the file 'FILE' is damaged (its weights are not all finite); restore it from a copy."
    )
