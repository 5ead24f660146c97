"""Feature hashing of wide layers."""

import pytest
import torch

from snnviz.switcher.hashing import hashed, random_signs


@pytest.mark.parametrize("fan_in", [1025, 2048, 3136, 4608])
def test_hashing_sums_weights_under_signs(fan_in: int) -> None:
    generator = torch.Generator().manual_seed(0)
    incoming = torch.randn(3, fan_in, generator=generator, dtype=torch.float64, requires_grad=True)
    signs = random_signs(fan_in).double()
    slots = torch.arange(fan_in) % 1024
    wanted = torch.zeros(3, 1024, dtype=torch.float64)
    wanted.index_add_(1, slots, incoming.detach() * signs.flatten()[:fan_in])
    found = hashed(incoming, signs)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    upstream = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(found, incoming, upstream)
    torch.testing.assert_close(gradient, upstream[:, slots] * signs.flatten()[:fan_in])


def test_hashing_keeps_inner_products_on_average() -> None:
    """Of neurons that are alike: weights with a cosine of 0.8."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 200, 4608, generator=generator)
    other = 0.8 * one + 0.6 * other
    signs = random_signs(4608)
    before = torch.cosine_similarity(one, other)
    after = torch.cosine_similarity(hashed(one, signs), hashed(other, signs))
    assert (after - before).abs().mean() < 0.03
    assert (after - before).mean().abs() < 0.005
    assert signs.shape[1] == 1024
