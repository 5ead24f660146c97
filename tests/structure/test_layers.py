"""The weights of layers, whichever dimension their outputs are in."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from snnviz.structure.layers import inputs_of, is_depthwise, multiply, rows_of, units_of

LAYERS = {
    "linear": nn.Linear(4, 6),
    "convolution": nn.Conv2d(4, 6, 3),
    "in parts": nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": nn.Conv1d(4, 8, 3, groups=4),
    "transposed": nn.ConvTranspose2d(4, 6, 3),
    "transposed, in parts": nn.ConvTranspose2d(4, 6, 3, groups=2),
    "transposed, depthwise": nn.ConvTranspose3d(4, 8, 2, groups=4),
}


@pytest.mark.parametrize("name", LAYERS)
def test_factors_multiply_what_a_layer_gets_and_gives(name: str) -> None:
    layer = LAYERS[name].double().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    shape = (2, 4) if name == "linear" else (2, 4, *(5,) * (layer.weight.ndim - 2))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    out, read = (torch.rand(n, generator=generator).double() for n in (units_of(layer), 4))
    places = (1,) * (x.ndim - 2)
    nothing = torch.zeros_like(layer.bias)
    expected = functional_call(layer, {"bias": nothing}, (x * read.view(-1, *places),))
    weight = multiply(layer, layer.weight, out, read)
    came = functional_call(layer, {"weight": weight, "bias": nothing}, (x,))
    torch.testing.assert_close(came, expected * out.view(-1, *places))


@pytest.mark.parametrize("name", LAYERS)
def test_rows_are_the_weights_of_an_output(name: str) -> None:
    """An output does not change when all other rows are 0."""
    layer = LAYERS[name].double().requires_grad_(False)
    assert (units_of(layer), inputs_of(layer)) == (8 if "depthwise" in name else 6, 4)
    assert is_depthwise(layer) == ("depthwise" in name)
    rows = rows_of(layer)
    alone = torch.zeros(len(rows)).double()
    alone[1] = 1
    weight = multiply(layer, layer.weight, alone, None)
    assert torch.equal(weight.square().sum(), rows[1].square().sum()) or torch.allclose(
        weight.square().sum(), rows[1].square().sum()
    )
    assert weight.count_nonzero() == rows[1].numel()
