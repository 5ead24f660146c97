"""What cannot be described is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from snnviz.export import save_compact
from tests.export.nets import Own, branch, hooked

# --- networks that cannot be written ----------------------------------------------------------


def _long_name() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4))
    network.add_module('x")', nn.ReLU())
    return network


def _odd_layer() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4))
    network[0].extra = nn.Parameter(torch.ones(1))
    return network


def _in_bfloat16(module: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return x @ x.transpose(0, 1)


UNWRITABLE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "control flow": (
        lambda: Own(branch),
        "its forward pass cannot be traced (symbolically traced variables cannot be used as "
        "inputs to control flow)",
    ),
    "function": (
        lambda: Own(lambda _, x: torch.fft.fft(x).real),
        "the network itself calls fft_fft, which is not in the table of functions",
    ),
    "method": (
        lambda: Own(lambda _, x: x.cummax(1)[0]),
        "the network itself calls .cummax(), which is not in the table of functions",
    ),
    "attribute": (
        lambda: Own(lambda _, x: torch.relu(x.grad_fn)),
        "the network itself calls grad_fn, which is not in the table of functions",
    ),
    "tensor": (
        lambda: Own(lambda module, x: x + module.plain),
        "the network itself reads the tensor plain, which is neither a parameter nor a buffer",
    ),
    "random": (
        lambda: Own(lambda _, x: x + torch.rand(4)),
        "its forward pass differs from call to call or from training to evaluation",
    ),
    "modes": (
        lambda: Own(lambda module, x: x + 1 if module.training else x),
        "its forward pass differs from call to call or from training to evaluation, first in the "
        "network itself (Own)",
    ),
    "precision of a part": (
        lambda: Own(_in_bfloat16),
        "its forward pass cannot be traced (part of it runs in torch.autocast, which the trace "
        "does not contain)",
    ),
    "a part without gradients": (
        lambda: nn.Sequential(nn.Linear(4, 4), Own(torch.no_grad()(lambda _, x: x * 2))),
        "its forward pass cannot be traced in layer 1 (Own) (part of it runs in torch.no_grad or "
        "torch.enable_grad, which the trace does not contain)",
    ),
    "hook": (hooked, "layer 0 has hooks, which are code"),
    "name": (
        _long_name,
        "the layer name 'x\")' contains characters other than letters, digits, _ and -",
    ),
    "value": (
        lambda: Own(lambda _, x: x.to(torch.complex64).to(torch.device("cpu"))),
        "the network itself uses a value of type device",
    ),
    "dtype": (
        lambda: nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64)),
        "0.weight has the dtype torch.complex64",
    ),
    "meta": (
        lambda: nn.Sequential(nn.Linear(4, 4, device="meta")),
        "0.weight is not an ordinary tensor with values",
    ),
    "odd layer": (
        _odd_layer,
        "it could not be loaded again: layer 0 does not have the tensors of a Linear",
    ),
    "own layer": (
        lambda: nn.Sequential(nn.GRU(4, 4)),
        "its forward pass cannot be traced in layer 0 (GRU) (symbolically traced variables cannot "
        "be used as inputs to control flow)",
    ),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_cannot_be_written_is_named(case: str, tmp_path: Path) -> None:
    build, why = UNWRITABLE[case]
    with pytest.raises(ValueError, match=r".") as raised:
        save_compact(build(), tmp_path / "net")
    assert str(raised.value) == (
        f"network cannot be saved without its code: {why}. Use export(network, path, example) for "
        "a file that runs, or save network.state_dict() and keep the code that builds the network."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_parametrized_layer_is_written_or_refused(tmp_path: Path) -> None:
    """Weight norm is a function of parameters: it is traced, never dropped."""
    network = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match=r"cannot be saved without its code"):
        save_compact(network, tmp_path / "net")


def test_a_network_that_changes_itself_is_caught_by_an_example(tmp_path: Path) -> None:
    network = Own(lambda module, x: module.__dict__.update(n=module.n + 1) or x * module.n)
    network.n = 1
    with pytest.raises(ValueError, match=r"cannot be saved without its code"):
        save_compact(network, tmp_path / "net", torch.ones(2, 4))
    assert network.n == 1


class Stores(nn.Module):
    """Keeps what it computed last, with its gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        self.features = self.fc(images)
        return self.features.relu()


def test_stored_features_are_an_error_in_words(tmp_path: Path) -> None:
    network = Stores()
    network(torch.ones(2, 4))
    start = r"^network cannot be copied \(.+\)\. It must hold"
    with pytest.raises(ValueError, match=start) as said:
        save_compact(network, tmp_path / "net")
    assert str(said.value).endswith("such as a tensor that was computed with gradients.")
    assert list(tmp_path.iterdir()) == []
