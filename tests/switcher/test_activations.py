"""From scores to factors: against a reference projection, and its laws."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

from snnviz.switcher import ACTIVATIONS, hard_sigmoid, relu, unit_mean
from tests import reference

SCORES = arrays(
    np.float64,
    array_shapes(min_dims=1, max_dims=1, max_side=40),
    elements=st.floats(-50, 50),
)


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# --- unit_mean -----------------------------------------------------------------------------------


@given(SCORES)
def test_unit_mean_against_the_reference_projection(z: np.ndarray) -> None:
    ours = unit_mean(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(ours, reference.unit_mean(z), rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@given(SCORES)
def test_unit_mean_is_the_nearest_point_of_mean_1(z: np.ndarray) -> None:
    """A law of projections: no other point of the set is nearer, tried with random ones."""
    s = unit_mean(torch.from_numpy(z)).numpy()
    rng = np.random.default_rng(0)
    for _ in range(5):
        other = rng.exponential(size=len(z)) ** 3 + 1e-9
        other /= other.mean()
        assert ((z - s) ** 2).sum() <= ((z - other) ** 2).sum() * (1 + 1e-9) + 1e-9


@given(SCORES, st.sampled_from([torch.float32, torch.float64]))
def test_unit_mean_has_mean_1_and_no_negative_factor(z: np.ndarray, dtype: torch.dtype) -> None:
    s = unit_mean(torch.from_numpy(z).to(dtype))
    assert s.dtype == dtype
    assert (s >= 0).all()
    assert (s > 0).any()
    rounding = 4 * len(z) * torch.finfo(dtype).eps
    assert abs(s.double().mean().item() - 1) <= rounding


@given(SCORES, st.floats(-1e6, 1e6))
def test_unit_mean_does_not_see_a_shift(z: np.ndarray, shift: float) -> None:
    shifted = unit_mean(torch.from_numpy(z + shift))
    np.testing.assert_allclose(shifted, unit_mean(torch.from_numpy(z)), atol=1e-8)


@given(SCORES, st.integers(0, 1000))
def test_unit_mean_is_equivariant(z: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(z))
    permuted = unit_mean(torch.from_numpy(z[order])).numpy()
    np.testing.assert_allclose(permuted, unit_mean(torch.from_numpy(z)).numpy()[order], atol=1e-12)


@pytest.mark.parametrize("offset", [0, 1e2, 1e4, 1e6, 1e8, 1e12, -1e8])
@pytest.mark.parametrize("spread", [0, 1e-3, 1, 30, 1e4])
@pytest.mark.parametrize("n", [1, 2, 20, 500])
def test_the_mean_is_1_in_float32_however_large_the_scores(
    n: int, offset: float, spread: float, generator: torch.Generator
) -> None:
    s = unit_mean(torch.randn(n, generator=generator) * spread + offset)
    assert abs(s.double().mean().item() - 1) < 1e-5
    assert (s >= 0).all()


@pytest.mark.parametrize(
    ("z", "s"),
    [
        ([0.0], [1.0]),
        ([-7e30], [1.0]),
        ([5.0, 5.0, 5.0], [1.0, 1.0, 1.0]),
        ([0.0, 9.0], [0.0, 2.0]),
        ([2.0, 0.0], [2.0, 0.0]),  # just at the kink
        ([0.0, 1.0, 1.0, 0.0], [0.5, 1.5, 1.5, 0.5]),
        ([3.0, 3.0, -3.0, -3.0], [2.0, 2.0, 0.0, 0.0]),  # ties on both sides of the waterline
        ([1e30, 0.0, -1e30], [3.0, 0.0, 0.0]),
        ([1e-30, 0.0], [1.0, 1.0]),
    ],
)
def test_unit_mean_by_hand(z: list[float], s: list[float]) -> None:
    assert unit_mean(torch.tensor(z)).tolist() == s


@pytest.mark.parametrize(
    "z",
    [
        doubles(0, 0, 0, 0),
        doubles(0.3),
        doubles(0.3, -0.2, 0.9, 0.1),
        doubles(0.3, -9, 5, 0.1, -3, 2.2, 2.2),
        torch.linspace(-20, 20, 12, dtype=torch.float64),
    ],
)
def test_the_gradient_of_unit_mean_by_finite_differences(z: Tensor) -> None:
    z = z.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(unit_mean, (z,))
    s = unit_mean(z)
    support = (s > 0).double()
    expected = torch.diag(support) - torch.outer(support, support) / support.sum()
    jacobian = torch.autograd.functional.jacobian(unit_mean, z)
    torch.testing.assert_close(jacobian, expected)


@pytest.mark.parametrize("values", [[float("nan")], [1.0, float("nan"), 0.0], [float("nan")] * 9])
def test_nan_scores_give_nan_factors_and_no_crash(values: list[float]) -> None:
    """So that the loss shows them: a NaN must not look like a neuron that is off."""
    s = unit_mean(torch.tensor(values, requires_grad=True))
    assert s.isnan().any()
    s.sum().backward()


# --- the other activations -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_scores_of_0_are_factors_of_1(name: str) -> None:
    for n in (1, 7, 500):
        assert torch.equal(ACTIVATIONS[name](torch.zeros(n)), torch.ones(n))


@pytest.mark.parametrize(
    ("activation", "z", "s", "slope"),
    [
        (hard_sigmoid, [0.0, -0.25, -1.5, 0.5], [1.0, 0.75, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]),
        (relu, [0.0, -0.25, -1.5, 0.5], [1.0, 0.75, 0.0, 1.5], [1.0, 1.0, 0.0, 1.0]),
    ],
)
def test_activations_by_hand(
    activation: Callable[[Tensor], Tensor], z: list[float], s: list[float], slope: list[float]
) -> None:
    given_z = torch.tensor(z, requires_grad=True)
    out = activation(given_z)
    out.sum().backward()
    assert out.tolist() == s
    assert given_z.grad is not None
    assert given_z.grad.tolist() == slope
