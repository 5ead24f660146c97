"""The layers, functions and methods that a description of a network may use, by name.

Only these can be saved, and only these are ever built from a file.
"""

import builtins
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LAYERS = """
    Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Linear Bilinear Identity
    BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d InstanceNorm3d
    LayerNorm GroupNorm RMSNorm LocalResponseNorm MultiheadAttention
    ReLU ReLU6 LeakyReLU PReLU RReLU ELU CELU SELU GELU GLU SiLU Mish Sigmoid LogSigmoid Tanh
    Softplus Softsign Softmax LogSoftmax Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink
    Tanhshrink Threshold Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout
    MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool2d
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d
    AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
    Flatten Unflatten Upsample UpsamplingNearest2d UpsamplingBilinear2d
    PixelShuffle PixelUnshuffle ChannelShuffle Fold Unfold
    ZeroPad1d ZeroPad2d ConstantPad1d ConstantPad2d ReflectionPad1d ReflectionPad2d
    ReplicationPad1d ReplicationPad2d CircularPad2d
"""
_FUNCTIONS = {
    torch: """
        flatten unflatten reshape permute transpose swapaxes movedim squeeze unsqueeze cat stack
        chunk split narrow roll clone add sub mul div pow matmul bmm einsum sum mean amax amin var
        std max min maximum minimum clamp exp log sqrt rsqrt abs neg square sigmoid tanh relu
        softmax log_softmax erf where zeros_like ones_like rand_like randn_like bernoulli
        conv1d conv2d conv3d conv_transpose2d rms_norm channel_shuffle _assert
    """,
    F: """
        relu relu6 leaky_relu prelu elu celu selu gelu glu silu mish sigmoid tanh softplus softsign
        softmax log_softmax hardtanh hardsigmoid hardswish logsigmoid dropout dropout1d dropout2d
        dropout3d alpha_dropout linear bilinear batch_norm instance_norm layer_norm group_norm
        rms_norm normalize local_response_norm max_pool1d max_pool2d max_pool3d avg_pool1d
        avg_pool2d avg_pool3d lp_pool2d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d pad interpolate pixel_shuffle
        pixel_unshuffle unfold fold scaled_dot_product_attention
    """,
    operator: """
        add sub mul truediv floordiv mod pow matmul neg pos abs getitem eq ne lt le gt ge
        iadd isub imul itruediv
    """,
    builtins: "getattr",
}
_METHODS = """
    size dim numel view reshape flatten unflatten permute transpose swapaxes movedim squeeze
    unsqueeze expand expand_as repeat contiguous chunk split narrow select roll clone detach
    add add_ sub sub_ mul mul_ div div_ pow matmul bmm neg abs square sqrt rsqrt exp log sum mean
    amax amin max min var std norm clamp clamp_ clamp_min sigmoid tanh relu relu_ softmax
    log_softmax view_as type_as to float double half bfloat16 masked_fill
"""
METHODS = frozenset(_METHODS.split())
ATTRIBUTES = {"shape", "ndim", "dtype", "device", "T", "mT"}
CONTAINERS: dict[str, type[nn.Module]] = {
    "Module": nn.Module,
    "Sequential": nn.Sequential,
    "ModuleList": nn.ModuleList,
    "ModuleDict": nn.ModuleDict,
}
_DTYPES = "float16 bfloat16 float32 float64 uint8 int8 int16 int32 int64 bool"
DTYPES = frozenset(_DTYPES.split())
# Key of a bool that follows the mode of a module; not a Python name, so it cannot clash with one.
FLAG = "training of"
PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@cache
def layers() -> dict[str, type[nn.Module]]:
    """The classes of layers that may be saved, by name."""
    from torchvision.ops import StochasticDepth

    named: dict[str, type[nn.Module]] = {name: getattr(nn, name) for name in _LAYERS.split()}
    return named | {"StochasticDepth": StochasticDepth}


@cache
def functions() -> dict[str, Callable]:
    """The functions that may be saved, by name."""
    named = {torch: "torch", F: "F", operator: "operator", builtins: "builtins"}
    return {
        f"{named[module]}.{name}": getattr(module, name)
        for module, names in _FUNCTIONS.items()
        for name in names.split()
    }


def is_layer(module: nn.Module) -> bool:
    return layers().get(type(module).__name__) is type(module)


def tensors_of(module: nn.Module, recurse: bool) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=recurse, remove_duplicate=False)
    yield from module.named_buffers(recurse=recurse, remove_duplicate=False)


def prepare_tensors(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors as safetensors needs them: on the CPU, contiguous, each with its own memory.

    A tensor with several names is listed under the first one.
    """
    saved: dict[str, Tensor] = {}
    seen: set[int] = set()
    owners: set[int] = set()
    for name, tensor in tensors:
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        plain = tensor.detach().cpu().contiguous()
        if (
            plain.untyped_storage().data_ptr() in owners
        ):  # two views of one memory become two tensors
            plain = plain.clone()
        owners.add(plain.untyped_storage().data_ptr())
        saved[name] = plain
    return saved
