"""A number in a file cannot ask for more memory than there is."""

from typing import Any

import pytest

from snnviz.export.limits import check_call, check_numbers

NODE = object()  # a size that is known only in the forward pass

TOO_MUCH: dict[str, tuple[str, tuple, dict[str, Any], str]] = {
    "zeros": ("torch.zeros", ((10**6, 10**6),), {}, "asks for 1000000000000 elements"),
    "full": ("torch.full", ([2**24, 2**24], 0.5), {}, "asks for 281474976710656 elements"),
    "beside a node": ("new_ones", (NODE, (NODE, 10**9)), {}, "has a size of 1000000000"),
    "keyword": ("repeat", (NODE,), {"repeats": [10**9]}, "has a size of 1000000000"),
    "padding": ("F.pad", (NODE, (0, 0, 0, 10**9)), {}, "has a size of 1000000000"),
    "nearly nothing": ("F.pad", (NODE, (0, -(10**9))), {}, "has a size of -1000000000"),
    "scale": ("F.interpolate", (NODE,), {"scale_factor": 1e9}, "has a size of 1000000000.0"),
    "infinite": ("torch.arange", (float("inf"),), {}, "has a size of inf"),
    "no number": ("torch.arange", (float("nan"),), {}, "has a size of nan"),
    "fine steps": ("torch.arange", (0, 1, 1e-12), {}, "has a step of 1e-12"),
    "windows": (
        "torchvision.shifted_window_attention",
        (NODE, NODE, NODE, NODE, [2**20, 2**20]),
        {"num_heads": 2},
        "asks for 2199023255552 elements",
    ),
    "named steps": ("torch.arange", (1,), {"step": 0}, "has a step of 0"),
}


@pytest.mark.parametrize("case", TOO_MUCH)
def test_what_is_too_much(case: str) -> None:
    target, args, kwargs, why = TOO_MUCH[case]
    with pytest.raises(ValueError, match=f"^{target} {why}, at (most|least) "):
        check_call(target, args, kwargs)


ENOUGH: dict[str, tuple[str, tuple, dict[str, Any]]] = {
    "an image": ("torch.zeros", ((256, 3, 512, 512),), {}),
    "filled": ("new_full", (NODE, (NODE, 7), -1e9), {}),
    "padded": ("F.pad", (NODE, (256, 256, 256, 256), "constant", -float("inf")), {}),
    "filled by name": ("F.pad", (NODE, (1, 1)), {"value": -1e9}),
    "range": ("torch.arange", (0, 10, 0.5), {}),
    "not a size": ("torch.clamp", (NODE, -1e9, 1e9), {}),
    "as it was": ("expand", (NODE, -1, -1, 16), {}),
}


@pytest.mark.parametrize("case", ENOUGH)
def test_what_is_not(case: str) -> None:
    check_call(*ENOUGH[case])


def test_sizes_of_a_layer() -> None:
    check_numbers("padding of layer a", ("same", (1, 2), None, True))
    with pytest.raises(ValueError, match=r"^padding of layer a has a size of 33554432, at most "):
        check_numbers("padding of layer a", (1, [2**25]))
