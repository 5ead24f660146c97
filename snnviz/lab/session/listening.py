"""What the neurons of a layer give while the network runs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.structure.attention import is_attention
from snnviz.structure.layers import units_of
from snnviz.structure.probe import copied


def listen(layer: Any, keep: Callable[[Tensor], None]) -> Any:
    """Has each call of a layer give its output to `keep`; returns the handle that ends this.

    An attention gives what its heads give, side by side: (images, tokens, channels of all heads).
    """
    if not is_attention(layer):
        return layer.register_forward_hook(lambda module, inputs, output: keep(output))
    heads = copied(layer)
    heads._forward_hooks.clear()
    heads._forward_pre_hooks.clear()
    channels = units_of(layer)
    heads.out_proj.weight = nn.Parameter(torch.eye(channels).to(layer.out_proj.weight), False)
    heads.out_proj.bias = None

    def hook(module: Any, inputs: Any, by_name: Any, output: Any) -> None:
        given = heads(*inputs, **by_name)[0]
        keep(given if module.batch_first or given.ndim == 2 else given.transpose(0, 1))

    return layer.register_forward_hook(hook, with_kwargs=True)


def find_channel_axis(layer: Any, output: Tensor, channel: int) -> int:
    """Where a layer's channels stand in its output, which has this one: last, or after the images.

    Linear layers may work on maps with the channels last, as in ConvNeXt.
    """
    last = isinstance(layer, nn.Linear) or type(layer) is nn.LayerNorm or is_attention(layer)
    return output.ndim - 1 if last or output.shape[1] <= channel else 1
