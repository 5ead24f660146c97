"""Networks to shrink, and what must be true of the result.

Gated means: run with factors on the activations, by forward hooks; `compact` works on parameters.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from snnviz.data import ImageData
from snnviz.networks import NETWORKS as NAMED
from snnviz.networks import network
from snnviz.shrink import CompactReport
from snnviz.structure import Size, Switches
from snnviz.structure.attention import is_attention, projections
from tests import reference
from tests.standardised import Gained


def few_images(side: int) -> ImageData:
    return reference.tiny_data((3, side, side), n=8, classes=4)


def named(name: str, data: ImageData) -> nn.Module:
    return network(name, data)


def shufflenet(data: ImageData) -> nn.Module:
    return torchvision.models.shufflenet_v2_x0_5(num_classes=data.n_classes)


# Images that are just large enough for a network take the least time. Others are for networks whose
# last layers would see one pixel alone.
SIDES = dict.fromkeys(("resnet18_imagenet", "squeezenet", "efficientnet_b0"), 16)
# What to build from data, and the images' side.
NETWORKS: dict[str, tuple[Callable[[ImageData], nn.Module], int]] = {
    name: (partial(named, name), SIDES.get(name, max(8, smallest)))
    for name, (_, smallest) in NAMED.items()
} | {"shufflenet": (shufflenet, 32)}


def images_of(side: int, n: int = 4) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def half_off(switches: Switches, seed: int = 0) -> dict[str, Tensor]:
    """Half of each group's factors are exactly 0, the others random."""
    rng = np.random.default_rng(seed)
    factors = {}
    for name, group in switches.groups.items():
        values = rng.uniform(0.5, 1.5, group.neurons)
        values[rng.permutation(group.neurons)[: group.neurons // 2]] = 0
        factors[name] = torch.from_numpy(values)
    return factors


@contextmanager
def gated(net: nn.Module, switches: Switches, factors: Mapping[str, Tensor]) -> Iterator[None]:
    """Within, what each scaled layer gives is multiplied by the factors: a twin of the scaling.

    Where nothing can be scaled that writes the neurons, it is what the readers get.
    """
    of_layer: dict[str, Tensor] = {}
    of_reader: dict[str, Tensor] = {}
    units = {layer.name: layer.units for layer in switches.layers}
    inputs = {layer.name: layer.inputs * layer.reads_in for layer in switches.layers}
    for group in switches.groups.values():
        always = group.moved == "always"
        for member in group.read_as if always else group.scaled_as:
            ones = torch.ones((inputs if always else units)[member.layer], dtype=torch.float64)
            factor = (of_reader if always else of_layer).setdefault(member.layer, ones)
            for channel, neuron in zip(member.channels, member.neurons, strict=True):
                factor[channel] = factors[group.name][neuron]

    def times(factor: Tensor) -> Callable[..., Tensor]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            if isinstance(module, nn.Linear) or type(module) is nn.LayerNorm:
                return output * factor.to(output)
            return output * factor.to(output).view(1, -1, *(1,) * (output.ndim - 2))

        return hook

    biases = {name: p for name, p in net.named_parameters() if name in of_layer}
    whole = {name: bias.data for name, bias in biases.items()}
    for name, bias in biases.items():  # of norms that mix channels
        bias.data = bias.data * of_layer.pop(name).to(bias).view(bias.shape)
    handles = [
        net.get_submodule(layer).register_forward_hook(times(factor))
        for layer, factor in of_layer.items()
    ]
    for layer, factor in of_reader.items():
        owner = net.get_submodule(layer.rpartition(".")[0])
        if isinstance(owner, nn.MultiheadAttention):  # it does not call this layer
            handles.append(owner.register_forward_hook(by_hand(factor), with_kwargs=True))
            continue
        before: Any = lambda module, inputs, by=times(factor): by(module, None, inputs[0])  # noqa: B008, E731
        handles.append(net.get_submodule(layer).register_forward_pre_hook(before))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for name, bias in biases.items():
            bias.data = whole[name]


def by_hand(factor: Tensor) -> Callable[..., Any]:
    """A hook of an attention: what each head gives times its factor, one head after the other.

    Args:
        factor: (channels of all heads,).
    """

    def hook(module: Any, inputs: Any, by_name: Any, output: Any) -> Any:
        given = dict(zip(("query", "key", "value"), inputs, strict=False)) | by_name
        each = given | {"need_weights": True, "average_attn_weights": False}
        weights = module.forward(**each)[1]  # (n, heads, queries, keys)
        value, first = given["value"], module.batch_first
        packed = module.in_proj_weight
        matrix = module.v_proj_weight if packed is None else packed[-module.embed_dim :]
        bias = 0 if module.in_proj_bias is None else module.in_proj_bias[-module.embed_dim :]
        v = (value if first else value.transpose(0, 1)) @ matrix.T + bias
        if module.bias_v is not None:
            v = torch.cat([v, module.bias_v.expand(len(v), 1, -1)], 1)
        if module.add_zero_attn:
            v = torch.cat([v, torch.zeros_like(v[:, :1])], 1)  # (n, keys, channels)
        found: Any = 0 if module.out_proj.bias is None else module.out_proj.bias
        for head in range(module.num_heads):
            own = slice(head * module.head_dim, (head + 1) * module.head_dim)
            heard = factor.to(v)[own] * (weights[:, head] @ v[..., own])
            found = found + heard @ module.out_proj.weight[:, own].T
        return (found if first else found.transpose(0, 1), output[1])

    return hook


@torch.no_grad()
def scores_of(
    net: nn.Module, images: Tensor, switches: Switches, factors: Mapping[str, Tensor]
) -> Tensor:
    with gated(net, switches, factors):
        return net(images)


def assert_close(came: Tensor, expected: Tensor, tolerance: float) -> None:
    assert torch.isfinite(expected).all()
    assert float(expected.std()) > 1e-3 * float(expected.abs().max())  # or any would do
    assert float((came - expected).abs().max()) <= tolerance * float(expected.abs().max())


def count(net: nn.Module, image: Tensor) -> Size:
    """By torch's own counter, which knows attentions only where they take no short cut."""
    attended: dict[str, int] = {}

    def attend(name: str, attention: Any, given: tuple[Any, ...]) -> None:
        inputs = [*given[:3], given[0]]  # of queries, keys, values, and of what the heads give
        weights = [*projections(attention), attention.out_proj.weight]
        places = [x.numel() // x.shape[-1] for x in inputs]
        attended[name] = sum(n * w.numel() for n, w in zip(places, weights, strict=True))

    handles = [
        module.register_forward_pre_hook(partial(attend, f"{type(net).__name__}.{name}"))
        for name, module in net.named_modules()
        if is_attention(module)
    ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(image[:1])
    for handle in handles:
        handle.remove()
    by_module = counter.get_flop_counts()
    short = sum(sum(by_module.get(name, {}).values()) for name in attended)
    macs = (counter.get_total_flops() - short) // 2 + sum(attended.values())
    return Size(sum(p.numel() for p in net.parameters()), macs)


def state_of(net: nn.Module) -> list[Any]:
    return [
        [(name, id(p), p.requires_grad, p.grad) for name, p in net.named_parameters()],
        [(name, id(b)) for name, b in net.named_buffers()],
        [(name, type(m), m.training) for name, m in net.named_modules()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
        [sorted(vars(m)) for m in net.modules()],
    ]


def kind_of(module: nn.Module) -> type[nn.Module]:
    """Of a layer that standardises its weights, what it becomes when it loses inputs."""
    if isinstance(module, Gained):
        return nn.Conv2d
    return nn.MultiheadAttention if is_attention(module) else type(module)


def assert_ordinary(small: nn.Module, net: nn.Module) -> None:
    """The same kinds of module under the same names, and nothing of snnviz in any of them.

    Only an attention that has lost heads is ours.
    """
    kinds = [(name, kind_of(module)) for name, module in net.named_modules()]
    assert [(name, kind_of(module)) for name, module in small.named_modules()] == kinds
    for module, other in zip(small.modules(), net.modules(), strict=True):
        assert "snnviz" not in kind_of(module).__module__ or type(module) is type(other)
        assert vars(module).keys() == vars(other).keys()
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert module.training == other.training
    lost = {
        f"{name}.gain"
        for name, module in net.named_modules()
        if isinstance(module, Gained) and not isinstance(small.get_submodule(name), Gained)
    }
    assert small.state_dict().keys() == net.state_dict().keys() - lost
    others = dict(net.named_parameters())
    for name, parameter in small.named_parameters():
        assert type(parameter) is nn.Parameter
        assert parameter.is_leaf
        assert parameter.requires_grad == others[name].requires_grad
        assert parameter.grad is None


def assert_cut(small: nn.Module, net: nn.Module, report: CompactReport) -> None:
    """What is left are PyTorch's own layers under the names that they had, in the same modes.

    Only an attention that has lost heads is ours.
    """
    assert type(small).__module__.startswith("torch.fx.")
    before, after = dict(net.named_modules()), dict(small.named_modules())
    kinds = {kind_of(module).__module__ for module in after.values()}
    assert all(kind.startswith(("torch.", "torchvision.")) for kind in kinds)
    gone = {layer for layers in report.removed.values() for layer in layers}
    assert not any(list(after[name].parameters(recurse=False)) for name in gone & after.keys())
    assert {name for name, (_, width) in report.widths.items() if width == 0} <= gone
    left = {name for name, m in before.items() if name and list(m.parameters(recurse=False))}
    assert left - gone <= after.keys()
    for name, module in after.items():
        assert module.training == (before[name].training if name in before else net.training)
        if name and name in before and list(before[name].parameters(recurse=False)):
            # A block has no class any more.
            assert kind_of(module) in (kind_of(before[name]), nn.Module)
    for parameter in small.parameters():
        assert type(parameter) is nn.Parameter
        assert parameter.is_leaf
        assert parameter.grad is None


OWN_IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def own_factors(**changes: Any) -> dict[str, Tensor]:
    return {"0": torch.ones(6), "4": torch.ones(4), "7": torch.ones(7)} | changes
