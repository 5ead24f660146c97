"""Each descriptor against a slow loop over neurons, and the two symmetries that all must have."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from snnviz.networks import network
from snnviz.structure import NeuronWeights, find_switches, neuron_weights
from snnviz.switcher import DESCRIPTORS, Descriptor, Switcher, SwitcherConfig
from tests import reference
from tests.reference import tiny_data
from tests.switcher.weights import ODD, in_order, made_of, parts_of, some_weights

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 9))
NAMES = list(DESCRIPTORS)


@pytest.mark.parametrize("name", NAMES)
@given(size=SIZES, seed=st.integers(0, 10_000))
def test_against_the_reference(name: str, size: tuple[int, int], seed: int) -> None:
    neurons = some_weights(*size, seed).map(Tensor.double)
    found = DESCRIPTORS[name].function(neurons)
    assert found.shape == (size[0],)
    np.testing.assert_allclose(found, reference.DESCRIPTORS[name](neurons), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_of_neurons_that_several_layers_write(name: str) -> None:
    """They are as if one layer had all the weights."""
    one, other = some_weights(6, 4).map(Tensor.double), some_weights(6, 3, 1).map(Tensor.double)
    both = dataclasses.replace(one, rows=(*one.rows, *other.rows))
    assert both.incoming.shape == (6, 7)
    whole = dataclasses.replace(one, rows=(both.incoming,))
    function = DESCRIPTORS[name].function
    torch.testing.assert_close(function(both), function(whole), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(function(both), reference.DESCRIPTORS[name](both), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@given(size=SIZES, seed=st.integers(0, 10_000))
def test_the_order_of_the_inputs_does_not_matter(
    name: str, size: tuple[int, int], seed: int
) -> None:
    neurons = some_weights(*size, seed).map(Tensor.double)
    order = torch.randperm(size[1], generator=torch.Generator().manual_seed(seed))
    mixed = dataclasses.replace(neurons, rows=(neurons.incoming[:, order],))
    function = DESCRIPTORS[name].function
    torch.testing.assert_close(function(mixed), function(neurons), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@given(size=SIZES, seed=st.integers(0, 10_000))
def test_it_permutes_with_the_neurons(name: str, size: tuple[int, int], seed: int) -> None:
    neurons = some_weights(*size, seed).map(Tensor.double)
    order = torch.randperm(size[0], generator=torch.Generator().manual_seed(seed))
    function = DESCRIPTORS[name].function
    permuted = function(in_order(neurons, order))
    torch.testing.assert_close(permuted, function(neurons)[order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("neurons", ODD.values(), ids=ODD)
def test_odd_weights_give_finite_values_and_gradients(name: str, neurons: NeuronWeights) -> None:
    parts = [part.clone().requires_grad_(True) for part in parts_of(neurons)]
    values = DESCRIPTORS[name].function(made_of(*parts))
    if values.requires_grad:  # one neuron has no other to be like
        values.sum().backward()
    assert values.isfinite().all()
    assert all(part.grad is None or part.grad.isfinite().all() for part in parts)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_by_finite_differences(name: str) -> None:
    neurons = some_weights(5, 4).map(Tensor.double)
    given_parts = tuple(part.clone().requires_grad_(True) for part in parts_of(neurons))

    def function(*parts: Tensor) -> Tensor:
        return DESCRIPTORS[name].function(made_of(*parts))

    assert torch.autograd.gradcheck(function, given_parts)


def test_each_has_a_sentence() -> None:
    for name, descriptor in DESCRIPTORS.items():
        assert name.isidentifier()
        assert 20 < len(descriptor.sentence) < 150
        assert not descriptor.sentence.endswith(".")  # it is used within other sentences


NETWORKS = ("mlp", "lenet5", "vgg_small", "resnet8", "mobilenet_v2", "resnext50", "squeezenet")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_defined_for_any_group_of_any_network(name: str) -> None:
    """Several writers, grouped and depthwise convolutions, with a norm and without."""
    data = tiny_data((1, 16, 16))
    made = network(name, data)
    for group in find_switches(made, torch.randn(2, 1, 16, 16)).groups.values():
        neurons = neuron_weights(made, group)
        for descriptor in DESCRIPTORS.values():
            values = descriptor.function(neurons)
            assert values.shape == (group.neurons,)
            assert values.isfinite().all()


def test_outgoing_weights_of_a_layer_that_reads_in_parts() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 6, 3)
            self.parts = nn.Conv2d(6, 4, 1, groups=2)
            self.head = nn.Linear(4, 3)

        def forward(self, images: Tensor) -> Tensor:
            x = torch.relu(self.parts(torch.relu(self.first(images))))
            return self.head(x.mean((2, 3)))

    made = Parts()
    group = find_switches(made, torch.randn(2, 1, 8, 8)).groups["first"]
    # Channels 0 and 3 are one neuron, and so on: such a layer keeps the same places in each part.
    wanted = [math.hypot(*row) for row in made.parts.weight.flatten(1).T.tolist()]
    torch.testing.assert_close(neuron_weights(made, group).outgoing, torch.tensor(wanted))


# --- a user's own ---------------------------------------------------------------------------------


@pytest.fixture
def peak() -> Iterator[str]:
    DESCRIPTORS["peak"] = Descriptor(
        lambda neurons: neurons.incoming.abs().amax(1) / neurons.length,
        "share of the largest incoming weight in the length of all of them",
    )
    yield "peak"
    del DESCRIPTORS["peak"]


def test_a_user_adds_one(peak: str) -> None:
    switcher = Switcher(SwitcherConfig(descriptors=("length", peak)))
    neurons = some_weights(7, 5)
    values = switcher.read({"a": neurons}).values
    assert values.shape == (7, 2)
    wanted = np.array([np.abs(row).max() / np.linalg.norm(row) for row in neurons.incoming.numpy()])
    wanted = (wanted - wanted.mean()) / (wanted.std() + 1e-5)
    np.testing.assert_allclose(values[:, 1], wanted, rtol=1e-4, atol=1e-4)
