"""NumPy arrays and tensors of any kind as ordinary tensors on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_tensor(argument: str, value: Any) -> Tensor:
    """A dense tensor on the CPU with the same values; long doubles become float64.

    Raises:
        ValueError: it is neither a tensor nor an array of numbers, or some values are missing.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
        value = _from_array(argument, value)
    if not isinstance(value, Tensor):
        raise ValueError(
            f"{argument} must be a torch tensor or a NumPy array of numbers, got "
            f"{describe_value(value)}. {_advise(value)}"
        )
    if value.is_meta:
        raise ValueError(
            f"{argument} must hold data, got a tensor on the meta device. "
            'Make the data on the CPU and then call .to("meta").'
        )
    if value.layout != torch.strided or value.is_quantized or value.is_nested:
        kind = "quantized" if value.is_quantized else "nested" if value.is_nested else "sparse"
        convert = {"quantized": "dequantize()", "nested": "to_padded_tensor(0)"}
        raise ValueError(
            f"{argument} must be an ordinary dense tensor, got a {kind} one. "
            f"Convert it with .{convert.get(kind, 'to_dense()')}."
        )
    tensor = value.detach().cpu()
    # A tensor made in inference mode can never take part in training; a copy can.
    return tensor.clone() if tensor.is_inference() else tensor


def _from_array(argument: str, array: np.ndarray) -> Tensor:
    if isinstance(array, np.ma.MaskedArray):
        missing = int(np.ma.getmaskarray(array).sum())
        if missing:
            raise ValueError(
                f"{argument} must have no missing values, got a masked array in which {missing} of "
                f"{array.size} values are masked. Remove these images, or fill the values: "
                "array.filled(0)."
            )
        array = array.data
    dtype = array.dtype.newbyteorder("=")  # torch reads only this machine's byte order
    if dtype.kind == "f" and dtype.itemsize > 8:  # torch has no long double
        dtype = np.dtype(np.float64)
    return torch.tensor(np.ascontiguousarray(array, dtype=dtype), device="cpu")


def _advise(value: Any) -> str:
    if hasattr(value, "to_numpy"):  # of pandas or polars
        return "Convert it first: .to_numpy()."
    if not isinstance(value, np.ndarray):
        return "Convert first, for example with torch.stack or torch.tensor."
    if value.dtype.kind == "O":
        return "If all its items have the same shape: np.stack(list(array))."
    if value.dtype.kind in "US":
        return (
            "Number the names in both splits alike: names, numbers = np.unique(array, "
            "return_inverse=True), and pass classes=names."
        )
    return "Convert first, for example with array.astype."


def describe_value(value: Any) -> str:
    """The type of a value, with what else a reader needs to see what is wrong with it."""
    if isinstance(value, np.ndarray):
        return f"array of {value.dtype}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of length {len(value)}"
    return type(value).__name__


def dtype_name(dtype: torch.dtype) -> str:
    """For example "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")
