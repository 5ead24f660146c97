"""Wide layers are hashed to fewer numbers."""

import pytest
import torch

from snnviz.structure import NeuronWeights
from snnviz.switcher import Switcher
from snnviz.switcher import switcher as module


@pytest.mark.parametrize("fan_in", [1025, 2048, 3136, 4608])
def test_hashing_sums_weights_under_signs(fan_in: int) -> None:
    generator = torch.Generator().manual_seed(0)
    incoming = torch.randn(3, fan_in, generator=generator, dtype=torch.float64, requires_grad=True)
    signs = module.random_signs(fan_in).double()
    slots = torch.arange(fan_in) % 1024
    wanted = torch.zeros(3, 1024, dtype=torch.float64)
    wanted.index_add_(1, slots, incoming.detach() * signs.flatten()[:fan_in])
    hashed = module.hashed(incoming, signs)
    torch.testing.assert_close(hashed, wanted, rtol=0, atol=1e-12)
    upstream = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(hashed, incoming, upstream)
    torch.testing.assert_close(gradient, upstream[:, slots] * signs.flatten()[:fan_in])


def test_hashing_keeps_inner_products_on_average() -> None:
    """Of neurons that are alike: weights with a cosine of 0.8."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 200, 4608, generator=generator)
    other = 0.8 * one + 0.6 * other
    signs = module.random_signs(4608)
    before = torch.cosine_similarity(one, other)
    after = torch.cosine_similarity(module.hashed(one, signs), module.hashed(other, signs))
    assert (after - before).abs().mean() < 0.03
    assert (after - before).mean().abs() < 0.005
    assert Switcher({"it": 4608}).readers[0].in_features == signs.shape[1] == 1024


def test_hashes_lie_in_memory_that_is_used_again() -> None:
    switcher = Switcher({"wide": 3000, "slim": 5})
    generator = torch.Generator().manual_seed(0)
    places = []
    for n in (4, 4, 6):
        weights = {
            name: NeuronWeights(torch.randn(n, fan_in, generator=generator), *torch.ones(2, n))
            for name, fan_in in (("wide", 3000), ("slim", 5))
        }
        with torch.no_grad():
            kept = switcher.read(weights)
        for ours, other in zip(kept.rows, switcher.read(weights).rows, strict=True):
            assert torch.equal(ours, other)
        places.append(kept.rows[0].data_ptr())
        assert kept.rows[0].data_ptr() != switcher.read(weights).rows[0].data_ptr()
    assert places[0] == places[1] != places[2]
