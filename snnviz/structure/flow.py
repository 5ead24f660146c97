"""Whether the control flow of a network depends on the values of its images."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_BY_VALUE = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class Watch(TorchDispatchMode):
    """Notices operations whose result, or whose shape, depends on the values of tensors."""

    seen = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.seen = self.seen or not _BY_VALUE.isdisjoint(func.tags)
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def check_flow(probe: nn.Module, example: Tensor) -> None:
    """Raises a ValueError if the network chooses its layers or sizes by its images.

    Tensors without values show this: a network that needs a value of one fails on them. This takes
    longer than running the network, and is needed only if `Watch` has seen something.
    """
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensorMode,
    )

    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            probe(mode.from_tensor(example))
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise ValueError(
            "network cannot be traced, because its control flow depends on the images "
            f"({error}). Layers and sizes that are chosen by values of the images are not "
            "supported."
        ) from error
    except Exception:
        return  # something that such tensors cannot do; the trace itself will tell
