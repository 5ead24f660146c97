"""The layers, functions and methods that a description of a network may use, by name.

Only these can be saved, and only these are ever built from a file.
"""

import builtins
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnviz.structure.attention import NarrowAttention

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
        flatten unflatten reshape permute transpose swapaxes swapdims movedim moveaxis t squeeze
        unsqueeze cat concat concatenate stack hstack vstack chunk tensor_split split narrow
        unbind select index_select gather take_along_dim masked_select broadcast_to tile
        repeat_interleave roll flip rot90 clone tril triu diag diagonal diag_embed
        add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow
        float_power addcmul addcdiv lerp matmul mm mv dot bmm baddbmm addmm outer einsum tensordot
        sum mean amax amin aminmax argmax argmin var std var_mean std_mean max min maximum minimum
        prod cumsum cumprod logsumexp norm median topk sort argsort
        clamp clip clamp_min clamp_max exp exp2 expm1 log log2 log10 log1p sqrt rsqrt abs neg
        negative square reciprocal sign floor ceil round trunc frac sin cos tan sinh cosh tanh
        asin acos atan atan2 sigmoid relu softmax log_softmax erf nan_to_num
        eq ne lt le gt ge logical_and logical_or logical_not logical_xor isnan isinf isfinite where
        masked_fill zeros ones full arange linspace eye zeros_like ones_like full_like
        rand_like randn_like bernoulli meshgrid
        conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d batch_norm
        layer_norm group_norm instance_norm rms_norm dropout channel_shuffle pixel_shuffle
        pixel_unshuffle cosine_similarity sym_max sym_min _assert
    """,
    F: """
        relu relu6 leaky_relu prelu rrelu elu celu selu gelu glu silu mish sigmoid tanh softplus
        softsign softmin softmax log_softmax hardtanh hardsigmoid hardswish hardshrink softshrink
        tanhshrink threshold logsigmoid dropout dropout1d dropout2d dropout3d alpha_dropout
        feature_alpha_dropout linear bilinear batch_norm instance_norm layer_norm group_norm
        rms_norm normalize local_response_norm max_pool1d max_pool2d max_pool3d avg_pool1d
        avg_pool2d avg_pool3d lp_pool1d lp_pool2d adaptive_avg_pool1d adaptive_avg_pool2d
        adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d pad
        interpolate grid_sample affine_grid pixel_shuffle pixel_unshuffle channel_shuffle unfold
        fold cosine_similarity scaled_dot_product_attention
    """,
    torch.linalg: "vector_norm",
    operator: """
        add sub mul truediv floordiv mod pow matmul neg pos abs getitem eq ne lt le gt ge and_ or_
        xor invert iadd isub imul itruediv
    """,
    math: "ceil floor sqrt",
    builtins: "getattr",
}
# What torchvision's Swin transformers are traced as: they look at the size of the image.
_SWIN = "shifted_window_attention _get_relative_position_bias _patch_merging_pad"
_METHODS = """
    size dim numel view reshape reshape_as flatten unflatten permute transpose swapaxes swapdims
    movedim moveaxis t squeeze unsqueeze expand expand_as repeat repeat_interleave tile
    broadcast_to contiguous chunk tensor_split split narrow select index_select gather unbind
    unfold roll flip clone detach tril triu diagonal
    add add_ sub sub_ mul mul_ div div_ true_divide floor_divide remainder pow addcmul addcmul_
    addcdiv lerp matmul mm mv dot bmm outer neg neg_ abs square sqrt rsqrt reciprocal exp log log1p
    sign floor ceil round trunc sin cos sum mean amax amin argmax argmin max min maximum minimum
    var std norm prod cumsum logsumexp topk sort clamp clamp_ clip clamp_min clamp_min_ clamp_max
    sigmoid sigmoid_ tanh tanh_ relu relu_ erf softmax log_softmax
    view_as type_as to float double half bfloat16 int long bool masked_fill masked_fill_ where
    eq ne lt le gt ge logical_and logical_or logical_not isnan nan_to_num
    new_zeros new_ones new_full
"""
METHODS = frozenset(_METHODS.split())
ATTRIBUTES = {"shape", "ndim", "dtype", "device", "T", "mT", "H", "mH", "values", "indices"}
CONTAINERS: dict[str, type[nn.Module]] = {
    "Module": nn.Module,
    "Sequential": nn.Sequential,
    "ModuleList": nn.ModuleList,
    "ModuleDict": nn.ModuleDict,
}
_DTYPES = "float16 bfloat16 float32 float64 uint8 int8 int16 int32 int64 bool"
DTYPES = frozenset(_DTYPES.split())
# Layers that call their own layers. What another layer contains is described by itself.
WITH_PARTS = (nn.MultiheadAttention,)
# Key of a bool that follows the mode of a module; not a Python name, so it cannot clash with one.
FLAG = "training of"
PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@cache
def layers() -> dict[str, type[nn.Module]]:
    """The classes of layers that may be saved, by name."""
    from torchvision.ops import StochasticDepth

    named: dict[str, type[nn.Module]] = {name: getattr(nn, name) for name in _LAYERS.split()}
    return named | {"StochasticDepth": StochasticDepth, "NarrowAttention": NarrowAttention}


@cache
def functions() -> dict[str, Callable]:
    """The functions that may be saved, by name."""
    from torchvision.models import swin_transformer

    named = {torch: "torch", F: "F", operator: "operator", builtins: "builtins", math: "math"}
    named |= {torch.linalg: "torch.linalg", swin_transformer: "torchvision"}
    return {
        f"{named[module]}.{name}": getattr(module, name)
        for module, names in (_FUNCTIONS | {swin_transformer: _SWIN}).items()
        for name in names.split()
    }


def tensors_of(module: nn.Module, recurse: bool) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=recurse, remove_duplicate=False)
    yield from module.named_buffers(recurse=recurse, remove_duplicate=False)


def layer_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a module itself, and of its parts if it has such."""
    return tensors_of(module, recurse=isinstance(module, WITH_PARTS))


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
